/* The cluster's life: making, freeing, new settings. See cluster.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "model/cluster.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "model/cluster_store.h"
#include "model/places.h"
#include "model/profile.h"

#define CLUSTER_MAGIC     0x5350434cu
#define LOG_ENTRIES       65536u
#define KEEP_BYTES_MAX    ((size_t)16 << 30)
#define SCRATCH_BYTES_MAX ((size_t)1 << 30)

static int symbols(struct cluster *c, struct err *err)
{
    struct cluster_tables *t = c->t;
    const struct {
        const char *text;
        sym *to;
    } all[] = {{"metadata.name", &t->metadata_name},
               {"kubernetes.io/metadata.name", &t->ns_name_label},
               {"0.0.0.0", &t->any_ip},
               {"TCP", &t->tcp},
               {"kubernetes.io/hostname", &t->hostname_label},
               {"agones.dev/fleet", &t->agones_fleet},
               {"app.kubernetes.io/name", &t->app_name},
               {"app", &t->app},
               {"pod-template-hash", &t->template_hash},
               {"ReplicaSet", &t->kind_replica_set},
               {"Deployment", &t->kind_deployment},
               {"GameServer", &t->kind_game_server},
               {"GameServerSet", &t->kind_game_server_set},
               {"Fleet", &t->kind_fleet},
               {"Job", &t->kind_job},
               {"CronJob", &t->kind_cron_job},
               {"*", &t->no_fleet}};
    int r = 0;
    for (size_t i = 0; i < SP_COUNTOF(all) && r == 0; i++) {
        r = sym_intern(c->syms, str_c(all[i].text), all[i].to, err);
    }
    return r;
}

static int fill(struct cluster *c, struct err *err)
{
    static const char *const fixed[RES_FIXED] = {"cpu", "memory", "ephemeral-storage", "pods"};
    struct cluster_tables *t = c->t;
    int r = symtab_init(&t->syms, t->hash_seed, err);
    c->syms = &t->syms;
    r = r != 0 ? r : symbols(c, err);
    labelset_ix empty;
    struct label none[1] = {{{0}, {0}}};
    r = r != 0 ? r : labelset_intern(c, none, 0, &empty, err);
    for (uint32_t i = 0; i < RES_FIXED && r == 0; i++) {
        res_ix ignored;
        r = resource_intern(c, str_c(fixed[i]), &ignored, err);
    }
    r = r != 0 ? r : rows_grow(c, 1, err);
    sym zone = SYM_NONE, region = SYM_NONE;
    r = r != 0 ? r : sym_intern(c->syms, STR("topology.kubernetes.io/zone"), &zone, err);
    r = r != 0 ? r : sym_intern(c->syms, STR("topology.kubernetes.io/region"), &region, err);
    r = r != 0 ? r : topology_add(c, zone, TOPOLOGY_OUR_ZONE, &c->topo_zone, err);
    r = r != 0 ? r : topology_add(c, region, TOPOLOGY_OUR_REGION, &c->topo_region, err);
    r = r != 0 ? r : topology_add(c, t->hostname_label, TOPOLOGY_LABEL, &c->topo_host, err);
    c->log = mem_calloc(LOG_ENTRIES, sizeof *c->log);
    c->log_cap = LOG_ENTRIES;
    if (r == 0 && c->log == NULL) {
        r = err_nomem(err);
    }
    return r != 0 ? r : cluster_reserve(c, 256, err);
}

int cluster_new(struct cluster **ret, const struct settings *settings, struct err *err)
{
    struct cluster *c = mem_calloc(1, sizeof *c);
    struct cluster_tables *t = mem_calloc(1, sizeof *t);
    if (c == NULL || t == NULL) {
        mem_free(c);
        mem_free(t);
        return err_nomem(err);
    }
    c->magic = CLUSTER_MAGIC;
    c->t = t;
    c->settings = settings;
    t->hash_seed =
        0x73706177u; /* the table's order is never seen; the daemon's bodies are bounded */
    t->workload_gen = 1;
    arena_init(&t->arena, KEEP_BYTES_MAX);
    arena_init(&t->pool, KEEP_BYTES_MAX);
    arena_init(&t->scratch, SCRATCH_BYTES_MAX);
    int r = fill(c, err);
    if (r != 0) {
        cluster_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

static void fleets_done(struct fleet_row *fleets, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        mem_free(fleets[i].dom_players);
        mem_free(fleets[i].dom_servers);
        mem_free(fleets[i].pool_players);
        mem_free(fleets[i].region_players);
    }
    mem_free(fleets);
}

static void tables_done(struct cluster *c)
{
    struct cluster_tables *t = c->t;
    struct map64 *maps[] = {&t->node_of,    &t->pod_of,  &t->uid_of,       &t->game_pod,
                            &t->wait_of,    &t->dom_of,  &t->spot_pool_of, &t->fleet_of,
                            &t->ns_of,      &t->pvc_of,  &t->pv_of,        &t->sc_of,
                            &t->game_of,    &t->prio_of, &t->work_group,   &t->work_of,
                            &t->service_of, &t->pdb_of,  &t->res_of};
    for (size_t i = 0; i < SP_COUNTOF(maps); i++) {
        map64_done(maps[i]);
    }
    void *blocks[] = {t->sets,
                      t->set_hash,
                      t->set_slots,
                      t->tmpl,
                      t->tmpl_slots,
                      t->class_slots,
                      t->sibling_counters,
                      t->free_nodes,
                      t->free_pods,
                      t->pvcs,
                      t->pvs,
                      t->scs,
                      t->games,
                      t->prios,
                      t->works,
                      t->services,
                      t->pdbs,
                      t->demands,
                      t->region_lists,
                      t->ext};
    for (uint32_t i = 0; i < c->n_classes; i++) {
        mem_free(t->ext[i].matched);
    }
    for (size_t i = 0; i < SP_COUNTOF(blocks); i++) {
        mem_free(blocks[i]);
    }
    arena_done(&t->arena);
    arena_done(&t->pool);
    arena_done(&t->scratch);
    symtab_done(&t->syms);
}

static void rows_done(struct cluster *c)
{
    for (uint32_t i = 0; i < c->n_pod_rows; i++) {
        const struct pod_req *p = &c->pod[i].req;
        if (c->pod[i].live && p->n_ports + p->n_claims > 0) { /* big blocks are the heap's own */
            pool_free(c,
                      p->n_ports > 0 ? (void *)(uintptr_t)p->ports : (void *)(uintptr_t)p->claims,
                      p->n_ports * sizeof *p->ports + p->n_claims * sizeof *p->claims);
        }
    }
    for (uint32_t i = 0; i < c->cap_rows; i++) {
        if (c->facts != NULL) {
            mem_free(c->facts[i].owner);
        }
        if (c->pods != NULL) {
            mem_free(c->pods[i]);
        }
    }
    void *rows[] = {c->flags,        c->gen,         c->static_gen,
                    c->facts,        c->capacity,    c->price_nano_hour,
                    c->drain_end_ms, c->n_pods,      c->n_pinning,
                    c->n_game,       c->n_allocated, c->n_ready,
                    c->node_players, c->nonzero_cpu, c->nonzero_mem,
                    c->pods,         c->cap_pods,    c->pod,
                    c->log,          c->name_text,   c->port_bits};
    for (size_t i = 0; i < SP_COUNTOF(rows); i++) {
        mem_free(rows[i]);
    }
}

void cluster_free(struct cluster *c)
{
    if (c == NULL) {
        return;
    }
    check(c->magic == CLUSTER_MAGIC);
    rows_done(c);
    places_free(c);
    for (uint32_t i = 0; i < c->n_res; i++) {
        mem_free(c->alloc[i]);
        mem_free(c->used[i]);
    }
    for (uint32_t i = 0; i < c->n_topo; i++) {
        mem_free(c->topo[i].of);
        mem_free(c->topo[i].names);
        mem_free(c->topo[i].nodes);
    }
    for (uint32_t i = 0; i < c->n_counters; i++) {
        mem_free(c->counters[i].all);
        mem_free(c->counters[i].live);
    }
    fleets_done(c->fleets, c->n_fleets);
    tables_done(c);
    mem_free(c->topo);
    mem_free(c->counters);
    mem_free(c->classes);
    mem_free(c->t);
    c->magic = 0;
    mem_free(c);
}

/* ---- new settings ---- */

/* What settings decide, as it was: put back when something fails on the way. */
struct settings_before {
    const struct settings *settings;
    struct fleet_row *fleets;
    uint32_t n_fleets, cap_fleets;
    struct map64 fleet_of;
    struct node_facts *facts;
    uint32_t *flags, *n_pods;
    uint8_t *capacity;
    int64_t *price;
    struct game_profile *games; /* [n_classes]: first the new ones */
};

static void *keep_copy(const void *p, size_t n)
{
    void *copy = mem_alloc(n);
    if (copy != NULL) {
        memcpy(copy, p, n);
    }
    return copy;
}

static void before_done(struct settings_before *b)
{
    mem_free(b->facts);
    mem_free(b->flags);
    mem_free(b->n_pods);
    mem_free(b->capacity);
    mem_free(b->price);
    mem_free(b->games);
}

/* Domains follow the facts; every name is known already, so nothing is needed. */
static void domains_again(struct cluster *c)
{
    struct err err;
    for (uint32_t k = 0; k < c->n_topo; k++) {
        struct topology *tp = &c->topo[k];
        memset(tp->nodes, 0, tp->n_domains * sizeof *tp->nodes);
        for (uint32_t i = 0; i < c->n_rows; i++) {
            if ((c->flags[i] & NODE_LIVE) != 0) {
                check(domain_of(c, (topo_ix){k}, &c->facts[i], &tp->of[i], &err) == 0);
                tp->nodes[tp->of[i].v]++;
            }
        }
    }
}

static void put_back(struct cluster *c, struct settings_before *b)
{
    fleets_done(c->fleets, c->n_fleets);
    map64_done(&c->t->fleet_of);
    c->settings = b->settings;
    c->fleets = b->fleets;
    c->n_fleets = b->n_fleets;
    c->t->cap_fleets = b->cap_fleets;
    c->t->fleet_of = b->fleet_of;
    memcpy(c->facts, b->facts, c->cap_rows * sizeof *c->facts);
    memcpy(c->flags, b->flags, c->cap_rows * sizeof *c->flags);
    memcpy(c->capacity, b->capacity, c->cap_rows * sizeof *c->capacity);
    memcpy(c->price_nano_hour, b->price, c->cap_rows * sizeof *c->price_nano_hour);
    struct err ignored = ERR_NONE;
    if (places_reset(c, &ignored) != 0) {
        /* without its index the latency table counts as missing, and distances stand in for it */
    }
    domains_again(c);
}

/* New profiles beside the old ones, new facts in place. The rows look empty meanwhile, so that no fleet is counted. */
static int resolve_again(struct cluster *c, struct settings_before *b, struct err *err)
{
    int r = 0;
    uint32_t bad = 0;
    for (uint32_t i = 0; i < c->n_classes && r == 0; i++) {
        uint32_t n = 0;
        arena_reset(&c->t->scratch);
        r = profile_resolve(c, &c->t->ext[i].key, &b->games[i], &n, err);
        bad += n;
    }
    memset(c->n_pods, 0, c->cap_rows * sizeof *c->n_pods);
    for (uint32_t i = 0; i < c->n_rows && r == 0; i++) {
        arena_reset(&c->t->scratch);
        r = (c->flags[i] & NODE_LIVE) == 0 ? 0 : node_reread(c, (node_ix){i}, err);
    }
    memcpy(c->n_pods, b->n_pods, c->cap_rows * sizeof *c->n_pods);
    for (uint32_t i = 0; i < c->n_fleets && r == 0; i++) {
        r = fleet_reserve(c, (fleet_ix){i}, NODE_NONE, err);
    }
    if (r == 0) {
        c->n_bad_annotations = bad;
    }
    return r;
}

/* Sums over pods that depend on profiles; what depends on requests and selectors stays as it is. */
static void sums_again(struct cluster *c)
{
    size_t n = c->cap_rows;
    memset(c->n_game, 0, n * sizeof *c->n_game);
    memset(c->n_pinning, 0, n * sizeof *c->n_pinning);
    memset(c->node_players, 0, n * sizeof *c->node_players);
    memset(c->drain_end_ms, 0, n * sizeof *c->drain_end_ms);
    for (uint32_t i = 0; i < c->n_pod_rows; i++) {
        struct pod_row *row = &c->pod[i];
        if (!row->live) {
            continue;
        }
        const struct pod_class *cls = c->classes[row->req.cls.v];
        row->req.players = pod_players(cls, &row->req, game_of_pod(c, &row->req));
        if (row->node.v == IX_NONE) {
            continue;
        }
        uint32_t node = row->node.v;
        bool pins;
        int64_t end = pod_pin_end(c, row, &pins);
        c->n_pinning[node] += pins;
        c->drain_end_ms[node] = end > c->drain_end_ms[node] ? end : c->drain_end_ms[node];
        c->n_game[node] += cls->game.is_game;
        c->node_players[node] += row->req.players;
        fleet_count(c, (pod_ix){i}, 1);
    }
}

int cluster_set_settings(struct cluster *c, const struct settings *settings, struct err *err)
{
    check(c->magic == CLUSTER_MAGIC);
    struct cluster_tables *t = c->t;
    struct settings_before b = {
        .settings = c->settings,
        .fleets = c->fleets,
        .n_fleets = c->n_fleets,
        .cap_fleets = t->cap_fleets,
        .fleet_of = t->fleet_of,
        .facts = keep_copy(c->facts, c->cap_rows * sizeof *c->facts),
        .flags = keep_copy(c->flags, c->cap_rows * sizeof *c->flags),
        .n_pods = keep_copy(c->n_pods, c->cap_rows * sizeof *c->n_pods),
        .capacity = keep_copy(c->capacity, c->cap_rows * sizeof *c->capacity),
        .price = keep_copy(c->price_nano_hour, c->cap_rows * sizeof *c->price_nano_hour),
        .games = mem_calloc(c->n_classes, sizeof(struct game_profile))};
    if (b.facts == NULL || b.flags == NULL || b.n_pods == NULL || b.capacity == NULL ||
        b.price == NULL || b.games == NULL) {
        before_done(&b);
        return err_nomem(err);
    }
    c->settings = settings;
    c->fleets = NULL;
    c->n_fleets = t->cap_fleets = 0;
    t->fleet_of = (struct map64){0};
    int r = resolve_again(c, &b, err);
    if (r != 0) {
        put_back(c, &b);
    } else {
        for (uint32_t i = 0; i < c->n_classes; i++) {
            c->classes[i]->game = b.games[i];
        }
        fleets_done(b.fleets, b.n_fleets);
        map64_done(&b.fleet_of);
        sums_again(c);
    }
    c->epoch++;
    before_done(&b);
    return r;
}
