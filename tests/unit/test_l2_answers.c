/* The Redis tier against a Redis that greets well and then answers what no real one would: whatever that is, each
 * question is answered once, nothing wrong is believed, the session ends where it must, and health says why. */
#include "support/l2_rig.h"
#include "support/puppet_redis.h"

#include "l2/record.h"

struct node_rig {
    struct l2_rig l2;
    struct puppet puppet;
};

static int begin(void **state)
{
    struct node_rig *rig = calloc(1, sizeof(*rig));
    rig_prepare(&rig->l2, NULL, "unix:/nowhere", 0x1234);
    puppet_begin(&rig->puppet, rig->l2.loop);
    rig->puppet.v = 100;
    *state = rig;
    return 0;
}

static int finish(void **state)
{
    struct node_rig *rig = *state;
    rig_finish(&rig->l2);
    puppet_end(&rig->puppet);
    free(rig);
    return 0;
}

#define UNTIL(rig, condition) L2_RIG_UNTIL(&(rig)->l2, condition)
#define SAID(text)               \
    {                            \
        (text), sizeof(text) - 1 \
    }

/* Fresh in a session that nothing is wrong with. */
static void make_fresh(struct node_rig *rig)
{
    memset(rig->puppet.instead, 0, sizeof(rig->puppet.instead));
    if (!rig->l2.l2)
        rig_start(&rig->l2);
    UNTIL(rig, rig_fresh(&rig->l2) && !rig_health(&rig->l2).trouble);
}

/* Ends the session, so that it begins anew. */
static void cut(struct node_rig *rig)
{
    puppet_hang_up(&rig->puppet, 0);
    UNTIL(rig, rig_view(&rig->l2)->mode == SHM_DETACHED);
}

/* "" means that the session goes on. */
static void expect(struct node_rig *rig, uint64_t session, const char *words, const char *said)
{
    const char *trouble;
    if (!*words) {
        if (rig_view(&rig->l2)->session != session || rig_view(&rig->l2)->mode == SHM_DETACHED)
            fail_msg("%s: the session ended: %s", said, rig_health(&rig->l2).trouble);
        return;
    }
    UNTIL(rig, rig_view(&rig->l2)->mode == SHM_DETACHED && (trouble = rig_health(&rig->l2).trouble));
    if (!strstr(trouble, words))
        fail_msg("%s: \"%s\" does not say \"%s\"", said, trouble, words);
}

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

enum { UNCONDITIONAL = FLEET_ALWAYS };

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

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_no_greeting_or_fence_ends_the_session_and_is_said),
        CASE(a_redis_that_takes_no_scripts_is_told_them_with_each_call),
        CASE(what_is_no_answer_to_a_change_leaves_it_unknown_and_ends_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
