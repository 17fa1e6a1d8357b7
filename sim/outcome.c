/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/outcome.h"

#include "base/limits.h"
#include "model/conventions.h"
#include "sim/outcome_latency.h"
#include "wire/sha256.h"

#include <stdlib.h>

#define OUTCOME_ARENA_MAX ((size_t)1 << 30)
#define TYPICAL_SHARE_PCT 95

const struct metric outcome_metrics[] = {
#define METRIC(path, expr, better, unit, label) {path, unit, label, better},
#include "sim/metrics.def"
#undef METRIC
};
const size_t outcome_n_metrics = SP_COUNTOF(outcome_metrics);

double outcome_metric(const struct outcome *o, size_t metric)
{
    size_t at = 0;
#define METRIC(path, expr, better, unit, label) \
    if (at++ == metric) {                       \
        return (double)(expr);                  \
    }
#include "sim/metrics.def"
#undef METRIC
    return SIM_NULL;
}

const char *outcome_capacity_name(unsigned type)
{
    static const char *const names[] = {"unknown", "on-demand", "spot", "reserved"};
    return type < SP_COUNTOF(names) ? names[type] : names[0];
}

/* ---- pods and nodes ---- */

static bool is_fixture(const struct pod_class *cls)
{
    return (cls->flags & (CLASS_DAEMON | CLASS_MIRROR)) != 0;
}

static void count_pods(const struct replay *r, struct outcome *o)
{
    o->pods.bound = (int64_t)r->bound;
    o->pods.arrived = (int64_t)r->placements.n;
    for (size_t i = 0; i < r->placements.n; i++) {
        enum placed_state s = r->placements.p[i].state;
        o->pods.placed += s == PLACED_ON_NODE;
        o->pods.pending += s == PLACED_PENDING;
        o->pods.failed += s == PLACED_FAILED;
    }
}

static bool node_used(const struct cluster *c, uint32_t node)
{
    for (uint32_t i = 0; i < c->n_pods[node]; i++) {
        if (!is_fixture(cluster_class(c, c->pod[c->pods[node][i].v].req.cls))) {
            return true;
        }
    }
    return false;
}

static void count_nodes(const struct cluster *c, struct outcome *o)
{
    int64_t total_nano = 0;
    for (uint32_t n = 0; n < c->n_rows; n++) {
        if ((c->flags[n] & NODE_LIVE) == 0) {
            continue;
        }
        o->nodes.total++;
        o->nodes.pinned += c->n_pinning[n] > 0;
        for (unsigned k = RES_CPU; k <= RES_MEMORY; k++) {
            int64_t *capacity = k == RES_CPU ? &o->cpu.capacity : &o->memory.capacity;
            int64_t *allocated = k == RES_CPU ? &o->cpu.allocated : &o->memory.allocated;
            *capacity += c->alloc[k] != NULL ? c->alloc[k][n] : 0;
            *allocated += c->used[k] != NULL ? c->used[k][n] : 0;
        }
        unsigned type = c->capacity[n] < 4 ? c->capacity[n] : 0;
        if (node_used(c, n)) {
            o->nodes.used++;
            total_nano += c->price_nano_hour[n];
            o->cost.by_capacity[type] += c->price_nano_hour[n];
            o->cost.has_capacity[type] = true;
        }
    }
    o->nodes.empty = o->nodes.total - o->nodes.used;
    o->cost.total = (double)total_nano / 1e9;
}

/* ---- GPUs ---- */

/* Thousandths of a GPU in one unit of a resource; 0 where it counts no GPUs, or the same ones a second time (sharing
 * schemes offer gpu-milli, gpu-count and gpu-mem side by side). */
static int64_t gpu_weight(const struct cluster *c, uint32_t res)
{
    static const char *const other[] = {"gpu-count", "gpu-mem",           "gpu-memory",
                                        "gpumem",    "gpumem-percentage", "gpucores"};
    struct str name = sym_str(c->syms, c->res_name[res]);
    if (!conventions_is_accelerator(name)) {
        return 0;
    }
    for (size_t i = 0; i < SP_COUNTOF(other); i++) {
        if (str_ends(name, str_c(other[i]))) {
            return 0;
        }
    }
    return str_ends(name, STR("gpu-milli")) ? 1 : 1000;
}

static int64_t class_gpu_milli(const struct cluster *c, const struct pod_class *cls)
{
    int64_t n = 0;
    for (uint32_t i = 0; i < cls->n_needs; i++) {
        n += gpu_weight(c, cls->needs[i].res.v) * cls->needs[i].amount;
    }
    return n;
}

struct typical {
    class_ix cls;
    int64_t count, cpu_milli, gpu_milli;
};
typedef VEC(struct typical) typical_list;

static int compare_typical(const void *a, const void *b)
{
    const struct typical *x = a, *y = b;
    if (x->count != y->count) {
        return x->count > y->count ? -1 : 1;
    }
    if (x->cpu_milli != y->cpu_milli) {
        return x->cpu_milli > y->cpu_milli ? -1 : 1;
    }
    if (x->gpu_milli != y->gpu_milli) {
        return x->gpu_milli > y->gpu_milli ? -1 : 1;
    }
    return x->cls.v < y->cls.v ? -1 : x->cls.v > y->cls.v;
}

static int64_t need_of(const struct pod_class *cls, uint32_t res)
{
    for (uint32_t i = 0; i < cls->n_needs; i++) {
        if (cls->needs[i].res.v == res) {
            return cls->needs[i].amount;
        }
    }
    return 0;
}

/* The most frequent classes among all pods of the input, until they cover 95 % of them. Also sums what was asked for. */
static int typical_mix(const struct cluster *c, const struct replay *r, struct outcome *o,
                       typical_list *ret, struct err *err)
{
    int64_t *counts = mem_calloc((size_t)c->n_classes + 1, sizeof *counts), all = 0, taken = 0;
    if (counts == NULL) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < c->n_pod_rows; i++) {
        if (c->pod[i].live && (c->pod[i].node.v != IX_NONE)) {
            counts[c->pod[i].req.cls.v]++;
        }
    }
    for (size_t i = 0; i < r->placements.n; i++) {
        counts[r->placements.p[i].req.cls.v] += r->placements.p[i].node.v == IX_NONE;
    }
    int rc = 0;
    for (uint32_t k = 0; rc == 0 && k < c->n_classes; k++) {
        const struct pod_class *cls = c->classes[k];
        if (counts[k] == 0 || cls == NULL) {
            continue;
        }
        struct typical one = {{k}, counts[k], need_of(cls, RES_CPU), class_gpu_milli(c, cls)};
        o->gpu.arrived_milli += one.gpu_milli * one.count;
        if (!is_fixture(cls)) {
            all += one.count;
            rc = VEC_PUSH(ret, one, LIMIT_CLASSES) != 0 ? err_nomem(err) : 0;
        }
    }
    mem_free(counts);
    if (rc != 0 || ret->n == 0) {
        return rc;
    }
    qsort(ret->p, ret->n, sizeof *ret->p, compare_typical);
    size_t n = 0;
    while (n < ret->n && taken * 100 < all * TYPICAL_SHARE_PCT) {
        taken += ret->p[n++].count;
    }
    ret->n = n;
    return 0;
}

static int64_t free_of(const struct cluster *c, uint32_t res, uint32_t node)
{
    int64_t alloc = c->alloc[res] != NULL ? c->alloc[res][node] : 0;
    int64_t left = alloc - (c->used[res] != NULL ? c->used[res][node] : 0);
    return left > 0 ? left : 0;
}

static bool class_fits(const struct cluster *c, const struct typical *t, node_ix node)
{
    const struct pod_class *cls = cluster_class(c, t->cls);
    struct policy_ctx ctx = {
        .c = c, .settings = c->settings, .cls = cls, .game = &cls->game, .waited_ms = -1};
    for (uint32_t i = 0; i < cls->n_needs; i++) {
        uint32_t res = cls->needs[i].res.v;
        if ((res == RES_CPU || gpu_weight(c, res) > 0) &&
            cls->needs[i].amount > free_of(c, res, node.v)) {
            return false;
        }
    }
    return match_node_selection(&ctx, node);
}

static void count_gpus(const struct cluster *c, const typical_list *mix, struct outcome *o)
{
    int64_t weight = 0;
    double fragmented = 0;
    for (size_t k = 0; k < mix->n; k++) {
        weight += mix->p[k].count;
    }
    for (uint32_t n = 0; n < c->n_rows; n++) {
        int64_t idle = 0, stranded = 0;
        for (uint32_t res = RES_FIXED; (c->flags[n] & NODE_LIVE) != 0 && res < c->n_res; res++) {
            int64_t each = c->alloc[res] != NULL ? gpu_weight(c, res) : 0;
            if (each > 0) {
                int64_t used = c->used[res] != NULL ? each * c->used[res][n] : 0;
                o->gpu.capacity_milli += each * c->alloc[res][n];
                o->gpu.allocated_milli += used;
                o->gpu.touched += (used + 999) / 1000;
                idle += each * free_of(c, res, n);
            }
        }
        for (size_t k = 0; idle > 0 && k < mix->n; k++) {
            if (mix->p[k].gpu_milli == 0 || !class_fits(c, &mix->p[k], (node_ix){n})) {
                stranded += mix->p[k].count;
            }
        }
        fragmented += weight > 0 ? (double)idle * ((double)stranded / (double)weight) : 0;
    }
    o->gpu.fragmented_milli = weight > 0 || o->gpu.capacity_milli == 0 ? fragmented : SIM_NULL;
}

/* ---- zones, spot, fleets ---- */

struct seat { /* players of one fleet in one zone */
    uint32_t fleet, dom;
    int64_t players;
};
typedef VEC(struct seat) seat_list;

static int compare_seats(const void *a, const void *b)
{
    const struct seat *x = a, *y = b;
    if (x->fleet != y->fleet) {
        return x->fleet < y->fleet ? -1 : 1;
    }
    return x->dom < y->dom ? -1 : x->dom > y->dom;
}

static int compare_zones(const void *a, const void *b)
{
    const struct outcome_zone *x = a, *y = b;
    return str_cmp(x->name, y->name);
}

static int compare_fleets(const void *a, const void *b)
{
    const struct outcome_fleet *x = a, *y = b;
    return str_cmp(x->name, y->name);
}

static int count_seats(const struct cluster *c, struct outcome *o, seat_list *seats,
                       struct err *err)
{
    const struct topology *zones = &c->topo[c->topo_zone.v];
    int64_t spot = 0, all = 0;
    bool known = false;
    for (uint32_t d = 0; d < zones->n_domains; d++) {
        struct str name =
            d == 0 ? STR("unknown") : arena_str(&o->arena, sym_str(c->syms, zones->names[d]));
        if (name.p == NULL ||
            VEC_PUSH(&o->zones, ((struct outcome_zone){.name = name}), LIMIT_NODES + 1) != 0) {
            return err_nomem(err);
        }
    }
    for (uint32_t n = 0; n < c->n_rows; n++) {
        uint32_t dom = zones->of[n].v;
        for (uint32_t i = 0; (c->flags[n] & NODE_LIVE) != 0 && i < c->n_pods[n]; i++) {
            const struct pod_row *row = &c->pod[c->pods[n][i].v];
            const struct pod_class *cls = cluster_class(c, row->req.cls);
            if (is_fixture(cls)) {
                continue;
            }
            o->zones.p[dom].pods++;
            if (!cls->game.is_game) {
                continue;
            }
            o->zones.p[dom].players += row->req.players;
            all += row->req.players;
            spot += c->capacity[n] == CAPACITY_SPOT ? row->req.players : 0;
            known = known || c->capacity[n] != CAPACITY_UNKNOWN;
            if (VEC_PUSH(seats, ((struct seat){cls->game.fleet.v, dom, row->req.players}),
                         LIMIT_PODS) != 0) {
                return err_nomem(err);
            }
        }
    }
    o->spot_share = all > 0 && known ? (double)spot / (double)all : SIM_NULL;
    o->cost.per_player_hour = all > 0 ? o->cost.total / (double)all : SIM_NULL;
    return 0;
}

static int close_fleet(const struct cluster *c, struct outcome *o, uint32_t fleet, int64_t players,
                       int64_t worst, struct err *err)
{
    struct outcome_fleet one = {
        .name = arena_str(&o->arena, sym_str(c->syms, c->fleets[fleet].name)), .players = players};
    if (one.name.p == NULL || VEC_PUSH(&o->fleets, one, LIMIT_FLEETS) != 0) {
        return err_nomem(err);
    }
    if (players > 0) {
        double share = (double)worst / (double)players;
        o->blast_radius = o->blast_radius >= share ? o->blast_radius : share;
    }
    return 0;
}

static int count_zones(const struct cluster *c, struct outcome *o, struct err *err)
{
    seat_list seats = {0};
    o->blast_radius = SIM_NULL;
    int rc = count_seats(c, o, &seats, err);
    if (rc == 0 && seats.n > 0) {
        qsort(seats.p, seats.n, sizeof *seats.p, compare_seats);
    }
    int64_t players = 0, in_zone = 0, worst = 0;
    for (size_t i = 0; rc == 0 && i < seats.n; i++) {
        bool last = i + 1 == seats.n || seats.p[i + 1].fleet != seats.p[i].fleet;
        players += seats.p[i].players;
        in_zone += seats.p[i].players;
        worst = in_zone > worst ? in_zone : worst;
        if (last || seats.p[i + 1].dom != seats.p[i].dom) {
            in_zone = 0;
        }
        if (last) {
            rc = close_fleet(c, o, seats.p[i].fleet, players, worst, err);
            players = worst = 0;
        }
    }
    VEC_DONE(&seats);
    size_t kept = 0;
    for (size_t d = 0; d < o->zones.n; d++) {
        if (d > 0 || o->zones.p[d].pods > 0) {
            o->zones.p[kept++] = o->zones.p[d];
        }
    }
    o->zones.n = kept;
    if (kept > 1) {
        qsort(o->zones.p, kept, sizeof *o->zones.p, compare_zones);
    }
    if (o->fleets.n > 1) {
        qsort(o->fleets.p, o->fleets.n, sizeof *o->fleets.p, compare_fleets);
    }
    return rc;
}

static struct outcome_fleet *find_fleet(struct outcome *o, struct str name)
{
    struct outcome_fleet key = {.name = name};
    return o->fleets.n == 0 ? NULL
                            : bsearch(&key, o->fleets.p, o->fleets.n, sizeof key, compare_fleets);
}

/* A used node's price by the CPU requests of the pods that keep it. */
static void split_cost(const struct cluster *c, struct outcome *o)
{
    for (uint32_t n = 0; n < c->n_rows; n++) {
        i128 cpu_sum = 0;
        for (int pass = 0; (c->flags[n] & NODE_LIVE) != 0 && pass < 2; pass++) {
            for (uint32_t i = 0; i < c->n_pods[n]; i++) {
                const struct pod_class *cls = cluster_class(c, c->pod[c->pods[n][i].v].req.cls);
                struct outcome_fleet *f = NULL;
                if (is_fixture(cls)) {
                    continue;
                }
                if (pass == 0) {
                    cpu_sum += cls->nonzero_cpu_milli;
                } else if (cls->game.is_game && cpu_sum > 0) {
                    f = find_fleet(o, sym_str(c->syms, c->fleets[cls->game.fleet.v].name));
                }
                if (f != NULL) {
                    f->cost_nano +=
                        (int64_t)((i128)c->price_nano_hour[n] * cls->nonzero_cpu_milli / cpu_sum);
                }
            }
        }
    }
}

/* ---- all ---- */

static void hash_placements(const struct cluster *c, const struct replay *r, struct outcome *o)
{
    struct sha256 sha;
    uint8_t digest[32];
    sha256_init(&sha);
    for (size_t i = 0; i < r->placements.n; i++) {
        const struct placement *p = &r->placements.p[i];
        sha256_update(&sha, p->pod.p, p->pod.n);
        sha256_update(&sha, "\t", 1);
        if (p->node.v != IX_NONE) {
            struct str node = sym_str(c->syms, c->facts[p->node.v].name);
            sha256_update(&sha, node.p, node.n);
        }
        sha256_update(&sha, "\n", 1);
    }
    sha256_final(&sha, digest);
    sha256_hex(digest, o->hash);
}

int outcome_make(const struct world *w, const struct replay *r, struct outcome *ret,
                 struct err *err)
{
    const struct cluster *c = w->cluster;
    typical_list mix = {0};
    *ret = (struct outcome){0};
    arena_init(&ret->arena, OUTCOME_ARENA_MAX);
    ret->cost.currency = arena_str(&ret->arena, c->settings->currency);
    count_pods(r, ret);
    count_nodes(c, ret);
    int rc = ret->cost.currency.p == NULL ? err_nomem(err) : typical_mix(c, r, ret, &mix, err);
    if (rc == 0) {
        count_gpus(c, &mix, ret);
        rc = count_zones(c, ret, err);
    }
    VEC_DONE(&mix);
    if (rc == 0) {
        split_cost(c, ret);
        rc = outcome_latency_fill(c, ret, err);
    }
    hash_placements(c, r, ret);
    return rc;
}

void outcome_done(struct outcome *o)
{
    VEC_DONE(&o->zones);
    VEC_DONE(&o->fleets);
    arena_done(&o->arena);
}
