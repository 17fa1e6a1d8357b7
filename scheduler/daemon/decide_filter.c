// SPDX-License-Identifier: Apache-2.0
#include "daemon/decide_impl.h"

#include <errno.h>
#include <stdatomic.h>

#include "daemon/clock.h"
#include "daemon/log.h"

#define HASH_A                 0x6e6f646573757365u
#define HASH_B                 0x77686f6c65646174u
#define UNKNOWN_SLOTS_PER_NAME 2

static bool over_budget(void *arg)
{
    const struct decide *x = arg;
    return clock_mono_ns() > x->deadline_ns;
}

/* ---- names ---- */

static int collect_names(struct decide *x, struct err *err)
{
    const struct extender_args *a = x->args;
    x->whole = !a->has_names && a->has_nodes;
    x->n_names = x->whole ? a->n_nodes : a->n_names;
    x->names = a->names;
    if (x->whole) {
        x->names = arena_alloc(x->arena, (x->n_names + 1) * sizeof *x->names);
        for (uint32_t i = 0; x->names && i < x->n_names; i++) {
            x->names[i] = a->nodes[i].meta.name;
        }
    }
    x->nodes = arena_alloc(x->arena, (x->n_names + 1) * sizeof *x->nodes);
    x->pos = arena_alloc(x->arena, (x->n_names + 1) * sizeof *x->pos);
    x->unknown = arena_alloc(x->arena, (x->n_names + 1) * sizeof *x->unknown);
    return (x->names || x->n_names == 0) && x->nodes && x->pos && x->unknown ? 0 : err_nomem(err);
}

/* Unknown names stand once too; a table in the arena, made at the first unknown. */
struct once {
    uint32_t *slots;
    uint32_t mask;
};

static int note_unknown(struct decide *x, struct once *o, uint32_t i, uint32_t *ret_duplicates,
                        struct err *err)
{
    if (!o->slots) {
        uint32_t n = 16;
        while (n < x->n_names * UNKNOWN_SLOTS_PER_NAME) {
            n *= 2;
        }
        o->slots = arena_calloc(x->arena, n, sizeof *o->slots);
        o->mask = n - 1;
        if (!o->slots) {
            return err_nomem(err);
        }
    }
    uint32_t at = (uint32_t)str_hash(x->names[i], HASH_A, x->st->reserve.key0) & o->mask;
    for (; o->slots[at] != 0; at = (at + 1) & o->mask) {
        if (str_eq(x->names[o->slots[at] - 1], x->names[i])) {
            (*ret_duplicates)++;
            return 0;
        }
    }
    o->slots[at] = i + 1;
    x->unknown[x->n_unknown++] = i;
    return 0;
}

static int map_names(struct decide *x, struct err *err)
{
    struct model_set *m = x->m;
    struct once once = {0};
    node_ix before = NODE_NONE;
    uint32_t duplicates = 0;
    int rc = model_set_rows(m, err);
    if (rc != 0) {
        return rc;
    }
    if (++m->tick == 0) {
        memset(m->seen, 0, m->n_rows * sizeof *m->seen);
        m->tick = 1;
    }
    for (uint32_t i = 0; i < x->n_names; i++) {
        node_ix node = cluster_find_node_hint(m->c, x->names[i], before, m->ring);
        if (node.v == IX_NONE) {
            rc = note_unknown(x, &once, i, &duplicates, err);
            if (rc != 0) {
                return rc;
            }
            continue;
        }
        before = node;
        if (m->seen[node.v] == m->tick) {
            duplicates++;
            continue;
        }
        m->seen[node.v] = m->tick;
        x->nodes[x->n_nodes] = node;
        x->pos[x->n_nodes++] = i;
    }
    metric_add(METRIC_DUPLICATE_NAMES, 0, duplicates);
    metric_add(METRIC_UNKNOWN_NODES, 0, x->n_unknown);
    return 0;
}

/* The request's own node objects become the model's, as far as their bytes have changed. */
static int take_nodes(struct decide *x, struct err *err)
{
    struct model_set *m = x->m;
    const struct extender_args *a = x->args;
    for (uint32_t i = 0; i < a->n_nodes; i++) {
        struct str json = a->nodes_json[i];
        struct whole_hash h = {str_hash(json, HASH_A, x->st->reserve.key0), json.n};
        node_ix node = cluster_find_node(m->c, a->nodes[i].meta.name);
        if (node.v != IX_NONE && node.v < m->n_rows && m->hashes[node.v].a == h.a &&
            m->hashes[node.v].b == h.b) {
            continue;
        }
        int rc = cluster_upsert_node(m->c, &a->nodes[i], &node, err);
        if (rc == 0) {
            rc = model_set_rows(m, err);
        }
        if (rc != 0) {
            return err_context(err, "Nodes.items[%u]", i);
        }
        m->hashes[node.v] = h;
    }
    return 0;
}

/* ---- the pod ---- */

static void lift_itself(struct decide *x)
{
    struct cluster *c = x->m->c;
    const struct meta_desc *meta = &x->args->pod.meta;
    pod_ix p = meta->uid.n > 0 ? cluster_find_pod_uid(c, meta->uid)
                               : cluster_find_pod(c, meta->ns, meta->name);
    if (p.v != IX_NONE && c->pod[p.v].live && !c->pod[p.v].assumed &&
        c->pod[p.v].node.v != IX_NONE) {
        cluster_lift(c, p);
        x->lifted = p;
    }
}

static void unlift_itself(struct decide *x)
{
    struct err err = ERR_NONE;
    if (x->lifted.v != IX_NONE && cluster_unlift(x->m->c, x->lifted, &err) != 0) {
        LOG_ERROR("Lost count of a bound pod", KV_S("pod", x->args->pod.meta.name),
                  KV_C("err", err.text));
    }
    x->lifted = POD_NONE;
}

/* What is remembered of the pod: since when it waits, its reservation, the nodes that failed it. */
static void recall(struct decide *x, struct track *ret_old)
{
    struct state *st = x->st;
    struct pod_key key = reserve_key(&st->reserve, x->args->pod.meta.uid, x->args->pod.meta.ns,
                                     x->args->pod.meta.name);
    int64_t now_ms = clock_mono_ms();
    x->track = reserve_touch(&st->reserve, key, now_ms);
    *ret_old = (struct track){0};
    if (x->track == RESERVE_NONE) {
        return;
    }
    struct track *t = &st->reserve.p[x->track];
    x->ask.waited_ms = now_ms - t->first_ms;
    if (t->reserved) {
        if (x->verb == VERB_FILTER) {
            (void)reserve_fail(t, t->node, t->whole);
        }
        *ret_old = *t;
        state_release(st, x->track, RESERVATION_REPLACED, x->seq);
    }
    for (size_t i = 0; i < RESERVE_FAILS; i++) {
        const struct track_fail *f = &t->fails[i];
        if (f->count >= 2 && f->whole == x->whole && f->node.v < x->m->n_rows &&
            x->m->seen[f->node.v] == x->m->tick) {
            x->last[x->n_last++] = f->node;
        }
    }
    metric_add(METRIC_NODES_BACK, 0, x->n_last);
}

/* /prioritize behind a filter that has reserved: the reservation stays where it was. */
static void put_back(struct decide *x, const struct track *old)
{
    if (!old->reserved || x->reserve_it || old->whole != x->whole || x->verb != VERB_PRIORITIZE) {
        return;
    }
    state_assume(x->st, x->track, &x->args->pod, &x->req, x->whole, old->node, old->seq, x->arena);
    struct decision_record *r = decisions_get(&x->st->decisions, old->seq);
    if (r) {
        r->released_seq = 0;
    }
}

/* ---- the record ---- */

static struct str join_unknown(struct decide *x)
{
    size_t n = 0;
    for (uint32_t i = 0; i < x->n_unknown; i++) {
        n += x->names[x->unknown[i]].n + 1;
    }
    char *p = n > 0 ? arena_alloc(x->arena, n) : NULL;
    if (!p) {
        return STR_NONE;
    }
    size_t at = 0;
    for (uint32_t i = 0; i < x->n_unknown; i++) {
        struct str s = x->names[x->unknown[i]];
        if (s.n > 0) {
            memcpy(p + at, s.p, s.n);
        }
        at += s.n;
        p[at++] = '\0';
    }
    return (struct str){p, n};
}

static void count_top_reason(const struct decide *x, struct decision_record *r)
{
    uint32_t n[REASON_COUNT] = {0};
    for (uint32_t i = 0; i < x->d.n_asked; i++) {
        n[x->d.verdicts[i].reason < REASON_COUNT ? x->d.verdicts[i].reason : 0]++;
    }
    for (uint32_t i = 1; i < REASON_COUNT; i++) {
        if (n[i] > r->n_top_reason) {
            r->n_top_reason = n[i];
            r->top_reason = (uint16_t)i;
        }
    }
}

static void record(struct decide *x, const struct decided *ret, bool reserved)
{
    struct decision_record r = {
        .seq = x->seq,
        .verb = x->verb,
        .result = ret->result,
        .way = x->way,
        .whole = x->whole,
        .reserved = reserved,
        .generation = x->st->live->generation,
        .wall_ms = clock_wall_ms(),
        .now_ms = x->ask.now_ms,
        .waited_ms = x->ask.waited_ms,
        .took_ns = clock_mono_ns() - x->start_ns,
        .n_asked = x->n_nodes + x->n_unknown,
        .n_unknown = x->n_unknown,
        .nodes = x->nodes,
        .n_nodes = x->n_nodes,
        .last = x->last,
        .n_last = x->n_last,
        .ns = x->args->pod.meta.ns,
        .name = x->args->pod.meta.name,
        .pod_json = x->args->pod_json,
        .unknown = join_unknown(x),
    };
    r.key = reserve_key(&x->st->reserve, x->args->pod.meta.uid, r.ns, r.name);
    if (!ret->fallback) {
        r.n_feasible = x->d.n_feasible;
        r.chosen = x->chosen;
        r.runner_up = x->runner_up;
        r.total = x->d.chosen.v != IX_NONE ? x->d.best.total : 0;
        r.stage = x->d.best.stage;
        if (x->n_top > 1) {
            r.runner_total = x->top[1].total;
            r.runner_stage = x->top[1].stage;
        }
        count_top_reason(x, &r);
    }
    decisions_add(&x->st->decisions, &r);
}

/* ---- the course of it ---- */

static struct str node_name(const struct decide *x, node_ix node)
{
    return sym_str(x->m->c->syms, x->m->c->facts[node.v].name);
}

static void name_result(struct decide *x, const struct decided *ret)
{
    if (x->d.chosen.v != IX_NONE) {
        x->chosen = node_name(x, x->d.chosen);
        x->n_top = engine_top(x->m->e, &x->d, x->top, 2);
        if (x->n_top > 1) {
            x->runner_up = node_name(x, x->top[1].node);
        }
    } else if (ret->n_keep > 0) {
        x->chosen = x->names[ret->keep[0]];
    } else if (ret->n_scores > 0) {
        x->chosen = ret->scores[0].host;
    }
}

static int prepare(struct decide *x, struct err *err)
{
    int rc = 0;
    x->m = &x->st->main;
    if (x->whole) {
        rc = state_need_whole(x->st, err);
        if (rc == 0 && x->st->whole_waits != 0) {
            return -EAGAIN;
        }
        x->m = &x->st->whole;
        if (rc == 0) {
            rc = take_nodes(x, err);
        }
        /* The objects must be taken over whatever the answer is: the budget is for the decision. */
        x->deadline_ns = clock_mono_ns() + x->m->live->s.decision_budget_ms * 1000000;
    }
    if (rc == 0) {
        rc = map_names(x, err);
    }
    if (rc == 0) {
        rc = cluster_compile_pod(x->m->c, &x->args->pod, x->arena, &x->req, err);
    }
    return rc;
}

static int decide_locked(struct decide *x, struct decided *ret, struct err *err)
{
    struct state *st = x->st;
    struct track old;
    x->seq = st->decisions.next;
    x->way = st->live->decide;
    state_expire(st, x->seq);
    int rc = prepare(x, err);
    if (rc == -EAGAIN) { /* the whole-node model knows no pods yet */
        return decide_fallback(x, st->live->s.on_stale, ret, err);
    }
    if (rc != 0) {
        return rc;
    }
    x->ask = (struct ask){.pod = &x->req,
                          .nodes = x->nodes,
                          .n_nodes = x->n_nodes,
                          .judge = st->view ? JUDGE_LIVE : JUDGE_SNAPSHOT,
                          .has_time = true,
                          .now_ms = model_set_now_ms(x->m),
                          .last = x->last,
                          .over_budget = over_budget,
                          .over_arg = x};
    recall(x, &old);
    x->ask.n_last = x->n_last;
    lift_itself(x);
    rc = engine_decide(x->m->e, &x->ask, &x->d, err);
    if (rc == 0 && x->d.over_budget) {
        unlift_itself(x);
        rc = decide_fallback(x, st->live->s.on_stale, ret, err);
    } else if (rc == 0) {
        rc = decide_answer(x, ret, err);
        name_result(x, ret);
        x->reserve_it = x->reserve_it && x->lifted.v == IX_NONE && st->live->ttl_ms > 0;
        unlift_itself(x);
    } else {
        unlift_itself(x);
    }
    if (rc != 0) {
        return rc;
    }
    if (x->reserve_it) {
        state_assume(st, x->track, &x->args->pod, &x->req, x->whole, x->d.chosen, x->seq, x->arena);
    }
    record(x, ret, x->reserve_it);
    put_back(x, &old);
    return 0;
}

static void tell_fallback(const struct decide *x, const struct decided *ret)
{
    static struct log_limit limit;
    uint64_t skipped = 0;
    metric_add(METRIC_FALLBACKS, ret->on_stale == STALE_REJECT ? POLICY_REJECT : POLICY_PASSTHROUGH,
               1);
    if (log_allowed(&limit, clock_mono_ms(), 1000, &skipped)) {
        LOG_WARN("Answered by the fallback",
                 KV_C("policy", ret->on_stale == STALE_REJECT ? "reject" : "passthrough"),
                 KV_S("pod", x->args->pod.meta.name), KV_I("candidates", x->n_names),
                 KV_I("skipped", skipped));
    }
}

int decide_request(struct state *st, const struct extender_args *args, enum metric_verb verb,
                   struct arena *arena, struct decided *ret, struct err *err)
{
    struct decide x = {.st = st,
                       .args = args,
                       .verb = verb,
                       .arena = arena,
                       .lifted = POD_NONE,
                       .track = RESERVE_NONE};
    *ret = (struct decided){0};
    x.start_ns = clock_mono_ns();
    x.deadline_ns = x.start_ns + atomic_load(&st->budget_ms) * 1000000;
    x.d.chosen = NODE_NONE;
    int rc = collect_names(&x, err);
    if (rc != 0 || x.n_names == 0) {
        return rc; /* an empty list is answered by an empty list */
    }
    metric_observe(METRIC_CANDIDATES, verb, x.n_names);
    metric_add(METRIC_DUPLICATE_KEYS, 0, args->n_duplicate_keys);
    if (state_is_stale(st)) {
        rc = decide_fallback(&x, (enum stale_answer)atomic_load(&st->on_stale), ret, err);
    } else if (state_lock(st, x.deadline_ns)) {
        rc = decide_locked(&x, ret, err);
        state_unlock(st);
    } else {
        rc = decide_fallback(&x, (enum stale_answer)atomic_load(&st->on_stale), ret, err);
    }
    if (rc != 0) {
        return rc;
    }
    if (ret->fallback) {
        tell_fallback(&x, ret);
    }
    metric_add(METRIC_DECISIONS, ret->result, 1);
    metric_observe(METRIC_DECISION_SECONDS, 0, (double)(clock_mono_ns() - x.start_ns) / 1e9);
    return 0;
}
