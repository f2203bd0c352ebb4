#include "bench/cdf.h"

static void add(json_t *points, const struct hist *h, double share)
{
    json_array_append_new(points, json_pack("[f, f]", hist_quantile(h, share), share));
}

json_t *cdf_json(const struct hist *h)
{
    static const double tail[] = {0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999, 1};
    json_t *points = json_array();
    add(points, h, 0.001);
    for (unsigned percent = 1; percent < 100; percent++)
        add(points, h, percent / 100.0);
    for (unsigned i = 0; i < sizeof(tail) / sizeof(tail[0]); i++)
        add(points, h, tail[i]);
    return points;
}
