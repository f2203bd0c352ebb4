/* The same in a libuv loop: nothing waits, the source answers when it does.
 *
 *     cc loop.c -o loop $(pkg-config --cflags --libs larder libuv)
 *
 * Loads three prices at once, each asked for by two customers, and prints how often the source was asked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client/larder_uv.h" /* <larder_uv.h> when installed */

enum { PRICES = 3, CUSTOMERS = 2, SOURCE_MS = 20 };

struct shop {
    larder_async *cache;
    larder_uv glue;
    int asked, answered;
};

/* ======= a source that takes its time ======= */

struct query {
    uv_timer_t timer;
    larder_load *load;
    char text[32];
};

static void query_free(uv_handle_t *timer)
{
    free(timer->data);
}

static void query_answers(uv_timer_t *timer)
{
    struct query *q = timer->data;
    larder_loaded_set(larder_load_result(q->load), larder_text(q->text));
    larder_async_fill(q->load);
    uv_close((uv_handle_t *)timer, query_free);
}

/* Called only for what nobody has. */
static void ask_source(void *user, larder_slice key, larder_load *load)
{
    struct shop *s = user;
    struct query *q = malloc(sizeof(*q));
    s->asked++;
    if (!q) {
        larder_async_fail(load, -1);
        return;
    }
    q->load = load;
    snprintf(q->text, sizeof(q->text), "%.*s costs 42", (int)key.size, (const char *)key.data);
    uv_timer_init(uv_default_loop(), &q->timer);
    q->timer.data = q;
    uv_timer_start(&q->timer, query_answers, SOURCE_MS, 0);
}

/* ======= customers ======= */

static void served(void *user, int result, larder_value *price)
{
    struct shop *s = user;
    if (result == LARDER_HIT)
        printf("%.*s\n", (int)price->size, (const char *)price->data);
    else
        printf("%s\n", larder_strerror(result));
    if (++s->answered == PRICES * CUSTOMERS)
        larder_uv_stop(&s->glue, NULL); /* nothing keeps the loop from ending now */
}

int main(void)
{
    struct shop shop = {.asked = 0};
    char key[32];
    if (larder_async_open(&shop.cache, NULL) < 0 ||
        larder_uv_start(&shop.glue, uv_default_loop(), shop.cache) < 0)
        return 1;
    larder_uv_ref(&shop.glue);
    for (int i = 0; i < PRICES * CUSTOMERS; i++) {
        snprintf(key, sizeof(key), "price:%d", i % PRICES);
        larder_async_get_or_load(shop.cache, larder_text(key), NULL, ask_source, &shop, served, &shop);
    }
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    fprintf(stderr, "the source was asked %d times\n", shop.asked);
    larder_async_close(shop.cache);
    uv_loop_close(uv_default_loop());
    return 0;
}
