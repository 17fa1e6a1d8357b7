/* The deep hash and the recount of everything: for tests, torture and debug builds. See cluster.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "model/cluster_store.h"

/* ---- hash: by names, so that neither row numbers nor the order of arrival count ---- */

static uint64_t hash_sym(const struct cluster *c, uint64_t h, sym s)
{
    return mix64(h, str_hash(sym_str(c->syms, s), 11, 13));
}

static uint64_t hash_labels(const struct cluster *c, uint64_t h, labelset_ix ix)
{
    struct labelset set = cluster_labels(c, ix);
    uint64_t sum = set.n;
    for (uint32_t i = 0; i < set.n; i++) {
        sum += hash_sym(c, hash_sym(c, 1, set.p[i].key), set.p[i].val);
    }
    return mix64(h, sum);
}

static uint64_t hash_pod(const struct cluster *c, const struct pod_row *row)
{
    const struct pod_req *p = &row->req;
    uint64_t h = hash_sym(c, hash_sym(c, hash_sym(c, 2, p->ns), p->name), p->uid);
    h = hash_sym(c, hash_sym(c, h, p->node_name), p->nominated);
    h = hash_labels(c, h, p->labels);
    h = mix64(h, key2((uint32_t)p->phase, (uint32_t)p->game));
    h = mix64(h, key2((uint32_t)p->players, (uint32_t)p->deleting | (uint32_t)p->gated << 1 |
                                                (uint32_t)p->ready << 2 | (uint32_t)p->bound << 3 |
                                                (uint32_t)row->assumed << 4 |
                                                (uint32_t)row->lifted << 5));
    h = mix64(mix64(mix64(h, (uint64_t)p->created_ms), (uint64_t)p->start_ms),
              (uint64_t)p->session_end_ms);
    for (uint32_t i = 0; i < p->n_ports; i++) {
        h = mix64(hash_sym(c, hash_sym(c, h, p->ports[i].ip), p->ports[i].protocol),
                  (uint64_t)p->ports[i].port);
    }
    for (uint32_t i = 0; i < p->n_claims; i++) {
        h = hash_sym(c, h, p->claims[i]);
    }
    h = mix64(h, c->t->tmpl[c->t->ext[p->cls.v].key.tmpl]->hash);
    return row->node.v == IX_NONE ? mix64(h, 1) : hash_sym(c, h, c->facts[row->node.v].name);
}

static uint64_t hash_node(const struct cluster *c, uint32_t i)
{
    const struct node_facts *f = &c->facts[i];
    uint64_t h = hash_sym(c, mix64(3, c->flags[i]), f->name);
    h = hash_labels(c, h, f->labels);
    h = mix64(mix64(h, c->capacity[i]), (uint64_t)c->price_nano_hour[i]);
    h = mix64(mix64(h, (uint64_t)c->drain_end_ms[i]), key2(c->n_pods[i], c->n_pinning[i]));
    h = mix64(mix64(h, key2(c->n_game[i], c->n_allocated[i])), key2(c->n_ready[i], 0));
    h = mix64(mix64(mix64(h, (uint64_t)c->node_players[i]), (uint64_t)c->nonzero_cpu[i]),
              (uint64_t)c->nonzero_mem[i]);
    uint64_t sum = 0;
    for (uint32_t r = 0; r < c->n_res; r++) {
        if (c->alloc[r][i] != 0 || c->used[r][i] != 0) {
            sum += mix64(mix64(hash_sym(c, 4, c->res_name[r]), (uint64_t)c->alloc[r][i]),
                         (uint64_t)c->used[r][i]);
        }
    }
    for (uint32_t k = 0; k < c->n_counters; k++) {
        if (c->counters[k].all[i] != 0) {
            sum += mix64(mix64(c->counters[k].hash, k),
                         key2(c->counters[k].all[i], c->counters[k].live[i]));
        }
    }
    h = mix64(h, sum);
    for (uint32_t p = 0; p < c->n_pods[i];
         p++) { /* in the list's order: it is seen by preemption */
        h = hash_sym(c, hash_sym(c, h, c->pod[c->pods[i][p].v].req.ns),
                     c->pod[c->pods[i][p].v].req.name);
    }
    return h;
}

static uint64_t hash_fleet(const struct cluster *c, const struct fleet_row *f)
{
    uint64_t h = hash_sym(c, 5, f->name), sum = 0;
    h = mix64(mix64(mix64(h, (uint64_t)f->players), (uint64_t)f->spot_players),
              (uint64_t)f->on_demand_players);
    h = mix64(h, (uint64_t)f->servers);
    for (uint32_t i = 0; i < f->dom_cap; i++) {
        if (f->dom_players[i] != 0 || f->dom_servers[i] != 0) {
            sum +=
                mix64(mix64(mix64(6, i), (uint64_t)f->dom_players[i]), (uint64_t)f->dom_servers[i]);
        }
    }
    for (uint32_t i = 0; i < f->pool_cap; i++) {
        sum += f->pool_players[i] == 0 ? 0 : mix64(mix64(7, i), (uint64_t)f->pool_players[i]);
    }
    for (uint32_t i = 0; i < f->region_cap; i++) {
        sum += f->region_players[i] == 0 ? 0 : mix64(mix64(8, i), (uint64_t)f->region_players[i]);
    }
    return mix64(h, sum);
}

uint64_t cluster_hash(const struct cluster *c)
{
    uint64_t sum = mix64(key2(c->n_nodes, c->n_pods_live), c->n_pod_rows);
    for (uint32_t i = 0; i < c->n_rows; i++) {
        sum += (c->flags[i] & NODE_LIVE) != 0 ? hash_node(c, i) : 0;
    }
    for (uint32_t i = 0; i < c->n_pod_rows; i++) {
        sum += c->pod[i].live ? hash_pod(c, &c->pod[i]) : 0;
    }
    for (uint32_t i = 0; i < c->n_fleets; i++) {
        const struct fleet_row *f = &c->fleets[i];
        sum += f->servers != 0 || f->players != 0 ? hash_fleet(c, f) : 0;
    }
    return sum;
}

/* ---- recount ---- */

static int differs(struct err *err, const char *what, struct str where, int64_t stands,
                   int64_t counted)
{
    return err_set(err, -EINVAL, "%s of %.*s: stands %lld, counted %lld", what,
                   (int)(where.n > 100 ? 100 : where.n), where.p == NULL ? "" : where.p,
                   (long long)stands, (long long)counted);
}

#define SAME(what, where, stands, counted)                                  \
    do {                                                                    \
        int64_t stands_ = (int64_t)(stands), counted_ = (int64_t)(counted); \
        if (stands_ != counted_) {                                          \
            return differs(err, (what), (where), stands_, counted_);        \
        }                                                                   \
    } while (0)

struct sums {
    int64_t cpu, mem, players, drain;
    uint32_t pinning, game, allocated, ready;
};

static int verify_sums(const struct cluster *c, uint32_t i, int64_t *used, struct err *err)
{
    struct str name = sym_str(c->syms, c->facts[i].name);
    struct sums s = {0};
    memset(used, 0, c->n_res * sizeof *used);
    for (uint32_t k = 0; k < c->n_pods[i]; k++) {
        const struct pod_row *row = &c->pod[c->pods[i][k].v];
        const struct pod_class *cls = c->classes[row->req.cls.v];
        SAME("node of a listed pod", name, row->live ? row->node.v : IX_NONE, i);
        SAME("place of a listed pod", name, row->pos, k);
        for (uint32_t n = 0; n < cls->n_needs; n++) {
            used[cls->needs[n].res.v] =
                (int64_t)((uint64_t)used[cls->needs[n].res.v] + (uint64_t)cls->needs[n].amount);
        }
        used[RES_PODS]++;
        s.cpu = (int64_t)((uint64_t)s.cpu + (uint64_t)cls->nonzero_cpu_milli);
        s.mem = (int64_t)((uint64_t)s.mem + (uint64_t)cls->nonzero_mem_bytes);
        s.players += row->req.players;
        bool pins;
        int64_t end = pod_pin_end(c, row, &pins);
        s.drain = end > s.drain ? end : s.drain;
        s.pinning += pins;
        s.game += cls->game.is_game;
        s.allocated += row->req.game == GAME_ALLOCATED;
        s.ready += row->req.game == GAME_READY;
    }
    for (uint32_t r = 0; r < c->n_res; r++) {
        SAME("used", sym_str(c->syms, c->res_name[r]), c->used[r][i], used[r]);
    }
    SAME("nonzero_cpu", name, c->nonzero_cpu[i], s.cpu);
    SAME("nonzero_mem", name, c->nonzero_mem[i], s.mem);
    SAME("node_players", name, c->node_players[i], s.players);
    SAME("drain_end_ms", name, c->drain_end_ms[i], s.drain);
    SAME("n_pinning", name, c->n_pinning[i], s.pinning);
    SAME("n_game", name, c->n_game[i], s.game);
    SAME("n_allocated", name, c->n_allocated[i], s.allocated);
    SAME("n_ready", name, c->n_ready[i], s.ready);
    return 0;
}

static int verify_nodes(const struct cluster *c, struct err *err)
{
    int64_t *used = mem_alloc(c->n_res * sizeof *used);
    if (used == NULL) {
        return err_nomem(err);
    }
    uint32_t n = 0;
    int r = 0;
    for (uint32_t i = 0; i < c->n_rows && r == 0; i++) {
        n += (c->flags[i] & NODE_LIVE) != 0;
        r = verify_sums(c, i, used, err);
        if (r == 0 && (c->flags[i] & NODE_LIVE) == 0 && c->n_pods[i] != 0) {
            r = err_set(err, -EINVAL, "row %u is free but has pods", i);
        }
        if (r == 0 && (c->flags[i] & NODE_LIVE) != 0 &&
            map64_get(&c->t->node_of, c->facts[i].name.v) != i) {
            r = err_set(err, -EINVAL, "node row %u is not found by its name", i);
        }
    }
    mem_free(used);
    if (r == 0) {
        SAME("n_nodes", STR("cluster"), c->n_nodes, n);
    }
    return r;
}

static int verify_pods(const struct cluster *c, struct err *err)
{
    uint32_t live = 0, lifted = 0, listed = 0, counted = 0;
    for (uint32_t i = 0; i < c->n_pod_rows; i++) {
        const struct pod_row *row = &c->pod[i];
        if (!row->live) {
            continue;
        }
        struct str name = sym_str(c->syms, row->req.name);
        live++;
        lifted += row->lifted;
        counted += row->node.v != IX_NONE;
        SAME("row by name", name, map64_get(&c->t->pod_of, key2(row->req.ns.v, row->req.name.v)),
             i);
        if (row->req.uid.v != 0) {
            SAME("row by uid", name, map64_get(&c->t->uid_of, row->req.uid.v), i);
        }
        if (row->req.bound && row->node.v != IX_NONE) {
            SAME("node", name, c->facts[row->node.v].name.v, row->req.node_name.v);
        }
        if (row->req.bound && row->node.v == IX_NONE && !row->lifted) {
            SAME("waiting for the node", name, row->wait_on.v, row->req.node_name.v);
            SAME("its node being unknown", name, map64_get(&c->t->node_of, row->req.node_name.v),
                 IX_NONE);
        }
    }
    for (uint32_t i = 0; i < c->n_rows; i++) {
        listed += c->n_pods[i];
    }
    SAME("n_pods_live", STR("cluster"), c->n_pods_live, live);
    SAME("lifted pods", STR("cluster"), c->t->n_lifted, lifted);
    SAME("pods in lists", STR("cluster"), listed, counted);
    for (uint32_t k = 0; k < c->n_classes; k++) {
        uint64_t refs = 0;
        if (c->classes[k]->refs == 0) {
            continue;
        }
        for (uint32_t i = 0; i < c->n_pod_rows; i++) {
            refs += c->pod[i].live && c->pod[i].req.cls.v == k;
        }
        SAME("refs of a class in", sym_str(c->syms, c->classes[k]->ns), c->classes[k]->refs, refs);
    }
    return 0;
}

static int verify_counter(const struct cluster *c, uint32_t ix, uint32_t *all, uint32_t *live,
                          struct err *err)
{
    const struct counter *k = &c->counters[ix];
    uint64_t total = 0;
    memset(all, 0, c->cap_rows * sizeof *all);
    memset(live, 0, c->cap_rows * sizeof *live);
    for (uint32_t i = 0; i < c->n_pod_rows; i++) {
        const struct pod_row *row = &c->pod[i];
        if (!row->live || row->node.v == IX_NONE) {
            continue;
        }
        /* by the pod's full labels, which must say the same as its class */
        bool in = k->carrier_of != NULL ? k->carrier_class.v == row->req.cls.v
                                        : counter_matches(c, k, row->req.ns, row->req.labels);
        all[row->node.v] += in;
        live[row->node.v] += in && !row->req.deleting;
        total += in;
    }
    for (uint32_t i = 0; i < c->n_rows; i++) {
        SAME("counter, all pods,", sym_str(c->syms, c->facts[i].name), k->all[i], all[i]);
        SAME("counter, live pods,", sym_str(c->syms, c->facts[i].name), k->live[i], live[i]);
    }
    SAME("counter's total", STR("cluster"), k->total_all, total);
    return 0;
}

static int verify_counters(const struct cluster *c, struct err *err)
{
    uint32_t *all = mem_alloc(c->cap_rows * sizeof *all),
             *live = mem_alloc(c->cap_rows * sizeof *live);
    int r = all == NULL || live == NULL ? err_nomem(err) : 0;
    for (uint32_t i = 0; i < c->n_counters && r == 0; i++) {
        r = verify_counter(c, i, all, live, err);
    }
    mem_free(all);
    mem_free(live);
    return r;
}

static int verify_topologies(const struct cluster *c, struct err *err)
{
    for (uint32_t k = 0; k < c->n_topo; k++) {
        const struct topology *tp = &c->topo[k];
        struct str key = sym_str(c->syms, tp->key);
        uint32_t sum = 0, n = 0;
        for (uint32_t i = 0; i < c->n_rows; i++) {
            bool has = false;
            if ((c->flags[i] & NODE_LIVE) == 0) {
                continue;
            }
            sym val = labels_get(cluster_labels(c, c->facts[i].labels), tp->key, &has);
            if (tp->source != TOPOLOGY_LABEL) {
                val = tp->source == TOPOLOGY_OUR_ZONE ? c->facts[i].zone : c->facts[i].region;
                has = val.v != 0;
            }
            SAME("domain", key, tp->of[i].v != 0, has);
            if (has) {
                SAME("name of the domain", key, tp->names[tp->of[i].v].v, val.v);
            }
            n++;
        }
        for (uint32_t i = 0; i < tp->n_domains; i++) {
            sum += tp->nodes[i];
        }
        SAME("nodes by domain", key, sum, n);
    }
    return 0;
}

/* One fleet's arrays, counted down to zero on a copy. */
static int verify_fleet(const struct cluster *c, uint32_t ix, int64_t *copy, struct err *err)
{
    const struct fleet_row *f = &c->fleets[ix];
    struct str name = sym_str(c->syms, f->name);
    int64_t *doms = copy, *servers = doms + f->dom_cap, *pools = servers + f->dom_cap,
            *regions = pools + f->pool_cap;
    int64_t players = 0, n_servers = 0, spot = 0, on_demand = 0;
    memset(copy, 0, ((size_t)f->dom_cap * 2 + f->pool_cap + f->region_cap) * sizeof *copy);
    for (uint32_t i = 0; i < c->n_pod_rows; i++) {
        const struct pod_row *row = &c->pod[i];
        if (!row->live || row->node.v == IX_NONE ||
            c->classes[row->req.cls.v]->game.fleet.v != ix) {
            continue;
        }
        uint32_t node = row->node.v;
        int standing = !row->req.deleting && row->req.game != GAME_ENDED;
        players += row->req.players;
        n_servers += standing;
        doms[c->topo[f->spread_topo.v].of[node].v] += row->req.players;
        servers[c->topo[f->spread_topo.v].of[node].v] += standing;
        regions[c->topo[c->topo_region.v].of[node].v] += row->req.players;
        if (c->capacity[node] == CAPACITY_SPOT) {
            spot += row->req.players;
            pools[c->facts[node].spot_pool] += row->req.players;
        } else if (c->capacity[node] != CAPACITY_UNKNOWN) {
            on_demand += row->req.players;
        }
    }
    SAME("players", name, f->players, players);
    SAME("servers", name, f->servers, n_servers);
    SAME("spot_players", name, f->spot_players, spot);
    SAME("on_demand_players", name, f->on_demand_players, on_demand);
    for (uint32_t i = 0; i < f->dom_cap; i++) {
        SAME("dom_players", name, f->dom_players[i], doms[i]);
        SAME("dom_servers", name, f->dom_servers[i], servers[i]);
    }
    for (uint32_t i = 0; i < f->pool_cap; i++) {
        SAME("pool_players", name, f->pool_players[i], pools[i]);
    }
    for (uint32_t i = 0; i < f->region_cap; i++) {
        SAME("region_players", name, f->region_players[i], regions[i]);
    }
    return 0;
}

static int verify_fleets(const struct cluster *c, struct err *err)
{
    int r = 0;
    for (uint32_t i = 0; i < c->n_fleets && r == 0; i++) {
        const struct fleet_row *f = &c->fleets[i];
        int64_t *copy =
            mem_alloc(((size_t)f->dom_cap * 2 + f->pool_cap + f->region_cap) * sizeof *copy);
        r = copy == NULL ? err_nomem(err) : verify_fleet(c, i, copy, err);
        mem_free(copy);
    }
    return r;
}

int cluster_verify(const struct cluster *c, struct err *err)
{
    int r = verify_nodes(c, err);
    r = r != 0 ? r : verify_pods(c, err);
    r = r != 0 ? r : verify_counters(c, err);
    r = r != 0 ? r : verify_topologies(c, err);
    return r != 0 ? r : verify_fleets(c, err);
}
