/* Leases asked of a Redis that answers what it must, and what no real one would. */
#include "support/node_rig.h"

#define TOKEN "nonce---epoch-1!\x64\0\0\0\0\0\0\0"
#define ELSE  "something else"

struct row {
    struct slice said;
    enum fleet_lease_outcome outcome;
    const char *words; /* of the session's end; "": it goes on */
};

#define ROW(said, outcome, words)                \
    {                                            \
        SAID(said), FLEET_LEASE_##outcome, words \
    }

static const struct row answers[] = {
    ROW("*4\r\n$5\r\nLEASE\r\n:100\r\n:5\r\n$24\r\n" TOKEN "\r\n", GIVEN, ""),
    ROW("*6\r\n$3\r\nHIT\r\n:100\r\n:5\r\n:0\r\n$1\r\nx\r\n$0\r\n\r\n", THERE, ""),
    ROW("*6\r\n$3\r\nHIT\r\n:100\r\n:5\r\n:1\r\n$1\r\nx\r\n$0\r\n\r\n", BUSY, ""),
    ROW("*6\r\n$3\r\nHIT\r\n:100\r\n:5\r\n:1\r\n$1\r\nx\r\n$24\r\n" TOKEN "\r\n", GIVEN, ""),
    ROW("*6\r\n$3\r\nHIT\r\n:100\r\n:5\r\n:2\r\n$1\r\nx\r\n$24\r\n" TOKEN "\r\n", GIVEN, ""),
    ROW("*4\r\n$4\r\nBUSY\r\n:100\r\n:5\r\n:1500\r\n", BUSY, ""),
    ROW("*4\r\n$4\r\nBUSY\r\n:100\r\n:5\r\n:-2\r\n", BUSY, ""),
    ROW("*4\r\n$5\r\nRESTS\r\n:100\r\n:5\r\n:1500\r\n", RESTS, ""),
    ROW("+OK\r\n", AWAY, ELSE),
    ROW("$-1\r\n", AWAY, ELSE),
    ROW(":7\r\n", AWAY, ELSE),
    ROW("*0\r\n", AWAY, ELSE),
    ROW("*1\r\n$5\r\nLEASE\r\n", AWAY, ELSE),
    ROW("*3\r\n$4\r\nMISS\r\n:100\r\n:5\r\n", AWAY, ELSE), /* a lease was asked for */
    ROW("*4\r\n$5\r\nLEASE\r\n:100\r\n:5\r\n$23\r\nnonce---epoch-1!\x64\0\0\0\0\0\0\r\n", AWAY, ELSE),
    ROW("*4\r\n$5\r\nLEASE\r\n:100\r\n:5\r\n:24\r\n", AWAY, ELSE),
    ROW("*4\r\n$5\r\nLEASE\r\n:99\r\n:5\r\n$24\r\n" TOKEN "\r\n", AWAY, ELSE), /* Redis showed more before */
    ROW("*4\r\n$5\r\nLEASE\r\n:-1\r\n:5\r\n$24\r\n" TOKEN "\r\n", AWAY, ELSE),
    ROW("*4\r\n$5\r\nLEASE\r\n:281474976710656\r\n:5\r\n$24\r\n" TOKEN "\r\n", AWAY, ELSE),
    ROW("*4\r\n$4\r\nBUSY\r\n:100\r\n:5\r\n$4\r\n1500\r\n", AWAY, ELSE),
    ROW("*3\r\n$5\r\nRESTS\r\n:100\r\n:5\r\n", AWAY, ELSE),
    ROW("*5\r\n$3\r\nHIT\r\n:100\r\n:5\r\n:1\r\n$1\r\nx\r\n", AWAY, ELSE),
    ROW("*6\r\n$3\r\nHIT\r\n:100\r\n:5\r\n$1\r\n1\r\n$1\r\nx\r\n$0\r\n\r\n", AWAY, ELSE),
    ROW("*6\r\n$3\r\nHIT\r\n:100\r\n:5\r\n:1\r\n$1\r\nx\r\n$3\r\nabc\r\n", AWAY, ELSE),
    ROW("*1\r\n-ERR inside\r\n", AWAY, ELSE),
    ROW("-EPOCH other\r\n", AWAY, "begun anew"),
    ROW("-SESSION ended\r\n", AWAY, "newer session"),
    ROW("-OOM no\r\n", AWAY, ""),
    ROW("-BUSY no\r\n", AWAY, ""),
    ROW("-READONLY no\r\n", AWAY, "takes no changes"),
    ROW("-WRONGTYPE no\r\n", AWAY, "foreign value"),
    ROW("-ERR whatever\r\n", AWAY, "an error we do not know"),
};

struct wish {
    struct fleet_lease lease;
    unsigned answered;
};

static void on_answer(struct fleet_lease *lease)
{
    ((struct wish *)lease)->answered++;
}

static struct wish wish_for(struct node_rig *rig)
{
    struct wish w = {.lease = {.key = slice_text("k"), .life_ns = 10 * NS_PER_S, .done = on_answer}};
    return w;
}

static void ask(struct node_rig *rig, struct wish *w)
{
    struct fleet *fleet = l2_fleet(rig->l2.l2);
    if (fleet->ops->lease(fleet, &w->lease) == FLEET_DONE)
        w->answered++;
    UNTIL(rig, w->answered);
}

static void what_redis_says_of_a_lease_is_believed_or_ends_the_session(void **state)
{
    struct node_rig *rig = *state;
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        const struct row *row = &answers[i];
        make_fresh(rig);
        uint64_t session = rig_view(&rig->l2)->session;
        struct wish w = wish_for(rig);
        rig->puppet.instead[SCRIPT_GETL] = row->said;
        ask(rig, &w);
        if (w.lease.outcome != row->outcome)
            fail_msg("%.*s: outcome %d", (int)row->said.size, (const char *)row->said.data, w.lease.outcome);
        expect(rig, session, row->words, row->said.data);
        assert_int_equal(w.answered, 1);
    }
}

static void a_lease_has_its_proof_its_position_and_others_the_time_that_is_left(void **state)
{
    struct node_rig *rig = *state;
    make_fresh(rig);
    struct wish w = wish_for(rig);
    rig->puppet.instead[SCRIPT_GETL] = answers[0].said;
    ask(rig, &w);
    assert_int_equal(w.lease.v, 100);
    assert_memory_equal(w.lease.proof, TOKEN, FLEET_PROOF_BYTES);
    rig->puppet.instead[SCRIPT_GETL] = answers[5].said;
    w = wish_for(rig);
    ask(rig, &w);
    assert_int_equal(w.lease.left_ns, 1500 * NS_PER_MS);
}

static void without_redis_a_lease_is_answered_at_once(void **state)
{
    struct node_rig *rig = *state;
    rig_start(&rig->l2);
    struct wish w = wish_for(rig);
    struct fleet *fleet = l2_fleet(rig->l2.l2);
    assert_int_equal(fleet->ops->lease(fleet, &w.lease), FLEET_DONE);
    assert_int_equal(w.lease.outcome, FLEET_LEASE_AWAY);
    fleet->ops->lease_keep(fleet, 0, slice_text("k"), (const uint8_t *)TOKEN, NS_PER_S);
    fleet->ops->lease_drop(fleet, 0, slice_text("k"), (const uint8_t *)TOKEN, 0);
}

static void a_link_that_ends_answers_who_asked(void **state)
{
    struct node_rig *rig = *state;
    make_fresh(rig);
    struct wish w = wish_for(rig);
    struct fleet *fleet = l2_fleet(rig->l2.l2);
    assert_int_equal(fleet->ops->lease(fleet, &w.lease), FLEET_PENDING);
    puppet_hang_up(&rig->puppet, 0);
    UNTIL(rig, w.answered);
    assert_int_equal(w.lease.outcome, FLEET_LEASE_AWAY);
}

static void what_is_no_answer_to_renew_and_drop_ends_the_session(void **state)
{
    static const struct slice said[] = {SAID("+OK\r\n"), SAID("*0\r\n"), SAID("-SESSION ended\r\n")};
    struct node_rig *rig = *state;
    for (size_t i = 0; i < 2 * COUNT_OF(said); i++) {
        make_fresh(rig);
        struct fleet *fleet = l2_fleet(rig->l2.l2);
        uint64_t session = rig_view(&rig->l2)->session;
        rig->puppet.instead[i % 2 ? SCRIPT_RENEW : SCRIPT_DROP] = said[i / 2];
        if (i % 2)
            fleet->ops->lease_keep(fleet, 0, slice_text("k"), (const uint8_t *)TOKEN, NS_PER_S);
        else
            fleet->ops->lease_drop(fleet, 0, slice_text("k"), (const uint8_t *)TOKEN, 0);
        UNTIL(rig, rig_view(&rig->l2)->session > session);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_redis_says_of_a_lease_is_believed_or_ends_the_session, begin,
                                        finish),
        cmocka_unit_test_setup_teardown(a_lease_has_its_proof_its_position_and_others_the_time_that_is_left,
                                        begin, finish),
        cmocka_unit_test_setup_teardown(without_redis_a_lease_is_answered_at_once, begin, finish),
        cmocka_unit_test_setup_teardown(a_link_that_ends_answers_who_asked, begin, finish),
        cmocka_unit_test_setup_teardown(what_is_no_answer_to_renew_and_drop_ends_the_session, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
