/* NodePorts: host ports that a pod on the node holds already.
 *
 * A class keeps, per node, a small set of bits over the ports in use: a wanted port whose bit is not set is free, and
 * only otherwise are the node's pods looked at.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/policy.h"

#define PORT_WORDS 4

struct port_bits {
    uint64_t gen; /* of the row when the bits were read */
    uint64_t bits[PORT_WORDS];
};
struct ports_state {
    struct arena *arena;
    struct port_bits *rows;
    uint32_t cap;
    sym any; /* "0.0.0.0" */
};

static int ports_class_begin(struct policy_ctx *ctx, struct arena *arena, void **ret_state, struct err *err)
{
    (void)ctx;
    struct ports_state *s = arena_calloc(arena, 1, sizeof *s);
    if (!s) {
        return err_nomem(err);
    }
    s->arena = arena;
    *ret_state = s;
    return 0;
}

static int ports_prepare(struct policy_ctx *ctx, struct err *err)
{
    struct ports_state *s = ctx->class_state;
    if (ctx->pod->n_ports == 0) {
        return POLICY_SKIP;
    }
    s->any = sym_find(ctx->c->syms, STR("0.0.0.0"));
    if (ctx->c->n_rows > s->cap) {
        uint32_t cap = s->cap ? s->cap : 64;
        while (cap < ctx->c->n_rows) {
            cap *= 2;
        }
        s->rows = arena_calloc(s->arena, cap, sizeof *s->rows);
        if (!s->rows) {
            s->cap = 0;
            return err_nomem(err);
        }
        s->cap = cap;
    }
    ctx->state = s;
    return 0;
}

static uint32_t port_bit(const struct host_port *p)
{
    uint32_t h = ((uint32_t)p->port * 2654435761u) ^ (p->protocol.v * 40503u);
    return (h >> 16) % (PORT_WORDS * 64);
}

static void bits_read(const struct cluster *c, uint32_t row, struct port_bits *b)
{
    memset(b->bits, 0, sizeof b->bits);
    for (uint32_t i = 0; i < c->n_pods[row]; i++) {
        const struct pod_req *r = &c->pod[c->pods[row][i].v].req;
        for (uint32_t k = 0; k < r->n_ports; k++) {
            uint32_t bit = port_bit(&r->ports[k]);
            b->bits[bit / 64] |= 1ull << (bit % 64);
        }
    }
    b->gen = c->gen[row];
}

static bool ports_clash(const struct ports_state *s, const struct host_port *a, const struct host_port *b)
{
    return a->port == b->port && a->protocol.v == b->protocol.v &&
           (a->ip.v == b->ip.v || a->ip.v == s->any.v || b->ip.v == s->any.v);
}

static bool port_taken(const struct cluster *c, const struct ports_state *s, uint32_t row, const struct host_port *want)
{
    for (uint32_t i = 0; i < c->n_pods[row]; i++) {
        const struct pod_req *r = &c->pod[c->pods[row][i].v].req;
        for (uint32_t k = 0; k < r->n_ports; k++) {
            if (ports_clash(s, want, &r->ports[k])) {
                return true;
            }
        }
    }
    return false;
}

static void ports_filter(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n, struct verdict *ret)
{
    const struct ports_state *s = ctx->state;
    const struct cluster *c = ctx->c;
    for (uint32_t i = 0; i < n; i++) {
        struct port_bits *b = &s->rows[nodes[i].v];
        if (b->gen != c->gen[nodes[i].v] || b->gen == 0) {
            bits_read(c, nodes[i].v, b);
        }
        for (uint32_t k = 0; k < ctx->pod->n_ports; k++) {
            uint32_t bit = port_bit(&ctx->pod->ports[k]);
            bool maybe = b->bits[bit / 64] & (1ull << (bit % 64));
            if (maybe && port_taken(c, s, nodes[i].v, &ctx->pod->ports[k])) {
                ret[i].reason = REASON_PORTS;
                break;
            }
        }
    }
}

const struct policy policy_kube_node_ports = {
    .name = "NodePorts",
    .filter_dep = DEP_LIVE, /* ports differ between pods of one class */
    .judged_live = true,
    .judged_snapshot = true,
    .full_last = true,
    .class_begin = ports_class_begin,
    .prepare = ports_prepare,
    .filter = ports_filter,
};
