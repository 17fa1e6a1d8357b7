/* spec.affinity of pods.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/limits.h"
#include "wire/k8s_dec.h"

#define REQUIRED  "requiredDuringSchedulingIgnoredDuringExecution"
#define PREFERRED "preferredDuringSchedulingIgnoredDuringExecution"

static bool node_required(struct k8s_dec *d, struct pod_desc *pod)
{
    struct dec_iter it;
    if (!dec_object(d, &it)) {
        return false;
    }
    pod->has_node_required = it.open;
    while (dec_member(d, &it)) {
        if (!(DEC_KEY(it, "nodeSelectorTerms") ? dec_node_terms(d, &pod->node_required)
                                               : dec_skip(d))) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

static bool node_weighted(struct k8s_dec *d, struct node_term_desc *t)
{
    struct dec_iter it;
    *t = (struct node_term_desc){0};
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "weight")) {
            ok = dec_i32(d, &t->weight);
        } else if (DEC_KEY(it, "preference")) {
            ok = dec_node_term(d, t);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

static bool node_preferred(struct k8s_dec *d, struct pod_desc *pod)
{
    struct dec_iter it;
    struct node_term_desc *p = NULL;
    uint32_t n = 0, cap = 0;
    if (!dec_list(d, &it)) {
        return false;
    }
    while (dec_item(d, &it)) {
        p = dec_grow(d, p, n, &cap, sizeof *p, LIMIT_LABELS);
        if (p == NULL || !node_weighted(d, &p[n])) {
            return dec_in_index(d, it.i);
        }
        n++;
    }
    pod->node_preferred.p = p;
    pod->node_preferred.n = n;
    return dec_ok(d);
}

static bool node_affinity(struct k8s_dec *d, struct pod_desc *pod)
{
    struct dec_iter it;
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, REQUIRED)) {
            ok = node_required(d, pod);
        } else if (DEC_KEY(it, PREFERRED)) {
            ok = node_preferred(d, pod);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

static bool pod_term(struct k8s_dec *d, struct pod_term_desc *t)
{
    struct dec_iter it;
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "labelSelector")) {
            ok = dec_selector(d, &t->selector);
        } else if (DEC_KEY(it, "topologyKey")) {
            ok = dec_str(d, &t->topology_key);
        } else if (DEC_KEY(it, "namespaces")) {
            ok = dec_str_list(d, &t->namespaces);
        } else if (DEC_KEY(it, "namespaceSelector")) {
            ok = dec_selector(d, &t->ns_selector);
        } else if (DEC_KEY(it, "matchLabelKeys")) {
            ok = dec_str_list(d, &t->match_label_keys);
        } else if (DEC_KEY(it, "mismatchLabelKeys")) {
            ok = dec_str_list(d, &t->mismatch_label_keys);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

static bool pod_weighted(struct k8s_dec *d, struct pod_term_desc *t)
{
    struct dec_iter it;
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "weight")) {
            ok = dec_i32(d, &t->weight);
        } else if (DEC_KEY(it, "podAffinityTerm")) {
            ok = pod_term(d, t);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

static bool pod_terms(struct k8s_dec *d, bool weighted, pod_term_list *ret)
{
    struct dec_iter it;
    struct pod_term_desc *p = NULL;
    uint32_t n = 0, cap = 0;
    if (!dec_list(d, &it)) {
        return false;
    }
    while (dec_item(d, &it)) {
        p = dec_grow(d, p, n, &cap, sizeof *p, LIMIT_LABELS);
        if (p == NULL) {
            return dec_in_index(d, it.i);
        }
        p[n] = (struct pod_term_desc){0};
        if (!(weighted ? pod_weighted(d, &p[n]) : pod_term(d, &p[n]))) {
            return dec_in_index(d, it.i);
        }
        n++;
    }
    ret->p = p;
    ret->n = n;
    return dec_ok(d);
}

static bool pod_affinity(struct k8s_dec *d, pod_term_list *required, pod_term_list *preferred)
{
    struct dec_iter it;
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, REQUIRED)) {
            ok = pod_terms(d, false, required);
        } else if (DEC_KEY(it, PREFERRED)) {
            ok = pod_terms(d, true, preferred);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

bool dec_affinity(struct k8s_dec *d, struct pod_desc *ret)
{
    struct dec_iter it;
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "nodeAffinity")) {
            ok = node_affinity(d, ret);
        } else if (DEC_KEY(it, "podAffinity")) {
            ok = pod_affinity(d, &ret->affinity_required, &ret->affinity_preferred);
        } else if (DEC_KEY(it, "podAntiAffinity")) {
            ok = pod_affinity(d, &ret->anti_required, &ret->anti_preferred);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}
