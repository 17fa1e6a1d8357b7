/* StatefulSets, DaemonSets and OpenKruiseGame's GameServerSets into pods.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "wire/expand_impl.h"

/* ---- StatefulSet ---- */

struct claim_list {
    struct pvc_desc *p;
    uint32_t n;
};

/* spec.volumeClaimTemplates */
static int read_claims(struct expand *x, struct claim_list *ret)
{
    size_t at;
    struct scan s;
    struct str raw;
    bool first = true;
    uint32_t cap = 0;
    *ret = (struct claim_list){0};
    if (!k8s_find_field(x->json, "spec.volumeClaimTemplates", &at)) {
        return 0;
    }
    scan_init(&s, (struct str){x->json.p + at, x->json.n - at});
    if (scan_peek(&s) != SCAN_ARRAY || !scan_array_begin(&s)) {
        return 0;
    }
    while (scan_item(&s, &first) && scan_skip(&s, &raw)) {
        if (ret->n == cap) {
            cap = cap == 0 ? 4 : cap * 2;
            struct pvc_desc *p = arena_alloc(x->a, cap * sizeof *p);
            if (p == NULL) {
                return err_nomem(x->err);
            }
            if (ret->n > 0) {
                memcpy(p, ret->p, ret->n * sizeof *p);
            }
            ret->p = p;
        }
        struct err err = ERR_NONE;
        if (k8s_decode_pvc(raw, x->a, &ret->p[ret->n], &err) != 0) {
            int rc = err.code == -ENOMEM ? err_nomem(x->err)
                                         : expand_fault(x, "spec.volumeClaimTemplates", err.text);
            return rc != 0 ? rc : 1;
        }
        ret->n++;
    }
    return 0;
}

/* A made claim's class. Dumps of nodes and pods hold no classes at all: then the volume is taken as made where the pod
 * goes, and said so. A class that is missing among others is missing in the cluster too. */
static int settle_class(struct expand *x, struct pvc_desc *pvc)
{
    struct cluster *c = x->l->cluster;
    if (!pvc->has_storage_class) {
        const struct storage_class_row *usual = cluster_default_storage_class(c);
        pvc->storage_class = usual != NULL ? sym_str(c->syms, usual->name) : STR_NONE;
    }
    if (pvc->storage_class.n == 0) {
        pvc->storage_class =
            cluster_n_storage_classes(c) == 0 || x->im->class_made ? STR("(default)") : STR_NONE;
    }
    bool known = cluster_find_storage_class(c, sym_find(c->syms, pvc->storage_class)) != NULL;
    if (pvc->storage_class.n == 0 || known ||
        (cluster_n_storage_classes(c) > 0 && !x->im->class_made)) {
        return 0;
    }
    struct storage_class_desc made = {.meta.name = pvc->storage_class,
                                      .provisioner = STR("unknown"),
                                      .wait_for_first_consumer = true};
    x->im->class_made = true;
    loaded_note(x->l, NOTE_NO_CLASSES, 1);
    return cluster_upsert_storage_class(c, &made, x->err);
}

/* The claims of one ordinal: made where the input has none, and mounted in place of the template's volumes. */
static int give_claims(struct expand *x, const struct claim_list *claims, struct str pod_name,
                       struct pod_desc *pod)
{
    struct cluster *c = x->l->cluster;
    struct volume_desc *p = arena_alloc(x->to, (claims->n + pod->volumes.n) * sizeof *p);
    uint32_t n = 0;
    if (p == NULL) {
        return err_nomem(x->err);
    }
    for (uint32_t i = 0; i < claims->n; i++) {
        struct pvc_desc pvc = claims->p[i];
        struct str template = pvc.meta.name;
        pvc.meta.name = expand_format(x, "%.*s-%.*s", STR_ARG(template), STR_ARG(pod_name));
        pvc.meta.ns = x->c->ns;
        if (pvc.meta.name.p == NULL) {
            return err_nomem(x->err);
        }
        p[n++] = (struct volume_desc){.name = template, .claim = pvc.meta.name};
        if (cluster_find_pvc(c, sym_find(c->syms, x->c->ns), sym_find(c->syms, pvc.meta.name)) ==
            NULL) {
            pvc.phase = STR("Pending");
            int rc = settle_class(x, &pvc);
            rc = rc != 0 ? rc : cluster_upsert_pvc(c, &pvc, x->err);
            if (rc != 0) {
                return rc;
            }
        }
    }
    for (uint32_t i = 0; i < pod->volumes.n; i++) {
        bool replaced = false;
        for (uint32_t k = 0; k < claims->n; k++) {
            replaced = replaced || str_eq(claims->p[k].meta.name, pod->volumes.p[i].name);
        }
        if (!replaced) {
            p[n++] = pod->volumes.p[i];
        }
    }
    pod->volumes.p = p;
    pod->volumes.n = n;
    return 0;
}

int expand_stateful_set(struct expand *x, int64_t replicas)
{
    struct claim_list claims;
    struct owner_desc owner = {x->c->api_version, x->c->kind_name, x->c->name, x->c->uid, true};
    int64_t start = 0, made = 0;
    int rc = read_claims(x, &claims);
    if (rc != 0) {
        return rc > 0 ? 0 : rc;
    }
    (void)expand_i64(x, "spec.ordinals.start", &start);
    /* in a cluster: the ordinals that are missing; as a workload: that many more */
    for (int64_t i = start; rc == 0 && (x->c->workload ? made < replicas : i < start + replicas);
         i++) {
        expand_next_pod(x);
        struct str ordinal = expand_format(x, "%lld", (long long)i);
        struct str name = expand_format(x, "%.*s-%.*s", STR_ARG(x->c->name), STR_ARG(ordinal));
        if (name.p == NULL || ordinal.p == NULL) {
            return err_nomem(x->err);
        }
        if (expand_taken(x, name)) {
            continue;
        }
        const struct kv_desc labels[] = {{STR("apps.kubernetes.io/pod-index"), ordinal},
                                         {STR("statefulset.kubernetes.io/pod-name"), name}};
        struct pod_desc pod = x->pod;
        rc = give_claims(x, &claims, name, &pod);
        rc = rc == 0 ? expand_make(x, &pod, name, &owner, labels, 2) : rc;
        made++;
    }
    return rc;
}

/* ---- DaemonSet ---- */

static bool term_admits(const struct node_term *t, struct labelset labels, struct labelset fields,
                        const struct symtab *syms)
{
    return !t->empty && selector_matches(&t->labels, labels, syms) &&
           selector_matches(&t->fields, fields, syms);
}

static bool tolerated(const struct pod_class *cls, const struct taint *t)
{
    if (t->effect != EFFECT_NO_SCHEDULE && t->effect != EFFECT_NO_EXECUTE) {
        return true;
    }
    for (uint32_t i = 0; i < cls->n_tolerations; i++) {
        const struct toleration *o = &cls->tolerations[i];
        if (o->effect != EFFECT_ANY && o->effect != t->effect) {
            continue;
        }
        if (o->has_key && o->key.v != t->key.v) {
            continue;
        }
        if (o->op == TOLERATE_EXISTS || (o->op == TOLERATE_EQUAL && o->val.v == t->val.v)) {
            return true;
        }
    }
    return false;
}

/* As the DaemonSet controller judges: node selector, required node affinity, NoSchedule and NoExecute taints. */
static bool admits(const struct cluster *c, const struct pod_class *cls, uint32_t node)
{
    const struct node_facts *f = &c->facts[node];
    struct labelset labels = cluster_labels(c, f->labels);
    const struct label name = {sym_find(c->syms, STR("metadata.name")), f->name};
    const struct labelset fields = {&name, 1};
    if (!selector_matches(&cls->node_selector, labels, c->syms)) {
        return false;
    }
    bool any = !cls->has_node_required;
    for (uint32_t i = 0; i < cls->n_node_required && !any; i++) {
        any = term_admits(&cls->node_required[i], labels, fields, c->syms);
    }
    for (uint32_t i = 0; i < f->n_taints && any; i++) {
        any = tolerated(cls, &f->taints[i]);
    }
    return any;
}

static const struct toleration_desc daemon_tolerations[] = {
    {STR("node.kubernetes.io/not-ready"), STR_NONE, TOLERATE_EXISTS, EFFECT_NO_EXECUTE},
    {STR("node.kubernetes.io/unreachable"), STR_NONE, TOLERATE_EXISTS, EFFECT_NO_EXECUTE},
    {STR("node.kubernetes.io/disk-pressure"), STR_NONE, TOLERATE_EXISTS, EFFECT_NO_SCHEDULE},
    {STR("node.kubernetes.io/memory-pressure"), STR_NONE, TOLERATE_EXISTS, EFFECT_NO_SCHEDULE},
    {STR("node.kubernetes.io/pid-pressure"), STR_NONE, TOLERATE_EXISTS, EFFECT_NO_SCHEDULE},
    {STR("node.kubernetes.io/unschedulable"), STR_NONE, TOLERATE_EXISTS, EFFECT_NO_SCHEDULE},
    {STR("node.kubernetes.io/network-unavailable"), STR_NONE, TOLERATE_EXISTS,
     EFFECT_NO_SCHEDULE}, /* hostNetwork only */
};

static int add_tolerations(struct expand *x)
{
    uint32_t n = (uint32_t)SP_COUNTOF(daemon_tolerations) - !x->pod.host_network;
    struct toleration_desc *p = arena_alloc(x->a, (x->pod.tolerations.n + n) * sizeof *p);
    if (p == NULL) {
        return err_nomem(x->err);
    }
    if (x->pod.tolerations.n > 0) {
        memcpy(p, x->pod.tolerations.p, x->pod.tolerations.n * sizeof *p);
    }
    memcpy(p + x->pod.tolerations.n, daemon_tolerations, n * sizeof *p);
    x->pod.tolerations.p = p;
    x->pod.tolerations.n += n;
    return 0;
}

/* Required node affinity to one node, in place of the template's, as the controller writes it. */
static int pin_to_node(struct expand *x, struct str node, struct pod_desc *pod)
{
    struct str *value = arena_calloc(x->to, 1, sizeof *value);
    struct expr_desc *expr = arena_calloc(x->to, 1, sizeof *expr);
    struct node_term_desc *term = arena_calloc(x->to, 1, sizeof *term);
    if (value == NULL || expr == NULL || term == NULL) {
        return err_nomem(x->err);
    }
    *value = node;
    *expr = (struct expr_desc){.key = STR("metadata.name"), .op = STR("In"), .values = {value, 1}};
    term->match_fields.p = expr;
    term->match_fields.n = 1;
    pod->has_node_required = true;
    pod->node_required.p = term;
    pod->node_required.n = 1;
    return 0;
}

/* Nodes that have a pod of this DaemonSet already; waiting ones count by the node in their affinity. */
static int mark_served(struct expand *x, bool *served)
{
    const struct cluster *c = x->l->cluster;
    const struct load_impl *im = x->im;
    for (uint32_t i = 0; i < im->owner_of.n && i < c->n_pod_rows; i++) {
        if (im->owner_of.p[i] == 0 || !c->pod[i].live) {
            continue;
        }
        struct str key = im->owners.names[im->owner_of.p[i] - 1];
        struct str kind = str_cut(&key, '\0'), ns = str_cut(&key, '\0'), name = str_cut(&key, '\0');
        if (!str_is(kind, "DaemonSet") || !str_eq(ns, x->c->ns) || !str_eq(name, x->c->name)) {
            continue;
        }
        if (c->pod[i].node.v != IX_NONE) {
            served[c->pod[i].node.v] = true;
            continue;
        }
        const struct pod_class *cls = cluster_class(c, c->pod[i].req.cls);
        for (uint32_t n = 0; !c->pod[i].req.bound && n < c->n_rows && cls->has_node_required; n++) {
            const struct label field = {sym_find(c->syms, STR("metadata.name")), c->facts[n].name};
            const struct labelset fields = {&field, 1}, none = {NULL, 0};
            for (uint32_t k = 0; k < cls->n_node_required && (c->flags[n] & NODE_LIVE); k++) {
                served[n] =
                    served[n] || (cls->node_required[k].fields.n > 0 &&
                                  term_admits(&cls->node_required[k], none, fields, c->syms));
            }
        }
    }
    return 0;
}

int expand_daemon_set(struct expand *x)
{
    struct cluster *c = x->l->cluster;
    struct owner_desc owner = {x->c->api_version, x->c->kind_name, x->c->name, x->c->uid, true};
    struct pod_req req;
    struct pod_desc probe;
    bool *served = arena_calloc(x->a, c->n_rows + 1, sizeof *served);
    uint32_t n_rows = c->n_rows;
    int rc = served != NULL ? add_tolerations(x) : err_nomem(x->err);
    if (rc == 0 && !x->c->workload) {
        rc = mark_served(x, served);
    }
    if (rc != 0) {
        return rc;
    }
    probe = x->pod;
    probe.meta.name = x->c->name;
    probe.meta.ns = x->c->ns;
    rc = cluster_compile_pod(c, &probe, x->a, &req, x->err);
    for (uint32_t i = 0; i < n_rows && rc == 0; i++) {
        if (!(c->flags[i] & NODE_LIVE) || served[i] || !admits(c, cluster_class(c, req.cls), i)) {
            continue;
        }
        struct pod_desc pod = x->pod;
        expand_next_pod(x);
        rc = pin_to_node(x, sym_str(c->syms, c->facts[i].name), &pod);
        rc = rc == 0 ? expand_make(x, &pod, expand_name(x), &owner, NULL, 0) : rc;
    }
    return rc;
}

/* ---- OpenKruiseGame ---- */

/* spec.reserveGameServerIds: ordinals that are left free; numbers, or text with numbers. */
static bool reserved(const struct expand *x, int64_t ordinal)
{
    size_t at;
    struct scan s;
    struct str raw;
    bool first = true;
    if (!k8s_find_field(x->json, "spec.reserveGameServerIds", &at)) {
        return false;
    }
    scan_init(&s, (struct str){x->json.p + at, x->json.n - at});
    if (scan_peek(&s) != SCAN_ARRAY || !scan_array_begin(&s)) {
        return false;
    }
    while (scan_item(&s, &first) && scan_skip(&s, &raw)) {
        int64_t v;
        if (raw.n > 2 && raw.p[0] == '"') {
            raw = (struct str){raw.p + 1, raw.n - 2};
        }
        if (str_to_i64(raw, &v) && v == ordinal) {
            return true;
        }
    }
    return false;
}

int expand_okg_set(struct expand *x, int64_t replicas)
{
    struct owner_desc owner = {x->c->api_version, x->c->kind_name, x->c->name, x->c->uid, true};
    int64_t have = 0;
    int rc = 0;
    const struct kv_desc labels[] = {{STR("game.kruise.io/owner-gss"), x->c->name}};
    if (!x->c->workload) { /* OpenKruise owns the pods through a StatefulSet of the same name */
        have = (int64_t)load_owned(x->im, x->c->kind_name, x->c->ns, x->c->name, x->c->uid) +
               load_owned(x->im, STR("StatefulSet"), x->c->ns, x->c->name, STR_NONE);
    }
    for (int64_t ordinal = 0; rc == 0 && have < replicas; ordinal++) {
        expand_next_pod(x);
        struct str name = expand_format(x, "%.*s-%lld", STR_ARG(x->c->name), (long long)ordinal);
        if (name.p == NULL) {
            return err_nomem(x->err);
        }
        if (reserved(x, ordinal) || expand_taken(x, name)) {
            continue;
        }
        struct pod_desc pod = x->pod;
        rc = expand_make(x, &pod, name, &owner, labels, 1);
        have++;
    }
    return rc;
}
