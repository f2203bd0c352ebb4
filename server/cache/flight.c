#include "cache/flight.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include "base/check.h"

struct flight {
    struct tier_read read; /* first: what the tier hands back */
    struct flights *flights;
    bool detached;       /* not in the table any more */
    uint8_t step;        /* of the get that leads: those who join stand where it stands */
    struct list waiting; /* struct cache_get.waiting */
    void (*land)(struct flight *flight, struct tier_read *read, int outcome);
    UT_hash_handle hh;
    size_t key_bytes;
    char key[]; /* the question's bytes, for as long as the read takes */
};

struct flights {
    struct flight *table; /* by key */
    uint64_t under_way;   /* detached ones included */
};

struct flights *flights_create(void)
{
    return must_alloc(sizeof(struct flights));
}

struct flights *flights_destroy(struct flights *f)
{
    if (!f)
        return NULL;
    CHECK(f->under_way == 0 && f->table == NULL);
    free(f);
    return NULL;
}

bool flights_empty(const struct flights *f)
{
    return f->under_way == 0;
}

struct flight *flight_find(struct flights *f, struct slice key, uint64_t key_hash)
{
    (void)key_hash;
    if (!f->table)
        return NULL;
    struct flight *flight;
    HASH_FIND(hh, f->table, key.data, key.size, flight);
    return flight;
}

uint64_t flight_began_ns(const struct flight *flight)
{
    return flight->read.now_ns;
}

void flight_join(struct flight *flight, struct cache_get *get)
{
    get->step = flight->step;
    list_append(&flight->waiting, &get->waiting);
}

bool flight_detached(const struct flight *flight)
{
    return flight->detached;
}

struct cache_get *flight_next_waiting(struct flight *flight)
{
    struct list *node = list_first(&flight->waiting);
    if (!node)
        return NULL;
    list_remove(node);
    return CONTAINER_OF(node, struct cache_get, waiting);
}

static void detach(struct flight *flight)
{
    HASH_DELETE(hh, flight->flights->table, flight);
    flight->detached = true;
    LIST_FOR(node, &flight->waiting)
    CONTAINER_OF(node, struct cache_get, waiting)->overtaken = true;
}

static void flight_done(struct tier_read *read, int outcome)
{
    struct flight *flight = CONTAINER_OF(read, struct flight, read);
    struct flights *f = flight->flights;
    if (!flight->detached)
        HASH_DELETE(hh, f->table, flight);
    flight->land(flight, read, outcome);
    CHECK(list_empty(&flight->waiting));
    f->under_way--;
    free(flight);
}

int flight_start(struct flights *f, struct tier *tier, struct cache_get *get, struct tier_read *ret_read,
                 bool shared, bool exact,
                 void (*land)(struct flight *flight, struct tier_read *read, int outcome))
{
    struct flight *flight = must_alloc(sizeof(*flight) + get->key.size);
    memcpy(flight->key, get->key.data, get->key.size);
    flight->key_bytes = get->key.size;
    flight->read = (struct tier_read){.key = slice_of(flight->key, get->key.size),
                                      .key_hash = get->key_hash,
                                      .now_ns = get->now_ns,
                                      .exact = exact,
                                      .done = flight_done};
    if (get->held) {
        flight->read.known.given = true;
        flight->read.known.epoch = get->known.epoch;
        flight->read.known.v = get->known.v;
        flight->read.known.id = get->known.id;
    }
    int outcome = tier->ops->get(tier, &flight->read);
    if (outcome != TIER_PENDING) {
        *ret_read = flight->read;
        free(flight);
        return outcome;
    }
    flight->flights = f;
    flight->step = get->step;
    flight->land = land;
    list_init(&flight->waiting);
    flight->detached = !shared;
    if (shared)
        HASH_ADD_KEYPTR(hh, f->table, flight->key, flight->key_bytes, flight);
    f->under_way++;
    flight_join(flight, get);
    return TIER_PENDING;
}

void flights_detach(struct flights *f, struct slice key, uint64_t key_hash)
{
    struct flight *flight = flight_find(f, key, key_hash);
    if (flight)
        detach(flight);
}

void flights_detach_all(struct flights *f)
{
    struct flight *flight, *next;
    HASH_ITER(hh, f->table, flight, next)
    detach(flight);
}
