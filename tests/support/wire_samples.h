/* One sample of every message, filled from the table itself: each number different, each text its field's name, each
 * list two elements long.  A new field is in the tests the moment it is in wire.def. */
#ifndef LARDER_TESTS_WIRE_SAMPLES_H
#define LARDER_TESTS_WIRE_SAMPLES_H

#include "proto/wire.h"

/* void sample_NAME(struct wire_NAME *ret): its slices point to static memory. */
#define MESSAGE(code, NAME, name, who, since, sentence) void sample_##name(struct wire_##name *ret);
#include "proto/wire.def"

#endif
