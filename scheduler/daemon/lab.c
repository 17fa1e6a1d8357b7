// SPDX-License-Identifier: Apache-2.0
#include "daemon/lab.h"

#include "base/limits.h"
#include "wire/k8s.h"

void lab_init(struct lab *l, struct state *st)
{
    *l = (struct lab){.st = st};
    (void)pthread_mutex_init(&l->lock, NULL);
}

void lab_close(struct lab *l)
{
    if (l->open && !l->live) {
        model_set_close(&l->m);
    }
    l->open = false;
    l->pods.n = 0;
}

void lab_done(struct lab *l)
{
    lab_close(l);
    VEC_DONE(&l->pods);
    (void)pthread_mutex_destroy(&l->lock);
}

/* A reservation as it is copied out from under the state's lock. */
struct wanted {
    uint64_t seq;
    struct pod_key key;
    struct str pod_json, node;
};
struct wanted_list {
    struct wanted *p;
    uint32_t n, missing;
};

static bool counts(const struct decision_record *r, uint64_t seq, struct pod_key except)
{
    return r->reserved && r->seq < seq && (r->released_seq == 0 || r->released_seq > seq) &&
           (r->key.a != except.a || r->key.b != except.b);
}

/* Reservations that still hold but whose record is gone. */
static uint32_t count_missing(struct state *st)
{
    uint32_t n = 0;
    for (uint32_t at = st->reserve.first; at != RESERVE_NONE; at = st->reserve.p[at].after) {
        n += decisions_get(&st->decisions, st->reserve.p[at].seq) == NULL;
    }
    return n;
}

static int copy_wanted(struct state *st, uint64_t seq, struct pod_key except, struct arena *arena,
                       struct wanted_list *ret, struct err *err)
{
    const struct decisions *d = &st->decisions;
    uint32_t n = 0;
    for (uint64_t s = d->first; s < d->next && s < seq; s++) {
        n += counts(&d->p[s % DECISIONS_MAX], seq, except);
    }
    ret->p = arena_alloc(arena, (n + 1) * sizeof *ret->p);
    if (!ret->p) {
        return err_nomem(err);
    }
    for (uint64_t s = d->first; s < d->next && s < seq; s++) {
        const struct decision_record *r = &d->p[s % DECISIONS_MAX];
        if (!counts(r, seq, except)) {
            continue;
        }
        struct wanted w = {s, r->key, arena_str(arena, r->pod_json), arena_str(arena, r->chosen)};
        if (!w.pod_json.p || !w.node.p) {
            return err_nomem(err);
        }
        ret->p[ret->n++] = w;
    }
    ret->missing = count_missing(st);
    return 0;
}

static bool hold(struct lab *l, uint64_t seq)
{
    for (size_t i = 0; i < l->pods.n; i++) {
        if (l->pods.p[i].seq == seq) {
            l->pods.p[i].wanted = true;
            return true;
        }
    }
    return false;
}

static void forget_unwanted(struct lab *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->pods.n; i++) {
        if (l->pods.p[i].wanted) {
            l->pods.p[n++] = l->pods.p[i];
        } else {
            state_forget(&l->st->reserve, &l->m, l->pods.p[i].key, l->pods.p[i].row);
        }
    }
    l->pods.n = n;
}

static int add(struct lab *l, const struct wanted *w, struct arena *arena, uint32_t *missing,
               struct err *err)
{
    struct pod_desc pod;
    struct pod_req req;
    struct lab_pod p = {.seq = w->seq, .key = w->key, .wanted = true};
    struct err ignored = ERR_NONE;
    node_ix node = cluster_find_node(l->m.c, w->node);
    if (node.v == IX_NONE || w->pod_json.n == 0 ||
        k8s_decode_pod(w->pod_json, arena, &pod, &ignored) != 0 ||
        cluster_compile_pod(l->m.c, &pod, arena, &req, &ignored) != 0 ||
        cluster_assume(l->m.c, &req, node, &p.row, &ignored) != 0) {
        if (ignored.code == -ENOMEM) {
            return err_nomem(err);
        }
        (*missing)++;
        return 0;
    }
    if (VEC_PUSH(&l->pods, p, DECISIONS_MAX) != 0) {
        cluster_forget(l->m.c, p.row);
        return err_nomem(err);
    }
    return 0;
}

static int open_model(struct lab *l, struct err *err)
{
    struct live *live = state_live(l->st);
    int rc = 0;
    if (l->open && l->m.live != live) {
        rc = model_set_apply(&l->m, live, err);
    } else if (!l->open) {
        rc = model_set_open(&l->m, l->st->source, live, NULL, err);
        l->open = rc == 0;
    }
    live_drop(live);
    return rc;
}

int lab_sync(struct lab *l, uint64_t seq, struct pod_key except, struct arena *arena,
             uint32_t *ret_missing, struct err *err)
{
    struct wanted_list w = {0};
    if (l->live) {
        lab_rewind(l, seq, except);
        *ret_missing = 0;
        return 0;
    }
    int rc = open_model(l, err);
    if (rc != 0) {
        return rc;
    }
    (void)state_lock(l->st, 0);
    rc = copy_wanted(l->st, seq, except, arena, &w, err);
    state_unlock(l->st);
    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; i < l->pods.n; i++) {
        l->pods.p[i].wanted = false;
    }
    uint32_t missing = w.missing, n = 0;
    for (uint32_t i = 0; i < w.n; i++) {
        if (!hold(l, w.p[i].seq)) {
            w.p[n++] = w.p[i];
        }
    }
    forget_unwanted(l);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        rc = add(l, &w.p[i], arena, &missing, err);
    }
    *ret_missing = missing;
    return rc;
}
