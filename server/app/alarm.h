/* Tells people: runs [health] alert_command for each alert that comes or goes.
 *
 * What must stay true: one command at a time; what waits has a bound, and who finds no room is counted and logged; a
 * command that hangs is killed. */
#ifndef LARDER_APP_ALARM_H
#define LARDER_APP_ALARM_H

#include "admin/alerts.h"
#include "net/loop.h"

struct alarm_bell;

struct alarm_bell *alarm_create(struct loop *loop, const struct health_options *options);
struct alarm_bell *alarm_destroy(struct alarm_bell *b); /* NULL ok, returns NULL */

/* Judged just now: whoever has to be told is told. */
void alarm_update(struct alarm_bell *b, const struct health *h);

struct alarm_figures {
    uint64_t active, told, failed, dropped;
};
void alarm_measure(const struct alarm_bell *b, struct alarm_figures *ret);

#endif
