/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/tables_read.h"

#include <stdio.h>

#include "base/limits.h"
#include "base/vec.h"
#include "conf/csv.h"
#include "conf/file.h"
#include "conf/keytab.h"
#include "model/prices.h"

#define TABLE_BYTES_MAX ((size_t)1 << 30)
#define RTT_MAX_MS      60000.0
#define CLIP(s)         (int)((s).n > 60 ? 60 : (s).n), ((s).p != NULL ? (s).p : "")

static const char *const latency_columns[] = {"from", "to", "rtt_ms", "jitter_ms"};
static const char *const price_columns[] = {"instance_type", "region", "zone", "capacity_type",
                                            "price_per_hour"};

/* The header: columns in the documented order, `optional` may be left out. */
static int read_header(struct csv *c, const char *const *columns, uint32_t n, uint32_t optional,
                       bool *ret_has, struct err *err)
{
    char want[120] = "";
    size_t len = 0;
    for (uint32_t i = 0; i < n; i++) {
        len += (size_t)snprintf(want + len, sizeof want - len, i == optional ? "[%s%s]" : "%s%s",
                                i > 0 ? "," : "", columns[i]);
    }
    int rc = csv_next(c, err);
    if (rc < 0) {
        return rc;
    }
    if (rc == 0) {
        err_set(err, -EINVAL, "the table is empty; its first line is %s", want);
        return err_at(err, c->file, 1, 1);
    }
    uint32_t at = 0;
    *ret_has = false;
    for (uint32_t i = 0; i < n; i++) {
        if (at < c->n && str_is(c->f[at].text, columns[i])) {
            at++;
            *ret_has = *ret_has || i == optional;
        } else if (i != optional) {
            if (at < c->n) {
                err_set(err, -EINVAL,
                        "expected the column %s, found \"%.*s\"; the first line is %s", columns[i],
                        CLIP(c->f[at].text), want);
            } else {
                err_set(err, -EINVAL, "the column %s is missing; the first line is %s", columns[i],
                        want);
            }
            return csv_fail(c, at, err);
        }
    }
    if (at != c->n) {
        err_set(err, -EINVAL, "unknown column \"%.*s\"; the first line is %s", CLIP(c->f[at].text),
                want);
        return csv_fail(c, at, err);
    }
    return 0;
}

static int check_fields(const struct csv *c, uint32_t n, struct err *err)
{
    if (c->n == n) {
        return 0;
    }
    err_set(err, -EINVAL, "%u fields, the header has %u", (unsigned)c->n, (unsigned)n);
    return csv_fail(c, 0, err);
}

static int text_field(const struct csv *c, uint32_t field, const char *what, bool may_be_empty,
                      struct arena *a, struct str *ret, struct err *err)
{
    struct str s = c->f[field].text;
    if ((s.n == 0 && !may_be_empty) || s.n > LIMIT_NAME_BYTES) {
        err_set(err, -EINVAL, s.n == 0 ? "%s is empty" : "%s is too long", what);
        return csv_fail(c, field, err);
    }
    *ret = s.n == 0 ? STR("") : arena_str(a, s);
    return ret->p != NULL ? 0 : err_nomem(err);
}

static int ms_field(const struct csv *c, uint32_t field, const char *what, double *ret,
                    struct err *err)
{
    struct str s = c->f[field].text;
    if (!str_to_f64(s, ret) || !(*ret >= 0 && *ret <= RTT_MAX_MS)) {
        err_set(err, -EINVAL, "%s: expected milliseconds from 0 to 60000, found \"%.*s\"", what,
                CLIP(s));
        return csv_fail(c, field, err);
    }
    return 0;
}

typedef VEC(struct latency_row) latency_rows;
typedef VEC(struct price_row) price_rows;

/* ---- one row per key: a sorted order that finds twins, without moving the rows ---- */

struct order {
    const void *rows;
    uint32_t *ix; /* heap-sorted */
    size_t n;
    int (*cmp)(const void *rows, uint32_t a, uint32_t b);
};

static void sift(struct order *o, size_t root, size_t end)
{
    for (size_t child = root * 2 + 1; child < end; child = root * 2 + 1) {
        if (child + 1 < end && o->cmp(o->rows, o->ix[child], o->ix[child + 1]) < 0) {
            child++;
        }
        if (o->cmp(o->rows, o->ix[root], o->ix[child]) >= 0) {
            return;
        }
        uint32_t t = o->ix[root];
        o->ix[root] = o->ix[child];
        o->ix[child] = t;
        root = child;
    }
}

static void heap_sort(struct order *o)
{
    for (size_t i = o->n / 2; i > 0; i--) {
        sift(o, i - 1, o->n);
    }
    for (size_t end = o->n; end > 1; end--) {
        uint32_t t = o->ix[0];
        o->ix[0] = o->ix[end - 1];
        o->ix[end - 1] = t;
        sift(o, 0, end - 1);
    }
}

static int latency_key_cmp(const void *rows, uint32_t a, uint32_t b)
{
    const struct latency_row *r = rows;
    int d = str_cmp(r[a].from, r[b].from);
    return d != 0 ? d : str_cmp(r[a].to, r[b].to);
}

static int price_key_cmp(const void *rows, uint32_t a, uint32_t b)
{
    const struct price_row *r = rows;
    return prices_row_cmp(&r[a], &r[b]);
}

/* *ret_later: the row that repeats an earlier one (*ret_first), or n when there is none. *ret_order: the rows' numbers in
 * order, the caller's to free. */
static int find_twin(const void *rows, size_t n, int (*cmp)(const void *, uint32_t, uint32_t),
                     uint32_t *ret_first, uint32_t *ret_later, uint32_t **ret_order,
                     struct err *err)
{
    struct order o = {.rows = rows, .n = n, .cmp = cmp};
    *ret_later = (uint32_t)n;
    o.ix = mem_calloc(n + 1, sizeof *o.ix);
    if (o.ix == NULL) {
        return err_nomem(err);
    }
    for (size_t i = 0; i < n; i++) {
        o.ix[i] = (uint32_t)i;
    }
    heap_sort(&o);
    for (size_t i = 1; i < n; i++) {
        if (cmp(rows, o.ix[i - 1], o.ix[i]) == 0) {
            uint32_t a = o.ix[i - 1], b = o.ix[i];
            uint32_t later = a > b ? a : b;
            if (later < *ret_later) {
                *ret_later = later;
                *ret_first = a > b ? b : a;
            }
        }
    }
    *ret_order = o.ix;
    return 0;
}

/* Line of the data row `ix`, found by reading again: only errors need it. */
static uint32_t line_of_row(const char *name, struct str bytes, uint32_t ix)
{
    struct csv c;
    struct err ignored = ERR_NONE;
    csv_init(&c, name, bytes);
    for (uint64_t i = 0; i < (uint64_t)ix + 2; i++) {
        if (csv_next(&c, &ignored) <= 0) {
            break;
        }
    }
    return c.line;
}

static int twin_error(const char *name, struct str bytes, uint32_t first, uint32_t later,
                      struct err *err)
{
    err_set(err, -EEXIST, "the same row stands in line %u already; keep one",
            (unsigned)line_of_row(name, bytes, first));
    return err_at(err, name, line_of_row(name, bytes, later), 1);
}

/* The rows of a table in the order of `cmp`, copied into the arena; a row that stands twice is an error with its place. */
static int keep_rows(struct arena *a, const char *name, struct str bytes, const void *rows,
                     size_t n, size_t size, int (*cmp)(const void *, uint32_t, uint32_t),
                     void **ret, struct err *err)
{
    uint32_t first = 0, later = 0, *order = NULL;
    char *kept = NULL;
    int rc = find_twin(rows, n, cmp, &first, &later, &order, err);
    if (rc == 0 && later < n) {
        rc = twin_error(name, bytes, first, later, err);
    }
    if (rc == 0) {
        kept = arena_calloc(a, n > 0 ? n : 1, size);
        rc = kept != NULL ? 0 : err_nomem(err);
    }
    if (rc == 0) {
        check(n == 0 || (kept != NULL && order != NULL));
        for (size_t i = 0; i < n; i++) {
            memcpy(kept + i * size, (const char *)rows + order[i] * size, size);
        }
        *ret = kept;
    }
    mem_free(order);
    return rc;
}

/* ---- latency ---- */

static int collect_latency(struct settings *s, const char *name, struct str bytes,
                           latency_rows *rows, struct err *err)
{
    struct csv c;
    bool jitter = false;
    int rc = 0;
    csv_init(&c, name, bytes);
    rc = read_header(&c, latency_columns, 4, 3, &jitter, err);
    while (rc == 0) {
        struct latency_row row = {0};
        int more = csv_next(&c, err);
        if (more <= 0) {
            return more;
        }
        rc = check_fields(&c, jitter ? 4 : 3, err);
        rc = rc != 0 ? rc : text_field(&c, 0, "from", false, &s->arena, &row.from, err);
        rc = rc != 0 ? rc : text_field(&c, 1, "to", false, &s->arena, &row.to, err);
        rc = rc != 0 ? rc : ms_field(&c, 2, "rtt_ms", &row.rtt_ms, err);
        if (rc == 0 && jitter && c.f[3].text.n > 0) {
            rc = ms_field(&c, 3, "jitter_ms", &row.jitter_ms, err);
        }
        if (rc == 0 && VEC_PUSH(rows, row, LIMIT_CSV_ROWS) != 0) {
            rc = err_nomem(err);
        }
    }
    return rc;
}

int config_read_latency_bytes(struct settings *s, const char *name, struct str bytes,
                              struct err *err)
{
    latency_rows rows = {0};
    void *kept = NULL;
    int rc = collect_latency(s, name, bytes, &rows, err);
    if (rc == 0) {
        rc = keep_rows(&s->arena, name, bytes, rows.p, rows.n, sizeof *rows.p, latency_key_cmp,
                       &kept, err);
    }
    if (rc == 0) {
        s->latency.rows.p = kept;
        s->latency.rows.n = (uint32_t)rows.n;
    }
    VEC_DONE(&rows);
    return rc;
}

/* ---- prices ---- */

static int capacity_field(const struct csv *c, uint32_t field, struct str *ret, struct err *err)
{
    static const struct {
        const char *word, *means;
    } words[] = {{"on-demand", "on-demand"},
                 {"on_demand", "on-demand"},
                 {"ondemand", "on-demand"},
                 {"spot", "spot"},
                 {"reserved", "reserved"}};
    struct str s = c->f[field].text;
    for (size_t i = 0; i < SP_COUNTOF(words); i++) {
        if (str_eq_nocase(s, str_c(words[i].word))) {
            *ret = str_c(words[i].means);
            return 0;
        }
    }
    err_set(err, -EINVAL, "capacity_type: expected on-demand, spot or reserved, found \"%.*s\"",
            CLIP(s));
    return csv_fail(c, field, err);
}

static int collect_prices(struct settings *s, const char *name, struct str bytes, price_rows *rows,
                          struct err *err)
{
    struct csv c;
    bool zone = false;
    int rc = 0;
    csv_init(&c, name, bytes);
    rc = read_header(&c, price_columns, 5, 2, &zone, err);
    uint32_t at = zone ? 3 : 2;
    while (rc == 0) {
        struct price_row row = {.zone = STR("")};
        int more = csv_next(&c, err);
        if (more <= 0) {
            return more;
        }
        rc = check_fields(&c, at + 2, err);
        rc = rc != 0
                 ? rc
                 : text_field(&c, 0, "instance_type", false, &s->arena, &row.instance_type, err);
        rc = rc != 0 ? rc
                     : text_field(&c, 1, "region", zone && c.f[2].text.n > 0, &s->arena,
                                  &row.region, err);
        if (rc == 0 && zone) {
            rc = text_field(&c, 2, "zone", true, &s->arena, &row.zone, err);
        }
        rc = rc != 0 ? rc : capacity_field(&c, at, &row.capacity_type, err);
        if (rc == 0 && !conf_money(c.f[at + 1].text, &row.price_nano_hour)) {
            err_set(err, -EINVAL,
                    "price_per_hour: expected an amount of money such as 0.085, found \"%.*s\"",
                    CLIP(c.f[at + 1].text));
            rc = csv_fail(&c, at + 1, err);
        }
        if (rc == 0 && VEC_PUSH(rows, row, LIMIT_CSV_ROWS) != 0) {
            rc = err_nomem(err);
        }
    }
    return rc;
}

int config_read_prices_bytes(struct settings *s, const char *name, struct str bytes,
                             struct err *err)
{
    price_rows rows = {0};
    void *kept = NULL;
    int rc = collect_prices(s, name, bytes, &rows, err);
    if (rc == 0) {
        rc = keep_rows(&s->arena, name, bytes, rows.p, rows.n, sizeof *rows.p, price_key_cmp, &kept,
                       err);
    }
    if (rc == 0) {
        s->prices.rows.p = kept;
        s->prices.rows.n = (uint32_t)rows.n;
        s->prices.sorted = true;
    }
    VEC_DONE(&rows);
    return rc;
}

/* ---- files ---- */

static int read_table(struct settings *s, const char *path, struct str *file,
                      int (*read)(struct settings *, const char *, struct str, struct err *),
                      struct err *err)
{
    char *bytes = NULL;
    size_t n = 0;
    int rc = conf_read_file(path, TABLE_BYTES_MAX, &bytes, &n, err);
    if (rc != 0) {
        return rc;
    }
    struct str name = arena_str(&s->arena, str_c(path));
    rc = name.p == NULL ? err_nomem(err) : read(s, path, (struct str){bytes, n}, err);
    if (rc == 0) {
        *file = name;
    }
    mem_free(bytes);
    return rc;
}

int config_read_latency(struct settings *s, const char *path, struct err *err)
{
    return read_table(s, path, &s->latency.file, config_read_latency_bytes, err);
}

int config_read_prices(struct settings *s, const char *path, struct err *err)
{
    return read_table(s, path, &s->prices.file, config_read_prices_bytes, err);
}
