/* Random small clusters and pods for tests: seeded, adversarial. A world is kept as descriptions, so that a test can
 * change one of them and build another cluster.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/rng.h"
#include "engine/engine.h"
#include "model/cluster.h"

#define GEN_NODES_MAX 24
#define GEN_PODS_MAX  64
#define GEN_CLAIMS    3

struct gen_node {
    struct node_desc d;
    char name[48];
    bool gone; /* not in the cluster */
    struct kv_desc labels[12];
    uint32_t n_labels;
    struct taint_desc taints[6];
    uint32_t n_taints;
    struct qty_desc alloc[8];
    uint32_t n_alloc;
};
struct gen_pod {
    struct pod_desc d;
    char name[48], uid[48];
    struct kv_desc labels[6], annotations[6], node_selector[2], match[6];
    uint32_t n_labels, n_annotations, n_node_selector;
    struct toleration_desc tolerations[8];
    uint32_t n_tolerations;
    struct container_desc container;
    struct qty_desc requests[8];
    uint32_t n_requests;
    struct port_desc ports[3];
    uint32_t n_ports;
    struct node_term_desc terms[2], preferred[1];
    struct expr_desc exprs[3];
    struct str values[3][2];
    uint32_t n_terms, n_preferred;
    struct pod_term_desc affinity[2], anti[1], wish[1];
    uint32_t n_affinity, n_anti, n_wish;
    struct spread_desc spread[2];
    uint32_t n_spread;
    struct volume_desc volumes[1];
    uint32_t n_volumes;
};
struct gen_world {
    struct rng rng;
    uint64_t seed;
    struct settings settings;
    struct fleet_settings fleets[3];
    struct pool_settings pools[3];
    struct latency_row rows[24];
    struct gen_node nodes[GEN_NODES_MAX];
    uint32_t n_nodes;
    struct gen_pod pods[GEN_PODS_MAX]; /* bound ones */
    uint32_t n_pods, n_made;
};
struct gen_opts {
    uint32_t nodes_min, nodes_max, pods_max;
    bool plain; /* no fleets, no claims: only what Kubernetes knows */
};

void gen_world_make(struct gen_world *w, uint64_t seed, const struct gen_opts *opts);
/* A pod that waits; its name is new in this world. */
void gen_pod_make(struct gen_world *w, struct gen_pod *p);
void gen_node_make(struct gen_world *w, struct gen_node *n, uint32_t number);
/* After a struct copy or an edit of the counted arrays: pointers into the struct itself. */
void gen_pod_fix(struct gen_pod *p);
void gen_node_fix(struct gen_node *n);
/* A copy whose pointers are its own. */
void gen_world_copy(struct gen_world *to, const struct gen_world *from);
/* A new cluster of the world. `order` NULL, or a permutation of the node numbers. Aborts the test when it fails. */
struct cluster *gen_world_build(const struct gen_world *w, const uint32_t *order);
uint32_t gen_below(struct gen_world *w, uint32_t n);
bool gen_chance(struct gen_world *w, uint32_t percent);
