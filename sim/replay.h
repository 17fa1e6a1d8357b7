/* Places the pods of a world, one after the other, each seeing those before.
 *
 * Order: priority (high first), creation time (old first, unknown last), input order. Every placed pod is assumed in the
 * model at once. What is not placed is one of two things:
 *   failed   it can never run as written: every node refuses it for a cause that lies in the pod's text and the node's
 *            make (selector, volume, hardware, pool, region, a taint of the pool), or lacks the resources even when empty
 *   pending  no node fits now: pods in the way, a cordon, a node that is leaving or not ready, another pod's absence,
 *            a latency limit (which a live decision relaxes with time), or no node at all
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "engine/engine.h"
#include "sim/world.h"

enum placed_state { PLACED_ON_NODE = 0, PLACED_PENDING, PLACED_FAILED };
struct placement {
    struct str pod;     /* "NS/NAME", in the replay's arena */
    struct pod_req req; /* a copy whose arrays live in the replay's arena */
    node_ix node;       /* NODE_NONE: not placed */
    enum placed_state state;
    struct str reason; /* why here in a few words, or kube-scheduler's message */
};
struct replay {
    struct arena arena;
    VEC(struct placement) placements; /* in the order of decision */
    uint64_t bound,
        preempt_wanted; /* pods already on nodes; pending pods that outrank a bound one */
    double wall_s;      /* of the decisions */
    struct engine_stats stats;
};
struct replay_opts {
    const struct preset *preset;
    uint64_t seed;
    bool repack;
};

/* Changes the world's cluster for good. replay_done is needed in any case. */
int replay_run(struct world *w, const struct replay_opts *opts, struct replay *ret,
               struct err *err) SP_MUST_CHECK;
void replay_done(struct replay *r);
/* Whether this node could never take the pod, whoever else leaves; `v` is the node's verdict. */
bool replay_never(const struct cluster *c, const struct pod_req *pod, node_ix node,
                  const struct verdict *v);
