/* A placement policy: one file, one `const struct policy`, listed in policies/policies.def.
 *
 * The engine hands a policy whole candidate arrays and takes whole result arrays. A policy reads the model and
 * settings, never changes them, has no memory of its own but what class_begin made, no clock, no randomness.
 * All callbacks of one engine run on one thread at a time, while nobody writes the model.
 *
 * How a decision is made (engine/engine.h):
 *   1. filters: every policy may refuse a node; the first that refuses names the reason
 *   2. stage: the latency class (only the latency policy has it), lower first
 *   3. cost: the sum over policies of nano-currency per session, lower first   [rule COST]
 *      or score: the weighted sum of 0..100 scores, higher first               [rule SCORE]
 *   4. rank: where the sums are equal, e.g. the order of Agones' allocation, higher first
 *   5. the smaller name by bytes
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "model/cluster.h"
#include "model/geo.h"
#include "model/latency.h"

enum reason {
    REASON_NONE = 0,
#define REASON(id, unresolvable, text) REASON_##id,
#include "engine/reasons.def"
#undef REASON
    REASON_COUNT
};
const char *reason_text(enum reason r);  /* constant text */
bool reason_unresolvable(enum reason r); /* the table's value */

struct verdict {
    uint16_t reason; /* REASON_NONE: passed */
    uint16_t arg;    /* REASON_INSUFFICIENT: the resource (res_ix) */
    uint8_t policy;  /* position in the preset's list; set by the engine */
    uint8_t
        unresolvable; /* the table's value unless a filter sets 0 or 1 (a request larger than the whole node) */
};

/* How much a filter's (or cost's) answer for a node depends on; decides what the engine keeps between decisions. */
enum policy_dep {
    DEP_STATIC = 0, /* the node object, the class, settings: kept until the node object changes */
    DEP_NODE,       /* also the pods on that node: kept until the node's generation changes */
    DEP_LIVE /* anything else (other nodes' pods, this very pod, time): asked at each decision; must be cheap */
};

/* Who asks, and so which filters count (interface: what /filter judges). */
enum judge {
    JUDGE_ALL = 0, /* simulate, explain, /v1/place: every filter */
    JUDGE_LIVE, /* /filter behind kube-scheduler: taints, cordon, our caps; full nodes are ranked last */
    JUDGE_SNAPSHOT /* /filter with --snapshot: as LIVE, but full nodes are refused */
};

struct policy;
struct policy_ctx {
    const struct cluster *c;
    const struct settings *settings;
    const struct pod_class *cls;
    const struct pod_req *pod; /* in class_begin: a pod of the class; rely on class facts only */
    const struct game_profile *game; /* &cls->game */
    enum judge judge;
    bool
        has_time; /* false in a replay without time: now_ms is then 0 or the snapshot's newest time */
    int64_t now_ms;
    int64_t waited_ms;     /* since this pod was first asked about; -1 without time */
    struct arena *scratch; /* lives for this decision */
    void *class_state;     /* what class_begin made; NULL without one */
    void *state;           /* what prepare made for this decision */
    /* the candidates of this decision, for prepare */
    const node_ix *nodes;
    uint32_t n_nodes;
};

/* Unit of a value in money; explanations put the configured currency's name in its place. */
#define POLICY_UNIT_MONEY "currency per session"
#define POLICY_SKIP       1 /* prepare's answer: this policy has nothing to say about this pod */

/* One policy's part in an explanation of one node. */
struct policy_term {
    double value; /* in the policy's unit */
    const char *unit;
    int64_t cost_nano;
    char note[160]; /* one short plain sentence or "" */
};
struct policy_input { /* what a decision rested on */
    const char *name; /* "latency table", "prices", … */
    char source[200]; /* file, "shipped table", "distance estimate" … */
    double age_s;     /* < 0: unknown */
    bool fallback;    /* a default stood in for something that is missing */
};

struct policy {
    const char *name; /* "zone-spread"; in-tree filters: Kubernetes' plugin name */
    const char *unit; /* of policy_term.value */
    enum policy_dep filter_dep, cost_dep;
    /* Which of JUDGE_LIVE and JUDGE_SNAPSHOT run the filter. full_last: in JUDGE_LIVE a refusal ranks last instead. */
    bool judged_live, judged_snapshot, full_last;

    /* Per class, when the engine first sees it or after cluster.epoch changed; `arena` lives as long as the class's cache.
     * 0 or -ENOMEM. */
    int (*class_begin)(struct policy_ctx *ctx, struct arena *arena, void **ret_state,
                       struct err *err);
    /* Per decision, before anything else of this policy: tables per zone, per place, per pool. 0, POLICY_SKIP (neither
     * filter, cost nor rank is called), or -ENOMEM. A policy whose filter or cost is not DEP_LIVE answers POLICY_SKIP, and makes
     * what these two read, by facts of class, settings and judge only: their results are kept. */
    int (*prepare)(struct policy_ctx *ctx, struct err *err);
    /* NULL, or a refusal that stands on every node (Kubernetes' PreFilter): sets *ret's reason. Runs where the filter counts. */
    void (*prefilter)(const struct policy_ctx *ctx, struct verdict *ret);
    /* For each node i whose ret[i].reason is REASON_NONE: leave it, or set reason (and arg, unresolvable). */
    void (*filter)(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                   struct verdict *ret);
    /* Latency stages 0..3 of nodes that passed all filters. At most one policy of a preset has it. */
    void (*stage)(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n, uint8_t *ret);
    /* Adds this policy's cost of each node to cost[i], nano-currency per session. Lower is better; may be negative. */
    void (*cost)(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n, int64_t *cost);
    /* rule SCORE: raw scores, then 0..100 over the survivors; weight from the preset. normalize NULL: raw is 0..100. */
    void (*score)(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n, int64_t *ret_raw);
    void (*normalize)(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                      const int64_t *raw, int64_t *ret);
    /* Adds to rank[i]: decides among equal sums, higher first; two counts, the greater in the upper 32 bits. At most one policy
     * of a preset has it. */
    void (*rank)(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n, int64_t *rank);

    /* Explanations; never on the hot path. explain fills value and note (cost_nano is set by the engine); reasons writes
     * every reason of a refused node (at most max texts; *ret_n), where one verdict is not all; inputs lists what it read. */
    void (*explain)(const struct policy_ctx *ctx, node_ix node, struct policy_term *ret);
    void (*reasons)(const struct policy_ctx *ctx, node_ix node, struct verdict *ret, uint32_t max,
                    uint32_t *ret_n);
    void (*inputs)(const struct policy_ctx *ctx, struct policy_input *ret, uint32_t max,
                   uint32_t *ret_n);
};

/* ---- helpers that several policies share (engine/groups.c, engine/match.c) ---- */

/* Sums of a counter per domain of a topology, over the nodes that `admits` lets in (NULL: all live nodes). Kept up to
 * date by replaying the model's change log; made in class_begin, read in prepare. */
struct group;
struct group_spec {
    uint32_t counter;
    topo_ix topo;
    bool live_only; /* leave out pods that are being deleted */
    bool (*admits)(const struct policy_ctx *ctx, node_ix node,
                   const void *arg); /* static facts only */
    const void *arg;
};
struct group_view {
    const int64_t *sums;      /* by domain; [0] is the nodes without the key */
    const uint32_t *admitted; /* nodes let in, by domain */
    uint32_t n_domains;
    int64_t total; /* over domains 1.. */
};
int group_open(struct policy_ctx *ctx, struct arena *arena, const struct group_spec *spec,
               struct group **ret, struct err *err) SP_MUST_CHECK;
/* Counts the pods of one more counter as well. */
int group_add(struct policy_ctx *ctx, struct group *g, uint32_t counter,
              struct err *err) SP_MUST_CHECK;
int group_read(const struct policy_ctx *ctx, struct group *g,
               struct group_view *ret) SP_MUST_CHECK; /* 0 or -ENOMEM */

/* kube-scheduler's rules (reference: framework plugins NodeAffinity and TaintToleration). */
bool match_node_term(const struct policy_ctx *ctx, const struct node_term *term, node_ix node);
bool match_node_selection(const struct policy_ctx *ctx,
                          node_ix node); /* nodeSelector and required node affinity */
bool match_tolerates(const struct policy_ctx *ctx, const struct taint *taint);
/* The first NoSchedule or NoExecute taint that is not tolerated, or NULL. */
const struct taint *match_untolerated(const struct policy_ctx *ctx, node_ix node);
