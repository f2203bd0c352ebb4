/* The warm tier over restarts: what comes back, what must not, and when nothing is believed. */
#include "support/warm_rig.h"

#include <fcntl.h>
#include <sys/mman.h>

static void store_a_and_b(void)
{
    rig_put_tagged(&rig, "a", "1", "red");
    rig_put(&rig, "b", "2");
    rig_settle(&rig);
}

/* ======= clean ======= */

static void an_entry_survives_a_restart(void **state)
{
    rig_open(&rig);
    rig_put(&rig, "a", "1");
    restart();
    assert_false(rig.memory.empty);
    rig_expect(&rig, "a", "1");
    rig_close(&rig);
}

static void secret_and_epoch_stay_and_the_start_number_grows(void **state)
{
    rig_open(&rig);
    struct warm_memory first = rig.memory;
    restart();
    assert_true(rig.memory.hash_secret == first.hash_secret && rig.memory.epoch == first.epoch);
    assert_true(rig.memory.start_no == first.start_no + 1);
    rig_close(&rig);
}

static void kills_survive_a_restart(void **state)
{
    rig_open(&rig);
    store_a_and_b();
    rig_kill_tag(&rig, "red");
    restart();
    rig_expect_none(&rig, "a");
    rig_expect(&rig, "b", "2");
    rig_close(&rig);
}

static void a_floor_survives_a_restart(void **state)
{
    rig_open(&rig);
    store_a_and_b();
    kills_add(rig.kills, KILLS_ALL, ++rig.v, false);
    rig.tier->ops->kill(rig.tier, KILLS_ALL, rig.v, false);
    restart();
    rig_expect_none(&rig, "a");
    rig_expect_none(&rig, "b");
    rig_close(&rig);
}

static void expiry_goes_on_over_a_restart(void **state)
{
    rig_open(&rig);
    struct entry e = rig_entry(&rig, "a", slice_text("1"));
    rig.tier->ops->put(rig.tier, &e);
    restart();
    struct rig_read r;
    rig_get_at(&rig, "a", e.hard_ns - 1, &r);
    assert_int_equal(r.outcome, TIER_FOUND);
    assert_true(r.read.entry.hard_ns == e.hard_ns);
    rig_get_at(&rig, "a", e.hard_ns, &r);
    assert_int_equal(r.outcome, TIER_MISSED);
    rig_close(&rig);
}

static void a_clean_stop_is_believed_in_another_boot(void **state)
{
    rig_open(&rig);
    rig_put(&rig, "a", "1");
    rig_close(&rig);
    rig.boot_id = BOOT_B;
    rig_open(&rig);
    rig_expect(&rig, "a", "1");
    rig_close(&rig);
}

/* ======= kill -9 ======= */

static void store_a_and_b_and_change_them_uncommitted(void)
{
    store_a_and_b();
    rig_put(&rig, "b", "3");
    rig_kill_tag(&rig, "red");
}

static void what_was_committed_survives_kill_9(void **state)
{
    rig_in_killed_child(&rig, store_a_and_b);
    rig_open(&rig);
    rig_expect(&rig, "a", "1");
    rig_expect(&rig, "b", "2");
    rig_close(&rig);
}

static void an_uncommitted_set_or_kill_leaves_nothing_older_behind_after_kill_9(void **state)
{
    hour_long_commits();
    rig_in_killed_child(&rig, store_a_and_b_and_change_them_uncommitted);
    rig_open(&rig);
    rig_expect_none(&rig, "a");
    rig_expect_none(&rig, "b");
    rig_close(&rig);
}

static void the_journal_survives_being_killed_before_its_replay_is_committed(void **state)
{
    hour_long_commits();
    rig_in_killed_child(&rig, store_a_and_b_and_change_them_uncommitted);
    rig_in_killed_child(&rig, hour_long_commits);
    rig_in_killed_child(&rig, hour_long_commits);
    rig_open(&rig);
    rig_expect_none(&rig, "a");
    rig_expect_none(&rig, "b");
    restart();
    rig_expect_none(&rig, "a");
    rig_expect_none(&rig, "b");
    rig_close(&rig);
}

static void store_and_soften_uncommitted(void)
{
    store_a_and_b();
    rig_soften(&rig, "b");
}

static void an_uncommitted_softening_survives_kill_9(void **state)
{
    hour_long_commits();
    rig_in_killed_child(&rig, store_and_soften_uncommitted);
    rig_open(&rig);
    struct rig_read r;
    rig_get(&rig, "b", &r);
    assert_int_equal(r.outcome, TIER_FOUND);
    assert_true(r.read.entry.stale);
    rig_close(&rig);
}

static void kill_hard_then_soft_uncommitted(void)
{
    store_a_and_b();
    rig_kill_tag(&rig, "red");
    kills_add(rig.kills, rig_tag(&rig, "red"), ++rig.v, true);
    rig.tier->ops->kill(rig.tier, rig_tag(&rig, "red"), rig.v, true);
}

static void a_soft_kill_does_not_take_back_a_hard_one(void **state)
{
    hour_long_commits();
    rig_in_killed_child(&rig, kill_hard_then_soft_uncommitted);
    rig_open(&rig);
    rig_expect_none(&rig, "a");
    rig_close(&rig);
}

static void store_and_drop_without_page(void)
{
    store_a_and_b();
    CHECK(rig_drop(&rig, "b") == TIER_UNSAFE);
    rig_barrier(&rig);
}

static void without_a_page_a_change_is_unsafe_until_the_barrier_and_safe_after_it(void **state)
{
    hour_long_commits();
    rig.with_page = false;
    rig_in_killed_child(&rig, store_and_drop_without_page);
    rig_open(&rig);
    rig_expect(&rig, "a", "1");
    rig_expect_none(&rig, "b");
    rig_close(&rig);
}

/* ======= when nothing is believed ======= */

static void expect_empty(void)
{
    rig_open(&rig);
    assert_true(rig.memory.empty);
    assert_non_null(rig.memory.why);
    assert_ptr_equal(warm_trouble(rig.warm), rig.memory.why);
    rig_expect_none(&rig, "a");
    rig_put(&rig, "a", "new");
    rig_expect(&rig, "a", "new");
    rig_close(&rig);
}

static void another_boot_without_a_clean_stop_starts_empty(void **state)
{
    rig_in_killed_child(&rig, store_a_and_b);
    rig.boot_id = BOOT_B;
    expect_empty();
}

static void a_lost_page_after_an_unclean_stop_starts_empty(void **state)
{
    rig_in_killed_child(&rig, store_a_and_b);
    assert_int_equal(unlink(rig.page_path), 0);
    expect_empty();
}

static void a_run_without_the_directory_makes_it_untrusted(void **state)
{
    rig_open(&rig);
    rig_put(&rig, "a", "1");
    rig_close(&rig);
    struct page_found found;
    struct page *page;
    assert_int_equal(page_open_in(rig.page_path, rig.boot_id, &page, &found), 0);
    page_mirror(page, 1); /* promises to readers, and no warm tier */
    page_close(page, true);
    expect_empty();
}

static void copy_file(const char *from, const char *to)
{
    char buffer[1 << 16];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_true(in && out);
    for (size_t n; (n = fread(buffer, 1, sizeof(buffer), in)) > 0;)
        assert_int_equal(fwrite(buffer, 1, n, out), n);
    fclose(in);
    fclose(out);
}

static void data_path(char *ret, const char *name)
{
    snprintf(ret, 192, "%s/%s", rig.directory, name);
}

static void an_older_copy_of_the_file_starts_empty(void **state)
{
    char data[192], copy[192];
    rig_open(&rig);
    rig_put(&rig, "a", "1");
    rig_close(&rig);
    data_path(data, "data.mdb");
    data_path(copy, "copy");
    copy_file(data, copy);
    rig_open(&rig);
    rig_drop(&rig, "a");
    rig_close(&rig);
    copy_file(copy, data);
    expect_empty();
}

static void a_second_daemon_is_told_that_the_directory_is_taken(void **state)
{
    struct rig second = rig;
    rig_open(&rig);
    second.with_page = false;
    assert_int_equal(rig_try_open(&second), WARM_E_LOCKED);
    assert_null(second.warm);
    loop_destroy(second.loop);
    rig_put(&rig, "a", "1");
    rig_settle(&rig);
    rig_expect(&rig, "a", "1");
    rig_close(&rig);
}

static void a_second_daemon_does_not_get_the_page_either(void **state)
{
    struct page_found found;
    struct page *page;
    rig_open(&rig);
    assert_true(page_open_in(rig.page_path, rig.boot_id, &page, &found) < 0);
    assert_null(page);
    rig_close(&rig);
}

static void a_file_in_place_of_the_directory_is_an_error(void **state)
{
    FILE *f = fopen(rig.directory, "w");
    fclose(f);
    assert_int_equal(rig_try_open(&rig), WARM_E_ACCESS);
    rig.page = page_close(rig.page, false);
    loop_destroy(rig.loop);
}

/* ======= a damaged file ======= */

static uint64_t seed = 1;

static uint64_t random_number(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void flip_bytes(const char *path, unsigned count)
{
    struct stat st;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    for (unsigned n = 0; n < count; n++) {
        off_t at = (off_t)(random_number() % (uint64_t)st.st_size);
        char byte = (char)random_number();
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
}

enum { ENTRIES = 400 };

static void put_numbered(unsigned n)
{
    char key[16], value[200];
    snprintf(key, sizeof(key), "k%u", n);
    snprintf(value, sizeof(value), "%u %0*d", n, 80 + (int)(n % 100), 0);
    rig_put(&rig, key, value);
}

/* The right value or none: whatever was done to the file. */
static unsigned count_right_values(void)
{
    unsigned found = 0;
    char key[16];
    for (unsigned n = 0; n < ENTRIES; n++) {
        struct rig_read r;
        snprintf(key, sizeof(key), "k%u", n);
        rig_get(&rig, key, &r);
        if (r.outcome == TIER_FOUND)
            assert_int_equal(strtoul(r.value, NULL, 10), n);
        found += r.outcome == TIER_FOUND;
    }
    return found;
}

static void use_everything(void)
{
    char key[16];
    for (unsigned n = 0; n < ENTRIES; n += 3) {
        snprintf(key, sizeof(key), "k%u", n);
        rig_drop(&rig, key);
        put_numbered(n + 1);
    }
    rig_settle(&rig);
    count_right_values();
}

static void flipped_bytes_never_crash_it_and_never_show_a_wrong_value(void **state)
{
    char data[192], whole[192];
    unsigned empty = 0, kept = 0;
    data_path(data, "data.mdb");
    data_path(whole, "whole");
    rig.with_page = false; /* a page would rightly doubt a file that changes under it */
    rig_open(&rig);
    for (unsigned n = 0; n < ENTRIES; n++)
        put_numbered(n);
    rig_close(&rig);
    copy_file(data, whole);
    for (unsigned round = 0; round < 150; round++) {
        copy_file(whole, data);
        flip_bytes(data, 1 + round % 8);
        rig_open(&rig);
        unsigned right = count_right_values();
        empty += rig.memory.empty;
        kept += right > 0;
        use_everything();
        rig_close(&rig);
    }
    assert_true(empty > 0 && kept > 0);
}

static void a_corrupt_file_is_moved_aside_and_one_of_them_is_kept(void **state)
{
    char data[192], aside[192];
    data_path(data, "data.mdb");
    for (unsigned round = 0; round < 2; round++) {
        rig_open(&rig);
        rig_put(&rig, "a", "1");
        rig_close(&rig);
        int fd = open(data, O_RDWR);
        assert_int_equal(pwrite(fd, "broken", 6, 16), 6);
        close(fd);
        expect_empty();
    }
    data_path(aside, "data.mdb.corrupt-1");
    assert_int_not_equal(access(aside, F_OK), 0);
    data_path(aside, "data.mdb.corrupt-2");
    assert_int_equal(access(aside, F_OK), 0);
}

static void a_record_with_a_wrong_checksum_is_a_miss_and_goes(void **state)
{
    struct env *env;
    struct env_buffer b = {0};
    struct env_txn t;
    uint64_t sequence, hash;
    rig_open(&rig);
    rig_put(&rig, "a", "1");
    rig_settle(&rig);
    hash = rig_hash(&rig, "a");
    rig_close(&rig);
    assert_int_equal(env_open(rig.directory, rig.options.warm_bytes, &env), 0);
    struct env_reader *r = env_reader_create(env);
    assert_int_equal(env_fetch(r, hash, &b, &sequence), 0);
    env_reader_destroy(r);
    b.data[b.size - 1] ^= 1;
    assert_int_equal(env_begin(env, &t), 0);
    assert_int_equal(env_put(&t, sequence + 1, hash, slice_of(b.data, b.size)), 0);
    assert_int_equal(env_commit(&t), 0);
    env_close(env);
    env_buffer_free(&b);
    rig_open(&rig);
    rig_expect_none(&rig, "a");
    assert_int_equal(rig_figures(&rig).warm_bad_records, 1);
    rig_settle(&rig);
    assert_int_equal(rig_figures(&rig).warm_entries, 0);
    rig_close(&rig);
}

/* ======= the restart of L1 ======= */

static char order[64];
static unsigned order_max, taken_hot; /* how many came while the hot set was not all back */
static bool order_done;

static bool take_in_order(void *user, const struct entry *e)
{
    if (strlen(order) == order_max)
        return false;
    strncat(order, e->key.data, 1);
    taken_hot += warm_restores_hot(rig.warm);
    return true;
}

static void note_done(void *user, uint64_t taken)
{
    order_done = true;
    assert_int_equal(taken, strlen(order));
}

static void restore(unsigned max)
{
    order[0] = '\0';
    order_max = max;
    order_done = false;
    taken_hot = 0;
    warm_restore(rig.warm, take_in_order, note_done, NULL);
}

static void finish_restore(void)
{
    while (!order_done)
        loop_run_once(rig.loop);
}

static void store_a_to_e_with_d_and_b_hot(void)
{
    rig_open(&rig);
    const char *keys[] = {"a", "b", "c", "d", "e"};
    for (unsigned n = 0; n < 5; n++)
        rig_put(&rig, keys[n], "1");
    const uint64_t hot[] = {rig_hash(&rig, "d"), rig_hash(&rig, "b")};
    warm_save_hot(rig.warm, 300, hot, 2);
    restart();
}

static void how_large_hot_entries_were_is_known_to_the_next_run(void **state)
{
    rig_open(&rig);
    assert_int_equal(rig.memory.usual_entry, 0);
    rig_close(&rig);
    store_a_to_e_with_d_and_b_hot();
    assert_int_equal(rig.memory.usual_entry, 300);
    rig_close(&rig);
}

static void the_hot_set_comes_back_first_then_the_newest(void **state)
{
    store_a_to_e_with_d_and_b_hot();
    restore(60);
    finish_restore();
    assert_memory_equal(order, "dbedcba", 7); /* what was hot is offered again: its taker knows it by then */
    assert_int_equal(rig_figures(&rig).warm_restored, 7);
    rig_close(&rig);
}

static void the_hot_set_is_known_to_be_back_before_the_newest_come(void **state)
{
    store_a_to_e_with_d_and_b_hot();
    assert_false(warm_restores_hot(rig.warm));
    restore(60);
    assert_true(warm_restores_hot(rig.warm));
    finish_restore();
    assert_int_equal(taken_hot, strlen("db"));
    assert_false(warm_restores_hot(rig.warm));
    rig_close(&rig);
}

static void the_restore_ends_when_no_more_is_taken(void **state)
{
    store_a_to_e_with_d_and_b_hot();
    restore(3);
    finish_restore();
    assert_string_equal(order, "dbe");
    assert_false(warm_restores_hot(rig.warm));
    rig_close(&rig);
}

static void what_is_changed_during_the_restore_is_not_restored(void **state)
{
    store_a_to_e_with_d_and_b_hot();
    restore(60);
    rig_drop(&rig, "d");
    rig_put(&rig, "e", "2");
    finish_restore();
    assert_string_equal(order, "bcba");
    rig_close(&rig);
}

static void a_stop_during_the_restore_ends_it(void **state)
{
    store_a_to_e_with_d_and_b_hot();
    restore(60);
    rig_close(&rig);
    assert_true(order_done);
    assert_string_equal(order, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_rig, drop_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_entry_survives_a_restart),
        TEST(secret_and_epoch_stay_and_the_start_number_grows),
        TEST(kills_survive_a_restart),
        TEST(a_floor_survives_a_restart),
        TEST(expiry_goes_on_over_a_restart),
        TEST(a_clean_stop_is_believed_in_another_boot),
        TEST(what_was_committed_survives_kill_9),
        TEST(an_uncommitted_set_or_kill_leaves_nothing_older_behind_after_kill_9),
        TEST(the_journal_survives_being_killed_before_its_replay_is_committed),
        TEST(an_uncommitted_softening_survives_kill_9),
        TEST(a_soft_kill_does_not_take_back_a_hard_one),
        TEST(without_a_page_a_change_is_unsafe_until_the_barrier_and_safe_after_it),
        TEST(another_boot_without_a_clean_stop_starts_empty),
        TEST(a_lost_page_after_an_unclean_stop_starts_empty),
        TEST(a_run_without_the_directory_makes_it_untrusted),
        TEST(an_older_copy_of_the_file_starts_empty),
        TEST(a_second_daemon_is_told_that_the_directory_is_taken),
        TEST(a_second_daemon_does_not_get_the_page_either),
        TEST(a_file_in_place_of_the_directory_is_an_error),
        TEST(flipped_bytes_never_crash_it_and_never_show_a_wrong_value),
        TEST(a_corrupt_file_is_moved_aside_and_one_of_them_is_kept),
        TEST(a_record_with_a_wrong_checksum_is_a_miss_and_goes),
        TEST(how_large_hot_entries_were_is_known_to_the_next_run),
        TEST(the_hot_set_comes_back_first_then_the_newest),
        TEST(the_hot_set_is_known_to_be_back_before_the_newest_come),
        TEST(the_restore_ends_when_no_more_is_taken),
        TEST(what_is_changed_during_the_restore_is_not_restored),
        TEST(a_stop_during_the_restore_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
