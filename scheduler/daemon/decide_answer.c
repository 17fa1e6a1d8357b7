// SPDX-License-Identifier: Apache-2.0
#include "daemon/decide_impl.h"

#include <errno.h>

static const char *insufficient(struct decide *x, uint16_t res, const char **cache)
{
    if (!cache[res % 512]) {
        struct str name = sym_str(x->m->c->syms, x->m->c->res_name[res % 512]);
        char *p = arena_alloc(x->arena, name.n + sizeof "Insufficient ");
        if (!p) {
            return reason_text(REASON_INSUFFICIENT);
        }
        memcpy(p, "Insufficient ", sizeof "Insufficient " - 1);
        memcpy(p + sizeof "Insufficient " - 1, name.p, name.n);
        p[sizeof "Insufficient " - 1 + name.n] = '\0';
        cache[res % 512] = p;
    }
    return cache[res % 512];
}

/* Every refused node with its constant text. */
static int make_rejects(struct decide *x, struct decided *ret, struct err *err)
{
    struct extender_reject *r = arena_alloc(x->arena, (x->n_nodes + 1) * sizeof *r);
    const char **texts = arena_calloc(x->arena, 512, sizeof *texts);
    if (!r || !texts) {
        return err_nomem(err);
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->d.n_asked; i++) {
        const struct verdict *v = &x->d.verdicts[i];
        if (v->reason == REASON_NONE) {
            continue;
        }
        r[n++] = (struct extender_reject){
            .name = x->names[x->pos[i]],
            .reason = v->reason == REASON_INSUFFICIENT ? insufficient(x, v->arg, texts)
                                                       : reason_text((enum reason)v->reason),
            .unresolvable = v->unresolvable != 0,
        };
    }
    ret->rejects = r;
    ret->n_rejects = n;
    return 0;
}

static void count_rejects(const struct decide *x)
{
    uint32_t n[REASON_COUNT] = {0};
    for (uint32_t i = 0; i < x->d.n_asked; i++) {
        n[x->d.verdicts[i].reason < REASON_COUNT ? x->d.verdicts[i].reason : 0]++;
    }
    for (unsigned i = 1; i < REASON_COUNT; i++) {
        if (n[i] > 0) {
            metric_add(METRIC_NODES_REJECTED, i, n[i]);
        }
    }
}

/* The unknown name that comes first by bytes. */
static uint32_t first_unknown(const struct decide *x)
{
    uint32_t best = x->unknown[0];
    for (uint32_t i = 1; i < x->n_unknown; i++) {
        best = str_cmp(x->names[x->unknown[i]], x->names[best]) < 0 ? x->unknown[i] : best;
    }
    return best;
}

/* cooperative: all that passed and all that are unknown, in the order in which they were asked. */
static int keep_all(struct decide *x, struct decided *ret, struct err *err)
{
    uint8_t *kept = arena_calloc(x->arena, x->n_names + 1, 1);
    uint32_t *keep = arena_alloc(x->arena, (x->n_names + 1) * sizeof *keep);
    if (!kept || !keep) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < x->d.n_asked; i++) {
        kept[x->pos[i]] = x->d.verdicts[i].reason == REASON_NONE;
    }
    for (uint32_t i = 0; i < x->n_unknown; i++) {
        kept[x->unknown[i]] = 1;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->n_names; i++) {
        if (kept[i]) {
            keep[n++] = i;
        }
    }
    ret->keep = keep;
    ret->n_keep = n;
    return make_rejects(x, ret, err);
}

static int keep_best(struct decide *x, uint32_t k, struct decided *ret, struct err *err)
{
    uint32_t *keep = arena_alloc(x->arena, (k + 1) * sizeof *keep);
    struct ranked *top = arena_alloc(x->arena, (k + 1) * sizeof *top);
    if (!keep || !top) {
        return err_nomem(err);
    }
    if (x->d.chosen.v == IX_NONE) {
        if (x->n_unknown == 0) {
            ret->keep = keep;
            return make_rejects(x, ret, err);
        }
        keep[0] = first_unknown(x);
        ret->keep = keep;
        ret->n_keep = 1;
        return 0;
    }
    uint32_t n = 1;
    if (k == 1) {
        top[0] = x->d.best;
    } else {
        n = engine_top(x->m->e, &x->d, top, k);
    }
    for (uint32_t i = 0; i < n; i++) {
        keep[i] = x->pos[top[i].at];
    }
    ret->keep = keep;
    ret->n_keep = n;
    return 0;
}

/* Scores: the best alone has 10; who shares its stage and standing is scaled by cost into 0..9; the rest is 0. */
static int make_scores(struct decide *x, struct decided *ret, struct err *err)
{
    struct extender_score *s = arena_alloc(x->arena, (x->d.n_feasible + 1) * sizeof *s);
    if (!s) {
        return err_nomem(err);
    }
    ret->scores = s;
    if (x->d.chosen.v == IX_NONE) {
        if (x->n_unknown > 0) {
            s[0] = (struct extender_score){x->names[first_unknown(x)], 10};
            ret->n_scores = 1;
        }
        return 0;
    }
    const struct ranked *b = &x->d.best;
    int64_t worst = b->total;
    for (uint32_t i = 0; i < x->d.n_feasible; i++) {
        const struct ranked *f = &x->d.feasible[i];
        if (f->stage == b->stage && f->back == b->back && f->full == b->full && f->total > worst) {
            worst = f->total;
        }
    }
    i128 range = (i128)worst - b->total;
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->d.n_feasible; i++) {
        const struct ranked *f = &x->d.feasible[i];
        bool peer = f->stage == b->stage && f->back == b->back && f->full == b->full;
        int32_t score = 0;
        if (f->at == b->at) {
            score = 10;
        } else if (peer) {
            score = range > 0 ? (int32_t)(((i128)worst - f->total) * 9 / range) : 9;
        }
        if (score > 0) {
            s[n++] = (struct extender_score){x->names[x->pos[f->at]], score};
            metric_observe(METRIC_SCORES, 0, score);
        }
    }
    ret->n_scores = n;
    return 0;
}

int decide_answer(struct decide *x, struct decided *ret, struct err *err)
{
    count_rejects(x);
    bool found = x->d.chosen.v != IX_NONE;
    ret->result = found              ? x->d.all_full ? RESULT_FULL_NODE : RESULT_PLACED
                  : x->n_unknown > 0 ? RESULT_UNKNOWN_NODE
                                     : RESULT_NO_NODE;
    if (x->verb == VERB_PRIORITIZE) {
        x->reserve_it = found && x->way == DECIDE_COOPERATIVE;
        return make_scores(x, ret, err);
    }
    if (x->way == DECIDE_COOPERATIVE) {
        int rc = keep_all(x, ret, err);
        x->reserve_it = rc == 0 && found && ret->n_keep == 1;
        return rc;
    }
    x->reserve_it = found;
    int32_t size = x->m->live->s.shortlist_size;
    uint32_t k = x->way == DECIDE_DECISIVE || size < 1 ? 1 : (uint32_t)size;
    return keep_best(x, k < x->n_nodes ? k : x->n_nodes, ret, err);
}

int decide_fallback(struct decide *x, enum stale_answer how, struct decided *ret, struct err *err)
{
    *ret = (struct decided){.result = RESULT_FALLBACK, .fallback = true, .on_stale = how};
    if (x->verb == VERB_PRIORITIZE) {
        return 0; /* no scores: every node alike */
    }
    uint32_t *keep = arena_alloc(x->arena, (x->n_names + 1) * sizeof *keep);
    struct extender_reject *r = arena_alloc(x->arena, (x->n_names + 1) * sizeof *r);
    if (!keep || !r) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < x->n_names; i++) {
        keep[i] = i;
        r[i] = (struct extender_reject){.name = x->names[i], .reason = reason_text(REASON_STALE)};
    }
    ret->keep = keep;
    ret->n_keep = how == STALE_PASSTHROUGH ? x->n_names : 0;
    ret->rejects = r;
    ret->n_rejects = how == STALE_REJECT ? x->n_names : 0;
    return 0;
}
