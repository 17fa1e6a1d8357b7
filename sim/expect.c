/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/expect.h"

#include <errno.h>

static const char *const latency_fields[] = {
    "p50Ms",   "p90Ms",    "p95Ms",        "goodShare",
    "okShare", "maxShare", "unknownShare", "bestPossibleP95Ms"};

static double latency_value(const struct outcome_latency *l, size_t field)
{
    const double values[] = {l->p50_ms, l->p90_ms, l->p95_ms,  l->good,
                             l->ok,     l->max,    l->unknown, l->best_p95_ms};
    return values[field];
}

/* "PREFIX<name>.field" -> name and field; false when it is none of latency's fields. */
static bool split_fleet(struct str rest, struct str *ret_name, size_t *ret_field)
{
    for (size_t i = 0; i < SP_COUNTOF(latency_fields); i++) {
        struct str field = str_c(latency_fields[i]);
        if (rest.n > field.n + 1 && str_ends(rest, field) && rest.p[rest.n - field.n - 1] == '.') {
            *ret_name = (struct str){rest.p, rest.n - field.n - 1};
            *ret_field = i;
            return true;
        }
    }
    return false;
}

static bool cut_prefix(struct str path, const char *prefix, struct str *ret_rest)
{
    struct str p = str_c(prefix);
    if (!str_starts(path, p) || path.n == p.n) {
        return false;
    }
    *ret_rest = (struct str){path.p + p.n, path.n - p.n};
    return true;
}

static bool capacity_of(struct str name, unsigned *ret)
{
    for (unsigned t = 0; t < 4; t++) {
        if (str_is(name, outcome_capacity_name(t))) {
            *ret = t;
            return true;
        }
    }
    return false;
}

static int check_path(struct str path, struct err *err)
{
    const char *names[128];
    struct str rest, name;
    size_t field;
    unsigned type;
    check(outcome_n_metrics < SP_COUNTOF(names));
    for (size_t i = 0; i < outcome_n_metrics; i++) {
        names[i] = outcome_metrics[i].path;
        if (str_is(path, names[i])) {
            return 0;
        }
    }
    if ((cut_prefix(path, "latency.byFleet.", &rest) && split_fleet(rest, &name, &field)) ||
        cut_prefix(path, "cost.byFleet.", &rest) ||
        (cut_prefix(path, "cost.byCapacityType.", &rest) && capacity_of(rest, &type))) {
        return 0;
    }
    const char *near = str_nearest(path, names, outcome_n_metrics);
    return err_set(err, -EINVAL, "a run has no number \"%.100s\"%s%s%s",
                   path.n > 0 ? (const char *)path.p : "", near != NULL ? "; did you mean \"" : "",
                   near != NULL ? near : "", near != NULL ? "\"?" : "");
}

int expectation_parse(struct str text, struct expect *ret, struct err *err)
{
    static const struct {
        const char *text;
        enum expect_op op;
    } ops[] = {{"<=", EXPECT_LE}, {">=", EXPECT_GE}, {"==", EXPECT_EQ},
               {"!=", EXPECT_NE}, {"<", EXPECT_LT},  {">", EXPECT_GT}};
    size_t at = 0;
    while (at < text.n && strchr("<>=!", text.p[at]) == NULL) {
        at++;
    }
    struct str rest = {text.p + at, text.n - at};
    struct expect one = {.text = text, .path = str_trim((struct str){text.p, at})};
    size_t k = 0;
    while (k < SP_COUNTOF(ops) && !str_starts(rest, str_c(ops[k].text))) {
        k++;
    }
    if (k == SP_COUNTOF(ops) || one.path.n == 0) {
        return err_set(err, -EINVAL,
                       "\"%.*s\" is not FIELD OPERATOR NUMBER; operators are < <= > >= == !=",
                       (int)(text.n < 120 ? text.n : 120), text.p);
    }
    size_t skip = strlen(ops[k].text);
    struct str number = str_trim((struct str){rest.p + skip, rest.n - skip});
    if (!str_to_f64(number, &one.number)) {
        return err_set(err, -EINVAL, "\"%.*s\": \"%.*s\" is not a number",
                       (int)(text.n < 120 ? text.n : 120), text.p,
                       (int)(number.n < 60 ? number.n : 60), number.n > 0 ? number.p : "");
    }
    one.op = ops[k].op;
    char path[256] = "";
    memcpy(path, one.path.p, one.path.n < sizeof path - 1 ? one.path.n : sizeof path - 1);
    int rc = check_path(str_c(path), err);
    if (rc == 0) {
        *ret = one;
    }
    return rc;
}

static const struct outcome_fleet *find_fleet(const struct outcome *o, struct str name)
{
    for (size_t i = 0; i < o->fleets.n; i++) {
        if (str_eq(o->fleets.p[i].name, name)) {
            return &o->fleets.p[i];
        }
    }
    return NULL;
}

int expectation_value(const struct expect *e, const struct report_run *run, double *ret)
{
    const struct outcome *o = &run->outcome;
    const struct outcome_fleet *fleet;
    struct str rest, name;
    size_t field;
    unsigned type;
    for (size_t i = 0; i < outcome_n_metrics; i++) {
        if (str_is(e->path, outcome_metrics[i].path)) {
            *ret = outcome_metric(o, i);
            return 0;
        }
    }
    if (cut_prefix(e->path, "cost.byCapacityType.", &rest) && capacity_of(rest, &type)) {
        *ret = o->cost.has_capacity[type] ? (double)o->cost.by_capacity[type] / 1e9 : SIM_NULL;
        return 0;
    }
    if (cut_prefix(e->path, "latency.byFleet.", &rest) && split_fleet(rest, &name, &field)) {
        fleet = find_fleet(o, name);
        *ret =
            fleet != NULL && fleet->has_latency ? latency_value(&fleet->latency, field) : SIM_NULL;
        return fleet != NULL ? 0 : -ENOENT;
    }
    if (cut_prefix(e->path, "cost.byFleet.", &rest)) {
        fleet = find_fleet(o, rest);
        *ret = fleet != NULL ? (double)fleet->cost_nano / 1e9 : SIM_NULL;
        return fleet != NULL ? 0 : -ENOENT;
    }
    return -ENOENT;
}

bool expectation_holds(const struct expect *e, double value)
{
    if (value != value) {
        return false;
    }
    switch (e->op) {
    case EXPECT_LT:
        return value < e->number;
    case EXPECT_LE:
        return value <= e->number;
    case EXPECT_GT:
        return value > e->number;
    case EXPECT_GE:
        return value >= e->number;
    case EXPECT_EQ:
        return value == e->number;
    case EXPECT_NE:
        return value != e->number;
    }
    return false;
}

int expectation_check(struct report *r, const struct expect *list, size_t n, bool *ret_all_ok,
                      struct err *err)
{
    bool all = true;
    for (size_t i = 0; i < n; i++) {
        bool found = r->runs.n == 0;
        for (size_t k = 0; k < r->runs.n; k++) {
            struct report_expectation one = {.expr = list[i].text, .run = k, .value = SIM_NULL};
            found = expectation_value(&list[i], &r->runs.p[k], &one.value) == 0 || found;
            one.ok = expectation_holds(&list[i], one.value);
            all = all && one.ok;
            if (VEC_PUSH(&r->expectations, one, 10000000) != 0) {
                return err_nomem(err);
            }
        }
        if (!found) {
            return err_set(err, -EINVAL, "\"%.*s\": no run has this fleet",
                           (int)(list[i].text.n < 200 ? list[i].text.n : 200), list[i].text.p);
        }
    }
    *ret_all_ok = all;
    return 0;
}
