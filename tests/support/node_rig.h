/* The Redis tier and a puppet for a Redis: what the tests of bad answers have in common. */
#ifndef LARDER_TESTS_NODE_RIG_H
#define LARDER_TESTS_NODE_RIG_H

#include "support/l2_rig.h"
#include "support/puppet_redis.h"

struct node_rig {
    struct l2_rig l2;
    struct puppet puppet;
};

static inline int begin(void **state)
{
    struct node_rig *rig = calloc(1, sizeof(*rig));
    rig_prepare(&rig->l2, NULL, "unix:/nowhere", 0x1234);
    rig->l2.setup.hasty = true;
    puppet_begin(&rig->puppet, rig->l2.loop);
    rig->puppet.v = 100;
    *state = rig;
    return 0;
}

static inline int finish(void **state)
{
    struct node_rig *rig = *state;
    rig_finish(&rig->l2);
    puppet_end(&rig->puppet);
    free(rig);
    return 0;
}

#define UNTIL(rig, condition) L2_RIG_UNTIL(&(rig)->l2, condition)
#define SAID(text)               \
    {                            \
        (text), sizeof(text) - 1 \
    }

/* Fresh in a session that nothing is wrong with.  Somebody reads, so that fences go on and say so. */
static inline void make_fresh(struct node_rig *rig)
{
    struct rig_read read = {0};
    memset(rig->puppet.instead, 0, sizeof(rig->puppet.instead));
    if (!rig->l2.l2)
        rig_start(&rig->l2);
    rig_get(&rig->l2, &read, "somebody's");
    UNTIL(rig, rig_fresh(&rig->l2) && !rig_health(&rig->l2).trouble);
}

/* Ends the session, so that it begins anew. */
static inline void cut(struct node_rig *rig)
{
    puppet_hang_up(&rig->puppet, 0);
    UNTIL(rig, rig_view(&rig->l2)->mode == SHM_DETACHED);
}

/* "" means that the session goes on. */
static inline void expect(struct node_rig *rig, uint64_t session, const char *words, const char *said)
{
    const char *trouble;
    if (!*words) {
        if (rig_view(&rig->l2)->session != session || rig_view(&rig->l2)->mode == SHM_DETACHED)
            fail_msg("%s: the session ended: %s", said, rig_health(&rig->l2).trouble);
        return;
    }
    UNTIL(rig, rig_view(&rig->l2)->mode == SHM_DETACHED && (trouble = rig_health(&rig->l2).trouble));
    if (!strstr(trouble, words))
        fail_msg("%s: \"%s\" does not say \"%s\"", said, trouble, words);
}

#endif
