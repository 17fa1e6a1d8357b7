/* Pod objects: what scheduling and the game need; everything else is passed over.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/limits.h"
#include "wire/k8s.h"
#include "wire/k8s_dec.h"

/* One entry of status.containerStatuses or initContainerStatuses. */
struct status_in {
    struct str name;
    bool has_requests, has_allocated;
    qty_list requests, allocated;
};
struct pod_in {
    struct pod_desc *pod;
    struct container_desc *containers, *inits;
    uint32_t n_containers, n_inits;
    struct status_in *statuses;
    uint32_t n_statuses, cap_statuses;
};

static bool qty_member(struct k8s_dec *d, const char *key, qty_list *ret, bool *ret_has)
{
    struct dec_iter it;
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (str_is(it.key, key)) {
            *ret_has = scan_peek(&d->s) == SCAN_OBJECT;
            ok = dec_qty_map(d, ret);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

static bool resources(struct k8s_dec *d, qty_list *requests, qty_list *limits)
{
    struct dec_iter it;
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "requests")) {
            ok = dec_qty_map(d, requests);
        } else if (DEC_KEY(it, "limits")) {
            ok = dec_qty_map(d, limits);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

static bool port(struct k8s_dec *d, struct port_desc *p)
{
    struct dec_iter it;
    *p = (struct port_desc){0};
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "hostPort")) {
            ok = dec_i32(d, &p->host_port);
        } else if (DEC_KEY(it, "containerPort")) {
            ok = dec_i32(d, &p->container_port);
        } else if (DEC_KEY(it, "protocol")) {
            ok = dec_str(d, &p->protocol);
        } else if (DEC_KEY(it, "hostIP")) {
            ok = dec_str(d, &p->host_ip);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

static bool ports(struct k8s_dec *d, struct container_desc *c)
{
    struct dec_iter it;
    struct port_desc *p = NULL;
    uint32_t n = 0, cap = 0;
    if (!dec_list(d, &it)) {
        return false;
    }
    while (dec_item(d, &it)) {
        p = dec_grow(d, p, n, &cap, sizeof *p, LIMIT_LABELS);
        if (p == NULL || !port(d, &p[n])) {
            return dec_in_index(d, it.i);
        }
        n++;
    }
    c->ports.p = p;
    c->ports.n = n;
    return dec_ok(d);
}

static bool container(struct k8s_dec *d, struct container_desc *c)
{
    struct dec_iter it;
    struct str restart = STR_NONE;
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "name")) {
            ok = dec_str(d, &c->name);
        } else if (DEC_KEY(it, "image")) {
            ok = dec_str(d, &c->image);
        } else if (DEC_KEY(it, "resources")) {
            ok = resources(d, &c->requests, &c->limits);
        } else if (DEC_KEY(it, "ports")) {
            ok = ports(d, c);
        } else if (DEC_KEY(it, "restartPolicy")) {
            ok = dec_str(d, &restart);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    c->sidecar = c->init && str_is(restart, "Always");
    return dec_ok(d);
}

/* A limit without a request is the request, as the API server's defaulting makes it. */
static bool default_requests(struct k8s_dec *d, qty_list *requests, const qty_list *limits)
{
    uint32_t missing = 0;
    for (uint32_t i = 0; i < limits->n; i++) {
        uint32_t k = 0;
        while (k < requests->n && !str_eq(requests->p[k].name, limits->p[i].name)) {
            k++;
        }
        missing += k == requests->n;
    }
    if (missing == 0) {
        return true;
    }
    struct qty_desc *p = arena_alloc(d->a, (requests->n + missing) * sizeof *p);
    if (p == NULL) {
        return dec_nomem(d);
    }
    uint32_t n = requests->n;
    if (n > 0) {
        memcpy(p, requests->p, n * sizeof *p);
    }
    for (uint32_t i = 0; i < limits->n; i++) {
        uint32_t k = 0;
        while (k < requests->n && !str_eq(requests->p[k].name, limits->p[i].name)) {
            k++;
        }
        if (k == requests->n) {
            p[n++] = limits->p[i];
        }
    }
    requests->p = p;
    requests->n = n;
    return true;
}

static bool containers(struct k8s_dec *d, bool init, struct container_desc **ret, uint32_t *ret_n)
{
    struct dec_iter it;
    struct container_desc *p = NULL;
    uint32_t n = 0, cap = 0;
    if (!dec_list(d, &it)) {
        return false;
    }
    while (dec_item(d, &it)) {
        p = dec_grow(d, p, n, &cap, sizeof *p, LIMIT_CONTAINERS);
        if (p == NULL) {
            return dec_in_index(d, it.i);
        }
        p[n] = (struct container_desc){.init = init};
        if (!container(d, &p[n]) || !default_requests(d, &p[n].requests, &p[n].limits)) {
            return dec_in_index(d, it.i);
        }
        n++;
    }
    *ret = p;
    *ret_n = n;
    return dec_ok(d);
}

static enum toleration_op toleration_op(struct str s)
{
    if (s.n == 0 || str_is(s, "Equal")) {
        return TOLERATE_EQUAL;
    }
    if (str_is(s, "Exists")) {
        return TOLERATE_EXISTS;
    }
    return str_is(s, "Lt") ? TOLERATE_LT : str_is(s, "Gt") ? TOLERATE_GT : TOLERATE_OTHER;
}

static bool toleration(struct k8s_dec *d, struct toleration_desc *t)
{
    struct dec_iter it;
    struct str op = STR_NONE, effect = STR_NONE;
    *t = (struct toleration_desc){0};
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "key")) {
            ok = dec_str(d, &t->key);
        } else if (DEC_KEY(it, "value")) {
            ok = dec_str(d, &t->val);
        } else if (DEC_KEY(it, "operator")) {
            ok = dec_str(d, &op);
        } else if (DEC_KEY(it, "effect")) {
            ok = dec_str(d, &effect);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    t->op = toleration_op(op);
    t->effect = dec_effect(effect);
    return dec_ok(d);
}

static bool tolerations(struct k8s_dec *d, struct pod_desc *pod)
{
    struct dec_iter it;
    struct toleration_desc *p = NULL;
    uint32_t n = 0, cap = 0;
    if (!dec_list(d, &it)) {
        return false;
    }
    while (dec_item(d, &it)) {
        p = dec_grow(d, p, n, &cap, sizeof *p, LIMIT_LABELS);
        if (p == NULL || !toleration(d, &p[n])) {
            return dec_in_index(d, it.i);
        }
        n++;
    }
    pod->tolerations.p = p;
    pod->tolerations.n = n;
    return dec_ok(d);
}

static bool spread_policy(struct k8s_dec *d, const char *odd, bool *ret)
{
    struct str s;
    if (!dec_str(d, &s)) {
        return false;
    }
    *ret = str_is(s, odd);
    return true;
}

static bool spread(struct k8s_dec *d, struct spread_desc *c)
{
    struct dec_iter it;
    struct str when = STR_NONE;
    *c = (struct spread_desc){0};
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "maxSkew")) {
            ok = dec_i32(d, &c->max_skew);
        } else if (DEC_KEY(it, "topologyKey")) {
            ok = dec_str(d, &c->topology_key);
        } else if (DEC_KEY(it, "whenUnsatisfiable")) {
            ok = dec_str(d, &when);
        } else if (DEC_KEY(it, "labelSelector")) {
            ok = dec_selector(d, &c->selector);
        } else if (DEC_KEY(it, "minDomains")) {
            ok = dec_i32(d, &c->min_domains);
        } else if (DEC_KEY(it, "nodeAffinityPolicy")) {
            ok = spread_policy(d, "Ignore", &c->affinity_ignore);
        } else if (DEC_KEY(it, "nodeTaintsPolicy")) {
            ok = spread_policy(d, "Honor", &c->taints_honor);
        } else if (DEC_KEY(it, "matchLabelKeys")) {
            ok = dec_str_list(d, &c->match_label_keys);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    c->hard = !str_is(when, "ScheduleAnyway");
    if (dec_ok(d) && when.n > 0 && c->hard && !str_is(when, "DoNotSchedule")) {
        dec_fail(d, NULL, "whenUnsatisfiable is \"%.*s\" (DoNotSchedule or ScheduleAnyway)",
                 when.n < 60 ? (int)when.n : 60, when.p);
    }
    return dec_ok(d);
}

static bool spreads(struct k8s_dec *d, struct pod_desc *pod)
{
    struct dec_iter it;
    struct spread_desc *p = NULL;
    uint32_t n = 0, cap = 0;
    if (!dec_list(d, &it)) {
        return false;
    }
    while (dec_item(d, &it)) {
        p = dec_grow(d, p, n, &cap, sizeof *p, LIMIT_LABELS);
        if (p == NULL || !spread(d, &p[n])) {
            return dec_in_index(d, it.i);
        }
        n++;
    }
    pod->spread.p = p;
    pod->spread.n = n;
    return dec_ok(d);
}

static bool count_items(struct k8s_dec *d, uint32_t *ret_n)
{
    struct dec_iter it;
    if (!dec_list(d, &it)) {
        return false;
    }
    while (dec_item(d, &it)) {
        if (!dec_skip(d)) {
            return dec_in_index(d, it.i);
        }
    }
    *ret_n = it.open ? it.i + 1 : 0;
    return dec_ok(d);
}

static bool gates(struct k8s_dec *d, struct pod_desc *pod)
{
    uint32_t n = 0;
    bool ok = count_items(d, &n);
    pod->gated = n > 0;
    return ok;
}

static bool spec_scalar(struct k8s_dec *d, const struct dec_iter *it, struct pod_desc *pod)
{
    if (DEC_KEY(*it, "nodeName")) {
        return dec_str(d, &pod->node_name);
    }
    if (DEC_KEY(*it, "schedulerName")) {
        return dec_str(d, &pod->scheduler_name);
    }
    if (DEC_KEY(*it, "priorityClassName")) {
        return dec_str(d, &pod->priority_class);
    }
    if (DEC_KEY(*it, "priority")) {
        pod->has_priority = scan_peek(&d->s) == SCAN_NUMBER;
        return dec_i32(d, &pod->priority);
    }
    if (DEC_KEY(*it, "preemptionPolicy")) {
        bool never = false;
        bool ok = spread_policy(d, "Never", &never);
        pod->preemption = never ? PREEMPT_NEVER : PREEMPT_LOWER;
        return ok;
    }
    if (DEC_KEY(*it, "hostNetwork")) {
        return dec_bool(d, &pod->host_network);
    }
    if (DEC_KEY(*it, "terminationGracePeriodSeconds")) {
        return dec_i64(d, &pod->grace_seconds);
    }
    if (DEC_KEY(*it, "resourceClaims")) {
        return count_items(d, &pod->n_resource_claims);
    }
    return dec_skip(d);
}

static bool spec_resources(struct k8s_dec *d, struct pod_desc *pod)
{
    qty_list limits = {0};
    if (!resources(d, &pod->pod_requests, &limits) ||
        !default_requests(d, &pod->pod_requests, &limits)) {
        return false;
    }
    pod->has_pod_requests = pod->pod_requests.n > 0;
    return true;
}

static bool spec(struct k8s_dec *d, struct pod_in *in)
{
    struct dec_iter it;
    struct pod_desc *pod = in->pod;
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "containers")) {
            ok = containers(d, false, &in->containers, &in->n_containers);
        } else if (DEC_KEY(it, "initContainers")) {
            ok = containers(d, true, &in->inits, &in->n_inits);
        } else if (DEC_KEY(it, "affinity")) {
            ok = dec_affinity(d, pod);
        } else if (DEC_KEY(it, "tolerations")) {
            ok = tolerations(d, pod);
        } else if (DEC_KEY(it, "topologySpreadConstraints")) {
            ok = spreads(d, pod);
        } else if (DEC_KEY(it, "nodeSelector")) {
            ok = dec_kv_map(d, &pod->node_selector);
        } else if (DEC_KEY(it, "volumes")) {
            ok = dec_volumes(d, pod);
        } else if (DEC_KEY(it, "overhead")) {
            ok = dec_qty_map(d, &pod->overhead);
        } else if (DEC_KEY(it, "schedulingGates")) {
            ok = gates(d, pod);
        } else if (DEC_KEY(it, "resources")) {
            ok = spec_resources(d, pod);
        } else {
            ok = spec_scalar(d, &it, pod);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

/* ---- status ---- */

static bool container_status(struct k8s_dec *d, struct status_in *c)
{
    struct dec_iter it;
    *c = (struct status_in){0};
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "name")) {
            ok = dec_str(d, &c->name);
        } else if (DEC_KEY(it, "resources")) {
            ok = qty_member(d, "requests", &c->requests, &c->has_requests);
        } else if (DEC_KEY(it, "allocatedResources")) {
            c->has_allocated = scan_peek(&d->s) == SCAN_OBJECT;
            ok = dec_qty_map(d, &c->allocated);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

static bool container_statuses(struct k8s_dec *d, struct pod_in *in)
{
    struct dec_iter it;
    if (!dec_list(d, &it)) {
        return false;
    }
    while (dec_item(d, &it)) {
        in->statuses = dec_grow(d, in->statuses, in->n_statuses, &in->cap_statuses,
                                sizeof *in->statuses, 2 * LIMIT_CONTAINERS);
        if (in->statuses == NULL || !container_status(d, &in->statuses[in->n_statuses])) {
            return dec_in_index(d, it.i);
        }
        in->n_statuses++;
    }
    return dec_ok(d);
}

static bool pod_condition(struct k8s_dec *d, struct pod_desc *pod)
{
    struct dec_iter it;
    struct str type = STR_NONE, status = STR_NONE, reason = STR_NONE;
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "type")) {
            ok = dec_str(d, &type);
        } else if (DEC_KEY(it, "status")) {
            ok = dec_str(d, &status);
        } else if (DEC_KEY(it, "reason")) {
            ok = dec_str(d, &reason);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    if (str_is(type, "Ready")) {
        pod->ready = str_is(status, "True");
    } else if (str_is(type, "PodResizePending") && str_is(reason, "Infeasible")) {
        pod->resize_infeasible = true;
    }
    return dec_ok(d);
}

static bool pod_conditions(struct k8s_dec *d, struct pod_desc *pod)
{
    struct dec_iter it;
    if (!dec_list(d, &it)) {
        return false;
    }
    while (dec_item(d, &it)) {
        if (!pod_condition(d, pod)) {
            return dec_in_index(d, it.i);
        }
    }
    return dec_ok(d);
}

static bool phase(struct k8s_dec *d, enum pod_phase *ret)
{
    static const char *const names[] = {"Unknown", "Pending", "Running", "Succeeded", "Failed"};
    struct str s;
    if (!dec_str(d, &s)) {
        return false;
    }
    *ret = PHASE_UNKNOWN;
    for (int i = 1; i < 5; i++) {
        if (str_is(s, names[i])) {
            *ret = (enum pod_phase)i;
        }
    }
    return true;
}

static bool status(struct k8s_dec *d, struct pod_in *in)
{
    struct dec_iter it;
    struct pod_desc *pod = in->pod;
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "phase")) {
            ok = phase(d, &pod->phase);
        } else if (DEC_KEY(it, "conditions")) {
            ok = pod_conditions(d, pod);
        } else if (DEC_KEY(it, "containerStatuses") || DEC_KEY(it, "initContainerStatuses")) {
            ok = container_statuses(d, in);
        } else if (DEC_KEY(it, "startTime")) {
            ok = dec_time(d, &pod->start_ms);
        } else if (DEC_KEY(it, "nominatedNodeName")) {
            ok = dec_str(d, &pod->nominated_node);
        } else if (DEC_KEY(it, "resources")) {
            ok = qty_member(d, "requests", &pod->pod_status_requests,
                            &pod->has_pod_status_resources);
        } else if (DEC_KEY(it, "allocatedResources")) {
            ok = dec_qty_map(d, &pod->pod_status_allocated);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

/* ---- joining ---- */

static void join_status(struct container_desc *c, const struct pod_in *in)
{
    for (uint32_t i = 0; i < in->n_statuses; i++) {
        const struct status_in *st = &in->statuses[i];
        if (str_eq(st->name, c->name)) {
            c->has_status_requests = st->has_requests;
            c->status_requests = st->requests;
            c->has_allocated = st->has_allocated;
            c->status_allocated = st->allocated;
            return;
        }
    }
}

/* As the API server fills in: a pod in its node's network takes every port of its containers there. */
static bool host_network_ports(struct k8s_dec *d, struct container_desc *c)
{
    struct port_desc *p = arena_alloc(d->a, (c->ports.n + 1) * sizeof *p);
    if (p == NULL) {
        return dec_nomem(d);
    }
    for (uint32_t i = 0; i < c->ports.n; i++) {
        p[i] = c->ports.p[i];
        p[i].host_port = p[i].host_port != 0 ? p[i].host_port : p[i].container_port;
    }
    c->ports.p = p;
    return true;
}

/* Init containers first; statuses to their containers; claims of ephemeral volumes by the pod's name. */
static bool join(struct k8s_dec *d, struct pod_in *in)
{
    struct pod_desc *pod = in->pod;
    uint32_t n = in->n_inits + in->n_containers;
    struct container_desc *all = in->n_inits == 0 ? in->containers : NULL;
    if (in->n_inits > 0) {
        all = arena_alloc(d->a, n * sizeof *all);
        if (all == NULL) {
            return dec_nomem(d);
        }
        memcpy(all, in->inits, in->n_inits * sizeof *all);
        if (in->n_containers > 0) {
            memcpy(all + in->n_inits, in->containers, in->n_containers * sizeof *all);
        }
    }
    for (uint32_t i = 0; i < n && in->n_statuses > 0; i++) {
        join_status(&all[i], in);
    }
    for (uint32_t i = 0; i < n && pod->host_network; i++) {
        if (!host_network_ports(d, &all[i])) {
            return false;
        }
    }
    pod->containers.p = all;
    pod->containers.n = n;
    if (pod->meta.ns.n == 0) {
        pod->meta.ns = STR("default");
    }
    return dec_name_ephemeral(d, pod);
}

bool dec_pod(struct k8s_dec *d, struct pod_desc *ret)
{
    struct dec_iter it;
    struct pod_in in = {.pod = ret};
    *ret = (struct pod_desc){0};
    if (scan_peek(&d->s) != SCAN_OBJECT) {
        return dec_fail(d, NULL, "a Pod object was expected");
    }
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "metadata")) {
            ok = dec_meta(d, &ret->meta);
        } else if (DEC_KEY(it, "spec")) {
            ok = spec(d, &in);
        } else if (DEC_KEY(it, "status")) {
            ok = status(d, &in);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d) && join(d, &in);
}

int k8s_decode_pod(struct str json, struct arena *arena, struct pod_desc *ret, struct err *err)
{
    struct k8s_dec d;
    struct pod_desc pod;
    dec_init(&d, json, arena);
    if (!dec_pod(&d, &pod) || !scan_end(&d.s)) {
        return dec_error(&d, err);
    }
    *ret = pod;
    return 0;
}
