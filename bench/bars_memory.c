/* What an item costs beyond its key and value (weigh.h), and how much room is dead after churn.  Values have 97 to 104
 * bytes, so that rounding up is neither lucky nor unlucky. */
#include "bench/bars.h"

#include <stdio.h>
#include "bench/weigh.h"

enum { VALUE_BYTES = 97 };

static void weigh_ours(struct bars *b, struct weigh *w)
{
    struct larder_weight l;
    char text[96];
    if (weigh_larder(w, &l) < 0) {
        bar_failed(b, "overhead", w->why);
        return;
    }
    snprintf(text, sizeof(text), "untagged item, index and the daemon's own tables included, %.0f items",
             l.entries);
    bar_figure(b, text, AT_MOST, 56, l.overhead, "B");
    bar_beside(b, "of that in the daemon's own memory, buffers included", l.own, "B");
    bar_figure(b, "dead room after churn", AT_MOST, 10, 100 * l.dead_share, "%");
    bar_beside(b, "room after churn that holds no live item: dead, open, or kept free", 100 * l.spare_share,
               "%");
}

static void weigh_theirs(struct bars *b, struct weigh *w, enum server_kind kind, const struct codec *codec)
{
    struct server_options none = {.larderd = NULL};
    double overhead;
    char text[96];
    if (!server_available(kind, &none))
        return;
    snprintf(text, sizeof(text), "%s, process growth an item", server_name(kind));
    if (weigh_rival(w, kind, codec, &overhead) == 0)
        bar_beside(b, text, overhead, "B");
    else
        bar_failed(b, text, w->why);
}

void bar_memory(struct bars *b)
{
    struct weigh w = {.options = b->options, .l1_bytes = b->options->quick ? 32u << 20 : 256u << 20};
    for (unsigned i = 0; i < MIX_MAX; i++) {
        w.sizes.bytes[i] = VALUE_BYTES + i;
        w.sizes.share[i] = (i + 1.0) / MIX_MAX;
    }
    w.sizes.count = MIX_MAX;
    weigh_fill_up(&w);
    weigh_ours(b, &w);
    weigh_theirs(b, &w, SERVER_REDIS, &codec_redis);
    weigh_theirs(b, &w, SERVER_MEMCACHED, &codec_memcached);
}
