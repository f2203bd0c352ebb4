/* What a loader hands back, from its first call to the fill it becomes. */
#ifndef LARDER_CLIENT_LOADED_H
#define LARDER_CLIENT_LOADED_H

#include "client/client.h"
#include "proto/wire.h"

struct larder_holding {
    void *data;
    size_t size;
    void (*free_data)(void *data);
    larder_slice tags[WIRE_TAGS_MAX]; /* copies */
    unsigned tags_count;
};

struct loading {
    larder_loaded loaded; /* what the loader sees */
    struct larder_holding holding;
};

void loading_init(struct loading *l);
void loading_finish(struct loading *l);

/* As a caller gets it: HIT or ABSENT, or MEMORY. */
int value_from_loading(larder_value *value, const struct loading *l);
/* The loader brought no value, nor said that there is none or that none is to be kept. */
bool loading_is_nothing(const struct loading *l);
/* As it is stored.  Points into `l`. */
larder_set_options loading_options(const struct loading *l);
larder_slice loading_value(const struct loading *l);

#endif
