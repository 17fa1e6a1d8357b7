/* SPDX-License-Identifier: Apache-2.0 */
#include "model/latency.h"

#include "base/fmath.h"
#include "base/mem.h"
#include "model/places.h"

#define NEIGHBOUR_KM    500.0
#define FLOOR_MS        5.0 /* nobody is nearer than the access network */
#define FRESH_MS        (INT64_C(6) * 3600 * 1000)
#define HOUR_MS         3600000.0
#define STALE_MS        (INT64_C(7) * 24 * 3600 * 1000) /* older tables are not used at all */
#define WIDEN_PER_HOUR  0.1
#define QUANTILE_SLACK  1e-9 /* shares are normalised doubles: 0.6 + 0.3 may miss 0.9 by a bit */
#define STACK_LOCATIONS 256

place_ix latency_place(const struct cluster *c, node_ix node)
{
    return c->facts[node.v].place;
}

uint32_t latency_n_places(const struct cluster *c)
{
    return places_count(c);
}

/* What one location's players would see. `direct`: from a row of the table. */
struct pair {
    double score_ms, cutoff_ms, jitter_ms;
    enum latency_source source;
};

static bool table_usable(const struct settings *s)
{
    return s->latency.table_age_ms <= STALE_MS;
}

static double widened(const struct settings *s, double jitter)
{
    int64_t over = s->latency.table_age_ms - FRESH_MS;
    return over > 0 ? jitter * (1 + WIDEN_PER_HOUR * ((double)over / HOUR_MS)) : jitter;
}

static struct pair from_row(const struct settings *s, const struct latency_row *row,
                            double jitter_factor, enum latency_source source)
{
    double jitter = widened(s, row->jitter_ms) * jitter_factor;
    double e = row->rtt_ms + s->latency.jitter_factor * jitter;
    return (struct pair){.score_ms = e, .cutoff_ms = e, .jitter_ms = jitter, .source = source};
}

static const struct latency_row *direct_row(const struct cluster *c, struct str from,
                                            const struct place *place)
{
    for (uint32_t i = 0; i < place->n; i++) {
        const struct latency_row *row = places_row(c, from, sym_str(c->syms, place->names[i]));
        if (row != NULL) {
            return row;
        }
    }
    return NULL;
}

/* The row whose ends are nearest to the wanted ones: another `from` for this place, or this `from` to another place; each
 * within NEIGHBOUR_KM. Ties go to the smaller name. */
static const struct latency_row *neighbour_row(const struct cluster *c, struct str from,
                                               const struct place *place)
{
    const struct latency_row *best = NULL;
    struct geo_point at = {0, 0};
    double best_km = NEIGHBOUR_KM;
    uint32_t n = 0;
    const struct named_point *froms = places_froms(c, &n);
    bool known = geo_find(from, &at);
    for (uint32_t i = 0; known && i < n; i++) {
        double km = froms[i].has_at ? geo_distance_km(at, froms[i].at) : NEIGHBOUR_KM + 1;
        if (km <= NEIGHBOUR_KM && (best == NULL || km < best_km)) {
            const struct latency_row *row = direct_row(c, froms[i].name, place);
            if (row != NULL) {
                best = row;
                best_km = km;
            }
        }
    }
    const struct named_point *tos = places_tos(c, &n);
    for (uint32_t i = 0; place->has_at && i < n; i++) {
        double km = tos[i].has_at ? geo_distance_km(place->at, tos[i].at) : NEIGHBOUR_KM + 1;
        if (km <= NEIGHBOUR_KM && (best == NULL || km < best_km)) {
            const struct latency_row *row = places_row(c, from, tos[i].name);
            if (row != NULL) {
                best = row;
                best_km = km;
            }
        }
    }
    return best;
}

static double at_least_floor(double ms)
{
    return ms < FLOOR_MS ? FLOOR_MS : ms;
}

static struct pair judge_pair(const struct cluster *c, struct str from, const struct place *place)
{
    const struct settings *s = c->settings;
    const struct latency_row *row = NULL;
    struct geo_point at = {0, 0};
    if (table_usable(s)) {
        row = direct_row(c, from, place);
        if (row != NULL) {
            return from_row(s, row, 1, LATENCY_TABLE);
        }
        row = neighbour_row(c, from, place);
        if (row != NULL) {
            return from_row(s, row, 2, LATENCY_NEIGHBOUR);
        }
    }
    if (place->has_at && geo_find(from, &at)) {
        double km = geo_distance_km(at, place->at);
        return (struct pair){.score_ms = at_least_floor(km / 100 * GEO_MS_PER_100KM_P50),
                             .cutoff_ms = at_least_floor(km / 100 * GEO_MS_PER_100KM_P90),
                             .source = LATENCY_DISTANCE};
    }
    return (struct pair){.source = LATENCY_NONE};
}

enum latency_source latency_pair(const struct cluster *c, struct str from, place_ix place,
                                 double *ret_score_ms, double *ret_cutoff_ms, double *ret_jitter_ms)
{
    const struct place *p = places_get(c, place);
    struct pair pair = {.source = LATENCY_NONE};
    if (p != NULL) {
        pair = judge_pair(c, from, p);
    }
    *ret_score_ms = pair.score_ms;
    *ret_cutoff_ms = pair.cutoff_ms;
    *ret_jitter_ms = pair.jitter_ms;
    return pair.source;
}

/* The worst that the table knows for any location of the demand, to anywhere. */
static bool worst_known(const struct cluster *c, demand_list demand, struct pair *ret)
{
    uint32_t n = 0;
    bool any = false;
    const struct named_point *froms = places_froms(c, &n);
    for (uint32_t i = 0; table_usable(c->settings) && i < demand.n; i++) {
        uint32_t lo = 0, hi = n;
        while (lo < hi) {
            uint32_t mid = lo + (hi - lo) / 2;
            if (str_cmp(froms[mid].name, demand.p[i].location) < 0) {
                lo = mid + 1;
            } else {
                hi = mid;
            }
        }
        if (lo == n || !str_eq(froms[lo].name, demand.p[i].location)) {
            continue;
        }
        for (uint32_t k = 0; k < froms[lo].n; k++) {
            struct pair pair =
                from_row(c->settings, places_row_at(c, froms[lo].first + k), 1, LATENCY_WORST);
            if (!any || pair.score_ms > ret->score_ms) {
                *ret = pair;
                any = true;
            }
        }
    }
    return any;
}

struct weighted {
    double ms, share;
};

/* Shell's sort: short for a fleet's handful, and no quadratic walk for a list of thousands. */
static void sort_weighted(struct weighted *w, uint32_t n)
{
    static const uint32_t gaps[] = {88573, 29524, 9841, 3280, 1093, 364, 121, 40, 13, 4, 1};
    for (size_t g = 0; g < SP_COUNTOF(gaps); g++) {
        for (uint32_t i = gaps[g]; i < n; i++) {
            struct weighted one = w[i];
            uint32_t at = i;
            for (; at >= gaps[g] && w[at - gaps[g]].ms > one.ms; at -= gaps[g]) {
                w[at] = w[at - gaps[g]];
            }
            w[at] = one;
        }
    }
}

/* The first value, ascending, at which the summed share reaches q. */
static double quantile(const struct weighted *w, uint32_t n, double total, double q)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum += w[i].share;
        if (sum + QUANTILE_SLACK >= q * total) {
            return w[i].ms;
        }
    }
    return w[n - 1].ms;
}

struct sums {
    double total, mean, over, unknown, jitter2;
    uint32_t n;
};

static void add_pair(struct sums *s, struct weighted *w, const struct pair *pair, double share,
                     const struct latency_class *cls, struct latency_value *ret)
{
    w[s->n++] = (struct weighted){pair->score_ms, share};
    s->total += share;
    s->mean += share * pair->score_ms;
    s->jitter2 += share * pair->jitter_ms * pair->jitter_ms;
    s->over += cls != NULL && cls->judged && pair->cutoff_ms > cls->max_ms ? share : 0;
    s->unknown += pair->source != LATENCY_TABLE ? share : 0;
    if (pair->source > ret->worst_source) {
        ret->worst_source = pair->source;
    }
}

/* Fills w with what is known; locations of which nothing is known take the worst: first of the table, else of what
 * the other locations see here. false: nothing is known of any. */
static bool weigh(const struct cluster *c, demand_list demand, const struct place *place,
                  const struct latency_class *cls, struct weighted *w, struct sums *s,
                  struct latency_value *ret)
{
    double lost = 0;
    struct pair here = {0}, worst = {0};
    for (uint32_t i = 0; i < demand.n; i++) {
        if (!(demand.p[i].share > 0)) {
            continue;
        }
        struct pair pair = judge_pair(c, demand.p[i].location, place);
        if (pair.source == LATENCY_NONE) {
            lost += demand.p[i].share;
            continue;
        }
        here = pair.score_ms > here.score_ms ? pair : here;
        add_pair(s, w, &pair, demand.p[i].share, cls, ret);
    }
    if (lost > 0) {
        bool any = worst_known(c, demand, &worst);
        if (s->n > 0 && (!any || here.score_ms > worst.score_ms)) {
            worst = here;
            any = true;
        }
        if (!any) {
            return false;
        }
        worst.source = LATENCY_WORST;
        add_pair(s, w, &worst, lost, cls, ret);
    }
    return s->n > 0;
}

void latency_judge(const struct cluster *c, demand_list demand, place_ix place,
                   const struct latency_class *cls, struct latency_value *ret)
{
    struct weighted few[STACK_LOCATIONS], *w = few;
    const struct place *p = places_get(c, place);
    struct sums s = {0};
    *ret = (struct latency_value){.worst_source = LATENCY_NONE, .unknown_share = 1};
    if (p == NULL || demand.n == 0) {
        return;
    }
    if (demand.n >= STACK_LOCATIONS) {
        w = mem_calloc((size_t)demand.n + 1, sizeof *w);
        if (w == NULL) {
            return; /* unknown is an answer; a wrong number is not */
        }
    }
    ret->worst_source = LATENCY_TABLE;
    if (weigh(c, demand, p, cls, w, &s, ret) && s.total > 0) {
        sort_weighted(w, s.n);
        ret->known = true;
        ret->p10_ms = quantile(w, s.n, s.total, 0.10);
        ret->p50_ms = quantile(w, s.n, s.total, 0.50);
        ret->p90_ms = quantile(w, s.n, s.total, 0.90);
        ret->mean_ms = s.mean / s.total;
        ret->over_share = s.over / s.total;
        ret->unknown_share = s.unknown / s.total;
        ret->jitter_ms = fm_sqrt(s.jitter2 / s.total);
    } else {
        ret->worst_source = LATENCY_NONE;
    }
    if (w != few) {
        mem_free(w);
    }
}
