/* What came of a run, in numbers: the fields of a report's run. NaN is null: there is no data for it.
 *
 * Without time every number is that of the moment after the last placement. How each is counted:
 *   gpu            1000 per accelerator that a node offers; arrived: asked for by bound and arrived pods together; touched:
 *                  devices in use; fragmented: over the most frequent pod classes that make up 95 % of all pods, the
 *                  expected idle GPU that a pod of that class could not use on its node (Weng et al., USENIX ATC 2023,
 *                  with whole devices): all of it when the class asks for no GPU, may not run there, lacks CPU or
 *                  lacks devices, none when it fits
 *   nodes.used     holds a pod that no DaemonSet made and that is no mirror; pinned: a session keeps it from being removed
 *   cost.total     one hour of the used nodes; byFleet: their price by the CPU requests of the fleet's servers, the rest belongs
 *                  to other pods; perPlayerHour: total by seated players
 *   latency        of the players of servers whose demand is known: effective latency (median and jitter), weighted by
 *                  expected players; shares within good, ok and max of the fleet's class; unknown: without a row
 *                  in the table; bestPossibleP95Ms: every fleet at the best places that the cluster has
 *   zones, spot    expected players of game servers; blastRadius: the largest share of a fleet in one zone
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <math.h>

#include "sim/replay.h"

#define SIM_NULL ((double)NAN)

struct outcome_latency {
    double p50_ms, p90_ms, p95_ms, good, ok, max, unknown, best_p95_ms;
};
struct outcome_fleet {
    struct str name; /* in the outcome's arena */
    int64_t players, cost_nano;
    bool has_latency;
    struct outcome_latency latency;
};
struct outcome_zone {
    struct str name; /* "unknown" for nodes without one */
    int64_t pods, players;
};
struct outcome {
    struct arena arena;
    struct {
        int64_t bound, arrived, placed, pending, failed, preempted;
    } pods;
    struct {
        int64_t capacity_milli, allocated_milli, arrived_milli, touched;
        double fragmented_milli;
    } gpu;
    struct {
        int64_t capacity, allocated;
    } cpu, memory;
    struct {
        int64_t total, used, empty, pinned;
    } nodes;
    struct {
        struct str currency;
        double total, per_player_hour;
        int64_t by_capacity[4]; /* nano-currency, by enum capacity_type */
        bool has_capacity[4];
    } cost;
    struct outcome_latency latency;
    double blast_radius, spot_share;
    VEC(struct outcome_zone) zones;   /* by name */
    VEC(struct outcome_fleet) fleets; /* game fleets that stand somewhere, by name */
    char hash[65]; /* SHA-256 of "NS/NAME\tNODE\n" in the order of decision; "" for no node */
};

/* outcome_done is needed in any case. */
int outcome_make(const struct world *w, const struct replay *r, struct outcome *ret,
                 struct err *err) SP_MUST_CHECK;
void outcome_done(struct outcome *o);

enum metric_better { METRIC_LESS = -1, METRIC_NEUTRAL = 0, METRIC_MORE = 1 };
struct metric {
    const char *path, *unit, *label;
    int better;
};
extern const struct metric outcome_metrics[];
extern const size_t outcome_n_metrics;
double outcome_metric(const struct outcome *o, size_t metric);
/* "on-demand", "spot", "reserved", "unknown". */
const char *outcome_capacity_name(unsigned type);
