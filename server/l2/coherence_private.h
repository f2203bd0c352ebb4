/* The membership from inside: coherence.c moves it, coherence_ask.c answers what the host asks of it. */
#ifndef LARDER_L2_COHERENCE_PRIVATE_H
#define LARDER_L2_COHERENCE_PRIVATE_H

#include "base/check.h"
#include "base/list.h"
#include "l2/backoff.h"
#include "l2/coherence.h"
#include "l2/fence.h"

struct partition {
    struct fences fences;
    uint64_t last_fence_ns; /* the newest that vouched; over restarts too, within one boot */
    uint64_t target;        /* CATCHING_UP ends here */
    uint64_t believe_from;  /* what was read before our own backlog was through is not believed */
    uint64_t kills_from;    /* see coherence_knows_kills */
    uint64_t silent_ns;     /* for so long nothing came although something is due and Redis answers */
    uint64_t unheard_ns;    /* for so long it was due and Redis said nothing at all */
    uint64_t heard_ns;      /* the last answer of Redis */
    bool greeted, sending;  /* of this session; a batch of the backlog is on its way */
    bool greeted_before;    /* of this process: kills_from holds */
    bool applied_news;      /* for listener.applied */
    uint64_t told_fence_ns; /* of the last listener.applied */
    struct fleet_change batch;
};

struct coherence {
    struct coherence_setup setup;
    struct fleet_view view;
    enum coherence_state state;
    uint64_t since_ns; /* of the state, or of the last progress in it */
    uint64_t tick_ns;  /* of the last tick */
    uint64_t retry_ns; /* DOWN until then */
    uint64_t begun_ns; /* the newest attempt to join */
    uint64_t last_read_ns;
    struct backoff pause;
    struct backlog *backlog;
    struct list in_flight; /* changes sent, in order; linked through fleet_private */
    bool shown_news;
    bool tried; /* an attempt to join has ended, badly: Redis is known to be away */
    struct fleet_figures figures;
    struct partition of[FLEET_PARTITIONS_MAX];
};

#define FOR_PARTITIONS(c, p) for (unsigned p = 0; p < (c)->view.partitions; p++)

#endif
