// SPDX-License-Identifier: Apache-2.0
//
// The explanation for people: a sentence, the best nodes with the terms that differ, who was refused and why, and what
// would have changed it. Names come from outside: control bytes are never printed.
#include "engine/explain.h"

#include <stdio.h>
#include <stdlib.h>

#define TOP_NODES  6
#define GROUPS_MAX 24
#define EXAMPLES   3
#define WIDTH_MIN  60

struct writer {
    struct buf *out;
    uint32_t width;
    bool color;
};

static void put_safe(struct buf *out, struct str s)
{
    size_t len;
    for (size_t i = 0; i < s.n; i += len) {
        bool fit = str_printable((struct str){s.p + i, s.n - i}, &len);
        buf_put(out, fit ? s.p + i : "?", fit ? len : 1);
    }
}

static void style(struct writer *w, const char *code)
{
    if (w->color) {
        buf_printf(w->out, "\033[%sm", code);
    }
}

static void heading(struct writer *w, const char *text)
{
    buf_char(w->out, '\n');
    style(w, "1");
    buf_lit(w->out, text);
    style(w, "0");
    buf_char(w->out, '\n');
}

/* Words wrapped at the width, following lines indented. `at`: columns used already. */
static void put_wrapped(struct writer *w, struct str text, uint32_t at, uint32_t indent)
{
    bool first = true;
    while (text.n > 0) {
        struct str word = str_cut(&text, ' ');
        if (!first && at + 1 + word.n > w->width) {
            buf_char(w->out, '\n');
            for (uint32_t i = 0; i < indent; i++) {
                buf_char(w->out, ' ');
            }
            at = indent;
        } else if (!first) {
            buf_char(w->out, ' ');
            at++;
        }
        put_safe(w->out, word);
        at += (uint32_t)word.n;
        first = false;
    }
}

/* Money with as many places as it takes to see it. */
static void money_text(char *out, size_t n, double v)
{
    double a = v < 0 ? -v : v;
    int places = a == 0 || a >= 100 ? 2 : a >= 1 ? 3 : a >= 0.01 ? 4 : a >= 0.0001 ? 6 : 9;
    (void)snprintf(out, n, "%.*f", places, v);
}

static const struct explain_node *node_by_name(const struct explanation *x, struct str name)
{
    for (uint32_t i = 0; i < x->n_nodes; i++) {
        if (str_eq(x->nodes[i].name, name)) {
            return &x->nodes[i];
        }
    }
    return NULL;
}

static const char *term_note(const struct explanation *x, struct str node, struct str policy)
{
    const struct explain_node *n = node_by_name(x, node);
    for (uint32_t i = 0; n && i < n->n_terms; i++) {
        if (str_is(policy, n->terms[i].policy)) {
            return n->terms[i].t.note;
        }
    }
    return "";
}

static void put_reason_of_choice(const struct explanation *x, struct buf *s)
{
    char margin[48];
    money_text(margin, sizeof margin, x->margin);
    if (str_is(x->decided_by, "only")) {
        buf_lit(s, "the only node that fits.");
    } else if (str_is(x->decided_by, "name")) {
        buf_printf(s, "equal to " STR_FMT " in everything; the smaller name decided.",
                   STR_ARG(x->runner_up));
    } else if (str_is(x->decided_by, "seed")) {
        buf_printf(s, "drawn by the seed, before " STR_FMT ".", STR_ARG(x->runner_up));
    } else if (str_is(x->decided_by, "full")) {
        buf_printf(s, "it has room, and " STR_FMT " looks full.", STR_ARG(x->runner_up));
    } else if (str_is(x->decided_by, "retry")) {
        buf_printf(s, "the pod has failed on " STR_FMT " before.", STR_ARG(x->runner_up));
    } else if (str_is(x->unit, "rank")) {
        buf_printf(s, "costs the same as " STR_FMT "; the order of " STR_FMT " decided.",
                   STR_ARG(x->runner_up), STR_ARG(x->decided_by));
    } else if (x->rule == RULE_SCORE) {
        buf_printf(s, "%.0f points ahead of " STR_FMT "; " STR_FMT " decided.", x->margin,
                   STR_ARG(x->runner_up), STR_ARG(x->decided_by));
    } else if (str_is(x->unit, "ms")) {
        buf_printf(s, "better latency class than " STR_FMT " (by %.1f ms); " STR_FMT " decided.",
                   STR_ARG(x->runner_up), x->margin, STR_ARG(x->decided_by));
    } else {
        buf_printf(s, "cheaper than " STR_FMT " by %s " STR_FMT "; " STR_FMT " decided.",
                   STR_ARG(x->runner_up), margin, STR_ARG(x->unit), STR_ARG(x->decided_by));
    }
}

/* A part that could not be put together breaks the whole. */
static void put_wrapped_buf(struct writer *w, const struct buf *part, uint32_t at, uint32_t indent)
{
    put_wrapped(w, buf_view(part), at, indent);
    w->out->broken = w->out->broken || part->broken;
}

static void write_sentence(struct writer *w, const struct explanation *x)
{
    CLEANUP_BUF struct buf s;
    buf_init(&s, 1u << 20);
    style(w, "1");
    put_safe(w->out, x->pod);
    buf_lit(w->out, " -> ");
    put_safe(w->out, x->chosen.n ? x->chosen : STR("no node"));
    style(w, "0");
    uint32_t at = (uint32_t)(x->pod.n + 4 + (x->chosen.n ? x->chosen.n : 7));
    buf_lit(w->out, ": ");
    if (x->chosen.n) {
        put_reason_of_choice(x, &s);
        const char *note = term_note(x, x->chosen, x->decided_by);
        if (note[0]) {
            buf_printf(&s, " (%s)", note);
        }
    } else {
        buf_printf(&s, STR_FMT, STR_ARG(x->message));
    }
    put_wrapped_buf(w, &s, at + 2, 2);
    buf_char(w->out, '\n');
}

/* ---- the table of the best ---- */

struct column {
    const char *head;
    uint32_t at; /* position in terms */
    uint32_t width;
};

/* The order of the rule as far as the record tells it; the chosen first, then the runner-up. */
static int order_of(const struct explanation *x, const struct explain_node *a,
                    const struct explain_node *b)
{
    int ra = str_eq(a->name, x->chosen) ? 0 : str_eq(a->name, x->runner_up) ? 1 : 2;
    int rb = str_eq(b->name, x->chosen) ? 0 : str_eq(b->name, x->runner_up) ? 1 : 2;
    if (ra != rb) {
        return ra - rb;
    }
    if (a->full != b->full) {
        return a->full ? 1 : -1;
    }
    if (a->stage != b->stage) {
        return a->stage < b->stage ? -1 : 1;
    }
    if (a->total != b->total) {
        return (a->total < b->total) == (x->rule == RULE_COST) ? -1 : 1;
    }
    return str_cmp(a->name, b->name);
}

/* The first TOP_NODES feasible in order; returns how many, and how many there are at all. */
static uint32_t pick_top(const struct explanation *x, const struct explain_node **top,
                         uint32_t *ret_feasible)
{
    uint32_t n = 0;
    *ret_feasible = 0;
    for (uint32_t i = 0; i < x->n_nodes; i++) {
        const struct explain_node *node = &x->nodes[i];
        if (!node->feasible) {
            continue;
        }
        ++*ret_feasible;
        uint32_t at = n;
        while (at > 0 && order_of(x, node, top[at - 1]) < 0) {
            at--;
        }
        if (at >= TOP_NODES) {
            continue;
        }
        n += n < TOP_NODES;
        for (uint32_t k = n - 1; k > at; k--) {
            top[k] = top[k - 1];
        }
        top[at] = node;
    }
    return n;
}

static void cell_text(const struct explanation *x, const struct explain_node *n, uint32_t at,
                      char *out, size_t size)
{
    if (x->rule == RULE_COST && at < n->n_terms) {
        money_text(out, size, (double)n->terms[at].t.cost_nano / 1e9);
    } else if (x->rule == RULE_SCORE && at < n->n_scores) {
        (void)snprintf(out, size, "%lld", (long long)n->scores[at].total);
    } else {
        (void)snprintf(out, size, "-");
    }
}

static void total_text(const struct explanation *x, const struct explain_node *n, char *out,
                       size_t size)
{
    if (x->rule == RULE_COST) {
        money_text(out, size, (double)n->total / 1e9);
    } else {
        (void)snprintf(out, size, "%lld", (long long)n->total);
    }
}

/* Columns of terms that any of the shown nodes pays for, as many as fit. */
static uint32_t pick_columns(const struct writer *w, const struct explanation *x,
                             const struct explain_node **top, uint32_t n, uint32_t used,
                             struct column *cols, uint32_t max)
{
    uint32_t n_cols = 0, terms = x->rule == RULE_COST ? top[0]->n_terms : top[0]->n_scores;
    for (uint32_t at = 0; at < terms && n_cols < max; at++) {
        struct column c = {.at = at};
        bool says = x->rule != RULE_COST;
        c.head = x->rule == RULE_COST ? top[0]->terms[at].policy : top[0]->scores[at].plugin;
        c.width = (uint32_t)strlen(c.head);
        for (uint32_t i = 0; i < n; i++) {
            char text[48];
            says = says || (at < top[i]->n_terms && top[i]->terms[at].t.cost_nano != 0);
            cell_text(x, top[i], at, text, sizeof text);
            c.width = strlen(text) > c.width ? (uint32_t)strlen(text) : c.width;
        }
        if (says && used + 2 + c.width <= w->width) {
            used += 2 + c.width;
            cols[n_cols++] = c;
        }
    }
    return n_cols;
}

static void put_name(struct writer *w, struct str name, uint32_t width)
{
    struct str shown = name;
    if (shown.n > width) { /* the end of a name tells nodes apart */
        shown = (struct str){name.p + (name.n - (width - 2)), width - 2};
        buf_lit(w->out, "..");
        put_safe(w->out, shown);
        return;
    }
    put_safe(w->out, shown);
    for (size_t i = shown.n; i < width; i++) {
        buf_char(w->out, ' ');
    }
}

static void write_row(struct writer *w, const struct explanation *x, const struct explain_node *n,
                      uint32_t name_width, const struct column *cols, uint32_t n_cols)
{
    char text[48];
    bool chosen = str_eq(n->name, x->chosen);
    style(w, chosen ? "32" : "0");
    buf_lit(w->out, chosen ? "* " : "  ");
    put_name(w, n->name, name_width);
    total_text(x, n, text, sizeof text);
    buf_printf(w->out, "  %5u  %12s", n->stage, text);
    for (uint32_t k = 0; k < n_cols; k++) {
        cell_text(x, n, cols[k].at, text, sizeof text);
        buf_printf(w->out, "  %*s", (int)cols[k].width, text);
    }
    buf_lit(w->out, n->full ? "  (looks full)" : "");
    style(w, "0");
    buf_char(w->out, '\n');
}

static void write_top(struct writer *w, const struct explanation *x)
{
    const struct explain_node *top[TOP_NODES + 1];
    struct column cols[12];
    uint32_t feasible, n = pick_top(x, top, &feasible), name_width = 4;
    if (n == 0) {
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        name_width = top[i]->name.n > name_width ? (uint32_t)top[i]->name.n : name_width;
    }
    name_width = name_width > w->width * 2 / 5 ? w->width * 2 / 5 : name_width;
    uint32_t n_cols = pick_columns(w, x, top, n, 2 + name_width + 7 + 14, cols, SP_COUNTOF(cols));
    char head[96];
    (void)snprintf(head, sizeof head, "Best of %u that fit (of %u)%s", feasible, x->n_nodes,
                   x->rule == RULE_COST ? ", cost per session" : "");
    heading(w, head);
    buf_lit(w->out, "  ");
    put_name(w, STR("node"), name_width);
    buf_printf(w->out, "  stage  %12s", "total");
    for (uint32_t k = 0; k < n_cols; k++) {
        buf_printf(w->out, "  %*s", (int)cols[k].width, cols[k].head);
    }
    buf_char(w->out, '\n');
    for (uint32_t i = 0; i < n; i++) {
        write_row(w, x, top[i], name_width, cols, n_cols);
    }
}

/* What the policies say about the chosen node. */
static void write_notes(struct writer *w, const struct explanation *x)
{
    const struct explain_node *n = node_by_name(x, x->chosen);
    bool any = false;
    for (uint32_t i = 0; n && i < n->n_terms; i++) {
        const struct policy_term *t = &n->terms[i].t;
        char line[320];
        if (!t->note[0] && t->cost_nano == 0) {
            continue;
        }
        if (!any) {
            heading(w, "About the chosen node");
            any = true;
        }
        (void)snprintf(line, sizeof line, "%.4g %s%s%s", t->value, t->unit ? t->unit : "",
                       t->note[0] ? ": " : "", t->note);
        buf_printf(w->out, "  %-12s ", n->terms[i].policy);
        put_wrapped(w, str_c(line), 15, 15);
        buf_char(w->out, '\n');
    }
}

/* ---- who was refused ---- */

struct refusal_group {
    const char *plugin;
    struct str reason;
    uint32_t count;
    struct str examples[EXAMPLES];
};

static int larger_first(const void *a, const void *b)
{
    const struct refusal_group *x = a, *y = b;
    if (x->count != y->count) {
        return x->count > y->count ? -1 : 1;
    }
    int r = strcmp(x->plugin, y->plugin);
    return r ? r : str_cmp(x->reason, y->reason);
}

static uint32_t group_refusals(const struct explanation *x, struct refusal_group *g,
                               uint32_t *ret_left)
{
    uint32_t n = 0;
    *ret_left = 0;
    for (uint32_t i = 0; i < x->n_nodes; i++) {
        const struct explain_node *node = &x->nodes[i];
        for (uint32_t k = 0; k < node->n_reasons; k++) {
            uint32_t at = 0;
            while (at < n && !(strcmp(g[at].plugin, node->rejected_by) == 0 &&
                               str_eq(g[at].reason, node->reasons[k]))) {
                at++;
            }
            if (at == GROUPS_MAX) {
                ++*ret_left;
                continue;
            }
            if (at == n) {
                g[n++] =
                    (struct refusal_group){.plugin = node->rejected_by, .reason = node->reasons[k]};
            }
            if (g[at].count < EXAMPLES) {
                g[at].examples[g[at].count] = node->name;
            }
            g[at].count++;
        }
    }
    qsort(g, n, sizeof *g, larger_first);
    return n;
}

static void write_refusals(struct writer *w, const struct explanation *x)
{
    struct refusal_group g[GROUPS_MAX];
    uint32_t left, n = group_refusals(x, g, &left);
    if (n == 0) {
        return;
    }
    heading(w, "Refused");
    for (uint32_t i = 0; i < n; i++) {
        CLEANUP_BUF struct buf s;
        buf_init(&s, 1u << 20);
        buf_printf(&s, STR_FMT " [%s]:", STR_ARG(g[i].reason), g[i].plugin);
        for (uint32_t k = 0; k < g[i].count && k < EXAMPLES; k++) {
            buf_printf(&s, "%s" STR_FMT, k ? ", " : " ", STR_ARG(g[i].examples[k]));
        }
        buf_lit(&s, g[i].count > EXAMPLES ? ", ..." : "");
        buf_printf(w->out, "  %5u  ", g[i].count);
        put_wrapped_buf(w, &s, 9, 9);
        buf_char(w->out, '\n');
    }
    if (left > 0) {
        buf_printf(w->out, "  %5u  for other reasons\n", left);
    }
}

static void write_what_ifs(struct writer *w, const struct explanation *x)
{
    if (x->n_what_ifs == 0) {
        return;
    }
    heading(w, "What would change it (each tried)");
    for (uint32_t i = 0; i < x->n_what_ifs; i++) {
        CLEANUP_BUF struct buf s;
        buf_init(&s, 1u << 20);
        struct str chosen = x->what_ifs[i].chosen.n ? x->what_ifs[i].chosen : STR("no node");
        buf_printf(&s, STR_FMT " -> " STR_FMT, STR_ARG(x->what_ifs[i].change), STR_ARG(chosen));
        buf_lit(w->out, "  ");
        put_wrapped_buf(w, &s, 2, 6);
        buf_char(w->out, '\n');
    }
}

static void write_inputs(struct writer *w, const struct explanation *x)
{
    if (x->n_inputs == 0) {
        return;
    }
    heading(w, "Rests on");
    for (uint32_t i = 0; i < x->n_inputs; i++) {
        const struct policy_input *in = &x->inputs[i];
        CLEANUP_BUF struct buf s;
        buf_init(&s, 1u << 20);
        buf_printf(&s, "%s: %s", in->name ? in->name : "", in->source);
        if (in->age_s >= 0) {
            buf_printf(&s, ", %.0f s old", in->age_s);
        }
        buf_lit(&s, in->fallback ? " (fallback)" : "");
        buf_lit(w->out, "  ");
        put_wrapped_buf(w, &s, 2, 6);
        buf_char(w->out, '\n');
    }
}

void explain_write_text(const struct explanation *x, struct buf *out, uint32_t width, bool color)
{
    struct writer w = {out, width < WIDTH_MIN ? WIDTH_MIN : width, color};
    write_sentence(&w, x);
    write_top(&w, x);
    write_notes(&w, x);
    write_refusals(&w, x);
    write_what_ifs(&w, x);
    write_inputs(&w, x);
    for (uint32_t i = 0; i < x->n_not_modelled; i++) {
        buf_lit(out, i ? "Not modelled: " : "\nNot modelled: ");
        put_safe(out, x->not_modelled[i].what);
        buf_printf(out, " (%llu)\n", (unsigned long long)x->not_modelled[i].count);
    }
}
