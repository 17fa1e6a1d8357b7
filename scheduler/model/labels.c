/* Label sets and selectors. See labels.h.
 * Source of the rules: apimachinery pkg/labels/selector.go.
 * SPDX-License-Identifier: Apache-2.0 */
#include "model/labels.h"

sym labels_get(struct labelset set, sym key, bool *ret_has)
{
    uint32_t low = 0, high = set.n;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (set.p[mid].key.v < key.v) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    *ret_has = low < set.n && set.p[low].key.v == key.v;
    return *ret_has ? set.p[low].val : SYM_NONE;
}

static bool has_value(const struct requirement *r, sym val)
{
    for (uint32_t i = 0; i < r->n_vals; i++) {
        if (r->vals[i].v == val.v) {
            return true;
        }
    }
    return false;
}

bool requirement_matches(const struct requirement *r, struct labelset set, const struct symtab *t)
{
    bool has;
    sym val = labels_get(set, r->key, &has);
    int64_t number;
    switch (r->op) {
    case SEL_IN:
        return has && has_value(r, val);
    case SEL_NOT_IN:
        return !has || !has_value(r, val);
    case SEL_EXISTS:
        return has;
    case SEL_NOT_EXISTS:
        return !has;
    case SEL_GT:
        return has && str_to_i64(sym_str(t, val), &number) && number > r->number;
    case SEL_LT:
        return has && str_to_i64(sym_str(t, val), &number) && number < r->number;
    case SEL_NEVER:
        return false;
    }
    return false;
}

bool selector_matches(const struct selector *s, struct labelset set, const struct symtab *t)
{
    if (s->nothing) {
        return false;
    }
    for (uint32_t i = 0; i < s->n; i++) {
        if (!requirement_matches(&s->p[i], set, t)) {
            return false;
        }
    }
    return true;
}

bool selector_names_key(const struct selector *s, sym key)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->p[i].key.v == key.v) {
            return true;
        }
    }
    return false;
}
