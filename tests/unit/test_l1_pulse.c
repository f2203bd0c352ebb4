/* L1 on a real loop: the lease is renewed and kills are swept without anybody asking. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "l1/l1_private.h"

enum { NAME = 7777 }; /* a tag's: neither a floor nor a glob */

struct watch {
    struct timer timer;
    struct loop *loop;
    struct l1 *l1;
    uint64_t first_lease;
    bool renewed, swept;
};

static void look(struct timer *t)
{
    struct watch *w = CONTAINER_OF(t, struct watch, timer);
    w->renewed |= order_own(&w->l1->header->alive_until) > w->first_lease;
    w->swept |= order_own(&w->l1->header->last_kill) == 0;
    if (!w->renewed || !w->swept)
        return;
    timer_finish(&w->timer, NULL);
    w->l1 = l1_destroy(w->l1);
    loop_stop(w->loop);
}

static void the_loop_renews_the_lease_and_sweeps_after_a_kill(void **state)
{
    struct l1_options options = {.l1 = true, .l1_bytes = 4 << 20, .l1_lease = 500 * NS_PER_MS};
    struct watch w = {.loop = loop_create()};
    struct kills *kills = kills_create(1);
    struct l1_setup setup = {.options = &options, .loop = w.loop, .kills = kills, .namespace = "test"};
    assert_int_equal(l1_create(&setup, &w.l1), 0);
    l1_open(w.l1);
    struct tier *tier = l1_tier(w.l1);
    kills_add(kills, NAME, 1, false);
    tier->ops->kill(tier, NAME, 1, false);
    assert_int_not_equal(order_own(&w.l1->header->last_kill), 0);
    w.first_lease = order_own(&w.l1->header->alive_until);
    timer_init(&w.timer, w.loop, look);
    timer_start(&w.timer, NS_PER_MS, NS_PER_MS);
    loop_run(w.loop);
    assert_true(w.renewed && w.swept);
    assert_null(w.l1);
    loop_destroy(w.loop);
    kills_destroy(kills);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_loop_renews_the_lease_and_sweeps_after_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
