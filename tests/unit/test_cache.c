/* The decisions of cache/ over two tables: which tier is asked, what a change reaches, who may join whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/clock.h"
#include "cache/cache.h"
#include "support/table_tier.h"

enum { SECRET = 7, EPOCH = 99 };

struct fixture {
    uint64_t now_ns;
    struct cache_options options;
    struct kills *kills;
    struct table_tier l1, warm;
    struct cache *cache;
};

static uint64_t fake_now(const void *clock)
{
    return *(const uint64_t *)clock;
}

static void open_cache(struct fixture *f, uint64_t gate_until_ns)
{
    struct cache_setup setup = {.options = &f->options,
                                .now_ns = fake_now,
                                .clock = &f->now_ns,
                                .namespace = "default",
                                .kills = f->kills,
                                .l1 = &f->l1.tier,
                                .warm = &f->warm.tier,
                                .hash_secret = SECRET,
                                .epoch = EPOCH,
                                .start_no = 3,
                                .gate_until_ns = gate_until_ns};
    f->cache = cache_create(&setup);
}

static int begin(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->now_ns = 1000 * NS_PER_S;
    f->options = (struct cache_options){
        .cache = true, .ttl = 60 * NS_PER_S, .max_ttl = 600 * NS_PER_S, .max_value = 1000};
    f->kills = kills_create(SECRET);
    table_tier_init(&f->l1, TIER_L1, f->kills);
    table_tier_init(&f->warm, TIER_WARM, f->kills);
    open_cache(f, 0);
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    cache_destroy(f->cache);
    kills_destroy(f->kills);
    free(f);
    return 0;
}

/* ======= shorthands ======= */

struct asked {
    struct cache_get get;
    unsigned done;
};

static void get_done(struct cache_get *get)
{
    ((struct asked *)get)->done++;
}

static int ask(struct fixture *f, struct asked *a, const char *key)
{
    *a = (struct asked){.get = {.key = slice_text(key), .done = get_done}};
    return cache_get(f->cache, &a->get);
}

static enum status get(struct fixture *f, const char *key)
{
    struct asked a;
    assert_int_equal(ask(f, &a, key), CACHE_DONE);
    return a.get.status;
}

static unsigned sets_done;

static void set_done(struct cache_set *set)
{
    sets_done++;
}

static struct cache_set a_set(const char *key, const char *value)
{
    return (struct cache_set){.key = slice_text(key),
                              .value = slice_text(value),
                              .ttl_ms = CACHE_TTL_DEFAULT,
                              .stale_ms = CACHE_TTL_DEFAULT,
                              .done = set_done};
}

static enum status set(struct fixture *f, const char *key, const char *value)
{
    struct cache_set s = a_set(key, value);
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    return s.status;
}

static void invalidate_done(struct cache_invalidate *i)
{
    sets_done++;
}

static enum status invalidate(struct fixture *f, const char *key)
{
    struct slice keys[] = {slice_text(key)};
    struct cache_invalidate i = {.keys = keys, .keys_count = 1, .done = invalidate_done};
    assert_int_equal(cache_invalidate(f->cache, &i), CACHE_DONE);
    return i.status;
}

static enum status kill_tag(struct fixture *f, const char *tag)
{
    struct slice tags[] = {slice_text(tag)};
    struct cache_invalidate i = {.tags = tags, .tags_count = 1, .done = invalidate_done};
    assert_int_equal(cache_invalidate(f->cache, &i), CACHE_DONE);
    return i.status;
}

/* ======= get ======= */

static void a_set_is_found_in_both_tiers(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(set(f, "k", "v"), STATUS_OK);
    assert_int_equal(get(f, "k"), STATUS_HIT);
    assert_non_null(table_tier_find(&f->l1, slice_text("k")));
    assert_non_null(table_tier_find(&f->warm, slice_text("k")));
}

static void a_hit_in_warm_is_carried_into_l1(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v");
    table_tier_find(&f->l1, slice_text("k"))->used = false;
    struct asked a;
    ask(f, &a, "k");
    assert_int_equal(a.get.tier, TIER_WARM);
    assert_int_equal(get(f, "k"), STATUS_HIT);
    ask(f, &a, "k");
    assert_int_equal(a.get.tier, TIER_L1);
}

static void promotion_keeps_the_remaining_life(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v");
    uint64_t hard_ns = table_tier_find(&f->warm, slice_text("k"))->entry.hard_ns;
    table_tier_find(&f->l1, slice_text("k"))->used = false;
    f->now_ns += 30 * NS_PER_S;
    get(f, "k");
    assert_int_equal(table_tier_find(&f->l1, slice_text("k"))->entry.hard_ns, hard_ns);
}

static void past_soft_is_stale_and_past_hard_is_a_miss(void **state)
{
    struct fixture *f = *state;
    struct cache_set s = a_set("k", "v");
    s.ttl_ms = 1000;
    s.stale_ms = 1000;
    cache_set(f->cache, &s);
    struct asked a;
    f->now_ns += NS_PER_S;
    ask(f, &a, "k");
    assert_int_equal(a.get.status, STATUS_HIT);
    assert_true(a.get.entry.stale);
    a = (struct asked){.get = {.key = slice_text("k"), .no_stale = true}};
    cache_get(f->cache, &a.get);
    assert_int_equal(a.get.status, STATUS_MISS);
    assert_int_equal(a.get.reason, MISS_STALE);
    f->now_ns += NS_PER_S;
    ask(f, &a, "k");
    assert_int_equal(a.get.status, STATUS_MISS);
    assert_int_equal(a.get.reason, MISS_EXPIRED);
}

static void a_version_that_is_current_is_not_sent_again(void **state)
{
    struct fixture *f = *state;
    struct cache_set s = a_set("k", "v");
    cache_set(f->cache, &s);
    struct cache_get g = {.key = slice_text("k"), .if_version = true, .version = s.result};
    cache_get(f->cache, &g);
    assert_int_equal(g.status, STATUS_NOT_MODIFIED);
    set(f, "k", "w");
    cache_get(f->cache, &g);
    assert_int_equal(g.status, STATUS_HIT);
}

static void gets_of_one_key_share_one_slow_read(void **state)
{
    struct fixture *f = *state;
    struct asked a, b;
    set(f, "k", "v");
    table_tier_find(&f->l1, slice_text("k"))->used = false;
    f->warm.slow = true;
    f->warm.gets = 0;
    assert_int_equal(ask(f, &a, "k"), CACHE_PENDING);
    assert_int_equal(ask(f, &b, "k"), CACHE_PENDING);
    assert_int_equal(f->warm.gets, 1);
    table_tier_land(&f->warm);
    assert_int_equal(a.done + b.done, 2);
    assert_int_equal(b.get.status, STATUS_HIT);
    assert_non_null(table_tier_find(&f->l1, slice_text("k")));
}

/* F9: the loader's question was asked before the change, the second one after it. */
static void a_get_after_a_change_does_not_join_a_read_from_before(void **state)
{
    struct fixture *f = *state;
    struct asked before, after;
    set(f, "k", "old");
    table_tier_find(&f->l1, slice_text("k"))->used = false;
    f->warm.slow = true;
    ask(f, &before, "k");
    invalidate(f, "k");
    f->warm.gets = 0;
    assert_int_equal(ask(f, &after, "k"), CACHE_PENDING);
    assert_int_equal(f->warm.gets, 1);
    table_tier_land(&f->warm);
    assert_int_equal(before.done, 1);
    assert_int_equal(after.get.status, STATUS_MISS);
}

/* I3: what a read brings that a change overtook is inserted nowhere. */
static void an_overtaken_read_is_not_promoted(void **state)
{
    struct fixture *f = *state;
    struct asked a;
    set(f, "k", "old");
    struct table_row kept = *table_tier_find(&f->warm, slice_text("k"));
    table_tier_find(&f->l1, slice_text("k"))->used = false;
    f->warm.slow = true;
    ask(f, &a, "k");
    invalidate(f, "k");
    kept.entry.key.data = kept.key; /* the read had seen the old record: hand it out late */
    kept.entry.value.data = kept.value;
    f->warm.rows[0] = kept;
    f->warm.rows[0].entry.key.data = f->warm.rows[0].key;
    f->warm.rows[0].entry.value.data = f->warm.rows[0].value;
    table_tier_land(&f->warm);
    assert_int_equal(a.done, 1);
    assert_null(table_tier_find(&f->l1, slice_text("k")));
}

static void a_key_is_1_to_1024_bytes(void **state)
{
    struct fixture *f = *state;
    static char longest[1025];
    memset(longest, 'k', sizeof(longest));
    struct cache_get g = {.key = slice_of(longest, 1024)};
    cache_get(f->cache, &g);
    assert_int_equal(g.status, STATUS_MISS);
    g.key.size = 1025;
    cache_get(f->cache, &g);
    assert_int_equal(g.status, STATUS_BAD_KEY);
    g.key.size = 0;
    cache_get(f->cache, &g);
    assert_int_equal(g.status, STATUS_BAD_KEY);
}

static void switched_off_everything_misses_and_nothing_is_stored(void **state)
{
    struct fixture *f = *state;
    f->options.cache = false;
    assert_int_equal(set(f, "k", "v"), STATUS_SKIPPED);
    struct asked a;
    ask(f, &a, "k");
    assert_int_equal(a.get.reason, MISS_DISABLED);
}

/* ======= set ======= */

static enum status set_with_token(struct fixture *f, const struct cache_get *miss, const char *value,
                                  const char *tag)
{
    struct slice tags[] = {slice_text(tag)};
    struct cache_set s = a_set("acme:k", value);
    s.token = slice_of(miss->token, miss->token_bytes);
    s.tags = tags;
    s.tags_count = 1;
    cache_set(f->cache, &s);
    return s.status;
}

static void a_fill_is_stored_when_nothing_happened_since_its_miss(void **state)
{
    struct fixture *f = *state;
    struct asked miss;
    ask(f, &miss, "acme:k");
    set(f, "other", "x");
    assert_int_equal(set_with_token(f, &miss.get, "v", "t"), STATUS_OK);
    assert_int_equal(get(f, "acme:k"), STATUS_HIT);
}

/* C6, once for each way in which a key can be named. */
static void a_fill_is_refused_after_an_invalidation_of_its_key(void **state)
{
    struct fixture *f = *state;
    struct asked miss;
    ask(f, &miss, "acme:k");
    invalidate(f, "acme:k");
    assert_int_equal(set_with_token(f, &miss.get, "v", "t"), STATUS_REFUSED);
    assert_int_equal(get(f, "acme:k"), STATUS_MISS);
}

static void a_fill_is_refused_after_a_set_of_its_key(void **state)
{
    struct fixture *f = *state;
    struct asked miss;
    ask(f, &miss, "acme:k");
    set(f, "acme:k", "newer");
    assert_int_equal(set_with_token(f, &miss.get, "v", "t"), STATUS_REFUSED);
    assert_int_equal(get(f, "acme:k"), STATUS_HIT);
}

static void a_fill_is_refused_after_a_kill_of_its_tag(void **state)
{
    struct fixture *f = *state;
    struct asked miss;
    ask(f, &miss, "acme:k");
    kill_tag(f, "t");
    assert_int_equal(set_with_token(f, &miss.get, "v", "t"), STATUS_REFUSED);
}

static void a_fill_is_refused_after_a_kill_of_its_prefix(void **state)
{
    struct fixture *f = *state;
    struct asked miss;
    ask(f, &miss, "acme:k");
    struct slice prefixes[] = {slice_text("acme:")};
    struct cache_invalidate i = {.prefixes = prefixes, .prefixes_count = 1};
    cache_invalidate(f->cache, &i);
    assert_int_equal(i.status, STATUS_OK);
    assert_int_equal(set_with_token(f, &miss.get, "v", "t"), STATUS_REFUSED);
}

static void a_fill_is_refused_after_everything_was_invalidated(void **state)
{
    struct fixture *f = *state;
    struct asked miss;
    ask(f, &miss, "acme:k");
    struct cache_invalidate i = {.all = true};
    cache_invalidate(f->cache, &i);
    assert_int_equal(set_with_token(f, &miss.get, "v", "t"), STATUS_REFUSED);
}

static void a_token_of_another_epoch_or_of_the_future_is_refused(void **state)
{
    struct fixture *f = *state;
    struct asked miss;
    ask(f, &miss, "acme:k");
    miss.get.token[1] ^= 1;
    assert_int_equal(set_with_token(f, &miss.get, "v", "t"), STATUS_REFUSED);
    ask(f, &miss, "acme:k");
    miss.get.token[10] ^= 0x40;
    assert_int_equal(set_with_token(f, &miss.get, "v", "t"), STATUS_REFUSED);
    miss.get.token_bytes = 3;
    assert_int_equal(set_with_token(f, &miss.get, "v", "t"), STATUS_REFUSED);
}

static void positions_grow_and_begin_with_the_start_number(void **state)
{
    struct fixture *f = *state;
    struct cache_set a = a_set("a", "1"), b = a_set("b", "2");
    cache_set(f->cache, &a);
    cache_set(f->cache, &b);
    assert_int_equal(a.result.v, (3ull << 40) + 1);
    assert_int_equal(b.result.v, (3ull << 40) + 2);
    assert_int_equal(a.result.epoch, EPOCH);
}

static void a_ttl_of_zero_removes_and_stores_nothing(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v");
    struct cache_set s = a_set("k", "w");
    s.ttl_ms = 0;
    cache_set(f->cache, &s);
    assert_int_equal(s.status, STATUS_SKIPPED);
    assert_int_equal(get(f, "k"), STATUS_MISS);
}

static void a_ceiling_bounds_the_life_that_is_asked_for(void **state)
{
    struct fixture *f = *state;
    struct cache_set s = a_set("k", "v");
    s.ttl_ms = UINT64_MAX - 1;
    s.stale_ms = UINT64_MAX - 1;
    cache_set(f->cache, &s);
    assert_int_equal(s.ttl_left_ms, 600 * 1000);
}

static void a_set_for_one_tier_takes_the_old_value_out_of_the_other(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "old");
    struct cache_set s = a_set("k", "new");
    s.tiers = 1 << TIER_WARM;
    cache_set(f->cache, &s);
    assert_null(table_tier_find(&f->l1, slice_text("k")));
    assert_memory_equal(table_tier_find(&f->warm, slice_text("k"))->value, "new", 3);
}

static void a_value_no_tier_takes_is_too_big_and_the_old_one_is_gone(void **state)
{
    struct fixture *f = *state;
    static char big[500];
    set(f, "k", "old");
    struct cache_set s = a_set("k", "");
    s.value = slice_of(big, sizeof(big));
    cache_set(f->cache, &s);
    assert_int_equal(s.status, STATUS_TOO_BIG);
    assert_int_equal(get(f, "k"), STATUS_MISS);
    s.value.size = 1001;
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    assert_int_equal(s.status, STATUS_TOO_BIG);
}

/* The warm tier's queue was full in a burst of values that L1 does not take: that passes, "too big" would not. */
static void a_value_refused_for_want_of_room_is_told_to_come_back(void **state)
{
    struct fixture *f = *state;
    static char big[500];
    f->warm.refuse = f->warm.boundless = true;
    struct cache_set s = a_set("k", "");
    s.value = slice_of(big, sizeof(big));
    cache_set(f->cache, &s);
    assert_int_equal(s.status, STATUS_BUSY);
}

static void seventeen_tags_are_too_many_and_repeats_do_not_count(void **state)
{
    struct fixture *f = *state;
    static char names[17][4];
    struct slice tags[34];
    for (int i = 0; i < 17; i++) {
        names[i][0] = (char)('a' + i);
        tags[i] = tags[i + 17] = slice_text(names[i]);
    }
    struct cache_set s = a_set("k", "v");
    s.tags = tags;
    s.tags_count = 17;
    cache_set(f->cache, &s);
    assert_int_equal(s.status, STATUS_LIMIT);
    assert_int_equal(get(f, "k"), STATUS_MISS);
    for (int i = 16; i < 32; i++)
        tags[i] = tags[i - 16];
    s.tags_count = 32;
    cache_set(f->cache, &s);
    assert_int_equal(s.status, STATUS_OK);
}

static enum status set_if(struct fixture *f, enum cache_condition condition, struct version version)
{
    struct cache_set s = a_set("k", "w");
    s.condition = condition;
    s.version = version;
    assert_int_equal(cache_set(f->cache, &s), CACHE_DONE);
    return s.status;
}

static void conditions_are_judged_by_what_is_there(void **state)
{
    struct fixture *f = *state;
    struct version none = {0};
    assert_int_equal(set_if(f, CACHE_IF_PRESENT, none), STATUS_NOT_FOUND);
    assert_int_equal(set_if(f, CACHE_IF_VERSION, none), STATUS_NOT_FOUND);
    assert_int_equal(set_if(f, CACHE_IF_ABSENT, none), STATUS_OK);
    assert_int_equal(set_if(f, CACHE_IF_ABSENT, none), STATUS_EXISTS);
    assert_int_equal(set_if(f, CACHE_IF_PRESENT, none), STATUS_OK);
    assert_int_equal(set_if(f, CACHE_IF_VERSION, none), STATUS_CONFLICT);
    struct cache_set s = a_set("k", "v");
    cache_set(f->cache, &s);
    assert_int_equal(set_if(f, CACHE_IF_VERSION, s.result), STATUS_OK);
    assert_int_equal(set_if(f, CACHE_IF_VERSION, s.result), STATUS_CONFLICT);
}

/* The look of a compare-and-set waits for a disk; another set comes in between. */
static void a_condition_overtaken_by_a_change_is_judged_anew(void **state)
{
    struct fixture *f = *state;
    struct cache_set first = a_set("k", "v");
    cache_set(f->cache, &first);
    table_tier_find(&f->l1, slice_text("k"))->used = false;
    f->warm.slow = true;
    struct cache_set cas = a_set("k", "w");
    cas.condition = CACHE_IF_VERSION;
    cas.version = first.result;
    sets_done = 0;
    assert_int_equal(cache_set(f->cache, &cas), CACHE_PENDING);
    set(f, "k", "x");
    table_tier_land(&f->warm);
    assert_int_equal(sets_done, 1);
    assert_int_equal(cas.status, STATUS_CONFLICT);
}

static void a_change_that_is_not_safe_is_answered_after_its_commit(void **state)
{
    struct fixture *f = *state;
    f->warm.unsafe = true;
    sets_done = 0;
    struct cache_set s = a_set("k", "v");
    assert_int_equal(cache_set(f->cache, &s), CACHE_PENDING);
    assert_int_equal(get(f, "k"), STATUS_HIT);
    assert_int_equal(sets_done, 0);
    table_tier_commit(&f->warm);
    assert_int_equal(sets_done, 1);
    assert_int_equal(s.status, STATUS_OK);
}

/* F3: a killed predecessor's readers may still serve its segment. */
static void changes_wait_behind_the_gate_and_reads_do_not(void **state)
{
    struct fixture *f = *state;
    cache_destroy(f->cache);
    open_cache(f, f->now_ns + NS_PER_S);
    struct cache_set s = a_set("k", "v");
    sets_done = 0;
    assert_int_equal(cache_set(f->cache, &s), CACHE_PENDING);
    assert_int_equal(get(f, "k"), STATUS_MISS);
    cache_tick(f->cache);
    assert_int_equal(sets_done, 0);
    f->now_ns += NS_PER_S;
    cache_tick(f->cache);
    assert_int_equal(sets_done, 1);
    assert_int_equal(s.status, STATUS_OK);
    assert_int_equal(get(f, "k"), STATUS_HIT);
}

/* ======= touch ======= */

static void touch_lengthens_and_never_shortens(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v");
    struct cache_touch t = {.key = slice_text("k"), .ttl_ms = 300000};
    cache_touch(f->cache, &t);
    assert_int_equal(t.status, STATUS_OK);
    assert_int_equal(t.ttl_left_ms, 300000);
    t.ttl_ms = 1000;
    cache_touch(f->cache, &t);
    assert_int_equal(t.ttl_left_ms, 300000);
    f->now_ns += 299 * NS_PER_S;
    assert_int_equal(get(f, "k"), STATUS_HIT);
    t.key = slice_text("nobody");
    cache_touch(f->cache, &t);
    assert_int_equal(t.status, STATUS_NOT_FOUND);
}

/* ======= invalidate ======= */

static void everything_named_in_one_call_is_one_position(void **state)
{
    struct fixture *f = *state;
    set(f, "a", "1");
    set(f, "b", "2");
    struct slice keys[] = {slice_text("a"), slice_text("b"), slice_text("nobody")},
                 tags[] = {slice_text("t")};
    struct cache_invalidate i = {.keys = keys, .keys_count = 3, .tags = tags, .tags_count = 1};
    uint64_t before = cache_position(f->cache);
    cache_invalidate(f->cache, &i);
    assert_int_equal(i.count, 2);
    assert_int_equal(cache_position(f->cache), before + 1);
    assert_int_equal(i.result.v, before + 1);
    assert_int_equal(get(f, "a"), STATUS_MISS);
}

static void a_killed_tag_hides_what_carried_it_and_not_what_is_set_later(void **state)
{
    struct fixture *f = *state;
    struct slice tags[] = {slice_text("t")};
    struct cache_set s = a_set("k", "v");
    s.tags = tags;
    s.tags_count = 1;
    cache_set(f->cache, &s);
    set(f, "plain", "v");
    kill_tag(f, "t");
    struct asked a;
    ask(f, &a, "k");
    assert_int_equal(a.get.reason, MISS_INVALIDATED);
    assert_int_equal(get(f, "plain"), STATUS_HIT);
    cache_set(f->cache, &s);
    assert_int_equal(get(f, "k"), STATUS_HIT);
}

static void a_soft_invalidation_leaves_it_stale(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v");
    struct slice keys[] = {slice_text("k")};
    struct cache_invalidate i = {.keys = keys, .keys_count = 1, .soft = true};
    cache_invalidate(f->cache, &i);
    struct asked a;
    ask(f, &a, "k");
    assert_int_equal(a.get.status, STATUS_HIT);
    assert_true(a.get.entry.stale);
}

static void a_dry_run_counts_and_changes_nothing(void **state)
{
    struct fixture *f = *state;
    set(f, "k", "v");
    struct slice keys[] = {slice_text("k")};
    struct cache_invalidate i = {.keys = keys, .keys_count = 1, .dry_run = true};
    uint64_t before = cache_position(f->cache);
    cache_invalidate(f->cache, &i);
    assert_int_equal(i.count, 1);
    assert_int_equal(cache_position(f->cache), before);
    assert_int_equal(get(f, "k"), STATUS_HIT);
}

static void what_is_no_prefix_is_refused_with_a_sentence(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"acme", "", "1:2:3:4:5:6:7:8:9:"};
    for (unsigned n = 0; n < 3; n++) {
        struct slice prefixes[] = {slice_text(bad[n])};
        struct cache_invalidate i = {.prefixes = prefixes, .prefixes_count = 1};
        cache_invalidate(f->cache, &i);
        assert_int_equal(i.status, STATUS_BAD_REQUEST);
        assert_non_null(i.message);
    }
    struct cache_invalidate nothing = {0};
    cache_invalidate(f->cache, &nothing);
    assert_int_equal(nothing.status, STATUS_BAD_REQUEST);
}

static void forgetting_kills_refuses_tokens_from_before_them(void **state)
{
    struct fixture *f = *state;
    struct asked miss;
    ask(f, &miss, "acme:k");
    kill_tag(f, "t");
    cache_prune_kills(f->cache, cache_position(f->cache));
    assert_int_equal(kills_count(f->kills), 0);
    assert_int_equal(set_with_token(f, &miss.get, "v", "t"), STATUS_REFUSED);
}

/* ======= listing ======= */

static bool count_listed(void *user, const struct cache_listed *listed)
{
    ++*(unsigned *)user;
    return true;
}

static void every_key_is_listed_once_whatever_the_tiers_and_the_page(void **state)
{
    struct fixture *f = *state;
    set(f, "both", "v");
    set(f, "also", "v");
    struct cache_set s = a_set("warm", "v");
    s.tiers = 1 << TIER_WARM;
    cache_set(f->cache, &s);
    s = a_set("near", "v");
    s.tiers = 1 << TIER_L1;
    cache_set(f->cache, &s);
    for (uint32_t limit = 1; limit < 5; limit++) {
        unsigned seen = 0;
        uint64_t cursor = 0;
        do
            cache_list(f->cache, &cursor, limit, count_listed, &seen);
        while (cursor);
        assert_int_equal(seen, 4);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_set_is_found_in_both_tiers),
        TEST(a_hit_in_warm_is_carried_into_l1),
        TEST(promotion_keeps_the_remaining_life),
        TEST(past_soft_is_stale_and_past_hard_is_a_miss),
        TEST(a_version_that_is_current_is_not_sent_again),
        TEST(gets_of_one_key_share_one_slow_read),
        TEST(a_get_after_a_change_does_not_join_a_read_from_before),
        TEST(an_overtaken_read_is_not_promoted),
        TEST(a_key_is_1_to_1024_bytes),
        TEST(switched_off_everything_misses_and_nothing_is_stored),
        TEST(a_fill_is_stored_when_nothing_happened_since_its_miss),
        TEST(a_fill_is_refused_after_an_invalidation_of_its_key),
        TEST(a_fill_is_refused_after_a_set_of_its_key),
        TEST(a_fill_is_refused_after_a_kill_of_its_tag),
        TEST(a_fill_is_refused_after_a_kill_of_its_prefix),
        TEST(a_fill_is_refused_after_everything_was_invalidated),
        TEST(a_token_of_another_epoch_or_of_the_future_is_refused),
        TEST(positions_grow_and_begin_with_the_start_number),
        TEST(a_ttl_of_zero_removes_and_stores_nothing),
        TEST(a_ceiling_bounds_the_life_that_is_asked_for),
        TEST(a_set_for_one_tier_takes_the_old_value_out_of_the_other),
        TEST(a_value_no_tier_takes_is_too_big_and_the_old_one_is_gone),
        TEST(a_value_refused_for_want_of_room_is_told_to_come_back),
        TEST(seventeen_tags_are_too_many_and_repeats_do_not_count),
        TEST(conditions_are_judged_by_what_is_there),
        TEST(a_condition_overtaken_by_a_change_is_judged_anew),
        TEST(a_change_that_is_not_safe_is_answered_after_its_commit),
        TEST(changes_wait_behind_the_gate_and_reads_do_not),
        TEST(touch_lengthens_and_never_shortens),
        TEST(everything_named_in_one_call_is_one_position),
        TEST(a_killed_tag_hides_what_carried_it_and_not_what_is_set_later),
        TEST(a_soft_invalidation_leaves_it_stale),
        TEST(a_dry_run_counts_and_changes_nothing),
        TEST(what_is_no_prefix_is_refused_with_a_sentence),
        TEST(forgetting_kills_refuses_tokens_from_before_them),
        TEST(every_key_is_listed_once_whatever_the_tiers_and_the_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
