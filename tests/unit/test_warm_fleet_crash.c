/* The warm tier in a fleet over kill -9: no place is ahead of its effects (I6), and what the outbox kept is there (C8).  A
 * program of its own, since its children are forked before any thread exists. */
#include "support/warm_fleet_rig.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* Runs `life` on an open tier and ends by SIGKILL.  The parent has no thread and no tier then. */
static void in_killed_child(void (*life)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        rig_open(&rig);
        life();
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void keep_and_wait(void)
{
    keep(1, "one");
    rig_barrier(&rig);
}

static void find_and_drop(void)
{
    CHECK(strcmp(all_kept(), "1=one ") == 0);
    drop_up_to(1);
    rig_barrier(&rig);
}

static void what_was_kept_before_a_barrier_survives_kill_9(void **state)
{
    for (unsigned with_page = 0; with_page < 2; with_page++) {
        hour_long_commits();
        rig.with_page = with_page;
        in_killed_child(keep_and_wait);
        in_killed_child(find_and_drop);
    }
}

/* ======= kill -9 between an epoch and its commit ======= */

static void kill_in_a_new_epoch(void)
{
    begin_epoch(0, E1);
    store("a", E1, 100);
    keep(1, "committed");
    rig_barrier(&rig);
    begin_epoch(0, E2);
    kill_name(rig_tag(&rig, "red"), 1);
    rig_barrier(&rig);
}

static void what_was_killed_in_a_new_epoch_is_dead_after_kill_9(void **state)
{
    hour_long_commits();
    rig.with_page = true;
    in_killed_child(kill_in_a_new_epoch);
    rig_open(&rig);
    assert_true(place_of(0, NULL).epoch == E2);
    assert_true(found_v("a") == 0);
    rig_close(&rig);
}

/* ======= kill -9, again and again ======= */

/* Change V is always the same one, so that what must be there can be reckoned from the place alone. */
enum { KEYS = 2048, LIVES = 12, CHANGES_MAX = 20000 };

struct ledger {
    _Atomic uint64_t changes;      /* of this life */
    uint64_t reached;              /* highest place found */
    uint64_t kept_told, kept_done; /* newest in the outbox: acknowledged, dropped */
    uint64_t seed;
    unsigned found;
    char failure[128];
};
static struct ledger *ledger;

static uint64_t mixed(uint64_t v)
{
    v *= 0x9e3779b97f4a7c15ull;
    return v ^ v >> 29;
}

enum what { SET, DROP, KILL };
static enum what what_is(uint64_t v)
{
    return v % 997 == 0 ? KILL : v % 3 == 0 ? DROP : SET;
}

static unsigned key_of(uint64_t v)
{
    return (unsigned)(mixed(v) % KEYS);
}

static bool is_red(unsigned k)
{
    return k % 8 == 0;
}

static void name_key(char *ret, unsigned k)
{
    snprintf(ret, 16, "k%u", k);
}

static void change(uint64_t v)
{
    char key[16];
    name_key(key, key_of(v));
    switch (what_is(v)) {
    case SET: store_with(key, E1, v, is_red(key_of(v))); break;
    case DROP: drop(key, v); break;
    case KILL: kill_name(rig_tag(&rig, "red"), v); break;
    }
    keep_place(0, E1, v);
    atomic_fetch_add(&ledger->changes, 1);
}

/* Positions below this are dead for the key when everything up to `applied` is done; ret_set: the value itself is. */
static uint64_t newest_up_to(uint64_t applied, unsigned k, bool *ret_set)
{
    for (uint64_t v = applied; v > 0; v--) {
        bool killed = what_is(v) == KILL;
        *ret_set = what_is(v) == SET;
        if (killed ? is_red(k) : key_of(v) == k)
            return v;
    }
    return 0;
}

static void check_key(uint64_t applied, unsigned k)
{
    char key[16];
    bool set = false;
    name_key(key, k);
    uint64_t v = found_v(key), newest = newest_up_to(applied, k, &set);
    ledger->found += v != 0;
    if (v != 0 && (set ? v < newest : v <= newest))
        snprintf(ledger->failure, sizeof(ledger->failure), "key %u: %llu found, %llu done, place %llu", k,
                 (unsigned long long)v, (unsigned long long)newest, (unsigned long long)applied);
}

static void check_places(void)
{
    uint64_t newest, applied = place_of(0, &newest).applied;
    if (applied < ledger->reached)
        snprintf(ledger->failure, sizeof(ledger->failure), "the place went back");
    ledger->reached = applied;
    for (unsigned k = 0; k < KEYS; k++)
        check_key(applied, k);
}

static void awake(struct later *l)
{
}

static void turn(struct later *l)
{
    later_ask(rig.loop, l);
    loop_run_once(rig.loop);
}

static void follow_the_journal(void)
{
    struct later l;
    later_init(&l, awake);
    check_places();
    if (ledger->reached == 0)
        begin_epoch(0, E1);
    for (uint64_t v = ledger->reached + 1; !ledger->failure[0]; v++) {
        change(v);
        if (v % 20 == 0)
            turn(&l);
        if (v % (2 * KEYS) == 0)
            rig_settle(
                &rig); /* or every key is changed again before the kill, and nothing is left to be found */
    }
}

static void note_back(void *user, uint64_t number, struct slice bytes)
{
    kept_last = number;
    ++*(uint64_t *)user;
}

/* All that was acknowledged and not dropped. */
static void check_kept(void)
{
    uint64_t count = 0;
    struct outbox *o = warm_outbox(rig.warm);
    kept_last = 0;
    o->ops->each(o, note_back, &count);
    if (kept_last < ledger->kept_told || count < ledger->kept_told - ledger->kept_done)
        snprintf(ledger->failure, sizeof(ledger->failure), "kept up to %llu, found %llu up to %llu",
                 (unsigned long long)ledger->kept_told, (unsigned long long)count,
                 (unsigned long long)kept_last);
    ledger->found += count > 0;
}

static void keep_and_drop(void)
{
    check_kept();
    uint64_t number = kept_last > ledger->kept_told ? kept_last : ledger->kept_told;
    while (!ledger->failure[0]) {
        keep(++number, "bytes");
        if (number % 3 == 0)
            rig_barrier(&rig);
        ledger->kept_told = number % 3 == 0 ? number : ledger->kept_told;
        if (number % 7 == 0) {
            ledger->kept_done = number - 5;
            drop_up_to(number - 5);
        }
        atomic_fetch_add(&ledger->changes, 1);
    }
}

static pid_t begin_life(void (*life)(void))
{
    atomic_store(&ledger->changes, 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        rig_open(&rig);
        life();
        _exit(1); /* it found something wrong */
    }
    return child;
}

static void kill_after(pid_t child, uint64_t changes)
{
    int status;
    while (atomic_load(&ledger->changes) < changes)
        if (waitpid(child, &status, WNOHANG) == child)
            return;
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
}

static void run_lives(void (*life)(void), uint64_t changes_max)
{
    ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(ledger, MAP_FAILED);
    ledger->seed = (uint64_t)getpid();
    for (unsigned n = 0; n < LIVES && !ledger->failure[0]; n++) {
        ledger->seed = mixed(ledger->seed + n);
        kill_after(begin_life(life), 1 + ledger->seed % changes_max);
    }
    assert_string_equal(ledger->failure, "");
    assert_true(ledger->found > 0);
    munmap(ledger, sizeof(*ledger));
}

/* Many changes wait for a commit, and a commit takes few of them: whatever stands too far ahead is committed too soon. */
static void commit_in_parts(void)
{
    rig.options.warm_commit_every = 10 * NS_PER_MS;
    rig.options.warm_bytes = 2 << 20;
}

static void a_place_is_never_ahead_of_its_effects_after_kill_9(void **state)
{
    commit_in_parts();
    run_lives(follow_the_journal, CHANGES_MAX);
}

static void nor_without_a_runtime_page(void **state)
{
    commit_in_parts();
    rig.with_page = false;
    run_lives(follow_the_journal, CHANGES_MAX);
}

static void an_acknowledged_keep_is_there_after_kill_9(void **state)
{
    run_lives(keep_and_drop, CHANGES_MAX / 50);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_fleet_rig, drop_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_place_is_never_ahead_of_its_effects_after_kill_9),
        TEST(nor_without_a_runtime_page),
        TEST(an_acknowledged_keep_is_there_after_kill_9),
        TEST(what_was_kept_before_a_barrier_survives_kill_9),
        TEST(what_was_killed_in_a_new_epoch_is_dead_after_kill_9),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
