/* The runtime page, and what directory and page together are believed. */
#include "support/warm_rig.h"

#include <fcntl.h>

#include "warm/trust.h"

static struct page *page;
static struct page_found found;

static void open_page(const char *boot_id)
{
    assert_int_equal(page_open_in(rig.page_path, boot_id, &page, &found), 0);
}

static int make_page(void **state)
{
    rig_make(&rig);
    open_page(BOOT_A);
    return 0;
}

static int drop_page(void **state)
{
    page = page_close(page, false);
    rig_remove(&rig);
    return 0;
}

static void reopen(const char *boot_id, bool clean)
{
    page_close(page, clean);
    open_page(boot_id);
}

/* ======= the page ======= */

static void a_new_page_knows_nothing(void **state)
{
    assert_false(found.same_boot || found.clean);
    assert_true(found.alive_until_ns == 0 && page_floor(page) == 0 && !page_full(page));
}

static void the_mirror_survives_within_the_boot(void **state)
{
    page_mirror(page, 12345);
    reopen(BOOT_A, false);
    assert_true(found.same_boot && !found.clean && found.alive_until_ns == 12345);
}

static void a_clean_stop_is_told_once(void **state)
{
    reopen(BOOT_A, true);
    assert_true(found.clean);
    reopen(BOOT_A, false);
    assert_false(found.clean);
}

static void another_boot_begins_anew(void **state)
{
    struct page_owner before, after;
    page_owner(page, &before);
    page_mirror(page, 12345);
    page_append(page, PAGE_KEY, 1, 2);
    reopen(BOOT_B, true);
    page_owner(page, &after);
    assert_false(found.same_boot || found.clean);
    assert_true(found.alive_until_ns == 0 && after.id != before.id);
}

static void a_page_off_tmpfs_is_refused(void **state)
{
    struct page *other;
    struct page_found none;
    char path[] = "/var/tmp/larder-page-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    int rc = page_open_in(path, BOOT_A, &other, &none);
    page_close(rc == 0 ? other : NULL, false);
    unlink(path);
    if (rc == 0)
        skip(); /* it is on tmpfs here */
    assert_null(other);
}

static struct page_record seen[8];
static unsigned seen_count;

static void note(void *user, const struct page_record *record)
{
    seen[seen_count++ % COUNT_OF(seen)] = *record;
}

static void what_is_not_forgotten_is_replayed_in_order(void **state)
{
    uint64_t first = page_append(page, PAGE_KEY, 10, 100);
    page_append(page, PAGE_NAME, 20, 200);
    page_append(page, PAGE_SOFT_NAME, 30, 300);
    page_forget(page, first, 100);
    reopen(BOOT_A, false);
    seen_count = 0;
    assert_true(page_replay(page, note, NULL));
    assert_int_equal(seen_count, 2);
    assert_true(seen[0].kind == PAGE_NAME && seen[0].hash == 20 && seen[0].number == 200);
    assert_true(seen[1].kind == PAGE_SOFT_NAME && seen[1].hash == 30 && seen[1].number == 300);
}

static void a_full_journal_says_so_until_something_is_forgotten(void **state)
{
    uint64_t end = 0, last;
    while ((last = page_append(page, PAGE_KEY, 1, 1)))
        end = last;
    assert_true(page_full(page) && end == (8 << 20) / 24);
    page_forget(page, 1, 1);
    assert_false(page_full(page));
    assert_true(page_append(page, PAGE_KEY, 2, 2) == end + 1);
    seen_count = 0;
    assert_true(page_replay(page, note, NULL));
    assert_int_equal(seen_count, end);
}

static void forgetting_and_the_floor_never_go_back(void **state)
{
    page_append(page, PAGE_KEY, 1, 1);
    uint64_t end = page_append(page, PAGE_KEY, 2, 2);
    page_forget(page, end, 2);
    page_forget(page, 1, 1);
    page_set_floor(page, 9);
    page_set_floor(page, 3);
    seen_count = 0;
    assert_true(page_replay(page, note, NULL) && seen_count == 0 && page_floor(page) == 9);
}

static void a_damaged_record_makes_the_journal_unbelievable(void **state)
{
    page_append(page, PAGE_KEY, 1, 1);
    page = page_close(page, false);
    int fd = open(rig.page_path, O_RDWR);
    assert_int_equal(pwrite(fd, "\x7f", 1, 4096), 1);
    close(fd);
    open_page(BOOT_A);
    assert_false(page_replay(page, note, NULL));
}

/* ======= trust ======= */

struct trust_row {
    const char *title;
    const char *state_boot;
    bool clean;
    uint64_t page_id, start_no, applied; /* of the directory */
    bool page_same_boot;
    struct page_owner owner; /* of the page */
    bool believed;
};

static const struct trust_row rows[] = {
    {"clean, same boot", BOOT_A, true, 1, 5, 9, true, {1, 7, 5, 9, false}, true},
    {"clean, another boot", BOOT_B, true, 1, 5, 9, false, {0}, true},
    {"clean, the page is gone", BOOT_A, true, 1, 5, 9, false, {0}, true},
    {"unclean, same boot, its page", BOOT_A, false, 1, 5, 9, true, {1, 7, 5, 8, false}, true},
    {"unclean, killed between commit and note", BOOT_A, false, 1, 5, 9, true, {1, 7, 4, 8, false}, true},
    {"unclean, ran without a page", BOOT_A, false, 0, 5, 9, true, {1, 0, 0, 0, false}, true},
    {"unclean, another boot", BOOT_B, false, 1, 5, 9, false, {0}, false},
    {"unclean, the page is gone", BOOT_A, false, 1, 5, 9, false, {2, 0, 0, 0, false}, false},
    {"unclean, another page", BOOT_A, false, 1, 5, 9, true, {2, 7, 5, 8, false}, false},
    {"unclean, a page of long ago", BOOT_A, false, 1, 5, 9, true, {1, 7, 3, 2, false}, false},
    {"the page saw a later run", BOOT_A, true, 1, 5, 9, true, {1, 7, 6, 9, false}, false},
    {"the page saw a later commit", BOOT_A, true, 1, 5, 9, true, {1, 7, 5, 10, false}, false},
    {"the page belongs to another directory", BOOT_A, true, 1, 5, 9, true, {1, 8, 5, 9, false}, false},
    {"a daemon ran without the directory", BOOT_A, true, 1, 5, 9, true, {1, 7, 5, 9, true}, false},
    {"the same after another boot", BOOT_B, true, 1, 5, 9, true, {1, 0, 0, 0, true}, false},
};

static void a_directory_is_believed_only_when_it_cannot_have_missed_anything(void **state)
{
    for (unsigned n = 0; n < COUNT_OF(rows); n++) {
        const struct trust_row *row = &rows[n];
        struct env_state s = {.epoch = 7,
                              .clean = row->clean,
                              .page_id = row->page_id,
                              .start_no = row->start_no,
                              .applied = row->applied};
        memcpy(s.boot_id, row->state_boot, 37);
        struct trust t = {
            .state = &s, .boot_id = BOOT_A, .page_same_boot = row->page_same_boot, .owner = row->owner};
        if ((trust_judge(&t) == NULL) != row->believed)
            fail_msg("%s: %s", row->title, row->believed ? trust_judge(&t) : "believed");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_page, drop_page)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_page_knows_nothing),
        TEST(the_mirror_survives_within_the_boot),
        TEST(a_clean_stop_is_told_once),
        TEST(another_boot_begins_anew),
        TEST(a_page_off_tmpfs_is_refused),
        TEST(what_is_not_forgotten_is_replayed_in_order),
        TEST(a_full_journal_says_so_until_something_is_forgotten),
        TEST(forgetting_and_the_floor_never_go_back),
        TEST(a_damaged_record_makes_the_journal_unbelievable),
        cmocka_unit_test(a_directory_is_believed_only_when_it_cannot_have_missed_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
