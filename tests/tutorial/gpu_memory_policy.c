// SPDX-License-Identifier: Apache-2.0
//
// Prefers nodes with free GPUs and free memory: 0.6 x the free part of the GPUs + 0.4 x the free part of the memory.
#include "engine/policy.h"

#include <stdio.h>

#define GPU_POINTS    60
#define MEMORY_POINTS 40

/* What prepare finds out once per decision. */
struct gpu_memory_state {
    uint32_t gpu; /* number of the GPU resource; IX_NONE: no node has one */
};

static int gpu_memory_prepare(struct policy_ctx *ctx, struct err *err)
{
    struct gpu_memory_state *st = arena_alloc(ctx->scratch, sizeof *st);
    if (!st) {
        return err_nomem(err);
    }
    st->gpu = cluster_find_resource(ctx->c, STR("nvidia.com/gpu")).v;
    ctx->state = st;
    return 0;
}

/* Points for the free part of a resource. A node without it has none to give: 0 points, not an error. */
static int64_t free_points(const struct cluster *c, uint32_t res, node_ix node, int64_t points)
{
    if (res >= c->n_res || !c->alloc[res] || c->alloc[res][node.v] <= 0) {
        return 0;
    }
    int64_t has = c->alloc[res][node.v], used = c->used[res] ? c->used[res][node.v] : 0;
    return used >= has ? 0 : (int64_t)((double)points * ((double)(has - used) / (double)has));
}

static void gpu_memory_score(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                             int64_t *ret_raw)
{
    const struct gpu_memory_state *st = ctx->state;
    for (uint32_t i = 0; i < n; i++) {
        ret_raw[i] = free_points(ctx->c, st->gpu, nodes[i], GPU_POINTS) +
                     free_points(ctx->c, RES_MEMORY, nodes[i], MEMORY_POINTS);
    }
}

static void gpu_memory_explain(const struct policy_ctx *ctx, node_ix node, struct policy_term *ret)
{
    const struct gpu_memory_state *st = ctx->state;
    int64_t gpu = free_points(ctx->c, st->gpu, node, GPU_POINTS);
    int64_t memory = free_points(ctx->c, RES_MEMORY, node, MEMORY_POINTS);
    ret->value = (double)(gpu + memory);
    snprintf(ret->note, sizeof ret->note, "%d of 60 for free GPUs, %d of 40 for free memory",
             (int)gpu, (int)memory);
}

const struct policy policy_gpu_memory = {
    .name = "gpu-memory",
    .unit = "points",
    .filter_dep = DEP_STATIC,
    .cost_dep = DEP_NODE, /* reads what the pods on the node use, and nothing else */
    .prepare = gpu_memory_prepare,
    .score = gpu_memory_score,
    .explain = gpu_memory_explain,
};
