/* Prometheus' text format 0.0.4: families of samples, one after the other.  Labels are few and bounded: never a key.
 *
 * Whoever writes begins a family, then gives its samples.  An error (no room) is kept; what comes after it is dropped. */
#ifndef LARDER_ADMIN_EXPOSITION_H
#define LARDER_ADMIN_EXPOSITION_H

#include "proto/pack.h"

struct exposition {
    struct buffer *out;
    int error; /* 0, or PACK_E_* */
};

struct exposition_label {
    const char *name, *value; /* the value is escaped */
};

enum { EXPOSITION_LABELS = 4 };

/* `type`: "counter", "gauge", "histogram", "summary". */
void exposition_family(struct exposition *e, const char *name, const char *type, const char *help);
/* `suffix` "" but for parts of histograms and summaries; labels end with a NULL name or EXPOSITION_LABELS. */
void exposition_sample(struct exposition *e, const char *name, const char *suffix,
                       const struct exposition_label *labels, double value);

#endif
