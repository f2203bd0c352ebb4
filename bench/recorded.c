#include "bench/recorded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench/keys.h"

enum { ROOM_FIRST = 1 << 16, BYTES_MAX = INT32_MAX };

static uint64_t slot_of(const struct recorded *t, uint64_t name)
{
    uint64_t slot = mix64(name) & (t->slots - 1);
    while (t->names[slot] && t->names[slot] != name + 1)
        slot = (slot + 1) & (t->slots - 1);
    return slot;
}

static int names_grow(struct recorded *t)
{
    struct recorded old = *t;
    t->slots = old.slots ? 2 * old.slots : ROOM_FIRST;
    t->names = calloc(t->slots, sizeof(*t->names));
    t->numbers = malloc(t->slots * sizeof(*t->numbers));
    for (uint64_t i = 0; t->names && t->numbers && i < old.slots; i++) {
        if (!old.names[i])
            continue;
        uint64_t slot = slot_of(t, old.names[i] - 1);
        t->names[slot] = old.names[i];
        t->numbers[slot] = old.numbers[i];
    }
    free(old.names);
    free(old.numbers);
    return t->names && t->numbers ? 0 : -1;
}

static uint32_t number_of(struct recorded *t, uint64_t name, uint32_t bytes)
{
    uint64_t slot = slot_of(t, name);
    if (!t->names[slot]) {
        t->names[slot] = name + 1;
        t->numbers[slot] = t->keys++;
        t->bytes += bytes;
    }
    return t->numbers[slot];
}

static int requests_grow(struct recorded *t)
{
    uint64_t room = t->room ? 2 * t->room : ROOM_FIRST;
    void *requests = realloc(t->requests, sizeof(*t->requests) * room);
    if (!requests)
        return -1;
    t->requests = requests;
    t->room = room;
    return 0;
}

static int add(struct recorded *t, const struct trace_request *r)
{
    uint32_t bytes = r->size == 0 ? 1 : r->size < BYTES_MAX ? (uint32_t)r->size : BYTES_MAX;
    if ((2 * (uint64_t)t->keys >= t->slots && names_grow(t) < 0) ||
        (t->count == t->room && requests_grow(t) < 0))
        return -1;
    t->requests[t->count++] = (struct recorded_request){
        .key = number_of(t, r->key, bytes), .bytes = bytes & BYTES_MAX, .is_set = r->op == TRACE_SET};
    return 0;
}

int recorded_read(struct recorded *t, struct trace *from, uint64_t most)
{
    struct trace_request r;
    int more = 1;
    while ((most == 0 || t->count < most) && (more = trace_next(from, &r)) == 1) {
        if (add(t, &r) < 0)
            return -1;
    }
    return more < 0 ? -1 : 0;
}

void recorded_free(struct recorded *t)
{
    free(t->requests);
    free(t->names);
    free(t->numbers);
    *t = (struct recorded){0};
}

const char *recorded_name(const char *path)
{
    static char name[64];
    const char *slash = strrchr(path, '/');
    snprintf(name, sizeof(name), "%s", slash ? slash + 1 : path);
    char *end = strstr(name, ".txt");
    if (end)
        *end = '\0';
    return name;
}
