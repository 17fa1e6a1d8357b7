/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "sim/replay.h"

#include "base/limits.h"
#include "base/rng.h"
#include "model/conventions.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define REPLAY_ARENA_MAX ((size_t)16 << 30)
#define MESSAGE_MAX      65536

/* ---- what is to be placed ---- */

struct candidate {
    pod_ix pod;
    int32_t priority;
    int64_t created_ms;
    uint32_t order;
};
typedef VEC(struct candidate) candidate_list;

static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->priority != y->priority) {
        return x->priority > y->priority ? -1 : 1;
    }
    if (x->created_ms != y->created_ms) {
        return x->created_ms < y->created_ms ? -1 : 1;
    }
    return x->order < y->order ? -1 : x->order > y->order;
}

static int add_candidate(const struct cluster *c, pod_ix ix, uint32_t order, candidate_list *list)
{
    const struct pod_req *req = &c->pod[ix.v].req;
    struct candidate one = {.pod = ix,
                            .priority = cluster_class(c, req->cls)->priority,
                            .order = order,
                            .created_ms = req->created_ms > 0 ? req->created_ms : INT64_MAX};
    return VEC_PUSH(list, one, LIMIT_PODS);
}

static bool is_movable(const struct cluster *c, const struct pod_row *row)
{
    uint32_t fixed = CLASS_DAEMON | CLASS_MIRROR;
    return row->live && row->node.v != IX_NONE && !row->assumed &&
           (cluster_class(c, row->req.cls)->flags & fixed) == 0;
}

static int collect(const struct world *w, bool repack, candidate_list *list, struct err *err)
{
    const struct cluster *c = w->cluster;
    for (size_t i = 0; i < w->loaded.waiting.n; i++) {
        pod_ix ix = w->loaded.waiting.p[i];
        if (add_candidate(c, ix, c->pod[ix.v].order, list) != 0) {
            return err_nomem(err);
        }
    }
    for (uint32_t i = 0; repack && i < c->n_pod_rows; i++) {
        if (is_movable(c, &c->pod[i]) &&
            add_candidate(c, (pod_ix){i}, c->pod[i].order, list) != 0) {
            return err_nomem(err);
        }
    }
    if (list->n > 1) {
        qsort(list->p, list->n, sizeof *list->p, compare_candidates);
    }
    return 0;
}

/* ---- copies that outlive the model's rows ---- */

static int copy_req(struct cluster *c, struct arena *a, const struct pod_req *from,
                    struct placement *ret, struct err *err)
{
    struct str ns = sym_str(c->syms, from->ns), name = sym_str(c->syms, from->name);
    struct host_port *ports = arena_alloc(a, (from->n_ports + 1) * sizeof *ports);
    sym *claims = arena_alloc(a, (from->n_claims + 1) * sizeof *claims);
    char *text = arena_alloc(a, ns.n + name.n + 6);
    if (ports == NULL || claims == NULL || text == NULL) {
        return err_nomem(err);
    }
    if (from->n_ports > 0) {
        memcpy(ports, from->ports, from->n_ports * sizeof *ports);
    }
    if (from->n_claims > 0) {
        memcpy(claims, from->claims, from->n_claims * sizeof *claims);
    }
    memcpy(text, "sim:", 4);
    memcpy(text + 4, ns.p, ns.n);
    text[4 + ns.n] = '/';
    memcpy(text + 5 + ns.n, name.p, name.n);
    size_t n = ns.n + name.n + 5;
    *ret = (struct placement){
        .req = *from, .pod = {text + 4, n - 4}, .node = NODE_NONE, .state = PLACED_PENDING};
    ret->req.ports = ports;
    ret->req.claims = claims;
    ret->req.node_name = SYM_NONE;
    ret->req.bound = false;
    /* Manifests have no UID; the model keeps reservations by it. */
    return from->uid.v != 0 ? 0 : sym_intern(c->syms, (struct str){text, n}, &ret->req.uid, err);
}

/* The pods leave the model before anything is decided; they come back one by one. */
static int lift_out(struct world *w, const candidate_list *list, struct replay *r, struct err *err)
{
    struct cluster *c = w->cluster;
    if (VEC_RESERVE(&r->placements, list->n + 1, LIMIT_PODS + 1) != 0) {
        return err_nomem(err);
    }
    for (size_t i = 0; i < list->n; i++) {
        struct placement one;
        int rc = copy_req(c, &r->arena, &c->pod[list->p[i].pod.v].req, &one, err);
        if (rc != 0) {
            return rc;
        }
        r->placements.p[r->placements.n++] = one;
    }
    for (size_t i = 0; i < r->placements.n; i++) {
        const struct pod_req *req = &r->placements.p[i].req;
        cluster_remove_pod(c, sym_str(c->syms, req->ns), sym_str(c->syms, req->name));
    }
    return 0;
}

/* ---- why not ---- */

static bool lacks_room_when_empty(const struct cluster *c, const struct pod_class *cls,
                                  node_ix node)
{
    for (uint32_t i = 0; i < cls->n_needs; i++) {
        const int64_t *alloc = c->alloc[cls->needs[i].res.v];
        if (cls->needs[i].amount > (alloc == NULL ? 0 : alloc[node.v])) {
            return true;
        }
    }
    return false;
}

static bool passing_taint(const struct cluster *c, const struct policy_ctx *ctx, node_ix node)
{
    const struct taint *t = match_untolerated(ctx, node);
    if (t == NULL) {
        return false;
    }
    struct str key = sym_str(c->syms, t->key);
    return str_starts(key, STR("node.kubernetes.io/")) ||
           str_starts(key, STR("node.cloudprovider.kubernetes.io/")) ||
           conventions_taint_doom(key, sym_str(c->syms, t->val), t->effect) > 0;
}

bool replay_never(const struct cluster *c, const struct pod_req *pod, node_ix node,
                  const struct verdict *v)
{
    const struct pod_class *cls = cluster_class(c, pod->cls);
    struct policy_ctx ctx = {.c = c,
                             .settings = c->settings,
                             .cls = cls,
                             .pod = pod,
                             .game = &cls->game,
                             .waited_ms = -1};
    if (lacks_room_when_empty(c, cls, node) || !match_node_selection(&ctx, node)) {
        return true;
    }
    switch ((enum reason)v->reason) {
    case REASON_NONE:
    case REASON_UNSCHEDULABLE:
    case REASON_NODE_LEAVING:
    case REASON_POD_AFFINITY:
    case REASON_VOLUME_UNBOUND:
    case REASON_VOLUME_NO_PV:
    case REASON_LATENCY_OVER:
    case REASON_REGION_LATENCY:
    case REASON_SPOT_NOT_VIABLE:
    case REASON_EXPIRES:
        return false;
    case REASON_TAINT:
        return !passing_taint(c, &ctx, node);
    default:
        return v->unresolvable != 0;
    }
}

static enum placed_state why_not(const struct cluster *c, const struct pod_req *pod,
                                 const struct decision *d)
{
    for (uint32_t i = 0; i < d->n_asked; i++) {
        if (!replay_never(c, pod, d->nodes[i], &d->verdicts[i])) {
            return PLACED_PENDING;
        }
    }
    return d->n_asked > 0 ? PLACED_FAILED : PLACED_PENDING;
}

/* ---- the run ---- */

static int keep_reason(struct replay *r, struct placement *p, struct buf *text, struct err *err)
{
    p->reason = arena_str(&r->arena, buf_view(text));
    return p->reason.p == NULL || text->broken ? err_nomem(err) : 0;
}

static int place_one(struct cluster *c, struct engine *e, const struct replay_opts *opts,
                     struct replay *r, size_t i, struct buf *text, struct err *err)
{
    struct placement *p = &r->placements.p[i];
    uint64_t state = opts->seed + 0x9e3779b97f4a7c15u * (uint64_t)i;
    struct ask ask = {.pod = &p->req, .judge = JUDGE_ALL, .waited_ms = -1, .seed = rng_mix(&state)};
    struct decision d;
    int rc = engine_decide(e, &ask, &d, err);
    if (rc != 0) {
        return err_context(err, "pod %.*s", STR_ARG(p->pod));
    }
    buf_clear(text);
    if (d.chosen.v == IX_NONE) {
        p->state = why_not(c, &p->req, &d);
        engine_message(e, &d, &ask, text);
        return keep_reason(r, p, text, err);
    }
    buf_printf(text,
               d.n_feasible == 1 ? "the only node that fits, of %u"
                                 : "best of %u nodes that fit, of %u",
               d.n_feasible == 1 ? d.n_asked : d.n_feasible, d.n_asked);
    p->node = d.chosen;
    p->state = PLACED_ON_NODE;
    rc = keep_reason(r, p, text, err);
    pod_ix row;
    if (rc == 0 && cluster_assume(c, &p->req, d.chosen, &row, err) != 0) {
        rc = err_context(err, "pod %.*s", STR_ARG(p->pod));
    }
    return rc;
}

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void count_bound(const struct cluster *c, struct replay *r, int32_t *ret_lowest)
{
    *ret_lowest = INT32_MAX;
    for (uint32_t i = 0; i < c->n_pod_rows; i++) {
        const struct pod_row *row = &c->pod[i];
        if (!row->live || (row->node.v == IX_NONE && !row->req.bound)) {
            continue;
        }
        r->bound++;
        int32_t priority = cluster_class(c, row->req.cls)->priority;
        *ret_lowest = priority < *ret_lowest ? priority : *ret_lowest;
    }
}

static void count_preempt_wanted(const struct cluster *c, struct replay *r, int32_t lowest)
{
    for (size_t i = 0; i < r->placements.n; i++) {
        const struct placement *p = &r->placements.p[i];
        const struct pod_class *cls = cluster_class(c, p->req.cls);
        if (p->node.v != IX_NONE) {
            lowest = cls->priority < lowest ? cls->priority : lowest;
        }
    }
    for (size_t i = 0; i < r->placements.n; i++) {
        const struct pod_class *cls = cluster_class(c, r->placements.p[i].req.cls);
        if (r->placements.p[i].state == PLACED_PENDING && cls->preemption == PREEMPT_LOWER &&
            cls->priority > lowest) {
            r->preempt_wanted++;
        }
    }
}

static int place_all(struct world *w, const struct replay_opts *opts, struct replay *r,
                     struct err *err)
{
    struct engine *e = NULL;
    int rc = engine_new(&e, w->cluster, opts->preset, err);
    if (rc != 0) {
        return rc;
    }
    struct buf text CLEANUP_BUF;
    buf_init(&text, MESSAGE_MAX);
    double start = now_s();
    for (size_t i = 0; rc == 0 && i < r->placements.n; i++) {
        rc = place_one(w->cluster, e, opts, r, i, &text, err);
    }
    r->wall_s = now_s() - start;
    engine_stats(e, &r->stats);
    engine_free(e);
    return rc;
}

int replay_run(struct world *w, const struct replay_opts *opts, struct replay *ret, struct err *err)
{
    candidate_list list = {0};
    int32_t lowest = INT32_MAX;
    *ret = (struct replay){0};
    arena_init(&ret->arena, REPLAY_ARENA_MAX);
    int rc = collect(w, opts->repack, &list, err);
    if (rc == 0) {
        rc = lift_out(w, &list, ret, err);
    }
    VEC_DONE(&list);
    if (rc == 0) {
        count_bound(w->cluster, ret, &lowest);
        rc = place_all(w, opts, ret, err);
    }
    if (rc == 0) {
        count_preempt_wanted(w->cluster, ret, lowest);
    }
    return rc;
}

void replay_done(struct replay *r)
{
    VEC_DONE(&r->placements);
    arena_done(&r->arena);
}
