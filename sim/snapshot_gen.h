/* A small world to show and to test with: the same bytes for the same options, everywhere.
 *
 * Three zones of one region and an edge location; bare metal, on-demand, spot and GPU nodes; three games with different
 * audiences as Agones makes their pods; a DaemonSet; some servers running, some waiting, one that can never run.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buf.h"

struct snapshot_gen_opts {
    uint32_t scale; /* 1: 35 nodes and 92 pods; n: n times as many of both */
    uint64_t seed;  /* start times and the states of servers */
};

/* `kubectl get … -o json`: one List of Node, Pod, Namespace, PriorityClass and GameServer. */
void snapshot_gen_cluster(const struct snapshot_gen_opts *opts, struct buf *out);
void snapshot_gen_config(
    struct buf *out); /* SpawnpointConfiguration; names rtt.csv and prices.csv beside it */
void snapshot_gen_latency(struct buf *out); /* rtt.csv */
void snapshot_gen_prices(struct buf *out);  /* prices.csv */
/* A waiting pod of a fleet ("arena", "realm", "skyline") as kube-scheduler sends it. */
void snapshot_gen_pod(const char *fleet, uint32_t number, struct buf *out);
