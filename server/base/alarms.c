#include "base/alarms.h"

#include <stdlib.h>
#include "base/check.h"

enum { SLOTS = 4096, SLOT_SHIFT = 27 };

struct alarms {
    uint64_t turned; /* slots up to here have been passed, this one to be looked at again */
    struct list slots[SLOTS];
};

void alarm_init(struct alarm *alarm, void (*ring)(struct alarm *alarm))
{
    list_init(&alarm->node);
    alarm->at_ns = 0;
    alarm->ring = ring;
}

struct alarms *alarms_create(uint64_t now_ns)
{
    struct alarms *a = must_alloc(sizeof(*a));
    a->turned = now_ns >> SLOT_SHIFT;
    for (unsigned i = 0; i < SLOTS; i++)
        list_init(&a->slots[i]);
    return a;
}

struct alarms *alarms_destroy(struct alarms *a)
{
    for (unsigned i = 0; a && i < SLOTS; i++)
        CHECK(list_empty(&a->slots[i]));
    free(a);
    return NULL;
}

void alarm_set(struct alarms *a, struct alarm *alarm, uint64_t at_ns)
{
    uint64_t slot = at_ns >> SLOT_SHIFT;
    alarm_off(alarm);
    alarm->at_ns = at_ns;
    list_append(&a->slots[(slot > a->turned ? slot : a->turned) % SLOTS], &alarm->node);
}

static void take_due(struct list *slot, uint64_t now_ns, struct list *ret_due)
{
    LIST_FOR_SAFE(node, slot)
    {
        if (CONTAINER_OF(node, struct alarm, node)->at_ns > now_ns)
            continue;
        list_remove(node);
        list_append(ret_due, node);
    }
}

/* Taken out before the first rings: what an alarm sets anew rings in a later turn, and what it calls off not at all. */
void alarms_turn(struct alarms *a, uint64_t now_ns)
{
    struct list due, *first;
    uint64_t to = now_ns >> SLOT_SHIFT, from = a->turned;
    list_init(&due);
    from = to - from < SLOTS ? from : to - SLOTS + 1;
    for (uint64_t slot = from; slot <= to; slot++)
        take_due(&a->slots[slot % SLOTS], now_ns, &due);
    a->turned = to;
    while ((first = list_first(&due))) {
        struct alarm *alarm = CONTAINER_OF(first, struct alarm, node);
        list_remove(first);
        alarm->ring(alarm);
    }
}
