/* Reading a tree through a key table.
 * SPDX-License-Identifier: Apache-2.0 */
#include "conf/keytab.h"

#include <stdio.h>

#include "base/limits.h"
#include "base/vec.h"
#include "conf/keytab_impl.h"
#include "model/settings.h"

#define NEAR_MAX  64
#define SUM_SLACK 1e-9

static int read_value(struct walk *w, const struct key_row *row, const struct yaml_node *v,
                      char *base, struct err *err);

int keytab_fail(const struct walk *w, const struct yaml_node *at, struct err *err)
{
    if (w->path[0] != '\0') {
        err_context(err, "%s", w->path);
    }
    return err_at(err, w->r->file, at->line, at->column);
}

size_t keytab_path_push(struct walk *w, const char *sep, struct str part)
{
    size_t old = strlen(w->path);
    int cut = part.n > 64 ? 64 : (int)part.n;
    snprintf(w->path + old, sizeof w->path - old, "%s%.*s", old == 0 && sep[0] == '.' ? "" : sep,
             cut, part.p);
    return old;
}

size_t keytab_path_index(struct walk *w, uint32_t ix)
{
    size_t old = strlen(w->path);
    snprintf(w->path + old, sizeof w->path - old, "[%u]", (unsigned)ix);
    return old;
}

static const char *type_of(const struct yaml_node *v)
{
    static const char *const names[] = {"nothing", "true or false", "a whole number", "a number",
                                        "text",    "a list",        "a map"};
    return names[v->type];
}

static bool is_scalar(const struct yaml_node *v)
{
    return v->type != YAML_LIST && v->type != YAML_MAP;
}

int keytab_wrong_type(const struct walk *w, const struct yaml_node *v, const char *want,
                      struct err *err)
{
    if (is_scalar(v)) {
        err_set(err, -EINVAL, "expected %s, found %s (%.*s)", want, type_of(v), CLIP(v->text));
    } else {
        err_set(err, -EINVAL, "expected %s, found %s", want, type_of(v));
    }
    return keytab_fail(w, v, err);
}

bool keytab_is_child(const struct key_row *row, const char *scope, const char *prefix,
                     const char **ret_name)
{
    size_t n = strlen(prefix);
    const char *rest = row->path;
    if (strcmp(row->scope, scope) != 0) {
        return false;
    }
    if (n > 0) {
        if (strncmp(rest, prefix, n) != 0 || rest[n] != '.') {
            return false;
        }
        rest += n + 1;
    }
    *ret_name = rest;
    return rest[0] != '\0' && strchr(rest, '.') == NULL;
}

static const struct key_scope *find_scope(const struct keytab *tab, const char *name)
{
    for (size_t i = 0; i < tab->n_scopes; i++) {
        if (strcmp(tab->scopes[i].name, name) == 0) {
            return &tab->scopes[i];
        }
    }
    check_unreachable("scope of the key table");
}

int keytab_list_alloc(const struct walk *w, uint32_t n, size_t size, void **ret, struct err *err)
{
    *ret = arena_calloc(w->r->arena, n > 0 ? n : 1, size);
    return *ret != NULL ? 0 : err_nomem(err);
}

/* Lists are (const T *p, uint32_t n) whatever T is. */
static void list_store(char *at, const void *p, uint32_t n)
{
    memcpy(at, &p, sizeof p);
    memcpy(at + sizeof p, &n, sizeof n);
}

static void list_load(const char *at, const char **ret_p, uint32_t *ret_n)
{
    memcpy(ret_p, at, sizeof *ret_p);
    memcpy(ret_n, at + sizeof *ret_p, sizeof *ret_n);
}

int keytab_keep_text(const struct walk *w, struct str s, struct str *ret, struct err *err)
{
    struct str kept = arena_str(w->r->arena, s);
    if (kept.p == NULL) {
        return err_nomem(err);
    }
    *ret = kept;
    return 0;
}

int keytab_read_text(const struct walk *w, const struct yaml_node *v, struct str *ret,
                     struct err *err)
{
    if (v->type != YAML_STRING) {
        if (is_scalar(v) && v->type != YAML_NULL) {
            err_set(err, -EINVAL, "expected text, found %s: write \"%.*s\" in quotes", type_of(v),
                    CLIP(v->text));
            return keytab_fail(w, v, err);
        }
        return keytab_wrong_type(w, v, "text", err);
    }
    if (v->text.n == 0) {
        err_set(err, -EINVAL, "empty text; leave the key out instead");
        return keytab_fail(w, v, err);
    }
    if (v->text.n > LIMIT_NAME_BYTES * 4) {
        err_set(err, -EINVAL, "text of %zu bytes; at most %d", v->text.n, LIMIT_NAME_BYTES * 4);
        return keytab_fail(w, v, err);
    }
    return keytab_keep_text(w, v->text, ret, err);
}

static void number_text(char *out, size_t n, double v)
{
    char digits[32];
    size_t len = str_from_f64(digits, v);
    snprintf(out, n, "%.*s", (int)len, digits);
}

static int check_range(const struct walk *w, const struct key_row *row, const struct yaml_node *v,
                       double value, struct err *err)
{
    char lo[32], hi[32];
    bool finite = value - value == 0;
    bool below = value < row->min;
    bool above = row->max > row->min && value > row->max;
    if ((row->min == 0 && row->max == 0 && finite) || (finite && !below && !above)) {
        return 0;
    }
    number_text(lo, sizeof lo, row->min);
    number_text(hi, sizeof hi, row->max);
    if (row->max > row->min) {
        err_set(err, -ERANGE, "%.*s is out of range: %s to %s%s%s", CLIP(v->text), lo, hi,
                row->unit[0] != '\0' ? " " : "", row->unit);
    } else {
        err_set(err, -ERANGE, "%.*s is out of range: at least %s%s%s", CLIP(v->text), lo,
                row->unit[0] != '\0' ? " " : "", row->unit);
    }
    return keytab_fail(w, v, err);
}

static int read_number(const struct walk *w, const struct key_row *row, const struct yaml_node *v,
                       char *at, struct err *err)
{
    if (row->type == KEY_NUMBER) {
        if (v->type != YAML_INT && v->type != YAML_FLOAT) {
            return keytab_wrong_type(w, v, "a number", err);
        }
        int rc = check_range(w, row, v, v->f64, err);
        if (rc == 0) {
            memcpy(at, &v->f64, sizeof v->f64);
        }
        return rc;
    }
    if (v->type != YAML_INT) {
        return keytab_wrong_type(w, v, "a whole number", err);
    }
    int rc = check_range(w, row, v, (double)v->i64, err);
    if (rc != 0) {
        return rc;
    }
    if (row->type == KEY_LONG) {
        memcpy(at, &v->i64, sizeof v->i64);
        return 0;
    }
    if (v->i64 > INT32_MAX || v->i64 < INT32_MIN) {
        err_set(err, -ERANGE, "%.*s is out of range", CLIP(v->text));
        return keytab_fail(w, v, err);
    }
    int32_t small = (int32_t)v->i64;
    memcpy(at, &small, sizeof small);
    return 0;
}

static int read_duration(const struct walk *w, const struct key_row *row, const struct yaml_node *v,
                         char *at, struct err *err)
{
    int64_t ms = 0;
    bool session = row->type == KEY_SESSION;
    if (session && v->type == YAML_STRING && str_is(v->text, "forever")) {
        ms = INT64_MAX;
        memcpy(at, &ms, sizeof ms);
        return 0;
    }
    if (!is_scalar(v) || v->type == YAML_NULL || v->type == YAML_BOOL ||
        !str_to_duration_ms(v->text, &ms)) {
        if (v->type == YAML_INT || v->type == YAML_FLOAT) {
            err_set(err, -EINVAL, "a duration needs its unit: %.*sms, %.*ss, %.*sm or %.*sh",
                    CLIP(v->text), CLIP(v->text), CLIP(v->text), CLIP(v->text));
            return keytab_fail(w, v, err);
        }
        return keytab_wrong_type(w, v,
                                 session ? "a duration such as 20m, or forever"
                                         : "a duration such as 250ms, 60s or 20m",
                                 err);
    }
    char lo[32];
    if (ms < 0 || (double)ms < row->min || (row->max > row->min && (double)ms > row->max)) {
        number_text(lo, sizeof lo, row->min);
        err_set(err, -ERANGE, "%.*s is out of range: at least %sms%s", CLIP(v->text), lo,
                row->max > row->min ? ", and less than the maximum that config explain tells" : "");
        return keytab_fail(w, v, err);
    }
    memcpy(at, &ms, sizeof ms);
    return 0;
}

static int read_enum(const struct walk *w, const struct key_row *row, const struct yaml_node *v,
                     char *at, struct err *err)
{
    struct str rest = str_c(row->arg);
    int value = (int)row->min;
    if (!is_scalar(v)) {
        return keytab_wrong_type(w, v, row->arg, err);
    }
    while (rest.n > 0) {
        if (str_eq(str_cut(&rest, '|'), v->text)) {
            memcpy(at, &value, sizeof value);
            return 0;
        }
        value++;
    }
    err_set(err, -EINVAL, "\"%.*s\" is not one of %s", CLIP(v->text), row->arg);
    return keytab_fail(w, v, err);
}

static int read_bool(const struct walk *w, const struct key_row *row, const struct yaml_node *v,
                     char *at, struct err *err)
{
    bool on = false;
    if (v->type == YAML_BOOL) {
        on = v->i64 != 0;
    } else if (row->type == KEY_ON_OFF && v->type == YAML_STRING &&
               (str_is(v->text, "on") || str_is(v->text, "off"))) {
        on = v->text.n == 2;
    } else {
        return keytab_wrong_type(w, v, row->type == KEY_ON_OFF ? "on or off" : "true or false",
                                 err);
    }
    memcpy(at, &on, sizeof on);
    return 0;
}

static int read_money(const struct walk *w, const struct yaml_node *v, char *at, struct err *err)
{
    int64_t nano = 0;
    if ((v->type != YAML_INT && v->type != YAML_FLOAT) || !conf_money(v->text, &nano)) {
        return keytab_wrong_type(w, v, "an amount of money, 0 or more, such as 0.05", err);
    }
    memcpy(at, &nano, sizeof nano);
    return 0;
}

static int read_file(const struct walk *w, const struct yaml_node *v, struct str *ret,
                     struct err *err)
{
    char joined[8192];
    struct str name = STR_NONE;
    int rc = keytab_read_text(w, v, &name, err);
    if (rc != 0) {
        return rc;
    }
    check(name.n > 0);
    if (memchr(name.p, '\0', name.n) != NULL) {
        err_set(err, -EINVAL, "a path cannot hold a NUL byte");
        return keytab_fail(w, v, err);
    }
    if (name.p[0] == '/' || w->r->folder[0] == '\0') {
        *ret = name;
        return 0;
    }
    int n = snprintf(joined, sizeof joined, "%s/%.*s", w->r->folder, STR_ARG(name));
    if (n < 0 || (size_t)n >= sizeof joined) {
        err_set(err, -ENAMETOOLONG, "the path is too long");
        return keytab_fail(w, v, err);
    }
    return keytab_keep_text(w, (struct str){joined, (size_t)n}, ret, err);
}

int keytab_read_text_list(struct walk *w, const struct yaml_node *v, str_list *ret, struct err *err)
{
    void *mem = NULL;
    if (v->type != YAML_LIST) {
        return keytab_wrong_type(w, v, "a list of names", err);
    }
    int rc = keytab_list_alloc(w, v->n, sizeof(struct str), &mem, err);
    if (rc != 0) {
        return rc;
    }
    struct str *list = mem;
    for (uint32_t i = 0; i < v->n; i++) {
        size_t old = keytab_path_index(w, i);
        rc = keytab_read_text(w, v->items[i], &list[i], err);
        for (uint32_t j = 0; rc == 0 && j < i && v->n <= 1000; j++) {
            if (str_eq(list[i], list[j])) {
                err_set(err, -EINVAL, "\"%.*s\" stands in the list twice; remove one",
                        CLIP(list[i]));
                rc = keytab_fail(w, v->items[i], err);
            }
        }
        if (rc != 0) {
            return rc;
        }
        w->path[old] = '\0';
    }
    ret->p = list;
    ret->n = v->n;
    return 0;
}

/* ---- free keys ---- */

static int read_shares(struct walk *w, const struct yaml_node *v, demand_list *ret, struct err *err)
{
    void *mem = NULL;
    double sum = 0;
    if (v->type != YAML_MAP) {
        return keytab_wrong_type(w, v, "a map of location to share, such as {DE: 0.6, FR: 0.4}",
                                 err);
    }
    int rc = keytab_list_alloc(w, v->n, sizeof(struct demand_share), &mem, err);
    if (rc != 0) {
        return rc;
    }
    struct demand_share *list = mem;
    for (uint32_t i = 0; i < v->n; i++) {
        const struct yaml_node *val = v->pairs[i].val;
        size_t old = keytab_path_push(w, ".", v->pairs[i].key->text);
        rc = keytab_keep_text(w, v->pairs[i].key->text, &list[i].location, err);
        if (rc == 0 && val->type != YAML_INT && val->type != YAML_FLOAT) {
            rc = keytab_wrong_type(w, val, "a share", err);
        }
        if (rc == 0 && !(val->f64 >= 0 && val->f64 <= 1e12)) {
            err_set(err, -ERANGE, "a share is 0 or more, found %.*s", CLIP(val->text));
            rc = keytab_fail(w, val, err);
        }
        if (rc != 0) {
            return rc;
        }
        list[i].share = val->f64;
        sum += val->f64;
        w->path[old] = '\0';
    }
    if (!(sum > 0)) {
        err_set(err, -EINVAL,
                "no location has a share above 0; leave the key out when the demand is unknown");
        return keytab_fail(w, v, err);
    }
    /* shares that are whole already stay as written, so that what is printed reads back as the same */
    for (uint32_t i = 0; i < v->n && (sum < 1 - SUM_SLACK || sum > 1 + SUM_SLACK); i++) {
        list[i].share /= sum;
    }
    ret->p = list;
    ret->n = v->n;
    return 0;
}

static int read_named(struct walk *w, const struct key_row *row, const struct yaml_node *v,
                      char *at, struct err *err)
{
    bool numbers = row->type == KEY_TEXT_LONG;
    void *mem = NULL;
    if (v->type != YAML_MAP) {
        return keytab_wrong_type(
            w, v, numbers ? "a map of region to number" : "a map of region to region", err);
    }
    int rc = keytab_list_alloc(
        w, v->n, numbers ? sizeof(struct region_limit) : sizeof(struct region_pair), &mem, err);
    if (rc != 0) {
        return rc;
    }
    for (uint32_t i = 0; i < v->n; i++) {
        struct region_limit *limit = numbers ? (struct region_limit *)mem + i : NULL;
        struct region_pair *pair = numbers ? NULL : (struct region_pair *)mem + i;
        size_t old = keytab_path_push(w, ".", v->pairs[i].key->text);
        rc =
            keytab_keep_text(w, v->pairs[i].key->text, numbers ? &limit->region : &pair->from, err);
        if (rc == 0 && numbers) {
            struct key_row one = *row;
            one.type = KEY_LONG;
            rc = read_number(w, &one, v->pairs[i].val, (char *)&limit->value, err);
        } else if (rc == 0) {
            rc = keytab_read_text(w, v->pairs[i].val, &pair->to, err);
        }
        if (rc != 0) {
            return rc;
        }
        w->path[old] = '\0';
    }
    list_store(at, mem, v->n);
    return 0;
}

/* ---- scopes ---- */

static int unknown_key(const struct walk *w, const char *scope, const char *prefix,
                       const struct yaml_node *key, struct err *err)
{
    const char *names[NEAR_MAX], *name = NULL;
    size_t n = 0;
    for (size_t i = 0; i < w->r->tab->n_rows && n < NEAR_MAX; i++) {
        const struct key_row *row = &w->r->tab->rows[i];
        if (keytab_is_child(row, scope, prefix, &name) &&
            !(w->once && (row->flags & KEY_OWN_ONLY))) {
            names[n++] = name;
        }
    }
    const char *near = str_nearest(key->text, names, n);
    if (near != NULL) {
        err_set(err, -EINVAL, "unknown key \"%.*s\"; did you mean \"%s\"?", CLIP(key->text), near);
    } else {
        err_set(err, -EINVAL, "unknown key \"%.*s\"; spawnpoint config explain lists all keys",
                CLIP(key->text));
    }
    return keytab_fail(w, key, err);
}

static int check_keys(const struct walk *w, const char *scope, const char *prefix,
                      const struct yaml_node *map, struct err *err)
{
    for (uint32_t i = 0; i < map->n; i++) {
        const char *name = NULL;
        bool known = false;
        for (size_t k = 0; !known && k < w->r->tab->n_rows; k++) {
            const struct key_row *row = &w->r->tab->rows[k];
            known = keytab_is_child(row, scope, prefix, &name) &&
                    str_is(map->pairs[i].key->text, name) &&
                    !(w->once && (row->flags & KEY_OWN_ONLY));
        }
        if (!known) {
            return unknown_key(w, scope, prefix, map->pairs[i].key, err);
        }
    }
    return 0;
}

static int apply_map(struct walk *w, const char *scope, const char *prefix,
                     const struct yaml_node *map, char *base, struct err *err)
{
    const char *name = NULL;
    if (map->type == YAML_NULL) {
        return 0;
    }
    if (map->type != YAML_MAP) {
        return keytab_wrong_type(w, map, "a map", err);
    }
    int rc = check_keys(w, scope, prefix, map, err);
    for (size_t i = 0; rc == 0 && i < w->r->tab->n_rows; i++) {
        const struct key_row *row = &w->r->tab->rows[i];
        if (!keytab_is_child(row, scope, prefix, &name) ||
            (w->once && (row->flags & KEY_OWN_ONLY))) {
            continue;
        }
        const struct yaml_node *v = yaml_get(map, name);
        if (v == NULL || v->type == YAML_NULL) {
            if (row->flags & KEY_REQUIRED) {
                err_set(err, -EINVAL, "the key \"%s\" is missing", name);
                rc = keytab_fail(w, map, err);
            }
            continue;
        }
        size_t old = keytab_path_push(w, ".", str_c(name));
        rc = read_value(w, row, v, base, err);
        if (rc == 0) {
            bool yes = true;
            if (row->set_offset != KEY_NO_SET) {
                memcpy(base + row->set_offset, &yes, sizeof yes);
            }
            w->path[old] = '\0';
        }
    }
    return rc;
}

static int read_element(struct walk *w, const struct key_scope *scope, const struct yaml_node *v,
                        char *element, struct err *err)
{
    if (scope->init != NULL) {
        scope->init(element, w->r->root);
    }
    if (v->type != YAML_MAP) {
        return keytab_wrong_type(w, v, "a map", err);
    }
    bool once = w->once;
    w->once = false;
    int rc = apply_map(w, scope->name, "", v, element, err);
    w->once = once;
    if (rc == 0 && scope->finish != NULL) {
        scope->finish(element);
    }
    return rc;
}

static int check_twin(const struct walk *w, const struct key_scope *scope,
                      const struct yaml_node *v, const char *list, uint32_t ix, struct err *err)
{
    struct str mine, other;
    if (scope->name_offset == KEY_NO_SET) {
        return 0;
    }
    memcpy(&mine, list + ix * scope->size + scope->name_offset, sizeof mine);
    for (uint32_t i = 0; i < ix; i++) {
        memcpy(&other, list + i * scope->size + scope->name_offset, sizeof other);
        if (str_eq(mine, other)) {
            err_set(err, -EEXIST,
                    "the name \"%.*s\" is taken by the one in line %u; names are unique",
                    CLIP(mine), (unsigned)v->items[i]->line);
            return keytab_fail(w, v->items[ix], err);
        }
    }
    return 0;
}

static int read_scope_list(struct walk *w, const struct key_row *row, const struct yaml_node *v,
                           char *at, struct err *err)
{
    const struct key_scope *scope = find_scope(w->r->tab, row->arg);
    void *mem = NULL;
    if (v->type != YAML_LIST) {
        return keytab_wrong_type(w, v, "a list", err);
    }
    if (v->n > row->max) {
        err_set(err, -E2BIG, "%u entries; at most %u", (unsigned)v->n, (unsigned)row->max);
        return keytab_fail(w, v, err);
    }
    int rc = keytab_list_alloc(w, v->n, scope->size, &mem, err);
    for (uint32_t i = 0; rc == 0 && i < v->n; i++) {
        size_t old = keytab_path_index(w, i);
        rc = read_element(w, scope, v->items[i], (char *)mem + i * scope->size, err);
        if (rc == 0) {
            rc = check_twin(w, scope, v, mem, i, err);
        }
        if (rc == 0) {
            w->path[old] = '\0';
        }
    }
    if (rc == 0) {
        list_store(at, mem, v->n);
    }
    return rc;
}

/* What stands there already (shipped) comes first; the same name replaces in place. */
static int read_scope_map(struct walk *w, const struct key_row *row, const struct yaml_node *v,
                          char *at, struct err *err)
{
    const struct key_scope *scope = find_scope(w->r->tab, row->arg);
    const char *old_list = NULL;
    uint32_t n = 0;
    void *mem = NULL;
    if (v->type != YAML_MAP) {
        return keytab_wrong_type(w, v, "a map of names", err);
    }
    list_load(at, &old_list, &n);
    int rc = keytab_list_alloc(w, n + v->n, scope->size, &mem, err);
    if (rc != 0) {
        return rc;
    }
    char *list = mem;
    if (n > 0) {
        memcpy(list, old_list, n * scope->size);
    }
    for (uint32_t i = 0; rc == 0 && i < v->n; i++) {
        struct str name = STR_NONE, other;
        uint32_t place = 0;
        size_t old = keytab_path_push(w, ".", v->pairs[i].key->text);
        rc = keytab_keep_text(w, v->pairs[i].key->text, &name, err);
        for (; place < n; place++) {
            memcpy(&other, list + place * scope->size + scope->name_offset, sizeof other);
            if (str_eq(other, name)) {
                break;
            }
        }
        if (rc == 0) {
            rc = read_element(w, scope, v->pairs[i].val, list + place * scope->size, err);
        }
        if (rc == 0) {
            memcpy(list + place * scope->size + scope->name_offset, &name, sizeof name);
            n += place == n ? 1u : 0u;
            w->path[old] = '\0';
        }
    }
    if (rc == 0) {
        list_store(at, list, n);
    }
    return rc;
}

static int read_scope_once(struct walk *w, const struct key_row *row, const struct yaml_node *v,
                           char *at, struct err *err)
{
    const struct key_scope *scope = find_scope(w->r->tab, row->arg);
    bool once = w->once;
    w->once = true;
    int rc = apply_map(w, row->arg, "", v, at, err);
    w->once = once;
    if (rc == 0 && scope->finish != NULL) {
        scope->finish(at);
    }
    return rc;
}

static int read_value(struct walk *w, const struct key_row *row, const struct yaml_node *v,
                      char *base, struct err *err)
{
    char *at = base + row->offset;
    switch (row->type) {
    case KEY_SECTION:
        return apply_map(w, row->scope, row->path, v, base, err);
    case KEY_BOOL:
    case KEY_ON_OFF:
        return read_bool(w, row, v, at, err);
    case KEY_INT:
    case KEY_LONG:
    case KEY_NUMBER:
        return read_number(w, row, v, at, err);
    case KEY_DURATION:
    case KEY_SESSION:
        return read_duration(w, row, v, at, err);
    case KEY_MONEY:
        return read_money(w, v, at, err);
    case KEY_TEXT:
        return keytab_read_text(w, v, (struct str *)(void *)at, err);
    case KEY_FILE:
        return read_file(w, v, (struct str *)(void *)at, err);
    case KEY_ENUM:
        return read_enum(w, row, v, at, err);
    case KEY_TEXT_LIST:
        return keytab_read_text_list(w, v, (str_list *)(void *)at, err);
    case KEY_SELECTOR:
        return keytab_read_selector(w, v, (struct selector_desc *)(void *)at, err);
    case KEY_SHARES:
        return read_shares(w, v, (demand_list *)(void *)at, err);
    case KEY_TEXT_LONG:
    case KEY_TEXT_TEXT:
        return read_named(w, row, v, at, err);
    case KEY_SCOPE:
        return read_scope_once(w, row, v, at, err);
    case KEY_SCOPE_LIST:
        return read_scope_list(w, row, v, at, err);
    case KEY_SCOPE_MAP:
        return read_scope_map(w, row, v, at, err);
    }
    return 0;
}

int keytab_apply(const struct keytab_read *r, const char *scope, const struct yaml_node *map,
                 void *base, struct err *err)
{
    struct walk w = {.r = r};
    return apply_map(&w, scope, "", map, base, err);
}
