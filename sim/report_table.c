/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/report_table.h"

#include "sim/compare.h"

#define LABEL_WIDTH      27
#define WIDTH            98
#define NOT_PLACED_SHOWN 8

struct table {
    const struct report *r;
    const struct table_opts *opts;
    struct buf *out;
    size_t n_seeds, column;
};

static const struct outcome *outcome_at(const struct table *t, size_t policy, size_t seed)
{
    return &t->r->runs.p[policy * t->n_seeds + seed].outcome;
}

static double mean_of(const struct table *t, size_t metric, size_t policy)
{
    double sum = 0;
    for (size_t s = 0; s < t->n_seeds; s++) {
        sum += outcome_metric(outcome_at(t, policy, s), metric);
    }
    return sum / (double)t->n_seeds;
}

static const struct report_difference *difference_of(const struct table *t, size_t metric, size_t a,
                                                     size_t b)
{
    for (size_t i = 0; i < t->r->differences.n; i++) {
        const struct report_difference *d = &t->r->differences.p[i];
        if (d->metric == metric && d->a == a && d->b == b) {
            return d;
        }
    }
    return NULL;
}

/* Better than every other policy: the one to mark. */
static bool is_best(const struct table *t, size_t metric, size_t policy)
{
    for (size_t other = 0; other < t->r->policies.n; other++) {
        if (other == policy) {
            continue;
        }
        const struct report_difference *d = policy < other
                                                ? difference_of(t, metric, policy, other)
                                                : difference_of(t, metric, other, policy);
        if (d == NULL || d->better != (policy < other ? 'a' : 'b')) {
            return false;
        }
    }
    return t->r->policies.n > 1;
}

/* Rows that follow from others. */
static bool is_echo(const char *path)
{
    return strcmp(path, "nodes.empty") == 0 || strcmp(path, "nodes.pinned") == 0 ||
           strcmp(path, "cost.perPlayerHour") == 0;
}

/* Rows that say nothing are left out: null everywhere, zero everywhere where zero is the normal case; in brief also what
 * is the same under both policies. */
static bool row_speaks(const struct table *t, size_t metric)
{
    static const char *const quiet[] = {"pods.pending",         "pods.failed",
                                        "gpu.allocatedMilli",   "gpu.fragmentedMilli",
                                        "latency.unknownShare", "nodes.pinned"};
    bool known = false, nonzero = false, is_quiet = false;
    if (outcome_metrics[metric].label[0] == '\0') {
        return false;
    }
    for (size_t i = 0; i < SP_COUNTOF(quiet); i++) {
        is_quiet = is_quiet || strcmp(quiet[i], outcome_metrics[metric].path) == 0;
    }
    for (size_t p = 0; p < t->r->policies.n; p++) {
        double v = mean_of(t, metric, p);
        known = known || v == v;
        nonzero = nonzero || (v == v && v != 0);
    }
    if (t->opts->brief && strcmp(outcome_metrics[metric].path, "pods.placed") != 0) {
        const struct report_difference *d =
            t->r->policies.n > 1 ? difference_of(t, metric, 0, 1) : NULL;
        known = known && d != NULL && d->difference != 0 && !is_echo(outcome_metrics[metric].path);
    }
    return known && (nonzero || !is_quiet);
}

static void put_value(const struct table *t, size_t metric, double value, enum style_ink ink,
                      size_t width)
{
    struct buf text CLEANUP_BUF;
    buf_init(&text, 256);
    compare_print_value(t->r, metric, value, &text);
    style_right(t->out, &t->opts->style, ink, buf_view(&text), width);
    t->out->broken = t->out->broken || text.broken;
}

static void put_signed(const struct table *t, size_t metric, double value, struct buf *text)
{
    buf_lit(text, value > 0 ? "+" : "");
    compare_print_value(t->r, metric, value, text);
}

static void put_difference(const struct table *t, size_t metric)
{
    const struct report_difference *d = difference_of(t, metric, 0, 1);
    struct buf text CLEANUP_BUF;
    buf_init(&text, 256);
    if (d == NULL) {
        return;
    }
    if (d->difference == 0 && d->low == d->high) {
        buf_lit(&text, "same");
    } else {
        put_signed(t, metric, d->difference, &text);
        if (t->n_seeds > 1 && d->high > d->low) {
            buf_lit(&text, " +-");
            compare_print_value(t->r, metric, (d->high - d->low) / 2, &text);
        }
    }
    style_right(t->out, &t->opts->style, d->better == 'n' ? INK_DIM : INK_PLAIN, buf_view(&text),
                t->n_seeds > 1 ? 26 : 16);
    t->out->broken = t->out->broken || text.broken;
}

static void put_row(const struct table *t, size_t metric)
{
    const struct style *s = &t->opts->style;
    buf_lit(t->out, "  ");
    style_left(t->out, s, INK_PLAIN, str_c(outcome_metrics[metric].label), LABEL_WIDTH);
    for (size_t p = 0; p < t->r->policies.n; p++) {
        bool best = is_best(t, metric, p);
        put_value(t, metric, mean_of(t, metric, p), best ? INK_GREEN : INK_PLAIN, t->column - 2);
        style_lit(t->out, s, INK_GREEN, best ? " *" : "  ");
    }
    if (t->opts->compare && t->r->policies.n == 2) {
        put_difference(t, metric);
    }
    buf_char(t->out, '\n');
}

static size_t table_width(const struct table *t)
{
    size_t more = t->opts->compare && t->r->policies.n == 2 ? (t->n_seeds > 1 ? 26 : 16) : 0;
    return LABEL_WIDTH + t->column * t->r->policies.n + more;
}

static void put_main(const struct table *t)
{
    const struct style *s = &t->opts->style;
    buf_lit(t->out, "  ");
    style_left(t->out, s, INK_PLAIN, STR(""), LABEL_WIDTH);
    for (size_t p = 0; p < t->r->policies.n; p++) {
        style_right(t->out, s, INK_BOLD, t->r->policies.p[p], t->column - 2);
        buf_lit(t->out, "  ");
    }
    if (t->opts->compare && t->r->policies.n == 2) {
        style_right(t->out, s, INK_BOLD, STR("difference"), t->n_seeds > 1 ? 26 : 16);
    }
    buf_lit(t->out, "\n  ");
    style_rule(t->out, s, table_width(t));
    for (size_t m = 0; m < outcome_n_metrics; m++) {
        if (row_speaks(t, m)) {
            put_row(t, m);
        }
    }
    if (t->r->policies.n > 1) {
        style_lit(t->out, s, INK_DIM, "  * better than every other policy");
        if (t->n_seeds > 1) {
            char text[80];
            (void)snprintf(text, sizeof text,
                           "; means of %zu seeds, 95 %% intervals paired by seed", t->n_seeds);
            style_lit(t->out, s, INK_DIM, text);
        }
        buf_char(t->out, '\n');
    }
}

static void put_zones(const struct table *t, const struct outcome *o)
{
    const struct style *s = &t->opts->style;
    int64_t players = 0, pods = 0;
    for (size_t i = 0; i < o->zones.n; i++) {
        players += o->zones.p[i].players;
        pods += o->zones.p[i].pods;
    }
    if (o->zones.n == 0 || pods == 0) {
        return;
    }
    buf_lit(t->out, "\n  ");
    style_left(t->out, s, INK_BOLD, STR("zone"), LABEL_WIDTH);
    style_right(t->out, s, INK_BOLD, STR("pods"), 8);
    style_right(t->out, s, INK_BOLD, STR("players"), 10);
    buf_char(t->out, '\n');
    for (size_t i = 0; i < o->zones.n && i < 12; i++) {
        const struct outcome_zone *z = &o->zones.p[i];
        buf_lit(t->out, "  ");
        style_left(t->out, s, INK_PLAIN, z->name, LABEL_WIDTH);
        buf_printf(t->out, "%8lld%10lld  ", (long long)z->pods, (long long)z->players);
        style_bar(t->out, s,
                  players > 0 ? (double)z->players / (double)players
                              : (double)z->pods / (double)pods,
                  30);
        buf_char(t->out, '\n');
    }
    if (o->zones.n > 12) {
        buf_printf(t->out, "  and %zu more zones\n", o->zones.n - 12);
    }
}

static void put_fleets(const struct table *t, const struct outcome *o)
{
    const struct style *s = &t->opts->style;
    if (o->fleets.n == 0) {
        return;
    }
    buf_lit(t->out, "\n  ");
    style_left(t->out, s, INK_BOLD, STR("fleet"), LABEL_WIDTH);
    buf_printf(t->out, "%8s%10s%10s%14s%14s\n", "players", "p50 ms", "p90 ms", "best p95 ms",
               "cost per hour");
    for (size_t i = 0; i < o->fleets.n && i < 12; i++) {
        const struct outcome_fleet *f = &o->fleets.p[i];
        buf_lit(t->out, "  ");
        style_left(t->out, s, INK_PLAIN, f->name, LABEL_WIDTH);
        buf_printf(t->out, "%8lld", (long long)f->players);
        if (f->has_latency && f->latency.p50_ms == f->latency.p50_ms) {
            buf_printf(t->out, "%10.1f%10.1f%14.1f", f->latency.p50_ms, f->latency.p90_ms,
                       f->latency.best_p95_ms);
        } else {
            buf_printf(t->out, "%10s%10s%14s", "-", "-", "-");
        }
        buf_printf(t->out, "%14.3f\n", (double)f->cost_nano / 1e9);
    }
    if (o->fleets.n > 12) {
        buf_printf(t->out, "  and %zu more fleets\n", o->fleets.n - 12);
    }
}

static void put_placements(const struct table *t, const struct report_run *run)
{
    const struct style *s = &t->opts->style;
    for (size_t i = 0; i < run->placements.n; i++) {
        const struct report_placement *p = &run->placements.p[i];
        buf_lit(t->out, "  ");
        style_put(t->out, s, p->node.n == 0 ? INK_YELLOW : INK_PLAIN, p->pod);
        if (p->node.n > 0) {
            buf_lit(t->out, " -> ");
            style_put(t->out, s, INK_CYAN, p->node);
            buf_char(t->out, '\n');
        } else {
            buf_char(t->out, '\n');
            style_wrap(t->out, s, INK_PLAIN, p->reason, 6, WIDTH);
        }
    }
}

/* Pods that are refused for the same cause stand together: the first by name, the others by number. */
static void put_not_placed(const struct table *t, const struct report_run *run)
{
    struct {
        size_t first, count;
    } groups[NOT_PLACED_SHOWN];
    size_t n = 0, rest = 0;
    for (size_t i = 0; i < run->placements.n; i++) {
        size_t g = 0;
        if (run->placements.p[i].node.n > 0) {
            continue;
        }
        while (g < n &&
               !str_eq(run->placements.p[groups[g].first].reason, run->placements.p[i].reason)) {
            g++;
        }
        if (g < n) {
            groups[g].count++;
        } else if (n < NOT_PLACED_SHOWN) {
            groups[n].first = i;
            groups[n++].count = 1;
        } else {
            rest++;
        }
    }
    for (size_t g = 0; g < n; g++) {
        const struct report_placement *p = &run->placements.p[groups[g].first];
        buf_lit(t->out, "  ");
        style_put(t->out, &t->opts->style, INK_YELLOW, p->pod);
        if (groups[g].count > 1) {
            buf_printf(t->out, " and %zu more", groups[g].count - 1);
        }
        buf_char(t->out, '\n');
        style_wrap(t->out, &t->opts->style, INK_PLAIN, p->reason, 6, WIDTH);
    }
    if (rest > 0) {
        buf_printf(t->out, "  and %zu more for other causes; --placements lists all\n", rest);
    }
}

static void put_pods(const struct table *t, const struct report_run *run)
{
    const struct style *s = &t->opts->style;
    const struct outcome *o = &run->outcome;
    if (run->placements.n == 0 || (!t->r->with_placements && o->pods.placed == o->pods.arrived)) {
        return;
    }
    buf_lit(t->out, "\n  ");
    style_lit(t->out, s, INK_BOLD, t->r->with_placements ? "placements" : "not placed");
    if (t->r->runs.n > 1) {
        buf_lit(t->out, " under ");
        style_put(t->out, s, INK_BOLD, run->policy);
        buf_printf(t->out, ", seed %llu", (unsigned long long)run->seed);
    }
    buf_char(t->out, '\n');
    if (t->r->with_placements) {
        put_placements(t, run);
    } else {
        put_not_placed(t, run);
    }
}

static void put_tail(const struct table *t)
{
    const struct style *s = &t->opts->style;
    for (size_t i = 0; i < t->r->expectations.n; i++) {
        const struct report_expectation *e = &t->r->expectations.p[i];
        buf_lit(t->out, i == 0 ? "\n  " : "  ");
        style_lit(t->out, s, e->ok ? INK_GREEN : INK_RED, e->ok ? "met     " : "missed  ");
        style_put(t->out, s, INK_PLAIN, e->expr);
        buf_lit(t->out, "  (");
        style_put(t->out, s, INK_PLAIN, t->r->runs.p[e->run].policy);
        buf_lit(t->out, ": ");
        buf_f64(t->out, e->value);
        buf_lit(t->out, ")\n");
    }
    for (size_t i = 0; i < t->r->notes.n && !t->opts->brief; i++) {
        if (i == 0) {
            buf_lit(t->out, "\n  ");
            style_lit(t->out, s, INK_BOLD, "not modelled");
            buf_char(t->out, '\n');
        }
        buf_printf(t->out, "  %8llu  ", (unsigned long long)t->r->notes.p[i].count);
        style_put(t->out, s, INK_PLAIN, t->r->notes.p[i].what);
        buf_char(t->out, '\n');
    }
    if (t->r->verdict.n > 0) {
        buf_char(t->out, '\n');
        style_wrap(t->out, s, INK_BOLD, t->r->verdict, 2, WIDTH);
    }
    if (!t->opts->brief) {
        buf_lit(t->out, "\n  ");
        style_lit(t->out, s, INK_DIM, "reproduce: ");
        style_put(t->out, s, INK_DIM, t->r->reproduce);
        buf_char(t->out, '\n');
    }
}

void report_write_table(const struct report *r, const struct table_opts *opts, struct buf *out)
{
    struct table t = {.r = r, .opts = opts, .out = out, .column = 20};
    check(r->policies.n > 0 && r->runs.n > 0);
    t.n_seeds = r->runs.n / r->policies.n;
    t.column = r->policies.n > 5 ? 14 : r->policies.n > 3 ? 17 : 20;
    const struct outcome *o = &r->runs.p[0].outcome;
    if (!opts->brief) {
        buf_printf(out, "\n  %lld nodes, %lld pods on nodes, %lld to place\n\n",
                   (long long)o->nodes.total, (long long)o->pods.bound, (long long)o->pods.arrived);
    }
    put_main(&t);
    if (!opts->brief && r->runs.n == 1) {
        put_zones(&t, o);
        put_fleets(&t, o);
    }
    if (!opts->brief && (r->runs.n == 1 || r->with_placements)) {
        for (size_t i = 0; i < r->runs.n; i++) {
            put_pods(&t, &r->runs.p[i]);
        }
    }
    put_tail(&t);
}
