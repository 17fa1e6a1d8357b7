/* Strict JSON documents. See jdoc.h.
 *
 * jansson is the judge (duplicate keys, trailing bytes, number ranges); the tree with its places is then built by the scanner.
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/jdoc.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "wire/scan.h"

/* jansson tells short memory as a syntax error, if at all; this is what the call that runs on this thread has met. */
static _Thread_local bool short_memory;

static void *hook_alloc(size_t n)
{
    void *p = mem_alloc(n);
    short_memory = short_memory || p == NULL;
    return p;
}

void jdoc_init(void)
{
    json_set_alloc_funcs(hook_alloc, mem_free);
}

static json_t *load(const char *file, struct str bytes, struct err *err)
{
    json_error_t e;
    short_memory = false;
    json_t *root = json_loadb(bytes.p != NULL ? bytes.p : "", bytes.n,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
    if (root != NULL) {
        return root;
    }
    if (short_memory || json_error_code(&e) == json_error_out_of_memory) {
        err_nomem(err);
        return NULL;
    }
    err_set(err, -EINVAL, "%s", e.text);
    uint32_t line = e.line > 0 ? (uint32_t)e.line : 0,
             column = e.column > 0 ? (uint32_t)e.column : 1;
    err_at(err, file != NULL ? file : "", line, line > 0 ? column : 0);
    return NULL;
}

struct builder {
    struct scan s;
    struct arena *a;
    const char *seen; /* place counting goes on from here */
    uint32_t line;
    const char *line_start;
};

static void place(struct builder *b, const char *at, struct yaml_node *n)
{
    while (b->seen < at) {
        const char *nl = memchr(b->seen, '\n', (size_t)(at - b->seen));
        if (nl == NULL) {
            break;
        }
        b->seen = b->line_start = nl + 1;
        b->line++;
    }
    b->seen = at > b->seen ? at : b->seen;
    n->line = b->line;
    n->column = (uint32_t)(at - b->line_start) + 1;
}

static struct yaml_node *new_node(struct builder *b, enum yaml_type type)
{
    struct yaml_node *n = arena_calloc(b->a, 1, sizeof *n);
    if (n == NULL) {
        scan_fail(&b->s, SCAN_NO_MEMORY);
        return NULL;
    }
    n->type = type;
    place(b, b->s.p, n);
    return n;
}

/* Room for one more pointer-sized-or-larger element in an arena array. */
static void *grow(struct builder *b, void *p, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap) {
        return p;
    }
    uint32_t want = *cap == 0 ? 4 : *cap * 2;
    void *q = arena_alloc(b->a, want * size);
    if (q == NULL) {
        scan_fail(&b->s, SCAN_NO_MEMORY);
        return NULL;
    }
    if (n > 0) {
        memcpy(q, p, n * size);
    }
    *cap = want;
    return q;
}

static struct yaml_node *build(struct builder *b);

static bool build_map(struct builder *b, struct yaml_node *n)
{
    struct str raw;
    bool first = true, escaped;
    uint32_t cap = 0;
    if (!scan_object_begin(&b->s)) {
        return false;
    }
    while (scan_member(&b->s, &first, &raw, &escaped)) {
        n->pairs = grow(b, n->pairs, n->n, &cap, sizeof *n->pairs);
        struct yaml_node *key = n->pairs != NULL ? arena_calloc(b->a, 1, sizeof *key) : NULL;
        if (key == NULL) {
            return scan_fail(&b->s, SCAN_NO_MEMORY);
        }
        key->type = YAML_STRING;
        key->quoted = true;
        key->text = raw;
        place(b, raw.p - 1, key);
        if (escaped && !scan_unescape(&b->s, raw, b->a, &key->text)) {
            return false;
        }
        struct yaml_node *val = build(b);
        if (val == NULL) {
            return false;
        }
        n->pairs[n->n++] = (struct yaml_pair){key, val};
    }
    return b->s.error == NULL;
}

static bool build_list(struct builder *b, struct yaml_node *n)
{
    bool first = true;
    uint32_t cap = 0;
    if (!scan_array_begin(&b->s)) {
        return false;
    }
    while (scan_item(&b->s, &first)) {
        n->items = grow(b, n->items, n->n, &cap, sizeof *n->items);
        struct yaml_node *val = n->items != NULL ? build(b) : NULL;
        if (val == NULL) {
            return false;
        }
        n->items[n->n++] = val;
    }
    return b->s.error == NULL;
}

static bool build_number(struct builder *b, struct yaml_node *n)
{
    if (!scan_number_raw(&b->s, &n->text)) {
        return false;
    }
    n->type = str_to_i64(n->text, &n->i64) ? YAML_INT : YAML_FLOAT;
    if (!str_to_f64(n->text, &n->f64)) {
        return scan_fail(&b->s, "a number is out of range");
    }
    return true;
}

static struct yaml_node *build(struct builder *b)
{
    static const enum yaml_type types[] = {YAML_NULL,   YAML_BOOL, YAML_BOOL, YAML_INT,
                                           YAML_STRING, YAML_LIST, YAML_MAP};
    enum scan_type t = scan_peek(&b->s);
    struct yaml_node *n = t != SCAN_ERROR ? new_node(b, types[t]) : NULL;
    bool ok = n != NULL;
    if (!ok) {
        return NULL;
    }
    if (t == SCAN_OBJECT) {
        ok = build_map(b, n);
    } else if (t == SCAN_ARRAY) {
        ok = build_list(b, n);
    } else if (t == SCAN_STRING) {
        n->quoted = true;
        ok = scan_string(&b->s, b->a, &n->text);
    } else if (t == SCAN_NUMBER) {
        ok = build_number(b, n);
    } else {
        n->i64 = t == SCAN_TRUE;
        ok = scan_skip(&b->s, &n->text);
    }
    return ok ? n : NULL;
}

int jdoc_parse(const char *file, struct str bytes, struct arena *a, struct yaml_node **ret,
               struct err *err)
{
    struct builder b = {.a = a, .line = 1};
    scan_init(&b.s, bytes);
    if (!scan_skip(&b.s, NULL) || !scan_end(&b.s)) {
        return scan_error(&b.s, file != NULL ? file : "", err); /* our limits and UTF-8 first */
    }
    json_t *judged = load(file, bytes, err);
    if (judged == NULL) {
        return err->code;
    }
    json_decref(judged);
    scan_init(&b.s, bytes);
    b.seen = b.line_start = b.s.begin;
    struct yaml_node *root = build(&b);
    if (root == NULL) {
        if (b.s.error != NULL && strcmp(b.s.error, SCAN_NO_MEMORY) == 0) {
            return err_nomem(err);
        }
        return scan_error(&b.s, file != NULL ? file : "", err);
    }
    *ret = root;
    return 0;
}

/* ---- pretty printing ---- */

static void indent(struct buf *out, unsigned depth)
{
    buf_char(out, '\n');
    for (unsigned i = 0; i < depth; i++) {
        buf_lit(out, "  ");
    }
}

static int by_key(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int pretty(json_t *v, struct buf *out, unsigned depth);

static int pretty_object(json_t *v, struct buf *out, unsigned depth)
{
    size_t n = json_object_size(v), i = 0;
    const char **keys = mem_calloc(n + 1, sizeof *keys);
    const char *key;
    json_t *val;
    int rc = 0;
    if (keys == NULL) {
        return -ENOMEM;
    }
    json_object_foreach(v, key, val)
    {
        keys[i++] = key;
    }
    qsort(keys, n, sizeof *keys, by_key);
    buf_char(out, '{');
    for (i = 0; i < n && rc == 0; i++) {
        if (i > 0) {
            buf_char(out, ',');
        }
        indent(out, depth + 1);
        buf_json_str(out, str_c(keys[i]));
        buf_lit(out, ": ");
        rc = pretty(json_object_get(v, keys[i]), out, depth + 1);
    }
    if (n > 0) {
        indent(out, depth);
    }
    buf_char(out, '}');
    mem_free(keys);
    return rc;
}

static int pretty(json_t *v, struct buf *out, unsigned depth)
{
    int rc = 0;
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return pretty_object(v, out, depth);
    case JSON_ARRAY:
        buf_char(out, '[');
        for (size_t i = 0; i < json_array_size(v) && rc == 0; i++) {
            if (i > 0) {
                buf_char(out, ',');
            }
            indent(out, depth + 1);
            rc = pretty(json_array_get(v, i), out, depth + 1);
        }
        if (json_array_size(v) > 0) {
            indent(out, depth);
        }
        buf_char(out, ']');
        return rc;
    case JSON_STRING:
        buf_json_str(out, (struct str){json_string_value(v), json_string_length(v)});
        return 0;
    case JSON_INTEGER:
        buf_i64(out, json_integer_value(v));
        return 0;
    case JSON_REAL:
        buf_f64(out, json_real_value(v));
        return 0;
    default:
        buf_lit(out, json_is_true(v) ? "true" : json_is_false(v) ? "false" : "null");
        return 0;
    }
}

int jdoc_pretty(struct str json, struct buf *out, struct err *err)
{
    struct scan s;
    scan_init(&s, json);
    if (!scan_skip(&s, NULL) || !scan_end(&s)) {
        return scan_error(&s, "", err);
    }
    json_t *root = load(NULL, json, err);
    if (root == NULL) {
        return err->code;
    }
    int rc = pretty(root, out, 0);
    json_decref(root);
    buf_char(out, '\n');
    return rc != 0 || out->broken ? err_nomem(err) : 0;
}
