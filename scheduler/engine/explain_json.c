// SPDX-License-Identifier: Apache-2.0
#include "engine/explain.h"

#include <stdio.h>

/* Nano-units as an exact decimal number: 2100000 is 0.0021. */
static void put_nano(struct buf *out, int64_t nano)
{
    uint64_t v = nano < 0 ? 0 - (uint64_t)nano : (uint64_t)nano;
    uint64_t frac = v % 1000000000u;
    if (nano < 0) {
        buf_char(out, '-');
    }
    buf_printf(out, "%llu", (unsigned long long)(v / 1000000000u));
    if (frac != 0) {
        char digits[16];
        int n = 9;
        (void)snprintf(digits, sizeof digits, "%09llu", (unsigned long long)frac);
        while (digits[n - 1] == '0') {
            n--;
        }
        buf_printf(out, ".%.*s", n, digits);
    }
}

static void put_total(struct buf *out, const struct explanation *x, int64_t total)
{
    if (x->rule == RULE_COST) {
        put_nano(out, total);
    } else {
        buf_i64(out, total);
    }
}

static void put_or_null(struct buf *out, struct str s)
{
    if (s.n == 0) {
        buf_lit(out, "null");
    } else {
        buf_json_str(out, s);
    }
}

static void put_c(struct buf *out, const char *s)
{
    buf_json_str(out, str_c(s));
}

static void put_refusal(struct buf *out, const struct explain_node *n)
{
    if (n->feasible) {
        buf_lit(out, "null");
        return;
    }
    buf_lit(out, "{\"plugin\":");
    put_c(out, n->rejected_by);
    buf_lit(out, ",\"reasons\":[");
    for (uint32_t i = 0; i < n->n_reasons; i++) {
        buf_lit(out, i ? "," : "");
        buf_json_str(out, n->reasons[i]);
    }
    buf_printf(out, "],\"unresolvable\":%s}", n->unresolvable ? "true" : "false");
}

static void put_scores(struct buf *out, const struct explain_node *n)
{
    buf_lit(out, ",\"scores\":[");
    for (uint32_t i = 0; i < n->n_scores; i++) {
        const struct explain_score *s = &n->scores[i];
        buf_lit(out, i ? ",{\"plugin\":" : "{\"plugin\":");
        put_c(out, s->plugin);
        buf_printf(out, ",\"raw\":%lld,\"normalized\":%lld,\"weight\":%lld,\"total\":%lld}",
                   (long long)s->raw, (long long)s->normalized, (long long)s->weight,
                   (long long)s->total);
    }
    buf_char(out, ']');
}

static void put_terms(struct buf *out, const struct explain_node *n)
{
    buf_lit(out, ",\"terms\":[");
    for (uint32_t i = 0; i < n->n_terms; i++) {
        const struct explain_term *t = &n->terms[i];
        buf_lit(out, i ? ",{\"policy\":" : "{\"policy\":");
        put_c(out, t->policy);
        buf_lit(out, ",\"value\":");
        buf_f64(out, t->t.value);
        buf_lit(out, ",\"unit\":");
        put_c(out, t->t.unit ? t->t.unit : "");
        buf_lit(out, ",\"cost\":");
        put_nano(out, t->t.cost_nano);
        buf_lit(out, ",\"note\":");
        put_c(out, t->t.note);
        buf_char(out, '}');
    }
    buf_char(out, ']');
}

static void put_nodes(struct buf *out, const struct explanation *x)
{
    buf_lit(out, ",\"nodes\":[");
    for (uint32_t i = 0; i < x->n_nodes; i++) {
        const struct explain_node *n = &x->nodes[i];
        buf_lit(out, i ? ",{\"name\":" : "{\"name\":");
        buf_json_str(out, n->name);
        buf_printf(out, ",\"feasible\":%s,\"rejectedBy\":", n->feasible ? "true" : "false");
        put_refusal(out, n);
        put_scores(out, n);
        if (n->feasible) {
            buf_printf(out, ",\"full\":%s,\"stage\":%u", n->full ? "true" : "false", n->stage);
        } else {
            buf_lit(out, ",\"full\":null,\"stage\":null");
        }
        put_terms(out, n);
        buf_lit(out, ",\"total\":");
        if (n->feasible) {
            put_total(out, x, n->total);
        } else {
            buf_lit(out, "null");
        }
        buf_char(out, '}');
    }
    buf_char(out, ']');
}

static void put_what_ifs(struct buf *out, const struct explanation *x)
{
    buf_lit(out, ",\"whatIf\":[");
    for (uint32_t i = 0; i < x->n_what_ifs; i++) {
        buf_lit(out, i ? ",{\"change\":" : "{\"change\":");
        buf_json_str(out, x->what_ifs[i].change);
        buf_lit(out, ",\"chosen\":");
        put_or_null(out, x->what_ifs[i].chosen);
        buf_char(out, '}');
    }
    buf_char(out, ']');
}

static void put_inputs(struct buf *out, const struct explanation *x)
{
    buf_lit(out, ",\"inputs\":[");
    for (uint32_t i = 0; i < x->n_inputs; i++) {
        const struct policy_input *in = &x->inputs[i];
        buf_lit(out, i ? ",{\"name\":" : "{\"name\":");
        put_c(out, in->name);
        buf_lit(out, ",\"source\":");
        put_c(out, in->source);
        buf_lit(out, ",\"ageSeconds\":");
        if (in->age_s < 0) {
            buf_lit(out, "null");
        } else {
            buf_f64(out, in->age_s);
        }
        buf_printf(out, ",\"fallback\":%s}", in->fallback ? "true" : "false");
    }
    buf_char(out, ']');
}

static void put_choice(struct buf *out, const struct explanation *x)
{
    buf_lit(out, ",\"decidedBy\":");
    buf_json_str(out, x->decided_by);
    buf_lit(out, ",\"margin\":");
    if (x->runner_up.n == 0) {
        buf_lit(out, "null");
    } else {
        buf_f64(out, x->margin);
    }
    buf_lit(out, ",\"unit\":");
    buf_json_str(out, x->unit);
    buf_lit(out, ",\"runnerUp\":");
    if (x->runner_up.n == 0) {
        buf_lit(out, "null");
        return;
    }
    buf_lit(out, "{\"node\":");
    buf_json_str(out, x->runner_up);
    buf_lit(out, ",\"total\":");
    put_total(out, x, x->runner_total);
    buf_lit(out, ",\"behindBy\":");
    buf_f64(out, x->behind_by);
    buf_char(out, '}');
}

void explain_write_json(const struct explanation *x, struct buf *out)
{
    buf_lit(out, "{\"kind\":\"Explanation\",\"pod\":");
    buf_json_str(out, x->pod);
    buf_lit(out, ",\"policy\":");
    buf_json_str(out, x->policy);
    buf_lit(out, ",\"dialect\":");
    put_or_null(out, x->dialect);
    buf_lit(out, ",\"chosen\":");
    put_or_null(out, x->chosen);
    buf_lit(out, ",\"best\":[");
    for (uint32_t i = 0; i < x->n_best; i++) {
        buf_lit(out, i ? "," : "");
        buf_json_str(out, x->best[i]);
    }
    buf_lit(out, "],\"message\":");
    put_or_null(out, x->message);
    put_choice(out, x);
    put_what_ifs(out, x);
    put_inputs(out, x);
    buf_lit(out, ",\"preemption\":null,\"notModelled\":[");
    for (uint32_t i = 0; i < x->n_not_modelled; i++) {
        buf_lit(out, i ? ",{\"what\":" : "{\"what\":");
        buf_json_str(out, x->not_modelled[i].what);
        buf_printf(out, ",\"count\":%llu}", (unsigned long long)x->not_modelled[i].count);
    }
    buf_char(out, ']');
    put_nodes(out, x);
    buf_char(out, '}');
}
