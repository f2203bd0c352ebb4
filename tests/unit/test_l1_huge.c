/* Huge pages: asked for ahead of need, and right without them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "l1/huge.h"
#include "proto/shm_map.h"

enum { BLOCK = 2 << 20, BLOCKS = 8 };

static int file_of(uint64_t bytes)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    return fd;
}

/* As many as the kernel maps as such, in bytes. */
static uint64_t mapped_huge(const void *at)
{
    char line[256], begin[32];
    unsigned long kib = 0;
    bool here = false;
    FILE *f = fopen("/proc/self/smaps", "re");
    snprintf(begin, sizeof(begin), "%lx-", (unsigned long)(uintptr_t)at);
    while (fgets(line, sizeof(line), f)) {
        here = here ? strncmp(line, "VmFlags", 7) != 0 : strncmp(line, begin, strlen(begin)) == 0;
        if (here && sscanf(line, "ShmemPmdMapped: %lu kB", &kib) == 1)
            break;
    }
    fclose(f);
    return kib * 1024ull;
}

static bool has_huge_pages(void)
{
    int fd = file_of(BLOCK);
    uint64_t got = huge_begin(fd, 1, BLOCK, UINT64_MAX);
    close(fd);
    return got > 0;
}

#define NEEDS_HUGE_PAGES()                                              \
    if (!has_huge_pages()) {                                            \
        print_message("this kernel gives no huge pages to who asks\n"); \
        skip();                                                         \
    }

static void what_the_index_lies_in_is_huge_before_anybody_maps_it(void **state)
{
    NEEDS_HUGE_PAGES();
    int fd = file_of(BLOCKS * BLOCK);
    uint64_t got = huge_begin(fd, BLOCK + 1, BLOCKS * BLOCK, UINT64_MAX);
    assert_in_range(got, BLOCK, 2 * BLOCK); /* memory may be in pieces */
    char *at = shm_map(fd, BLOCKS * BLOCK, PROT_READ | PROT_WRITE);
    for (unsigned i = 0; i < BLOCKS * BLOCK; i += 4096)
        assert_int_equal(at[i], 0);
    assert_int_equal(mapped_huge(at), got);
    munmap(at, BLOCKS * BLOCK);
    close(fd);
}

static void without_time_none_is_asked_for(void **state)
{
    int fd = file_of(BLOCK);
    assert_int_equal(huge_begin(fd, 1, BLOCK, 0), 0);
    close(fd);
}

static void a_mapping_fits_its_huge_pages_and_ends_where_the_file_ends(void **state)
{
    enum { BYTES = BLOCK + 3 * 4096 };
    int fd = file_of(BYTES);
    char *at = shm_map(fd, BYTES, PROT_READ | PROT_WRITE);
    assert_int_equal((uintptr_t)at % BLOCK, 0);
    at[BYTES - 1] = 'x';
    char last;
    assert_int_equal(pread(fd, &last, 1, BYTES - 1), 1);
    assert_int_equal(last, 'x');
    void *next = mmap(at + BYTES, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    assert_ptr_equal(next, at + BYTES); /* nothing of the room it was found in is left */
    munmap(next, 4096);
    munmap(at, BYTES);
    close(fd);
}

static void stop(struct timer *t)
{
    timer_finish(t, NULL);
    loop_stop(t->loop);
}

/* A loop that is stopped still waits for what the pool has, and for what begins when that ends. */
static void until_nothing_is_asked_for(struct loop *loop)
{
    struct timer at_once;
    timer_init(&at_once, loop, stop);
    timer_start(&at_once, 0, 0);
    loop_run(loop);
}

static uint64_t ahead(uint64_t from, uint64_t used, uint64_t bytes)
{
    struct loop *loop = loop_create();
    int fd = file_of(bytes);
    struct huge *h = huge_create(loop, fd, from, bytes);
    huge_used(h, used);
    close(fd); /* it has its own */
    until_nothing_is_asked_for(loop);
    uint64_t asked = huge_asked(h);
    assert_true(huge_bytes(h) <= asked);
    assert_null(huge_destroy(h));
    loop_destroy(loop);
    return asked;
}

static void blocks_are_asked_for_a_little_ahead_of_need(void **state)
{
    assert_int_equal(ahead(1, 1, BLOCKS * BLOCK), 2 * BLOCK);
    assert_int_equal(ahead(0, 2 * BLOCK, BLOCKS * BLOCK),
                     3 * BLOCK); /* one had begun; what is in use is left alone */
    assert_int_equal(ahead(0, BLOCKS * BLOCK, BLOCKS * BLOCK), BLOCK);
    assert_int_equal(ahead(0, BLOCK, 2 * BLOCK - 4096), BLOCK); /* half a block at the end is none */
    assert_int_equal(ahead(0, 0, BLOCK - 4096), 0);
}

static void one_that_is_under_way_outlives_its_owner(void **state)
{
    struct loop *loop = loop_create();
    int fd = file_of(BLOCKS * BLOCK);
    struct huge *h = huge_create(loop, fd, 0, BLOCKS * BLOCK);
    assert_null(huge_destroy(h));
    close(fd);
    until_nothing_is_asked_for(loop);
    loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_index_lies_in_is_huge_before_anybody_maps_it),
        cmocka_unit_test(without_time_none_is_asked_for),
        cmocka_unit_test(a_mapping_fits_its_huge_pages_and_ends_where_the_file_ends),
        cmocka_unit_test(blocks_are_asked_for_a_little_ahead_of_need),
        cmocka_unit_test(one_that_is_under_way_outlives_its_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
