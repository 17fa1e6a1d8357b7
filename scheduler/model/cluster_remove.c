/* The other objects leave: volumes, namespaces, priorities, services, budgets. See cluster.h.
 *
 * The last row takes the place of the one that goes, so that lists stay dense. A row's memory stays with the cluster.
 * SPDX-License-Identifier: Apache-2.0 */
#include "model/cluster_store.h"

/* Where the row of this key stands; IX_NONE. Takes the key out of the map. */
static uint32_t take_key(struct map64 *m, uint64_t key)
{
    uint32_t ix = map64_get(m, key);
    map64_del(m, key);
    return ix;
}

static uint64_t named_key(const struct cluster *c, struct str ns, struct str name)
{
    return key2(sym_find(c->syms, ns).v, sym_find(c->syms, name).v);
}

/* `last_key`: of the row that stood last, made before the swap. */
#define SWAP_OUT(list, n, map, ix, last_key) \
    do {                                     \
        uint64_t moved = (last_key);         \
        (n)--;                               \
        if ((ix) != (uint32_t)(n)) {         \
            (list)[ix] = (list)[n];          \
            map64_put((map), moved, (ix));   \
        }                                    \
    } while (0)

void cluster_remove_pvc(struct cluster *c, struct str ns, struct str name)
{
    struct cluster_tables *t = c->t;
    uint32_t ix = take_key(&t->pvc_of, named_key(c, ns, name));
    if (ix != IX_NONE) {
        const struct pvc_row *last = t->pvcs[t->n_pvcs - 1];
        SWAP_OUT(t->pvcs, t->n_pvcs, &t->pvc_of, ix, key2(last->ns.v, last->name.v));
        c->epoch++;
    }
}

void cluster_remove_pv(struct cluster *c, struct str name)
{
    struct cluster_tables *t = c->t;
    uint32_t ix = take_key(&t->pv_of, sym_find(c->syms, name).v);
    if (ix != IX_NONE) {
        SWAP_OUT(t->pvs, t->n_pvs, &t->pv_of, ix, t->pvs[t->n_pvs - 1]->name.v);
        c->epoch++;
    }
}

void cluster_remove_storage_class(struct cluster *c, struct str name)
{
    struct cluster_tables *t = c->t;
    uint32_t ix = take_key(&t->sc_of, sym_find(c->syms, name).v);
    if (ix != IX_NONE) {
        SWAP_OUT(t->scs, t->n_scs, &t->sc_of, ix, t->scs[t->n_scs - 1]->name.v);
        c->epoch++;
    }
}

void cluster_remove_service(struct cluster *c, struct str ns, struct str name)
{
    struct cluster_tables *t = c->t;
    uint32_t ix = take_key(&t->service_of, named_key(c, ns, name));
    if (ix != IX_NONE) {
        const struct service_row *last = t->services[t->n_services - 1];
        SWAP_OUT(t->services, t->n_services, &t->service_of, ix, key2(last->ns.v, last->name.v));
        c->epoch++;
    }
}

void cluster_remove_pdb(struct cluster *c, struct str ns, struct str name)
{
    struct cluster_tables *t = c->t;
    uint32_t ix = take_key(&t->pdb_of, named_key(c, ns, name));
    if (ix != IX_NONE) {
        const struct pdb_row *last = t->pdbs[t->n_pdbs - 1];
        SWAP_OUT(t->pdbs, t->n_pdbs, &t->pdb_of, ix, key2(last->ns.v, last->name.v));
    }
}

/* Pods keep the priority that they were compiled with: the API server writes it into them. */
void cluster_remove_priority_class(struct cluster *c, struct str name)
{
    struct cluster_tables *t = c->t;
    uint32_t ix = take_key(&t->prio_of, sym_find(c->syms, name).v);
    if (ix != IX_NONE) {
        SWAP_OUT(t->prios, t->n_prios, &t->prio_of, ix, t->prios[t->n_prios - 1].name.v);
        c->epoch++;
    }
}

int cluster_remove_namespace(struct cluster *c, struct str name, struct err *err)
{
    struct cluster_tables *t = c->t;
    sym s = sym_find(c->syms, name);
    uint32_t old = map64_get(&t->ns_of, s.v);
    if (old == IX_NONE) {
        return 0;
    }
    map64_del(&t->ns_of, s.v);
    int rc = namespace_recount(c, err);
    if (rc != 0) {
        map64_put(&t->ns_of, s.v, old);
        return rc;
    }
    c->epoch++;
    return 0;
}
