/* The Redis tier against a Redis that greets well and then answers what no real one would: whatever that is, each
 * question is answered once, nothing wrong is believed, the session ends where it must, and health says why. */
#include "support/node_rig.h"

#include "l2/record.h"

/* ======= hello and fence ======= */

#define HELLO(epoch, v, first, policy, memory)                                                      \
    SAID("*11\r\n" epoch "\r\n" v "\r\n" first "\r\n:5\r\n:0\r\n:0\r\n:0\r\n$5\r\n7.0.0\r\n" policy \
         "\r\n:0\r\n" memory "\r\n")
#define ELSE "something else"

struct row {
    unsigned ask;
    struct slice said;
    const char *words;
};

static const struct row greetings[] = {
    {SCRIPT_HELLO, SAID("+OK\r\n"), ELSE},
    {SCRIPT_HELLO, SAID("$-1\r\n"), ELSE},
    {SCRIPT_HELLO, SAID(":7\r\n"), ELSE},
    {SCRIPT_HELLO, SAID("*-1\r\n"), ELSE},
    {SCRIPT_HELLO, SAID("*0\r\n"), ELSE},
    {SCRIPT_HELLO, SAID("*10\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n"), ELSE},
    {SCRIPT_HELLO, SAID("*11\r\n*0\r\n*0\r\n*0\r\n*0\r\n*0\r\n*0\r\n*0\r\n*0\r\n*0\r\n*0\r\n*0\r\n"), ELSE},
    {SCRIPT_HELLO, HELLO("$7\r\nepoch-1", ":100", ":101", "$0\r\n", ":0"), ELSE},
    {SCRIPT_HELLO, HELLO("$9\r\nepoch-123", ":100", ":101", "$0\r\n", ":0"), ELSE},
    {SCRIPT_HELLO, HELLO("$-1", ":100", ":101", "$0\r\n", ":0"), ELSE},
    {SCRIPT_HELLO, HELLO("$8\r\n\0\0\0\0\0\0\0\0", ":100", ":101", "$0\r\n", ":0"), ELSE},
    {SCRIPT_HELLO, HELLO("$8\r\nepoch-1!", ":-1", ":0", "$0\r\n", ":0"), ELSE},
    {SCRIPT_HELLO, HELLO("$8\r\nepoch-1!", "$3\r\n100", ":101", "$0\r\n", ":0"), ELSE},
    {SCRIPT_HELLO, HELLO("$8\r\nepoch-1!", ":281474976710656", ":101", "$0\r\n", ":0"), ELSE},
    {SCRIPT_HELLO, HELLO("$8\r\nepoch-1!", ":9223372036854775807", ":0", "$0\r\n", ":0"), ELSE},
    {SCRIPT_HELLO, HELLO("$8\r\nepoch-1!", ":100", ":102", "$0\r\n", ":0"), "in a way it cannot"},
    {SCRIPT_HELLO, HELLO("$8\r\nepoch-1!", ":100", ":101", "$11\r\nallkeys-lru", ":1000"), "evict"},
    {SCRIPT_HELLO, SAID("-NOTMASTER the role\r\n"), "replica"},
    {SCRIPT_HELLO, SAID("-NOPERM no\r\n"), "does not allow our user"},
    {SCRIPT_HELLO, SAID("-LOADING wait\r\n"), "loading"},
    {SCRIPT_HELLO, SAID("-OOM command not allowed\r\n"), "no memory left"},
    {SCRIPT_HELLO, SAID("-WRONGTYPE Operation\r\n"), "foreign value"},
    {SCRIPT_HELLO, SAID("-BUSY Redis is busy\r\n"), "busy"},
    {SCRIPT_HELLO, SAID("-MASTERDOWN Link\r\n"), "lost its master"},
    {SCRIPT_HELLO, SAID("-NOAUTH Authentication required.\r\n"), "password"},
    {SCRIPT_HELLO, SAID("-\r\n"), "an error we do not know"},
    {SCRIPT_FENCE, SAID("+OK\r\n"), ELSE},
    {SCRIPT_FENCE, SAID("*1\r\n:100\r\n"), ELSE},
    {SCRIPT_FENCE, SAID("*2\r\n$3\r\n100\r\n:5\r\n"), ELSE},
    {SCRIPT_FENCE, SAID("*2\r\n:-100\r\n:5\r\n"), ELSE},
    {SCRIPT_FENCE, SAID("*2\r\n:281474976710656\r\n:5\r\n"), ELSE},
    {SCRIPT_FENCE, SAID("*2\r\n*1\r\n:100\r\n:5\r\n"), ELSE},
    {SCRIPT_FENCE, SAID("*2\r\n:99\r\n:5\r\n"), "went back"},
    {SCRIPT_FENCE, SAID("*2\r\n:100\r\n:5\r\n:1\r\n"), "what is no answer"},
    {SCRIPT_FENCE, SAID("%1\r\n+a\r\n+b\r\n"), "what is no answer"},
    {SCRIPT_FENCE, SAID("*99999999\r\n"), "more than the limit"},
    {SCRIPT_FENCE, SAID("-EPOCH other\r\n"), "begun anew"},
    {SCRIPT_FENCE, SAID("-SESSION ended\r\n"), "newer session"},
    {SCRIPT_FENCE, SAID("-NOSCRIPT No matching script.\r\n"), "forgotten our scripts"},
    {SCRIPT_FENCE, SAID("-READONLY You can't write\r\n"), "takes no changes"},
    {SCRIPT_FENCE, SAID("-NOREPLICAS Not enough\r\n"), "too few replicas"},
    {SCRIPT_FENCE, SAID("-MISCONF Redis is\r\n"), "cannot save"},
};

static void what_is_no_greeting_or_fence_ends_the_session_and_is_said(void **state)
{
    struct node_rig *rig = *state;
    for (size_t i = 0; i < COUNT_OF(greetings); i++) {
        make_fresh(rig);
        uint64_t session = rig_view(&rig->l2)->session;
        rig->puppet.instead[greetings[i].ask] = greetings[i].said;
        cut(rig);
        UNTIL(rig, rig_view(&rig->l2)->session > session);
        UNTIL(rig, rig_view(&rig->l2)->mode != SHM_DETACHED || rig_health(&rig->l2).trouble);
        UNTIL(rig,
              strstr(rig_health(&rig->l2).trouble ? rig_health(&rig->l2).trouble : "", greetings[i].words));
        assert_false(rig_fresh(&rig->l2) && greetings[i].ask == SCRIPT_HELLO);
    }
    make_fresh(rig);
}

static void a_redis_that_takes_no_scripts_is_told_them_with_each_call(void **state)
{
    static const struct slice said[] = {SAID("+OK\r\n"), SAID("-NOPERM no\r\n"), SAID("$3\r\nabc\r\n"),
                                        SAID("*0\r\n"), SAID("$-1\r\n")};
    struct node_rig *rig = *state;
    rig_start(&rig->l2);
    for (size_t i = 0; i < COUNT_OF(said); i++) {
        UNTIL(rig, rig_fresh(&rig->l2));
        rig->puppet.instead[ASK_LOAD] = said[i];
        cut(rig);
        UNTIL(rig, rig_view(&rig->l2)->mode == SHM_FRESH);
    }
}

/* ======= changes ======= */

struct change_row {
    enum fleet_verb verb;
    enum fleet_condition condition;
    struct slice said;
    enum fleet_outcome outcome;
    const char *words;
};

#define HEAD                                                              \
    "Ld\1epoch-1!\x5\0\0\0\0\0\0\1\0\0\0\0\0\xff\xff\xff\0\xff\xff\xff\0" \
    "\0\0\0\0\1\2\3\0\0\0\0\0\0\0\0\0"
#define SET(said, outcome, words)                                   \
    {                                                               \
        FLEET_SET, FLEET_ALWAYS, SAID(said), FLEET_##outcome, words \
    }
#define TOUCH(said, outcome, words)                                   \
    {                                                                 \
        FLEET_TOUCH, FLEET_ALWAYS, SAID(said), FLEET_##outcome, words \
    }
#define FILL(said, outcome, words)                                   \
    {                                                                \
        FLEET_FILL, FLEET_ALWAYS, SAID(said), FLEET_##outcome, words \
    }
#define INVALIDATE(said, outcome, words)                                   \
    {                                                                      \
        FLEET_INVALIDATE, FLEET_ALWAYS, SAID(said), FLEET_##outcome, words \
    }
#define IF(when, said, outcome, words)                                 \
    {                                                                  \
        FLEET_SET, FLEET_IF_##when, SAID(said), FLEET_##outcome, words \
    }

static const struct change_row changes[] = {
    SET("+OK\r\n", UNKNOWN, ELSE),
    SET("$-1\r\n", UNKNOWN, ELSE),
    SET(":101\r\n", UNKNOWN, ELSE),
    SET("*0\r\n", UNKNOWN, ELSE),
    SET("*1\r\n$2\r\nOK\r\n", UNKNOWN, ELSE),
    SET("*3\r\n+OK\r\n:101\r\n:5\r\n", UNKNOWN, ELSE),
    SET("*3\r\n$2\r\nNO\r\n:101\r\n:5\r\n", UNKNOWN, ELSE),
    SET("*3\r\n$2\r\nOK\r\n$3\r\n101\r\n:5\r\n", UNKNOWN, ELSE),
    SET("*3\r\n$2\r\nOK\r\n$-1\r\n:5\r\n", UNKNOWN, ELSE),
    SET("*3\r\n$2\r\nOK\r\n:-1\r\n:5\r\n", UNKNOWN, ELSE),
    SET("*3\r\n$2\r\nOK\r\n:0\r\n:5\r\n", UNKNOWN, ELSE),
    SET("*3\r\n$2\r\nOK\r\n:100\r\n:5\r\n", UNKNOWN, ELSE), /* somebody else's position */
    SET("*3\r\n$2\r\nOK\r\n:281474976710656\r\n:5\r\n", UNKNOWN, ELSE),
    SET("*3\r\n$2\r\nOK\r\n:9223372036854775807\r\n:5\r\n", UNKNOWN, ELSE),
    SET("*3\r\n*3\r\n$2\r\nOK\r\n:101\r\n:5\r\n:101\r\n:5\r\n", UNKNOWN, ELSE),
    SET("*3\r\n$6\r\nEXISTS\r\n:100\r\n$0\r\n\r\n", UNKNOWN, ELSE),
    SET("*2\r\n$9\r\nNOT_FOUND\r\n:100\r\n", UNKNOWN, ELSE),
    SET("*3\r\n$7\r\nREFUSED\r\n:100\r\n$3\r\nkey\r\n", UNKNOWN, ELSE),
    SET("*1\r\n-ERR inside\r\n", UNKNOWN, ELSE),
    SET("-EPOCH other\r\n", AWAY, "begun anew"),
    SET("-SESSION ended\r\n", AWAY, "newer session"),
    SET("-NOSCRIPT none\r\n", AWAY, "forgotten our scripts"),
    SET("-NOTMASTER role\r\n", AWAY, "replica"),
    SET("-READONLY no\r\n", AWAY, "takes no changes"),
    SET("-MASTERDOWN no\r\n", AWAY, "lost its master"),
    SET("-UNBLOCKED no\r\n", AWAY, "become a replica"),
    SET("-LOADING no\r\n", AWAY, "loading"),
    SET("-NOAUTH no\r\n", AWAY, "wants a password"),
    SET("-WRONGPASS no\r\n", AWAY, "does not take our password"),
    SET("-NOPERM no\r\n", FAILED, "does not allow our user"),
    SET("-WRONGTYPE no\r\n", FAILED, "foreign value"),
    SET("-ERR The ID specified in XADD is equal or smaller than the target stream top item script: 1, on "
        "2.\r\n",
        AWAY, "ahead of its counter"),
    SET("-OOM no\r\n", FAILED, ""),
    SET("-MISCONF no\r\n", FAILED, ""),
    SET("-NOREPLICAS no\r\n", FAILED, ""),
    SET("-BUSY no\r\n", FAILED, ""),
    SET("-ERR whatever\r\n", UNKNOWN, "an error we do not know"),
    SET("-EPOCHAL\r\n", UNKNOWN, "an error we do not know"),
    IF(ABSENT, "*3\r\n$6\r\nEXISTS\r\n:100\r\n$0\r\n\r\n", EXISTS, ""),
    IF(ABSENT, "*2\r\n$9\r\nNOT_FOUND\r\n:100\r\n", UNKNOWN, ELSE),
    IF(ABSENT, "*3\r\n$6\r\nEXISTS\r\n:99\r\n$0\r\n\r\n", UNKNOWN, ELSE), /* Redis showed more before */
    IF(PRESENT, "*2\r\n$9\r\nNOT_FOUND\r\n:100\r\n", NOT_FOUND, ""),
    IF(PRESENT, "*3\r\n$8\r\nCONFLICT\r\n:100\r\n$0\r\n\r\n", UNKNOWN, ELSE),
    IF(VERSION, "*3\r\n$8\r\nCONFLICT\r\n:100\r\n$0\r\n\r\n", CONFLICT, ""),
    IF(VERSION, "*2\r\n$9\r\nNOT_FOUND\r\n:100\r\n", NOT_FOUND, ""),
    IF(VERSION, "*3\r\n$6\r\nEXISTS\r\n:100\r\n$0\r\n\r\n", UNKNOWN, ELSE),
    FILL("*4\r\n$2\r\nOK\r\n:100\r\n:5\r\n:0\r\n", COMMITTED, ""),
    FILL("*3\r\n$7\r\nREFUSED\r\n:100\r\n$3\r\nkey\r\n", REFUSED, ""),
    FILL("*4\r\n$2\r\nOK\r\n:99\r\n:5\r\n:0\r\n", UNKNOWN, ELSE),
    FILL("*2\r\n$9\r\nNOT_FOUND\r\n:100\r\n", UNKNOWN, ELSE),
    TOUCH("*4\r\n$2\r\nOK\r\n:100\r\n:9\r\n$48\r\n" HEAD "\r\n", COMMITTED, ""),
    TOUCH("*2\r\n$9\r\nNOT_FOUND\r\n:100\r\n", NOT_FOUND, ""),
    TOUCH("*2\r\n$2\r\nOK\r\n:100\r\n", UNKNOWN, ELSE),
    TOUCH("*4\r\n$2\r\nOK\r\n:100\r\n:9\r\n$-1\r\n", UNKNOWN, ELSE),
    TOUCH("*4\r\n$2\r\nOK\r\n:100\r\n:9\r\n$3\r\nLd\1\r\n", UNKNOWN, ELSE),
    TOUCH("*4\r\n$2\r\nOK\r\n:100\r\n:-9\r\n$48\r\n" HEAD "\r\n", UNKNOWN, ELSE),
    TOUCH("*4\r\n$2\r\nOK\r\n:100\r\n:99999999999\r\n$48\r\n" HEAD "\r\n", UNKNOWN, ELSE), /* dead by then */
    TOUCH("*4\r\n$2\r\nOK\r\n:4\r\n:9\r\n$48\r\n" HEAD "\r\n", UNKNOWN, ELSE),
    TOUCH("*3\r\n$7\r\nREFUSED\r\n:100\r\n$3\r\nkey\r\n", UNKNOWN, ELSE),
    INVALIDATE("*0\r\n", UNKNOWN, ELSE),
    INVALIDATE("$3\r\n101\r\n", UNKNOWN, ELSE),
    INVALIDATE("*2\r\n$2\r\nOK\r\n:101\r\n", UNKNOWN, ELSE),
    INVALIDATE("*2\r\n:100\r\n:0\r\n", UNKNOWN, ELSE),
    INVALIDATE("*2\r\n:281474976710656\r\n:0\r\n", UNKNOWN, ELSE),
    INVALIDATE("-OOM no\r\n", FAILED, ""),
};

static void what_is_no_answer_to_a_change_leaves_it_unknown_and_ends_the_session(void **state)
{
    struct node_rig *rig = *state;
    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        const struct change_row *row = &changes[i];
        rig->puppet.v = 100;
        make_fresh(rig);
        uint64_t session = rig_view(&rig->l2)->session;
        struct rig_change c = {.change = {.verb = row->verb, .condition = row->condition},
                               .entry = rig_entry(&rig->l2, "k", slice_text("v"))};
        c.names[0] = slice_text("k");
        c.change.keys = c.names;
        c.change.keys_count = row->verb == FLEET_INVALIDATE;
        rig->puppet.instead[row->verb == FLEET_SET     ? SCRIPT_SET
                            : row->verb == FLEET_FILL  ? SCRIPT_FILL
                            : row->verb == FLEET_TOUCH ? SCRIPT_TOUCH
                                                       : SCRIPT_INVALIDATE] = row->said;
        enum fleet_outcome outcome = rig_change(&rig->l2, &c);
        if (outcome != row->outcome)
            fail_msg("%.*s: outcome %d", (int)row->said.size, (const char *)row->said.data, outcome);
        expect(rig, session, row->words, row->said.data);
    }
}

/* Nobody reads here, so no fence says that all is well again. */
static void a_change_that_is_taken_ends_the_trouble_of_one_that_was_refused(void **state)
{
    struct node_rig *rig = *state;
    struct rig_change c = {.change = {.verb = FLEET_SET}};
    rig_start(&rig->l2);
    UNTIL(rig, rig_fresh(&rig->l2));
    rig->puppet.instead[SCRIPT_SET] = (struct slice)SAID("-OOM no\r\n");
    c.entry = rig_entry(&rig->l2, "k", slice_text("v"));
    assert_int_equal(rig_change(&rig->l2, &c), FLEET_FAILED);
    assert_non_null(rig_health(&rig->l2).trouble);
    rig->puppet.instead[SCRIPT_SET] = slice_of(NULL, 0);
    assert_int_equal(rig_change(&rig->l2, &c), FLEET_COMMITTED);
    assert_null(rig_health(&rig->l2).trouble);
}

/* ======= reads ======= */

enum how { PLAINLY, EXACTLY, SAMELY };

struct read_row {
    enum how how;
    unsigned ask;
    struct slice said;
    int outcome;
    const char *words;
};

#define PLAIN(ask, said, words)                            \
    {                                                      \
        PLAINLY, ASK_##ask, SAID(said), TIER_MISSED, words \
    }
#define EXACT(said, words)                                   \
    {                                                        \
        EXACTLY, SCRIPT_GETL, SAID(said), TIER_MISSED, words \
    }
#define SAME(said, outcome, words)                             \
    {                                                          \
        SAMELY, SCRIPT_SAME, SAID(said), TIER_##outcome, words \
    }

static const struct read_row reads[] = {
    PLAIN(TIME, "+OK\r\n", ELSE),
    PLAIN(TIME, "*0\r\n", ELSE),
    PLAIN(TIME, "*1\r\n$4\r\n1000\r\n", ELSE),
    PLAIN(TIME, "*2\r\n:1000\r\n:0\r\n", ELSE),
    PLAIN(TIME, "*2\r\n$0\r\n\r\n$1\r\n0\r\n", ELSE),
    PLAIN(TIME, "*2\r\n$2\r\n-1\r\n$1\r\n0\r\n", ELSE),
    PLAIN(TIME, "*2\r\n$20\r\n18446744073709551615\r\n$1\r\n0\r\n", ELSE),
    PLAIN(TIME, "*2\r\n$21\r\n184467440737095516160\r\n$1\r\n0\r\n", ELSE),
    PLAIN(TIME, "*2\r\n$4\r\n1000\r\n$20\r\n18446744073709551615\r\n", ELSE),
    PLAIN(TIME, "-NOPERM no\r\n", "does not allow our user"),
    PLAIN(COUNTER, "$-1\r\n", "lost the counter"),
    PLAIN(COUNTER, "+100\r\n", ELSE),
    PLAIN(COUNTER, ":100\r\n", ELSE),
    PLAIN(COUNTER, "$0\r\n\r\n", ELSE),
    PLAIN(COUNTER, "$5\r\nhello\r\n", ELSE),
    PLAIN(COUNTER, "$4\r\n-100\r\n", ELSE),
    PLAIN(COUNTER, "$4\r\n100 \r\n", ELSE),
    PLAIN(COUNTER, "$15\r\n281474976710656\r\n", ELSE),
    PLAIN(COUNTER, "$30\r\n999999999999999999999999999999\r\n", ELSE),
    PLAIN(COUNTER, "$2\r\n99\r\n", "went back"),
    PLAIN(COUNTER, "*1\r\n$3\r\n100\r\n", ELSE),
    PLAIN(COUNTER, "-WRONGTYPE no\r\n", "foreign value"),
    PLAIN(COUNTER, "-LOADING no\r\n", "loading"),
    PLAIN(ENTRY, "+OK\r\n", ELSE),
    PLAIN(ENTRY, ":100\r\n", ELSE),
    PLAIN(ENTRY, "*0\r\n", ELSE),
    PLAIN(ENTRY, "*1\r\n$5\r\nhello\r\n", ELSE),
    PLAIN(ENTRY, "-NOPERM no\r\n", "does not allow our user"),
    PLAIN(ENTRY, "-EPOCH no\r\n", "begun anew"),
    PLAIN(ENTRY, "-WRONGTYPE no\r\n", ""), /* somebody's list at an entry's key */
    PLAIN(ENTRY, "-OOM no\r\n", ""),
    PLAIN(ENTRY, "$0\r\n\r\n", ""),
    PLAIN(ENTRY, "$5\r\nhello\r\n", ""),
    PLAIN(ENTRY, "$48\r\n" HEAD "\r\n", ""), /* not of this key */
    EXACT("+OK\r\n", ELSE),
    EXACT("$-1\r\n", ELSE),
    EXACT("*0\r\n", ELSE),
    EXACT("*3\r\n+MISS\r\n:100\r\n:5\r\n", ELSE),
    EXACT("*3\r\n$4\r\nMISS\r\n:-1\r\n:5\r\n", ELSE),
    EXACT("*3\r\n$4\r\nMISS\r\n:99\r\n:5\r\n", ELSE),
    EXACT("*3\r\n$4\r\nMISS\r\n:281474976710656\r\n:5\r\n", ELSE),
    EXACT("*3\r\n$4\r\nMISS\r\n:100\r\n:-5\r\n", ELSE),
    EXACT("*4\r\n$5\r\nLEASE\r\n:100\r\n:5\r\n$0\r\n\r\n", ELSE),
    EXACT("*3\r\n$3\r\nHIT\r\n:100\r\n:5\r\n", ELSE),
    EXACT("*6\r\n$3\r\nHIT\r\n:100\r\n:5\r\n$1\r\n0\r\n$1\r\nx\r\n$0\r\n\r\n", ELSE),
    EXACT("*6\r\n$3\r\nHIT\r\n:100\r\n:5\r\n:0\r\n$-1\r\n$0\r\n\r\n", ELSE),
    EXACT("*6\r\n$3\r\nHIT\r\n:100\r\n:5\r\n:0\r\n$5\r\nhello\r\n$0\r\n\r\n", ""),
    EXACT("*3\r\n$4\r\nMISS\r\n:100\r\n:5\r\n", ""),
    EXACT("-SESSION ended\r\n", "newer session"),
    EXACT("-ERR whatever\r\n", "an error we do not know"),
    SAME("+OK\r\n", MISSED, ELSE),
    SAME("*0\r\n", MISSED, ELSE),
    SAME("*3\r\n:100\r\n:5\r\n:1\r\n", MISSED, ELSE),
    SAME("*3\r\n:100\r\n:5\r\n$0\r\n\r\n", MISSED, ELSE),
    SAME("*3\r\n:100\r\n:5\r\n$2\r\n11\r\n", MISSED, ELSE),
    SAME("*3\r\n:100\r\n:5\r\n$1\r\n3\r\n", MISSED, ELSE),
    SAME("*3\r\n:100\r\n:5\r\n$1\r\n\0\r\n", MISSED, ELSE),
    SAME("*3\r\n:99\r\n:5\r\n$1\r\n1\r\n", MISSED, ELSE),
    SAME("*3\r\n:-1\r\n:5\r\n$1\r\n1\r\n", MISSED, ELSE),
    SAME("*3\r\n:100\r\n:5\r\n$1\r\n0\r\n", MISSED, ""), /* then exactly: nothing there */
    SAME("*3\r\n:100\r\n:5\r\n$1\r\n1\r\n", SAME, ""),
    SAME("*3\r\n:100\r\n:5\r\n$1\r\n2\r\n", SAME, ""),
    SAME("-EPOCH other\r\n", MISSED, "begun anew"),
};

static struct rig_read read_as(enum how how)
{
    struct rig_read r = {.read.exact = how == EXACTLY};
    r.read.known.given = how == SAMELY;
    return r;
}

static void what_is_no_answer_to_a_read_is_a_miss_and_ends_the_session(void **state)
{
    struct node_rig *rig = *state;
    for (size_t i = 0; i < COUNT_OF(reads); i++) {
        const struct read_row *row = &reads[i];
        struct rig_read r = read_as(row->how);
        make_fresh(rig);
        uint64_t session = rig_view(&rig->l2)->session;
        rig->puppet.instead[row->ask] = row->said;
        if (rig_get(&rig->l2, &r, "k") != row->outcome)
            fail_msg("%s: outcome %d", (const char *)row->said.data, r.outcome);
        expect(rig, session, row->words, row->said.data);
    }
}

/* ======= entries ======= */

/* An entry as the scripts write it, for `key`; bytes that live until the next. */
static struct slice entry_bytes(struct l2_entry e, const char *epoch, uint64_t v, uint64_t born_ms,
                                uint32_t hard_ms)
{
    static uint8_t room[70000];
    CHECK(L2_RECORD_TAIL + l2_tail_bytes_max(&e) <= sizeof(room));
    memcpy(room, L2_RECORD_MAGIC, L2_RECORD_AT_EPOCH);
    memcpy(room + L2_RECORD_AT_EPOCH, epoch, 8);
    memcpy(room + L2_RECORD_AT_V, &v, 7);
    memcpy(room + L2_RECORD_AT_BORN, &born_ms, 6);
    memcpy(room + L2_RECORD_AT_SOFT, &hard_ms, 4);
    memcpy(room + L2_RECORD_AT_HARD, &hard_ms, 4);
    return slice_of(room, L2_RECORD_TAIL + l2_tail_encode(room + L2_RECORD_TAIL, &e, 1024));
}

static int get_entry(struct node_rig *rig, struct rig_read *r, struct slice bytes)
{
    make_fresh(rig);
    *r = (struct rig_read){0};
    rig->puppet.entry = bytes;
    int outcome = rig_get(&rig->l2, r, "k");
    rig->puppet.entry = slice_of(NULL, 0);
    return outcome;
}

static struct l2_entry plain_entry(const char *key)
{
    return (struct l2_entry){.key = slice_text(key), .value = slice_text("value"), .id = 3};
}

static void an_entry_is_served_only_if_it_is_one_of_this_key_and_epoch_and_alive(void **state)
{
    struct node_rig *rig = *state;
    struct rig_read r;
    struct l2_entry e = plain_entry("k");
    const uint64_t born = PUPPET_MS - 1000; /* the puppet's clock stands */
    assert_int_equal(get_entry(rig, &r, entry_bytes(e, PUPPET_EPOCH, 100, born, 60000)), TIER_FOUND);
    assert_string_equal(r.value, "value");
    assert_int_equal(get_entry(rig, &r, entry_bytes(plain_entry("j"), PUPPET_EPOCH, 100, born, 60000)),
                     TIER_MISSED);
    assert_int_equal(get_entry(rig, &r, entry_bytes(e, "epoch-2!", 100, born, 60000)), TIER_MISSED);
    assert_int_equal(get_entry(rig, &r, entry_bytes(e, PUPPET_EPOCH, 100, born, 900)), TIER_MISSED);
    assert_int_equal(get_entry(rig, &r, entry_bytes(e, PUPPET_EPOCH, 100, born + 3600000, 60000)),
                     TIER_MISSED);
    assert_int_equal(get_entry(rig, &r, entry_bytes(e, PUPPET_EPOCH, 101, born, 60000)), TIER_MISSED);
    assert_int_equal(rig_view(&rig->l2)->of[0].seen, 100);
}

/* No later invalidation would reach it. */
static void an_entry_ahead_of_the_counter_is_not_served_exactly_either(void **state)
{
    struct node_rig *rig = *state;
    struct rig_read r = {.read.exact = true};
    struct buffer reply;
    make_fresh(rig);
    struct slice bytes = entry_bytes(plain_entry("k"), PUPPET_EPOCH, 1ull << 40, PUPPET_MS - 1000, 60000);
    buffer_init(&reply, 1 << 20);
    static const char head[] = "*6\r\n$3\r\nHIT\r\n:100\r\n:1000000\r\n:0\r\n";
    char size[32];
    snprintf(size, sizeof(size), "$%zu\r\n", bytes.size);
    buffer_append(&reply, head, sizeof(head) - 1);
    buffer_append(&reply, size, strlen(size));
    buffer_append(&reply, bytes.data, bytes.size);
    buffer_append(&reply, "\r\n$0\r\n\r\n", 8);
    rig->puppet.instead[SCRIPT_GETL] = slice_of(reply.data, reply.size);
    assert_int_equal(rig_get(&rig->l2, &r, "k"), TIER_MISSED);
    assert_int_equal(rig_view(&rig->l2)->of[0].seen, 100);
    buffer_finish(&reply);
}

/* A token given at a position that the host does not know of yet would be refused, and its lease taken for overtaken. */
static void whatever_a_read_answers_its_position_was_seen(void **state)
{
    struct node_rig *rig = *state;
    const enum how hows[] = {PLAINLY, EXACTLY, SAMELY};
    for (unsigned i = 0; i < COUNT_OF(hows); i++) {
        struct rig_read r = read_as(hows[i]);
        make_fresh(rig);
        rig->puppet.v += 7;
        assert_int_not_equal(rig_get(&rig->l2, &r, "k"), TIER_FOUND);
        assert_int_equal(rig_view(&rig->l2)->of[0].seen, rig->puppet.v);
    }
}

static void a_packed_value_that_lies_about_its_size_is_not_served(void **state)
{
    static char value[4096];
    struct node_rig *rig = *state;
    struct l2_entry e = {.key = slice_text("k"), .value = slice_of(value, sizeof(value))};
    struct rig_read r;
    struct slice bytes = entry_bytes(e, PUPPET_EPOCH, 100, PUPPET_MS - 1000, 60000);
    uint8_t *at = (uint8_t *)(uintptr_t)bytes.data + L2_RECORD_HEAD_BYTES;
    assert_true(bytes.size < 200 &&
                (at[4] & 0xe0) == 0x60); /* one segment, its size in two bytes, less 256 */
    assert_int_equal(get_entry(rig, &r, bytes), TIER_FOUND);
    assert_int_equal(r.value_bytes, sizeof(value));
    at[5] ^= 1;
    l2_record_seal((void *)(uintptr_t)bytes.data, bytes.size, e.key);
    assert_int_equal(get_entry(rig, &r, bytes), TIER_MISSED);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_no_greeting_or_fence_ends_the_session_and_is_said),
        CASE(a_redis_that_takes_no_scripts_is_told_them_with_each_call),
        CASE(what_is_no_answer_to_a_change_leaves_it_unknown_and_ends_the_session),
        CASE(a_change_that_is_taken_ends_the_trouble_of_one_that_was_refused),
        CASE(what_is_no_answer_to_a_read_is_a_miss_and_ends_the_session),
        CASE(an_entry_is_served_only_if_it_is_one_of_this_key_and_epoch_and_alive),
        CASE(an_entry_ahead_of_the_counter_is_not_served_exactly_either),
        CASE(whatever_a_read_answers_its_position_was_seen),
        CASE(a_packed_value_that_lies_about_its_size_is_not_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
