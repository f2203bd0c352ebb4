/* The warm tier in a fleet: places are never ahead of their effects (I6), positions count within their epoch, what is
 * older than the floor is suspect, and the outbox keeps what it said it keeps (C8). */
#include "support/warm_rig.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { E1 = 111, E2 = 222 };

static struct rig rig;

static int make_rig(void **state)
{
    rig_make(&rig);
    rig.fleet = true;
    rig.partitions = 1;
    return 0;
}

static int drop_rig(void **state)
{
    rig_remove(&rig);
    return 0;
}

static void restart(void)
{
    rig_close(&rig);
    rig_open(&rig);
}

/* ======= what the fleet does ======= */

static void begin_epoch(unsigned partition, uint64_t epoch)
{
    kills_forget(rig.kills, partition);
    warm_fleet_epoch(rig.warm, partition, epoch);
}

static void keep_place(unsigned partition, uint64_t epoch, uint64_t applied)
{
    warm_keep_place(
        rig.warm, partition,
        &(struct fleet_memory){.epoch = epoch, .applied = applied, .floor = 3, .last_fence_ns = 77});
}

static void store_with(const char *key, uint64_t epoch, uint64_t v, bool red)
{
    struct entry e = rig_entry(&rig, key, slice_text("value"));
    e.epoch = epoch;
    e.v = v;
    e.tags_count = red;
    e.tags[0] = rig_tag(&rig, "red");
    rig.tier->ops->put(rig.tier, &e);
}

static void store(const char *key, uint64_t epoch, uint64_t v)
{
    store_with(key, epoch, v, true);
}

static int drop(const char *key, uint64_t v)
{
    return rig.tier->ops->drop(rig.tier, slice_text(key), rig_hash(&rig, key), v);
}

static void kill_name(uint64_t name, uint64_t v)
{
    kills_add(rig.kills, name, v, false);
    rig.tier->ops->kill(rig.tier, name, v, false);
}

static struct fleet_memory place_of(unsigned partition, uint64_t *ret_newest)
{
    struct fleet_memory places[FLEET_PARTITIONS_MAX] = {0};
    uint64_t newest[FLEET_PARTITIONS_MAX] = {0};
    warm_places(rig.warm, places, newest);
    if (ret_newest)
        *ret_newest = newest[partition];
    return places[partition];
}

/* Position of what is found, 0: none. */
static uint64_t found_v(const char *key)
{
    struct rig_read r;
    rig_get(&rig, key, &r);
    return r.outcome == TIER_FOUND ? r.read.entry.v : 0;
}

static bool is_suspect(const char *key)
{
    struct rig_read r;
    rig_get(&rig, key, &r);
    assert_int_equal(r.outcome, TIER_FOUND);
    return r.read.entry.suspect;
}

static uint64_t stored_kills(void)
{
    struct env_sizes sizes;
    CHECK(env_measure(rig.warm->env, &sizes) == 0);
    return sizes.kills;
}

static void nudge(struct timer *t)
{
}

static void wait_with_timer(bool (*until)(struct rig *))
{
    struct timer t;
    timer_init(&t, rig.loop, nudge);
    timer_start(&t, NS_PER_MS, NS_PER_MS);
    rig_wait(&rig, until);
    timer_finish(&t, NULL);
    loop_run_once(rig.loop);
}

/* ======= places ======= */

static void nothing_is_known_of_a_partition_before_its_first_place(void **state)
{
    rig_open(&rig);
    struct fleet_memory place = place_of(0, NULL);
    assert_true(place.epoch == 0 && place.applied == 0 && place.floor == 0 && place.last_fence_ns == 0);
    rig_close(&rig);
}

static void the_newest_place_of_each_partition_comes_back(void **state)
{
    rig.partitions = 64;
    rig_open(&rig);
    begin_epoch(0, E1);
    begin_epoch(63, E2);
    for (uint64_t v = 1; v <= 100; v++)
        keep_place(0, E1, v);
    keep_place(63, E2, 7);
    restart();
    struct fleet_memory first = place_of(0, NULL), last = place_of(63, NULL);
    assert_true(first.epoch == E1 && first.applied == 100 && first.floor == 3 && first.last_fence_ns == 77);
    assert_true(last.epoch == E2 && last.applied == 7);
    assert_true(place_of(5, NULL).epoch == 0);
    rig_close(&rig);
}

static void the_last_fence_of_another_boot_is_not_known(void **state)
{
    rig_open(&rig);
    keep_place(0, E1, 10);
    rig_close(&rig);
    rig.boot_id = BOOT_B;
    rig_open(&rig);
    struct fleet_memory place = place_of(0, NULL);
    assert_true(place.epoch == E1 && place.applied == 10 && place.last_fence_ns == 0);
    rig_close(&rig);
}

static void the_position_of_an_entry_ahead_of_its_place_is_remembered(void **state)
{
    uint64_t newest;
    rig_open(&rig);
    begin_epoch(0, E1);
    keep_place(0, E1, 10);
    store("a", E1, 12);
    keep_place(0, E1, 11);
    restart();
    assert_int_equal(place_of(0, &newest).applied, 11);
    assert_int_equal(newest, 12);
    rig_close(&rig);
}

/* ======= epochs ======= */

static void an_entry_is_found_in_its_epoch_and_after_a_restart(void **state)
{
    rig_open(&rig);
    begin_epoch(0, E1);
    store("a", E1, 5);
    keep_place(0, E1, 5);
    assert_int_equal(found_v("a"), 5);
    restart();
    assert_int_equal(found_v("a"), 5);
    rig_close(&rig);
}

static bool is_empty(struct rig *r)
{
    return rig_figures(r).warm_entries == 0;
}

static void an_entry_of_another_epoch_is_dead_and_swept(void **state)
{
    rig_open(&rig);
    begin_epoch(0, E1);
    store("a", E1, 5);
    rig_settle(&rig);
    begin_epoch(0, E2);
    assert_int_equal(found_v("a"), 0);
    restart();
    assert_int_equal(found_v("a"), 0);
    wait_with_timer(is_empty);
    rig_close(&rig);
}

static void a_kill_of_another_epoch_is_forgotten(void **state)
{
    rig_open(&rig);
    begin_epoch(0, E1);
    kill_name(rig_tag(&rig, "red"), 1000);
    rig_settle(&rig);
    begin_epoch(0, E2);
    store("a", E2, 5);
    assert_int_equal(found_v("a"), 5);
    restart();
    assert_int_equal(found_v("a"), 5);
    assert_int_equal(stored_kills(), 0);
    rig_close(&rig);
}

static void an_epoch_of_one_partition_spares_the_kills_of_the_others(void **state)
{
    rig.partitions = 4;
    rig_open(&rig);
    for (unsigned p = 0; p < 4; p++) {
        begin_epoch(p, E1);
        kill_name(kills_name(rig_tag(&rig, "red"), p), 1000);
        kill_name(kills_name(KILLS_ALL, p), 9);
    }
    rig_settle(&rig);
    begin_epoch(2, E2);
    rig_settle(&rig);
    assert_int_equal(stored_kills(), 6);
    rig_close(&rig);
}

static void hour_long_commits(void)
{
    rig.options.warm_commit_every = 3600 * NS_PER_S;
}

static void kills_of_two_epochs_in_one_queue_are_two(void **state)
{
    for (unsigned with_page = 0; with_page < 2; with_page++) {
        hour_long_commits();
        rig.with_page = with_page;
        rig_open(&rig);
        begin_epoch(0, E1);
        kill_name(rig_tag(&rig, "red"), 1000);
        begin_epoch(0, E2);
        store("old", E2, 3);
        kill_name(rig_tag(&rig, "red"), 5);
        store("new", E2, 7);
        restart();
        assert_int_equal(found_v("old"), 0);
        assert_int_equal(found_v("new"), 7);
        assert_int_equal(stored_kills(), 1);
        rig_close(&rig);
    }
}

static void a_drop_spares_what_is_newer_in_its_epoch_only(void **state)
{
    rig_open(&rig);
    begin_epoch(0, E1);
    store("a", E1, 9);
    rig_settle(&rig);
    drop("a", 5);
    rig_settle(&rig);
    assert_int_equal(found_v("a"), 9);
    begin_epoch(0, E2);
    drop("a", 5);
    rig_settle(&rig);
    assert_int_equal(rig_figures(&rig).warm_entries, 0);
    rig_close(&rig);
}

static bool is_settled(struct rig *r)
{
    return warm_swept_v(r->warm) >= 6;
}

static void what_was_swept_in_another_epoch_settles_nothing_in_this_one(void **state)
{
    rig_open(&rig);
    begin_epoch(0, E1);
    store("a", E1, 5);
    kill_name(rig_tag(&rig, "red"), 6);
    wait_with_timer(is_settled);
    begin_epoch(0, E2);
    assert_int_equal(warm_swept_v(rig.warm), 0);
    rig_settle(&rig);
    assert_int_equal(warm_swept_v(rig.warm), 0);
    rig_close(&rig);
}

/* ======= fleets and none ======= */

static void what_one_kind_of_run_kept_is_dead_in_the_other_and_ever_after(void **state)
{
    rig.fleet = false;
    rig_open(&rig);
    rig_put(&rig, "a", "1");
    rig_kill_tag(&rig, "red");
    rig_close(&rig);
    rig.fleet = true;
    rig_open(&rig);
    assert_true(rig.memory.empty && rig.memory.why);
    assert_int_equal(kills_count(rig.kills), 0);
    begin_epoch(0, E1);
    keep_place(0, E1, 1);
    store("b", E1, 1);
    rig_close(&rig);
    rig.fleet = false;
    rig_open(&rig);
    rig_expect_none(&rig, "a");
    rig_expect_none(&rig, "b");
    rig_put(&rig, "c", "1");
    restart();
    rig_expect(&rig, "c", "1");
    rig_close(&rig);
}

static void another_number_of_partitions_is_another_fleet(void **state)
{
    rig_open(&rig);
    begin_epoch(0, E1);
    keep_place(0, E1, 1);
    store("a", E1, 1);
    rig_close(&rig);
    rig.partitions = 4;
    rig_open(&rig);
    assert_int_equal(place_of(0, NULL).epoch, 0);
    assert_int_equal(found_v("a"), 0);
    rig_close(&rig);
}

/* ======= suspects ======= */

static void what_is_older_than_the_unknown_is_suspect_and_stays(void **state)
{
    rig_open(&rig);
    begin_epoch(0, E1);
    store("a", E1, 5);
    store("b", E1, 15);
    kill_name(kills_name(KILLS_UNKNOWN, 0), 10);
    assert_true(is_suspect("a"));
    assert_false(is_suspect("b"));
    kill_name(rig_tag(&rig, "other"), 16); /* something to sweep for */
    wait_with_timer(is_settled);
    assert_true(is_suspect("a"));
    restart();
    assert_true(is_suspect("a"));
    assert_false(is_suspect("b"));
    rig_close(&rig);
}

static unsigned taken;

static bool take(void *user, const struct entry *e)
{
    assert_false(e->suspect);
    taken++;
    return true;
}

static bool restored;

static void note_restored(void *user, uint64_t count)
{
    restored = true;
}

static bool is_restored(struct rig *r)
{
    return restored;
}

static void a_suspect_is_not_carried_into_l1(void **state)
{
    rig_open(&rig);
    begin_epoch(0, E1);
    store("a", E1, 5);
    store("b", E1, 15);
    keep_place(0, E1, 15);
    kill_name(kills_name(KILLS_UNKNOWN, 0), 10);
    restart();
    taken = 0;
    restored = false;
    warm_restore(rig.warm, take, note_restored, NULL);
    rig_wait(&rig, is_restored);
    assert_int_equal(taken, 1);
    rig_close(&rig);
}

static bool one_is_left(struct rig *r)
{
    return rig_figures(r).warm_entries == 1;
}

static void an_entry_is_swept_by_the_kills_of_its_own_partition(void **state)
{
    char here[16] = "", there[16] = "";
    rig.partitions = 2;
    for (unsigned n = 0; !here[0] || !there[0]; n++) {
        char key[16];
        snprintf(key, sizeof(key), "k%u", n);
        memcpy(shm_partition(slice_text(key), 2) ? there : here, key, sizeof(key));
    }
    rig_open(&rig);
    for (unsigned p = 0; p < 2; p++) {
        begin_epoch(p, E1);
        keep_place(p, E1, 1);
    }
    store(here, E1, 5);
    store(there, E1, 5);
    kill_name(kills_name(rig_tag(&rig, "red"), 1), 9);
    assert_int_equal(found_v(here), 5);
    assert_int_equal(found_v(there), 0);
    restart();
    wait_with_timer(one_is_left);
    assert_int_equal(found_v(here), 5);
    assert_int_equal(warm_swept_v(rig.warm), 0);
    rig_close(&rig);
}

/* ======= the outbox ======= */

static char kept[256];
static uint64_t kept_last;

static void note_kept(void *user, uint64_t number, struct slice bytes)
{
    char one[64];
    assert_true(number > kept_last);
    kept_last = number;
    snprintf(one, sizeof(one), "%llu=%.*s ", (unsigned long long)number, (int)bytes.size,
             (const char *)bytes.data);
    strncat(kept, one, sizeof(kept) - strlen(kept) - 1);
}

static int keep(uint64_t number, const char *bytes)
{
    struct outbox *o = warm_outbox(rig.warm);
    return o->ops->keep(o, number, slice_text(bytes));
}

static void drop_up_to(uint64_t number)
{
    struct outbox *o = warm_outbox(rig.warm);
    o->ops->drop_up_to(o, number);
}

static const char *all_kept(void)
{
    struct outbox *o = warm_outbox(rig.warm);
    kept[0] = '\0';
    kept_last = 0;
    o->ops->each(o, note_kept, NULL);
    return kept;
}

static void what_is_kept_comes_back_in_order(void **state)
{
    rig_open(&rig);
    assert_int_equal(keep(1, "one"), TIER_UNSAFE);
    assert_int_equal(keep(2, "two"), TIER_UNSAFE);
    assert_int_equal(keep(300, "more"), TIER_UNSAFE);
    restart();
    assert_string_equal(all_kept(), "1=one 2=two 300=more ");
    rig_close(&rig);
}

static void what_was_dropped_does_not_come_back(void **state)
{
    rig_open(&rig);
    keep(1, "one");
    keep(2, "two");
    keep(3, "three");
    drop_up_to(2);
    restart();
    assert_string_equal(all_kept(), "3=three ");
    drop_up_to(3);
    restart();
    assert_string_equal(all_kept(), "");
    rig_close(&rig);
}

static void the_outbox_outlives_a_change_to_no_fleet_and_back(void **state)
{
    rig_open(&rig);
    keep(1, "one");
    rig_close(&rig);
    rig.fleet = false;
    rig_open(&rig);
    rig_close(&rig);
    rig.fleet = true;
    rig_open(&rig);
    assert_string_equal(all_kept(), "1=one ");
    rig_close(&rig);
}

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

static void what_was_kept_before_a_barrier_survives_kill_9(void **state)
{
    for (unsigned with_page = 0; with_page < 2; with_page++) {
        hour_long_commits();
        rig.with_page = with_page;
        in_killed_child(keep_and_wait);
        rig_open(&rig);
        assert_string_equal(all_kept(), "1=one ");
        drop_up_to(1);
        rig_close(&rig);
    }
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static bool commits_fail(struct rig *r)
{
    return r->warm->failing;
}

static void fail_commits(void)
{
    signal(SIGXFSZ, SIG_IGN);
    limit_files(4096);
    store("a", E1, 1);
    wait_with_timer(commits_fail);
}

static void while_commits_fail_nothing_is_kept_but_in_memory_and_nobody_waits_for_it(void **state)
{
    rig_open(&rig);
    begin_epoch(0, E1);
    rig_settle(&rig);
    fail_commits();
    assert_int_equal(keep(1, "one"), TIER_UNSTORED);
    rig_barrier(&rig);
    limit_files(RLIM_INFINITY);
    restart();
    assert_string_equal(all_kept(), "1=one ");
    rig_close(&rig);
}

static bool is_well(struct rig *r)
{
    return !r->warm->failing;
}

static void who_waits_for_a_keep_hears_of_it_after_its_commit_only(void **state)
{
    struct rig_barrier b = {.barrier.done = rig_reached};
    rig.with_page = false;
    rig_open(&rig);
    begin_epoch(0, E1);
    rig_settle(&rig);
    signal(SIGXFSZ, SIG_IGN);
    limit_files(4096);
    assert_int_equal(keep(1, "one"), TIER_UNSAFE);
    rig.tier->ops->barrier(rig.tier, &b.barrier);
    wait_with_timer(commits_fail);
    drop("a", 9); /* whoever waits for this is let go by giving everything up */
    rig_barrier(&rig);
    assert_int_equal(rig_figures(&rig).warm_collapses, 1);
    assert_false(b.reached);
    limit_files(RLIM_INFINITY);
    wait_with_timer(is_well);
    while (!b.reached)
        loop_run_once(rig.loop);
    assert_string_equal(all_kept(), "1=one ");
    rig_close(&rig);
}

static void an_epoch_outlives_giving_everything_up(void **state)
{
    rig_open(&rig);
    begin_epoch(0, E1);
    kill_name(rig_tag(&rig, "red"), 1000);
    rig_settle(&rig);
    signal(SIGXFSZ, SIG_IGN);
    rig.with_page = false;
    limit_files(4096);
    begin_epoch(0, E2);
    wait_with_timer(commits_fail);
    while (page_append(rig.page, PAGE_KEY, 1, 1))
        ;
    store("a", E2, 1); /* there is no room for it in the journal */
    assert_int_equal(rig_figures(&rig).warm_collapses, 1);
    limit_files(RLIM_INFINITY);
    rig_settle(&rig);
    assert_int_equal(stored_kills(), 0);
    rig.with_page = true;
    restart();
    assert_int_equal(place_of(0, NULL).epoch, E2);
    assert_int_equal(found_v("a"), 1);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_rig, drop_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_place_is_never_ahead_of_its_effects_after_kill_9),
        TEST(nor_without_a_runtime_page),
        TEST(an_acknowledged_keep_is_there_after_kill_9),
        TEST(nothing_is_known_of_a_partition_before_its_first_place),
        TEST(the_newest_place_of_each_partition_comes_back),
        TEST(the_last_fence_of_another_boot_is_not_known),
        TEST(the_position_of_an_entry_ahead_of_its_place_is_remembered),
        TEST(an_entry_is_found_in_its_epoch_and_after_a_restart),
        TEST(an_entry_of_another_epoch_is_dead_and_swept),
        TEST(a_kill_of_another_epoch_is_forgotten),
        TEST(an_epoch_of_one_partition_spares_the_kills_of_the_others),
        TEST(kills_of_two_epochs_in_one_queue_are_two),
        TEST(a_drop_spares_what_is_newer_in_its_epoch_only),
        TEST(what_was_swept_in_another_epoch_settles_nothing_in_this_one),
        TEST(what_one_kind_of_run_kept_is_dead_in_the_other_and_ever_after),
        TEST(another_number_of_partitions_is_another_fleet),
        TEST(what_is_older_than_the_unknown_is_suspect_and_stays),
        TEST(a_suspect_is_not_carried_into_l1),
        TEST(an_entry_is_swept_by_the_kills_of_its_own_partition),
        TEST(what_is_kept_comes_back_in_order),
        TEST(what_was_dropped_does_not_come_back),
        TEST(the_outbox_outlives_a_change_to_no_fleet_and_back),
        TEST(what_was_kept_before_a_barrier_survives_kill_9),
        TEST(while_commits_fail_nothing_is_kept_but_in_memory_and_nobody_waits_for_it),
        TEST(who_waits_for_a_keep_hears_of_it_after_its_commit_only),
        TEST(an_epoch_outlives_giving_everything_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
