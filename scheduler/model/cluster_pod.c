/* Pods: rows, upsert and remove, assume and forget, lift and unlift. See cluster.h.
 *
 * A row is in one of these states: counted (node set, in the node's list), lifted (was counted, is not), waiting for a node
 * that is not in the input (wait_on set), or without a node. Each change reserves what it needs first and then cannot fail.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "model/cluster_store.h"

/* ---- waiting for a node ---- */

static void wait_add(struct cluster *c, pod_ix pod, sym name, bool front)
{
    struct map64 *m = &c->t->wait_of;
    struct pod_row *row = &c->pod[pod.v];
    uint32_t head = map64_get(m, name.v);
    row->wait_on = name;
    if (head == IX_NONE) {
        row->wait_prev = row->wait_next = pod.v;
        map64_put(m, name.v, pod.v);
        return;
    }
    uint32_t tail = c->pod[head].wait_prev;
    row->wait_prev = tail;
    row->wait_next = head;
    c->pod[tail].wait_next = pod.v;
    c->pod[head].wait_prev = pod.v;
    if (front) {
        map64_put(m, name.v, pod.v);
    }
}

static void wait_del(struct cluster *c, pod_ix pod)
{
    struct map64 *m = &c->t->wait_of;
    struct pod_row *row = &c->pod[pod.v];
    if (row->wait_on.v == 0) {
        return;
    }
    if (row->wait_next == pod.v) {
        map64_del(m, row->wait_on.v);
    } else {
        c->pod[row->wait_prev].wait_next = row->wait_next;
        c->pod[row->wait_next].wait_prev = row->wait_prev;
        if (map64_get(m, row->wait_on.v) == pod.v) {
            map64_put(m, row->wait_on.v, row->wait_next);
        }
    }
    row->wait_on = SYM_NONE;
    row->wait_prev = row->wait_next = IX_NONE;
}

int pods_attach_reserve(struct cluster *c, sym node_name, node_ix node, struct err *err)
{
    uint32_t head = map64_get(&c->t->wait_of, node_name.v), n = 0, i = head;
    if (head == IX_NONE || map64_get(&c->t->node_of, node_name.v) != IX_NONE) {
        return 0;
    }
    do {
        int r = fleet_reserve(c, c->classes[c->pod[i].req.cls.v]->game.fleet, node, err);
        if (r != 0) {
            return r;
        }
        n++;
        i = c->pod[i].wait_next;
    } while (i != head);
    return pod_list_reserve(c, node, c->n_pods[node.v] + n, err);
}

void pods_attach_waiting(struct cluster *c, sym node_name, node_ix node)
{
    for (uint32_t head; (head = map64_get(&c->t->wait_of, node_name.v)) != IX_NONE;) {
        struct pod_row *row = &c->pod[head];
        wait_del(c, (pod_ix){head});
        if (row->lifted) {
            row->lifted_from = node;
            row->pos = IX_NONE;
        } else {
            row->node = node;
            pod_count(c, (pod_ix){head}, IX_NONE);
        }
    }
}

void pods_detach_all(struct cluster *c, node_ix node)
{
    sym name = c->facts[node.v].name;
    for (uint32_t i = 0; c->t->n_lifted > 0 && i < c->n_pod_rows; i++) {
        struct pod_row *row = &c->pod[i];
        if (row->live && row->lifted && row->lifted_from.v == node.v) {
            row->lifted_from = NODE_NONE;
            wait_add(c, (pod_ix){i}, name, true);
        }
    }
    for (uint32_t i = c->n_pods[node.v]; i > 0; i--) {
        pod_ix pod = c->pods[node.v][i - 1];
        pod_uncount(c, pod);
        c->pod[pod.v].node = NODE_NONE;
        wait_add(c, pod, name, true);
    }
}

/* ---- rows ---- */

static size_t block_bytes(const struct pod_req *p)
{
    return p->n_ports * sizeof(struct host_port) + p->n_claims * sizeof(sym);
}

static void *block_of(const struct pod_req *p)
{
    return p->n_ports > 0 ? (void *)(uintptr_t)p->ports : (void *)(uintptr_t)p->claims;
}

/* The request with its arrays copied into the cluster. */
static int req_keep(struct cluster *c, const struct pod_req *p, struct pod_req *ret,
                    struct err *err)
{
    *ret = *p;
    ret->ports = NULL;
    ret->claims = NULL;
    size_t n = block_bytes(p);
    if (n == 0) {
        return 0;
    }
    char *block = pool_alloc(c, n);
    if (block == NULL) {
        return err_nomem(err);
    }
    size_t ports = p->n_ports * sizeof(struct host_port);
    if (p->n_ports > 0) {
        memcpy(block, p->ports, ports);
        ret->ports = (const struct host_port *)(void *)block;
    }
    if (p->n_claims > 0) {
        memcpy(block + ports, p->claims, p->n_claims * sizeof(sym));
        ret->claims = (const sym *)(void *)(block + ports);
    }
    return 0;
}

static void req_drop(struct cluster *c, struct pod_req *p)
{
    if (block_bytes(p) > 0) {
        pool_free(c, block_of(p), block_bytes(p));
    }
    p->n_ports = p->n_claims = 0;
}

static bool req_same(const struct pod_req *a, const struct pod_req *b)
{
    return a->ns.v == b->ns.v && a->name.v == b->name.v && a->uid.v == b->uid.v &&
           a->node_name.v == b->node_name.v && a->nominated.v == b->nominated.v &&
           a->game_server.v == b->game_server.v && a->cls.v == b->cls.v &&
           a->labels.v == b->labels.v && a->phase == b->phase && a->deleting == b->deleting &&
           a->gated == b->gated && a->ready == b->ready && a->bound == b->bound &&
           a->game == b->game && a->players == b->players && a->created_ms == b->created_ms &&
           a->start_ms == b->start_ms && a->session_end_ms == b->session_end_ms &&
           a->n_ports == b->n_ports && a->n_claims == b->n_claims &&
           (a->n_ports == 0 || memcmp(a->ports, b->ports, a->n_ports * sizeof *a->ports) == 0) &&
           (a->n_claims == 0 || memcmp(a->claims, b->claims, a->n_claims * sizeof *a->claims) == 0);
}

static int pod_rows_grow(struct cluster *c, uint32_t want, struct err *err)
{
    struct cluster_tables *t = c->t;
    if (want <= t->cap_pods) {
        return 0;
    }
    if (want > LIMIT_PODS) {
        return err_set(err, -E2BIG, "more than %u pods", LIMIT_PODS);
    }
    uint32_t cap = t->cap_pods == 0 ? 1024 : t->cap_pods;
    while (cap < want) {
        cap += cap / 2;
    }
    struct pod_row *rows = mem_realloc(c->pod, cap * sizeof *rows);
    c->pod = rows == NULL ? c->pod : rows;
    uint32_t *free_pods = mem_realloc(t->free_pods, cap * sizeof *free_pods);
    t->free_pods = free_pods == NULL ? t->free_pods : free_pods;
    if (rows == NULL || free_pods == NULL) {
        return err_nomem(err);
    }
    t->cap_pods = cap;
    return 0;
}

/* Room for one more row and its names. */
static int row_reserve(struct cluster *c, uint32_t more, struct err *err)
{
    struct cluster_tables *t = c->t;
    int r = pod_rows_grow(c, c->n_pod_rows + more, err);
    r = r != 0 ? r : map64_reserve(&t->pod_of, t->pod_of.n + more, err);
    r = r != 0 ? r : map64_reserve(&t->uid_of, t->uid_of.n + more, err);
    r = r != 0 ? r : map64_reserve(&t->game_pod, t->game_pod.n + more, err);
    return r != 0 ? r : map64_reserve(&t->wait_of, t->wait_of.n + c->n_nodes + 1, err);
}

static void names_put(struct cluster *c, pod_ix pod)
{
    const struct pod_req *p = &c->pod[pod.v].req;
    map64_put(&c->t->pod_of, key2(p->ns.v, p->name.v), pod.v);
    if (p->uid.v != 0) {
        map64_put(&c->t->uid_of, p->uid.v, pod.v);
    }
    if (p->game_server.v != 0) {
        map64_put(&c->t->game_pod, key2(p->ns.v, p->game_server.v), pod.v);
    }
}

static void name_del(struct map64 *m, uint64_t key, pod_ix pod)
{
    if (map64_get(m, key) == pod.v) {
        map64_del(m, key);
    }
}

static void names_del(struct cluster *c, pod_ix pod)
{
    const struct pod_req *p = &c->pod[pod.v].req;
    name_del(&c->t->pod_of, key2(p->ns.v, p->name.v), pod);
    name_del(&c->t->uid_of, p->uid.v, pod);
    name_del(&c->t->game_pod, key2(p->ns.v, p->game_server.v), pod);
}

/* A row for a request that was kept; takes the topmost free one, so that forget can put it back. */
static pod_ix row_new(struct cluster *c, const struct pod_req *kept)
{
    struct cluster_tables *t = c->t;
    uint32_t i = t->n_free_pods > 0 ? t->free_pods[--t->n_free_pods] : c->n_pod_rows++;
    c->pod[i] = (struct pod_row){.req = *kept,
                                 .node = NODE_NONE,
                                 .live = true,
                                 .lifted_from = NODE_NONE,
                                 .pos = IX_NONE,
                                 .order = t->next_order++,
                                 .wait_prev = IX_NONE,
                                 .wait_next = IX_NONE};
    c->n_pods_live++;
    c->classes[kept->cls.v]->refs++;
    names_put(c, (pod_ix){i});
    return (pod_ix){i};
}

/* Off its node or waiting list; nothing counts it any more. */
static void row_displace(struct cluster *c, pod_ix pod)
{
    struct pod_row *row = &c->pod[pod.v];
    if (row->lifted) {
        row->lifted = false;
        row->lifted_from = NODE_NONE;
        c->t->n_lifted--;
    } else if (row->node.v != IX_NONE) {
        pod_uncount(c, pod);
    }
    wait_del(c, pod);
    row->node = NODE_NONE;
}

static void row_free(struct cluster *c, pod_ix pod)
{
    struct cluster_tables *t = c->t;
    struct pod_row *row = &c->pod[pod.v];
    row_displace(c, pod);
    names_del(c, pod);
    c->classes[row->req.cls.v]->refs--;
    req_drop(c, &row->req);
    row->live = false;
    c->n_pods_live--;
    if (row->order + 1 == t->next_order) {
        t->next_order--;
    }
    if (pod.v + 1 == c->n_pod_rows) {
        c->n_pod_rows--;
    } else {
        t->free_pods[t->n_free_pods++] = pod.v;
    }
}

static void row_set_req(struct cluster *c, pod_ix pod, const struct pod_req *kept)
{
    struct pod_row *row = &c->pod[pod.v];
    names_del(c, pod);
    c->classes[row->req.cls.v]->refs--;
    req_drop(c, &row->req);
    row->req = *kept;
    c->classes[kept->cls.v]->refs++;
    names_put(c, pod);
}

static pod_ix row_of(const struct cluster *c, const struct pod_req *p)
{
    uint32_t by_uid = p->uid.v == 0 ? IX_NONE : map64_get(&c->t->uid_of, p->uid.v);
    return (pod_ix){by_uid != IX_NONE ? by_uid
                                      : map64_get(&c->t->pod_of, key2(p->ns.v, p->name.v))};
}

/* ---- upsert and remove ---- */

static int target_of(const struct cluster *c, const struct pod_req *p, pod_ix known, node_ix *ret)
{
    *ret = NODE_NONE;
    if (p->bound) {
        *ret = (node_ix){map64_get(&c->t->node_of, p->node_name.v)};
        return 0;
    }
    if (known.v != IX_NONE && c->pod[known.v].assumed) { /* not bound yet: the assumption goes on */
        *ret = c->pod[known.v].node;
    }
    return 0;
}

static pod_ix upsert_commit(struct cluster *c, pod_ix pod, const struct pod_req *kept,
                            node_ix target)
{
    uint32_t at = IX_NONE;
    sym wait_on = kept->bound && target.v == IX_NONE ? kept->node_name : SYM_NONE;
    if (pod.v == IX_NONE) {
        pod = row_new(c, kept);
    } else {
        struct pod_row *row = &c->pod[pod.v];
        at = row->node.v == target.v && !row->lifted ? row->pos : IX_NONE;
        if (row->assumed && !kept->bound) {
            wait_on = row->wait_on;
        } else {
            row->assumed = row->waiting = false;
        }
        row_displace(c, pod);
        row_set_req(c, pod, kept);
    }
    c->pod[pod.v].node = target;
    if (target.v != IX_NONE) {
        pod_count(c, pod, at);
    } else if (wait_on.v != 0) {
        wait_add(c, pod, wait_on, false);
    }
    return pod;
}

int cluster_upsert_pod(struct cluster *c, const struct pod_desc *d, pod_ix *ret, struct err *err)
{
    pod_ix ignored;
    ret = ret == NULL ? &ignored : ret;
    if (d->phase == PHASE_SUCCEEDED || d->phase == PHASE_FAILED) {
        cluster_remove_pod(c, d->meta.ns, d->meta.name);
        *ret = POD_NONE;
        return 0;
    }
    arena_reset(&c->t->scratch);
    struct pod_req p, kept;
    int r = d->meta.name.n == 0 ? err_set(err, -EINVAL, "pod: metadata.name is empty")
                                : cluster_reserve(c, 0, err);
    r = r != 0 ? r : cluster_compile_pod(c, d, &c->t->scratch, &p, err);
    if (r != 0) {
        return r;
    }
    pod_ix pod = row_of(c, &p);
    node_ix target;
    r = target_of(c, &p, pod, &target);
    if (r == 0 && pod.v != IX_NONE && c->pod[pod.v].node.v == target.v && !c->pod[pod.v].lifted &&
        (!p.bound || !c->pod[pod.v].assumed) && req_same(&c->pod[pod.v].req, &p)) {
        *ret = pod; /* nothing that we look at has changed */
        return 0;
    }
    r = r != 0 ? r : row_reserve(c, 1, err);
    r = r != 0 || target.v == IX_NONE ? r : count_reserve(c, p.cls, target, err);
    r = r != 0 ? r : req_keep(c, &p, &kept, err);
    if (r == 0) {
        *ret = upsert_commit(c, pod, &kept, target);
    }
    return r;
}

void cluster_remove_pod(struct cluster *c, struct str ns, struct str name)
{
    pod_ix pod = cluster_find_pod(c, ns, name);
    if (pod.v != IX_NONE) {
        row_free(c, pod);
    }
}

/* ---- assume and forget ---- */

int cluster_assume(struct cluster *c, const struct pod_req *p, node_ix node, pod_ix *ret,
                   struct err *err)
{
    check(p->cls.v < c->n_classes);
    check(node.v < c->n_rows && (c->flags[node.v] & NODE_LIVE) != 0);
    pod_ix pod = row_of(c, p);
    struct pod_row *row = pod.v == IX_NONE ? NULL : &c->pod[pod.v];
    bool other = row != NULL && row->req.uid.v != 0 && p->uid.v != 0 && row->req.uid.v != p->uid.v;
    if (row != NULL && row->req.bound && !other) {
        return err_set(err, -EEXIST, "pod \"%.128s\" stands on node \"%.128s\" already",
                       sym_str(c->syms, p->name).p, sym_str(c->syms, row->req.node_name).p);
    }
    struct pod_req kept;
    int r = row_reserve(c, 1, err);
    r = r != 0 ? r : count_reserve(c, p->cls, node, err);
    bool same = r == 0 && row != NULL && !other && req_same(&c->pod[pod.v].req, p);
    r = r != 0 || same ? r : req_keep(c, p, &kept, err);
    if (r != 0) {
        return r;
    }
    if (other) { /* a pod of this name that is gone: its deletion has not been seen yet */
        row_free(c, pod);
        pod = POD_NONE;
    }
    if (pod.v == IX_NONE) {
        pod = row_new(c, &kept);
    } else {
        row = &c->pod[pod.v];
        row->waiting = row->waiting || !row->assumed;
        row_displace(c, pod);
        if (!same) {
            row_set_req(c, pod, &kept);
        }
    }
    row = &c->pod[pod.v];
    row->assumed = true;
    row->node = node;
    pod_count(c, pod, IX_NONE);
    if (ret != NULL) {
        *ret = pod;
    }
    return 0;
}

void cluster_forget(struct cluster *c, pod_ix pod)
{
    check(pod.v < c->n_pod_rows);
    struct pod_row *row = &c->pod[pod.v];
    if (!row->live || !row->assumed) {
        return; /* settled or removed meanwhile */
    }
    if (row->waiting) {
        row_displace(c, pod);
        row->assumed = row->waiting = false;
        row->pos = IX_NONE;
        return;
    }
    row_free(c, pod);
}

/* ---- lift and unlift ---- */

void cluster_lift(struct cluster *c, pod_ix pod)
{
    check(pod.v < c->n_pod_rows && c->pod[pod.v].live);
    struct pod_row *row = &c->pod[pod.v];
    if (row->lifted) {
        return;
    }
    row->lifted = true;
    c->t->n_lifted++;
    row->lifted_from = row->node;
    if (row->node.v != IX_NONE) {
        pod_uncount(c, pod);
        row->node = NODE_NONE;
    }
}

int cluster_unlift(struct cluster *c, pod_ix pod, struct err *err)
{
    check(pod.v < c->n_pod_rows && c->pod[pod.v].live);
    struct pod_row *row = &c->pod[pod.v];
    if (!row->lifted) {
        return 0;
    }
    node_ix node = row->lifted_from;
    int r = node.v == IX_NONE ? 0 : count_reserve(c, row->req.cls, node, err);
    if (r != 0) {
        return r;
    }
    row->lifted = false;
    row->lifted_from = NODE_NONE;
    c->t->n_lifted--;
    if (node.v != IX_NONE) {
        row->node = node;
        pod_count(c, pod, row->pos);
    }
    return 0;
}

/* ---- when what was looked up has changed ---- */

const struct game_row *game_of_pod(const struct cluster *c, const struct pod_req *p)
{
    uint32_t row = p->game_server.v == 0
                       ? IX_NONE
                       : map64_get(&c->t->game_of, key2(p->ns.v, p->game_server.v));
    return row == IX_NONE ? NULL : c->t->games[row];
}

static int pod_reclass(struct cluster *c, pod_ix pod, struct err *err)
{
    struct pod_req p = c->pod[pod.v].req; /* its arrays stay where they are */
    const struct game_row *game = game_of_pod(c, &p);
    struct class_key key;
    int r = class_key_now(c, c->t->ext[p.cls.v].key.tmpl, game, p.game_server, &key, err);
    r = r != 0 ? r : class_of_key(c, &key, &p.cls, err);
    if (r != 0) {
        return r;
    }
    p.game = game != NULL ? game->state : GAME_UNKNOWN;
    p.session_end_ms =
        game != NULL && game->session_end_ms > 0 ? game->session_end_ms : p.session_end_ms;
    p.players = pod_players(c->classes[p.cls.v], &p, game);
    struct pod_row *row = &c->pod[pod.v];
    if (req_same(&row->req, &p)) {
        return 0;
    }
    bool counted = row->node.v != IX_NONE;
    r = counted ? count_reserve(c, p.cls, row->node, err) : 0;
    if (r != 0) {
        return r;
    }
    uint32_t at = row->pos;
    if (counted) {
        pod_uncount(c, pod);
    }
    c->classes[row->req.cls.v]->refs--;
    row->req = p;
    c->classes[p.cls.v]->refs++;
    if (counted) {
        pod_count(c, pod, at);
    }
    return 0;
}

int pods_reclass(struct cluster *c, pod_ix only, struct err *err)
{
    if (only.v != IX_NONE) {
        return pod_reclass(c, only, err);
    }
    int r = 0;
    for (uint32_t i = 0; i < c->n_pod_rows && r == 0; i++) {
        r = c->pod[i].live ? pod_reclass(c, (pod_ix){i}, err) : 0;
    }
    return r;
}

/* ---- room and look-ups ---- */

int cluster_reserve(struct cluster *c, uint32_t pods, struct err *err)
{
    struct cluster_tables *t = c->t;
    uint32_t least = pods > 256 ? pods : 256;
    int r = 0;
    if (pods > 0 || t->cap_pods - c->n_pod_rows < least) {
        r = row_reserve(c, least * 2, err);
    }
    /* A pod brings at most a name, a UID, some label values. */
    bool tight =
        c->syms->cap - c->syms->n < least * 4 || c->syms->n_slots / 4 * 3 - c->syms->n < least * 4;
    if (r == 0 && (pods > 0 || tight || c->syms->spare == NULL)) {
        r = symtab_reserve(c->syms, least * 8, err);
    }
    return r != 0 ? r : labelsets_reserve(c, least * 2, err);
}

pod_ix cluster_find_pod(const struct cluster *c, struct str ns, struct str name)
{
    sym n = sym_find(c->syms, ns), s = sym_find(c->syms, name);
    return (pod_ix){s.v == 0 ? IX_NONE : map64_get(&c->t->pod_of, key2(n.v, s.v))};
}

pod_ix cluster_find_pod_uid(const struct cluster *c, struct str uid)
{
    sym s = sym_find(c->syms, uid);
    return (pod_ix){s.v == 0 ? IX_NONE : map64_get(&c->t->uid_of, s.v)};
}
