#include "bench/hist.h"

static unsigned bucket_of(uint64_t value)
{
    if (value < HIST_SUB)
        return (unsigned)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HIST_SUB_BITS;
    if (shift >= HIST_OCTAVES)
        return HIST_BUCKETS - 1;
    return (shift + 1) * HIST_SUB + (unsigned)((value >> shift) - HIST_SUB);
}

static double middle_of(unsigned bucket)
{
    if (bucket < 2 * HIST_SUB)
        return bucket;
    unsigned shift = bucket / HIST_SUB - 1;
    uint64_t low = (uint64_t)(bucket % HIST_SUB + HIST_SUB) << shift;
    return (double)low + (double)((1ull << shift) - 1) / 2;
}

void hist_record(struct hist *h, uint64_t value)
{
    if (h->count == 0 || value < h->min)
        h->min = value;
    if (value > h->max)
        h->max = value;
    h->count++;
    h->sum += value;
    h->bucket[bucket_of(value)]++;
}

void hist_merge(struct hist *into, const struct hist *from)
{
    if (from->count == 0)
        return;
    if (into->count == 0 || from->min < into->min)
        into->min = from->min;
    if (from->max > into->max)
        into->max = from->max;
    into->count += from->count;
    into->sum += from->sum;
    for (unsigned i = 0; i < HIST_BUCKETS; i++)
        into->bucket[i] += from->bucket[i];
}

static double within(const struct hist *h, double value)
{
    if (value < (double)h->min)
        return (double)h->min;
    return value > (double)h->max ? (double)h->max : value;
}

double hist_quantile(const struct hist *h, double q)
{
    double wanted = q * (double)h->count;
    uint64_t seen = 0;
    if (h->count == 0)
        return 0;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen > 0 && (double)seen >= wanted)
            return within(h, middle_of(i));
    }
    return (double)h->max;
}

double hist_mean(const struct hist *h)
{
    return h->count ? (double)h->sum / (double)h->count : 0;
}
