/* What is counted: pods that selectors match and terms stand on, per node; players and servers per fleet.
 *
 * Counting is in two steps: a reserve that may fail and changes nothing observable, then a count that cannot fail.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "model/cluster_store.h"
#include "model/conventions.h"

/* ---- what a counter matches ---- */

bool cluster_namespace_in(const struct cluster *c, sym ns, const sym *list, uint32_t n,
                          const struct selector *sel)
{
    for (uint32_t i = 0; i < n; i++) {
        if (list[i].v == ns.v) {
            return true;
        }
    }
    if (sel->nothing) {
        return false;
    }
    uint32_t row = map64_get(&c->t->ns_of, ns.v);
    struct label name_only = {c->t->ns_name_label,
                              ns}; /* the API server gives every namespace this label */
    struct labelset labels =
        row == IX_NONE ? (struct labelset){&name_only, 1} : cluster_labels(c, (labelset_ix){row});
    return selector_matches(sel, labels, c->syms);
}

struct labelset cluster_namespace_labels(const struct cluster *c, sym ns)
{
    uint32_t row = map64_get(&c->t->ns_of, ns.v);
    return row == IX_NONE ? (struct labelset){0} : cluster_labels(c, (labelset_ix){row});
}

bool cluster_term_matches(const struct cluster *c, const struct pod_class *owner,
                          const struct pod_term *term, const struct pod_class *incoming,
                          labelset_ix incoming_labels)
{
    check(owner != NULL && term != NULL);
    return cluster_namespace_in(c, incoming->ns, term->namespaces, term->n_namespaces,
                                &term->ns_selector) &&
           selector_matches(&term->selector, cluster_labels(c, incoming_labels), c->syms);
}

bool counter_matches(const struct cluster *c, const struct counter *k, sym ns, labelset_ix labels)
{
    return cluster_namespace_in(c, ns, k->namespaces, k->n_namespaces, &k->ns_selector) &&
           selector_matches(&k->selector, cluster_labels(c, labels), c->syms);
}

bool selector_has_sibling_key(const struct cluster *c, const struct selector *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (conventions_is_sibling_label(sym_str(c->syms, s->p[i].key))) {
            return true;
        }
    }
    return false;
}

static bool counts_pod(const struct cluster *c, const struct counter *k, const struct pod_req *p)
{
    if (k->carrier_of != NULL) {
        return k->carrier_class.v == p->cls.v;
    }
    return counter_matches(c, k, p->ns, k->sibling_keys ? p->labels : c->classes[p->cls.v]->labels);
}

/* ---- counters ---- */

static uint64_t selector_hash(const struct selector *s, uint64_t h)
{
    h = mix64(h, key2(s->nothing, s->n));
    for (uint32_t i = 0; i < s->n; i++) {
        h = mix64(h, key2(s->p[i].key.v, (uint32_t)s->p[i].op));
        h = mix64(h, (uint64_t)s->p[i].number);
        for (uint32_t j = 0; j < s->p[i].n_vals; j++) {
            h = mix64(h, s->p[i].vals[j].v);
        }
    }
    return h;
}

static bool selector_same(const struct selector *a, const struct selector *b)
{
    if (a->nothing != b->nothing || a->n != b->n) {
        return false;
    }
    for (uint32_t i = 0; i < a->n; i++) {
        const struct requirement *x = &a->p[i], *y = &b->p[i];
        if (x->key.v != y->key.v || x->op != y->op || x->number != y->number ||
            x->n_vals != y->n_vals ||
            (x->n_vals > 0 && memcmp(x->vals, y->vals, x->n_vals * sizeof(sym)) != 0)) {
            return false;
        }
    }
    return true;
}

static int u32_push(uint32_t **p, uint32_t *n, uint32_t *cap, uint32_t v)
{
    if (*n == *cap) {
        uint32_t bigger = *cap == 0 ? 8 : *cap * 2;
        uint32_t *grown = mem_realloc(*p, bigger * sizeof **p);
        if (grown == NULL) {
            return -ENOMEM;
        }
        *p = grown;
        *cap = bigger;
    }
    (*p)[(*n)++] = v;
    return 0;
}

/* Room for one more counter with its arrays; the caller fills in the key and raises n_counters. */
static int counter_room(struct cluster *c, struct err *err)
{
    struct cluster_tables *t = c->t;
    if (c->n_counters == t->cap_counters) {
        uint32_t cap = t->cap_counters == 0 ? 32 : t->cap_counters * 2;
        struct counter *p = mem_realloc(c->counters, cap * sizeof *p);
        if (p == NULL) {
            return err_nomem(err);
        }
        c->counters = p;
        t->cap_counters = cap;
    }
    uint32_t rows = c->cap_rows == 0 ? 1 : c->cap_rows;
    struct counter *k = &c->counters[c->n_counters];
    *k = (struct counter){.carrier_class = CLASS_NONE};
    k->all = mem_calloc(rows, sizeof *k->all);
    k->live = mem_calloc(rows, sizeof *k->live);
    if (k->all == NULL || k->live == NULL) {
        mem_free(k->all);
        mem_free(k->live);
        return err_nomem(err);
    }
    return 0;
}

static void counter_add(struct counter *k, const struct pod_row *row, node_ix node, int sign)
{
    uint32_t by = (uint32_t)sign; /* wraps for -1, as it should */
    k->all[node.v] += by;
    k->live[node.v] += row->req.deleting ? 0 : by;
    k->total_all += (uint64_t)(int64_t)sign;
}

static void counter_recount(struct cluster *c, struct counter *k)
{
    memset(k->all, 0, c->cap_rows * sizeof *k->all);
    memset(k->live, 0, c->cap_rows * sizeof *k->live);
    k->total_all = 0;
    for (uint32_t i = 0; i < c->n_pod_rows; i++) {
        const struct pod_row *row = &c->pod[i];
        if (row->live && row->node.v != IX_NONE && counts_pod(c, k, &row->req)) {
            counter_add(k, row, row->node, 1);
        }
    }
}

static void unlist(struct cluster *c, uint32_t counter)
{
    for (uint32_t i = 0; i < c->n_classes; i++) {
        struct class_ext *ext = &c->t->ext[i];
        if (ext->n_matched > 0 && ext->matched[ext->n_matched - 1] == counter) {
            ext->n_matched--;
        }
    }
}

static int counter_list(struct cluster *c, uint32_t counter)
{
    struct cluster_tables *t = c->t;
    const struct counter *k = &c->counters[counter];
    if (k->sibling_keys) {
        return u32_push(&t->sibling_counters, &t->n_sibling_counters, &t->cap_sibling_counters,
                        counter);
    }
    for (uint32_t i = 0; i < c->n_classes; i++) {
        struct class_ext *ext = &t->ext[i];
        if (counter_matches(c, k, c->classes[i]->ns, c->classes[i]->labels) &&
            u32_push(&ext->matched, &ext->n_matched, &ext->cap_matched, counter) != 0) {
            unlist(c, counter);
            return -ENOMEM;
        }
    }
    return 0;
}

int counter_of_selector(struct cluster *c, const struct selector *sel, const sym *namespaces,
                        uint32_t n, const struct selector *ns_sel, uint32_t *ret, struct err *err)
{
    uint64_t hash = selector_hash(ns_sel, selector_hash(sel, n));
    for (uint32_t i = 0; i < n; i++) {
        hash = mix64(hash, namespaces[i].v);
    }
    for (uint32_t i = 0; i < c->n_counters; i++) {
        const struct counter *k = &c->counters[i];
        if (k->hash == hash && k->carrier_of == NULL && k->n_namespaces == n &&
            selector_same(&k->selector, sel) && selector_same(&k->ns_selector, ns_sel) &&
            (n == 0 || memcmp(k->namespaces, namespaces, n * sizeof *namespaces) == 0)) {
            *ret = i;
            return 0;
        }
    }
    int r = counter_room(c, err);
    if (r != 0) {
        return r;
    }
    struct counter *k = &c->counters[c->n_counters];
    k->selector = *sel;
    k->namespaces = namespaces;
    k->n_namespaces = n;
    k->ns_selector = *ns_sel;
    k->hash = hash;
    k->sibling_keys = selector_has_sibling_key(c, sel);
    if (counter_list(c, c->n_counters) != 0) {
        mem_free(k->all);
        mem_free(k->live);
        return err_nomem(err);
    }
    *ret = c->n_counters++;
    counter_recount(c, k);
    return 0;
}

int counter_of_carrier(struct cluster *c, class_ix owner, const struct pod_term *term,
                       uint32_t *ret, struct err *err)
{
    int r = counter_room(c, err);
    if (r != 0) {
        return r;
    }
    struct counter *k = &c->counters[c->n_counters];
    k->carrier_of = term;
    k->carrier_class = owner;
    k->ns_selector.nothing = true;
    k->selector.nothing = true;
    *ret = c->n_counters++;
    return 0;
}

void counter_drop_last(struct cluster *c, uint32_t counter)
{
    check(counter + 1 == c->n_counters);
    c->n_counters--;
    mem_free(c->counters[counter].all);
    mem_free(c->counters[counter].live);
}

int class_match_counters(struct cluster *c, const struct pod_class *cls, struct class_ext *ext,
                         struct err *err)
{
    for (uint32_t i = 0; i < c->n_counters; i++) {
        const struct counter *k = &c->counters[i];
        if (k->carrier_of == NULL && !k->sibling_keys &&
            counter_matches(c, k, cls->ns, cls->labels) &&
            u32_push(&ext->matched, &ext->n_matched, &ext->cap_matched, i) != 0) {
            return err_nomem(err);
        }
    }
    return 0;
}

/* After a namespace's labels changed: every list of counters and every count is made again. All or nothing. */
int namespace_recount(struct cluster *c, struct err *err)
{
    struct class_ext *fresh = mem_calloc(c->n_classes, sizeof *fresh);
    int r = fresh == NULL ? err_nomem(err) : 0;
    for (uint32_t i = 0; i < c->n_classes && r == 0; i++) {
        r = class_match_counters(c, c->classes[i], &fresh[i], err);
    }
    for (uint32_t i = 0; fresh != NULL && i < c->n_classes; i++) {
        struct class_ext *ext = &c->t->ext[i];
        if (r != 0) {
            mem_free(fresh[i].matched);
            continue;
        }
        mem_free(ext->matched);
        ext->matched = fresh[i].matched;
        ext->n_matched = fresh[i].n_matched;
        ext->cap_matched = fresh[i].cap_matched;
    }
    mem_free(fresh);
    for (uint32_t i = 0; i < c->n_counters && r == 0; i++) {
        if (!c->counters[i].ns_selector.nothing) {
            counter_recount(c, &c->counters[i]);
        }
    }
    return r;
}

/* ---- fleets ---- */

int fleet_intern(struct cluster *c, sym name, const struct fleet_settings *fs, bool configured,
                 fleet_ix *ret, struct err *err)
{
    struct cluster_tables *t = c->t;
    uint32_t known = map64_get(&t->fleet_of, name.v);
    if (known != IX_NONE) {
        *ret = (fleet_ix){known};
        return 0;
    }
    if (c->n_fleets >= LIMIT_FLEETS) {
        return err_set(err, -E2BIG, "more than %u fleets", LIMIT_FLEETS);
    }
    if (c->n_fleets == t->cap_fleets) {
        uint32_t cap = t->cap_fleets == 0 ? 32 : t->cap_fleets * 2;
        struct fleet_row *p = mem_realloc(c->fleets, cap * sizeof *p);
        if (p == NULL) {
            return err_nomem(err);
        }
        c->fleets = p;
        t->cap_fleets = cap;
    }
    topo_ix topo = c->topo_zone;
    struct str key = fs->zone_spread.topology_key;
    int r = 0;
    if (str_is(key, "topology.kubernetes.io/region")) {
        topo = c->topo_region;
    } else if (key.n > 0 && !str_is(key, "topology.kubernetes.io/zone")) {
        r = cluster_topology(c, key, &topo, err);
    }
    r = r != 0 ? r : map64_reserve(&t->fleet_of, c->n_fleets + 1, err);
    if (r != 0) {
        return r;
    }
    c->fleets[c->n_fleets] = (struct fleet_row){
        .name = name, .settings = fs, .configured = configured, .spread_topo = topo};
    map64_put(&t->fleet_of, name.v, c->n_fleets);
    *ret = (fleet_ix){c->n_fleets++};
    return 0;
}

static int i64_room(int64_t **p, uint32_t *cap, uint32_t want, struct err *err)
{
    if (want <= *cap) {
        return 0;
    }
    uint32_t room = *cap == 0 ? 8 : *cap;
    while (room < want) {
        room *= 2;
    }
    int64_t *grown = mem_realloc(*p, room * sizeof **p);
    if (grown == NULL) {
        return err_nomem(err);
    }
    memset(grown + *cap, 0, (room - *cap) * sizeof *grown);
    *p = grown;
    *cap = room;
    return 0;
}

int fleet_reserve_doms(struct cluster *c, struct fleet_row *f, uint32_t doms, uint32_t pools,
                       uint32_t regions, struct err *err)
{
    (void)c;
    uint32_t cap =
        f->dom_cap; /* both arrays share one capacity, which rises when both have grown */
    int r = i64_room(&f->dom_players, &cap, doms, err);
    cap = f->dom_cap;
    r = r != 0 ? r : i64_room(&f->dom_servers, &cap, doms, err);
    f->dom_cap = r == 0 ? cap : f->dom_cap;
    r = r != 0 ? r : i64_room(&f->pool_players, &f->pool_cap, pools, err);
    return r != 0 ? r : i64_room(&f->region_players, &f->region_cap, regions, err);
}

/* Room for everything that may be told apart now, so that later counts in new places need nothing. */
int fleet_reserve(struct cluster *c, fleet_ix fleet, node_ix node, struct err *err)
{
    (void)node;
    struct fleet_row *f = &c->fleets[fleet.v];
    uint32_t doms = c->topo[f->spread_topo.v].n_domains,
             regions = c->topo[c->topo_region.v].n_domains;
    if (SP_LIKELY(doms <= f->dom_cap && c->n_spot_pools < f->pool_cap &&
                  regions <= f->region_cap)) {
        return 0;
    }
    return fleet_reserve_doms(c, f, doms, c->n_spot_pools + 1, regions, err);
}

void fleet_count(struct cluster *c, pod_ix pod, int sign)
{
    const struct pod_row *row = &c->pod[pod.v];
    struct fleet_row *f = &c->fleets[c->classes[row->req.cls.v]->game.fleet.v];
    uint32_t node = row->node.v;
    int64_t players = (int64_t)row->req.players * sign;
    int64_t servers = row->req.deleting || row->req.game == GAME_ENDED ? 0 : sign;
    uint32_t dom = c->topo[f->spread_topo.v].of[node].v,
             region = c->topo[c->topo_region.v].of[node].v;
    f->players += players;
    f->servers += servers;
    f->dom_players[dom] += players;
    f->dom_servers[dom] += servers;
    f->region_players[region] += players;
    if (c->capacity[node] == CAPACITY_SPOT) {
        f->spot_players += players;
        f->pool_players[c->facts[node].spot_pool] += players;
    } else if (c->capacity[node] != CAPACITY_UNKNOWN) {
        f->on_demand_players += players;
    }
}

/* ---- pods on nodes ---- */

void node_changed(struct cluster *c, node_ix node)
{
    c->gen[node.v] = ++c->next_gen;
    c->log[c->log_next++ % c->log_cap] = (struct node_change){node};
}

int64_t pod_pin_end(const struct cluster *c, const struct pod_row *row, bool *ret_pins)
{
    const struct game_profile *game = &c->classes[row->req.cls.v]->game;
    *ret_pins = game->pins_node && !row->req.deleting && row->req.game != GAME_ENDED;
    if (!*ret_pins) {
        return 0;
    }
    if (row->req.session_end_ms > 0) {
        return row->req.session_end_ms;
    }
    if (game->session_p90_ms == INT64_MAX) {
        return INT64_MAX;
    }
    int64_t start = row->req.start_ms != 0 ? row->req.start_ms : row->req.created_ms, end;
    if (start == 0) {
        return 0; /* unknown: it pins, but says nothing about when */
    }
    return __builtin_add_overflow(start, game->session_p90_ms, &end) ? INT64_MAX : end;
}

int pod_list_reserve(struct cluster *c, node_ix node, uint32_t want, struct err *err)
{
    if (want <= c->cap_pods[node.v]) {
        return 0;
    }
    uint32_t cap = c->cap_pods[node.v] == 0 ? 16 : c->cap_pods[node.v];
    while (cap < want) {
        cap *= 2;
    }
    pod_ix *p = mem_realloc(c->pods[node.v], cap * sizeof *p);
    if (p == NULL) {
        return err_nomem(err);
    }
    c->pods[node.v] = p;
    c->cap_pods[node.v] = cap;
    return 0;
}

int count_reserve(struct cluster *c, class_ix cls, node_ix node, struct err *err)
{
    int r = pod_list_reserve(c, node, c->n_pods[node.v] + 1, err);
    return r != 0 ? r : fleet_reserve(c, c->classes[cls.v]->game.fleet, node, err);
}

static void count_sums(struct cluster *c, const struct pod_row *row, int sign)
{
    const struct pod_class *cls = c->classes[row->req.cls.v];
    uint32_t node = row->node.v, by = (uint32_t)sign;
    for (uint32_t i = 0; i < cls->n_needs;
         i++) { /* unsigned, so that absurd amounts wrap and come back */
        int64_t *used = &c->used[cls->needs[i].res.v][node];
        *used =
            (int64_t)((uint64_t)*used + (uint64_t)cls->needs[i].amount * (uint64_t)(int64_t)sign);
    }
    c->used[RES_PODS][node] += sign;
    c->nonzero_cpu[node] = (int64_t)((uint64_t)c->nonzero_cpu[node] +
                                     (uint64_t)cls->nonzero_cpu_milli * (uint64_t)(int64_t)sign);
    c->nonzero_mem[node] = (int64_t)((uint64_t)c->nonzero_mem[node] +
                                     (uint64_t)cls->nonzero_mem_bytes * (uint64_t)(int64_t)sign);
    c->n_game[node] += cls->game.is_game ? by : 0;
    c->n_allocated[node] += row->req.game == GAME_ALLOCATED ? by : 0;
    c->n_ready[node] += row->req.game == GAME_READY ? by : 0;
    c->node_players[node] += (int64_t)row->req.players * sign;
    const struct class_ext *ext = &c->t->ext[row->req.cls.v];
    for (uint32_t i = 0; i < ext->n_matched; i++) {
        counter_add(&c->counters[ext->matched[i]], row, row->node, sign);
    }
    for (uint32_t i = 0; i < c->t->n_sibling_counters; i++) {
        struct counter *k = &c->counters[c->t->sibling_counters[i]];
        if (counts_pod(c, k, &row->req)) {
            counter_add(k, row, row->node, sign);
        }
    }
    if (ext->carrier != IX_NONE) {
        counter_add(&c->counters[ext->carrier], row, row->node, sign);
    }
}

static void add_port_bits(struct cluster *c, uint32_t node, const struct pod_req *r)
{
    for (uint32_t i = 0; i < r->n_ports; i++) {
        uint32_t bit = port_bit(&r->ports[i]);
        c->port_bits[node][bit / 64] |= 1ull << (bit % 64);
    }
}

static void read_port_bits(struct cluster *c, uint32_t node)
{
    memset(c->port_bits[node], 0, sizeof c->port_bits[node]);
    for (uint32_t i = 0; i < c->n_pods[node]; i++) {
        add_port_bits(c, node, &c->pod[c->pods[node][i].v].req);
    }
}

void pod_count(struct cluster *c, pod_ix pod, uint32_t at)
{
    struct pod_row *row = &c->pod[pod.v];
    uint32_t node = row->node.v, n = c->n_pods[node];
    check(n < c->cap_pods[node] && (c->flags[node] & NODE_LIVE) != 0);
    if (at < n) { /* the inverse of pod_uncount's swap */
        pod_ix moved = c->pods[node][at];
        c->pods[node][n] = moved;
        c->pod[moved.v].pos = n;
    } else {
        at = n;
    }
    c->pods[node][at] = pod;
    row->pos = at;
    c->n_pods[node] = n + 1;
    add_port_bits(c, node, &row->req);
    count_sums(c, row, 1);
    bool pins;
    int64_t end = pod_pin_end(c, row, &pins);
    c->n_pinning[node] += pins;
    c->drain_end_ms[node] = end > c->drain_end_ms[node] ? end : c->drain_end_ms[node];
    fleet_count(c, pod, 1);
    node_changed(c, row->node);
}

void pod_uncount(struct cluster *c, pod_ix pod)
{
    struct pod_row *row = &c->pod[pod.v];
    uint32_t node = row->node.v, last = c->n_pods[node] - 1;
    check(c->pods[node][row->pos].v == pod.v);
    pod_ix moved = c->pods[node][last];
    c->pods[node][row->pos] = moved;
    c->pod[moved.v].pos = row->pos;
    c->n_pods[node] = last;
    if (row->req.n_ports > 0) {
        read_port_bits(c, node);
    }
    count_sums(c, row, -1);
    bool pins;
    int64_t end = pod_pin_end(c, row, &pins);
    c->n_pinning[node] -= pins;
    if (pins && end != 0 && end == c->drain_end_ms[node]) {
        int64_t latest = 0;
        for (uint32_t i = 0; i < last; i++) {
            bool other_pins;
            int64_t other = pod_pin_end(c, &c->pod[c->pods[node][i].v], &other_pins);
            latest = other > latest ? other : latest;
        }
        c->drain_end_ms[node] = latest;
    }
    fleet_count(c, pod, -1);
    node_changed(c, row->node);
}
