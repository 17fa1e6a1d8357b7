/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/compare.h"

#include "base/fmath.h"

#define DIFFERENCES_MAX 10000000

double compare_t95(size_t n)
{
    static const double t[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306,
                               2.262,  2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
                               2.110,  2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064,
                               2.060,  2.056, 2.052, 2.048, 2.045, 2.042};
    size_t df = n - 1;
    if (df <= SP_COUNTOF(t)) {
        return t[df - 1];
    }
    /* Between the table's end and the normal law: the error is below 0.002. */
    return 1.960 + 2.46 / (double)df;
}

static const struct report_run *run_at(const struct report *r, size_t policy, size_t seed,
                                       size_t n_seeds)
{
    return &r->runs.p[policy * n_seeds + seed];
}

static char better_of(const struct report_difference *d)
{
    int direction = outcome_metrics[d->metric].better;
    if (direction == METRIC_NEUTRAL || (d->low <= 0 && d->high >= 0)) {
        return 'n';
    }
    return (d->difference > 0) == (direction == METRIC_MORE) ? 'b' : 'a';
}

static bool fill_one(const struct report *r, size_t n_seeds, struct report_difference *d)
{
    double sum = 0, squares = 0, sum_a = 0, sum_b = 0, n = (double)n_seeds;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t s = 0; s < n_seeds; s++) {
            double a = outcome_metric(&run_at(r, d->a, s, n_seeds)->outcome, d->metric);
            double b = outcome_metric(&run_at(r, d->b, s, n_seeds)->outcome, d->metric);
            double delta = b - a;
            if (a != a || b != b) {
                return false;
            }
            if (pass == 0) {
                sum += delta;
                sum_a += a;
                sum_b += b;
            } else {
                squares += (delta - d->difference) * (delta - d->difference);
            }
        }
        d->difference = sum / n;
    }
    d->mean_a = sum_a / n;
    d->mean_b = sum_b / n;
    double half = n_seeds < 2 ? 0 : compare_t95(n_seeds) * fm_sqrt(squares / (n - 1) / n);
    d->low = d->difference - half;
    d->high = d->difference + half;
    d->better = better_of(d);
    return true;
}

/* ---- the sentence ---- */

void compare_print_value(const struct report *r, size_t metric, double value, struct buf *out)
{
    struct str unit = str_c(outcome_metrics[metric].unit);
    if (value != value) {
        buf_lit(out, "-");
    } else if (str_is(unit, "ms")) {
        buf_printf(out, "%.1f ms", value);
    } else if (str_is(unit, "share")) {
        buf_printf(out, "%.1f %%", value * 100);
    } else if (str_is(unit, "gpu")) {
        buf_printf(out, "%.1f", value / 1000);
    } else if (str_is(unit, "money")) {
        double size = value < 0 ? -value : value;
        buf_printf(out, "%.*f %.*s",
                   size < 0.1 && size > 0 ? 5
                   : size < 10            ? 3
                                          : 2,
                   value, STR_ARG(r->runs.n > 0 ? r->runs.p[0].outcome.cost.currency : STR("")));
    } else {
        bool whole = value == (double)(int64_t)value;
        buf_printf(out, "%.*f", whole ? 0 : 1, value);
    }
}

static void tell_metric(const struct report *r, const struct report_difference *d, struct buf *out)
{
    bool b_first = d->better == 'b';
    buf_printf(out, "%s (", outcome_metrics[d->metric].label);
    compare_print_value(r, d->metric, b_first ? d->mean_b : d->mean_a, out);
    buf_lit(out, " instead of ");
    compare_print_value(r, d->metric, b_first ? d->mean_a : d->mean_b, out);
    buf_char(out, ')');
}

/* The metrics that a verdict names first, in the order in which operators ask. */
static const char *const headline[] = {
    "pods.placed", "latency.p90Ms",     "zones.blastRadius",
    "cost.total",  "latency.goodShare", "gpu.fragmentedMilli",
    "nodes.used",  "latency.p95Ms",     "cost.perPlayerHour",
};

static unsigned tell_side(const struct report *r, size_t a, size_t b, char side, struct buf *out)
{
    unsigned told = 0;
    for (size_t h = 0; h < SP_COUNTOF(headline) && told < 3; h++) {
        for (size_t i = 0; i < r->differences.n; i++) {
            const struct report_difference *d = &r->differences.p[i];
            if (d->a == a && d->b == b && d->better == side &&
                str_is(str_c(headline[h]), outcome_metrics[d->metric].path)) {
                buf_lit(out, told > 0 ? ", " : "");
                tell_metric(r, d, out);
                told++;
            }
        }
    }
    return told;
}

static void tell_pair(const struct report *r, size_t a, size_t b, struct buf *out)
{
    struct buf good CLEANUP_BUF, bad CLEANUP_BUF;
    buf_init(&good, 4096);
    buf_init(&bad, 4096);
    unsigned n_a = tell_side(r, a, b, 'a', &good), n_b = tell_side(r, a, b, 'b', &bad);
    struct str name_a = r->policies.p[a], name_b = r->policies.p[b];
    out->broken = out->broken || good.broken || bad.broken;
    if (n_a == 0 && n_b == 0) {
        buf_printf(out, "%.*s and %.*s come out alike.", STR_ARG(name_a), STR_ARG(name_b));
        return;
    }
    if (n_a > 0) {
        buf_printf(out, "%.*s beats %.*s in %.*s", STR_ARG(name_a), STR_ARG(name_b),
                   STR_ARG(buf_view(&good)));
        if (n_b > 0) {
            buf_printf(out, "; %.*s is ahead in %.*s", STR_ARG(name_b), STR_ARG(buf_view(&bad)));
        }
        buf_char(out, '.');
    } else {
        buf_printf(out, "%.*s beats %.*s in %.*s.", STR_ARG(name_b), STR_ARG(name_a),
                   STR_ARG(buf_view(&bad)));
    }
}

int compare_fill(struct report *r, size_t n_seeds, struct err *err)
{
    struct buf text CLEANUP_BUF;
    buf_init(&text, 1u << 20);
    for (size_t a = 0; a < r->policies.n; a++) {
        for (size_t b = a + 1; b < r->policies.n; b++) {
            for (size_t m = 0; m < outcome_n_metrics; m++) {
                struct report_difference d = {.metric = m, .a = a, .b = b};
                if (fill_one(r, n_seeds, &d) &&
                    VEC_PUSH(&r->differences, d, DIFFERENCES_MAX) != 0) {
                    return err_nomem(err);
                }
            }
            if (a == 0) {
                buf_lit(&text, text.n > 0 ? " " : "");
                tell_pair(r, a, b, &text);
            }
        }
    }
    if (r->policies.n > 1) {
        r->verdict = arena_str(&r->arena, buf_view(&text));
        return r->verdict.p == NULL || text.broken ? err_nomem(err) : 0;
    }
    return 0;
}
