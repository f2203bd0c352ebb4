/* What is hot in L1: kept for the next start, carried back then and into an index made anew, told to the fleet.
 *
 * What must stay true: each call looks at a bounded number of slots (hot_set_save, at the stop, at all of them, in such parts);
 * while the hot set of the last run is not back, this one's does not make it forgotten.
 * Thread rule: loop thread only. */
#ifndef LARDER_APP_HOT_SET_H
#define LARDER_APP_HOT_SET_H

struct space;

/* Carries what was hot into L1, in bounded turns. */
void hot_set_restore(struct space *s);
/* Every 100 ms: the next slice; a whole round is saved.  And has L1 become full of entries that its index was not made for?  Then
 * it is made anew, and refilled. */
void hot_set_keep(struct space *s);
void hot_set_save(struct space *s);
void hot_set_free(struct space *s);
/* Every 20 ms: the fleet hears of some of it each second. */
void hot_set_tell(struct space *s);

#endif
