/* Members of JSON objects, as all documents write them. */
#ifndef LARDER_APP_PUT_H
#define LARDER_APP_PUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* json_int_t is signed; no counter of ours gets there. */
static inline void put_number(json_t *object, const char *name, uint64_t number)
{
    json_object_set_new(object, name, json_integer((json_int_t)(number <= INT64_MAX ? number : INT64_MAX)));
}

static inline void put_text(json_t *object, const char *name, const char *text)
{
    json_object_set_new(object, name, text ? json_string(text) : json_null());
}

static inline void put_switch(json_t *object, const char *name, bool on)
{
    json_object_set_new(object, name, json_boolean(on));
}

#endif
