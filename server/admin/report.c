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

/* As session_host's document says it. */
static int make(struct admin *a, struct report_text *t, const struct admin_report *q, uint64_t began_ns)
{
    t->bytes.limit = TEXTS_BYTES;
    t->bytes.size = 0;
    t->question = *q;
    t->until_ns = 0;
    int e = a->setup.host.report(a->setup.host.user, q, &t->bytes);
    uint64_t now_ns = loop_now_fresh(a->setup.loop);
    t->took_ns += now_ns - began_ns;
    if (e != 0)
        return e;
    a->texts.rendered++;
    t->until_ns = clock_after(now_ns, t->took_ns * TEXTS_SHARE);
    t->took_ns = 0;
    return 0;
}

/* False: it is being made. */
static bool reply(struct admin *a, struct http_exchange *x, const struct admin_report *q)
{
    struct report_text *t = &a->reports[q->by];
    uint64_t now_ns = loop_now_fresh(a->setup.loop);
    bool is_young = t->until_ns > now_ns;
    int e = is_young ? 0 : make(a, t, q, now_ns);
    if (e > 0)
        return false;
    if (is_young && !is_same(&t->question, q))
        admin_refuse(x, 503, "another report of this grouping was made a moment ago: ask again");
    else if (e < 0)
        admin_refuse(x, 500, "the document could not be made");
    else
        http_reply(x, &(struct http_reply){.status = 200,
                                           .type = "application/json",
                                           .body = slice_of(t->bytes.data, t->bytes.size)});
    return true;
}

/* ======= waiting ======= */

struct reporting {
    struct list node;
    struct http_exchange *x;
    struct admin_report asked;
};

static void wait_for_report(struct admin *a, struct http_exchange *x, const struct admin_report *q)
{
    struct reporting *w = must_alloc(sizeof(*w));
    *w = (struct reporting){.x = x, .asked = *q};
    w->asked.again = true;
    list_init(&w->node);
    list_append(&a->reporting, &w->node);
    later_ask(a->setup.loop, &a->report_turn);
}

void admin_reports_on_turn(struct later *turn)
{
    struct admin *a = CONTAINER_OF(turn, struct admin, report_turn);
    LIST_FOR_SAFE(node, &a->reporting)
    {
        struct reporting *w = CONTAINER_OF(node, struct reporting, node);
        if (!reply(a, w->x, &w->asked))
            continue;
        list_remove(&w->node);
        free(w);
    }
    if (!list_empty(&a->reporting))
        later_ask(a->setup.loop, turn);
    else
        admin_settled(a); /* which may end it */
}

void admin_report(struct admin *a, struct http_exchange *x)
{
    struct admin_report q;
    const char *wrong = read_question(a, x, &q);
    if (wrong)
        admin_refuse(x, 400, wrong);
    else if (!reply(a, x, &q))
        wait_for_report(a, x, &q);
}

void admin_reports_finish(struct admin *a)
{
    CHECK(list_empty(&a->reporting));
    later_cancel(&a->report_turn);
    for (unsigned n = 0; n < COUNT_OF(a->reports); n++)
        buffer_finish(&a->reports[n].bytes);
}
