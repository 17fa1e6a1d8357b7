/* metadata, label selectors and node selector terms.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/limits.h"
#include "wire/k8s_dec.h"

static bool owner(struct k8s_dec *d, struct owner_desc *o)
{
    struct dec_iter it;
    *o = (struct owner_desc){0};
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "apiVersion")) {
            ok = dec_str(d, &o->api_version);
        } else if (DEC_KEY(it, "kind")) {
            ok = dec_str(d, &o->kind);
        } else if (DEC_KEY(it, "name")) {
            ok = dec_str(d, &o->name);
        } else if (DEC_KEY(it, "uid")) {
            ok = dec_str(d, &o->uid);
        } else if (DEC_KEY(it, "controller")) {
            ok = dec_bool(d, &o->controller);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

static bool owners(struct k8s_dec *d, owner_list *ret)
{
    struct dec_iter it;
    struct owner_desc *p = NULL;
    uint32_t n = 0, cap = 0;
    if (!dec_list(d, &it)) {
        return false;
    }
    while (dec_item(d, &it)) {
        p = dec_grow(d, p, n, &cap, sizeof *p, LIMIT_LABELS);
        if (p == NULL || !owner(d, &p[n])) {
            return dec_in_index(d, it.i);
        }
        n++;
    }
    ret->p = p;
    ret->n = n;
    return dec_ok(d);
}

/* Names are opaque, but bounded. */
static bool name(struct k8s_dec *d, struct str *ret)
{
    const char *at = (scan_peek(&d->s), d->s.p);
    if (!dec_str(d, ret)) {
        return false;
    }
    if (ret->n > LIMIT_NAME_BYTES) {
        return dec_fail(d, at, "a name of %zu bytes (at most %d)", ret->n, LIMIT_NAME_BYTES);
    }
    return true;
}

static bool annotations(struct k8s_dec *d, kv_list *ret)
{
    d->s.allow_nul = true;
    bool ok = dec_kv_map(d, ret);
    d->s.allow_nul = false;
    return ok;
}

static bool meta_field(struct k8s_dec *d, const struct dec_iter *it, struct meta_desc *m)
{
    switch (it->key.n) {
    case 3:
        return DEC_KEY(*it, "uid") ? name(d, &m->uid) : dec_skip(d);
    case 4:
        return DEC_KEY(*it, "name") ? name(d, &m->name) : dec_skip(d);
    case 6:
        return DEC_KEY(*it, "labels") ? dec_kv_map(d, &m->labels) : dec_skip(d);
    case 9:
        return DEC_KEY(*it, "namespace") ? name(d, &m->ns) : dec_skip(d);
    case 11:
        return DEC_KEY(*it, "annotations") ? annotations(d, &m->annotations) : dec_skip(d);
    case 12:
        return DEC_KEY(*it, "generateName") ? name(d, &m->generate_name) : dec_skip(d);
    case 15:
        if (DEC_KEY(*it, "ownerReferences")) {
            return owners(d, &m->owners);
        }
        return DEC_KEY(*it, "resourceVersion") ? dec_str(d, &m->resource_version) : dec_skip(d);
    case 17:
        if (DEC_KEY(*it, "creationTimestamp")) {
            return dec_time(d, &m->created_ms);
        }
        if (DEC_KEY(*it, "deletionTimestamp")) {
            int64_t at = 0;
            if (!dec_time(d, &at)) {
                return false;
            }
            m->deleting = at != 0;
            return true;
        }
        return dec_skip(d);
    default:
        return dec_skip(d);
    }
}

bool dec_meta(struct k8s_dec *d, struct meta_desc *ret)
{
    struct dec_iter it;
    *ret = (struct meta_desc){0};
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        if (!meta_field(d, &it, ret)) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

static bool expr(struct k8s_dec *d, struct expr_desc *e)
{
    struct dec_iter it;
    *e = (struct expr_desc){0};
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "key")) {
            ok = dec_str(d, &e->key);
        } else if (DEC_KEY(it, "operator")) {
            ok = dec_str(d, &e->op);
        } else if (DEC_KEY(it, "values")) {
            ok = dec_str_list(d, &e->values);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

bool dec_exprs(struct k8s_dec *d, expr_list *ret)
{
    struct dec_iter it;
    struct expr_desc *p = NULL;
    uint32_t n = 0, cap = 0;
    if (!dec_list(d, &it)) {
        return false;
    }
    while (dec_item(d, &it)) {
        p = dec_grow(d, p, n, &cap, sizeof *p, LIMIT_LABELS);
        if (p == NULL || !expr(d, &p[n])) {
            return dec_in_index(d, it.i);
        }
        n++;
    }
    ret->p = p;
    ret->n = n;
    return dec_ok(d);
}

bool dec_selector(struct k8s_dec *d, struct selector_desc *ret)
{
    struct dec_iter it;
    *ret = (struct selector_desc){0};
    if (!dec_object(d, &it)) {
        return false;
    }
    ret->given = it.open;
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "matchLabels")) {
            ok = dec_kv_map(d, &ret->match_labels);
        } else if (DEC_KEY(it, "matchExpressions")) {
            ok = dec_exprs(d, &ret->match_expressions);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

/* allowedTopologies: a key and its values, without an operator. */
static bool topology_exprs(struct k8s_dec *d, expr_list *ret)
{
    if (!dec_exprs(d, ret) || ret->n == 0) {
        return dec_ok(d);
    }
    struct expr_desc *p = arena_alloc(d->a, ret->n * sizeof *p);
    if (p == NULL) {
        return dec_nomem(d);
    }
    for (uint32_t i = 0; i < ret->n; i++) {
        p[i] = ret->p[i];
        p[i].op = STR("In");
    }
    ret->p = p;
    return true;
}

bool dec_node_term(struct k8s_dec *d, struct node_term_desc *ret)
{
    struct dec_iter it;
    int32_t weight = ret->weight;
    *ret = (struct node_term_desc){.weight = weight};
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "matchExpressions")) {
            ok = dec_exprs(d, &ret->match_expressions);
        } else if (DEC_KEY(it, "matchLabelExpressions")) {
            ok = topology_exprs(d, &ret->match_expressions);
        } else if (DEC_KEY(it, "matchFields")) {
            ok = dec_exprs(d, &ret->match_fields);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

bool dec_node_terms(struct k8s_dec *d, node_term_list *ret)
{
    struct dec_iter it;
    struct node_term_desc *p = NULL;
    uint32_t n = 0, cap = 0;
    if (!dec_list(d, &it)) {
        return false;
    }
    while (dec_item(d, &it)) {
        p = dec_grow(d, p, n, &cap, sizeof *p, LIMIT_LABELS);
        if (p == NULL) {
            return dec_in_index(d, it.i);
        }
        p[n].weight = 0;
        if (!dec_node_term(d, &p[n])) {
            return dec_in_index(d, it.i);
        }
        n++;
    }
    ret->p = p;
    ret->n = n;
    return dec_ok(d);
}

enum taint_effect dec_effect(struct str s)
{
    if (s.n == 0) {
        return EFFECT_ANY;
    }
    if (str_is(s, "NoSchedule")) {
        return EFFECT_NO_SCHEDULE;
    }
    if (str_is(s, "PreferNoSchedule")) {
        return EFFECT_PREFER_NO_SCHEDULE;
    }
    return str_is(s, "NoExecute") ? EFFECT_NO_EXECUTE : EFFECT_OTHER;
}
