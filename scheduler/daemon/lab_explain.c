// SPDX-License-Identifier: Apache-2.0
#include "daemon/lab.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/clock.h"
#include "engine/explain.h"
#include "wire/k8s.h"

#define WHAT_IFS 8

/* A record copied out from under the state's lock; nodes by name, because rows are the model's own. */
struct copy {
    struct decision_record r;
    struct str *asked, *last;
    uint64_t generation_now;
    bool live;
};

static int copy_names(struct model_set *m, const node_ix *nodes, uint32_t n, struct arena *a,
                      struct str **ret)
{
    *ret = arena_alloc(a, (n + 1) * sizeof **ret);
    for (uint32_t i = 0; *ret && i < n; i++) {
        (*ret)[i] = arena_str(
            a, nodes[i].v == IX_NONE ? STR("") : sym_str(m->c->syms, m->c->facts[nodes[i].v].name));
        if (!(*ret)[i].p) {
            return -ENOMEM;
        }
    }
    return *ret ? 0 : -ENOMEM;
}

static int copy_record(struct state *st, struct str ns, struct str name, struct arena *a,
                       struct copy *ret, struct err *err)
{
    const struct decision_record *r = decisions_find(&st->decisions, ns, name);
    if (!r) {
        return err_set(err, -ENOENT, "no decision about pod " STR_FMT "/" STR_FMT " is on record",
                       STR_ARG(ns), STR_ARG(name));
    }
    ret->r = *r;
    ret->generation_now = st->live->generation;
    struct model_set *m = r->whole ? &st->whole : &st->main;
    struct str *texts[] = {&ret->r.ns,     &ret->r.name,      &ret->r.pod_json,
                           &ret->r.chosen, &ret->r.runner_up, &ret->r.unknown};
    for (size_t i = 0; i < SP_COUNTOF(texts); i++) {
        *texts[i] = arena_str(a, *texts[i]);
        if (!texts[i]->p) {
            return err_nomem(err);
        }
    }
    if (r->whole && !st->has_whole) {
        return err_set(err, -ENOENT, "the nodes of that decision are not on record any more");
    }
    if (copy_names(m, r->nodes, r->n_nodes, a, &ret->asked) != 0 ||
        copy_names(m, r->last, r->n_last, a, &ret->last) != 0) {
        return err_nomem(err);
    }
    return 0;
}

/* The record's nodes in model m; names that it does not know are left out. */
static uint32_t find_nodes(const struct model_set *m, const struct str *names, uint32_t n,
                           node_ix *ret)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < n; i++) {
        node_ix node = cluster_find_node(m->c, names[i]);
        if (node.v != IX_NONE) {
            ret[found++] = node;
        }
    }
    return found;
}

static int by_name(const void *a, const void *b)
{
    const struct explain_node *x = a, *y = b;
    return str_cmp(x->name, y->name);
}

/* Names that the cache does not know were asked too: they stand in the list, feasible and without numbers. */
static int add_unknown(struct explanation *x, struct str unknown, uint32_t n, struct err *err)
{
    if (n == 0 || unknown.n == 0) {
        return 0;
    }
    struct explain_node *nodes = arena_calloc(&x->arena, x->n_nodes + n, sizeof *nodes);
    if (!nodes) {
        return err_nomem(err);
    }
    if (x->n_nodes > 0) {
        memcpy(nodes, x->nodes, x->n_nodes * sizeof *nodes);
    }
    uint32_t k = x->n_nodes;
    for (uint32_t i = 0; i < n && unknown.n > 0; i++) {
        struct str name = arena_str(&x->arena, str_cut(&unknown, '\0'));
        if (!name.p) {
            return err_nomem(err);
        }
        nodes[k++] = (struct explain_node){.node = NODE_NONE, .name = name, .feasible = true};
    }
    qsort(nodes, k, sizeof *nodes, by_name);
    x->nodes = nodes;
    x->n_nodes = k;
    return 0;
}

static int add_inputs(struct explanation *x, const struct copy *c, bool moved, uint32_t missing,
                      struct err *err)
{
    struct policy_input *in = arena_calloc(&x->arena, x->n_inputs + 2, sizeof *in);
    if (!in) {
        return err_nomem(err);
    }
    if (x->n_inputs > 0) {
        memcpy(in, x->inputs, x->n_inputs * sizeof *in);
    }
    struct policy_input *d = &in[x->n_inputs++];
    d->name = "decision";
    d->age_s = (double)(clock_wall_ms() - c->r.wall_ms) / 1e3;
    d->fallback = moved || c->r.result == RESULT_FALLBACK;
    (void)snprintf(
        d->source, sizeof d->source, "record %llu of this process%s", (unsigned long long)c->r.seq,
        c->r.result == RESULT_FALLBACK ? "; answered by the fallback, terms are of now"
        : moved ? "; the state has moved on since: chosen is the record's, terms are of now"
                : "; terms made again on the state of the decision");
    struct policy_input *s = &in[x->n_inputs++];
    s->name = "cluster";
    s->age_s = 0;
    s->fallback = missing > 0;
    (void)snprintf(s->source, sizeof s->source,
                   missing > 0 ? "%s; %u reservations are not on record any more" : "%s",
                   c->live ? "watch" : "snapshot", missing);
    x->inputs = in;
    return 0;
}

/* The record is what was answered: where the evaluation differs, the record's choice stands and the difference is said. */
static int settle(struct explanation *x, const struct copy *c, uint32_t missing, struct err *err)
{
    bool moved = c->generation_now != c->r.generation;
    if (c->r.result != RESULT_FALLBACK && !str_eq(x->chosen, c->r.chosen)) {
        moved = moved || c->r.result != RESULT_UNKNOWN_NODE;
        x->chosen = arena_str(&x->arena, c->r.chosen);
        struct str *best = arena_alloc(&x->arena, sizeof *best);
        if (!x->chosen.p || !best) {
            return err_nomem(err);
        }
        best[0] = x->chosen;
        x->best = best;
        x->n_best = x->chosen.n > 0 ? 1 : 0;
        x->runner_up = arena_str(&x->arena, c->r.runner_up);
        if (!x->runner_up.p) {
            return err_nomem(err);
        }
        x->runner_total = c->r.runner_total;
        x->behind_by = (double)(c->r.runner_total - c->r.total) / 1e9;
        if (c->r.result == RESULT_UNKNOWN_NODE) {
            x->decided_by = STR("only");
            x->message = STR("");
        }
    }
    x->decided_ms = c->r.wall_ms;
    int rc = add_inputs(x, c, moved, missing, err);
    return rc == 0 ? add_unknown(x, c->r.unknown, c->r.n_unknown, err) : rc;
}

static int explain_on(struct model_set *m, const struct copy *c, bool what_ifs, uint32_t missing,
                      struct arena *a, struct buf *out, struct err *err)
{
    struct pod_desc pod;
    struct pod_req req;
    struct explanation x = {0};
    node_ix *nodes = arena_alloc(a, (c->r.n_nodes + 1) * sizeof *nodes), last[RESERVE_FAILS];
    if (!nodes) {
        return err_nomem(err);
    }
    if (!c->r.has_pod) {
        return err_set(err, -ENOENT, "the pod of that decision was too large to be kept");
    }
    int rc = k8s_decode_pod(c->r.pod_json, a, &pod, err);
    if (rc == 0) {
        rc = cluster_compile_pod(m->c, &pod, a, &req, err);
    }
    if (rc != 0) {
        return rc;
    }
    struct ask ask = {.pod = &req,
                      .nodes = nodes,
                      .n_nodes = find_nodes(m, c->asked, c->r.n_nodes, nodes),
                      .judge = c->live ? JUDGE_LIVE : JUDGE_SNAPSHOT,
                      .has_time = true,
                      .now_ms = c->r.now_ms,
                      .waited_ms = c->r.waited_ms,
                      .last = last,
                      .n_last = find_nodes(m, c->last, c->r.n_last, last)};
    char full[600];
    (void)snprintf(full, sizeof full, STR_FMT "/" STR_FMT, STR_ARG(c->r.ns), STR_ARG(c->r.name));
    pod_ix row = pod.meta.uid.n > 0 ? cluster_find_pod_uid(m->c, pod.meta.uid)
                                    : cluster_find_pod(m->c, pod.meta.ns, pod.meta.name);
    bool lifted = row.v != IX_NONE && m->c->pod[row.v].live && m->c->pod[row.v].node.v != IX_NONE;
    if (lifted) {
        cluster_lift(m->c, row);
    }
    struct explain_opts opts = {.what_ifs = what_ifs, .max_what_ifs = WHAT_IFS};
    rc = explain_make(m->e, m->c, &ask, str_c(full), &opts, &x, err);
    if (lifted) {
        struct err ignored = ERR_NONE;
        int back = cluster_unlift(m->c, row, &ignored);
        rc = rc == 0 && back != 0 ? err_nomem(err) : rc;
    }
    if (rc == 0) {
        rc = settle(&x, c, missing, err);
        if (rc == 0) {
            explain_write_json(&x, out);
        }
        explain_done(&x);
    }
    return rc;
}

struct question {
    struct str ns, name;
};

static int explain_live(struct lab *l, void *arg, struct arena *arena, struct buf *out,
                        struct err *err)
{
    const struct question *q = arg;
    return lab_explain(l, q->ns, q->name, arena, out, err);
}

int lab_explain(struct lab *l, struct str ns, struct str name, struct arena *arena, struct buf *out,
                struct err *err)
{
    struct copy c = {.live = l->live};
    uint32_t missing = 0;
    if (l->st->view && !l->live) {
        return lab_ask_child(l, explain_live, &(struct question){ns, name}, arena, out, err);
    }
    (void)state_lock(l->st, 0);
    int rc = copy_record(l->st, ns, name, arena, &c, err);
    if (rc == 0 && c.r.whole) { /* these nodes stand in that model only */
        rc = explain_on(&l->st->whole, &c, false, 0, arena, out, err);
        state_unlock(l->st);
        return rc;
    }
    state_unlock(l->st);
    if (rc != 0) {
        return rc;
    }
    (void)pthread_mutex_lock(&l->lock);
    rc = lab_sync(l, c.r.seq, c.r.key, arena, &missing, err);
    if (rc == 0) {
        rc = explain_on(&l->m, &c, true, missing, arena, out, err);
    }
    if (rc == -ENOMEM) {
        lab_close(l);
    }
    (void)pthread_mutex_unlock(&l->lock);
    return rc;
}
