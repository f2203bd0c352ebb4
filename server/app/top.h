/* What is used and invalidated most, for people: the hottest keys of shared memory, and the tags that were named most often.
 *
 * What must stay true: of a secret namespace nothing is told, and nothing is kept; each list has at most TOP_NAMES names.
 *
 * Keys are ranked by what eviction knows of their use (1 to 15, fading, then how far apart the uses are), a slice of shared
 * memory at a time: a list is as old as a round takes, 15 s at 256 MiB.
 * Thread rule: loop thread only. */
#ifndef LARDER_APP_TOP_H
#define LARDER_APP_TOP_H

#include <jansson.h>
#include "app/space.h"

enum { TOP_NAMES = 20 };

struct top_keys;
struct top_keys *top_keys_create(void);
struct top_keys *top_keys_destroy(struct top_keys *t); /* NULL ok, returns NULL */
/* The next slice; to be called every 100 ms. */
void top_keys_slice(struct top_keys *t, struct l1 *l1);
/* A key of rank `rank`; the end of a round: what was offered since the last one is the list. */
void top_keys_offer(struct top_keys *t, struct slice key, unsigned rank, unsigned uses);
void top_keys_round(struct top_keys *t);

/* Appends the rows of a namespace. */
void top_keys_list(json_t *array, const struct space *s);
void top_tags_list(json_t *array, const struct space *s);

#endif
