/* Selectors and terms of a pod, compiled to symbols. See cluster_store.h.
 *
 * What Kubernetes would refuse never matches. Memory is the cluster's, for good: terms belong to classes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "model/cluster_store.h"
#include "model/conventions.h"

static bool is_alnum(char ch)
{
    return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
}

/* [A-Za-z0-9] at both ends, -_. between, at most 63. */
static bool name_ok(struct str s)
{
    if (s.n == 0 || s.n > 63 || !is_alnum(s.p[0]) || !is_alnum(s.p[s.n - 1])) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (!is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_' && s.p[i] != '.') {
            return false;
        }
    }
    return true;
}

static bool value_ok(struct str s)
{
    return s.n == 0 || name_ok(s);
}

/* NAME or DNS-SUBDOMAIN/NAME. */
static bool key_ok(struct str s)
{
    const char *slash = s.n == 0 ? NULL : memchr(s.p, '/', s.n);
    if (slash == NULL) {
        return name_ok(s);
    }
    struct str prefix = {s.p, (size_t)(slash - s.p)};
    if (prefix.n == 0 || prefix.n > 253 || !name_ok((struct str){slash + 1, s.n - prefix.n - 1})) {
        return false;
    }
    for (size_t i = 0; i < prefix.n; i++) {
        char ch = prefix.p[i];
        bool edge = i == 0 || i + 1 == prefix.n || prefix.p[i - 1] == '.' || prefix.p[i + 1] == '.';
        bool letter = (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z');
        if (!letter && (edge || (ch != '-' && ch != '.'))) {
            return false;
        }
    }
    return true;
}

static enum sel_op op_of(struct str s)
{
    static const struct {
        const char *text;
        enum sel_op op;
    } ops[] = {{"In", SEL_IN},         {"NotIn", SEL_NOT_IN},
               {"Exists", SEL_EXISTS}, {"DoesNotExist", SEL_NOT_EXISTS},
               {"Gt", SEL_GT},         {"Lt", SEL_LT}};
    for (size_t i = 0; i < SP_COUNTOF(ops); i++) {
        if (str_is(s, ops[i].text)) {
            return ops[i].op;
        }
    }
    return SEL_NEVER;
}

static bool expr_ok(const struct expr_desc *e, enum sel_op op, int64_t *ret_number)
{
    if (!key_ok(e->key)) {
        return false;
    }
    for (uint32_t i = 0; i < e->values.n; i++) {
        if (!value_ok(e->values.p[i])) {
            return false;
        }
    }
    switch (op) {
    case SEL_IN:
    case SEL_NOT_IN:
        return e->values.n > 0;
    case SEL_EXISTS:
    case SEL_NOT_EXISTS:
        return e->values.n == 0;
    case SEL_GT:
    case SEL_LT:
        return e->values.n == 1 && str_to_i64(e->values.p[0], ret_number);
    case SEL_NEVER:
        return false;
    }
    return false;
}

static int intern_all(struct cluster *c, str_list list, const sym **ret, struct err *err)
{
    sym *p = KEEP(c, sym, list.n);
    if (p == NULL) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < list.n; i++) {
        int r = sym_intern(c->syms, list.p[i], &p[i], err);
        if (r != 0) {
            return r;
        }
    }
    *ret = p;
    return 0;
}

static int requirement_from(struct cluster *c, const struct expr_desc *e, bool matches_labels_only,
                            struct requirement *ret, struct err *err)
{
    *ret = (struct requirement){.op = op_of(e->op)};
    bool number = ret->op == SEL_GT || ret->op == SEL_LT;
    if (!expr_ok(e, ret->op, &ret->number) || (number && matches_labels_only)) {
        ret->op = SEL_NEVER;
    }
    ret->n_vals = e->values.n;
    int r = sym_intern(c->syms, e->key, &ret->key, err);
    return r != 0 ? r : intern_all(c, e->values, &ret->vals, err);
}

static int equals(struct cluster *c, struct str key, struct str val, bool not_in, bool judged,
                  struct requirement *ret, struct err *err)
{
    *ret = (struct requirement){.op = not_in ? SEL_NOT_IN : SEL_IN, .n_vals = 1};
    if (judged && (!key_ok(key) || !value_ok(val))) {
        ret->op = SEL_NEVER;
    }
    int r = sym_intern(c->syms, key, &ret->key, err);
    return r != 0 ? r : intern_all(c, (str_list){&val, 1}, &ret->vals, err);
}

int selector_from_kv(struct cluster *c, kv_list kv, struct selector *ret, struct err *err)
{
    struct requirement *p = KEEP(c, struct requirement, kv.n);
    if (p == NULL) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < kv.n; i++) {
        int r = equals(c, kv.p[i].key, kv.p[i].val, false, false, &p[i], err);
        if (r != 0) {
            return r;
        }
    }
    *ret = (struct selector){p, kv.n, false};
    return 0;
}

int selector_from(struct cluster *c, const struct selector_desc *d, const struct extra_req *extra,
                  uint32_t n_extra, struct selector *ret, struct err *err)
{
    if (!d->given) {
        *ret = (struct selector){.nothing = true};
        return 0;
    }
    size_t n = (size_t)d->match_labels.n + d->match_expressions.n + n_extra;
    if (n > 3 * LIMIT_LABELS) {
        return err_set(err, -E2BIG, "selector: %zu requirements; at most %d are taken", n,
                       3 * LIMIT_LABELS);
    }
    struct requirement *p = KEEP(c, struct requirement, n);
    if (p == NULL) {
        return err_nomem(err);
    }
    uint32_t k = 0;
    int r = 0;
    for (uint32_t i = 0; i < d->match_labels.n && r == 0; i++) {
        r = equals(c, d->match_labels.p[i].key, d->match_labels.p[i].val, false, true, &p[k++],
                   err);
    }
    for (uint32_t i = 0; i < d->match_expressions.n && r == 0; i++) {
        r = requirement_from(c, &d->match_expressions.p[i], true, &p[k++], err);
    }
    for (uint32_t i = 0; i < n_extra && r == 0; i++) {
        r = equals(c, extra[i].key, extra[i].val, extra[i].not_in, false, &p[k++], err);
    }
    if (r == 0) {
        *ret = (struct selector){p, k, false};
    }
    return r;
}

/* matchFields: metadata.name by In or NotIn with one value; any other key is compared with the empty text. */
static int fields_from(struct cluster *c, expr_list list, struct selector *ret, struct err *err)
{
    struct requirement *p = KEEP(c, struct requirement, list.n);
    if (p == NULL) {
        return err_nomem(err);
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < list.n; i++) {
        const struct expr_desc *e = &list.p[i];
        enum sel_op op = op_of(e->op);
        bool ok = (op == SEL_IN || op == SEL_NOT_IN) && e->values.n == 1;
        int r =
            equals(c, e->key, ok ? e->values.p[0] : STR_NONE, op == SEL_NOT_IN, false, &p[n], err);
        if (r != 0) {
            return r;
        }
        if (!ok) {
            p[n++].op = SEL_NEVER;
        } else if (str_is(e->key, "metadata.name")) {
            n++;
        } else if ((e->values.p[0].n == 0) != (op == SEL_IN)) {
            p[n++].op = SEL_NEVER;
        }
    }
    *ret = (struct selector){p, n, false};
    return 0;
}

int node_terms_from(struct cluster *c, node_term_list list, const struct node_term **ret,
                    uint32_t *ret_n, struct err *err)
{
    struct node_term *terms = KEEP(c, struct node_term, list.n);
    if (terms == NULL) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < list.n; i++) {
        const struct node_term_desc *d = &list.p[i];
        struct requirement *p = KEEP(c, struct requirement, d->match_expressions.n);
        if (p == NULL) {
            return err_nomem(err);
        }
        for (uint32_t j = 0; j < d->match_expressions.n; j++) {
            int r = requirement_from(c, &d->match_expressions.p[j], false, &p[j], err);
            if (r != 0) {
                return r;
            }
        }
        terms[i].labels = (struct selector){p, d->match_expressions.n, false};
        terms[i].weight = d->weight;
        terms[i].empty = d->match_expressions.n == 0 && d->match_fields.n == 0;
        int r = fields_from(c, d->match_fields, &terms[i].fields, err);
        if (r != 0) {
            return r;
        }
    }
    *ret = terms;
    *ret_n = list.n;
    return 0;
}

static const struct kv_desc *label_of(const struct pod_desc *d, struct str key)
{
    for (uint32_t i = 0; i < d->meta.labels.n; i++) {
        if (str_eq(d->meta.labels.p[i].key, key)) {
            return &d->meta.labels.p[i];
        }
    }
    return NULL;
}

static uint32_t add_extra(const struct pod_desc *d, str_list keys, bool not_in,
                          struct extra_req *to, uint32_t n)
{
    for (uint32_t i = 0; i < keys.n; i++) {
        const struct kv_desc *label = label_of(d, keys.p[i]);
        if (label != NULL) {
            to[n++] = (struct extra_req){label->key, label->val, not_in};
        }
    }
    return n;
}

static int pod_term_from(struct cluster *c, const struct pod_desc *d,
                         const struct pod_term_desc *td, sym ns, struct pod_term *term,
                         struct err *err)
{
    struct extra_req *extra =
        arena_alloc(&c->t->scratch,
                    ((size_t)td->match_label_keys.n + td->mismatch_label_keys.n) * sizeof *extra);
    if (extra == NULL) {
        return err_nomem(err);
    }
    uint32_t n_extra = add_extra(d, td->match_label_keys, false, extra, 0);
    n_extra = add_extra(d, td->mismatch_label_keys, true, extra, n_extra);
    term->weight = td->weight;
    int r = selector_from(c, &td->selector, extra, n_extra, &term->selector, err);
    r = r != 0 ? r : selector_from(c, &td->ns_selector, NULL, 0, &term->ns_selector, err);
    if (r != 0) {
        return r;
    }
    if (td->namespaces.n == 0 && !td->ns_selector.given) {
        sym *own = KEEP(c, sym, 1);
        if (own == NULL) {
            return err_nomem(err);
        }
        own[0] = ns;
        term->namespaces = own;
        term->n_namespaces = 1;
    } else {
        r = intern_all(c, td->namespaces, &term->namespaces, err);
        term->n_namespaces = td->namespaces.n;
    }
    r = r != 0 ? r : cluster_topology(c, td->topology_key, &term->topo, err);
    term->carrier = IX_NONE;
    return r != 0 ? r
                  : counter_of_selector(c, &term->selector, term->namespaces, term->n_namespaces,
                                        &term->ns_selector, &term->counter, err);
}

int pod_terms_from(struct cluster *c, const struct pod_desc *d, pod_term_list list, sym ns,
                   const struct pod_term **ret, uint32_t *ret_n, struct err *err)
{
    struct pod_term *terms = KEEP(c, struct pod_term, list.n);
    if (terms == NULL) {
        return err_nomem(err);
    }
    for (uint32_t i = 0; i < list.n; i++) {
        int r = pod_term_from(c, d, &list.p[i], ns, &terms[i], err);
        if (r != 0) {
            return r;
        }
    }
    *ret = terms;
    *ret_n = list.n;
    return 0;
}

int spread_from(struct cluster *c, const struct pod_desc *d, sym ns, labelset_ix labels,
                struct pod_class *cls, struct err *err)
{
    struct spread_term *terms = KEEP(c, struct spread_term, d->spread.n);
    sym *own = KEEP(c, sym, 1);
    if (terms == NULL || own == NULL) {
        return err_nomem(err);
    }
    own[0] = ns;
    const struct selector no_ns_selector = {.nothing = true};
    for (uint32_t i = 0; i < d->spread.n; i++) {
        const struct spread_desc *sd = &d->spread.p[i];
        struct spread_term *term = &terms[i];
        struct extra_req *extra =
            arena_alloc(&c->t->scratch, sd->match_label_keys.n * sizeof *extra);
        if (extra == NULL) {
            return err_nomem(err);
        }
        uint32_t n_extra = add_extra(d, sd->match_label_keys, false, extra, 0);
        *term = (struct spread_term){.max_skew = sd->max_skew,
                                     .min_domains = sd->min_domains == 0 ? 1 : sd->min_domains,
                                     .hard = sd->hard,
                                     .honor_affinity = !sd->affinity_ignore,
                                     .honor_taints = sd->taints_honor};
        int r = selector_from(c, &sd->selector, extra, n_extra, &term->selector, err);
        r = r != 0 ? r : cluster_topology(c, sd->topology_key, &term->topo, err);
        r = r != 0 ? r
                   : counter_of_selector(c, &term->selector, own, 1, &no_ns_selector,
                                         &term->counter, err);
        if (r != 0) {
            return r;
        }
        term->empty_selector = !term->selector.nothing && term->selector.n == 0;
        term->matches_self = selector_matches(&term->selector, cluster_labels(c, labels), c->syms);
    }
    cls->spread = terms;
    cls->n_spread = d->spread.n;
    return 0;
}
