#include "support/l1_fixture.h"

#include <sys/mman.h>

static uint64_t fixture_now(struct l1 *l1)
{
    return l1->test_now_ns;
}

void fixture_attach(struct fixture *f)
{
    if (f->mapped)
        munmap(f->mapped, f->mapped_bytes);
    f->mapped_bytes = f->l1->shape.total_bytes;
    f->mapped = mmap(NULL, f->mapped_bytes, PROT_READ, MAP_SHARED, l1_fd(f->l1), 0);
    CHECK(f->mapped != MAP_FAILED);
    CHECK(shm_view_init(&f->view, f->mapped, f->mapped_bytes, NULL));
}

static struct fixture *make(uint64_t bytes, uint64_t entries_max, uint64_t entry_bytes,
                            const struct fleet_view *fleet)
{
    struct fixture *f = must_alloc(sizeof(*f));
    struct l1_options options = {.l1 = true,
                                 .l1_bytes = bytes ? bytes : 4 << 20,
                                 .l1_entries = entries_max,
                                 .l1_entry_bytes = entry_bytes,
                                 .l1_lease = 60 * NS_PER_S,
                                 .l1_curve = true};
    f->kills = kills_create(FIXTURE_SECRET);
    struct l1_setup setup = {.options = &options,
                             .kills = f->kills,
                             .namespace = "test",
                             .hash_secret = FIXTURE_SECRET,
                             .epoch = 1,
                             .view = fleet};
    if (fleet)
        kills_split(f->kills, fleet->partitions);
    CHECK(l1_make(&setup, fixture_now, &f->l1) == 0);
    f->tier = l1_tier(f->l1);
    l1_open(f->l1);
    fixture_attach(f);
    return f;
}

struct fixture *fixture_create(uint64_t bytes, uint64_t entries_max)
{
    return make(bytes, entries_max, 0, NULL);
}

struct fixture *fixture_create_for(uint64_t bytes, uint64_t entry_bytes)
{
    return make(bytes, 0, entry_bytes, NULL);
}

struct fixture *fixture_create_in_fleet(const struct fleet_view *fleet)
{
    return make(0, 0, 0, fleet);
}

struct fixture *fixture_destroy(struct fixture *f)
{
    munmap(f->mapped, f->mapped_bytes);
    l1_unmake(f->l1);
    kills_destroy(f->kills);
    free(f);
    return NULL;
}

uint64_t fixture_hash(const char *key)
{
    return shm_hash_key(FIXTURE_SECRET, slice_text(key));
}

struct entry fixture_entry(struct fixture *f, const char *key, struct slice value)
{
    uint64_t end = f->l1->test_now_ns + 3600 * NS_PER_S;
    return (struct entry){.key = slice_text(key),
                          .key_hash = fixture_hash(key),
                          .value = value,
                          .epoch = 1,
                          .v = ++f->v,
                          .hard_ns = end,
                          .soft_ns = end};
}

int fixture_put(struct fixture *f, const char *key, const char *value)
{
    struct entry e = fixture_entry(f, key, slice_text(value));
    return f->tier->ops->put(f->tier, &e);
}

int fixture_touch(struct fixture *f, const char *key, uint64_t soft_ns, uint64_t hard_ns)
{
    struct entry as = {
        .key = slice_text(key), .key_hash = fixture_hash(key), .soft_ns = soft_ns, .hard_ns = hard_ns};
    uint32_t slot = slots_find(f->l1, as.key, as.key_hash);
    if (slot != SLOT_NONE) {
        struct item_view i = item_of_slot(f->l1, slot);
        as.v = i.v;
        as.id = shm_item_id(i.shape);
    }
    return f->tier->ops->touch(f->tier, &as);
}

int fixture_put_tagged(struct fixture *f, const char *key, const char *value, const char *tag)
{
    struct entry e = fixture_entry(f, key, slice_text(value));
    e.tags[e.tags_count++] = shm_hash_name(FIXTURE_SECRET, SHM_NAME_TAG, slice_text(tag));
    return f->tier->ops->put(f->tier, &e);
}

static void kill_name(struct fixture *f, enum shm_name_kind kind, const char *name, bool soft)
{
    uint64_t hash = shm_hash_name(FIXTURE_SECRET, kind, slice_text(name));
    kills_add(f->kills, hash, ++f->v, soft);
    f->tier->ops->kill(f->tier, hash, f->v, soft);
}

void fixture_kill_tag(struct fixture *f, const char *tag, bool soft)
{
    kill_name(f, SHM_NAME_TAG, tag, soft);
}

void fixture_kill_prefix(struct fixture *f, const char *prefix, bool soft)
{
    kill_name(f, SHM_NAME_PREFIX, prefix, soft);
}

void fixture_sweep(struct fixture *f)
{
    while (l1_sweep_slice(f->l1))
        ;
}

const struct l1_figures *fixture_measure(struct fixture *f)
{
    l1_measure(f->l1, &f->figures);
    return &f->figures;
}

struct seen fixture_see(struct fixture *f, const char *key)
{
    struct seen s = {0};
    s.outcome = shm_get(&f->view, slice_text(key), fixture_hash(key), s.value, sizeof(s.value) - 1, &s.found);
    if (s.outcome == SHM_HIT)
        s.value[s.found.value_bytes] = 0;
    return s;
}

struct tier_read fixture_get(struct fixture *f, const char *key, int *ret_outcome)
{
    struct tier_read read = {
        .key = slice_text(key), .key_hash = fixture_hash(key), .now_ns = f->l1->test_now_ns};
    *ret_outcome = f->tier->ops->get(f->tier, &read);
    return read;
}
