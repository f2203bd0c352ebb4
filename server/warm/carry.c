/* What outlives an environment that is whole, but whose entries nobody can vouch for: statistics.
 *
 * After a power cut the entries may have been invalidated by changes that were not committed, so all of them go.  What was
 * counted on some day is true whatever was invalidated since.  Only of a file whose pages were all found sound: each
 * record has its checksum besides. */
#include "warm/inside.h"

#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/log.h"

struct carried {
    struct list node;
    enum env_kept what;
    uint64_t number;
    size_t size;
    char bytes[];
};

struct taking {
    struct warm *warm;
    enum env_kept what;
};

/* Bound: as many and as large as their owners write, which is some MiB. */
static void take(void *taking, uint64_t number, struct slice bytes)
{
    const struct taking *t = taking;
    struct carried *c = must_alloc(sizeof(*c) + bytes.size);
    c->what = t->what;
    c->number = number;
    c->size = bytes.size;
    if (bytes.size)
        memcpy(c->bytes, bytes.data, bytes.size);
    list_append(&t->warm->carried, &c->node);
}

void warm_carry_take(struct warm *w)
{
    static const enum env_kept outlive[] = {ENV_ROLLUPS, ENV_RUNS};
    for (unsigned n = 0; n < COUNT_OF(outlive); n++)
        env_each_kept(w->env, outlive[n], take, &(struct taking){w, outlive[n]});
}

static int put_all(struct warm *w, struct env_txn *t)
{
    int rc = 0;
    LIST_FOR(node, &w->carried)
    {
        const struct carried *c = CONTAINER_OF(node, struct carried, node);
        if (rc == 0)
            rc = env_keep(t, c->what, c->number, slice_of(c->bytes, c->size));
    }
    return rc;
}

static int put_in_one(struct warm *w)
{
    struct env_txn t;
    int rc = env_begin(w->env, &t);
    if (rc)
        return rc;
    rc = put_all(w, &t);
    if (rc == 0)
        return env_commit(&t);
    env_abort(&t);
    return rc;
}

void warm_carry_put(struct warm *w)
{
    if (!list_empty(&w->carried) && put_in_one(w) != 0)
        log_error("warm tier: statistics of earlier days could not be carried over and are lost");
    warm_carry_free(w);
}

void warm_carry_free(struct warm *w)
{
    struct list *node;
    while ((node = list_first(&w->carried))) {
        list_remove(node);
        free(CONTAINER_OF(node, struct carried, node));
    }
}
