/* Things that are due at times of their own: thousands of them, most called off before they ring.
 *
 * A wheel of lists, a slot for each eighth of a second of some nine minutes; what is due later lies in its slot and is
 * passed over each time round.  Set and call off are O(1), a turn costs the slots it passes and what lies in them.
 *
 * The clock is passed in.  Thread rule: one thread. */
#ifndef LARDER_BASE_ALARMS_H
#define LARDER_BASE_ALARMS_H

#include <stdint.h>
#include "base/list.h"

struct alarm {
    struct list node;
    uint64_t at_ns;
    void (*ring)(struct alarm *alarm); /* may set and call off any alarm, this one included */
};

void alarm_init(struct alarm *alarm, void (*ring)(struct alarm *alarm));
static inline void alarm_off(struct alarm *alarm)
{
    list_remove(&alarm->node); /* one that is not set is in no list */
}

struct alarms;

struct alarms *alarms_create(uint64_t now_ns);
struct alarms *alarms_destroy(struct alarms *a); /* checks that none is set; NULL ok, returns NULL */

/* Rings in the first turn that is not before at_ns; one that was set already is moved. */
void alarm_set(struct alarms *a, struct alarm *alarm, uint64_t at_ns);
void alarms_turn(struct alarms *a, uint64_t now_ns);

#endif
