/* Key tables: one row per setting, from which come the reader, the printer, `config explain` and the docs.
 *
 * A table knows types, ranges and units, not meanings: what contradicts what is checked by the owner afterwards. Rows are
 * grouped in scopes (a struct each); paths are relative to their scope, with dots for nested maps. Pure; text goes
 * into the arena that the caller gives.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "wire/yaml_doc.h"

enum key_type {
    KEY_SECTION = 0, /* a map of further rows of this scope */
    KEY_BOOL,        /* bool */
    KEY_ON_OFF,      /* bool, written on | off */
    KEY_INT,         /* int32_t */
    KEY_LONG,        /* int64_t */
    KEY_NUMBER,      /* double */
    KEY_DURATION,    /* int64_t ms, "20ms", "25m" */
    KEY_SESSION,     /* the same, or "forever" (INT64_MAX) */
    KEY_MONEY,       /* int64_t nano-currency, decimal */
    KEY_TEXT,        /* struct str */
    KEY_FILE,        /* struct str, a path from the configuration's folder */
    KEY_ENUM,        /* an enum of int size; arg = "a|b|c", the first is (int)min */
    KEY_TEXT_LIST,   /* str_list */
    KEY_SELECTOR,    /* struct selector_desc: matchLabels, matchExpressions */
    KEY_SHARES,      /* demand_list: name to share, normalised */
    KEY_TEXT_LONG,   /* list of struct region_limit: name to whole number */
    KEY_TEXT_TEXT,   /* list of struct region_pair: name to name */
    KEY_SCOPE,       /* one struct of scope arg */
    KEY_SCOPE_LIST,  /* a list of maps, each a struct of scope arg: (const T *p, uint32_t n) */
    KEY_SCOPE_MAP /* free names to maps, each a struct of scope arg whose name member is the key */
};

enum key_flags {
    KEY_REQUIRED = 1u << 0,
    KEY_OWN_ONLY =
        1u
        << 1, /* an element's own key: not where the scope is used once, as a default (KEY_SCOPE) */
    KEY_RESTART = 1u << 2 /* not taken over by a live reload */
};

#define KEY_NO_SET SIZE_MAX

struct key_row {
    const char *scope, *path;
    enum key_type type;
    size_t offset;
    size_t set_offset; /* of a bool that is set when the key is given; KEY_NO_SET: none */
    const char *def;   /* the default as it would be written; "" = not set */
    double min, max;   /* of the value in its unit; both 0 = any */
    const char *arg, *unit;
    unsigned flags;
    const char *prose;
};
struct key_scope {
    const char *name;
    size_t size;
    size_t name_offset; /* struct str that carries the element's name; KEY_NO_SET: none */
    void (*init)(void *element,
                 const void *root); /* puts an element at its defaults; NULL: zeroes */
    void (*finish)(void *element);  /* fills what follows from other keys; NULL: nothing */
};
struct keytab {
    const struct key_row *rows;
    size_t n_rows;
    const struct key_scope *scopes;
    size_t n_scopes;
};
struct keytab_read {
    const struct keytab *tab;
    struct arena *arena;
    const char *file;
    const char *folder; /* "" or without a slash at the end: relative files start there */
    void *root;
};

/* Reads `map` into the struct `base` of a scope. Keys that are not given keep what `base` holds. Errors name
 * file:line:column, the key, what was found and what is right. */
int keytab_apply(const struct keytab_read *r, const char *scope, const struct yaml_node *map,
                 void *base, struct err *err) SP_MUST_CHECK;
/* Writes `base` as YAML that keytab_apply reads back; `prose` puts each key's meaning above it. */
void keytab_print(const struct keytab *tab, const char *scope, const void *base, bool prose,
                  unsigned indent, struct buf *out);
/* The row of a full path as users write it ("fleets[].spot.policy", "latency.maxOverShare"); NULL = none. */
const struct key_row *keytab_find(const struct keytab *tab, const char *scope, struct str path);
/* One paragraph about a row; `path` as the user would write it. */
void keytab_explain(const struct key_row *row, const char *path, struct buf *out);
/* Calls `each` for every row in table order with its full path, descending into scopes once. */
void keytab_walk(const struct keytab *tab, const char *scope, const char *prefix,
                 void (*each)(void *ctx, const struct key_row *row, const char *path), void *ctx);
const char *key_type_name(const struct key_row *row);

/* Whether `row` stands directly under `prefix` ("" = top of the scope); *ret_name is then its last part. */
bool keytab_is_child(const struct key_row *row, const char *scope, const char *prefix,
                     const char **ret_name);

/* Decimal currency to nano-units, exactly; more than nine decimals are rounded half up. false: no number, negative, or over 9e9. */
bool conf_money(struct str s, int64_t *ret);
void conf_money_print(struct buf *out, int64_t nano);
void conf_duration_print(struct buf *out, int64_t ms);
