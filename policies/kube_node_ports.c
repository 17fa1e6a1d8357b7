/* NodePorts: host ports that a pod on the node holds already.
 *
 * The model keeps, per node, a small set of bits over the ports in use: a wanted port whose bit is not set is free, and
 * only otherwise are the node's pods looked at.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/policy.h"

struct ports_state {
    sym any; /* "0.0.0.0" */
};

static int ports_prepare(struct policy_ctx *ctx, struct err *err)
{
    if (ctx->pod->n_ports == 0) {
        return POLICY_SKIP;
    }
    struct ports_state *s = arena_alloc(ctx->scratch, sizeof *s);
    if (!s) {
        return err_nomem(err);
    }
    s->any = sym_find(ctx->c->syms, STR("0.0.0.0"));
    ctx->state = s;
    return 0;
}

static bool ports_clash(const struct ports_state *s, const struct host_port *a,
                        const struct host_port *b)
{
    return a->port == b->port && a->protocol.v == b->protocol.v &&
           (a->ip.v == b->ip.v || a->ip.v == s->any.v || b->ip.v == s->any.v);
}

static bool port_taken(const struct cluster *c, const struct ports_state *s, uint32_t row,
                       const struct host_port *want)
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

static void ports_filter(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                         struct verdict *ret)
{
    const struct ports_state *s = ctx->state;
    const struct cluster *c = ctx->c;
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t *bits = c->port_bits[nodes[i].v];
        for (uint32_t k = 0; k < ctx->pod->n_ports; k++) {
            uint32_t bit = port_bit(&ctx->pod->ports[k]);
            bool maybe = bits[bit / 64] & (1ull << (bit % 64));
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
    .prepare = ports_prepare,
    .filter = ports_filter,
};
