/* Nodes: rows, facts, topology domains, spot pools, look-ups. See cluster.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "model/cluster_store.h"
#include "model/conventions.h"
#include "model/prices.h"
#include "model/requests.h"

#define ANNOTATION_BYTES_MAX 1024u /* longer ones are nobody's convention */

/* ---- rows ---- */

static int grow(void *pp, size_t size, uint32_t old, uint32_t cap)
{
    void *p;
    memcpy(&p, pp, sizeof p);
    char *grown = mem_realloc(p, cap * size);
    if (grown == NULL) {
        return -ENOMEM;
    }
    memset(grown + old * size, 0, (cap - old) * size);
    memcpy(pp, &grown, sizeof grown);
    return 0;
}

#define GROW(field) (grow((void *)&c->field, sizeof *c->field, old, cap))

/* Every array per node grows, one by one; the common capacity rises when all have. */
int rows_grow(struct cluster *c, uint32_t want, struct err *err)
{
    if (want <= c->cap_rows) {
        return 0;
    }
    if (want > LIMIT_NODES) {
        return err_set(err, -E2BIG, "more than %u nodes", LIMIT_NODES);
    }
    uint32_t old = c->cap_rows, cap = old == 0 ? 64 : old * 2;
    while (cap < want) {
        cap *= 2;
    }
    int r = GROW(flags) | GROW(gen) | GROW(static_gen) | GROW(facts) | GROW(capacity) |
            GROW(price_nano_hour) | GROW(drain_end_ms) | GROW(n_pods) | GROW(n_pinning) |
            GROW(n_game) | GROW(n_allocated) | GROW(n_ready) | GROW(node_players) |
            GROW(nonzero_cpu) | GROW(nonzero_mem) | GROW(pods) | GROW(cap_pods) | GROW(name_text) |
            GROW(port_bits);
    for (uint32_t i = 0; i < c->n_res && r == 0; i++) {
        r = GROW(alloc[i]) | GROW(used[i]);
    }
    for (uint32_t i = 0; i < c->n_topo && r == 0; i++) {
        r = GROW(topo[i].of);
    }
    for (uint32_t i = 0; i < c->n_counters && r == 0; i++) {
        r = GROW(counters[i].all) | GROW(counters[i].live);
    }
    uint32_t *free_nodes = r != 0 ? NULL : mem_realloc(c->t->free_nodes, cap * sizeof *free_nodes);
    if (free_nodes == NULL) {
        return err_nomem(err);
    }
    c->t->free_nodes = free_nodes;
    c->cap_rows = cap;
    return 0;
}

/* ---- topology ---- */

static sym domain_name(const struct cluster *c, const struct topology *topo,
                       const struct node_facts *f)
{
    bool has;
    switch (topo->source) {
    case TOPOLOGY_OUR_ZONE:
        return f->zone;
    case TOPOLOGY_OUR_REGION:
        return f->region;
    case TOPOLOGY_LABEL:
        break;
    }
    return labels_get(cluster_labels(c, f->labels), topo->key, &has);
}

static bool has_domain(const struct cluster *c, const struct topology *topo,
                       const struct node_facts *f)
{
    bool has = false;
    if (topo->source == TOPOLOGY_LABEL) {
        labels_get(cluster_labels(c, f->labels), topo->key, &has);
        return has; /* an empty value is a domain */
    }
    return domain_name(c, topo, f).v != 0;
}

int domain_of(struct cluster *c, topo_ix topo, const struct node_facts *f, dom_ix *ret,
              struct err *err)
{
    struct topology *tp = &c->topo[topo.v];
    if (!has_domain(c, tp, f)) {
        *ret = (dom_ix){0};
        return 0;
    }
    sym name = domain_name(c, tp, f);
    uint32_t known = map64_get(&c->t->dom_of, key2(topo.v, name.v));
    if (known != IX_NONE) {
        *ret = (dom_ix){known};
        return 0;
    }
    if (tp->n_domains == tp->cap) {
        uint32_t cap = tp->cap * 2;
        sym *names = mem_realloc(tp->names, cap * sizeof *names);
        tp->names = names == NULL ? tp->names : names;
        uint32_t *nodes = mem_realloc(tp->nodes, cap * sizeof *nodes);
        tp->nodes = nodes == NULL ? tp->nodes : nodes;
        if (names == NULL || nodes == NULL) {
            return err_nomem(err);
        }
        tp->cap = cap;
    }
    int r = map64_reserve(&c->t->dom_of, c->t->dom_of.n + 1, err);
    if (r != 0) {
        return r;
    }
    tp->names[tp->n_domains] = name;
    tp->nodes[tp->n_domains] = 0;
    map64_put(&c->t->dom_of, key2(topo.v, name.v), tp->n_domains);
    *ret = (dom_ix){tp->n_domains++};
    return 0;
}

static int topology_fill(struct cluster *c, topo_ix ix, struct err *err)
{
    struct topology *tp = &c->topo[ix.v];
    for (uint32_t i = 0; i < c->n_rows; i++) {
        if ((c->flags[i] & NODE_LIVE) != 0) {
            int r = domain_of(c, ix, &c->facts[i], &tp->of[i], err);
            if (r != 0) {
                return r;
            }
            tp->nodes[tp->of[i].v]++;
        }
    }
    return 0;
}

int topology_add(struct cluster *c, sym key, enum topology_source source, topo_ix *ret,
                 struct err *err)
{
    struct cluster_tables *t = c->t;
    if (c->n_topo == t->cap_topo) {
        uint32_t cap = t->cap_topo == 0 ? 8 : t->cap_topo * 2;
        struct topology *p = mem_realloc(c->topo, cap * sizeof *p);
        if (p == NULL) {
            return err_nomem(err);
        }
        c->topo = p;
        t->cap_topo = cap;
    }
    uint32_t rows = c->cap_rows == 0 ? 1 : c->cap_rows;
    struct topology made = {.key = key, .source = source, .n_domains = 1, .cap = 8};
    made.of = mem_calloc(rows, sizeof *made.of);
    made.names = mem_calloc(made.cap, sizeof *made.names);
    made.nodes = mem_calloc(made.cap, sizeof *made.nodes);
    c->topo[c->n_topo] = made;
    topo_ix ix = {c->n_topo};
    int r = made.of == NULL || made.names == NULL || made.nodes == NULL ? err_nomem(err)
                                                                        : topology_fill(c, ix, err);
    if (r != 0) {
        struct topology *tp = &c->topo[ix.v];
        for (uint32_t i = 1; tp->names != NULL && i < tp->n_domains; i++) {
            map64_del(&t->dom_of, key2(ix.v, tp->names[i].v));
        }
        mem_free(tp->of);
        mem_free(tp->names);
        mem_free(tp->nodes);
        return r;
    }
    c->n_topo++;
    c->epoch++;
    *ret = ix;
    return 0;
}

int cluster_topology(struct cluster *c, struct str key, topo_ix *ret, struct err *err)
{
    sym s;
    int r = sym_intern(c->syms, key, &s, err);
    if (r != 0) {
        return r;
    }
    for (uint32_t i = 0; i < c->n_topo; i++) {
        if (c->topo[i].source == TOPOLOGY_LABEL && c->topo[i].key.v == s.v) {
            *ret = (topo_ix){i};
            return 0;
        }
    }
    return topology_add(c, s, TOPOLOGY_LABEL, ret, err);
}

/* ---- the copy of a node's description ---- */

struct copier {
    char *p; /* NULL: only measure */
    size_t n;
    uint64_t hash;
};

static void *copy_bytes(struct copier *k, const void *from, size_t n)
{
    size_t at = (k->n + 15) & ~(size_t)15;
    k->n = at + n;
    if (k->p == NULL) {
        return NULL;
    }
    if (n > 0 && from != NULL) {
        memcpy(k->p + at, from, n);
    }
    return k->p + at;
}

static struct str copy_str(struct copier *k, struct str s)
{
    k->hash = mix64(k->hash, str_hash(s, 3, 5));
    return (struct str){copy_bytes(k, s.p, s.n), s.n};
}

static kv_list copy_kv(struct copier *k, kv_list list, bool short_only)
{
    struct kv_desc *p = copy_bytes(k, NULL, list.n * sizeof *p);
    uint32_t n = 0;
    for (uint32_t i = 0; i < list.n; i++) {
        if (short_only && list.p[i].val.n > ANNOTATION_BYTES_MAX) {
            continue;
        }
        struct kv_desc kv = {copy_str(k, list.p[i].key), copy_str(k, list.p[i].val)};
        if (p != NULL) {
            p[n] = kv;
        }
        n++;
    }
    k->hash = mix64(k->hash, n);
    return (kv_list){p, n};
}

static qty_list copy_qty(struct copier *k, qty_list list)
{
    struct qty_desc *p = copy_bytes(k, NULL, list.n * sizeof *p);
    for (uint32_t i = 0; i < list.n; i++) {
        struct qty_desc q = {copy_str(k, list.p[i].name), list.p[i].value};
        k->hash = mix64(mix64(k->hash, (uint64_t)(u128)q.value.nano),
                        (uint64_t)((u128)q.value.nano >> 64));
        if (p != NULL) {
            p[i] = q;
        }
    }
    return (qty_list){p, list.n};
}

static void copy_node(struct copier *k, const struct node_desc *d, struct node_desc *to)
{
    struct taint_desc *taints = copy_bytes(k, NULL, d->taints.n * sizeof *taints);
    for (uint32_t i = 0; i < d->taints.n; i++) {
        struct taint_desc t = {copy_str(k, d->taints.p[i].key), copy_str(k, d->taints.p[i].val),
                               d->taints.p[i].effect};
        k->hash = mix64(k->hash, (uint64_t)t.effect);
        if (taints != NULL) {
            taints[i] = t;
        }
    }
    struct condition_desc *conds = copy_bytes(k, NULL, d->conditions.n * sizeof *conds);
    for (uint32_t i = 0; i < d->conditions.n; i++) {
        struct condition_desc t = {copy_str(k, d->conditions.p[i].type),
                                   copy_str(k, d->conditions.p[i].status),
                                   copy_str(k, d->conditions.p[i].reason)};
        if (conds != NULL) {
            conds[i] = t;
        }
    }
    *to = (struct node_desc){.unschedulable = d->unschedulable};
    to->meta.name = copy_str(k, d->meta.name);
    to->meta.created_ms = d->meta.created_ms;
    to->meta.deleting = d->meta.deleting;
    to->meta.labels = copy_kv(k, d->meta.labels, false);
    to->meta.annotations = copy_kv(k, d->meta.annotations, true);
    to->provider_id = copy_str(k, d->provider_id);
    to->taints.p = taints;
    to->taints.n = d->taints.n;
    to->conditions.p = conds;
    to->conditions.n = d->conditions.n;
    to->allocatable = copy_qty(k, d->allocatable);
    to->capacity = copy_qty(k, d->capacity);
    k->hash = mix64(mix64(k->hash, (uint64_t)d->meta.created_ms),
                    key2(d->unschedulable, d->meta.deleting));
    for (uint32_t i = 0; i < d->images.n; i++) {
        k->hash = mix64(mix64(k->hash, str_hash(d->images.p[i].name, 3, 5)),
                        (uint64_t)d->images.p[i].size_bytes);
    }
}

/* One block: the description's copy, then taints and images as symbols. */
static int store_make(struct cluster *c, const struct node_desc *d, struct node_facts *f,
                      struct err *err)
{
    struct copier measure = {0};
    struct node_desc ignored;
    copy_node(&measure, d, &ignored);
    size_t copy_at = (sizeof(struct node_store) + 15) & ~(size_t)15;
    size_t taints_at = (copy_at + measure.n + 15) & ~(size_t)15;
    size_t bytes_at = taints_at + d->taints.n * sizeof(struct taint);
    bytes_at = (bytes_at + 7) & ~(size_t)7;
    size_t images_at = bytes_at + d->images.n * sizeof(int64_t);
    char *block = mem_alloc(images_at + d->images.n * sizeof(sym));
    if (block == NULL) {
        return err_nomem(err);
    }
    struct node_store *store = (struct node_store *)(void *)block;
    struct copier k = {.p = block + copy_at};
    copy_node(&k, d, &store->desc);
    store->hash = k.hash;
    struct taint *taints = (struct taint *)(void *)(block + taints_at);
    int64_t *bytes = (int64_t *)(void *)(block + bytes_at);
    sym *images = (sym *)(void *)(block + images_at);
    int r = 0;
    for (uint32_t i = 0; i < d->taints.n && r == 0; i++) {
        taints[i].effect = d->taints.p[i].effect;
        r = sym_intern(c->syms, d->taints.p[i].key, &taints[i].key, err);
        r = r != 0 ? r : sym_intern(c->syms, d->taints.p[i].val, &taints[i].val, err);
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < d->images.n && r == 0; i++) {
        sym s;
        r = sym_intern(c->syms, d->images.p[i].name, &s, err);
        uint32_t at = n;
        for (; at > 0 && images[at - 1].v > s.v; at--) {
            images[at] = images[at - 1];
            bytes[at] = bytes[at - 1];
        }
        images[at] = s;
        bytes[at] = d->images.p[i].size_bytes;
        n++;
    }
    if (r != 0) {
        mem_free(block);
        return r;
    }
    f->taints = taints;
    f->n_taints = d->taints.n;
    f->images = images;
    f->image_bytes = bytes;
    f->n_images = n;
    f->owner = store;
    return 0;
}

/* ---- upsert ---- */

static int spot_pool_of(struct cluster *c, const struct node_facts *f, uint32_t *ret,
                        struct err *err)
{
    *ret = 0;
    if (f->zone.v == 0 && f->instance_type.v == 0) {
        return 0;
    }
    uint32_t known = map64_get(&c->t->spot_pool_of, key2(f->zone.v, f->instance_type.v));
    if (known == IX_NONE) {
        int r = map64_reserve(&c->t->spot_pool_of, c->n_spot_pools + 1, err);
        if (r != 0) {
            return r;
        }
        known = ++c->n_spot_pools;
        map64_put(&c->t->spot_pool_of, key2(f->zone.v, f->instance_type.v), known);
    }
    *ret = known;
    return 0;
}

/* What of a row an upsert changes, to put it back when it fails. */
struct row_before {
    uint32_t flags;
    uint8_t capacity;
    int64_t price;
    struct node_facts facts;
    int64_t *alloc; /* [n_res] */
};

static int row_save(struct cluster *c, node_ix node, struct row_before *b, struct err *err)
{
    *b = (struct row_before){c->flags[node.v], c->capacity[node.v], c->price_nano_hour[node.v],
                             c->facts[node.v], NULL};
    b->alloc = arena_alloc(&c->t->scratch, c->n_res * sizeof *b->alloc);
    if (b->alloc == NULL) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < c->n_res; i++) {
        b->alloc[i] = c->alloc[i][node.v];
    }
    return 0;
}

static void row_restore(struct cluster *c, node_ix node, const struct row_before *b)
{
    c->flags[node.v] = b->flags;
    c->capacity[node.v] = b->capacity;
    c->price_nano_hour[node.v] = b->price;
    c->facts[node.v] = b->facts;
    for (uint32_t i = 0; i < c->n_res; i++) {
        c->alloc[i][node.v] = b->alloc[i];
    }
}

/* Resources and facts into the row; what was there is lost. */
static int row_fill(struct cluster *c, const struct node_desc *d, node_ix node,
                    struct node_facts *facts, struct err *err)
{
    for (uint32_t i = 0; i < c->n_res; i++) {
        c->alloc[i][node.v] = 0;
    }
    for (uint32_t i = 0; i < d->allocatable.n; i++) {
        const struct qty_desc *q = &d->allocatable.p[i];
        uint32_t ix = cluster_find_resource(c, q->name).v;
        if (ix != IX_NONE) {
            c->alloc[ix][node.v] = requests_amount(q->name, q->value);
        }
    }
    facts->pool = -1;
    facts->created_ms = d->meta.created_ms;
    c->flags[node.v] = NODE_LIVE | (d->unschedulable ? NODE_CORDONED : 0);
    c->capacity[node.v] = CAPACITY_UNKNOWN;
    c->price_nano_hour[node.v] = 0;
    c->facts[node.v] = *facts;
    int r = conventions_read_node(c, d, node, err);
    if (r != 0) {
        return r;
    }
    prices_set_node(c, node);
    return spot_pool_of(c, &c->facts[node.v], &c->facts[node.v].spot_pool, err);
}

static int resources_intern(struct cluster *c, const struct node_desc *d, struct err *err)
{
    for (uint32_t i = 0; i < d->allocatable.n; i++) {
        res_ix ignored;
        if (requests_tracked(d->allocatable.p[i].name)) {
            int r = resource_intern(c, d->allocatable.p[i].name, &ignored, err);
            if (r != 0) {
                return r;
            }
        }
    }
    return 0;
}

/* Domains by the row's facts; room for all fleets that stand on the node or come to it. */
static int places_prepare(struct cluster *c, node_ix node, dom_ix *doms, struct err *err)
{
    for (uint32_t i = 0; i < c->n_topo; i++) {
        int r = domain_of(c, (topo_ix){i}, &c->facts[node.v], &doms[i], err);
        if (r != 0) {
            return r;
        }
    }
    for (uint32_t i = 0; i < c->n_pods[node.v]; i++) {
        class_ix cls = c->pod[c->pods[node.v][i].v].req.cls;
        int r = fleet_reserve(c, c->classes[cls.v]->game.fleet, node, err);
        if (r != 0) {
            return r;
        }
    }
    int64_t pods = c->alloc[RES_PODS][node.v];
    uint32_t want = pods < 16 ? 16 : pods > 256 ? 256 : (uint32_t)pods + 1;
    int r = pod_list_reserve(c, node, want, err);
    return r != 0 ? r : pods_attach_reserve(c, c->facts[node.v].name, node, err);
}

static void places_commit(struct cluster *c, node_ix node, const dom_ix *doms, bool was_live)
{
    for (uint32_t i = 0; i < c->n_topo; i++) {
        struct topology *tp = &c->topo[i];
        if (was_live) {
            tp->nodes[tp->of[node.v].v]--;
        }
        tp->of[node.v] = doms[i];
        tp->nodes[doms[i].v]++;
    }
}

/* Fleet counts see the node's old places go and its new ones come. */
static int row_change(struct cluster *c, const struct node_desc *d, node_ix node,
                      struct node_facts *facts, bool was_live, struct err *err)
{
    struct row_before before;
    int r = row_save(c, node, &before, err);
    dom_ix *doms = arena_alloc(&c->t->scratch, c->n_topo * sizeof *doms);
    if (r != 0 || doms == NULL) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < c->n_pods[node.v]; i++) {
        fleet_count(c, c->pods[node.v][i], -1);
    }
    r = row_fill(c, d, node, facts, err);
    r = r != 0 ? r : places_prepare(c, node, doms, err);
    if (r != 0) {
        row_restore(c, node, &before);
    } else {
        places_commit(c, node, doms, was_live);
    }
    for (uint32_t i = 0; i < c->n_pods[node.v]; i++) {
        fleet_count(c, c->pods[node.v][i], 1);
    }
    return r;
}

static int node_prepare(struct cluster *c, const struct node_desc *d, struct node_facts *f,
                        struct err *err)
{
    arena_reset(&c->t->scratch);
    int r = cluster_reserve(c, 0, err);
    r = r != 0 ? r : sym_intern(c->syms, d->meta.name, &f->name, err);
    if (r == 0 && f->name.v == 0) {
        r = err_set(err, -EINVAL, "node: metadata.name is empty");
    }
    r = r != 0 ? r : labelset_from(c, d->meta.labels, &c->t->scratch, &f->labels, err);
    r = r != 0 ? r : resources_intern(c, d, err);
    r = r != 0 ? r : map64_reserve(&c->t->node_of, c->n_nodes + 1, err);
    /* So that removing any node finds room for its name among those that pods wait for. */
    r = r != 0 ? r : map64_reserve(&c->t->wait_of, c->t->wait_of.n + c->n_nodes + 1, err);
    return r != 0 ? r : store_make(c, d, f, err);
}

int cluster_upsert_node(struct cluster *c, const struct node_desc *d, node_ix *ret, struct err *err)
{
    struct node_facts f = {0};
    int r = node_prepare(c, d, &f, err);
    if (r != 0) {
        return r;
    }
    struct cluster_tables *t = c->t;
    uint32_t row = map64_get(&t->node_of, f.name.v);
    bool was_live = row != IX_NONE;
    struct node_store *old = was_live ? c->facts[row].owner : NULL;
    if (was_live && old->hash == ((struct node_store *)f.owner)->hash) {
        mem_free(f.owner); /* a heartbeat: nothing that we look at has changed */
        *ret = (node_ix){row};
        return 0;
    }
    if (!was_live) {
        row = t->n_free_nodes > 0 ? t->free_nodes[t->n_free_nodes - 1] : c->n_rows;
        r = rows_grow(c, row + 1, err);
    }
    node_ix node = {row};
    r = r != 0 ? r : row_change(c, d, node, &f, was_live, err);
    if (r != 0) {
        mem_free(f.owner);
        return r;
    }
    if (!was_live) {
        t->n_free_nodes -= t->n_free_nodes > 0;
        c->n_rows = row >= c->n_rows ? row + 1 : c->n_rows;
        c->n_nodes++;
        c->name_text[row] = sym_str(c->syms, f.name);
        map64_put(&t->node_of, f.name.v, row);
        pods_attach_waiting(c, f.name, node);
    }
    mem_free(old);
    node_changed(c, node);
    c->static_gen[node.v] = c->gen[node.v];
    *ret = node;
    return 0;
}

void cluster_remove_node(struct cluster *c, struct str name)
{
    struct cluster_tables *t = c->t;
    sym s = sym_find(c->syms, name);
    uint32_t row = s.v == 0 ? IX_NONE : map64_get(&t->node_of, s.v);
    if (row == IX_NONE) {
        return;
    }
    node_ix node = {row};
    pods_detach_all(c, node);
    for (uint32_t i = 0; i < c->n_topo; i++) {
        c->topo[i].nodes[c->topo[i].of[row].v]--;
        c->topo[i].of[row] = (dom_ix){0};
    }
    for (uint32_t i = 0; i < c->n_res; i++) {
        c->alloc[i][row] = 0;
    }
    mem_free(c->facts[row].owner);
    c->facts[row] = (struct node_facts){.pool = -1};
    c->flags[row] = 0;
    c->capacity[row] = CAPACITY_UNKNOWN;
    c->price_nano_hour[row] = 0;
    map64_del(&t->node_of, s.v);
    t->free_nodes[t->n_free_nodes++] = row;
    c->n_nodes--;
    node_changed(c, node);
    c->static_gen[row] = c->gen[row];
}

/* The node's facts once more from its kept description: after the settings changed. */
int node_reread(struct cluster *c, node_ix node, struct err *err)
{
    struct node_facts old = c->facts[node.v];
    const struct node_store *store = old.owner;
    struct node_facts f = {.name = old.name,
                           .labels = old.labels,
                           .taints = old.taints,
                           .n_taints = old.n_taints,
                           .images = old.images,
                           .image_bytes = old.image_bytes,
                           .n_images = old.n_images,
                           .spot_interruptions = old.spot_interruptions,
                           .owner = old.owner};
    int r = row_change(c, &store->desc, node, &f, true, err);
    if (r == 0) {
        node_changed(c, node);
        c->static_gen[node.v] = c->gen[node.v];
    }
    return r;
}

/* ---- look-ups ---- */

node_ix cluster_find_node(const struct cluster *c, struct str name)
{
    sym s = sym_find(c->syms, name);
    return (node_ix){s.v == 0 ? IX_NONE : map64_get(&c->t->node_of, s.v)};
}

static bool is_named(const struct cluster *c, node_ix node, struct str name)
{
    return node.v < c->n_rows && (c->flags[node.v] & NODE_LIVE) != 0 &&
           str_eq(c->name_text[node.v], name);
}

node_ix cluster_find_node_hint(const struct cluster *c, struct str name, node_ix hint,
                               node_ix *ring)
{
    if (ring != NULL && hint.v < c->n_rows && is_named(c, ring[hint.v], name)) {
        return ring[hint.v];
    }
    node_ix found = cluster_find_node(c, name);
    if (ring != NULL && hint.v < c->n_rows && found.v != IX_NONE) {
        ring[hint.v] = found;
    }
    return found;
}
