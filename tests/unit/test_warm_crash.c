/* kill -9 at random moments, twenty times in a row on one directory.  A ledger in shared memory holds what was
 * acknowledged; each life first checks what it finds against it, then goes on changing until it is killed.
 *
 * No acknowledged change un-happens: an entry found is the last one acknowledged, or the one that was under way when
 * the last life ended; it may be missing, it is never older. */
#include "support/warm_rig.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* More keys than changes between two commits, and few tag kills: or whatever a commit held is changed again before the
 * kill, and nothing is left to be found. */
enum { KEYS = 512, LIVES = 20, CHANGES_MAX = 4000, COMMIT_ONE_IN = 200 };

/* Values count up per key; 0 is "gone". */
struct line {
    uint64_t acknowledged, begun;
    bool softened;  /* acknowledged */
    bool softening; /* begun, perhaps done */
};

struct ledger {
    _Atomic uint64_t changes; /* of this life */
    uint64_t seed, found, stale;
    struct line lines[KEYS];
    char failure[128];
};

static struct ledger *ledger;

static uint64_t random_number(void)
{
    uint64_t x = ledger->seed;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return ledger->seed = x;
}

static void acknowledge(int rc)
{
    if (rc == TIER_UNSAFE)
        rig_barrier(&rig);
    atomic_signal_fence(memory_order_seq_cst); /* the ledger must not be ahead of what it tells of */
}

static void name_key(char *ret, unsigned k)
{
    snprintf(ret, 32, "group%u:%u", k % 4, k);
}

static void set(unsigned k, struct line *l)
{
    char key[32], value[32], tag[16];
    name_key(key, k);
    snprintf(tag, sizeof(tag), "tag%u", k % 4);
    l->begun++;
    snprintf(value, sizeof(value), "%llu", (unsigned long long)l->begun);
    acknowledge(rig_put_tagged(&rig, key, value, tag));
    l->acknowledged = l->begun;
    l->softened = l->softening = false;
}

static void drop(unsigned k, struct line *l)
{
    char key[32];
    name_key(key, k);
    acknowledge(rig_drop(&rig, key));
    l->acknowledged = 0;
}

static void soften(unsigned k, struct line *l)
{
    char key[32];
    name_key(key, k);
    l->softening = true;
    acknowledge(rig_soften(&rig, key));
    l->softened = true;
}

static void kill_tag(unsigned group)
{
    char tag[16];
    snprintf(tag, sizeof(tag), "tag%u", group);
    acknowledge(rig_kill_tag(&rig, tag));
    for (unsigned k = group; k < KEYS; k += 4)
        ledger->lines[k].acknowledged = 0;
}

static void change(void)
{
    unsigned k = (unsigned)(random_number() % KEYS), what = (unsigned)(random_number() % 1000);
    if (what < 600)
        set(k, &ledger->lines[k]);
    else if (what < 800)
        drop(k, &ledger->lines[k]);
    else if (what < 998)
        soften(k, &ledger->lines[k]);
    else
        kill_tag(k % 4);
    if (random_number() % COMMIT_ONE_IN == 0)
        rig_settle(&rig);
    atomic_fetch_add(&ledger->changes, 1);
}

static void check(unsigned k)
{
    struct rig_read r;
    struct line *l = &ledger->lines[k];
    char key[32];
    name_key(key, k);
    rig_get(&rig, key, &r);
    uint64_t value = r.outcome == TIER_FOUND ? strtoull(r.value, NULL, 10) : 0;
    bool right = value == 0 || value == l->acknowledged || value == l->begun;
    bool stale_enough = value == 0 || value != l->acknowledged || !l->softened || r.read.entry.stale;
    if (!right || !stale_enough)
        snprintf(ledger->failure, sizeof(ledger->failure),
                 "key %u: %llu found, %llu acknowledged, %llu begun, %s", k, (unsigned long long)value,
                 (unsigned long long)l->acknowledged, (unsigned long long)l->begun,
                 stale_enough ? "right age" : "should be stale");
    ledger->found += value != 0;
    ledger->stale += value != 0 && r.read.entry.stale;
    l->acknowledged = value;
    l->softened = value != 0 && r.read.entry.stale;
}

static void nothing(struct later *w)
{
}

static _Noreturn void live(bool last)
{
    struct later awake;
    rig_open(&rig);
    for (unsigned k = 0; k < KEYS; k++)
        check(k);
    if (last || ledger->failure[0]) {
        rig_close(&rig);
        _exit(0);
    }
    later_init(&awake, nothing);
    for (;;) {
        for (unsigned n = 0; n < 50; n++)
            change();
        later_ask(rig.loop, &awake); /* a turn that need not wait for anything */
        loop_run_once(rig.loop);
    }
}

static pid_t begin_life(bool last)
{
    atomic_store(&ledger->changes, 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        live(last);
    return child;
}

/* After so many changes, or when it has ended by itself. */
static void kill_after(pid_t child, uint64_t changes)
{
    int status;
    while (atomic_load(&ledger->changes) < changes)
        if (waitpid(child, &status, WNOHANG) == child)
            return;
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
}

static void run_lives(bool with_page)
{
    rig_make(&rig);
    rig.with_page = with_page;
    ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(ledger, MAP_FAILED);
    ledger->seed = 88172645463325252ull;
    for (unsigned n = 0; n < LIVES && !ledger->failure[0]; n++)
        kill_after(begin_life(false), 1 + random_number() % (with_page ? CHANGES_MAX : CHANGES_MAX / 20));
    int status;
    pid_t last = begin_life(true);
    assert_int_equal(waitpid(last, &status, 0), last);
    assert_int_equal(status, 0);
    assert_string_equal(ledger->failure, "");
    assert_true(ledger->found > LIVES); /* otherwise it proved nothing */
    assert_true(ledger->stale > 0);
    munmap(ledger, sizeof(*ledger));
    rig_remove(&rig);
}

static void no_acknowledged_change_unhappens_by_kill_9(void **state)
{
    run_lives(true);
}

static void nor_without_a_runtime_page(void **state)
{
    run_lives(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_acknowledged_change_unhappens_by_kill_9),
        cmocka_unit_test(nor_without_a_runtime_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
