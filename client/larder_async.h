/* liblarder for event loops: one connection, any number of requests on their way, no thread, no wait.
 *
 *     larder_async *cache;
 *     larder_async_open(&cache, NULL);
 *     larder_async_get_or_load(cache, larder_text("user:42"), NULL, begin_query, db, show_user, page);
 *
 *     void begin_query(void *db, larder_slice key, larder_load *load)       // called only when nobody has it
 *     {
 *         ... ask the source; when it has answered: larder_loaded_set(larder_load_result(load), row);
 *                                                   larder_async_fill(load); ...
 *     }
 *     void show_user(void *page, int result, larder_value *user) { ... result as of larder_get_or_load ... }
 *
 * THE LOOP waits for `larder_async_events` on `larder_async_fd` for at most `larder_async_timeout` milliseconds, then calls
 * `larder_async_process`; larder_uv.h does that for libuv:
 *
 *     struct pollfd p = {larder_async_fd(cache), larder_async_events(cache), 0};
 *     poll(&p, 1, larder_async_timeout(cache));
 *     larder_async_process(cache);
 *
 * The descriptor never changes; the daemon may come and go behind it.
 *
 * CALLBACKS are called by larder_async_process and larder_async_close alone, exactly once for each call that returned OK, and
 * may make new calls (not close).  A value belongs to the library and lives until its callback returns.  Keys, values,
 * tags and options are copied by the call, except ret_… pointers, which must stay valid until the callback.
 *
 * RESULTS, deadlines and what happens without a daemon are as in larder.h, call by call.  A call returns OK, or an error
 * and then there is no callback: KEY, INVALID, LIMIT, TOO_BIG, MEMORY, and BUSY beyond 1,024 calls or 8 MiB not yet sent.
 *
 * THREADS.  One thread at a time.  After fork() only the parent may use it; a child may close it.  Since 0.2. */
#ifndef LARDER_ASYNC_H
#define LARDER_ASYNC_H

#include "larder.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct larder_async larder_async;

/* Succeeds without a daemon, as larder_open; options.connect_ms bounds the daemon's greeting. */
LARDER_API int larder_async_open(larder_async **ret_async, const larder_options *options);
/* What is under way ends with UNREACHABLE, or UNKNOWN for a change that was sent.  NULL is accepted. */
LARDER_API void larder_async_close(larder_async *async);

LARDER_API int larder_async_fd(const larder_async *async);
/* As for poll(2). */
LARDER_API short larder_async_events(const larder_async *async);
/* -1: as long as you like. */
LARDER_API int larder_async_timeout(larder_async *async);
/* Never waits.  Returns how many callbacks it called. */
LARDER_API int larder_async_process(larder_async *async);
/* As larder_trace, for calls that begin from now on, callbacks' included.  Since 0.2. */
LARDER_API int larder_async_trace(larder_async *async, const char *traceparent);

/* `value` is NULL unless it was a read. */
typedef void (*larder_done)(void *user, int result, larder_value *value);
typedef void (*larder_many_done)(void *user, int result, larder_value *values, size_t count);

/* What shared memory has, at once and without a callback: as larder_get, but MISS where the daemon would have to be asked. */
LARDER_API int larder_async_near(larder_async *async, larder_slice key, larder_value *value);
LARDER_API int larder_async_get(larder_async *async, larder_slice key, const larder_get_options *options,
                                larder_done done, void *user);
LARDER_API int larder_async_mget(larder_async *async, const larder_slice *keys, size_t count,
                                 const larder_get_options *options, larder_many_done done, void *user);
LARDER_API int larder_async_set(larder_async *async, larder_slice key, larder_slice value,
                                const larder_set_options *options, larder_done done, void *user);
/* As larder_tag. */
LARDER_API int larder_async_tag(larder_async *async, larder_slice key, const larder_slice *tags,
                                size_t tags_count, larder_done done, void *user);
LARDER_API int larder_async_invalidate(larder_async *async, const larder_invalidate_options *options,
                                       larder_done done, void *user);

/* A load under way.  It must be ended by exactly one fill or fail, in the same thread, at once or any time later, before or
 * after larder_async_close. */
typedef struct larder_load larder_load;
typedef void (*larder_async_loader)(void *user, larder_slice key, larder_load *load);

/* Where the value goes, with its ttl and tags. */
LARDER_API larder_loaded *larder_load_result(larder_load *load);
LARDER_API void larder_async_fill(larder_load *load);
/* `error`: negative, a code of the app's own. */
LARDER_API void larder_async_fail(larder_load *load, int error);

/* One load a key for all calls of this object, and of the host and fleet when a daemon is there.  A stale value is given at
 * once to all; the loader of one of them runs beside it.  refresh, soft_ms and ret_load_error are not used. */
LARDER_API int larder_async_get_or_load(larder_async *async, larder_slice key,
                                        const larder_load_options *options, larder_async_loader loader,
                                        void *loader_user, larder_done done, void *user);

/* larder_register_loader for loops: the loader is called by larder_async_process when the daemon asks for a key, and ends its
 * load as any.  At most `at_a_time` (1 to 64) such loads of this object are under way, and `hold_ms` (0: 30 s) is how long one
 * may take; of several patterns the largest numbers count. */
LARDER_API int larder_async_register_loader(larder_async *async, larder_slice pattern, unsigned at_a_time,
                                            uint32_t hold_ms, larder_async_loader loader, void *user);

/* larder_register_lister for loops: the lister is called by larder_async_process when the daemon wants the keys of the pattern, and
 * then, or any time later in the same thread, adds keys and ends the listing, exactly once, before or after
 * larder_async_close.  It takes none of the loads' places.  The pattern must have been registered with
 * larder_async_register_loader before, and has one lister; the daemon hears of it with the next offer, at once or within
 * 10 s.  OK or INVALID. */
typedef struct larder_async_listing larder_async_listing;
typedef void (*larder_async_lister)(void *user, larder_slice pattern, larder_async_listing *listing);
LARDER_API int larder_async_register_lister(larder_async *async, larder_slice pattern,
                                            larder_async_lister lister, void *user);
/* Copied.  OK, KEY; BUSY: not now, add it again when `room` is called; REFUSED: nobody wants them any more; or an error of the
 * connection.  After the last two nothing can be added, and the listing is to be ended. */
LARDER_API int larder_async_listing_add(larder_async_listing *listing, larder_slice key);
/* Whom to call, by larder_async_process, when there is room again after BUSY, or never will be. */
typedef void (*larder_async_room)(void *user, larder_async_listing *listing);
LARDER_API void larder_async_listing_on_room(larder_async_listing *listing, larder_async_room room,
                                             void *user);
/* `error`: 0, or negative: they could not be named, and the run fails. */
LARDER_API void larder_async_listing_end(larder_async_listing *listing, int error);

#ifdef __cplusplus
}
#endif

#endif
