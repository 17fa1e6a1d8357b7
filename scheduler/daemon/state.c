// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "daemon/state.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "base/limits.h"
#include "daemon/clock.h"
#include "daemon/log.h"
#include "wire/k8s.h"

#define TRACK_KEEP_MS 900000 /* a pod that was not asked about for this long is forgotten */

static void warn_loaded(const char *text, uint64_t count)
{
    LOG_WARN("Did not take over a part of the snapshot", KV_C("what", text), KV_I("count", count));
}

/* What a request must know before it has the lock. */
static void publish(struct state *st)
{
    atomic_store(&st->budget_ms, st->live->s.decision_budget_ms);
    atomic_store(&st->on_stale, (int)st->live->s.on_stale);
    atomic_store(&st->max_staleness_ms, st->live->s.max_staleness_ms);
}

int state_open(struct state *st, const struct serve_args *args, const struct source *src, struct kube_view *view,
               struct err *err)
{
    *st = (struct state){.source = src, .args = *args, .view = view, .last_reload_ok = true};
    (void)pthread_mutex_init(&st->lock, NULL);
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        seed = (uint64_t)clock_mono_ns();
    }
    int rc = live_read(args, 1, &st->live, err);
    if (rc == 0) {
        rc = reserve_init(&st->reserve, seed, err);
    }
    if (rc == 0) {
        rc = decisions_init(&st->decisions, err);
    }
    if (rc == 0) {
        rc = model_set_open(&st->main, src, st->live, warn_loaded, err);
    }
    if (rc != 0) {
        state_close(st);
        return rc;
    }
    publish(st);
    metric_set(METRIC_CONFIG_SUCCESS, 0, 1);
    metric_set(METRIC_CONFIG_GENERATION, 0, 1);
    return 0;
}

void state_close(struct state *st)
{
    model_set_close(&st->main);
    model_set_close(&st->whole);
    reserve_done(&st->reserve);
    decisions_done(&st->decisions);
    live_drop(st->live);
    st->live = NULL;
    (void)pthread_mutex_destroy(&st->lock);
}

bool state_lock(struct state *st, int64_t deadline_ns)
{
    if (deadline_ns == 0) {
        return pthread_mutex_lock(&st->lock) == 0;
    }
#ifdef __SANITIZE_THREAD__ /* it does not know pthread_mutex_clocklock */
    deadline_ns += clock_wall_ms() * 1000000 - clock_mono_ns();
    struct timespec t = {.tv_sec = deadline_ns / 1000000000, .tv_nsec = deadline_ns % 1000000000};
    return pthread_mutex_timedlock(&st->lock, &t) == 0;
#else
    struct timespec t = {.tv_sec = deadline_ns / 1000000000, .tv_nsec = deadline_ns % 1000000000};
    return pthread_mutex_clocklock(&st->lock, CLOCK_MONOTONIC, &t) == 0;
#endif
}

void state_unlock(struct state *st)
{
    (void)pthread_mutex_unlock(&st->lock);
}

bool state_is_stale(struct state *st)
{
    int64_t age_ms = st->view ? kube_view_age_ms(st->view, clock_mono_ms()) : 0;
    return age_ms < 0 || age_ms > atomic_load(&st->max_staleness_ms);
}

struct live *state_live(struct state *st)
{
    (void)state_lock(st, 0);
    struct live *l = live_hold(st->live);
    state_unlock(st);
    return l;
}

static int apply(struct state *st, struct live *live, struct err *err)
{
    int rc = model_set_apply(&st->main, live, err);
    if (rc == 0 && st->has_whole) {
        rc = model_set_apply(&st->whole, live, err);
        if (rc != 0) { /* it is made again when it is asked for */
            model_set_close(&st->whole);
            st->has_whole = false;
            rc = 0;
        }
    }
    return rc;
}

int state_reload(struct state *st, struct live *live, struct err *err)
{
    (void)state_lock(st, 0);
    int rc = apply(st, live, err);
    if (rc == 0) {
        live_drop(st->live);
        st->live = live_hold(live);
        publish(st);
    }
    state_unlock(st);
    return rc;
}

/* A newer pod of the same name may have taken the row over: only the pod itself is forgotten. */
void state_forget(const struct reserve *r, struct model_set *m, struct pod_key want, pod_ix row)
{
    const struct cluster *c = m->c;
    if (row.v == IX_NONE || row.v >= c->n_pod_rows || !c->pod[row.v].live || !c->pod[row.v].assumed) {
        return;
    }
    const struct pod_req *q = &c->pod[row.v].req;
    struct pod_key key = reserve_key(r, sym_str(c->syms, q->uid), sym_str(c->syms, q->ns), sym_str(c->syms, q->name));
    if (key.a == want.a && key.b == want.b) {
        cluster_forget(m->c, row);
    }
}

void state_release(struct state *st, uint32_t track, enum metric_reservation event, uint64_t seq)
{
    struct track *t = &st->reserve.p[track];
    state_forget(&st->reserve, &st->main, t->key, t->row);
    if (st->has_whole) {
        state_forget(&st->reserve, &st->whole, t->key, t->row_whole);
    }
    struct decision_record *r = decisions_get(&st->decisions, t->seq);
    if (r) {
        r->released_seq = seq;
    }
    reserve_unmark(&st->reserve, track);
    metric_add(METRIC_RESERVATIONS, event, 1);
}

/* The same pod on the same node, by name, in the other model; a model that does not know the node is left alone. */
static pod_ix assume_there(struct model_set *m, const struct pod_desc *pod, struct str node, struct arena *scratch)
{
    struct err err = ERR_NONE;
    struct pod_req req;
    pod_ix row = POD_NONE;
    node_ix at = cluster_find_node(m->c, node);
    if (at.v == IX_NONE || cluster_compile_pod(m->c, pod, scratch, &req, &err) != 0 ||
        cluster_assume(m->c, &req, at, &row, &err) != 0) {
        return POD_NONE;
    }
    return row;
}

void state_assume(struct state *st, uint32_t track, const struct pod_desc *pod, const struct pod_req *req, bool whole,
                  node_ix node, uint64_t seq, struct arena *scratch)
{
    struct err err = ERR_NONE;
    struct model_set *m = whole ? &st->whole : &st->main;
    pod_ix row = POD_NONE, other = POD_NONE;
    if (track == RESERVE_NONE || node.v == IX_NONE || cluster_assume(m->c, req, node, &row, &err) != 0) {
        metric_add(METRIC_RESERVATIONS, RESERVATION_FAILED, 1);
        return;
    }
    struct str name = sym_str(m->c->syms, m->c->facts[node.v].name);
    if (whole || st->has_whole) {
        other = assume_there(whole ? &st->main : &st->whole, pod, name, scratch);
    }
    struct track *t = &st->reserve.p[track];
    reserve_mark(&st->reserve, track, clock_mono_ms());
    t->row = whole ? other : row;
    t->row_whole = whole ? row : other;
    t->node = node;
    t->whole = whole;
    t->seq = seq;
    metric_add(METRIC_RESERVATIONS, RESERVATION_MADE, 1);
}

void state_settle(struct state *st, const struct meta_desc *pod, struct str node_name)
{
    uint32_t at = reserve_find(&st->reserve, reserve_key(&st->reserve, pod->uid, pod->ns, pod->name));
    if (at == RESERVE_NONE || !st->reserve.p[at].reserved) {
        return;
    }
    const struct track *t = &st->reserve.p[at];
    const struct cluster *c = t->whole ? st->whole.c : st->main.c;
    bool there = t->node.v != IX_NONE && str_eq(sym_str(c->syms, c->facts[t->node.v].name), node_name);
    state_release(st, at, there ? RESERVATION_BOUND : RESERVATION_ELSEWHERE, st->decisions.next);
}

void state_drop_pod(struct state *st, struct str ns, struct str name)
{
    const struct cluster *c = st->main.c;
    pod_ix row = cluster_find_pod(c, ns, name);
    if (row.v == IX_NONE) {
        return;
    }
    struct pod_key key = reserve_key(&st->reserve, sym_str(c->syms, c->pod[row.v].req.uid), ns, name);
    uint32_t at = reserve_find(&st->reserve, key);
    if (at != RESERVE_NONE && st->reserve.p[at].reserved) {
        state_release(st, at, RESERVATION_DELETED, st->decisions.next);
    }
}

static void forget_node_in(struct state *st, const struct model_set *m, struct str name, bool whole)
{
    node_ix node = cluster_find_node(m->c, name);
    if (node.v != IX_NONE) {
        reserve_forget_node(&st->reserve, node, whole);
        decisions_forget_node(&st->decisions, node, whole);
    }
}

void state_forget_node(struct state *st, struct str name)
{
    forget_node_in(st, &st->main, name, false);
    if (st->has_whole) {
        forget_node_in(st, &st->whole, name, true);
    }
}

void state_expire(struct state *st, uint64_t seq)
{
    int64_t now_ms = clock_mono_ms();
    for (;;) {
        uint32_t at = reserve_expired(&st->reserve, now_ms, st->live->ttl_ms);
        if (at == RESERVE_NONE) {
            break;
        }
        state_release(st, at, RESERVATION_EXPIRED, seq);
    }
    reserve_sweep(&st->reserve, now_ms, TRACK_KEEP_MS);
}

/* Reservations stand in the new model as well, as far as their pods are still on record. */
static void copy_reservations(struct state *st, struct model_set *to)
{
    struct arena scratch;
    arena_init(&scratch, LIMIT_ITEM_ARENA);
    for (uint32_t at = st->reserve.first; at != RESERVE_NONE; at = st->reserve.p[at].after) {
        struct track *t = &st->reserve.p[at];
        const struct decision_record *r = decisions_get(&st->decisions, t->seq);
        struct err err = ERR_NONE;
        struct pod_desc pod;
        arena_reset(&scratch);
        if (r && r->has_pod && k8s_decode_pod(r->pod_json, &scratch, &pod, &err) == 0) {
            t->row_whole = assume_there(to, &pod, r->chosen, &scratch);
        }
    }
    arena_done(&scratch);
}

int state_need_whole(struct state *st, struct err *err)
{
    if (st->has_whole) {
        return 0;
    }
    int rc = model_set_open(&st->whole, st->source, st->live, NULL, err);
    if (rc != 0) {
        return rc;
    }
    st->has_whole = true;
    if (st->view) { /* filled by lists that are made for it */
        st->whole_waits = UINT32_MAX;
        atomic_store(&st->view->relist_wanted, true);
    }
    copy_reservations(st, &st->whole);
    LOG_INFO("Opened a model for requests with whole nodes; nodeCacheCapable: true is the fast mode",
             KV_I("nodes", st->whole.c->n_nodes));
    return 0;
}

void state_update_gauges(struct state *st)
{
    struct engine_stats stats;
    (void)state_lock(st, 0);
    engine_stats(st->main.e, &stats);
    metric_set(METRIC_ENGINE_EVALUATED, 0, (double)stats.nodes_evaluated);
    metric_set(METRIC_ENGINE_REUSED, 0, (double)stats.nodes_reused);
    metric_set(METRIC_CACHE_OBJECTS, KIND_NODES, st->main.c->n_nodes);
    metric_set(METRIC_CACHE_OBJECTS, KIND_PODS, st->main.c->n_pods_live);
    metric_set(METRIC_CACHE_OBJECTS, KIND_RESERVATIONS, st->reserve.n_reserved);
    metric_set(METRIC_CACHE_OBJECTS, KIND_CLASSES, st->main.c->n_classes);
    metric_set(METRIC_CACHE_OBJECTS, KIND_FLEETS, st->main.c->n_fleets);
    metric_set(METRIC_CONFIG_GENERATION, 0, (double)st->live->generation);
    metric_set(METRIC_CONFIG_SUCCESS, 0, st->last_reload_ok ? 1 : 0);
    int64_t age_ms = st->view ? kube_view_age_ms(st->view, clock_mono_ms()) : 0;
    metric_set(METRIC_CACHE_AGE, 0, age_ms < 0 ? -1 : (double)age_ms / 1e3);
    metric_set(METRIC_LOG_DROPPED, 0, (double)log_dropped());
    state_unlock(st);
}
