/* VolumeZone: a bound volume's zone and region labels must hold the node's.
 * SPDX-License-Identifier: Apache-2.0 */
#include "policies/kube_volume.h"

static const struct {
    const char *key, *ga; /* ga: what stands for a beta key that the node lacks */
} zone_keys[] = {
    {"failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"},
    {"failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"},
    {"topology.kubernetes.io/zone", "topology.kubernetes.io/zone"},
    {"topology.kubernetes.io/region", "topology.kubernetes.io/region"},
};
#define ZONE_KEYS SP_COUNTOF(zone_keys)

struct zone_state {
    struct volume_claims claims;
    sym key[ZONE_KEYS], ga[ZONE_KEYS];
};

static int zone_prepare(struct policy_ctx *ctx, struct err *err)
{
    if (ctx->pod->n_claims == 0) {
        return POLICY_SKIP;
    }
    struct zone_state *s = arena_calloc(ctx->scratch, 1, sizeof *s);
    if (!s) {
        return err_nomem(err);
    }
    for (size_t i = 0; i < ZONE_KEYS; i++) {
        s->key[i] = sym_find(ctx->c->syms, str_c(zone_keys[i].key));
        s->ga[i] = sym_find(ctx->c->syms, str_c(zone_keys[i].ga));
    }
    ctx->state = s;
    return volume_claims_read(ctx, &s->claims, err);
}

static sym label_of(struct labelset set, sym key, bool *ret_has)
{
    *ret_has = false;
    return key.v ? labels_get(set, key, ret_has) : SYM_NONE;
}

/* "a__b__c" holds "b". */
static bool zone_set_holds(struct str set, struct str zone)
{
    for (size_t at = 0;;) {
        size_t end = at;
        while (end < set.n && !(end + 1 < set.n && set.p[end] == '_' && set.p[end + 1] == '_')) {
            end++;
        }
        if (str_eq((struct str){set.p + at, end - at}, zone)) {
            return true;
        }
        if (end >= set.n) {
            return false;
        }
        at = end + 2;
    }
}

static bool volume_reaches(const struct policy_ctx *ctx, const struct zone_state *s,
                           const struct pv_row *pv, struct labelset node)
{
    struct labelset volume = cluster_labels(ctx->c, pv->labels);
    for (size_t i = 0; i < ZONE_KEYS; i++) {
        bool has;
        sym set = label_of(volume, s->key[i], &has);
        if (!has) {
            continue;
        }
        sym zone = label_of(node, s->key[i], &has);
        if (!has) {
            zone = label_of(node, s->ga[i], &has);
        }
        if (!has || !zone_set_holds(sym_str(ctx->c->syms, set), sym_str(ctx->c->syms, zone))) {
            return false;
        }
    }
    return true;
}

static void zone_filter(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                        struct verdict *ret)
{
    const struct zone_state *s = ctx->state;
    for (uint32_t i = 0; i < n; i++) {
        struct labelset node = cluster_labels(ctx->c, ctx->c->facts[nodes[i].v].labels);
        bool any = false;
        for (size_t k = 0; k < ZONE_KEYS && !any; k++) {
            (void)label_of(node, s->key[k], &any);
        }
        for (uint32_t k = 0; any && k < s->claims.n; k++) {
            const struct pv_row *pv = s->claims.p[k].pv;
            if (pv && !volume_reaches(ctx, s, pv, node)) {
                ret[i].reason = REASON_VOLUME_ZONE;
                ret[i].unresolvable = true;
                break;
            }
        }
    }
}

const struct policy policy_kube_volume_zone = {
    .name = "VolumeZone",
    .filter_dep = DEP_LIVE,
    .prepare = zone_prepare,
    .filter = zone_filter,
};
