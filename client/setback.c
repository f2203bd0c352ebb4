#include "client/setback.h"

#include <stdbool.h>
#include "client/client.h"

static bool is_kept(const struct setbacks *s, uint64_t hash)
{
    return s->places[hash % SETBACK_PLACES].until_ns && s->places[hash % SETBACK_PLACES].hash == hash;
}

uint64_t setback_left_ns(const struct setbacks *s, uint64_t hash, uint64_t now_ns)
{
    uint64_t until = s->places[hash % SETBACK_PLACES].until_ns;
    return is_kept(s, hash) && until > now_ns ? until - now_ns : 0;
}

static uint64_t next_step(const struct setbacks *s, uint64_t hash, uint64_t now_ns)
{
    uint64_t step = s->places[hash % SETBACK_PLACES].step_ns;
    if (!is_kept(s, hash) || now_ns > s->places[hash % SETBACK_PLACES].until_ns + SETBACK_FORGET_NS)
        return SETBACK_MIN_NS;
    return step * 2 > SETBACK_MAX_NS ? SETBACK_MAX_NS : step * 2;
}

uint64_t setback_note(struct setbacks *s, uint64_t hash, uint64_t wish_ns, uint64_t now_ns)
{
    uint64_t step = next_step(s, hash, now_ns);
    uint64_t ns = wish_ns ? wish_ns : jittered(step, now_ns ^ hash);
    s->places[hash % SETBACK_PLACES].hash = hash;
    s->places[hash % SETBACK_PLACES].step_ns = step;
    s->places[hash % SETBACK_PLACES].until_ns = now_ns + ns;
    return ns;
}

void setback_over(struct setbacks *s, uint64_t hash)
{
    if (is_kept(s, hash))
        s->places[hash % SETBACK_PLACES].until_ns = 0;
}
