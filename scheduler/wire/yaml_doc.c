/* YAML as a tree, from libyaml's events. See yaml_doc.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/yaml_doc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/vec.h"
#include "wire/scan.h"

#define MAX_MAP_KEYS 16384u /* keys are compared one by one */

struct anchor {
    struct str name;
    struct yaml_node *node;
    uint32_t size; /* nodes below and with it, aliases expanded */
};

/* An open list or map. */
struct frame {
    struct yaml_node *node;
    uint32_t cap;
    struct yaml_node *key; /* map: waits for its value */
    uint32_t size;         /* expanded nodes so far */
    struct str anchor;
};

struct reader {
    const char *file;
    struct str bytes;
    yaml_parser_t parser;
    struct arena *a;
    struct err *err;
    struct frame stack[LIMIT_DEPTH];
    uint32_t depth;
    struct anchor anchors[256];
    uint32_t n_anchors;
    uint64_t alias_nodes; /* added by aliases in this document */
    struct yaml_node *root;
};

static int fail(struct reader *r, yaml_mark_t at, const char *text)
{
    err_set(r->err, -EINVAL, "%s", text);
    return err_at(r->err, r->file, (uint32_t)at.line + 1, (uint32_t)at.column + 1);
}

static int short_memory(struct reader *r)
{
    return err_nomem(r->err);
}

/* ---- scalars: the core schema of YAML 1.2 ---- */

static bool all_of(struct str s, const char *set)
{
    for (size_t i = 0; i < s.n; i++) {
        if (strchr(set, s.p[i]) == NULL || s.p[i] == '\0') {
            return false;
        }
    }
    return s.n > 0;
}

static bool read_int(struct str s, int64_t *ret)
{
    if (s.n > 2 && s.p[0] == '0' && (s.p[1] == 'x' || s.p[1] == 'o')) {
        unsigned base = s.p[1] == 'x' ? 16 : 8;
        struct str digits = {s.p + 2, s.n - 2};
        uint64_t v = 0;
        if (!all_of(digits, base == 16 ? "0123456789abcdefABCDEF" : "01234567")) {
            return false;
        }
        for (size_t i = 0; i < digits.n; i++) {
            char c = digits.p[i];
            unsigned d = (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
            if (v > ((uint64_t)INT64_MAX - d) / base) {
                return false;
            }
            v = v * base + d;
        }
        *ret = (int64_t)v;
        return true;
    }
    return str_to_i64(s, ret);
}

static bool is_one_of(struct str s, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (str_is(s, names[i])) {
            return true;
        }
    }
    return false;
}

static void type_plain(struct yaml_node *n)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    static const char *const yes[] = {"true", "True", "TRUE"}, *const no[] = {"false", "False",
                                                                              "FALSE"};
    n->type = YAML_STRING;
    if (is_one_of(n->text, nulls, SP_COUNTOF(nulls))) {
        n->type = YAML_NULL;
    } else if (is_one_of(n->text, yes, SP_COUNTOF(yes)) || is_one_of(n->text, no, SP_COUNTOF(no))) {
        n->type = YAML_BOOL;
        n->i64 = (n->text.p[0] | 0x20) == 't';
    } else if (read_int(n->text, &n->i64)) {
        n->type = YAML_INT;
        n->f64 = (double)n->i64;
    } else if (strchr("+-.0123456789", n->text.p[0]) != NULL && str_to_f64(n->text, &n->f64)) {
        n->type = YAML_FLOAT;
    }
}

static bool core_tag(const char *tag, const char *name)
{
    static const char prefix[] = "tag:yaml.org,2002:";
    return strncmp(tag, prefix, sizeof prefix - 1) == 0 &&
           strcmp(tag + sizeof prefix - 1, name) == 0;
}

static int tag_scalar(struct reader *r, const yaml_event_t *e, const char *tag, struct yaml_node *n)
{
    static const struct {
        const char *name;
        enum yaml_type type;
    } tags[] = {{"null", YAML_NULL}, {"bool", YAML_BOOL}, {"int", YAML_INT}, {"float", YAML_FLOAT}};
    if (core_tag(tag, "str")) {
        n->type = YAML_STRING;
        n->quoted = true;
        return 0;
    }
    type_plain(n);
    for (size_t i = 0; i < SP_COUNTOF(tags); i++) {
        if (core_tag(tag, tags[i].name)) {
            if (tags[i].type == YAML_FLOAT && n->type == YAML_INT) {
                n->type = YAML_FLOAT;
            }
            return n->type == tags[i].type
                       ? 0
                       : fail(r, e->start_mark, "the value does not fit its tag");
        }
    }
    return fail(r, e->start_mark,
                "only the tags !!null, !!bool, !!int, !!float, !!str, !!seq and !!map are known");
}

/* ---- building ---- */

static struct yaml_node *new_node(struct reader *r, const yaml_event_t *e, enum yaml_type type)
{
    struct yaml_node *n = arena_calloc(r->a, 1, sizeof *n);
    if (n != NULL) {
        n->type = type;
        n->line = (uint32_t)e->start_mark.line + 1;
        n->column = (uint32_t)e->start_mark.column + 1;
    }
    return n;
}

static int add_anchor(struct reader *r, struct str name, struct yaml_node *node, uint32_t size,
                      yaml_mark_t at)
{
    if (name.n == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < r->n_anchors; i++) {
        if (str_eq(r->anchors[i].name, name)) {
            r->anchors[i] = (struct anchor){name, node, size};
            return 0;
        }
    }
    if (r->n_anchors == SP_COUNTOF(r->anchors)) {
        return fail(r, at, "more than 256 anchors in one document");
    }
    r->anchors[r->n_anchors++] = (struct anchor){name, node, size};
    return 0;
}

static int grow(struct reader *r, void **p, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap) {
        return 0;
    }
    uint32_t want = *cap == 0 ? 4 : *cap * 2;
    void *q = arena_alloc(r->a, want * size);
    if (q == NULL) {
        return short_memory(r);
    }
    if (n > 0) {
        memcpy(q, *p, n * size);
    }
    *p = q;
    *cap = want;
    return 0;
}

static int take_key(struct reader *r, struct frame *f, struct yaml_node *node, yaml_mark_t at)
{
    if (node->type == YAML_LIST || node->type == YAML_MAP) {
        return fail(r, at, "a list or a map cannot be a key");
    }
    if (!node->quoted && str_is(node->text, "<<")) {
        return fail(r, at, "merge keys (<<) are not read: write the fields out");
    }
    if (f->node->n == MAX_MAP_KEYS) {
        return fail(r, at, "more than 16384 keys in one map");
    }
    for (uint32_t i = 0; i < f->node->n; i++) {
        if (str_eq(f->node->pairs[i].key->text, node->text)) {
            char text[160];
            snprintf(text, sizeof text, "the key \"%.*s\" stands twice (first in line %u)",
                     node->text.n < 80 ? (int)node->text.n : 80, node->text.p,
                     f->node->pairs[i].key->line);
            return fail(r, at, text);
        }
    }
    f->key = node;
    return 0;
}

/* Hands a finished node to the open list or map. */
static int put(struct reader *r, struct yaml_node *node, uint32_t size, yaml_mark_t at)
{
    if (r->depth == 0) {
        r->root = node;
        return 0;
    }
    struct frame *f = &r->stack[r->depth - 1];
    f->size += size;
    if (f->node->type == YAML_LIST) {
        void *p = f->node->items;
        int rc = grow(r, &p, f->node->n, &f->cap, sizeof *f->node->items);
        f->node->items = p;
        if (rc == 0) {
            f->node->items[f->node->n++] = node;
        }
        return rc;
    }
    if (f->key == NULL) {
        return take_key(r, f, node, at);
    }
    void *p = f->node->pairs;
    int rc = grow(r, &p, f->node->n, &f->cap, sizeof *f->node->pairs);
    f->node->pairs = p;
    if (rc == 0) {
        f->node->pairs[f->node->n++] = (struct yaml_pair){f->key, node};
        f->key = NULL;
    }
    return rc;
}

static int on_scalar(struct reader *r, const yaml_event_t *e)
{
    struct yaml_node *n = new_node(r, e, YAML_STRING);
    struct str text = {(const char *)e->data.scalar.value, e->data.scalar.length},
               anchor = STR_NONE;
    if (n == NULL) {
        return short_memory(r);
    }
    n->text = arena_str(r->a, text);
    if (e->data.scalar.anchor != NULL) {
        anchor = arena_str(r->a, str_c((const char *)e->data.scalar.anchor));
    }
    if (n->text.p == NULL || (e->data.scalar.anchor != NULL && anchor.p == NULL)) {
        return short_memory(r);
    }
    n->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    int rc = 0;
    if (e->data.scalar.tag != NULL && strcmp((const char *)e->data.scalar.tag, "!") != 0) {
        rc = tag_scalar(r, e, (const char *)e->data.scalar.tag, n);
    } else if (!n->quoted && e->data.scalar.tag == NULL) {
        type_plain(n);
    }
    if (rc == 0) {
        rc = add_anchor(r, anchor, n, 1, e->start_mark);
    }
    return rc == 0 ? put(r, n, 1, e->start_mark) : rc;
}

static int on_open(struct reader *r, const yaml_event_t *e, bool map)
{
    const yaml_char_t *tag = map ? e->data.mapping_start.tag : e->data.sequence_start.tag;
    const yaml_char_t *anchor = map ? e->data.mapping_start.anchor : e->data.sequence_start.anchor;
    if (tag != NULL && strcmp((const char *)tag, "!") != 0 &&
        !core_tag((const char *)tag, map ? "map" : "seq")) {
        return fail(
            r, e->start_mark,
            "only the tags !!null, !!bool, !!int, !!float, !!str, !!seq and !!map are known");
    }
    if (r->depth == LIMIT_DEPTH) {
        return fail(r, e->start_mark, "nested too deeply");
    }
    struct yaml_node *n = new_node(r, e, map ? YAML_MAP : YAML_LIST);
    struct frame f = {.node = n, .size = 1};
    if (n == NULL) {
        return short_memory(r);
    }
    if (anchor != NULL) {
        f.anchor = arena_str(r->a, str_c((const char *)anchor));
        if (f.anchor.p == NULL) {
            return short_memory(r);
        }
    }
    r->stack[r->depth++] = f;
    return 0;
}

static int on_close(struct reader *r, const yaml_event_t *e)
{
    struct frame f = r->stack[--r->depth];
    int rc = add_anchor(r, f.anchor, f.node, f.size, e->start_mark);
    return rc == 0 ? put(r, f.node, f.size, e->start_mark) : rc;
}

static int on_alias(struct reader *r, const yaml_event_t *e)
{
    struct str name = str_c((const char *)e->data.alias.anchor);
    for (uint32_t i = 0; i < r->n_anchors; i++) {
        if (str_eq(r->anchors[i].name, name)) {
            r->alias_nodes += r->anchors[i].size;
            if (r->alias_nodes > LIMIT_YAML_ALIASES) {
                return fail(r, e->start_mark, "aliases expand to more than 10000 nodes");
            }
            return put(r, r->anchors[i].node, r->anchors[i].size, e->start_mark);
        }
    }
    return fail(r, e->start_mark, "an alias without its anchor");
}

static int on_event(struct reader *r, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(r, e);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(r, e, false);
    case YAML_MAPPING_START_EVENT:
        return on_open(r, e, true);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_close(r, e);
    case YAML_ALIAS_EVENT:
        return on_alias(r, e);
    case YAML_DOCUMENT_START_EVENT:
        r->n_anchors = 0;
        r->alias_nodes = 0;
        r->root = NULL;
        return 0;
    default:
        return 0;
    }
}

/* Does the character that the scanner stumbled over stand behind a tab, or is it one? */
static bool tab_at(const struct reader *r, yaml_mark_t at)
{
    const char *p = r->bytes.p, *end = p + r->bytes.n;
    for (size_t line = 0; line < at.line && p != NULL; line++) {
        p = memchr(p, '\n', (size_t)(end - p));
        p = p != NULL ? p + 1 : NULL;
    }
    while (p != NULL && p < end && *p == ' ') {
        p++;
    }
    return p != NULL && p < end && *p == '\t';
}

/* Bytes that are no UTF-8, or control characters. The library's mark stands at the last token: the offset is exact. */
static int unreadable(struct reader *r)
{
    uint32_t line = 1, column = 1;
    size_t at = r->parser.problem_offset;
    if (r->bytes.p != NULL && at <= r->bytes.n) {
        scan_place(r->bytes.p, r->bytes.p + at, &line, &column);
    }
    err_set(r->err, -EINVAL, "%s: save the file as UTF-8 text",
            r->parser.problem != NULL ? r->parser.problem : "not a text");
    return err_at(r->err, r->file, line, column);
}

static int parser_failed(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR) {
        return short_memory(r);
    }
    if (p->error == YAML_READER_ERROR) {
        return unreadable(r);
    }
    yaml_mark_t at = p->problem_mark;
    if (r->bytes.n > 0 && tab_at(r, at)) {
        return fail(r, at, "a tab cannot indent YAML: use spaces");
    }
    char text[240];
    snprintf(text, sizeof text, "%s%s%s", p->problem != NULL ? p->problem : "not valid YAML",
             p->context != NULL ? ", " : "", p->context != NULL ? p->context : "");
    return fail(r, at, text);
}

static bool is_empty(const struct yaml_node *n)
{
    return n == NULL || (n->type == YAML_NULL && n->text.n == 0);
}

static int add_doc(struct reader *r, struct yaml_docs *out, uint32_t *cap)
{
    if (is_empty(r->root)) {
        return 0;
    }
    void *p = out->docs;
    int rc = grow(r, &p, out->n, cap, sizeof(struct yaml_node *));
    out->docs = p;
    if (rc == 0) {
        out->docs[out->n++] = r->root;
    }
    return rc;
}

static int read_all(struct reader *r, struct yaml_docs *out)
{
    uint32_t cap = 0;
    for (;;) {
        yaml_event_t e;
        if (!yaml_parser_parse(&r->parser, &e)) {
            return parser_failed(r);
        }
        yaml_event_type_t type = e.type;
        int rc = on_event(r, &e);
        yaml_event_delete(&e);
        if (rc == 0 && type == YAML_DOCUMENT_END_EVENT) {
            rc = add_doc(r, out, &cap);
        }
        if (rc != 0 || type == YAML_STREAM_END_EVENT) {
            return rc;
        }
    }
}

/* libyaml checks UTF-8 and control characters itself, but guesses UTF-16 from a mark: only UTF-8 is taken. */
int yaml_parse(const char *file, struct str bytes, struct arena *a, struct yaml_docs *ret,
               struct err *err)
{
    struct yaml_docs docs = {0};
    if (bytes.n > LIMIT_YAML_BYTES) {
        err_set(err, -E2BIG, "a YAML file of %zu bytes (at most %u)", bytes.n, LIMIT_YAML_BYTES);
        return err_at(err, file != NULL ? file : "", 0, 0);
    }
    struct reader *r = mem_calloc(1, sizeof *r);
    if (r == NULL) {
        return err_nomem(err);
    }
    r->file = file != NULL ? file : "";
    r->bytes = bytes;
    r->a = a;
    r->err = err;
    int rc = yaml_parser_initialize(&r->parser) ? 0 : err_nomem(err);
    if (rc == 0) {
        yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(
            &r->parser, (const unsigned char *)(bytes.p != NULL ? bytes.p : ""), bytes.n);
        rc = read_all(r, &docs);
        yaml_parser_delete(&r->parser);
    }
    mem_free(r);
    if (rc == 0) {
        *ret = docs;
    }
    return rc;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    if (map == NULL || map->type != YAML_MAP) {
        return NULL;
    }
    for (uint32_t i = 0; i < map->n; i++) {
        if (str_is(map->pairs[i].key->text, key)) {
            return map->pairs[i].val;
        }
    }
    return NULL;
}

/* ---- to JSON ---- */

static int mark(struct yaml_marks *m, const struct buf *out, const struct yaml_node *n,
                struct err *err)
{
    if (m == NULL) {
        return 0;
    }
    struct yaml_mark one = {out->n, n->line, n->column};
    return VEC_PUSH(m, one, (size_t)LIMIT_YAML_BYTES) == 0 ? 0 : err_nomem(err);
}

static int write_json(const struct yaml_node *n, struct buf *out, struct yaml_marks *marks,
                      struct err *err)
{
    int rc = mark(marks, out, n, err);
    switch (n->type) {
    case YAML_NULL:
        buf_lit(out, "null");
        return rc;
    case YAML_BOOL:
        buf_lit(out, n->i64 ? "true" : "false");
        return rc;
    case YAML_INT:
        buf_i64(out, n->i64);
        return rc;
    case YAML_FLOAT:
        buf_f64(out, n->f64);
        return rc;
    case YAML_STRING:
        buf_json_str(out, n->text);
        return rc;
    case YAML_LIST:
        buf_char(out, '[');
        for (uint32_t i = 0; i < n->n && rc == 0; i++) {
            if (i > 0) {
                buf_char(out, ',');
            }
            rc = write_json(n->items[i], out, marks, err);
        }
        buf_char(out, ']');
        return rc;
    case YAML_MAP:
        break;
    }
    buf_char(out, '{');
    for (uint32_t i = 0; i < n->n && rc == 0; i++) {
        if (i > 0) {
            buf_char(out, ',');
        }
        buf_json_str(out, n->pairs[i].key->text);
        buf_char(out, ':');
        rc = write_json(n->pairs[i].val, out, marks, err);
    }
    buf_char(out, '}');
    return rc;
}

int yaml_to_json(const struct yaml_node *node, struct buf *out, struct yaml_marks *marks,
                 struct err *err)
{
    int rc = write_json(node, out, marks, err);
    if (rc == 0 && out->broken) {
        rc = err_nomem(err);
    }
    return rc;
}

void yaml_marks_done(struct yaml_marks *m)
{
    VEC_DONE(m);
}
