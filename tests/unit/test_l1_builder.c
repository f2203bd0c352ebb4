/* The memory of an incarnation is made and given back in the pool; whatever becomes of it, nothing is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <semaphore.h>
#include <stdlib.h>
#include "support/l1_fixture.h"

/* ---- a loop whose pool, of one thread, does nothing until it is let go ----------------------------------------- */

struct rig {
    struct loop *loop;
    struct builder *builder;
    struct later stop;
    struct offload block;
    bool blocked;
    sem_t go_on;
    unsigned files;
};

static unsigned open_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    unsigned count = 0;
    while (readdir(d))
        count++;
    closedir(d);
    return count;
}

static void work_wait(struct offload *o)
{
    while (sem_wait(&CONTAINER_OF(o, struct rig, block)->go_on) != 0)
        ;
}

static void waited(struct offload *o)
{
    CONTAINER_OF(o, struct rig, block)->blocked = false;
}

static void block_pool(struct rig *r)
{
    r->blocked = true;
    offload_start(r->loop, &r->block);
}

static void stop(struct later *w)
{
    loop_stop(CONTAINER_OF(w, struct rig, stop)->loop);
}

/* Until nothing is under way in the pool. */
static void run(struct rig *r)
{
    if (r->blocked)
        sem_post(&r->go_on);
    later_ask(r->loop, &r->stop);
    loop_run(r->loop);
    assert_false(r->blocked);
}

static struct rig *rig_create(bool with_loop)
{
    struct rig *r = must_alloc(sizeof(*r));
    sem_init(&r->go_on, 0, 0);
    later_init(&r->stop, stop);
    r->block = (struct offload){.work = work_wait, .done = waited};
    r->loop = loop_create();
    run(r); /* the pool has its thread, and that its memory */
    r->files = open_files();
    r->builder = builder_create(with_loop ? r->loop : NULL);
    return r;
}

static void rig_destroy(struct rig *r)
{
    r->builder = builder_destroy(r->builder);
    run(r);
    assert_int_equal(open_files(), r->files);
    loop_destroy(r->loop);
    sem_destroy(&r->go_on);
    free(r);
}

static struct memory_plan small(void)
{
    return (struct memory_plan){.options = {.l1_bytes = 4 << 20}, .made_for = FIT_DEFAULT};
}

static void make(struct rig *r)
{
    struct memory_plan plan = small();
    builder_make(r->builder, &plan);
}

static struct memory made_at_once(void)
{
    struct memory_plan plan = small();
    struct memory m;
    assert_int_equal(memory_make(&plan, &m), 0);
    return m;
}

/* ---- made -------------------------------------------------------------------------------------------------------- */

static void it_is_made_in_the_pool_and_can_be_taken_then(void **state)
{
    struct rig *r = rig_create(true);
    struct memory m;
    block_pool(r);
    make(r);
    assert_int_equal(open_files(), r->files);
    assert_int_equal(builder_take(r->builder, &m), BUILDER_NOT_YET);
    run(r);
    assert_int_equal(builder_take(r->builder, &m), 0);
    assert_int_equal(m.made_for, FIT_DEFAULT);
    assert_int_equal(builder_take(r->builder, &m), BUILDER_NOT_YET);
    memory_unmake(&m);
    rig_destroy(r);
}

static void one_is_made_at_a_time(void **state)
{
    struct rig *r = rig_create(true);
    make(r);
    make(r);
    run(r);
    make(r);
    run(r);
    assert_int_equal(open_files(), r->files + 1);
    rig_destroy(r);
}

static void what_the_system_refuses_is_told_once(void **state)
{
    struct rig *r = rig_create(true);
    struct memory_plan plan = small();
    struct memory m;
    plan.options.l1_bytes = 1ull << 62; /* no address space has it */
    builder_make(r->builder, &plan);
    run(r);
    assert_true(builder_take(r->builder, &m) < 0);
    assert_int_equal(builder_take(r->builder, &m), BUILDER_NOT_YET);
    rig_destroy(r);
}

static void what_is_not_wanted_any_more_is_given_back_made_or_not(void **state)
{
    struct rig *r = rig_create(true);
    struct memory m;
    for (int made = 0; made < 2; made++) {
        make(r);
        if (made)
            run(r);
        builder_drop(r->builder);
        run(r);
        assert_int_equal(builder_take(r->builder, &m), BUILDER_NOT_YET);
        assert_int_equal(open_files(), r->files);
    }
    make(r);
    run(r);
    assert_int_equal(builder_take(r->builder, &m), 0);
    memory_unmake(&m);
    rig_destroy(r);
}

/* ---- given back -------------------------------------------------------------------------------------------------- */

static void it_is_given_back_in_the_pool(void **state)
{
    struct rig *r = rig_create(true);
    struct memory m = made_at_once();
    block_pool(r);
    builder_give_back(r->builder, &m);
    assert_int_equal(open_files(), r->files + 1);
    run(r);
    assert_int_equal(open_files(), r->files);
    rig_destroy(r);
}

static void a_second_one_is_given_back_in_the_call(void **state)
{
    struct rig *r = rig_create(true);
    struct memory m = made_at_once(), another = made_at_once();
    block_pool(r);
    builder_give_back(r->builder, &m);
    builder_give_back(r->builder, &another);
    assert_int_equal(open_files(), r->files + 1);
    rig_destroy(r);
}

static void without_a_loop_everything_is_done_in_the_call(void **state)
{
    struct rig *r = rig_create(false);
    struct memory m;
    make(r);
    assert_int_equal(builder_take(r->builder, &m), 0);
    builder_give_back(r->builder, &m);
    assert_int_equal(open_files(), r->files);
    rig_destroy(r);
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void what_is_under_way_at_the_end_leaves_nothing(void **state)
{
    struct rig *r = rig_create(true);
    struct memory m = made_at_once();
    block_pool(r);
    make(r);
    builder_give_back(r->builder, &m);
    rig_destroy(r);
}

static void what_was_made_and_never_taken_is_not_left_at_the_end(void **state)
{
    struct rig *r = rig_create(true);
    make(r);
    run(r);
    rig_destroy(r);
}

/* ---- of L1 --------------------------------------------------------------------------------------------------------- */

/* The fixture has no loop, so that nothing of it runs by itself; its builder has, here. */
static struct fixture *full_of_large_ones(struct rig *r)
{
    static const char zeros[4096];
    char key[32];
    struct fixture *f = fixture_create(16 << 20, 0);
    builder_destroy(f->l1->builder);
    f->l1->builder = builder_create(r->loop);
    for (unsigned n = 0; n < 8000; n++) {
        snprintf(key, sizeof(key), "number:%u", n);
        struct entry e = fixture_entry(f, key, slice_of(zeros, sizeof(zeros)));
        f->tier->ops->put(f->tier, &e);
    }
    fixture_put(f, "mine", "1");
    return f;
}

static void readers_hit_in_the_old_segment_while_the_new_one_is_made(void **state)
{
    struct rig *r = rig_create(true);
    struct fixture *f = full_of_large_ones(r);
    uint64_t incarnation = l1_incarnation(f->l1);
    assert_int_equal(l1_refit(f->l1), L1_REFITTING);
    fixture_put(f, "later", "2");
    assert_int_equal(fixture_see(f, "mine").outcome, SHM_HIT);
    assert_int_equal(fixture_see(f, "later").outcome, SHM_HIT);
    assert_int_equal(l1_incarnation(f->l1), incarnation);
    run(r);
    assert_int_equal(l1_refit(f->l1), 0);
    assert_int_equal(fixture_see(f, "mine").outcome, SHM_ASK);
    assert_int_not_equal(l1_incarnation(f->l1), incarnation);
    assert_int_equal(fixture_measure(f)->l1_refits, 1);
    assert_int_equal(f->figures.l1_entries, 0);
    fixture_destroy(f);
    rig_destroy(r);
}

static void a_new_segment_that_another_incarnation_came_before_is_dropped(void **state)
{
    struct rig *r = rig_create(true);
    struct fixture *f = full_of_large_ones(r);
    assert_int_equal(l1_refit(f->l1), L1_REFITTING);
    assert_int_equal(segment_renew(f->l1), 0);
    assert_int_equal(l1_refit(f->l1), L1_FITS);
    run(r);
    fixture_attach(f);
    fixture_put(f, "mine", "2");
    assert_int_equal(l1_refit(f->l1), L1_FITS);
    assert_int_equal(fixture_see(f, "mine").outcome, SHM_HIT);
    assert_int_equal(fixture_measure(f)->l1_refits, 0);
    fixture_destroy(f);
    rig_destroy(r);
}

int main(void)
{
    setenv("UV_THREADPOOL_SIZE", "1", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_made_in_the_pool_and_can_be_taken_then),
        cmocka_unit_test(one_is_made_at_a_time),
        cmocka_unit_test(what_the_system_refuses_is_told_once),
        cmocka_unit_test(what_is_not_wanted_any_more_is_given_back_made_or_not),
        cmocka_unit_test(it_is_given_back_in_the_pool),
        cmocka_unit_test(a_second_one_is_given_back_in_the_call),
        cmocka_unit_test(without_a_loop_everything_is_done_in_the_call),
        cmocka_unit_test(what_is_under_way_at_the_end_leaves_nothing),
        cmocka_unit_test(what_was_made_and_never_taken_is_not_left_at_the_end),
        cmocka_unit_test(readers_hit_in_the_old_segment_while_the_new_one_is_made),
        cmocka_unit_test(a_new_segment_that_another_incarnation_came_before_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
