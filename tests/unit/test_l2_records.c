/* The Redis tier and a journal with something in it that is no record: nothing of it is applied, the session ends. */
#include "support/node_rig.h"

struct tail_row {
    const char *said;
    unsigned records; /* heard */
    const char *words;
};

#define NO_RECORD       "no record"
#define STREAM(entries) "*1\r\n*2\r\n$6\r\n{ns}:j\r\n" entries
#define ONE(id, fields) STREAM("*1\r\n*2\r\n" id fields)
#define NEXT            "$5\r\n101-0\r\n"
#define KEY             "*2\r\n$1\r\nk\r\n$1\r\na\r\n"

static const struct tail_row tails[] = {
    {ONE(NEXT, KEY), 1, ""},
    {"*-1\r\n", 0, ""},
    {"$-1\r\n", 0, ""},
    {"*0\r\n", 0, ""},
    {STREAM("*0\r\n"), 0, ""},
    {"+OK\r\n", 0, NO_RECORD},
    {":1\r\n", 0, NO_RECORD},
    {"*1\r\n+OK\r\n", 0, NO_RECORD},
    {"*1\r\n*1\r\n$6\r\n{ns}:j\r\n", 0, NO_RECORD},
    {"*1\r\n*2\r\n$6\r\n{ns}:x\r\n*0\r\n", 0, NO_RECORD},
    {"*1\r\n*2\r\n$8\r\n{ns/1}:j\r\n*0\r\n", 0, NO_RECORD}, /* another partition's */
    {"*1\r\n*2\r\n$-1\r\n*0\r\n", 0, NO_RECORD},
    {STREAM("$3\r\nabc\r\n"), 0, NO_RECORD},
    {STREAM("*1\r\n*-1\r\n"), 0, NO_RECORD},
    {STREAM("*1\r\n*1\r\n" NEXT), 0, NO_RECORD},
    {ONE(NEXT, "*0\r\n"), 0, NO_RECORD},
    {ONE(NEXT, "*-1\r\n"), 0, NO_RECORD},
    {ONE(NEXT, "*1\r\n$1\r\nk\r\n"), 0, NO_RECORD},
    {ONE(NEXT, "*3\r\n$1\r\nk\r\n$1\r\na\r\n$1\r\nk\r\n"), 0, NO_RECORD},
    {ONE(NEXT, "*2\r\n$1\r\nk\r\n:1\r\n"), 0, NO_RECORD},
    {ONE(NEXT, "*2\r\n*0\r\n$1\r\na\r\n"), 0, NO_RECORD},
    {ONE(NEXT, "*2\r\n$2\r\nkk\r\n$1\r\na\r\n"), 0, NO_RECORD},
    {ONE(NEXT, "*2\r\n$1\r\nx\r\n$1\r\na\r\n"), 0, NO_RECORD},
    {ONE(NEXT, "*2\r\n$1\r\nS\r\n$1\r\na\r\n"), 0, NO_RECORD}, /* nothing is stored softly */
    {ONE(NEXT, "*2\r\n$1\r\nw\r\n$1\r\na\r\n"), 0, NO_RECORD}, /* a note that calls itself a change */
    {ONE(NEXT, "*2\r\n$1\r\nk\r\n$0\r\n\r\n"), 0, NO_RECORD},
    {ONE(NEXT, "*2\r\n$1\r\nt\r\n$0\r\n\r\n"), 0, NO_RECORD},
    {ONE(NEXT, "*2\r\n$1\r\np\r\n$0\r\n\r\n"), 0, NO_RECORD},
    {ONE(NEXT, "*2\r\n$1\r\ng\r\n$0\r\n\r\n"), 0, NO_RECORD},
    {ONE(NEXT, "*2\r\n$1\r\ng\r\n$4\r\na*b*\r\n"), 0, NO_RECORD}, /* no glob */
    {ONE(NEXT, "*4\r\n$1\r\ng\r\n$3\r\na:*\r\n$1\r\nt\r\n$1\r\nb\r\n"), 1, ""},
    {ONE(NEXT, "*4\r\n$1\r\nk\r\n$1\r\na\r\n$1\r\nT\r\n$1\r\nb\r\n"), 0, NO_RECORD}, /* half soft */
    {ONE("$5\r\n101-1\r\n", KEY), 0, NO_RECORD}, /* a change that calls itself a note */
    {ONE("$5\r\n101-1\r\n", "*2\r\n$1\r\nw\r\n$1\r\na\r\n"), 0, ""},
    {ONE(NEXT, "*2\r\n$1\r\na\r\n$0\r\n\r\n"), 1, ""},
    {ONE("$3\r\n101\r\n", KEY), 0, NO_RECORD},
    {ONE("$4\r\n101-\r\n", KEY), 0, NO_RECORD},
    {ONE("$2\r\n-0\r\n", KEY), 0, NO_RECORD},
    {ONE("$0\r\n\r\n", KEY), 0, NO_RECORD},
    {ONE("$-1\r\n", KEY), 0, NO_RECORD},
    {ONE(":101\r\n", KEY), 0, NO_RECORD},
    {ONE("$6\r\n101-0x\r\n", KEY), 0, NO_RECORD},
    {ONE("$7\r\n101-0-0\r\n", KEY), 0, NO_RECORD},
    {ONE("$6\r\n+101-0\r\n", KEY), 0, NO_RECORD},
    {ONE("$17\r\n281474976710656-0\r\n", KEY), 0, NO_RECORD},
    {ONE("$22\r\n18446744073709551615-0\r\n", KEY), 0, NO_RECORD},
    {ONE("$23\r\n184467440737095516150-0\r\n", KEY), 0, NO_RECORD},
    {ONE("$4\r\n99-0\r\n", KEY), 0, ""}, /* heard before */
    {"-NOPERM no\r\n", 0, "does not allow our user"},
    {"-UNBLOCKED no\r\n", 0, "become a replica"},
    {"-WRONGTYPE no\r\n", 0, "foreign value"},
};

/* A row before may have moved the host past the puppet, which cannot begin another epoch as Redis would: then another
 * host meets it. */
static void begin_anew_if_applied(void **state)
{
    struct node_rig *rig = *state;
    if (!rig->l2.l2 || rig_view(&rig->l2)->of[0].applied == rig->puppet.v)
        return;
    finish(state);
    begin(state);
}

static void what_is_no_record_ends_the_session_and_is_applied_not_even_in_part(void **state)
{
    for (size_t i = 0; i < COUNT_OF(tails); i++) {
        const struct tail_row *row = &tails[i];
        begin_anew_if_applied(state);
        struct node_rig *rig = *state;
        make_fresh(rig);
        UNTIL(rig, rig->puppet.tail);
        rig->l2.heard = (struct heard){0};
        uint64_t session = rig_view(&rig->l2)->session;
        puppet_tell(&rig->puppet, row->said);
        UNTIL(rig, rig->puppet.tail || rig_view(&rig->l2)->mode == SHM_DETACHED);
        expect(rig, session, row->words, row->said);
        if (rig->l2.heard.records != row->records)
            fail_msg("%s: %u records", row->said, rig->l2.heard.records);
    }
}

static void a_record_of_ten_thousand_names_is_none_of_ours(void **state)
{
    struct node_rig *rig = *state;
    enum { NAMES = 10000 };
    char *reply = calloc(1, 128 + NAMES * 16), *at = reply;
    make_fresh(rig);
    at += sprintf(at, STREAM("*1\r\n*2\r\n" NEXT) "*%d\r\n", 2 * NAMES);
    for (unsigned i = 0; i < NAMES; i++)
        at += sprintf(at, "$1\r\nk\r\n$1\r\na\r\n");
    UNTIL(rig, rig->puppet.tail);
    puppet_tell(&rig->puppet, reply);
    expect(rig, 0, NO_RECORD, "10,000 names");
    assert_int_equal(rig->l2.heard.records, 0);
    free(reply);
}

static void a_name_longer_than_any_key_is_no_record(void **state)
{
    struct node_rig *rig = *state;
    char reply[2048], name[1026] = {0};
    make_fresh(rig);
    memset(name, 'a', sizeof(name) - 1);
    snprintf(reply, sizeof(reply), "%s$1025\r\n%s\r\n", ONE(NEXT, "*2\r\n$1\r\nk\r\n"), name);
    UNTIL(rig, rig->puppet.tail);
    puppet_tell(&rig->puppet, reply);
    expect(rig, 0, NO_RECORD, "a long name");
}

static void a_jump_in_the_journal_is_a_gap(void **state)
{
    struct node_rig *rig = *state;
    make_fresh(rig);
    UNTIL(rig, rig->puppet.tail);
    puppet_tell(&rig->puppet, ONE("$5\r\n150-0\r\n", KEY));
    UNTIL(rig, rig->l2.heard.records);
    assert_int_equal(rig->l2.heard.gaps, 1);
    assert_int_equal(rig_view(&rig->l2)->of[0].floor, 149);
    assert_int_equal(rig_view(&rig->l2)->of[0].applied, 150);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_no_record_ends_the_session_and_is_applied_not_even_in_part),
        CASE(a_record_of_ten_thousand_names_is_none_of_ours),
        CASE(a_name_longer_than_any_key_is_no_record),
        CASE(a_jump_in_the_journal_is_a_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
