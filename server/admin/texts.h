/* Documents as HTTP gives them out: rendered when somebody asks, kept for a moment.
 *
 * What must stay true: rendering takes at most one part in SHARE of the loop's time for each document, however often it is
 * asked for.  A text that took 100 µs is therefore up to 10 ms old, and 100 scrapes a second cost 1 %. */
#ifndef LARDER_ADMIN_TEXTS_H
#define LARDER_ADMIN_TEXTS_H

#include "admin/admin.h"

enum { TEXTS_SHARE = 100, TEXTS_BYTES = 8 << 20 /* a document of 64 namespaces has some 300 KiB */ };

struct text {
    struct buffer bytes;
    uint64_t until_ns;        /* it is not rendered again before */
    enum admin_health health; /* as of when it was rendered */
};

struct texts {
    struct text of[ADMIN_DOCUMENTS];
    uint64_t rendered;
};

/* NULL: could not be rendered.  Valid until the next call. */
const struct text *texts_get(struct texts *t, const struct admin_host *host, struct loop *loop,
                             enum admin_document which);
void texts_finish(struct texts *t);

#endif
