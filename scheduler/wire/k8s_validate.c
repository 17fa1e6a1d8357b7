/* What the API server refuses in a pod. Each message begins with the field's path and ends with the fix.
 * Rules: pkg/apis/core/validation of Kubernetes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "wire/k8s.h"

#define REFUSED(err, ...) err_set((err), -EINVAL, __VA_ARGS__)

static bool is_extended(struct str name)
{
    return str_contains(name, STR("/")) && !str_contains(name, STR("kubernetes.io/"));
}

static int check_quantities(const char *path, qty_list list, struct err *err)
{
    for (uint32_t i = 0; i < list.n; i++) {
        const struct qty_desc *q = &list.p[i];
        if (q->value.nano < 0) {
            return REFUSED(err, "%s.%.*s: a negative amount: write 0 or more", path,
                           STR_ARG(q->name));
        }
        if (is_extended(q->name) && q->value.nano % 1000000000 != 0) {
            return REFUSED(err, "%s.%.*s: an extended resource is counted in whole units", path,
                           STR_ARG(q->name));
        }
    }
    return 0;
}

static int check_limits(const char *path, const struct container_desc *c, struct err *err)
{
    for (uint32_t i = 0; i < c->requests.n; i++) {
        for (uint32_t k = 0; k < c->limits.n; k++) {
            if (str_eq(c->requests.p[i].name, c->limits.p[k].name) &&
                quantity_cmp(c->requests.p[i].value, c->limits.p[k].value) > 0) {
                return REFUSED(
                    err,
                    "%s.resources.requests.%.*s: more than the limit: lower it or raise the limit",
                    path, STR_ARG(c->requests.p[i].name));
            }
        }
    }
    return 0;
}

static int check_ports(const char *path, const struct pod_desc *pod, const struct container_desc *c,
                       struct err *err)
{
    for (uint32_t i = 0; i < c->ports.n; i++) {
        const struct port_desc *p = &c->ports.p[i];
        if (p->host_port < 0 || p->host_port > 65535) {
            return REFUSED(err, "%s.ports[%u].hostPort: %d is no port (1 to 65535)", path, i,
                           p->host_port);
        }
        if (p->container_port < 1 || p->container_port > 65535) {
            return REFUSED(err, "%s.ports[%u].containerPort: %d is no port (1 to 65535)", path, i,
                           p->container_port);
        }
        if (pod->host_network && p->host_port != 0 && p->host_port != p->container_port) {
            return REFUSED(
                err, "%s.ports[%u].hostPort: with hostNetwork it must be the containerPort (%d)",
                path, i, p->container_port);
        }
        if (p->protocol.n > 0 && !str_is(p->protocol, "TCP") && !str_is(p->protocol, "UDP") &&
            !str_is(p->protocol, "SCTP")) {
            return REFUSED(err, "%s.ports[%u].protocol: \"%.*s\" is none of TCP, UDP, SCTP", path,
                           i, STR_ARG(p->protocol));
        }
    }
    return 0;
}

static int check_containers(const struct pod_desc *pod, struct err *err)
{
    uint32_t n_init = 0;
    char path[64], sub[96];
    for (uint32_t i = 0; i < pod->containers.n; i++) {
        const struct container_desc *c = &pod->containers.p[i];
        n_init += c->init;
        snprintf(path, sizeof path, "spec.%s[%u]", c->init ? "initContainers" : "containers",
                 c->init ? i : i - n_init);
        snprintf(sub, sizeof sub, "%s.resources.requests", path);
        int rc = check_quantities(sub, c->requests, err);
        if (rc == 0) {
            snprintf(sub, sizeof sub, "%s.resources.limits", path);
            rc = check_quantities(sub, c->limits, err);
        }
        if (rc == 0) {
            rc = check_limits(path, c, err);
        }
        if (rc == 0) {
            rc = check_ports(path, pod, c, err);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int check_spread(const struct pod_desc *pod, struct err *err)
{
    static const char at[] = "spec.topologySpreadConstraints";
    for (uint32_t i = 0; i < pod->spread.n; i++) {
        const struct spread_desc *c = &pod->spread.p[i];
        if (c->max_skew <= 0) {
            return REFUSED(err,
                           "%s[%u].maxSkew: %d is not allowed: it must be 1 or more (1 is the "
                           "tightest spread)",
                           at, i, c->max_skew);
        }
        if (c->topology_key.n == 0) {
            return REFUSED(err,
                           "%s[%u].topologyKey: missing: name a node label, such as "
                           "topology.kubernetes.io/zone",
                           at, i);
        }
        if (c->min_domains < 0) {
            return REFUSED(err, "%s[%u].minDomains: %d is not allowed: it must be 1 or more", at, i,
                           c->min_domains);
        }
        if (c->min_domains > 0 && !c->hard) {
            return REFUSED(err, "%s[%u].minDomains: only with whenUnsatisfiable: DoNotSchedule", at,
                           i);
        }
        for (uint32_t k = 0; k < i; k++) {
            if (pod->spread.p[k].hard == c->hard &&
                str_eq(pod->spread.p[k].topology_key, c->topology_key)) {
                return REFUSED(
                    err, "%s[%u]: the same topologyKey and whenUnsatisfiable as in [%u]: keep one",
                    at, i, k);
            }
        }
    }
    return 0;
}

static int check_exprs(const char *path, expr_list list, struct err *err)
{
    for (uint32_t i = 0; i < list.n; i++) {
        const struct expr_desc *e = &list.p[i];
        bool in = str_is(e->op, "In") || str_is(e->op, "NotIn");
        bool exists = str_is(e->op, "Exists") || str_is(e->op, "DoesNotExist");
        bool number = str_is(e->op, "Gt") || str_is(e->op, "Lt");
        if (!in && !exists && !number) {
            return REFUSED(
                err, "%s[%u].operator: \"%.*s\" is none of In, NotIn, Exists, DoesNotExist, Gt, Lt",
                path, i, STR_ARG(e->op));
        }
        if ((in && e->values.n == 0) || (exists && e->values.n > 0) ||
            (number && e->values.n != 1)) {
            return REFUSED(err, "%s[%u].values: %.*s takes %s", path, i, STR_ARG(e->op),
                           in       ? "at least one value"
                           : exists ? "no values"
                                    : "one value");
        }
    }
    return 0;
}

static int check_node_terms(const char *name, node_term_list terms, bool preferred, struct err *err)
{
    char path[160];
    int rc = 0;
    for (uint32_t i = 0; i < terms.n && rc == 0; i++) {
        const struct node_term_desc *t = &terms.p[i];
        if (preferred && (t->weight < 1 || t->weight > 100)) {
            return REFUSED(err, "spec.affinity.nodeAffinity.%s[%u].weight: %d is not in 1 to 100",
                           name, i, t->weight);
        }
        snprintf(path, sizeof path, "spec.affinity.nodeAffinity.%s[%u]%s.matchExpressions", name, i,
                 preferred ? ".preference" : "");
        rc = check_exprs(path, t->match_expressions, err);
    }
    return rc;
}

static int check_pod_terms(const char *name, pod_term_list terms, bool preferred, struct err *err)
{
    for (uint32_t i = 0; i < terms.n; i++) {
        const struct pod_term_desc *t = &terms.p[i];
        const char *list = preferred ? "preferredDuringSchedulingIgnoredDuringExecution"
                                     : "requiredDuringSchedulingIgnoredDuringExecution";
        if (preferred && (t->weight < 1 || t->weight > 100)) {
            return REFUSED(err, "spec.affinity.%s.%s[%u].weight: %d is not in 1 to 100", name, list,
                           i, t->weight);
        }
        if (t->topology_key.n == 0) {
            return REFUSED(err, "spec.affinity.%s.%s[%u]%s.topologyKey: missing: name a node label",
                           name, list, i, preferred ? ".podAffinityTerm" : "");
        }
    }
    return 0;
}

static int check_affinity(const struct pod_desc *pod, struct err *err)
{
    if (pod->has_node_required && pod->node_required.n == 0) {
        return REFUSED(err, "spec.affinity.nodeAffinity."
                            "requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: "
                            "empty: it needs at least one term");
    }
    int rc = check_node_terms("requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms",
                              pod->node_required, false, err);
    if (rc == 0) {
        rc = check_node_terms("preferredDuringSchedulingIgnoredDuringExecution",
                              pod->node_preferred, true, err);
    }
    if (rc == 0) {
        rc = check_pod_terms("podAffinity", pod->affinity_required, false, err);
    }
    if (rc == 0) {
        rc = check_pod_terms("podAffinity", pod->affinity_preferred, true, err);
    }
    if (rc == 0) {
        rc = check_pod_terms("podAntiAffinity", pod->anti_required, false, err);
    }
    return rc == 0 ? check_pod_terms("podAntiAffinity", pod->anti_preferred, true, err) : rc;
}

static int check_tolerations(const struct pod_desc *pod, struct err *err)
{
    for (uint32_t i = 0; i < pod->tolerations.n; i++) {
        const struct toleration_desc *t = &pod->tolerations.p[i];
        if (t->op == TOLERATE_OTHER) {
            return REFUSED(err, "spec.tolerations[%u].operator: none of Equal, Exists, Lt, Gt", i);
        }
        if (t->effect == EFFECT_OTHER) {
            return REFUSED(
                err, "spec.tolerations[%u].effect: none of NoSchedule, PreferNoSchedule, NoExecute",
                i);
        }
        if (t->key.n == 0 && t->op != TOLERATE_EXISTS) {
            return REFUSED(
                err, "spec.tolerations[%u].operator: must be Exists when the key is empty", i);
        }
        if (t->op == TOLERATE_EXISTS && t->val.n > 0) {
            return REFUSED(
                err, "spec.tolerations[%u].value: must be empty when the operator is Exists", i);
        }
    }
    return 0;
}

int k8s_validate_pod(const struct pod_desc *pod, struct err *err)
{
    if (pod->meta.name.n == 0) {
        return REFUSED(err, "metadata.name: missing");
    }
    int rc = check_containers(pod, err);
    if (rc == 0) {
        rc = check_quantities("spec.resources.requests", pod->pod_requests, err);
    }
    if (rc == 0) {
        rc = check_quantities("spec.overhead", pod->overhead, err);
    }
    if (rc == 0) {
        rc = check_spread(pod, err);
    }
    if (rc == 0) {
        rc = check_affinity(pod, err);
    }
    return rc == 0 ? check_tolerations(pod, err) : rc;
}
