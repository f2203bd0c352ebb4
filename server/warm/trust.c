#include "warm/trust.h"

#include <string.h>

static bool is_same_boot(const struct trust *t)
{
    return t->boot_id[0] != '\0' && strcmp(t->state->boot_id, t->boot_id) == 0;
}

/* The page the last run used, and nothing newer than that run: kill -9 between the commit of a start number and its
 * note in the page leaves the page one behind, with the journal of the run before, which is still right. */
static bool page_is_of_last_run(const struct trust *t)
{
    return t->page_same_boot && t->owner.id == t->state->page_id && t->owner.epoch == t->state->epoch &&
           (t->owner.start_no == t->state->start_no || t->owner.start_no + 1 == t->state->start_no);
}

const char *trust_judge(const struct trust *t)
{
    bool same_boot = is_same_boot(t);
    if (t->page_same_boot && t->owner.stranger)
        return "a daemon of this boot ran without the directory and may have changed what it holds";
    if (t->page_same_boot && t->owner.epoch != 0 && t->owner.epoch != t->state->epoch)
        return "a daemon of this boot ran with another directory and may have changed what this one holds";
    if (t->page_same_boot && t->owner.epoch == t->state->epoch &&
        (t->owner.start_no > t->state->start_no || t->owner.applied > t->state->applied))
        return "the directory is an older copy of itself";
    if (t->state->clean)
        return NULL;
    if (!same_boot)
        return "the machine was started anew without a clean stop of the daemon";
    if (t->state->page_id != 0 && !page_is_of_last_run(t))
        return "the last run ended without a clean stop, and its runtime page is gone";
    return NULL;
}
