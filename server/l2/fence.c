#include "l2/fence.h"

#include <string.h>
#include "base/check.h"
#include "base/fleet.h"
#include "l2/rules.h"

bool fences_due(const struct fences *f, uint64_t now_ns, uint64_t last_read_ns)
{
    return f->count < FENCES_MAX && now_ns - f->last_sent_ns >= FENCE_EVERY_NS &&
           now_ns - last_read_ns < FENCE_IDLE_NS;
}

void fences_sent(struct fences *f, uint64_t now_ns, uint64_t known_v)
{
    CHECK(f->count < FENCES_MAX);
    f->of[f->count++] = (struct fence){.sent_ns = now_ns, .known_v = known_v};
    f->last_sent_ns = now_ns;
}

/* Compared with what was known at the sending, not now: a record may overtake the answer on the other connection. */
enum fence_answer fences_answered(struct fences *f, uint64_t v)
{
    for (unsigned i = 0; i < f->count; i++) {
        if (f->of[i].answered)
            continue;
        f->of[i].answered = true;
        f->of[i].v = v;
        return RULE(I2_back, v >= f->of[i].known_v) ? FENCE_GOOD : FENCE_WENT_BACK;
    }
    return FENCE_UNASKED;
}

static void drop_first(struct fences *f, unsigned count)
{
    f->count -= count;
    memmove(f->of, f->of + count, f->count * sizeof(f->of[0]));
}

static bool reached(const struct fence *fence, uint64_t applied)
{
    return fence->answered && RULE(F13_applied, applied >= fence->v);
}

uint64_t fences_vouch(struct fences *f, uint64_t applied)
{
    uint64_t sent_ns = 0;
    unsigned count = 0;
    while (count < f->count && reached(&f->of[count], applied))
        sent_ns = f->of[count++].sent_ns;
    drop_first(f, count);
    return sent_ns;
}

void fences_expire(struct fences *f, uint64_t now_ns)
{
    unsigned count = 0;
    while (count < f->count && f->of[count].answered && now_ns - f->of[count].sent_ns >= FLEET_FRESH_NS)
        count++;
    drop_first(f, count);
}

void fences_forget(struct fences *f)
{
    f->count = 0;
}
