#include "admin/texts.h"

#include "base/clock.h"

const struct text *texts_get(struct texts *t, const struct admin_host *host, struct loop *loop,
                             enum admin_document which)
{
    struct text *text = &t->of[which];
    uint64_t began_ns = loop_now_fresh(loop);
    if (text->until_ns > began_ns)
        return text;
    text->bytes.limit = TEXTS_BYTES;
    text->bytes.size = 0;
    if (host->document(host->user, which, &text->bytes) < 0)
        return NULL;
    text->health = host->health(host->user);
    t->rendered++;
    uint64_t now_ns = loop_now_fresh(loop);
    text->until_ns = clock_after(now_ns, (now_ns - began_ns) * TEXTS_SHARE);
    return text;
}

void texts_finish(struct texts *t)
{
    for (unsigned i = 0; i < ADMIN_DOCUMENTS; i++)
        buffer_finish(&t->of[i].bytes);
}
