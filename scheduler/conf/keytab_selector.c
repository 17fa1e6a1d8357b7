/* Reading label selectors: matchLabels and matchExpressions, as Kubernetes writes them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "conf/keytab_impl.h"

#include <errno.h>

static int read_expr(struct walk *w, const struct yaml_node *v, struct expr_desc *ret,
                     struct err *err)
{
    static const char *const ops[] = {"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"};
    if (v->type != YAML_MAP) {
        return keytab_wrong_type(w, v, "a map with key, operator and values", err);
    }
    for (uint32_t i = 0; i < v->n; i++) {
        const struct yaml_node *key = v->pairs[i].key, *val = v->pairs[i].val;
        size_t old = keytab_path_push(w, ".", key->text);
        int rc = 0;
        if (str_is(key->text, "key")) {
            rc = keytab_read_text(w, val, &ret->key, err);
        } else if (str_is(key->text, "operator")) {
            rc = keytab_read_text(w, val, &ret->op, err);
        } else if (str_is(key->text, "values")) {
            rc = keytab_read_text_list(w, val, &ret->values, err);
        } else {
            err_set(err, -EINVAL, "unknown key; key, operator and values are known");
            rc = keytab_fail(w, key, err);
        }
        if (rc != 0) {
            return rc;
        }
        w->path[old] = '\0';
    }
    bool known = false;
    for (size_t i = 0; i < SP_COUNTOF(ops); i++) {
        known = known || str_is(ret->op, ops[i]);
    }
    bool needs = str_is(ret->op, "In") || str_is(ret->op, "NotIn");
    bool none = str_is(ret->op, "Exists") || str_is(ret->op, "DoesNotExist");
    if (ret->key.n == 0 || !known) {
        err_set(err, -EINVAL,
                "needs a key, and an operator of In, NotIn, Exists, DoesNotExist, Gt, Lt");
        return keytab_fail(w, v, err);
    }
    if ((needs && ret->values.n == 0) || (none && ret->values.n > 0) ||
        (!needs && !none && ret->values.n != 1)) {
        err_set(err, -EINVAL,
                "In and NotIn need values, Exists and DoesNotExist have none, Gt and Lt have one");
        return keytab_fail(w, v, err);
    }
    return 0;
}

static int read_match_labels(struct walk *w, const struct yaml_node *v, kv_list *ret,
                             struct err *err)
{
    void *mem = NULL;
    if (v->type != YAML_MAP) {
        return keytab_wrong_type(w, v, "a map of labels", err);
    }
    int rc = keytab_list_alloc(w, v->n, sizeof(struct kv_desc), &mem, err);
    if (rc != 0) {
        return rc;
    }
    struct kv_desc *list = mem;
    for (uint32_t i = 0; i < v->n; i++) {
        const struct yaml_node *val = v->pairs[i].val;
        size_t old = keytab_path_push(w, ".", v->pairs[i].key->text);
        rc = keytab_keep_text(w, v->pairs[i].key->text, &list[i].key, err);
        if (rc == 0 && val->type == YAML_STRING && val->text.n == 0) {
            list[i].val = STR("");
        } else if (rc == 0) {
            rc = keytab_read_text(w, val, &list[i].val, err);
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

static int read_expressions(struct walk *w, const struct yaml_node *v, expr_list *ret,
                            struct err *err)
{
    void *mem = NULL;
    if (v->type != YAML_LIST) {
        return keytab_wrong_type(w, v, "a list of expressions", err);
    }
    int rc = keytab_list_alloc(w, v->n, sizeof(struct expr_desc), &mem, err);
    struct expr_desc *list = mem;
    for (uint32_t i = 0; rc == 0 && i < v->n; i++) {
        size_t old = keytab_path_index(w, i);
        rc = read_expr(w, v->items[i], &list[i], err);
        if (rc == 0) {
            w->path[old] = '\0';
        }
    }
    if (rc == 0) {
        ret->p = list;
        ret->n = v->n;
    }
    return rc;
}

int keytab_read_selector(struct walk *w, const struct yaml_node *v, struct selector_desc *ret,
                         struct err *err)
{
    struct selector_desc sel = {.given = true};
    if (v->type != YAML_MAP || v->n == 0) {
        return keytab_wrong_type(w, v, "a selector with matchLabels or matchExpressions", err);
    }
    for (uint32_t i = 0; i < v->n; i++) {
        struct str key = v->pairs[i].key->text;
        size_t old = keytab_path_push(w, ".", key);
        int rc = 0;
        if (str_is(key, "matchLabels")) {
            rc = read_match_labels(w, v->pairs[i].val, &sel.match_labels, err);
        } else if (str_is(key, "matchExpressions")) {
            rc = read_expressions(w, v->pairs[i].val, &sel.match_expressions, err);
        } else {
            err_set(err, -EINVAL,
                    "unknown key; a selector has matchLabels and matchExpressions: write match: "
                    "{matchLabels: {%.*s: …}}",
                    CLIP(key));
            rc = keytab_fail(w, v->pairs[i].key, err);
        }
        if (rc != 0) {
            return rc;
        }
        w->path[old] = '\0';
    }
    *ret = sel;
    return 0;
}
