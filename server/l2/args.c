#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "l2/l2_private.h"

enum { NUMBERS_ROOM = 32 * 24, KEPT_BYTES = 64 * 1024 };

void room_kept(struct buffer *room)
{
    if (room->capacity > KEPT_BYTES)
        buffer_finish(room);
}

void args_begin(struct args *a, struct buffer *room, size_t names, size_t names_bytes)
{
    size_t need = names * NAME_ROOM + names_bytes + NUMBERS_ROOM;
    room->size = 0;
    room->limit = need > room->limit ? need : room->limit;
    CHECK(buffer_reserve(room, need) == 0);
    a->count = 0;
    a->script = SCRIPTS;
    a->bytes = (char *)room->data;
    a->used = 0;
    a->room = need;
}

void args_add(struct args *a, struct slice word)
{
    CHECK(a->count < ARGS_MAX);
    a->argv[a->count++] = word;
}

void args_text(struct args *a, const char *word)
{
    args_add(a, slice_text(word));
}

void args_number(struct args *a, uint64_t number)
{
    char *at = a->bytes + a->used;
    CHECK(a->room - a->used >= 24);
    int size = snprintf(at, 24, "%" PRIu64, number);
    a->used += (size_t)size;
    args_add(a, slice_of(at, (size_t)size));
}

static void append(struct args *a, struct slice part)
{
    CHECK(a->room - a->used >= part.size);
    if (part.size)
        memcpy(a->bytes + a->used, part.data, part.size);
    a->used += part.size;
}

void args_join(struct args *a, struct slice first, const char *between, struct slice last)
{
    char *at = a->bytes + a->used;
    append(a, first);
    append(a, slice_text(between));
    append(a, last);
    args_add(a, slice_of(at, (size_t)(a->bytes + a->used - at)));
}

void names_make(struct names *n, const char *prefix, const char *namespace, unsigned partitions)
{
    for (unsigned p = 0; p < partitions; p++) {
        int size = p == 0 ? snprintf(n->of[p], NAME_ROOM, "%s{%s}", prefix, namespace)
                          : snprintf(n->of[p], NAME_ROOM, "%s{%s/%u}", prefix, namespace, p);
        CHECK(size > 0 && size < NAME_ROOM);
    }
}
