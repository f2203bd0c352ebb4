/* One process of a stampede: threads that want one key at the same time.
 *
 *     stampede SOCKET KEY THREADS LOAD_MS
 *
 * SOCKET `-` is the floor: no cache, one thread of each process sleeps until the same moment and wakes the others by a
 * condition variable.  Says `ready`, obeys `go NS` on its standard input (all processes of the machine begin at that
 * moment of CLOCK_MONOTONIC), then says `loads N got N filled NS last NS`: how often its loader ran, how many callers
 * have the value, when its last loader returned (0: none ran here), and when the last caller had the value.
 * bench/stampede.py drives it. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "client/larder.h"

enum { THREADS_MAX = 1024, STACK_BYTES = 256 << 10 };

static larder_client *client;
static larder_slice key;
static uint64_t begin_ns;
static long load_ms;
static pthread_barrier_t all_started, all_done;
static _Atomic uint64_t loads, got, filled_ns, last_ns;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void latest(_Atomic uint64_t *of, uint64_t ns)
{
    uint64_t was = atomic_load(of);
    while (was < ns && !atomic_compare_exchange_weak(of, &was, ns))
        ;
}

static void sleep_until(uint64_t ns)
{
    struct timespec at = {(time_t)(ns / 1000000000ull), (long)(ns % 1000000000ull)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static uint64_t load_ns(void)
{
    return (uint64_t)load_ms * 1000000;
}

static int load(void *user, larder_slice wanted, larder_loaded *ret)
{
    sleep_until(now_ns() + load_ns());
    int r = larder_loaded_set(ret, larder_text("the value"));
    atomic_fetch_add(&loads, 1);
    latest(&filled_ns, now_ns());
    return r;
}

/* ---- the floor ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t there = PTHREAD_COND_INITIALIZER;
static bool loading, loaded;

static int get_from_nowhere(larder_value *value)
{
    pthread_mutex_lock(&lock);
    bool mine = !loading;
    loading = true;
    while (!mine && !loaded)
        pthread_cond_wait(&there, &lock);
    pthread_mutex_unlock(&lock);
    if (mine) {
        sleep_until(begin_ns + load_ns()); /* one moment for all processes, as if one had loaded for all */
        atomic_fetch_add(&loads, 1);
        latest(&filled_ns, now_ns());
        pthread_mutex_lock(&lock);
        loaded = true;
        pthread_cond_broadcast(&there);
        pthread_mutex_unlock(&lock);
    }
    value->data = strdup("the value");
    value->size = 9;
    return LARDER_HIT;
}

/* ---- the callers ---- */

static void *want(void *unused)
{
    larder_value value = LARDER_VALUE_INIT;
    larder_load_options how = LARDER_LOAD_OPTIONS_INIT;
    how.scope = LARDER_SCOPE_FLEET;
    pthread_barrier_wait(&all_started);
    pthread_barrier_wait(&all_started);
    sleep_until(begin_ns);
    int r = client ? larder_get_or_load(client, key, &how, load, NULL, &value) : get_from_nowhere(&value);
    latest(&last_ns, now_ns());
    atomic_fetch_add(&got, r == LARDER_HIT && value.size == 9 && memcmp(value.data, "the value", 9) == 0);
    larder_value_free(&value);
    pthread_barrier_wait(
        &all_done); /* threads that end cost more than threads that are woken, and others wait */
    return NULL;
}

static void start(pthread_t *threads, unsigned count)
{
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK_BYTES);
    for (unsigned i = 0; i < count; i++)
        if (pthread_create(&threads[i], &small, want, NULL) != 0)
            exit(1);
    pthread_attr_destroy(&small);
}

int main(int argc, char **argv)
{
    static pthread_t threads[THREADS_MAX];
    larder_options options = LARDER_OPTIONS_INIT;
    unsigned count = argc == 5 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    if (count < 1 || count > THREADS_MAX)
        return 2;
    options.socket = argv[1];
    options.get_ms = options.connect_ms = 10000; /* a busy machine is no failure here */
    key = larder_text(argv[2]);
    load_ms = strtol(argv[4], NULL, 10);
    if (strcmp(argv[1], "-") != 0 && (larder_open(&client, &options) < 0 || larder_ping(client) < 0))
        return 1;
    pthread_barrier_init(&all_started, NULL, count + 1);
    pthread_barrier_init(&all_done, NULL, count);
    start(threads, count);
    pthread_barrier_wait(&all_started);
    puts("ready");
    fflush(stdout);
    if (scanf("go %" SCNu64, &begin_ns) != 1)
        return 1;
    pthread_barrier_wait(&all_started);
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    printf("loads %" PRIu64 " got %" PRIu64 " filled %" PRIu64 " last %" PRIu64 "\n", atomic_load(&loads),
           atomic_load(&got), atomic_load(&filled_ns), atomic_load(&last_ns));
    larder_close(client);
    return 0;
}
