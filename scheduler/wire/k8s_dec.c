/* Reading of simple values and the path of faults. See k8s_dec.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/k8s_dec.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"

static const char value_fault[] = "a value is wrong";

void dec_init(struct k8s_dec *d, struct str json, struct arena *a)
{
    scan_init(&d->s, json);
    d->a = a;
    d->keys = NULL;
    d->text[0] = '\0';
    d->path[sizeof d->path - 1] = '\0';
    d->path_at = sizeof d->path - 1;
}

int dec_error(const struct k8s_dec *d, struct err *err)
{
    const char *path = d->path + d->path_at;
    const char *text = d->text[0] != '\0' ? d->text : d->s.error != NULL ? d->s.error : value_fault;
    uint32_t line, column;
    int code = strcmp(text, SCAN_NO_MEMORY) == 0 ? -ENOMEM : -EINVAL;
    scan_place(d->s.begin, d->s.error_at != NULL ? d->s.error_at : d->s.p, &line, &column);
    err_set(err, code, "%s%s%s", path, path[0] != '\0' ? ": " : "", text);
    err->line = line;
    err->column = column;
    return code;
}

bool dec_truncated(const struct k8s_dec *d)
{
    return d->s.error != NULL && d->text[0] == '\0' && d->s.end - d->s.error_at < 64;
}

bool dec_fail(struct k8s_dec *d, const char *at, const char *fmt, ...)
{
    if (d->s.error == NULL) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(d->text, sizeof d->text, fmt, args);
        va_end(args);
        d->s.error = value_fault;
        d->s.error_at = at != NULL ? at : d->s.p;
    }
    return false;
}

bool dec_nomem(struct k8s_dec *d)
{
    return scan_fail(&d->s, SCAN_NO_MEMORY);
}

static bool prepend(struct k8s_dec *d, const char *p, size_t n)
{
    if (n <= d->path_at) {
        d->path_at -= (uint32_t)n;
        memcpy(d->path + d->path_at, p, n);
    }
    return false;
}

bool dec_in(struct k8s_dec *d, struct str name)
{
    char c = d->path[d->path_at];
    if (c != '\0' && c != '[') {
        prepend(d, ".", 1);
    }
    return prepend(d, name.p, name.n < 80 ? name.n : 80);
}

bool dec_in_index(struct k8s_dec *d, uint32_t i)
{
    char part[16], c = d->path[d->path_at];
    int n = snprintf(part, sizeof part, "[%u]%s", i, c != '\0' && c != '[' ? "." : "");
    return prepend(d, part, (size_t)n);
}

bool dec_null(struct k8s_dec *d)
{
    return scan_peek(&d->s) == SCAN_NULL && scan_skip(&d->s, NULL);
}

static const char *type_name(enum scan_type t)
{
    static const char *const names[] = {"null",     "false",  "true",     "a number",
                                        "a string", "a list", "an object"};
    return t >= SCAN_NULL && t <= SCAN_OBJECT ? names[t] : "nothing";
}

static bool wrong_type(struct k8s_dec *d, const char *wanted)
{
    enum scan_type t = scan_peek(&d->s);
    return t != SCAN_ERROR && dec_fail(d, NULL, "%s was expected, found %s", wanted, type_name(t));
}

bool dec_object(struct k8s_dec *d, struct dec_iter *it)
{
    *it = (struct dec_iter){.first = true};
    enum scan_type t = scan_peek(&d->s);
    if (t == SCAN_OBJECT) {
        it->keys_at = d->keys != NULL ? d->keys->n : 0;
        it->open = scan_object_begin(&d->s);
        return it->open;
    }
    return t == SCAN_NULL ? scan_skip(&d->s, NULL) : wrong_type(d, "an object");
}

bool dec_list(struct k8s_dec *d, struct dec_iter *it)
{
    *it = (struct dec_iter){.first = true, .i = UINT32_MAX};
    enum scan_type t = scan_peek(&d->s);
    if (t == SCAN_ARRAY) {
        it->open = scan_array_begin(&d->s);
        return it->open;
    }
    return t == SCAN_NULL ? scan_skip(&d->s, NULL) : wrong_type(d, "a list");
}

/* A key that this object had before is a fault. */
static bool key_once(struct k8s_dec *d, struct dec_iter *it, const char *at)
{
    struct dec_keys *k = d->keys;
    k->n = it->keys_at + it->n_keys;
    for (uint32_t i = it->keys_at; i < k->n; i++) {
        if (SP_UNLIKELY(str_eq(k->p[i], it->key))) {
            return dec_fail(d, at, "the key \"" STR_FMT "\" stands twice in one object: keep one",
                            STR_ARG(it->key));
        }
    }
    if (k->n < SP_COUNTOF(k->p)) {
        k->p[k->n++] = it->key;
        it->n_keys++;
    }
    return true;
}

bool dec_member(struct k8s_dec *d, struct dec_iter *it)
{
    bool escaped;
    if (!it->open || !scan_member(&d->s, &it->first, &it->key, &escaped)) {
        return false;
    }
    const char *at = it->key.p - 1;
    if (SP_UNLIKELY(escaped)) {
        bool nul = d->s.allow_nul;
        d->s.allow_nul = true;
        bool ok = scan_unescape(&d->s, it->key, d->a, &it->key);
        d->s.allow_nul = nul;
        if (!ok) {
            return false;
        }
    }
    return d->keys == NULL || key_once(d, it, at);
}

bool dec_item(struct k8s_dec *d, struct dec_iter *it)
{
    if (!it->open || !scan_item(&d->s, &it->first)) {
        return false;
    }
    it->i++;
    return true;
}

bool dec_str(struct k8s_dec *d, struct str *ret)
{
    enum scan_type t = scan_peek(&d->s);
    if (SP_LIKELY(t == SCAN_STRING)) {
        return scan_string(&d->s, d->a, ret);
    }
    if (t == SCAN_NULL) {
        *ret = STR_NONE;
        return scan_skip(&d->s, NULL);
    }
    return wrong_type(d, "a string");
}

bool dec_bool(struct k8s_dec *d, bool *ret)
{
    enum scan_type t = scan_peek(&d->s);
    if (t == SCAN_TRUE || t == SCAN_FALSE) {
        return scan_bool(&d->s, ret);
    }
    if (t == SCAN_NULL) {
        *ret = false;
        return scan_skip(&d->s, NULL);
    }
    return wrong_type(d, "true or false");
}

bool dec_i64(struct k8s_dec *d, int64_t *ret)
{
    enum scan_type t = scan_peek(&d->s);
    if (t == SCAN_NUMBER) {
        return scan_i64(&d->s, ret);
    }
    if (t == SCAN_NULL) {
        *ret = 0;
        return scan_skip(&d->s, NULL);
    }
    return wrong_type(d, "a whole number");
}

bool dec_i32(struct k8s_dec *d, int32_t *ret)
{
    int64_t v = 0;
    const char *at = (scan_peek(&d->s), d->s.p);
    if (!dec_i64(d, &v)) {
        return false;
    }
    if (v < INT32_MIN || v > INT32_MAX) {
        return dec_fail(d, at, "%lld is more than a 32-bit number holds", (long long)v);
    }
    *ret = (int32_t)v;
    return true;
}

bool dec_time(struct k8s_dec *d, int64_t *ret_ms)
{
    struct str s = STR_NONE;
    const char *at = (scan_peek(&d->s), d->s.p);
    if (!dec_str(d, &s)) {
        return false;
    }
    if (s.n == 0) {
        *ret_ms = 0;
        return true;
    }
    if (!str_to_time_ms(s, ret_ms)) {
        return dec_fail(d, at, "\"%.*s\" is no time (2026-11-21T07:47:22Z was expected)",
                        s.n < 60 ? (int)s.n : 60, s.p);
    }
    return true;
}

bool dec_quantity(struct k8s_dec *d, struct quantity *ret)
{
    struct str s = STR_NONE;
    enum scan_type t = scan_peek(&d->s);
    const char *at = d->s.p;
    if (t == SCAN_STRING) {
        if (!scan_string(&d->s, d->a, &s)) {
            return false;
        }
    } else if (t == SCAN_NUMBER) {
        if (!scan_number_raw(&d->s, &s)) {
            return false;
        }
    } else if (t == SCAN_NULL) {
        *ret = QUANTITY_ZERO;
        return scan_skip(&d->s, NULL);
    } else {
        return wrong_type(d, "a quantity (\"500m\", \"2Gi\", 4)");
    }
    struct err e;
    if (quantity_parse(s, ret, &e) != 0) {
        return dec_fail(d, at, "%s", e.text);
    }
    return true;
}

void *dec_grow(struct k8s_dec *d, void *p, uint32_t n, uint32_t *cap, size_t size, uint32_t max)
{
    if (n < *cap) {
        return p;
    }
    if (n >= max) {
        dec_fail(d, NULL, "more than %u entries", max);
        return NULL;
    }
    uint32_t want = *cap == 0 ? 8 : *cap * 2;
    void *q = arena_alloc(d->a, (size_t)want * size);
    if (q == NULL) {
        dec_nomem(d);
        return NULL;
    }
    if (n > 0) {
        memcpy(q, p, n * size);
    }
    *cap = want;
    return q;
}

bool dec_str_list(struct k8s_dec *d, str_list *ret)
{
    struct dec_iter it;
    struct str *p = NULL;
    uint32_t n = 0, cap = 0;
    if (!dec_list(d, &it)) {
        return false;
    }
    while (dec_item(d, &it)) {
        p = dec_grow(d, p, n, &cap, sizeof *p, LIMIT_LABELS);
        if (p == NULL || !dec_str(d, &p[n])) {
            return dec_in_index(d, it.i);
        }
        n++;
    }
    ret->p = p;
    ret->n = n;
    return dec_ok(d);
}

bool dec_kv_map(struct k8s_dec *d, kv_list *ret)
{
    struct dec_iter it;
    struct kv_desc *p = NULL;
    uint32_t n = 0, cap = 0;
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        p = dec_grow(d, p, n, &cap, sizeof *p, LIMIT_LABELS);
        if (p == NULL || !dec_str(d, &p[n].val)) {
            return dec_in(d, it.key);
        }
        p[n].key = it.key;
        uint32_t same = 0;
        while (same < n && !(p[same].key.n == it.key.n && str_eq(p[same].key, it.key))) {
            same++;
        }
        if (SP_UNLIKELY(same < n)) {
            p[same] = p[n];
        } else {
            n++;
        }
    }
    ret->p = p;
    ret->n = n;
    return dec_ok(d);
}

bool dec_qty_map(struct k8s_dec *d, qty_list *ret)
{
    struct dec_iter it;
    struct qty_desc *p = NULL;
    uint32_t n = 0, cap = 0;
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        p = dec_grow(d, p, n, &cap, sizeof *p, LIMIT_RESOURCES);
        if (p == NULL || !dec_quantity(d, &p[n].value)) {
            return dec_in(d, it.key);
        }
        p[n].name = it.key;
        uint32_t same = 0;
        while (same < n && !str_eq(p[same].name, it.key)) {
            same++;
        }
        if (SP_UNLIKELY(same < n)) {
            p[same] = p[n];
        } else {
            n++;
        }
    }
    ret->p = p;
    ret->n = n;
    return dec_ok(d);
}

/* One step of a path: a field name or an index. Returns the rest. */
static const char *path_step(const char *path, struct str *ret_name, bool *ret_index)
{
    *ret_index = path[0] == '[';
    if (*ret_index) {
        size_t n = strcspn(path, "]");
        *ret_name = (struct str){path + 1, n > 0 ? n - 1 : 0};
        path += n + (path[n] == ']');
    } else {
        size_t n = strcspn(path, ".[");
        *ret_name = (struct str){path, n};
        path += n;
    }
    return path[0] == '.' ? path + 1 : path;
}

/* Moves to the value of the last member of that name, or to that item. */
static bool path_enter(struct scan *s, struct str name, bool index)
{
    bool first = true, escaped, found = false;
    struct scan at = *s;
    struct str key, raw;
    if (index) {
        int64_t want = 0, i = 0;
        if (!str_to_i64(name, &want) || !scan_array_begin(s)) {
            return false;
        }
        while (scan_item(s, &first)) {
            if (i++ == want) {
                return true;
            }
            if (!scan_skip(s, NULL)) {
                return false;
            }
        }
        return false;
    }
    if (!scan_object_begin(s)) {
        return false;
    }
    while (scan_member(s, &first, &key, &escaped)) {
        struct scan here = *s;
        if (str_eq(key, name)) {
            at = here;
            found = true;
        }
        if (!scan_skip(s, &raw)) {
            break;
        }
    }
    *s = at;
    return found;
}

bool k8s_find_field(struct str json, const char *path, size_t *ret_offset)
{
    struct scan s;
    scan_init(&s, json);
    *ret_offset = 0;
    while (path[0] != '\0') {
        struct str name;
        bool index;
        path = path_step(path, &name, &index);
        if (scan_peek(&s) != (index ? SCAN_ARRAY : SCAN_OBJECT) || !path_enter(&s, name, index) ||
            scan_peek(&s) == SCAN_ERROR) {
            return false;
        }
        *ret_offset = (size_t)(s.p - s.begin);
    }
    return true;
}

size_t k8s_find_path(struct str json, const char *path)
{
    size_t at;
    (void)k8s_find_field(json, path, &at);
    return at;
}
