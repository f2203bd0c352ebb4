/* The first page: look, load on a miss, store since the miss, and find it in shared memory from then on.
 *
 *     cc hello.c -o hello $(pkg-config --cflags --libs larder)
 *
 * Works without a daemon too, only that every answer is a miss then. */
#include <stdio.h>
#include "client/larder.h" /* <larder.h> when installed */

static larder_slice load_from_its_source(void)
{
    return larder_text("{\"name\": \"Ada\"}");
}

static void show(const char *when, int result, const larder_value *value)
{
    if (result == LARDER_HIT)
        printf("%s: hit in %s: %.*s\n", when, value->near ? "shared memory" : "the daemon", (int)value->size,
               (const char *)value->data);
    else
        printf("%s: miss\n", when);
}

int main(void)
{
    larder_client *cache;
    larder_value value = LARDER_VALUE_INIT;
    larder_slice key = larder_text("user:42");
    if (larder_open(&cache, NULL) < 0)
        return 1;
    larder_invalidate(cache, key); /* so that each run begins the same */

    int result = larder_get(cache, key, NULL, &value);
    show("first get", result, &value);
    if (result != LARDER_HIT) {
        larder_set_options how = LARDER_SET_OPTIONS_INIT;
        how.ttl_ms = 60 * 1000;
        how.since = &value.token; /* refused if somebody changed it while we loaded */
        printf("set: %s\n", larder_strerror(larder_set(cache, key, load_from_its_source(), &how)));
    }
    show("second get", larder_get(cache, key, NULL, &value), &value);

    larder_value_free(&value);
    larder_close(cache);
    return 0;
}
