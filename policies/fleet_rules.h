/* What several policies ask alike: money, session length, and whether a fleet may use a node at all.
 *
 * Pure functions of the model and settings. Money is nano-currency, saturating at COST_MAX, so that the sum over the
 * policies of a preset cannot overflow. Used by policies only.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/policy.h"

/* One policy's largest cost: 32 of them still add up within int64. */
#define COST_MAX            (INT64_MAX / 32)
/* "For ever" is priced as 30 days: longer than any patch cycle that would empty the node anyway, and short enough that a
 * price times it stays a number that people can read. */
#define SESSION_FOR_EVER_MS (INT64_C(30) * 24 * 3600 * 1000)
#define HOUR_MS             INT64_C(3600000)
/* The session by which rates per session are meant: docs/policies/rates.md. */
#define YARDSTICK_MS        (INT64_C(25) * 60 * 1000)
/* A cost that no price, risk or wish reaches: "only if nothing else is left", still comparable among its own. */
#define OUT_OF_REACH_NANO   INT64_C(1000000000000000)

static inline int64_t cost_clamp(double nano)
{
    return nano >= (double)COST_MAX    ? COST_MAX
           : nano <= -(double)COST_MAX ? -COST_MAX
                                       : (int64_t)nano;
}
static inline void cost_add(int64_t *sum, int64_t cost)
{
    int64_t r;
    *sum = __builtin_add_overflow(*sum, cost, &r) ? (cost < 0 ? INT64_MIN : INT64_MAX) : r;
}
/* A rate per hour over a time, both >= 0; exact, rounded down. */
static inline int64_t cost_of_time(int64_t nano_hour, int64_t ms)
{
    u128 p = (u128)(uint64_t)(nano_hour < 0 ? 0 : nano_hour) * (uint64_t)(ms < 0 ? 0 : ms);
    u128 q = p >> 64 ? p / (uint64_t)HOUR_MS : (uint64_t)p / (uint64_t)HOUR_MS;
    return q > (u128)COST_MAX ? COST_MAX : (int64_t)q;
}

/* The class's median session, capped at SESSION_FOR_EVER_MS. */
int64_t session_ms(const struct policy_ctx *ctx);
/* What is left of this very pod's session: until its known end, else the median. */
int64_t session_left_ms(const struct policy_ctx *ctx);
/* How many sessions of the yardstick this one lasts, at least `least`: harm that lasts as long as the session grows with
 * it, as prices do. */
double session_factor(const struct policy_ctx *ctx, double least);
/* The rate of soft wishes, or 1 nano where it is configured away, so that it can be divided by. */
int64_t wish_nano(const struct policy_ctx *ctx);

bool name_in_list(str_list list, struct str name);
struct str fleet_name(const struct policy_ctx *ctx); /* "" without a fleet */
struct str node_name(const struct policy_ctx *ctx, node_ix node);

/* Amount of a resource that is there, and that is left; 0 where the node has none. */
int64_t node_has(const struct cluster *c, res_ix res, node_ix node);
int64_t node_left(const struct cluster *c, res_ix res, node_ix node);
/* The largest part of the node that the class's requests take, 0..1: of cpu, memory (with the scheduler's 100m / 200Mi
 * where nothing is requested) and every named resource. */
double node_share(const struct policy_ctx *ctx, node_ix node);
/* Servers of the class that an empty node of this kind, or the rest of this one, could take. */
int64_t node_slots(const struct policy_ctx *ctx, node_ix node, bool empty);

/* Static refusals, each REASON_NONE or why not; the policies in brackets own them. */
enum reason rule_pool(const struct policy_ctx *ctx,
                      node_ix node); /* [node-pool] system, reserved, leaving, virtual */
enum reason rule_region(const struct policy_ctx *ctx,
                        node_ix node); /* [node-pool] residency, disabled regions */
enum reason rule_capacity(const struct policy_ctx *ctx, node_ix node); /* [spot] never, required */
/* [latency] whether more of the demand is beyond the class's maximum than the settings allow; false while unknown. */
bool rule_latency_over(const struct policy_ctx *ctx, const struct latency_value *v);

/* Adds a piece to a term's note, "; " between pieces; what does not fit is left out. */
void note_add(struct policy_term *t, const char *fmt, ...) SP_PRINTF(2, 3);
