/* The first commands of a connection, and what their answers mean.  Pure.
 *
 * What must stay true: the last step is a PING, so that a Redis that loads, is full or wants a password says so before
 * anybody relies on it; the password is in no sentence, not even when Redis quotes it. */
#ifndef LARDER_L2_GREET_H
#define LARDER_L2_GREET_H

#include "l2/conn.h"

enum { GREET_STEPS = 4, GREET_ARGUMENTS = 3, GREET_DETAIL = 256 };

struct greet_step {
    struct greet *greet;
    enum greet_kind { GREET_AUTH, GREET_SELECT, GREET_NAME, GREET_PING } kind;
    struct slice argv[GREET_ARGUMENTS];
    struct l2_command command; /* argv and count are set */
};

struct greet {
    struct greet_step steps[GREET_STEPS];
    char db[12];
};

/* How many steps there are.  `g` stays where it is; url and name are pointed to until the commands were written. */
unsigned greet_prepare(struct greet *g, const struct l2_url *url, const char *name);
bool greet_is_last(const struct greet_step *step);

/* <0: go on.  Else the enum conn_why to end with, and a detail. */
int greet_judge(const struct greet_step *step, const struct l2_reply *reply, const struct l2_url *url,
                char ret_detail[GREET_DETAIL]);

/* What may be the matter when the other side hangs up on a greeting. */
const char *greet_hint(const struct l2_url *url);

#endif
