/* SPDX-License-Identifier: Apache-2.0 */
#include "model/places.h"

#include <errno.h>

#include "base/limits.h"
#include "model/cluster_store.h"

struct cluster_places {
    struct map64 by_key;             /* hash of a place's names to its number */
    VEC(struct place) all;           /* [0]: unknown */
    const struct settings *settings; /* whose table is indexed, and its rows then */
    const struct latency_row *rows;
    uint32_t *order; /* rows of the latency table by (from, to) */
    uint32_t n_order;
    VEC(struct named_point) froms, tos;
};

/* ---- the table's order: heap sort, in place and the same everywhere ---- */

static int row_cmp(const struct latency_row *a, const struct latency_row *b, bool by_to)
{
    int d = by_to ? str_cmp(a->to, b->to) : str_cmp(a->from, b->from);
    return d != 0 ? d : by_to ? 0 : str_cmp(a->to, b->to);
}

static int order_cmp(const struct latency_row *rows, uint32_t a, uint32_t b, bool by_to)
{
    int d = row_cmp(&rows[a], &rows[b], by_to);
    return d != 0 ? d : a < b ? -1 : a > b ? 1 : 0;
}

static void sift(const struct latency_row *rows, uint32_t *ix, size_t root, size_t end, bool by_to)
{
    for (size_t child = root * 2 + 1; child < end; child = root * 2 + 1) {
        if (child + 1 < end && order_cmp(rows, ix[child], ix[child + 1], by_to) < 0) {
            child++;
        }
        if (order_cmp(rows, ix[root], ix[child], by_to) >= 0) {
            return;
        }
        uint32_t t = ix[root];
        ix[root] = ix[child];
        ix[child] = t;
        root = child;
    }
}

static void sort_rows(const struct latency_row *rows, uint32_t *ix, size_t n, bool by_to)
{
    for (size_t i = 0; i < n; i++) {
        ix[i] = (uint32_t)i;
    }
    for (size_t i = n / 2; i > 0; i--) {
        sift(rows, ix, i - 1, n, by_to);
    }
    for (size_t end = n; end > 1; end--) {
        uint32_t t = ix[0];
        ix[0] = ix[end - 1];
        ix[end - 1] = t;
        sift(rows, ix, 0, end - 1, by_to);
    }
}

static int collect_names(struct cluster_places *p, const struct latency_row *rows, uint32_t n,
                         bool by_to, struct err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct latency_row *row = &rows[p->order[i]];
        struct str name = by_to ? row->to : row->from;
        struct named_point *points = by_to ? p->tos.p : p->froms.p;
        size_t n_points = by_to ? p->tos.n : p->froms.n;
        if (n_points > 0 && str_eq(points[n_points - 1].name, name)) {
            points[n_points - 1].n++;
            continue;
        }
        struct named_point point = {.name = name, .first = i, .n = 1};
        point.has_at = geo_find(name, &point.at);
        int rc = by_to ? VEC_PUSH(&p->tos, point, LIMIT_CSV_ROWS)
                       : VEC_PUSH(&p->froms, point, LIMIT_CSV_ROWS);
        if (rc != 0) {
            return err_nomem(err);
        }
    }
    return 0;
}

static int index_table(struct cluster_places *p, const struct settings *s, struct err *err)
{
    const struct latency_row *rows = s->latency.rows.p;
    uint32_t n = s->latency.rows.n;
    mem_free(p->order);
    p->order = NULL;
    p->settings = NULL;
    p->n_order = 0;
    p->froms.n = p->tos.n = 0;
    if (n == 0) {
        p->settings = s;
        p->rows = rows;
        return 0;
    }
    p->order = mem_calloc(n, sizeof *p->order);
    if (p->order == NULL) {
        return err_nomem(err);
    }
    p->n_order = n;
    sort_rows(rows, p->order, n, true);
    int rc = collect_names(p, rows, n, true, err);
    if (rc == 0) {
        sort_rows(rows, p->order, n, false);
        rc = collect_names(p, rows, n, false, err);
    }
    if (rc == 0) {
        p->settings = s;
        p->rows = rows;
    }
    return rc;
}

static int ensure(struct cluster *c, struct err *err)
{
    struct cluster_places *p = c->places;
    if (p != NULL) {
        return p->settings != NULL && p->settings == c->settings &&
                       p->rows == c->settings->latency.rows.p
                   ? 0
                   : index_table(p, c->settings, err);
    }
    p = mem_calloc(1, sizeof *p);
    if (p == NULL || VEC_PUSH(&p->all, ((struct place){.n = 0}), UINT32_MAX) != 0) {
        mem_free(p);
        return err_nomem(err);
    }
    c->places = p;
    return index_table(p, c->settings, err);
}

int places_reset(struct cluster *c, struct err *err)
{
    if (c->places != NULL) {
        c->places->settings = NULL;
    }
    return ensure(c, err);
}

void places_free(struct cluster *c)
{
    struct cluster_places *p = c->places;
    if (p == NULL) {
        return;
    }
    map64_done(&p->by_key);
    VEC_DONE(&p->all);
    VEC_DONE(&p->froms);
    VEC_DONE(&p->tos);
    mem_free(p->order);
    mem_free(p);
    c->places = NULL;
}

/* ---- look-ups ---- */

/* The index, where it is of the settings in force: after a failed change of settings on short memory it may not be. */
static const struct cluster_places *indexed(const struct cluster *c)
{
    const struct cluster_places *p = c->places;
    return p != NULL && p->settings == c->settings && p->rows == c->settings->latency.rows.p ? p
                                                                                             : NULL;
}

const struct latency_row *places_row_at(const struct cluster *c, uint32_t i)
{
    return &c->settings->latency.rows.p[c->places->order[i]];
}

const struct latency_row *places_row(const struct cluster *c, struct str from, struct str to)
{
    const struct cluster_places *p = indexed(c);
    struct latency_row want = {.from = from, .to = to};
    uint32_t lo = 0, hi = p == NULL ? 0 : p->n_order;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        const struct latency_row *row = places_row_at(c, mid);
        int d = row_cmp(&want, row, false);
        if (d == 0) {
            return row;
        }
        if (d < 0) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    return NULL;
}

const struct named_point *places_froms(const struct cluster *c, uint32_t *ret_n)
{
    const struct cluster_places *p = indexed(c);
    *ret_n = p == NULL ? 0 : (uint32_t)p->froms.n;
    return p == NULL ? NULL : p->froms.p;
}

const struct named_point *places_tos(const struct cluster *c, uint32_t *ret_n)
{
    const struct cluster_places *p = indexed(c);
    *ret_n = p == NULL ? 0 : (uint32_t)p->tos.n;
    return p == NULL ? NULL : p->tos.p;
}

static bool is_to(const struct cluster_places *p, struct str name)
{
    size_t lo = 0, hi = p->tos.n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int d = str_cmp(name, p->tos.p[mid].name);
        if (d == 0) {
            return true;
        }
        if (d < 0) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    return false;
}

uint32_t places_count(const struct cluster *c)
{
    return c->places == NULL ? 1 : (uint32_t)c->places->all.n;
}

const struct place *places_get(const struct cluster *c, place_ix place)
{
    return c->places != NULL && place.v > 0 && place.v < c->places->all.n
               ? &c->places->all.p[place.v]
               : NULL;
}

/* ---- a node's place ---- */

static void add_name(const struct cluster *c, struct place *place, sym name)
{
    if (name.v == 0 || place->n == PLACE_NAMES_MAX) {
        return;
    }
    for (uint32_t i = 0; i < place->n; i++) {
        if (place->names[i].v == name.v) {
            return;
        }
    }
    place->names[place->n++] = name;
    if (!place->has_at) {
        place->has_at = geo_find(sym_str(c->syms, name), &place->at);
    }
}

static void add_label_names(const struct cluster *c, const struct node_facts *f,
                            struct place *place)
{
    const struct cluster_places *p = c->places;
    struct labelset set = cluster_labels(c, f->labels);
    sym keys[PLACE_NAMES_MAX], vals[PLACE_NAMES_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; p->tos.n > 0 && i < set.n; i++) {
        if (!is_to(p, sym_str(c->syms, set.p[i].val))) {
            continue;
        }
        /* by the label's name, so that the order of interning does not matter */
        uint32_t at = n < PLACE_NAMES_MAX ? n : PLACE_NAMES_MAX;
        while (at > 0 &&
               str_cmp(sym_str(c->syms, keys[at - 1]), sym_str(c->syms, set.p[i].key)) > 0) {
            if (at < PLACE_NAMES_MAX) {
                keys[at] = keys[at - 1];
                vals[at] = vals[at - 1];
            }
            at--;
        }
        if (at < PLACE_NAMES_MAX) {
            keys[at] = set.p[i].key;
            vals[at] = set.p[i].val;
            n += n < PLACE_NAMES_MAX ? 1u : 0u;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        add_name(c, place, vals[i]);
    }
}

static bool same_place(const struct place *a, const struct place *b)
{
    if (a->n != b->n) {
        return false;
    }
    for (uint32_t i = 0; i < a->n; i++) {
        if (a->names[i].v != b->names[i].v) {
            return false;
        }
    }
    return true;
}

/* The number of an equal place, made when new. Hash twins move on to the next key. */
static int intern_place(struct cluster_places *p, const struct place *place, place_ix *ret,
                        struct err *err)
{
    uint64_t key = 0x706c616365u;
    for (uint32_t i = 0; i < place->n; i++) {
        key = mix64(key, place->names[i].v);
    }
    for (;; key++) {
        uint32_t ix = map64_get(&p->by_key, key);
        if (ix == IX_NONE) {
            break;
        }
        if (same_place(&p->all.p[ix], place)) {
            ret->v = ix;
            return 0;
        }
    }
    int rc = map64_reserve(&p->by_key, p->by_key.n + 1, err);
    if (rc != 0) {
        return rc;
    }
    ret->v = (uint32_t)p->all.n;
    if (VEC_PUSH(&p->all, *place, LIMIT_NODES + 1u) != 0) {
        return err_nomem(err);
    }
    map64_put(&p->by_key, key, ret->v);
    return 0;
}

int places_set_node(struct cluster *c, node_ix node, struct err *err)
{
    struct node_facts *f = &c->facts[node.v];
    struct place place = {.n = 0};
    place_ix ix = {0};
    int rc = ensure(c, err);
    if (rc != 0) {
        return rc;
    }
    add_name(c, &place, f->zone);
    add_name(c, &place, f->region);
    add_label_names(c, f, &place);
    if (place.n > 0) {
        rc = intern_place(c->places, &place, &ix, err);
    }
    if (rc == 0) {
        f->place = ix;
    }
    return rc;
}
