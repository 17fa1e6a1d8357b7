/* NodeResourcesFit: requests against what is allocatable and not yet requested; LeastAllocated and MostAllocated scores.
 *
 * Three policies of one name: the filter alone (our own preset has costs instead), and the filter with either score.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/policy.h"

static int64_t res_alloc(const struct cluster *c, uint32_t res, uint32_t row)
{
    return res < c->n_res && c->alloc[res] ? c->alloc[res][row] : 0;
}

static int64_t res_used(const struct cluster *c, uint32_t res, uint32_t row)
{
    return res < c->n_res && c->used[res] ? c->used[res][row] : 0;
}

/* Writes every failure of a node, at most max; returns how many there are. */
static uint32_t fit_failures(const struct policy_ctx *ctx, uint32_t row, struct verdict *out,
                             uint32_t max)
{
    const struct cluster *c = ctx->c;
    uint32_t n = 0;
    if ((int64_t)c->n_pods[row] + 1 > res_alloc(c, RES_PODS, row)) {
        if (n < max) {
            out[n] = (struct verdict){.reason = REASON_TOO_MANY_PODS};
        }
        n++;
    }
    for (uint32_t i = 0; i < ctx->cls->n_needs; i++) {
        const struct resource_need *need = &ctx->cls->needs[i];
        if (need->res.v == RES_PODS) {
            continue;
        }
        int64_t alloc = res_alloc(c, need->res.v, row), used = res_used(c, need->res.v, row);
        if (need->amount <= alloc - used) {
            continue;
        }
        if (n < max) {
            out[n] = (struct verdict){.reason = REASON_INSUFFICIENT,
                                      .arg = (uint16_t)need->res.v,
                                      .unresolvable = need->amount > alloc};
        }
        n++;
    }
    return n;
}

static void fit_filter(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                       struct verdict *ret)
{
    for (uint32_t i = 0; i < n; i++) {
        struct verdict all[32];
        uint32_t found = fit_failures(ctx, nodes[i].v, all, SP_COUNTOF(all));
        if (found == 0) {
            continue;
        }
        ret[i] = all[0];
        for (uint32_t k = 1; k < found && k < SP_COUNTOF(all); k++) {
            ret[i].unresolvable |= all[k].unresolvable;
        }
    }
}

static void fit_reasons(const struct policy_ctx *ctx, node_ix node, struct verdict *ret,
                        uint32_t max, uint32_t *ret_n)
{
    uint32_t n = fit_failures(ctx, node.v, ret, max);
    *ret_n = n < max ? n : max;
}

/* (a * 100) / b as Go's int64 does it: the product wraps. */
static int64_t percent(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a * 100u) / b;
}

struct part {
    int64_t alloc, want; /* want: what is requested on the node with this pod, defaults included */
};

static struct part fit_part(const struct policy_ctx *ctx, uint32_t res, uint32_t row)
{
    const struct cluster *c = ctx->c;
    bool cpu = res == RES_CPU;
    int64_t pod = cpu ? ctx->cls->nonzero_cpu_milli : ctx->cls->nonzero_mem_bytes;
    int64_t node = cpu ? c->nonzero_cpu[row] : c->nonzero_mem[row];
    return (struct part){res_alloc(c, res, row), (int64_t)((uint64_t)pod + (uint64_t)node)};
}

static void least_score(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                        int64_t *ret_raw)
{
    for (uint32_t i = 0; i < n; i++) {
        int64_t sum = 0, weights = 0;
        for (uint32_t res = RES_CPU; res <= RES_MEMORY; res++) {
            struct part p = fit_part(ctx, res, nodes[i].v);
            if (p.alloc == 0) {
                continue;
            }
            sum += p.want > p.alloc ? 0 : percent(p.alloc - p.want, p.alloc);
            weights++;
        }
        ret_raw[i] = weights ? sum / weights : 0;
    }
}

static void most_score(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                       int64_t *ret_raw)
{
    for (uint32_t i = 0; i < n; i++) {
        int64_t sum = 0, weights = 0;
        for (uint32_t res = RES_CPU; res <= RES_MEMORY; res++) {
            struct part p = fit_part(ctx, res, nodes[i].v);
            if (p.alloc == 0) {
                continue;
            }
            sum += percent(p.want > p.alloc ? p.alloc : p.want, p.alloc);
            weights++;
        }
        ret_raw[i] = weights ? sum / weights : 0;
    }
}

#define FIT_FILTER                                                                              \
    .name = "NodeResourcesFit", .unit = "points", .filter_dep = DEP_NODE, .cost_dep = DEP_NODE, \
    .judged_live = true, .judged_snapshot = true, .full_last = true, .filter = fit_filter,      \
    .reasons = fit_reasons

const struct policy policy_kube_node_resources_fit = {FIT_FILTER};
const struct policy policy_kube_fit_least = {FIT_FILTER, .score = least_score};
const struct policy policy_kube_fit_most = {FIT_FILTER, .score = most_score};
