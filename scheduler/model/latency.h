/* Player-weighted latency of a demand at a place. Pure; reads settings and geo tables.
 *
 * Effective latency e = median + kappa x jitter, jitter widened by 10 % per hour of age after 6 h. A pair is looked up as (from, zone),
 * (from, region), (from, node-label value); then (a) the nearest location with data within 500 km, jitter doubled; (b) by
 * distance; (c) the fleet's worst known. The weight of an unknown is never dropped and never 0 ms.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/cluster.h"

enum latency_source {
    LATENCY_TABLE = 0,
    LATENCY_NEIGHBOUR,
    LATENCY_DISTANCE,
    LATENCY_WORST,
    LATENCY_NONE
};

struct latency_value {
    double p50_ms, p90_ms, p10_ms, mean_ms;
    double over_share;                /* of demand above the class's max */
    double unknown_share;             /* of demand without a row in the table */
    double jitter_ms;                 /* pooled */
    enum latency_source worst_source; /* the weakest source that was used */
    bool known;                       /* false: nothing can be said (no demand, or no place) */
};
/* For every live node: the place it stands at; equal places have equal numbers, 0 = unknown. The cluster keeps it. */
place_ix latency_place(const struct cluster *c, node_ix node);
uint32_t latency_n_places(const struct cluster *c);
/* Demand at a place against limits of a class. */
void latency_judge(const struct cluster *c, demand_list demand, place_ix place,
                   const struct latency_class *cls, struct latency_value *ret);
/* One pair's effective latency for scores (p50 factor) and cutoffs (p90 factor). */
enum latency_source latency_pair(const struct cluster *c, struct str from, place_ix place,
                                 double *ret_score_ms, double *ret_cutoff_ms,
                                 double *ret_jitter_ms);
