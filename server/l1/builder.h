/* Makes the memory of an incarnation, and gives it back, without the loop waiting for it (memory.h).
 *
 * What must stay true: one is made and one given back at a time, which bounds what the memory of L1 is beyond its size; what is
 * under way when the builder is destroyed ends by itself, and leaves nothing.
 *
 * Thread rule: loop thread; the work is done in the pool, or, without a loop (unit tests), at once. */
#ifndef LARDER_L1_BUILDER_H
#define LARDER_L1_BUILDER_H

#include "l1/memory.h"

struct builder;
struct builder *builder_create(struct loop *loop);
struct builder *builder_destroy(struct builder *b); /* NULL ok, returns NULL */

/* Begins; does nothing when something is being made already, or was made and not taken. */
void builder_make(struct builder *b, const struct memory_plan *plan);
/* 0: it is the caller's now.  <0: the system refused (logged). */
enum { BUILDER_NOT_YET = 1 };
int builder_take(struct builder *b, struct memory *ret);
/* What is being made, or was, nobody wants any more. */
void builder_drop(struct builder *b);
/* Nobody knows of it any more.  In the call, when another is still being given back. */
void builder_give_back(struct builder *b, const struct memory *m);

#endif
