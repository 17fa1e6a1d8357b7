/* A large game cluster as Kubernetes would print it, and the configuration and requests that go with it. For benchmarks
 * and property tests; the same numbers give the same bytes.
 *
 * Three regions of three zones, pools metal, ondemand, spot and gpu, two DaemonSet pods on each node, the rest Agones game servers
 * of twelve fleets with players in thirty countries.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buf.h"
#include "model/cluster.h"

struct gen_big {
    uint32_t nodes, pods;
    uint32_t *order; /* gen_big_order's; NULL: requests name nodes by number */
};
/* The nodes as kube-scheduler lists them: zone by zone in turn. gen_big_done frees it. */
void gen_big_order(struct gen_big *g);
void gen_big_done(struct gen_big *g);
/* Each appends one JSON object in one line. */
void gen_big_node(struct buf *out, uint32_t node);
void gen_big_node_name(struct buf *out, uint32_t node);
void gen_big_pod(struct buf *out, const struct gen_big *g, uint32_t pod); /* a running one */
/* A pod that waits: of the fleet with that number, packed beside its like, with a host port. */
void gen_big_pending(struct buf *out, uint32_t fleet, uint32_t serial);
/* `kubectl get nodes,pods -A -o json`: a List with four spaces of indent. Appends pieces to `out`; calls flush when a
 * megabyte stands there, which empties it. */
void gen_big_dump(struct buf *out, const struct gen_big *g,
                  void (*flush)(void *arg, struct buf *out), void *arg);
/* The configuration, its latency table, its price table. */
void gen_big_config(struct buf *out, bool files);
void gen_big_latency(struct buf *out);
void gen_big_prices(struct buf *out);
/* The body of a filter call: `n` node names from `first` on, or the whole nodes. */
void gen_big_request(struct buf *out, const struct gen_big *g, uint32_t fleet, uint32_t serial,
                     uint32_t n, uint32_t first, bool whole);
uint32_t gen_big_candidate(const struct gen_big *g, uint32_t first,
                           uint32_t i); /* the i-th of them */
#define GEN_BIG_FLEETS 12

/* The settings and the cluster in memory, through the decoders and the deltas. Exits with a message when that fails: for
 * programs that measure. */
void gen_big_settings(struct settings *ret);
void gen_big_cluster(const struct gen_big *g, const struct settings *s, struct cluster **ret);
