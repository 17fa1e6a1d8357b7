/* The engine: from a pod and candidates to a node. The daemon and the simulator both decide here.
 *
 * An engine belongs to one cluster and one preset and keeps, per pod class, what it already knows about each node;
 * the cluster's change log tells what it must look at again. engine_decide_plain does the same without keeping anything:
 * the reference. One thread at a time. The engine never changes the cluster's observable state.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buf.h"
#include "engine/policy.h"

enum rule { RULE_COST = 0, RULE_SCORE, RULE_RANDOM };

struct preset_item {
    const struct policy *policy;
    int64_t weight; /* RULE_SCORE */
};
struct preset {
    const char *name;    /* "spawnpoint", "least-allocated", … */
    const char *dialect; /* Kubernetes minor for kube-*; else NULL */
    enum rule rule;
    const struct preset_item *items;
    uint32_t n_items;
};

struct engine;
int engine_new(struct engine **ret, struct cluster *c, const struct preset *preset,
               struct err *err) SP_MUST_CHECK;
void engine_free(struct engine *e);

struct ask {
    const struct pod_req *pod;
    const struct pod_class
        *cls; /* NULL: the pod's own; else a changed copy (what-if), decided plainly */
    const struct settings *
        settings; /* NULL: the cluster's; else changed ones that policies read instead (what-if), plainly */
    const node_ix *nodes; /* NULL: all live nodes in row order. Duplicates are not allowed */
    uint32_t n_nodes;
    enum judge judge;
    bool has_time;
    int64_t now_ms, waited_ms; /* waited -1 = no time */
    uint64_t seed;             /* RULE_RANDOM */
    const node_ix *last;       /* nodes that failed this pod twice: to the back of the line */
    uint32_t n_last;
    bool (*over_budget)(void *arg); /* NULL: no budget; polled a few times per decision */
    void *over_arg;
};
/* One candidate that passed. Order: back, full, stage, total (cost up, score down), rank (down), name. */
struct ranked {
    node_ix node;
    uint32_t at; /* position in ask.nodes (or in the engine's own list) */
    bool back, full;
    uint8_t stage;
    int64_t total; /* nano-currency, or weighted score */
    int64_t rank;
};
struct decision {
    node_ix chosen;     /* NODE_NONE: no node fits */
    struct ranked best; /* of the chosen */
    uint32_t n_asked, n_feasible, n_full;
    bool over_budget; /* nothing was decided: the caller answers its fallback */
    bool all_full;    /* chosen although it looks full */
    /* views into the engine, valid until its next decision */
    const node_ix *nodes;           /* the asked, n_asked */
    const struct verdict *verdicts; /* by position */
    const struct ranked *feasible;  /* n_feasible, not sorted */
};
/* 0, -ENOMEM. Allocates nothing from the heap when the class is known and memory has grown to size. */
int engine_decide(struct engine *e, const struct ask *ask, struct decision *ret,
                  struct err *err) SP_MUST_CHECK;
int engine_decide_plain(struct engine *e, const struct ask *ask, struct decision *ret,
                        struct err *err) SP_MUST_CHECK;
/* The first k of a decision's feasible nodes in order; returns how many. */
uint32_t engine_top(const struct engine *e, const struct decision *d, struct ranked *out,
                    uint32_t k);
/* <0 when a comes before b under the whole rule including the name; the parts before the last tie only, without names. */
int engine_compare(const struct engine *e, const struct ranked *a, const struct ranked *b);
int engine_compare_keys(const struct engine *e, const struct ranked *a, const struct ranked *b);
const struct preset *engine_preset(const struct engine *e);
struct engine_stats {
    uint64_t decisions, nodes_evaluated, nodes_reused, classes;
};
void engine_stats(const struct engine *e, struct engine_stats *ret);
/* "0/5 nodes are available: 3 Insufficient cpu, 2 node(s) had untolerated taint(s)." as kube-scheduler words it. */
void engine_message(struct engine *e, const struct decision *d, const struct ask *ask,
                    struct buf *out);
