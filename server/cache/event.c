/* Named events: "course.updated id=7" becomes the keys, tags and prefixes that the configuration says.
 *
 * An argument fills one level: it has no ':', so that whoever can choose one cannot name what the rule does not mean. */
#include <stdlib.h>
#include <string.h>
#include "cache/cache_private.h"
#include "cache/policies_private.h"

enum { ARGUMENT_MAX = 255 };

/* ======= reading rules ======= */

static bool parse_targets(struct event *e, struct policy_fault *fault)
{
    struct slice rest = slice_text(e->text), item;
    const char *why;
    while (list_next_item(&rest, &item)) {
        if (e->targets_count == CASCADE_TARGETS_MAX)
            return policy_fault(fault, "invalidate", item, "at most 32 names in an event");
        e->targets = must_realloc(e->targets, (e->targets_count + 1) * sizeof(*e->targets));
        if (!target_parse(item, &e->names, true, &e->targets[e->targets_count], &why))
            return policy_fault(fault, "invalidate", item, why);
        e->targets_count++;
    }
    return true;
}

static struct event *find(const struct policies *p, struct slice name)
{
    for (unsigned i = 0; i < p->events_count; i++)
        if (slice_equal(slice_text(p->events[i].name), name))
            return &p->events[i];
    return NULL;
}

bool policies_add_event(struct policies *p, const char *name, const struct event_rule *rule,
                        struct policy_fault *ret_fault)
{
    if (p->events_count == EVENTS_MAX)
        return policy_fault(ret_fault, "invalidate", slice_text(name), "more than 256 events");
    CHECK(!find(p, slice_text(name)));
    p->events = must_realloc(p->events, (p->events_count + 1) * sizeof(*p->events));
    struct event *e = &p->events[p->events_count++];
    *e = (struct event){.name = must_strdup(name), .text = must_strdup(rule->invalidate)};
    return parse_targets(e, ret_fault);
}

void event_free(struct event *e)
{
    free(e->name);
    free(e->text);
    free(e->targets);
}

/* ======= an event ======= */

unsigned cache_event_names(const struct cache *c, struct slice name)
{
    const struct event *e = find(c->policies, name);
    return e ? e->targets_count : 0;
}

static enum status refuse(struct cache_event *event, struct slice wanted, const char *message)
{
    event->wanted = wanted;
    event->message = message;
    return STATUS_BAD_REQUEST;
}

static bool value_ok(struct slice value)
{
    return value.size >= 1 && value.size <= ARGUMENT_MAX && !memchr(value.data, ':', value.size);
}

/* The first of a name counts. */
static bool find_argument(const struct cache_event *event, struct slice name, struct slice *ret_value)
{
    for (unsigned a = 0; a + 1 < event->arguments_count; a += 2)
        if (slice_equal(event->arguments[a], name)) {
            *ret_value = event->arguments[a + 1];
            return true;
        }
    return false;
}

static enum status take_arguments(const struct event *e, struct cache_event *event, struct captures *ret)
{
    for (unsigned n = 0; n < e->names.count; n++) {
        if (!find_argument(event, e->names.of[n], &ret->of[n]))
            return refuse(event, e->names.of[n], "is missing");
        if (!value_ok(ret->of[n]))
            return refuse(event, e->names.of[n], "has 1 to 255 bytes, none of them a ':'");
    }
    return STATUS_OK;
}

/* A list for each kind, behind them a place for each name. */
static bool fill_names(const struct event *e, const struct captures *captures, struct slice *lists,
                       unsigned counts[3])
{
    static const size_t longest[] = {
        [TARGET_KEY] = WIRE_KEY_MAX, [TARGET_TAG] = WIRE_TAG_BYTES_MAX, [TARGET_PREFIX] = WIRE_KEY_MAX};
    char *at = (char *)(lists + 3 * e->targets_count);
    for (unsigned t = 0; t < e->targets_count; t++, at += WIRE_KEY_MAX) {
        enum target_kind kind = e->targets[t].kind;
        size_t size = template_fill(&e->targets[t].name, captures, at, longest[kind]);
        if (size == 0)
            return false;
        lists[kind * e->targets_count + counts[kind]++] = slice_of(at, size);
    }
    return true;
}

_Static_assert(WIRE_KEY_MAX == 1024, "contract: CACHE_EVENT_ROOM");

enum status cache_event_fill(const struct cache *c, struct cache_event *event, void *room)
{
    const struct event *e = find(c->policies, event->name);
    struct captures captures;
    unsigned counts[3] = {0};
    event->message = NULL;
    CHECK(e);
    enum status status = take_arguments(e, event, &captures);
    if (status != STATUS_OK)
        return status;
    event->keys = room;
    event->tags = event->keys + e->targets_count;
    event->prefixes = event->tags + e->targets_count;
    if (!fill_names(e, &captures, event->keys, counts)) {
        event->message = "a key or prefix it names is longer than 1024 bytes, or a tag longer than 255";
        return STATUS_LIMIT;
    }
    event->keys_count = counts[TARGET_KEY];
    event->tags_count = counts[TARGET_TAG];
    event->prefixes_count = counts[TARGET_PREFIX];
    return STATUS_OK;
}
