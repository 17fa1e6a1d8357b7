/* The other objects of the input: volumes, game servers, namespaces, priorities, workloads, services, budgets.
 *
 * Their rows live as long as the cluster; an object that comes again changes its row in place.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "model/cluster_store.h"

/* Where an object's row is, or a fresh one that the caller lists. */
struct slot {
    uint32_t ix; /* IX_NONE: new */
    void *fresh;
};

static int slot_find(struct cluster *c, struct map64 *m, uint64_t key, size_t row_size,
                     struct slot *ret, struct err *err)
{
    *ret = (struct slot){map64_get(m, key), NULL};
    if (ret->ix != IX_NONE) {
        return 0;
    }
    if (m->n >= LIMIT_PODS) {
        return err_set(err, -E2BIG, "more than %u objects of one kind", LIMIT_PODS);
    }
    int r = map64_reserve(m, m->n + 1, err);
    ret->fresh = r != 0 ? NULL : arena_calloc(&c->t->arena, 1, row_size);
    return r != 0 ? r : ret->fresh == NULL ? err_nomem(err) : 0;
}

#define LIST_ROOM(list, n, cap, err)                                                               \
    (vec_grow((void **)&(list), &(cap), (n) + 1, sizeof *(list), LIMIT_PODS) != 0 ? err_nomem(err) \
                                                                                  : 0)

static int named(struct cluster *c, const struct meta_desc *meta, sym *ns, sym *name,
                 struct err *err)
{
    arena_reset(&c->t->scratch);
    int r = sym_intern(c->syms, meta->ns, ns, err);
    r = r != 0 ? r : sym_intern(c->syms, meta->name, name, err);
    return r != 0 ? r : name->v == 0 ? err_set(err, -EINVAL, "metadata.name is empty") : 0;
}

/* ---- volumes ---- */

static uint8_t access_bits(str_list modes)
{
    static const struct {
        const char *name;
        uint8_t bit;
    } table[] = {{"ReadWriteOnce", ACCESS_RWO},
                 {"ReadOnlyMany", ACCESS_ROX},
                 {"ReadWriteMany", ACCESS_RWX},
                 {"ReadWriteOncePod", ACCESS_RWOP}};
    uint8_t bits = 0;
    for (uint32_t i = 0; i < modes.n; i++) {
        for (size_t k = 0; k < SP_COUNTOF(table); k++) {
            bits |= str_is(modes.p[i], table[k].name) ? table[k].bit : 0;
        }
    }
    return bits;
}

int cluster_upsert_pvc(struct cluster *c, const struct pvc_desc *d, struct err *err)
{
    struct cluster_tables *t = c->t;
    struct pvc_row row = {.bind_completed = d->bind_completed,
                          .bound = d->volume_name.n > 0 && d->bind_completed,
                          .lost = str_is(d->phase, "Lost"),
                          .deleting = d->meta.deleting,
                          .block = str_is(d->volume_mode, "Block"),
                          .access_modes = access_bits(d->access_modes),
                          .request = d->request};
    struct slot slot;
    int r = named(c, &d->meta, &row.ns, &row.name, err);
    r = r != 0 ? r : sym_intern(c->syms, d->storage_class, &row.storage_class, err);
    r = r != 0 ? r : sym_intern(c->syms, d->volume_name, &row.volume_name, err);
    r = r != 0 ? r : sym_intern(c->syms, d->selected_node, &row.selected_node, err);
    r = r != 0 ? r : selector_from(c, &d->selector, NULL, 0, &row.selector, err);
    r = r != 0 ? r : LIST_ROOM(t->pvcs, t->n_pvcs, t->cap_pvcs, err);
    r = r != 0 ? r : slot_find(c, &t->pvc_of, key2(row.ns.v, row.name.v), sizeof row, &slot, err);
    if (r != 0) {
        return r;
    }
    row.read_write_once_pod = (row.access_modes & ACCESS_RWOP) != 0;
    if (slot.ix == IX_NONE) {
        slot.ix = (uint32_t)t->n_pvcs;
        t->pvcs[t->n_pvcs++] = slot.fresh;
        map64_put(&t->pvc_of, key2(row.ns.v, row.name.v), slot.ix);
    }
    *t->pvcs[slot.ix] = row;
    c->epoch++;
    return 0;
}

int cluster_upsert_pv(struct cluster *c, const struct pv_desc *d, struct err *err)
{
    struct cluster_tables *t = c->t;
    /* a manifest has no phase yet: the volume will be there */
    struct pv_row row = {.available = d->phase.n == 0 || str_is(d->phase, "Available"),
                         .has_node_affinity = d->has_node_affinity,
                         .block = str_is(d->volume_mode, "Block"),
                         .access_modes = access_bits(d->access_modes),
                         .capacity = d->capacity};
    struct slot slot;
    sym ns;
    int r = named(c, &d->meta, &ns, &row.name, err);
    r = r != 0 ? r : sym_intern(c->syms, d->storage_class, &row.storage_class, err);
    r = r != 0 ? r : sym_intern(c->syms, d->claim_ns, &row.claim_ns, err);
    r = r != 0 ? r : sym_intern(c->syms, d->claim_name, &row.claim_name, err);
    r = r != 0 ? r : labelset_from(c, d->meta.labels, &t->scratch, &row.labels, err);
    r = r != 0 ? r : node_terms_from(c, d->node_affinity, &row.terms, &row.n_terms, err);
    r = r != 0 ? r : LIST_ROOM(t->pvs, t->n_pvs, t->cap_pvs, err);
    r = r != 0 ? r : slot_find(c, &t->pv_of, row.name.v, sizeof row, &slot, err);
    if (r != 0) {
        return r;
    }
    if (slot.ix == IX_NONE) {
        slot.ix = (uint32_t)t->n_pvs;
        t->pvs[t->n_pvs++] = slot.fresh;
        map64_put(&t->pv_of, row.name.v, slot.ix);
    }
    *t->pvs[slot.ix] = row;
    c->epoch++;
    return 0;
}

int cluster_upsert_storage_class(struct cluster *c, const struct storage_class_desc *d,
                                 struct err *err)
{
    struct cluster_tables *t = c->t;
    struct storage_class_row row = {.wait_for_first_consumer = d->wait_for_first_consumer,
                                    .is_default = d->is_default};
    struct slot slot;
    sym ns;
    int r = named(c, &d->meta, &ns, &row.name, err);
    r = r != 0 ? r : sym_intern(c->syms, d->provisioner, &row.provisioner, err);
    r = r != 0 ? r
               : node_terms_from(c, d->allowed_topologies, &row.topologies, &row.n_topologies, err);
    r = r != 0 ? r : LIST_ROOM(t->scs, t->n_scs, t->cap_scs, err);
    r = r != 0 ? r : slot_find(c, &t->sc_of, row.name.v, sizeof row, &slot, err);
    if (r != 0) {
        return r;
    }
    if (slot.ix == IX_NONE) {
        slot.ix = (uint32_t)t->n_scs;
        t->scs[t->n_scs++] = slot.fresh;
        map64_put(&t->sc_of, row.name.v, slot.ix);
    }
    *t->scs[slot.ix] = row;
    c->epoch++;
    return 0;
}

const struct pvc_row *cluster_find_pvc(const struct cluster *c, sym ns, sym name)
{
    uint32_t ix = map64_get(&c->t->pvc_of, key2(ns.v, name.v));
    return ix == IX_NONE ? NULL : c->t->pvcs[ix];
}

const struct pv_row *cluster_find_pv(const struct cluster *c, sym name)
{
    uint32_t ix = map64_get(&c->t->pv_of, name.v);
    return ix == IX_NONE ? NULL : c->t->pvs[ix];
}

uint32_t cluster_n_pvs(const struct cluster *c)
{
    return (uint32_t)c->t->n_pvs;
}

const struct pv_row *cluster_pv(const struct cluster *c, uint32_t i)
{
    check(i < c->t->n_pvs);
    return c->t->pvs[i];
}

uint32_t cluster_n_storage_classes(const struct cluster *c)
{
    return (uint32_t)c->t->n_scs;
}

const struct storage_class_row *cluster_default_storage_class(const struct cluster *c)
{
    for (size_t i = 0; i < c->t->n_scs; i++) {
        if (c->t->scs[i]->is_default) {
            return c->t->scs[i];
        }
    }
    return NULL;
}

const struct storage_class_row *cluster_find_storage_class(const struct cluster *c, sym name)
{
    uint32_t ix = map64_get(&c->t->sc_of, name.v);
    return ix == IX_NONE ? NULL : c->t->scs[ix];
}

/* ---- namespaces and priorities ---- */

int cluster_upsert_namespace(struct cluster *c, const struct namespace_desc *d, struct err *err)
{
    struct cluster_tables *t = c->t;
    sym ns, name;
    int r = named(c, &d->meta, &ns, &name, err);
    uint32_t n = d->meta.labels.n;
    if (r == 0 && n > LIMIT_LABELS) {
        r = err_set(err, -E2BIG, "labels: %u of them; at most %d are taken", n, LIMIT_LABELS);
    }
    struct label *labels = r != 0 ? NULL : arena_alloc(&t->scratch, (n + 1) * sizeof *labels);
    if (labels == NULL) {
        return r != 0 ? r : err_nomem(err);
    }
    labels[0] = (struct label){
        t->ns_name_label, name}; /* as the API server adds it; a given one stands later and wins */
    for (uint32_t i = 0; i < n && r == 0; i++) {
        r = sym_intern(c->syms, d->meta.labels.p[i].key, &labels[i + 1].key, err);
        r = r != 0 ? r : sym_intern(c->syms, d->meta.labels.p[i].val, &labels[i + 1].val, err);
    }
    labelset_ix set;
    r = r != 0 ? r : labelset_intern(c, labels, n + 1, &set, err);
    r = r != 0 ? r : map64_reserve(&t->ns_of, t->ns_of.n + 1, err);
    uint32_t old = r != 0 ? IX_NONE : map64_get(&t->ns_of, name.v);
    if (r != 0 || old == set.v) {
        return r;
    }
    map64_put(&t->ns_of, name.v, set.v);
    r = namespace_recount(c, err);
    if (r == 0) {
        c->epoch++;
    } else if (old == IX_NONE) {
        map64_del(&t->ns_of, name.v);
    } else {
        map64_put(&t->ns_of, name.v, old);
    }
    return r;
}

static bool priorities_looked_up(const struct cluster *c)
{
    for (uint32_t i = 0; i < c->t->n_tmpl; i++) {
        if (!c->t->tmpl[i]->has_priority) {
            return true;
        }
    }
    return false;
}

int cluster_upsert_priority_class(struct cluster *c, const struct priority_class_desc *d,
                                  struct err *err)
{
    struct cluster_tables *t = c->t;
    sym ns;
    struct priority_row row = {
        .value = d->value, .global_default = d->global_default, .preemption = d->preemption};
    int r = named(c, &d->meta, &ns, &row.name, err);
    r = r != 0 ? r : LIST_ROOM(t->prios, t->n_prios, t->cap_prios, err);
    if (r != 0) {
        return r;
    }
    uint32_t ix = map64_get(&t->prio_of, row.name.v);
    r = ix != IX_NONE ? 0 : map64_reserve(&t->prio_of, (uint32_t)t->n_prios + 1, err);
    if (r != 0) {
        return r;
    }
    if (ix == IX_NONE) {
        ix = (uint32_t)t->n_prios++;
        map64_put(&t->prio_of, row.name.v, ix);
    }
    t->prios[ix] = row;
    if (!priorities_looked_up(c)) {
        return 0;
    }
    c->epoch++;
    return pods_reclass(c, POD_NONE, err);
}

/* ---- game servers ---- */

static const struct owner_desc *controller_of(owner_list owners)
{
    for (uint32_t i = 0; i < owners.n; i++) {
        if (owners.p[i].controller) {
            return &owners.p[i];
        }
    }
    return owners.n > 0 ? &owners.p[0] : NULL;
}

static int game_from(struct cluster *c, const struct game_server_desc *d, struct game_row *row,
                     struct err *err)
{
    struct str wishes[WISH_N] = {{0}}, ends = STR_NONE;
    wishes_read(d->meta.annotations, wishes, &ends);
    row->state = d->state;
    row->players = d->players;
    row->players_max = d->players_max;
    int r = sym_intern(c->syms, d->fleet, &row->fleet, err);
    for (int w = 0; w < WISH_N && r == 0; w++) {
        r = sym_intern(c->syms, wishes[w], &row->wishes.v[w], err);
    }
    int64_t end;
    if (ends.n > 0 && str_to_time_ms(ends, &end) && end > 0) {
        row->session_end_ms = end;
    } else if (ends.n > 0) {
        c->n_bad_annotations++;
    }
    const struct owner_desc *owner = controller_of(d->meta.owners);
    if (owner != NULL) {
        r = r != 0 ? r : sym_intern(c->syms, owner->kind, &row->owner_kind, err);
        r = r != 0 ? r : sym_intern(c->syms, owner->name, &row->owner_name, err);
    }
    return r;
}

int cluster_upsert_game_server(struct cluster *c, const struct game_server_desc *d, struct err *err)
{
    struct cluster_tables *t = c->t;
    struct game_row row = {0};
    struct slot slot;
    int r = named(c, &d->meta, &row.ns, &row.name, err);
    r = r != 0 ? r : game_from(c, d, &row, err);
    r = r != 0 ? r : LIST_ROOM(t->games, t->n_games, t->cap_games, err);
    r = r != 0 ? r : slot_find(c, &t->game_of, key2(row.ns.v, row.name.v), sizeof row, &slot, err);
    if (r != 0) {
        return r;
    }
    struct game_row before = slot.ix == IX_NONE ? row : *t->games[slot.ix];
    bool fresh = slot.ix == IX_NONE;
    if (fresh) {
        slot.ix = (uint32_t)t->n_games;
        t->games[t->n_games++] = slot.fresh;
        map64_put(&t->game_of, key2(row.ns.v, row.name.v), slot.ix);
    }
    *t->games[slot.ix] = row;
    uint32_t pod = map64_get(&t->game_pod, key2(row.ns.v, row.name.v));
    r = pod == IX_NONE ? 0 : pods_reclass(c, (pod_ix){pod}, err);
    if (r != 0 && fresh) {
        map64_del(&t->game_of, key2(row.ns.v, row.name.v));
        t->n_games--;
    } else if (r != 0) {
        *t->games[slot.ix] = before;
    }
    return r;
}

/* The row keeps its place but says nothing any more; the pod, if it still stands, counts by its own annotations. */
void cluster_remove_game_server(struct cluster *c, struct str ns, struct str name)
{
    struct cluster_tables *t = c->t;
    uint64_t key = key2(sym_find(c->syms, ns).v, sym_find(c->syms, name).v);
    uint32_t ix = map64_get(&t->game_of, key), last = (uint32_t)t->n_games - 1;
    if (ix == IX_NONE) {
        return;
    }
    struct game_row *row = t->games[ix];
    row->state = GAME_ENDED;
    uint32_t pod = map64_get(&t->game_pod, key);
    struct err ignored;
    if (pod != IX_NONE && pods_reclass(c, (pod_ix){pod}, &ignored) != 0) {
        return; /* short of memory: it stays, as ended */
    }
    map64_del(&t->game_of, key);
    t->games[ix] = t->games[last];
    t->games[last] = row;
    t->n_games--;
    if (ix != last) {
        map64_put(&t->game_of, key2(t->games[ix]->ns.v, t->games[ix]->name.v), ix);
    }
}

/* ---- workloads, services, budgets ---- */

static uint64_t work_key(const struct cluster *c, sym kind, sym ns, sym name)
{
    uint32_t group = map64_get(&c->t->work_group, key2(kind.v, ns.v));
    return group == IX_NONE ? UINT64_MAX : key2(group, name.v);
}

const struct workload_row *cluster_find_workload(const struct cluster *c, sym kind, sym ns,
                                                 sym name)
{
    uint64_t key = work_key(c, kind, ns, name);
    uint32_t ix = key == UINT64_MAX ? IX_NONE : map64_get(&c->t->work_of, key);
    return ix == IX_NONE ? NULL : c->t->works[ix];
}

/* Whether the top controller of any class of standing pods is another one now. */
static int tops_changed(struct cluster *c, bool *ret, struct err *err)
{
    *ret = false;
    for (uint32_t i = 0; i < c->n_classes && !*ret; i++) {
        const struct class_key *was = &c->t->ext[i].key;
        if (c->classes[i]->refs == 0 || c->t->tmpl[was->tmpl]->owner_name.v == 0 ||
            was->game_known != 0) {
            continue;
        }
        struct class_key now;
        int r = class_key_now(c, was->tmpl, NULL, SYM_NONE, &now, err);
        if (r != 0) {
            return r;
        }
        *ret = now.top_name.v != was->top_name.v || now.top_kind.v != was->top_kind.v;
    }
    return 0;
}

int cluster_upsert_workload(struct cluster *c, const struct workload_desc *d, struct err *err)
{
    struct cluster_tables *t = c->t;
    struct workload_row row = {.replicas = d->replicas};
    const struct owner_desc *owner = controller_of(d->meta.owners);
    struct slot slot;
    int r = named(c, &d->meta, &row.ns, &row.name, err);
    r = r != 0 ? r : sym_intern(c->syms, d->kind, &row.kind, err);
    if (owner != NULL) {
        r = r != 0 ? r : sym_intern(c->syms, owner->kind, &row.owner_kind, err);
        r = r != 0 ? r : sym_intern(c->syms, owner->name, &row.owner_name, err);
    }
    r = r != 0 ? r : selector_from(c, &d->selector, NULL, 0, &row.selector, err);
    r = r != 0 ? r : map64_reserve(&t->work_group, t->n_work_groups + 1, err);
    r = r != 0 ? r : LIST_ROOM(t->works, t->n_works, t->cap_works, err);
    if (r != 0) {
        return r;
    }
    if (work_key(c, row.kind, row.ns, row.name) == UINT64_MAX) {
        map64_put(&t->work_group, key2(row.kind.v, row.ns.v), t->n_work_groups++);
    }
    uint64_t key = work_key(c, row.kind, row.ns, row.name);
    r = slot_find(c, &t->work_of, key, sizeof row, &slot, err);
    if (r != 0) {
        return r;
    }
    if (slot.ix == IX_NONE) {
        slot.ix = (uint32_t)t->n_works;
        t->works[t->n_works++] = slot.fresh;
        map64_put(&t->work_of, key, slot.ix);
    }
    *t->works[slot.ix] = row;
    t->workload_gen++;
    bool changed;
    r = tops_changed(c, &changed, err);
    return r != 0 || !changed ? r : pods_reclass(c, POD_NONE, err);
}

int cluster_upsert_service(struct cluster *c, const struct service_desc *d, struct err *err)
{
    struct cluster_tables *t = c->t;
    struct service_row row = {0};
    struct slot slot;
    int r = named(c, &d->meta, &row.ns, &row.name, err);
    r = r != 0 ? r : selector_from_kv(c, d->selector, &row.selector, err);
    r = r != 0 ? r : LIST_ROOM(t->services, t->n_services, t->cap_services, err);
    r = r != 0 ? r
               : slot_find(c, &t->service_of, key2(row.ns.v, row.name.v), sizeof row, &slot, err);
    if (r != 0) {
        return r;
    }
    row.selector.nothing = d->selector.n == 0; /* a service without a selector selects no pods */
    if (slot.ix == IX_NONE) {
        slot.ix = (uint32_t)t->n_services;
        t->services[t->n_services++] = slot.fresh;
        map64_put(&t->service_of, key2(row.ns.v, row.name.v), slot.ix);
    }
    *t->services[slot.ix] = row;
    c->epoch++;
    return 0;
}

int cluster_upsert_pdb(struct cluster *c, const struct pdb_desc *d, struct err *err)
{
    struct cluster_tables *t = c->t;
    struct pdb_row row = {.disruptions_allowed = d->disruptions_allowed,
                          .n_disrupted = d->disrupted_pods.n};
    struct slot slot;
    int r = named(c, &d->meta, &row.ns, &row.name, err);
    r = r != 0 ? r : selector_from(c, &d->selector, NULL, 0, &row.selector, err);
    sym *disrupted = r != 0 ? NULL : KEEP(c, sym, d->disrupted_pods.n);
    if (disrupted == NULL) {
        return r != 0 ? r : err_nomem(err);
    }
    for (uint32_t i = 0; i < d->disrupted_pods.n && r == 0; i++) {
        r = sym_intern(c->syms, d->disrupted_pods.p[i], &disrupted[i], err);
    }
    row.disrupted = disrupted;
    r = r != 0 ? r : LIST_ROOM(t->pdbs, t->n_pdbs, t->cap_pdbs, err);
    r = r != 0 ? r : slot_find(c, &t->pdb_of, key2(row.ns.v, row.name.v), sizeof row, &slot, err);
    if (r != 0) {
        return r;
    }
    if (slot.ix == IX_NONE) {
        slot.ix = (uint32_t)t->n_pdbs;
        t->pdbs[t->n_pdbs++] = slot.fresh;
        map64_put(&t->pdb_of, key2(row.ns.v, row.name.v), slot.ix);
    }
    *t->pdbs[slot.ix] = row;
    return 0;
}

uint32_t cluster_n_services(const struct cluster *c)
{
    return (uint32_t)c->t->n_services;
}

const struct service_row *cluster_service(const struct cluster *c, uint32_t i)
{
    check(i < c->t->n_services);
    return c->t->services[i];
}

uint32_t cluster_n_pdbs(const struct cluster *c)
{
    return (uint32_t)c->t->n_pdbs;
}

const struct pdb_row *cluster_pdb(const struct cluster *c, uint32_t i)
{
    check(i < c->t->n_pdbs);
    return c->t->pdbs[i];
}
