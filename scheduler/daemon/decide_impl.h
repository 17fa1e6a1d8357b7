/* The inside of a decision: shared by decide_filter.c (the course of it) and decide_answer.c (the three ways to answer).
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/decide_filter.h"

struct decide {
    struct state *st;
    struct model_set *m;
    const struct extender_args *args;
    enum metric_verb verb;
    enum decide_way way;
    struct arena *arena;
    bool whole;
    int64_t deadline_ns, start_ns;
    /* the request's names, each once */
    uint32_t n_names;  /* as sent */
    struct str *names; /* of the request or of its nodes */
    node_ix *nodes;    /* known */
    uint32_t *pos;     /* of nodes[i] in the request */
    uint32_t n_nodes;
    uint32_t *unknown; /* positions */
    uint32_t n_unknown;
    node_ix last[RESERVE_FAILS];
    uint32_t n_last;
    /* the pod */
    struct pod_req req;
    uint32_t track;
    uint64_t seq;
    pod_ix lifted; /* the bound pod itself, taken off for the decision */
    struct ask ask;
    struct decision d;
    struct str chosen, runner_up;
    struct ranked top[2];
    uint32_t n_top;
    bool reserve_it;
};
/* Fills ret from x->d: which names, which refusals, which scores, and whether to reserve. 0 or -ENOMEM. */
int decide_answer(struct decide *x, struct decided *ret, struct err *err) SP_MUST_CHECK;
int decide_fallback(struct decide *x, enum stale_answer how, struct decided *ret,
                    struct err *err) SP_MUST_CHECK;
