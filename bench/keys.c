#include "bench/keys.h"

#include <math.h>
#include <stdlib.h>

uint64_t mix64(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

uint64_t rng_next(struct rng *r)
{
    r->state += 0x9e3779b97f4a7c15ull;
    return mix64(r->state);
}

double rng_unit(struct rng *r)
{
    return (double)(rng_next(r) >> 11) * 0x1.0p-53;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    return (uint64_t)((unsigned __int128)rng_next(r) * n >> 64);
}

/* ---- zipf --------------------------------------------------------------------------------------------- */

/* (e^t - 1) / t and log(1 + t) / t, both 1 at t = 0: they keep the formulas below right at s = 1. */
static double expm1_over(double t)
{
    return fabs(t) > 1e-8 ? expm1(t) / t : 1 + t / 2;
}

static double log1p_over(double t)
{
    return fabs(t) > 1e-8 ? log1p(t) / t : 1 - t / 2;
}

static double weight(const struct zipf *z, double x)
{
    return exp(-z->s * log(x));
}

/* The integral of weight() from 1 to x, and its inverse. */
static double area(const struct zipf *z, double x)
{
    double l = log(x);
    return expm1_over((1 - z->s) * l) * l;
}

static double area_inverse(const struct zipf *z, double a)
{
    double t = a * (1 - z->s);
    return exp(log1p_over(t < -1 ? -1 : t) * a);
}

void zipf_init(struct zipf *z, uint64_t n, double s)
{
    *z = (struct zipf){.n = (double)n, .s = s};
    z->low = area(z, 1.5) - 1;
    z->high = area(z, z->n + 0.5);
    z->accept = 2 - area_inverse(z, area(z, 2.5) - weight(z, 2));
}

uint64_t zipf_next(const struct zipf *z, struct rng *r)
{
    for (;;) {
        double a = z->high + rng_unit(r) * (z->low - z->high);
        double x = area_inverse(z, a);
        double k = floor(x + 0.5);
        k = k < 1 ? 1 : k > z->n ? z->n : k;
        if (k - x <= z->accept || a >= area(z, k + 0.5) - weight(z, k))
            return (uint64_t)k - 1;
    }
}

/* ---- streams ------------------------------------------------------------------------------------------ */

uint32_t *keys_stream(enum key_order order, uint32_t key_count, double theta, size_t count, uint64_t seed)
{
    uint32_t *stream = malloc(count * sizeof(*stream));
    struct rng r = {seed};
    struct zipf z;
    if (!stream)
        return NULL;
    zipf_init(&z, key_count, theta);
    for (size_t i = 0; i < count; i++)
        stream[i] = (uint32_t)(order == KEYS_ZIPF ? zipf_next(&z, &r) : rng_below(&r, key_count));
    return stream;
}

uint32_t *keys_shuffled(uint32_t key_count, uint64_t seed)
{
    uint32_t *order = malloc(key_count * sizeof(*order));
    struct rng r = {seed};
    if (!order)
        return NULL;
    for (uint32_t i = 0; i < key_count; i++) {
        uint32_t j = (uint32_t)rng_below(&r, (uint64_t)i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    return order;
}

/* ---- names and values --------------------------------------------------------------------------------- */

/* Eight hex digits at once: each half-byte of x in a byte of its own, then a letter's distance added where it is
 * over nine. */
static uint64_t hex_digits(uint32_t x)
{
    uint64_t n = x;
    n = (n | n << 16) & 0x0000ffff0000ffffull;
    n = (n | n << 8) & 0x00ff00ff00ff00ffull;
    n = (n | n << 4) & 0x0f0f0f0f0f0f0f0full;
    uint64_t over_nine = (n + 0x0606060606060606ull) >> 4 & 0x0101010101010101ull;
    return n + 0x3030303030303030ull + over_nine * ('a' - '0' - 10);
}

static void write_hex(char *out, uint64_t x)
{
    uint64_t digits[] = {hex_digits((uint32_t)(x >> 32)), hex_digits((uint32_t)x)};
    memcpy(out, digits, sizeof(digits));
}

struct slice key_name(char out[KEY_BYTES_MAX], uint32_t number, unsigned levels)
{
    static const struct {
        char text[16];
        size_t size;
    } begin[] = {{"", 0}, {"item:", 5}, {"user:item:", 10}, {"acme:user:item:", 15}};
    size_t size = begin[levels & 3].size;
    memcpy(out, begin[levels & 3].text, 16);
    write_hex(out + size, mix64(number + 1ull));
    return slice_of(out, size + 16);
}

static uint64_t value_word(uint32_t number, uint64_t version, uint64_t at)
{
    return (number + 1ull) * 0x9e3779b97f4a7c15ull ^ version * 0xd6e8feb86659fd93ull ^ at;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

void value_make(uint8_t *out, size_t size, uint32_t number, uint64_t version)
{
    memcpy(out, &version, least(size, 8));
    for (size_t at = 8; at < size; at += 8) {
        uint64_t word = value_word(number, version, at);
        memcpy(out + at, &word, least(size - at, 8));
    }
}

bool value_right(struct slice value, uint32_t number, uint64_t *ret_version)
{
    const uint8_t *p = value.data;
    uint64_t version = 0, word, have;
    size_t at = 8;
    memcpy(&version, p, least(value.size, 8));
    for (; at + 8 <= value.size; at += 8) {
        memcpy(&have, p + at, 8);
        if (have != value_word(number, version, at))
            return false;
    }
    word = value_word(number, version, at);
    if (at < value.size && memcmp(p + at, &word, value.size - at) != 0)
        return false;
    if (ret_version)
        *ret_version = version;
    return true;
}
