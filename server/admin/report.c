/* GET /api/cache/report?days=7&by=policy&namespace=default&from=0: what `larder report --json` prints, a page at a time.
 *
 * What must stay true: as of all documents (texts.h), making them takes one part in TEXTS_SHARE of the loop's time; whoever
 * asks for another one of the same grouping sooner is told to ask again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "admin/admin_private.h"
#include "base/check.h"
#include "base/clock.h"

enum { DAYS_USUAL = 30, ROWS_MOST = 1 << 20 };

static const char *read_number(struct http_exchange *x, const char *name, unsigned least, unsigned most,
                               unsigned *ret)
{
    const char *text = http_argument(x, name);
    char *end;
    if (!text)
        return NULL;
    unsigned long number = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || number < least || number > most)
        return "days is a number from 1 to 400, from one that `next` said";
    *ret = (unsigned)number;
    return NULL;
}

/* NULL, or a sentence: what is wrong. */
static const char *read_question(struct admin *a, struct http_exchange *x, struct admin_report *ret)
{
    const char *by = http_argument(x, "by"), *namespace = http_argument(x, "namespace");
    *ret = (struct admin_report){.days = DAYS_USUAL};
    struct slice name = slice_text(namespace ? namespace : "");
    if (by && !rollup_by_parse(slice_text(by), &ret->by))
        return "by is day, policy, tenant, resource or minute";
    if (!(ret->cache = a->setup.host.space(a->setup.host.user, name)))
        return "there is no such namespace";
    const char *wrong = read_number(x, "days", 1, ROLLUP_DAYS, &ret->days);
    return wrong ? wrong : read_number(x, "from", 0, ROWS_MOST, &ret->from);
}

static bool is_same(const struct admin_report *a, const struct admin_report *b)
{
    return a->cache == b->cache && a->days == b->days && a->by == b->by && a->from == b->from;
}

static bool make(struct admin *a, struct report_text *t, const struct admin_report *q, uint64_t began_ns)
{
    t->bytes.limit = TEXTS_BYTES;
    t->bytes.size = 0;
    t->question = *q;
    t->until_ns = 0;
    if (a->setup.host.report(a->setup.host.user, q, &t->bytes) < 0)
        return false;
    a->texts.rendered++;
    uint64_t now_ns = loop_now_fresh(a->setup.loop);
    t->until_ns = clock_after(now_ns, (now_ns - began_ns) * TEXTS_SHARE);
    return true;
}

static void reply(struct admin *a, struct http_exchange *x, const struct admin_report *q)
{
    struct report_text *t = &a->reports[q->by];
    uint64_t now_ns = loop_now_fresh(a->setup.loop);
    bool is_young = t->until_ns > now_ns;
    if (is_young && !is_same(&t->question, q))
        admin_refuse(x, 503, "another report of this grouping was made a moment ago: ask again");
    else if (!is_young && !make(a, t, q, now_ns))
        admin_refuse(x, 500, "the document could not be made");
    else
        http_reply(x, &(struct http_reply){.status = 200,
                                           .type = "application/json",
                                           .body = slice_of(t->bytes.data, t->bytes.size)});
}

void admin_report(struct admin *a, struct http_exchange *x)
{
    struct admin_report q;
    const char *wrong = read_question(a, x, &q);
    if (wrong)
        admin_refuse(x, 400, wrong);
    else
        reply(a, x, &q);
}

void admin_reports_finish(struct admin *a)
{
    for (unsigned n = 0; n < COUNT_OF(a->reports); n++)
        buffer_finish(&a->reports[n].bytes);
}
