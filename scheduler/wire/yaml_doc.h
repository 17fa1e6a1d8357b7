/* YAML as a bounded tree with line and column of every node: the only user of libyaml.
 *
 * Plain scalars are typed by YAML 1.2's core schema (null, true/false, integers, floats) and otherwise text; duplicate
 * keys, aliases beyond LIMIT_YAML_ALIASES, depth beyond LIMIT_DEPTH, non-UTF-8 and tags other than the core ones are
 * errors with file:line:column. Merge keys (<<) are refused with the place.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum yaml_type { YAML_NULL = 0, YAML_BOOL, YAML_INT, YAML_FLOAT, YAML_STRING, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_type type;
    uint32_t line, column; /* 1-based */
    struct str text;       /* of any scalar, as written (after unquoting) */
    bool quoted;
    int64_t i64;              /* YAML_INT; YAML_BOOL 0/1 */
    double f64;               /* YAML_INT and YAML_FLOAT */
    uint32_t n;               /* list items, map pairs */
    struct yaml_node **items; /* list */
    struct yaml_pair *pairs;  /* map, in order */
};
struct yaml_pair {
    struct yaml_node *key, *val;
};
struct yaml_docs {
    struct yaml_node **docs;
    uint32_t n;
};
/* Parses all documents of `bytes`; nodes live in the arena. Empty documents are left out. */
int yaml_parse(const char *file, struct str bytes, struct arena *a, struct yaml_docs *ret,
               struct err *err) SP_MUST_CHECK;
const struct yaml_node *yaml_get(const struct yaml_node *map,
                                 const char *key); /* NULL when absent or not a map */
/* Writes the tree as JSON and, for each node start, the pair (offset in the JSON, node) so that an error at an offset can
 * be placed in the YAML; `marks` may be NULL. */
struct yaml_mark {
    size_t offset;
    uint32_t line, column;
};
struct yaml_marks {
    struct yaml_mark *p;
    size_t n, cap;
};
int yaml_to_json(const struct yaml_node *node, struct buf *out, struct yaml_marks *marks,
                 struct err *err) SP_MUST_CHECK;
void yaml_marks_done(struct yaml_marks *m);
