/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/outcome_latency.h"

#include "base/limits.h"
#include "model/latency.h"

#include <stdlib.h>

#define MAX_POINTS 50000000

struct group { /* servers of one class at one place */
    uint32_t fleet, cls, place;
    int64_t players;
};
struct point { /* players of one location at one place */
    double ms, weight;
    uint32_t fleet;
    const struct latency_class *limits;
    bool in_table, known;
};
struct share { /* for the best possible: a demand at a place that the cluster has */
    double ms, weight;
    uint32_t demand, place;
};
typedef VEC(struct group) group_list;
typedef VEC(struct point) point_list;
typedef VEC(struct share) share_list;

static int compare_groups(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    if (x->fleet != y->fleet) {
        return x->fleet < y->fleet ? -1 : 1;
    }
    if (x->cls != y->cls) {
        return x->cls < y->cls ? -1 : 1;
    }
    return x->place < y->place ? -1 : x->place > y->place;
}

static int compare_points(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    if (x->ms != y->ms) {
        return x->ms < y->ms ? -1 : 1;
    }
    return x->weight < y->weight ? -1 : x->weight > y->weight;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int collect_groups(const struct cluster *c, group_list *ret, struct err *err)
{
    for (uint32_t n = 0; n < c->n_rows; n++) {
        if ((c->flags[n] & NODE_LIVE) == 0) {
            continue;
        }
        uint32_t place = latency_place(c, (node_ix){n}).v;
        for (uint32_t i = 0; i < c->n_pods[n]; i++) {
            const struct pod_req *req = &c->pod[c->pods[n][i].v].req;
            const struct game_profile *game = &cluster_class(c, req->cls)->game;
            struct group one = {game->fleet.v, req->cls.v, place, req->players};
            if (game->is_game && game->demand.n > 0 && req->players > 0 &&
                VEC_PUSH(ret, one, LIMIT_PODS) != 0) {
                return err_nomem(err);
            }
        }
    }
    if (ret->n > 1) {
        qsort(ret->p, ret->n, sizeof *ret->p, compare_groups);
    }
    size_t kept = 0;
    for (size_t i = 0; i < ret->n; i++) {
        if (kept > 0 && compare_groups(&ret->p[kept - 1], &ret->p[i]) == 0) {
            ret->p[kept - 1].players += ret->p[i].players;
        } else {
            ret->p[kept++] = ret->p[i];
        }
    }
    ret->n = kept;
    return 0;
}

static bool effective_ms(const struct cluster *c, struct str from, uint32_t place, double *ret_ms,
                         bool *ret_in_table)
{
    double score = 0, cutoff = 0, jitter = 0;
    enum latency_source source = latency_pair(c, from, (place_ix){place}, &score, &cutoff, &jitter);
    *ret_ms = score;
    *ret_in_table = source == LATENCY_TABLE;
    return source != LATENCY_NONE && place != 0;
}

/* Where nothing at all is known the fleet's worst known value stands in: a weight is never dropped. */
static void fill_unknown(point_list *points, size_t from)
{
    double worst = -1;
    for (size_t i = from; i < points->n; i++) {
        worst = points->p[i].known && points->p[i].ms > worst ? points->p[i].ms : worst;
    }
    for (size_t i = from; i < points->n && worst >= 0; i++) {
        if (!points->p[i].known) {
            points->p[i].ms = worst;
            points->p[i].known = true;
        }
    }
}

static int collect_points(const struct cluster *c, const group_list *groups, point_list *ret,
                          struct err *err)
{
    size_t start = 0;
    for (size_t i = 0; i < groups->n; i++) {
        const struct group *g = &groups->p[i];
        const struct game_profile *game = &c->classes[g->cls]->game;
        for (uint32_t k = 0; k < game->demand.n; k++) {
            struct point one = {.weight = game->demand.p[k].share * (double)g->players,
                                .fleet = g->fleet,
                                .limits = game->latency};
            one.known =
                effective_ms(c, game->demand.p[k].location, g->place, &one.ms, &one.in_table);
            if (VEC_PUSH(ret, one, MAX_POINTS) != 0) {
                return err_nomem(err);
            }
        }
        if (i + 1 == groups->n || groups->p[i + 1].fleet != g->fleet) {
            fill_unknown(ret, start);
            start = ret->n;
        }
    }
    return 0;
}

static double percentile(const struct point *p, size_t n, double total, double q)
{
    double sum = 0, last = SIM_NULL;
    for (size_t i = 0; i < n; i++) {
        if (!p[i].known) {
            continue;
        }
        sum += p[i].weight;
        last = p[i].ms;
        if (sum >= q * total * (1 - 1e-12)) {
            return p[i].ms;
        }
    }
    return last;
}

/* Sorts the points. */
static void summarize(struct point *p, size_t n, struct outcome_latency *ret)
{
    double all = 0, known = 0, judged = 0, good = 0, ok = 0, max = 0, unknown = 0;
    qsort(p, n, sizeof *p, compare_points);
    for (size_t i = 0; i < n; i++) {
        all += p[i].weight;
        unknown += p[i].in_table ? 0 : p[i].weight;
        known += p[i].known ? p[i].weight : 0;
        if (p[i].known && p[i].limits->judged) {
            judged += p[i].weight;
            good += p[i].ms <= p[i].limits->good_ms ? p[i].weight : 0;
            ok += p[i].ms <= p[i].limits->ok_ms ? p[i].weight : 0;
            max += p[i].ms <= p[i].limits->max_ms ? p[i].weight : 0;
        }
    }
    *ret = (struct outcome_latency){
        .p50_ms = percentile(p, n, known, 0.5),
        .p90_ms = percentile(p, n, known, 0.9),
        .p95_ms = percentile(p, n, known, 0.95),
        .good = judged > 0 ? good / judged : SIM_NULL,
        .ok = judged > 0 ? ok / judged : SIM_NULL,
        .max = judged > 0 ? max / judged : SIM_NULL,
        .unknown = all > 0 ? unknown / all : SIM_NULL,
        .best_p95_ms = SIM_NULL,
    };
}

/* ---- the best that the cluster's places allow ---- */

static int collect_places(const struct cluster *c, uint32_t **ret, uint32_t *ret_n, struct err *err)
{
    uint32_t n = latency_n_places(c) + 1, found = 0;
    bool *seen = mem_calloc(n, sizeof *seen);
    uint32_t *places = mem_calloc(n, sizeof *places);
    if (seen == NULL || places == NULL) {
        mem_free(seen);
        mem_free(places);
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < c->n_rows; i++) {
        uint32_t place = (c->flags[i] & NODE_LIVE) != 0 ? latency_place(c, (node_ix){i}).v : 0;
        if (place > 0 && place < n && !seen[place]) {
            seen[place] = true;
            places[found++] = place;
        }
    }
    mem_free(seen);
    *ret = places;
    *ret_n = found;
    return 0;
}

/* One entry per demand (groups of one class), place and location. Entries of a demand and place stand together. */
static int collect_shares(const struct cluster *c, const struct group *groups, size_t n,
                          const uint32_t *places, uint32_t n_places, share_list *ret,
                          struct err *err)
{
    uint32_t demand = 0;
    for (size_t i = 0; i < n;) {
        size_t end = i;
        int64_t players = 0;
        while (end < n && groups[end].fleet == groups[i].fleet &&
               groups[end].cls == groups[i].cls) {
            players += groups[end++].players;
        }
        const struct game_profile *game = &c->classes[groups[i].cls]->game;
        for (uint32_t p = 0; p < n_places; p++) {
            for (uint32_t k = 0; k < game->demand.n; k++) {
                struct share one = {.weight = game->demand.p[k].share * (double)players,
                                    .demand = demand,
                                    .place = p};
                bool in_table;
                if (!effective_ms(c, game->demand.p[k].location, places[p], &one.ms, &in_table)) {
                    one.ms = 1e9;
                }
                if (VEC_PUSH(ret, one, MAX_POINTS) != 0) {
                    return err_nomem(err);
                }
            }
        }
        demand++;
        i = end;
    }
    return 0;
}

/* The weight that can stand within `ms` when every demand chooses its best place for that. */
static double reachable(const share_list *s, double ms)
{
    double sum = 0, best = 0, here = 0;
    for (size_t i = 0; i < s->n; i++) {
        here += s->p[i].ms <= ms ? s->p[i].weight : 0;
        bool end_demand = i + 1 == s->n || s->p[i + 1].demand != s->p[i].demand;
        if (end_demand || s->p[i + 1].place != s->p[i].place) {
            best = here > best ? here : best;
            here = 0;
        }
        if (end_demand) {
            sum += best;
            best = 0;
        }
    }
    return sum;
}

static int best_p95(const share_list *s, double *ret, struct err *err)
{
    double all = reachable(s, 2e9);
    double *values = mem_calloc(s->n + 1, sizeof *values);
    if (values == NULL) {
        return err_nomem(err);
    }
    for (size_t i = 0; i < s->n; i++) {
        values[i] = s->p[i].ms;
    }
    qsort(values, s->n, sizeof *values, compare_doubles);
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (reachable(s, values[mid]) >= 0.95 * all * (1 - 1e-12)) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    *ret = low < s->n && values[low] < 1e9 ? values[low] : SIM_NULL;
    mem_free(values);
    return 0;
}

static int fill_best(const struct cluster *c, const struct group *groups, size_t n,
                     const uint32_t *places, uint32_t n_places, struct outcome_latency *ret,
                     struct err *err)
{
    share_list shares = {0};
    int rc = collect_shares(c, groups, n, places, n_places, &shares, err);
    if (rc == 0 && shares.n > 0) {
        rc = best_p95(&shares, &ret->best_p95_ms, err);
    }
    VEC_DONE(&shares);
    return rc;
}

/* ---- all ---- */

static int fill_fleets(const struct cluster *c, const group_list *groups, const point_list *points,
                       const uint32_t *places, uint32_t n_places, struct outcome *o,
                       struct err *err)
{
    int rc = 0;
    size_t g = 0, p = 0;
    while (rc == 0 && g < groups->n) {
        uint32_t fleet = groups->p[g].fleet;
        size_t g_end = g, p_end = p;
        while (g_end < groups->n && groups->p[g_end].fleet == fleet) {
            g_end++;
        }
        while (p_end < points->n && points->p[p_end].fleet == fleet) {
            p_end++;
        }
        for (size_t i = 0; i < o->fleets.n; i++) {
            struct outcome_fleet *f = &o->fleets.p[i];
            if (str_eq(f->name, sym_str(c->syms, c->fleets[fleet].name))) {
                f->has_latency = true;
                summarize(points->p + p, p_end - p, &f->latency);
                rc = fill_best(c, groups->p + g, g_end - g, places, n_places, &f->latency, err);
                break;
            }
        }
        g = g_end;
        p = p_end;
    }
    return rc;
}

int outcome_latency_fill(const struct cluster *c, struct outcome *o, struct err *err)
{
    group_list groups = {0};
    point_list points = {0};
    uint32_t *places = NULL, n_places = 0;
    o->latency = (struct outcome_latency){SIM_NULL, SIM_NULL, SIM_NULL, SIM_NULL,
                                          SIM_NULL, SIM_NULL, SIM_NULL, SIM_NULL};
    int rc = collect_groups(c, &groups, err);
    if (rc == 0) {
        rc = collect_points(c, &groups, &points, err);
    }
    if (rc == 0 && points.n > 0) {
        rc = collect_places(c, &places, &n_places, err);
        if (rc == 0) {
            rc = fill_fleets(c, &groups, &points, places, n_places, o, err);
        }
        if (rc == 0) {
            summarize(points.p, points.n, &o->latency);
            rc = fill_best(c, groups.p, groups.n, places, n_places, &o->latency, err);
        }
    }
    mem_free(places);
    VEC_DONE(&groups);
    VEC_DONE(&points);
    return rc;
}
