#include "client/flight.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "client/futex.h"
#include "client/value.h"

struct flight {
    struct flight *next; /* in its bucket */
    uint64_t hash;
    bool listed;
    _Atomic unsigned aboard; /* the pilot and all who wait; grows with the lock and while it is listed only */
    _Atomic uint32_t landed; /* 1: asked_ns and landing are written, and do not change any more */
    uint64_t asked_ns;
    pthread_t pilot;
    struct landing landing;
    size_t key_bytes;
    unsigned char key[];
};

int flights_init(struct flights *flights)
{
    memset(flights, 0, sizeof(*flights));
    return pthread_mutex_init(&flights->lock, NULL) == 0 ? 0 : LARDER_E_MEMORY;
}

void flights_finish(struct flights *flights)
{
    pthread_mutex_destroy(&flights->lock);
}

/* A thread of the parent may have been in the middle of the lists: they are left as they are (lost, a few hundred bytes
 * for each load under way at the fork). */
void flights_reborn(struct flights *flights)
{
    flights_init(flights);
}

/* ======= the list ======= */

static struct flight **bucket_of(struct flights *flights, uint64_t hash)
{
    return &flights->buckets[hash % FLIGHT_BUCKETS];
}

static struct slice key_of(const struct flight *flight)
{
    return slice_of(flight->key, flight->key_bytes);
}

static struct flight *find(struct flights *flights, struct slice key, uint64_t hash)
{
    struct flight *flight = *bucket_of(flights, hash);
    while (flight && !(flight->hash == hash && slice_equal(key_of(flight), key)))
        flight = flight->next;
    return flight;
}

static void unlist(struct flights *flights, struct flight *flight)
{
    struct flight **at = bucket_of(flights, flight->hash);
    if (!flight->listed)
        return;
    while (*at != flight)
        at = &(*at)->next;
    *at = flight->next;
    flight->listed = false;
}

static struct flight *begin(struct flights *flights, struct slice key, uint64_t hash)
{
    struct flight *flight = calloc(1, sizeof(*flight) + key.size);
    if (!flight)
        return NULL;
    flight->hash = hash;
    flight->aboard = 1;
    flight->pilot = pthread_self();
    flight->key_bytes = key.size;
    memcpy(flight->key, key.data, key.size);
    flight->next = *bucket_of(flights, hash);
    *bucket_of(flights, hash) = flight;
    flight->listed = true;
    return flight;
}

struct flight *flight_board(struct flights *flights, struct slice key, uint64_t hash, bool *ret_mine)
{
    pthread_mutex_lock(&flights->lock);
    struct flight *flight = find(flights, key, hash);
    *ret_mine = !flight;
    if (flight) {
        flight->aboard++;
        flights->joined++;
    } else
        flight = begin(flights, key, hash);
    pthread_mutex_unlock(&flights->lock);
    return flight;
}

uint64_t flights_joined(struct flights *flights)
{
    pthread_mutex_lock(&flights->lock);
    uint64_t joined = flights->joined;
    pthread_mutex_unlock(&flights->lock);
    return joined;
}

/* The last one cleans up.  The pilot is aboard until it has landed, so what is listed has somebody aboard. */
static void leave(struct flight *flight)
{
    if (atomic_fetch_sub_explicit(&flight->aboard, 1, memory_order_acq_rel) > 1)
        return;
    larder_value_free(&flight->landing.value);
    free(flight);
}

/* ======= whose flight it is ======= */

void flight_asks(struct flight *flight, uint64_t now_ns)
{
    flight->asked_ns = now_ns;
}

void flight_shut(struct flights *flights, struct flight *flight)
{
    pthread_mutex_lock(&flights->lock);
    unlist(flights, flight);
    pthread_mutex_unlock(&flights->lock);
}

static bool shut_and_look_round(struct flights *flights, struct flight *flight)
{
    pthread_mutex_lock(&flights->lock);
    unlist(flights, flight);
    bool others = flight->aboard > 1;
    pthread_mutex_unlock(&flights->lock);
    return others;
}

/* The value is copied without the lock: nobody comes aboard a flight that is shut, and those aboard do not look before
 * it has landed. */
void flight_land(struct flights *flights, struct flight *flight, int result, int load_error, bool vouched,
                 const larder_value *value)
{
    struct landing *landing = &flight->landing;
    bool with_value = result == LARDER_HIT || result == LARDER_ABSENT;
    if (shut_and_look_round(flights, flight) && with_value && value_copy(&landing->value, value) < 0)
        result = LARDER_E_MEMORY;
    landing->result = result;
    landing->load_error = load_error;
    landing->vouched = vouched;
    futex_set(&flight->landed, 1);
    leave(flight);
}

/* ======= who waits ======= */

static bool may_take(const struct flight *flight, uint64_t began_ns)
{
    return flight->landing.result != FLIGHT_NOWHERE &&
           (flight->landing.vouched || began_ns <= flight->asked_ns);
}

static int take(const struct flight *flight, struct landing *ret, larder_value *value)
{
    const struct landing *landing = &flight->landing;
    ret->result = landing->result;
    ret->load_error = landing->load_error;
    if (landing->result != LARDER_HIT && landing->result != LARDER_ABSENT)
        return landing->result;
    return value_copy(value, &landing->value) < 0 ? LARDER_E_MEMORY : landing->result;
}

bool flight_wait(struct flight *flight, uint64_t began_ns, uint64_t deadline_ns, struct landing *ret,
                 larder_value *value)
{
    bool mine = pthread_equal(flight->pilot, pthread_self());
    bool landed = !mine && futex_wait_while(&flight->landed, 0, deadline_ns);
    bool mine_to_take = !landed || may_take(flight, began_ns);
    ret->load_error = 0;
    ret->result = mine ? LARDER_E_INVALID : landed ? LARDER_OK : LARDER_E_TIMEOUT;
    if (landed && mine_to_take)
        ret->result = take(flight, ret, value);
    leave(flight);
    return mine_to_take;
}

/* ======= who changes keys ======= */

void flights_shut_key(struct flights *flights, struct slice key, uint64_t hash)
{
    pthread_mutex_lock(&flights->lock);
    struct flight *flight = find(flights, key, hash);
    if (flight)
        unlist(flights, flight);
    pthread_mutex_unlock(&flights->lock);
}

static void shut_where(struct flights *flights, struct slice prefix)
{
    pthread_mutex_lock(&flights->lock);
    for (unsigned i = 0; i < FLIGHT_BUCKETS; i++)
        for (struct flight *flight = flights->buckets[i], *next; flight; flight = next) {
            next = flight->next;
            if (flight->key_bytes >= prefix.size && memcmp(flight->key, prefix.data, prefix.size) == 0)
                unlist(flights, flight);
        }
    pthread_mutex_unlock(&flights->lock);
}

void flights_shut_prefix(struct flights *flights, struct slice prefix)
{
    shut_where(flights, prefix);
}

void flights_shut_all(struct flights *flights)
{
    shut_where(flights, slice_text(""));
}
