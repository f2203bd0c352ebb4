#include "l1/builder.h"

#include <stdlib.h>
#include "base/check.h"

struct builder {
    struct loop *loop; /* NULL: everything at once */
    struct make {
        struct offload offload;
        struct memory_plan plan;
        struct memory memory;
        int outcome;
        bool running, made, dropped;
    } make;
    struct give_back {
        struct offload offload;
        struct memory memory;
        bool running;
    } back;
    bool over; /* destroyed; whatever ends last frees it */
};

static void free_if_over(struct builder *b)
{
    if (b->over && !b->make.running && !b->back.running)
        free(b);
}

/* Without a loop the end comes in the call. */
static void start(struct builder *b, struct offload *o)
{
    if (b->loop) {
        offload_start(b->loop, o);
        return;
    }
    o->work(o);
    o->done(o);
}

/* ---- given back ---------------------------------------------------------------------------------------------- */

static void work_give_back(struct offload *o)
{
    memory_unmake(&CONTAINER_OF(o, struct give_back, offload)->memory);
}

static void gave_back(struct offload *o)
{
    struct builder *b = CONTAINER_OF(o, struct builder, back.offload);
    b->back.running = false;
    free_if_over(b);
}

void builder_give_back(struct builder *b, const struct memory *m)
{
    if (b->back.running) {
        struct memory another = *m;
        memory_unmake(&another);
        return;
    }
    b->back.memory = *m;
    b->back.running = true;
    start(b, &b->back.offload);
}

/* ---- made ------------------------------------------------------------------------------------------------------ */

static void work_make(struct offload *o)
{
    struct make *m = CONTAINER_OF(o, struct make, offload);
    m->outcome = memory_make(&m->plan, &m->memory);
}

static void forget_made(struct builder *b)
{
    b->make.made = false;
    if (b->make.outcome == 0)
        builder_give_back(b, &b->make.memory);
}

static void made(struct offload *o)
{
    struct builder *b = CONTAINER_OF(o, struct builder, make.offload);
    b->make.running = false;
    b->make.made = true;
    if (b->make.dropped)
        forget_made(b);
    free_if_over(b);
}

void builder_make(struct builder *b, const struct memory_plan *plan)
{
    if (b->make.running || b->make.made)
        return;
    b->make.plan = *plan;
    b->make.dropped = false;
    b->make.running = true;
    start(b, &b->make.offload);
}

int builder_take(struct builder *b, struct memory *ret)
{
    struct make *m = &b->make;
    if (!m->made)
        return BUILDER_NOT_YET;
    m->made = false;
    *ret = m->memory;
    return m->outcome;
}

void builder_drop(struct builder *b)
{
    b->make.dropped = true;
    if (b->make.made)
        forget_made(b);
}

/* ---- beginning and end ----------------------------------------------------------------------------------------- */

struct builder *builder_create(struct loop *loop)
{
    struct builder *b = must_alloc(sizeof(*b));
    *b = (struct builder){.loop = loop,
                          .make.offload = {.work = work_make, .done = made},
                          .back.offload = {.work = work_give_back, .done = gave_back}};
    return b;
}

/* The loop may not run any more: what has not begun is done here. */
struct builder *builder_destroy(struct builder *b)
{
    if (!b)
        return NULL;
    if (b->make.made && b->make.outcome == 0)
        memory_unmake(&b->make.memory);
    b->make.made = false;
    b->make.dropped = true;
    b->over = true;
    free_if_over(b);
    return NULL;
}
