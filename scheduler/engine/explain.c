// SPDX-License-Identifier: Apache-2.0
#include "engine/explain.h"

#include "engine/explain_impl.h"

#include <stdlib.h>

#define WHAT_IFS_DEFAULT 8
#define INPUTS_MAX       64

static int explain_nomem(const struct explanation *x, struct err *err)
{
    if (x->arena.used_bytes + (1u << 20) > x->arena.max_bytes) {
        return err_set(err, -E2BIG, "an explanation larger than %zu bytes", x->arena.max_bytes);
    }
    return err_nomem(err);
}

static struct str node_name(const struct engine *e, node_ix node)
{
    return sym_str(e->c->syms, e->c->facts[node.v].name);
}

static int name_order(const void *a, const void *b)
{
    return str_cmp(((const struct explain_node *)a)->name, ((const struct explain_node *)b)->name);
}

static int str_order(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static int explain_refused(struct engine *e, const struct verdict *v, struct explanation *x,
                           struct explain_node *out, struct err *err)
{
    struct verdict all[SP_COUNTOF(out->reasons)];
    out->rejected_by = engine_policy(e, v->policy)->name;
    out->unresolvable = v->unresolvable;
    out->n_reasons = engine_reasons(e, out->node, v, all, SP_COUNTOF(all));
    for (uint32_t i = 0; i < out->n_reasons; i++) {
        char text[220];
        out->reasons[i] = arena_str(&x->arena, engine_reason_text(e, &all[i], text, sizeof text));
        if (!out->reasons[i].p) {
            return explain_nomem(x, err);
        }
    }
    return 0;
}

static int explain_terms(struct engine *e, struct explanation *x, struct explain_node *out,
                         struct err *err)
{
    const struct preset *preset = e->preset;
    out->terms = arena_calloc(&x->arena, preset->n_items + 1u, sizeof *out->terms);
    if (!out->terms) {
        return explain_nomem(x, err);
    }
    for (uint32_t at = 0; at < preset->n_items; at++) {
        const struct policy *p = engine_policy(e, at);
        if (e->slots[at].skipped || (!p->explain && !p->cost)) {
            continue;
        }
        struct explain_term *t = &out->terms[out->n_terms++];
        *t = (struct explain_term){.policy = p->name, .t = {.unit = p->unit}};
        if (p->explain) {
            p->explain(engine_ctx(e, at), out->node, &t->t);
        }
        t->t.unit = t->t.unit ? t->t.unit : p->unit;
        if (t->t.unit && strcmp(t->t.unit, POLICY_UNIT_MONEY) == 0) {
            t->t.unit = x->per_session.p; /* the currency by its name */
        }
        t->t.cost_nano = 0;
        if (p->cost) {
            engine_add_cost(e, at, &out->node, 1, &t->t.cost_nano);
        }
    }
    return 0;
}

/* Scores of all feasible nodes, policy by policy: a normalisation looks at all of them. */
static int explain_scores(struct engine *e, struct explanation *x, struct err *err)
{
    uint32_t n = 0;
    node_ix *nodes = arena_calloc(&x->arena, x->n_nodes + 1u, sizeof *nodes);
    struct explain_node **of =
        arena_calloc(&x->arena, x->n_nodes + 1u, sizeof(struct explain_node *));
    int64_t *raw = arena_calloc(&x->arena, x->n_nodes + 1u, sizeof *raw);
    int64_t *norm = arena_calloc(&x->arena, x->n_nodes + 1u, sizeof *norm);
    if (!nodes || !of || !raw || !norm) {
        return explain_nomem(x, err);
    }
    for (uint32_t i = 0; i < x->n_nodes; i++) {
        if (x->nodes[i].feasible) {
            of[n] = &x->nodes[i];
            nodes[n++] = x->nodes[i].node;
            x->nodes[i].scores =
                arena_calloc(&x->arena, e->preset->n_items, sizeof *x->nodes[i].scores);
            if (!x->nodes[i].scores) {
                return explain_nomem(x, err);
            }
        }
    }
    for (uint32_t at = 0; at < e->preset->n_items && n > 0; at++) {
        const struct policy *p = engine_policy(e, at);
        int64_t weight = e->preset->items[at].weight;
        if (e->slots[at].skipped || !p->score || weight == 0) {
            continue;
        }
        memset(raw, 0, n * sizeof *raw);
        p->score(engine_ctx(e, at), nodes, n, raw);
        memcpy(norm, raw, n * sizeof *raw);
        if (p->normalize) {
            p->normalize(engine_ctx(e, at), nodes, n, raw, norm);
        }
        for (uint32_t i = 0; i < n; i++) {
            of[i]->scores[of[i]->n_scores++] =
                (struct explain_score){p->name, raw[i], norm[i], weight, norm[i] * weight};
        }
    }
    return 0;
}

static int explain_nodes(struct engine *e, const struct decision *d, struct explanation *x,
                         struct err *err)
{
    x->nodes = arena_calloc(&x->arena, d->n_asked + 1u, sizeof *x->nodes);
    if (!x->nodes) {
        return explain_nomem(x, err);
    }
    x->n_nodes = d->n_asked;
    for (uint32_t i = 0; i < d->n_asked; i++) {
        x->nodes[i] = (struct explain_node){.node = d->nodes[i], .name = node_name(e, d->nodes[i])};
        x->nodes[i].name = arena_str(&x->arena, x->nodes[i].name);
        int r = x->nodes[i].name.p ? 0 : explain_nomem(x, err);
        if (r == 0 && d->verdicts[i].reason != REASON_NONE) {
            r = explain_refused(e, &d->verdicts[i], x, &x->nodes[i], err);
        }
        if (r < 0) {
            return r;
        }
    }
    for (uint32_t i = 0; i < d->n_feasible; i++) {
        const struct ranked *f = &d->feasible[i];
        struct explain_node *out = &x->nodes[f->at];
        out->feasible = true;
        out->stage = f->stage;
        out->full = f->full;
        out->total = f->total;
        int r = x->rule == RULE_COST ? explain_terms(e, x, out, err) : 0;
        if (r < 0) {
            return r;
        }
    }
    qsort(x->nodes, x->n_nodes, sizeof *x->nodes, name_order);
    return x->rule == RULE_SCORE ? explain_scores(e, x, err) : 0;
}

static const struct explain_node *find_node(const struct engine *e, const struct explanation *x,
                                            node_ix node)
{
    struct explain_node key = {.name = node_name(e, node)};
    return bsearch(&key, x->nodes, x->n_nodes, sizeof key, name_order);
}

/* The term that speaks most for the chosen against the runner-up. */
static const char *largest_term(const struct explanation *x, const struct explain_node *a,
                                const struct explain_node *b)
{
    const char *best = NULL;
    int64_t most = INT64_MIN;
    if (x->rule == RULE_SCORE) {
        for (uint32_t i = 0; i < a->n_scores && i < b->n_scores; i++) {
            int64_t lead = a->scores[i].total - b->scores[i].total;
            if (lead > most) {
                most = lead;
                best = a->scores[i].plugin;
            }
        }
        return best ? best : "total";
    }
    for (uint32_t i = 0; i < a->n_terms && i < b->n_terms; i++) {
        int64_t lead = b->terms[i].t.cost_nano - a->terms[i].t.cost_nano;
        if (lead > most) {
            most = lead;
            best = a->terms[i].policy;
        }
    }
    return best ? best : "total";
}

static double term_value(const struct explain_node *n, const char *policy)
{
    for (uint32_t i = 0; i < n->n_terms; i++) {
        if (strcmp(n->terms[i].policy, policy) == 0) {
            return n->terms[i].t.value;
        }
    }
    return 0;
}

static double in_units(const struct explanation *x, int64_t total)
{
    return x->rule == RULE_COST ? (double)total / 1e9 : (double)total;
}

/* A rank holds two counts, the greater one in its upper half: the difference of the one that decides. */
static double rank_margin(int64_t a, int64_t b)
{
    int64_t upper = (a >> 32) - (b >> 32);
    return (double)(upper != 0 ? upper : a - b);
}

static void decide_by(const struct engine *e, const struct ranked *a, const struct ranked *b,
                      struct explanation *x)
{
    const struct explain_node *na = find_node(e, x, a->node), *nb = find_node(e, x, b->node);
    check(na && nb);
    x->unit = STR("");
    if (a->back != b->back) {
        x->decided_by = STR("retry");
    } else if (a->full != b->full) {
        x->decided_by = STR("full");
    } else if (a->stage != b->stage) {
        const struct policy *p = engine_policy(e, e->stages.at[0]);
        x->decided_by = str_c(p->name);
        x->unit = str_c(p->unit);
        x->margin = term_value(nb, p->name) - term_value(na, p->name);
    } else if (a->total != b->total) {
        x->decided_by = str_c(largest_term(x, na, nb));
        x->margin = in_units(x, x->rule == RULE_COST ? b->total - a->total : a->total - b->total);
        x->unit = x->rule == RULE_COST ? x->per_session : STR("points");
    } else if (a->rank != b->rank) {
        bool seed = x->rule == RULE_RANDOM;
        x->decided_by =
            seed || e->ranks.n == 0 ? STR("seed") : str_c(engine_policy(e, e->ranks.at[0])->name);
        x->margin = seed ? 0 : rank_margin(a->rank, b->rank);
        x->unit = seed ? STR("") : STR("rank");
    } else {
        x->decided_by = STR("name");
    }
}

static int explain_choice(const struct engine *e, const struct decision *d, struct explanation *x,
                          struct err *err)
{
    struct ranked top[2];
    uint32_t n = engine_top(e, d, top, 2);
    x->decided_by = n == 0 ? STR("none") : STR("only");
    x->unit = STR("");
    if (n == 0) {
        return 0;
    }
    x->chosen = arena_str(&x->arena, node_name(e, d->chosen));
    x->best = arena_calloc(&x->arena, d->n_feasible, sizeof *x->best);
    if (!x->best || !x->chosen.p) {
        return explain_nomem(x, err);
    }
    for (uint32_t i = 0; i < d->n_feasible; i++) {
        if (engine_compare_keys(e, &d->feasible[i], &d->best) == 0) {
            const struct explain_node *node = find_node(e, x, d->feasible[i].node);
            x->best[x->n_best++] = node->name;
        }
    }
    qsort(x->best, x->n_best, sizeof *x->best, str_order);
    if (n == 2) {
        const struct explain_node *b = find_node(e, x, top[1].node);
        x->runner_up = b->name;
        x->runner_total = top[1].total;
        int64_t gap =
            x->rule == RULE_COST ? top[1].total - top[0].total : top[0].total - top[1].total;
        x->behind_by = in_units(x, gap);
        decide_by(e, &top[0], &top[1], x);
    }
    return 0;
}

static int explain_inputs(struct engine *e, struct explanation *x, struct err *err)
{
    x->inputs = arena_calloc(&x->arena, INPUTS_MAX, sizeof *x->inputs);
    if (!x->inputs) {
        return explain_nomem(x, err);
    }
    for (uint32_t at = 0; at < e->preset->n_items; at++) {
        const struct policy *p = engine_policy(e, at);
        uint32_t n = 0, room = INPUTS_MAX - x->n_inputs;
        if (p->inputs && !e->slots[at].skipped && room > 0) {
            p->inputs(engine_ctx(e, at), &x->inputs[x->n_inputs], room, &n);
            x->n_inputs += n < room ? n : room;
        }
    }
    return 0;
}

static int explain_not_modelled(const struct engine *e, struct explanation *x, struct err *err)
{
    if (!(e->ctx.cls->flags & CLASS_DRA)) {
        return 0;
    }
    x->not_modelled = arena_calloc(&x->arena, 1, sizeof *x->not_modelled);
    if (!x->not_modelled) {
        return explain_nomem(x, err);
    }
    x->not_modelled[x->n_not_modelled++] =
        (struct not_modelled_item){STR("dynamic resource claims"), 1};
    return 0;
}

static int explain_message(struct engine *e, const struct decision *d, const struct ask *ask,
                           struct explanation *x, struct err *err)
{
    if (d->n_feasible > 0) {
        return 0;
    }
    CLEANUP_BUF struct buf text;
    buf_init(&text, 1u << 20);
    engine_message(e, d, ask, &text);
    if (text.broken) {
        return err_nomem(err);
    }
    x->message = arena_str(&x->arena, buf_view(&text));
    return x->message.p ? 0 : explain_nomem(x, err);
}

static int copy_head(const struct engine *e, struct str pod_name, struct explanation *x,
                     struct err *err)
{
    x->pod = arena_str(&x->arena, pod_name);
    x->policy = str_c(e->preset->name);
    x->dialect = str_c(e->preset->dialect);
    struct str currency = e->c->settings->currency;
    x->currency = arena_str(&x->arena, currency.n ? currency : STR("USD"));
    char *unit = arena_alloc(&x->arena, x->currency.n + sizeof " per session");
    if (unit && x->currency.p) {
        memcpy(unit, x->currency.p, x->currency.n);
        memcpy(unit + x->currency.n, " per session", sizeof " per session");
        x->per_session = str_c(unit);
    }
    x->rule = e->preset->rule;
    return x->pod.p && x->currency.p && x->per_session.p ? 0 : explain_nomem(x, err);
}

static int copy_base(const struct decision *d, struct explanation *x, struct explain_base *ret,
                     struct err *err)
{
    node_ix *nodes = arena_calloc(&x->arena, d->n_asked + 1u, sizeof *nodes);
    struct verdict *verdicts = arena_calloc(&x->arena, d->n_asked + 1u, sizeof *verdicts);
    if (!nodes || !verdicts) {
        return explain_nomem(x, err);
    }
    if (d->n_asked > 0) {
        memcpy(nodes, d->nodes, d->n_asked * sizeof *nodes);
        memcpy(verdicts, d->verdicts, d->n_asked * sizeof *verdicts);
    }
    *ret = (struct explain_base){d->chosen, nodes, verdicts, d->n_asked};
    return 0;
}

static int explain_fill(struct engine *e, struct cluster *c, const struct ask *ask,
                        struct str pod_name, const struct explain_opts *opts, struct explanation *x,
                        struct err *err)
{
    struct decision d;
    struct explain_base base;
    int r = engine_decide_plain(e, ask, &d, err);
    if (r < 0 || (r = copy_head(e, pod_name, x, err)) < 0 ||
        (r = explain_nodes(e, &d, x, err)) < 0 || (r = explain_choice(e, &d, x, err)) < 0 ||
        (r = explain_inputs(e, x, err)) < 0 || (r = explain_not_modelled(e, x, err)) < 0 ||
        (r = explain_message(e, &d, ask, x, err)) < 0 || (r = copy_base(&d, x, &base, err)) < 0) {
        return r;
    }
    x->decided_ms = ask->has_time ? ask->now_ms : 0;
    if (!opts->what_ifs) {
        return 0;
    }
    struct explain_opts o = *opts;
    o.max_what_ifs = o.max_what_ifs ? o.max_what_ifs : WHAT_IFS_DEFAULT;
    return what_if_make(e, c, ask, &base, &o, x, err);
}

int explain_make(struct engine *e, struct cluster *c, const struct ask *ask, struct str pod_name,
                 const struct explain_opts *opts, struct explanation *ret, struct err *err)
{
    check(e->c == c);
    struct ask plain = *ask;
    plain.over_budget = NULL; /* an explanation is not in a hurry */
    struct explanation x = {0};
    arena_init(&x.arena, EXPLAIN_ARENA_BYTES);
    int r = explain_fill(e, c, &plain, pod_name, opts, &x, err);
    if (r < 0) {
        arena_done(&x.arena);
        return r;
    }
    *ret = x;
    return 0;
}

void explain_done(struct explanation *x)
{
    if (x) {
        arena_done(&x->arena);
        *x = (struct explanation){0};
    }
}
