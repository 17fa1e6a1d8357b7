// SPDX-License-Identifier: Apache-2.0
#include "policies/fleet_rules.h"

#include "policies/row_watch.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int64_t session_ms(const struct policy_ctx *ctx)
{
    int64_t ms = ctx->game->session_p50_ms;
    return ms <= 0 || ms > SESSION_FOR_EVER_MS ? SESSION_FOR_EVER_MS : ms;
}

int64_t session_left_ms(const struct policy_ctx *ctx)
{
    int64_t end = ctx->pod->session_end_ms;
    if (end <= 0 || ctx->now_ms <= 0) {
        return session_ms(ctx);
    }
    if (end <= ctx->now_ms) {
        return 0;
    }
    return end - ctx->now_ms < SESSION_FOR_EVER_MS ? end - ctx->now_ms : SESSION_FOR_EVER_MS;
}

double session_factor(const struct policy_ctx *ctx, double least)
{
    double factor = (double)session_ms(ctx) / (double)YARDSTICK_MS;
    return factor < least ? least : factor;
}

int64_t wish_nano(const struct policy_ctx *ctx)
{
    return ctx->settings->rates.soft_wish > 0 ? ctx->settings->rates.soft_wish : 1;
}

bool name_in_list(str_list list, struct str name)
{
    for (uint32_t i = 0; i < list.n; i++) {
        if (str_eq(list.p[i], name)) {
            return true;
        }
    }
    return false;
}

struct str fleet_name(const struct policy_ctx *ctx)
{
    fleet_ix f = ctx->game->fleet;
    return f.v < ctx->c->n_fleets ? sym_str(ctx->c->syms, ctx->c->fleets[f.v].name) : STR("");
}

struct str node_name(const struct policy_ctx *ctx, node_ix node)
{
    return sym_str(ctx->c->syms, ctx->c->facts[node.v].name);
}

int64_t node_has(const struct cluster *c, res_ix res, node_ix node)
{
    return res.v < c->n_res && c->alloc[res.v] ? c->alloc[res.v][node.v] : 0;
}

int64_t node_left(const struct cluster *c, res_ix res, node_ix node)
{
    int64_t used = res.v < c->n_res && c->used[res.v] ? c->used[res.v][node.v] : 0;
    return node_has(c, res, node) - used;
}

static double part_of(int64_t need, int64_t has)
{
    return need <= 0 ? 0 : has <= need ? 1 : (double)need / (double)has;
}

double node_share(const struct policy_ctx *ctx, node_ix node)
{
    const struct cluster *c = ctx->c;
    double cpu = part_of(ctx->cls->nonzero_cpu_milli, node_has(c, (res_ix){RES_CPU}, node));
    double mem = part_of(ctx->cls->nonzero_mem_bytes, node_has(c, (res_ix){RES_MEMORY}, node));
    double share = cpu > mem ? cpu : mem;
    for (uint32_t i = 0; i < ctx->cls->n_needs; i++) {
        const struct resource_need *need = &ctx->cls->needs[i];
        double part = part_of(need->amount, node_has(c, need->res, node));
        share = part > share ? part : share;
    }
    return share;
}

int64_t node_slots(const struct policy_ctx *ctx, node_ix node, bool empty)
{
    const struct cluster *c = ctx->c;
    res_ix pods = {RES_PODS};
    int64_t slots = empty ? node_has(c, pods, node) : node_left(c, pods, node);
    for (uint32_t i = 0; i < ctx->cls->n_needs; i++) {
        const struct resource_need *need = &ctx->cls->needs[i];
        int64_t room = empty ? node_has(c, need->res, node) : node_left(c, need->res, node);
        int64_t fit = room / need->amount;
        slots = fit < slots ? fit : slots;
    }
    return slots > 0 ? slots : 0;
}

/* Host ports and UDP do not reach a pod on a virtual node, whatever the node's labels promise. */
static bool refuses_virtual(const struct policy_ctx *ctx)
{
    const struct fleet_settings *s = ctx->game->settings;
    if (s->hardware.no_virtual_set) {
        return s->hardware.no_virtual;
    }
    return (ctx->cls->flags & (CLASS_HOST_PORT | CLASS_UDP)) != 0;
}

enum reason rule_pool(const struct policy_ctx *ctx, node_ix node)
{
    const struct cluster *c = ctx->c;
    uint32_t flags = c->flags[node.v];
    int32_t pool = c->facts[node.v].pool;
    if (ctx->cls->flags & (CLASS_DAEMON | CLASS_MIRROR)) {
        return REASON_NONE;
    }
    if (ctx->game->is_game) {
        bool system = pool >= 0 && (uint32_t)pool < ctx->settings->pools.n &&
                      ctx->settings->pools.p[pool].system;
        if ((flags & NODE_SYSTEM) || system) {
            return REASON_POOL_SYSTEM;
        }
        if ((flags & NODE_VIRTUAL) && refuses_virtual(ctx)) {
            return REASON_NODE_VIRTUAL;
        }
    }
    if (pool >= 0 && (uint32_t)pool < ctx->settings->pools.n) {
        str_list fleets = ctx->settings->pools.p[pool].fleets;
        if (fleets.n > 0 && !name_in_list(fleets, fleet_name(ctx))) {
            return REASON_POOL_RESERVED;
        }
    }
    if ((flags & NODE_DOOMED) && (ctx->game->is_game || ctx->game->pins_node)) {
        return REASON_NODE_LEAVING;
    }
    return REASON_NONE;
}

enum reason rule_region(const struct policy_ctx *ctx, node_ix node)
{
    const struct game_profile *g = ctx->game;
    if (g->regions.n == 0 && g->settings->regions.disabled.n == 0) {
        return REASON_NONE;
    }
    struct str region = sym_str(ctx->c->syms, ctx->c->facts[node.v].region);
    if (g->regions.n > 0 && !name_in_list(g->regions, region)) {
        return REASON_REGION_NOT_ALLOWED; /* an unknown region cannot be shown to be allowed */
    }
    return name_in_list(g->settings->regions.disabled, region) ? REASON_REGION_DISABLED
                                                               : REASON_NONE;
}

enum reason rule_capacity(const struct policy_ctx *ctx, node_ix node)
{
    uint8_t capacity = ctx->c->capacity[node.v];
    if (ctx->game->spot == SPOT_NEVER && capacity == CAPACITY_SPOT) {
        return REASON_SPOT_NEVER;
    }
    if (ctx->game->spot == SPOT_REQUIRED && capacity != CAPACITY_SPOT) {
        return REASON_SPOT_REQUIRED; /* an unknown capacity type cannot be shown to be spot */
    }
    return REASON_NONE;
}

bool rule_latency_over(const struct policy_ctx *ctx, const struct latency_value *v)
{
    return v->known && v->over_share > ctx->settings->latency.max_over_share + 1e-9;
}

void note_add(struct policy_term *t, const char *fmt, ...)
{
    size_t n = strlen(t->note), cap = sizeof t->note;
    size_t sep = n > 0 ? 2 : 0;
    if (n + sep + 8 >= cap) {
        return;
    }
    memcpy(t->note + n, "; ", sep);
    va_list ap;
    va_start(ap, fmt);
    int wrote = vsnprintf(t->note + n + sep, cap - n - sep, fmt, ap);
    va_end(ap);
    if (wrote < 0 || (size_t)wrote >= cap - n - sep) {
        t->note[n] = '\0';
    }
}

int row_array_grow(struct arena *a, void *array, uint32_t *cap, uint32_t want, size_t size)
{
    void **p = array;
    if (want <= *cap) {
        return 0;
    }
    uint32_t n = *cap ? *cap : 16;
    while (n < want) {
        n *= 2;
    }
    void *bigger = arena_calloc(a, n, size);
    if (!bigger) {
        return -ENOMEM;
    }
    if (*p) {
        memcpy(bigger, *p, (size_t)*cap * size);
    }
    *p = bigger;
    *cap = n;
    return 0;
}
