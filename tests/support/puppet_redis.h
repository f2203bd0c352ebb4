/* A Redis of a test's own words, without a socket: it stands in the place of l2/transport.h, so that everything above
 * is what ships.  It greets, takes scripts and answers each question in a fixed honest way, until the test says what
 * is answered instead.
 *
 * What must stay true: as a network, it never calls back from inside a call; what one turn sends is answered in the next.
 * One puppet a process at a time. */
#ifndef LARDER_TESTS_PUPPET_REDIS_H
#define LARDER_TESTS_PUPPET_REDIS_H

#include <stdbool.h>
#include <stdint.h>
#include "l2/script.h"
#include "l2/transport.h"

/* What was asked: a script by its id, or one of these. */
enum puppet_ask {
    ASK_PING = SCRIPTS,
    ASK_NAME,    /* CLIENT SETNAME */
    ASK_LOAD,    /* SCRIPT LOAD */
    ASK_TIME,    /* TIME */
    ASK_COUNTER, /* GET {ns}:ver */
    ASK_ENTRY,   /* GET {ns}:e:… */
    ASK_TAIL,    /* XREAD */
    ASK_UNKNOWN, /* a script that nobody loaded */
    ASKS
};

enum { PUPPET_LINKS = 64, PUPPET_WORDS = 1024, PUPPET_MS = 1000000 };
#define PUPPET_EPOCH "epoch-1!"

struct puppet {
    struct loop *loop;
    uint64_t v;         /* the counter */
    struct slice entry; /* what is at every entry; NULL: nothing */
    /* In place of the honest answer; NULL: that one.  Of no bytes: nothing is answered. */
    struct slice instead[ASKS];
    /* Or this, when it returns true; it writes into `out`. */
    bool (*speak)(struct puppet *p, enum puppet_ask ask, struct buffer *out);
    unsigned asked[ASKS];
    /* Of the last question: its words. */
    struct slice words[PUPPET_WORDS];
    unsigned words_count;
    struct transport *links[PUPPET_LINKS]; /* open, in the order opened; NULL: closed */
    struct transport *tail;                /* which waits for records; NULL: none */
};

void puppet_begin(struct puppet *p, struct loop *loop);
void puppet_end(struct puppet *p); /* checks that nobody is connected any more */

/* The records it waits for, as a reply. */
void puppet_tell(struct puppet *p, const char *reply);
/* The honest answer, for speak. */
void puppet_answer(const struct puppet *p, enum puppet_ask ask, struct buffer *out);
/* Bytes at a link, by its number in the order of opening; and its end, both in the present turn. */
void puppet_say(struct puppet *p, unsigned link, struct slice bytes);
void puppet_hang_up(struct puppet *p, unsigned link);

#endif
