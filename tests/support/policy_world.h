/* A small cluster for tests of policies: nodes and pods in one line each, decided through the engine.
 *
 * A world owns its settings, cluster and descriptions. Every decision is made twice, kept and plain, and must agree.
 * Failures end the test through cmocka.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "engine/engine.h"

#define MINUTE_MS INT64_C(60000)

struct world {
    struct settings s; /* change before world_start, or call world_settings after */
    struct cluster *c;
    struct arena arena;
    const struct policy *policies[8]; /* the preset of the next decisions */
    uint32_t n_policies;
    bool has_time;
    int64_t now_ms, waited_ms;
    enum judge judge;
    enum rule rule; /* RULE_SCORE gives a policy that scores weight 1, one that only filters 0 */
    struct policy_term term; /* of the last world_explain */
    struct engine *e;        /* kept from decision to decision until world_use */
    struct preset preset;
    struct preset_item items[8];
    const struct preset *named; /* decides instead of `policies` where it is set */
};
struct node_spec {
    const char *name, *labels;        /* "key=value;key=value" */
    const char *taints;               /* "key=value:NoSchedule;…" */
    int64_t cpu_milli, mem_gib, gpus; /* 0: 8000, 32, none */
    const char *gpu_res;              /* NULL: nvidia.com/gpu */
    const char *image;
    int64_t image_mib;
    bool cordoned;
};
struct pod_spec {
    const char *name, *labels, *annotations;
    const char *node;                 /* bound there */
    int64_t cpu_milli, mem_gib, gpus; /* 0: 1000, 1, none */
    const char *gpu_res, *image;
    const char *owner; /* kind of the controller; NULL: none */
    int32_t host_port;
    bool udp;
    int64_t start_ms;
    bool zero_gpu;            /* writes the GPU resource with 0 */
    const char *prefer_node;  /* "key=value": preferred node affinity */
    int32_t prefer_weight;    /* 0: 100 */
    const char *near, *apart; /* "key=value" of pods: preferred (anti-)affinity by `topo` */
    const char *topo;         /* NULL: kubernetes.io/hostname */
    const char *spread;       /* "key=value": ScheduleAnyway by topo */
};

void world_open(struct world *w);
void world_start(struct world *w);
void world_close(struct world *w);
struct fleet_settings *world_fleet(struct world *w,
                                   const char *name); /* adds one like the defaults */
node_ix world_node(struct world *w, struct node_spec n);
pod_ix world_pod(struct world *w, struct pod_spec p); /* stands on p.node, or waits */
void world_use(struct world *w, const struct policy *a, const struct policy *b,
               const struct policy *c);

/* The name of the chosen node, "" when none fits. The string lives as long as the world. */
const char *world_choose(struct world *w, struct pod_spec p);
/* What the preset says of one node: the reason, the total, the stage. */
enum reason world_reason(struct world *w, struct pod_spec p, const char *node);
int64_t world_cost(struct world *w, struct pod_spec p,
                   const char *node); /* fails when the node is refused */
int world_stage(struct world *w, struct pod_spec p, const char *node);
/* Decides, and reserves the pod on the chosen node; its name. */
const char *world_place(struct world *w, struct pod_spec p);
/* The term of the first policy of the preset for a node that passed, into w->term. */
void world_explain(struct world *w, struct pod_spec p, const char *node);
/* A copy of a policy whose cost is the same everywhere: what a test of the cost must notice. */
struct policy policy_with_constant_cost(const struct policy *p);
