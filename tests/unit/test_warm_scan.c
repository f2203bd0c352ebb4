/* The walk over LMDB's file by somebody who trusts nothing: whole files pass, whatever was done in them; damage does
 * not, or does no harm. */
#include "support/warm_rig.h"

#include <fcntl.h>

#include "warm/scan.h"

enum { KEYS = 300, ROUNDS = 400, MAP_BYTES = 32 << 20 };

static char data_path[160];
static struct env *env;
static uint64_t seed, sequence;

static uint64_t random_below(uint64_t bound)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % bound;
}

static int make_env(void **state)
{
    rig_make(&rig);
    seed = 88172645463325252ull;
    sequence = 0;
    snprintf(data_path, sizeof(data_path), "%s/data.mdb", rig.root);
    assert_int_equal(env_open(rig.root, MAP_BYTES, &env), 0);
    return 0;
}

static int drop_env(void **state)
{
    env = env_close(env);
    rig_remove(&rig);
    return 0;
}

static uint32_t random_value_bytes(void)
{
    switch (random_below(8)) {
    case 0: return (uint32_t)random_below(60000);
    case 1: return (uint32_t)random_below(5000);
    default: return (uint32_t)random_below(300);
    }
}

static int put_random(struct env_txn *t)
{
    static char value[60000];
    static char record[70000];
    const struct record_clock now = {1, 1, 1};
    struct entry e = {
        .key = slice_text("key"), .key_hash = random_below(KEYS), .value = {value, random_value_bytes()}};
    record_encode(record, &e, &now);
    return env_put(t, ++sequence, e.key_hash, slice_of(record, record_bytes(&e)));
}

static int change_random(struct env_txn *t)
{
    uint64_t hot[300] = {0};
    uint32_t evicted;
    switch (random_below(12)) {
    case 0: return env_drop(t, random_below(KEYS), 0, UINT64_MAX);
    case 1: return env_kill(t, random_below(1000), random_below(99), 0);
    case 2: return env_evict(t, (uint32_t)random_below(9), UINT64_MAX, &evicted);
    case 3: return random_below(20) ? 0 : env_save_hot(t, 112, hot, (uint32_t)random_below(300));
    case 4: return random_below(9) ? 0 : env_prune_kills(t, 50, &(uint64_t){0}, 100);
    default: return put_random(t);
    }
}

static void churn(unsigned rounds)
{
    struct env_state state = {.epoch = 1};
    for (unsigned n = 0; n < rounds; n++) {
        struct env_txn t;
        assert_int_equal(env_begin(env, &t), 0);
        for (uint64_t k = random_below(40); k > 0; k--)
            assert_true(change_random(&t) >= 0);
        state.applied = sequence;
        assert_int_equal(env_save(&t, &state), 0);
        if (random_below(10) == 0)
            env_abort(&t);
        else
            assert_int_equal(env_commit(&t), 0);
    }
}

static void a_file_lmdb_wrote_is_whole_after_any_commit(void **state)
{
    for (unsigned n = 0; n < ROUNDS; n++) {
        churn(1);
        const char *why = n % 10 ? NULL : scan_file(data_path);
        if (why)
            fail_msg("round %u: %s", n, why);
    }
}

static char *read_file(size_t *ret_size)
{
    struct stat st;
    int fd = open(data_path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    char *bytes = must_alloc((size_t)st.st_size);
    assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
    close(fd);
    *ret_size = (size_t)st.st_size;
    return bytes;
}

/* Copied first and closed after: closing a file drops LMDB's locks on it. */
static char *churned_file(size_t *ret_size)
{
    churn(ROUNDS / 4);
    env = env_close(env);
    return read_file(ret_size);
}

static void a_file_cut_short_anywhere_is_noticed(void **state)
{
    size_t size;
    char *bytes = churned_file(&size);
    assert_null(scan_bytes(bytes, size));
    for (size_t at = 4096; at < size / 2; at += 4096)
        assert_non_null(scan_bytes(bytes, at));
    free(bytes);
}

static void flips_in_page_heads_are_noticed_or_do_not_matter(void **state)
{
    size_t size;
    char *bytes = churned_file(&size);
    unsigned noticed = 0;
    for (unsigned n = 0; n < 2000; n++) {
        size_t at = random_below(size / 4096) * 4096 + random_below(40);
        char was = bytes[at];
        bytes[at] = (char)(was ^ 1 << random_below(8));
        noticed += scan_bytes(bytes, size) != NULL;
        bytes[at] = was;
    }
    assert_true(noticed > 100); /* the rest is in free pages and in the middle of values */
    assert_null(scan_bytes(bytes, size));
    free(bytes);
}

static void random_bytes_are_no_file(void **state)
{
    size_t size;
    char *bytes = churned_file(&size);
    for (unsigned n = 0; n < 200; n++) {
        for (size_t at = 8192 + random_below(4096); at < size; at += 1 + random_below(3000))
            bytes[at] = (char)random_below(256);
        assert_non_null(scan_bytes(bytes, size));
    }
    free(bytes);
}

static void something_else_is_not_a_file_of_lmdb(void **state)
{
    char page[3 * 4096] = {0};
    assert_non_null(scan_bytes(page, sizeof(page)));
    assert_non_null(scan_bytes("x", 1));
    assert_null(scan_bytes(page, 0));
    assert_non_null(scan_file(rig.root));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_env, drop_env)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_lmdb_wrote_is_whole_after_any_commit),
        TEST(a_file_cut_short_anywhere_is_noticed),
        TEST(flips_in_page_heads_are_noticed_or_do_not_matter),
        TEST(random_bytes_are_no_file),
        TEST(something_else_is_not_a_file_of_lmdb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
