/* Request arithmetic. See requests.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "model/requests.h"

#include <errno.h>

#include "base/limits.h"

#define DEFAULT_CPU_NANO ((i128)100000000)                      /* 100m */
#define DEFAULT_MEM_NANO ((i128)200 * 1024 * 1024 * 1000000000) /* 200Mi */

struct amount {
    struct str name;
    struct quantity q;
};
struct amounts {
    struct arena *arena;
    struct amount *p;
    uint32_t n, cap;
    bool short_memory, too_many;
};

static bool same_name(struct str a, struct str b)
{
    return a.n == b.n && (a.p == b.p || memcmp(a.p, b.p, a.n) == 0);
}

static struct quantity *find(const struct amounts *a, struct str name)
{
    for (uint32_t i = 0; i < a->n; i++) {
        if (same_name(a->p[i].name, name)) {
            return &a->p[i].q;
        }
    }
    return NULL;
}

/* The entry of a name, made at zero when missing; NULL when it cannot be made. */
static struct quantity *entry(struct amounts *a, struct str name)
{
    struct quantity *q = find(a, name);
    if (q != NULL) {
        return q;
    }
    if (a->n >= LIMIT_RESOURCES) {
        a->too_many = true;
        return NULL;
    }
    if (a->n == a->cap) {
        uint32_t cap = a->cap == 0 ? 8 : a->cap * 2;
        struct amount *p = arena_alloc(a->arena, cap * sizeof *p);
        if (p == NULL) {
            a->short_memory = true;
            return NULL;
        }
        if (a->n > 0) {
            memcpy(p, a->p, a->n * sizeof *p);
        }
        a->p = p;
        a->cap = cap;
    }
    a->p[a->n] = (struct amount){name, QUANTITY_ZERO};
    return &a->p[a->n++].q;
}

static void add_to(struct amounts *a, struct str name, struct quantity q)
{
    struct quantity *to = entry(a, name);
    if (to != NULL) {
        *to = quantity_add(*to, q);
    }
}

static void max_to(struct amounts *a, struct str name, struct quantity q)
{
    bool known = find(a, name) != NULL;
    struct quantity *to = entry(a, name);
    if (to != NULL && (!known || quantity_cmp(q, *to) > 0)) {
        *to = q;
    }
}

static void max_list(struct amounts *a, qty_list list)
{
    for (uint32_t i = 0; i < list.n; i++) {
        max_to(a, list.p[i].name, list.p[i].value);
    }
}

static const struct quantity *list_find(qty_list list, struct str name)
{
    for (uint32_t i = 0; i < list.n; i++) {
        if (same_name(list.p[i].name, name)) {
            return &list.p[i].value;
        }
    }
    return NULL;
}

/* Which of the three views of a pod is aggregated. */
enum view { VIEW_SPEC, VIEW_ALLOCATED, VIEW_ACTUATED };

static qty_list view_of(const struct pod_desc *d, const struct container_desc *k, enum view view)
{
    if (view == VIEW_ACTUATED && k->has_status_requests) {
        return k->status_requests;
    }
    if (view != VIEW_SPEC && k->has_allocated) {
        return k->status_allocated;
    }
    if (view != VIEW_SPEC && d->resize_infeasible) {
        return (qty_list){0};
    }
    return k->requests;
}

/* The defaults for containers that name no cpu or memory; 0 = none. */
struct defaults {
    i128 cpu, mem;
};

static void each_of(const struct pod_desc *d, const struct container_desc *k, enum view view,
                    struct defaults defs, struct amounts *to)
{
    qty_list list = view_of(d, k, view);
    for (uint32_t i = 0; i < list.n; i++) {
        add_to(to, list.p[i].name, list.p[i].value);
    }
    if (defs.cpu != 0 && list_find(list, STR("cpu")) == NULL) {
        add_to(to, STR("cpu"), (struct quantity){defs.cpu});
    }
    if (defs.mem != 0 && list_find(list, STR("memory")) == NULL) {
        add_to(to, STR("memory"), (struct quantity){defs.mem});
    }
}

/* Containers of one view, by the rule of init containers and sidecars; the per-resource maximum goes into `ret`. */
static void aggregate(const struct pod_desc *d, enum view view, struct defaults defs,
                      struct amounts *ret)
{
    struct amounts regular = {.arena = ret->arena}, sidecars = {.arena = ret->arena},
                   init_max = {.arena = ret->arena};
    for (uint32_t i = 0; i < d->containers.n; i++) {
        const struct container_desc *k = &d->containers.p[i];
        if (!k->init) {
            each_of(d, k, view, defs, &regular);
            continue;
        }
        if (k->sidecar) {
            each_of(d, k, view, defs, &regular);
            each_of(d, k, view, defs, &sidecars);
            for (uint32_t j = 0; j < sidecars.n; j++) {
                max_to(&init_max, sidecars.p[j].name, sidecars.p[j].q);
            }
            continue;
        }
        struct amounts own = {.arena = ret->arena};
        each_of(d, k, view, defs, &own);
        for (uint32_t j = 0; j < sidecars.n; j++) {
            add_to(&own, sidecars.p[j].name, sidecars.p[j].q);
        }
        for (uint32_t j = 0; j < own.n; j++) {
            max_to(&init_max, own.p[j].name, own.p[j].q);
        }
        ret->short_memory = ret->short_memory || own.short_memory;
        ret->too_many = ret->too_many || own.too_many;
    }
    for (uint32_t j = 0; j < regular.n; j++) {
        max_to(ret, regular.p[j].name, regular.p[j].q);
    }
    for (uint32_t j = 0; j < init_max.n; j++) {
        max_to(ret, init_max.p[j].name, init_max.p[j].q);
    }
    ret->short_memory =
        ret->short_memory || regular.short_memory || sidecars.short_memory || init_max.short_memory;
    ret->too_many = ret->too_many || regular.too_many || sidecars.too_many || init_max.too_many;
}

static bool pod_level_name(struct str name)
{
    return str_is(name, "cpu") || str_is(name, "memory") || str_starts(name, STR("hugepages-"));
}

/* Pod-level requests stand in for the sums of the containers. */
static void override_by_pod(const struct pod_desc *d, bool on_node, struct amounts *a)
{
    if (!d->has_pod_requests) {
        return;
    }
    struct amounts level = {.arena = a->arena};
    bool with_status = on_node && d->has_pod_status_resources;
    if (!with_status || !d->resize_infeasible) {
        max_list(&level, d->pod_requests);
    }
    if (with_status) {
        max_list(&level, d->pod_status_requests);
        max_list(&level, d->pod_status_allocated);
    }
    for (uint32_t i = 0; i < level.n; i++) {
        if (pod_level_name(level.p[i].name)) {
            struct quantity *to = entry(a, level.p[i].name);
            if (to != NULL) {
                *to = level.p[i].q;
            }
        }
    }
    a->short_memory = a->short_memory || level.short_memory;
    a->too_many = a->too_many || level.too_many;
}

static bool has_resize(const struct pod_desc *d)
{
    for (uint32_t i = 0; i < d->containers.n; i++) {
        if (d->containers.p[i].has_allocated || d->containers.p[i].has_status_requests) {
            return true;
        }
    }
    return d->has_pod_status_resources;
}

static void total(const struct pod_desc *d, bool on_node, struct defaults defs, struct amounts *ret)
{
    if (!on_node || !has_resize(d)) {
        aggregate(d, VIEW_SPEC, defs, ret);
    } else {
        if (!d->resize_infeasible) {
            aggregate(d, VIEW_SPEC, defs, ret);
        }
        if (d->has_pod_status_resources && d->pod_status_requests.n > 0 &&
            d->pod_status_allocated.n > 0) {
            max_list(ret, d->pod_status_allocated);
            max_list(ret, d->pod_status_requests);
        } else {
            aggregate(d, VIEW_ALLOCATED, defs, ret);
            aggregate(d, VIEW_ACTUATED, defs, ret);
        }
    }
    override_by_pod(d, on_node, ret);
    for (uint32_t i = 0; i < d->overhead.n; i++) {
        add_to(ret, d->overhead.p[i].name, d->overhead.p[i].value);
    }
}

/* With pod-level requests a default stands only where neither the pod nor any container names the resource. */
static bool default_applies(const struct pod_desc *d, struct str name)
{
    if (!d->has_pod_requests) {
        return true;
    }
    if (list_find(d->pod_requests, name) != NULL) {
        return false;
    }
    for (uint32_t i = 0; i < d->containers.n; i++) {
        if (list_find(d->containers.p[i].requests, name) != NULL) {
            return false;
        }
    }
    return true;
}

/* Extended: a domain that is not Kubernetes' own, and not a quota name. */
static bool is_scalar(struct str name)
{
    if (str_starts(name, STR("hugepages-")) || str_starts(name, STR("attachable-volumes-"))) {
        return true;
    }
    if (name.n == 0 || memchr(name.p, '/', name.n) == NULL) {
        return false;
    }
    return str_contains(name, STR("kubernetes.io/")) || !str_starts(name, STR("requests."));
}

bool requests_tracked(struct str name)
{
    return str_is(name, "cpu") || str_is(name, "memory") || str_is(name, "ephemeral-storage") ||
           str_is(name, "pods") || is_scalar(name);
}

int64_t requests_amount(struct str name, struct quantity q)
{
    return str_is(name, "cpu") ? quantity_milli(q) : quantity_units(q);
}

static int finish(const struct amounts *a, struct pod_requests *ret, struct err *err)
{
    struct request_item *items = arena_alloc(a->arena, a->n * sizeof *items);
    if (items == NULL || a->short_memory) {
        return err_nomem(err);
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        struct str name = a->p[i].name;
        if (str_is(name, "pods") || !requests_tracked(name)) {
            continue;
        }
        int64_t amount = requests_amount(name, a->p[i].q);
        if (amount <= 0) {
            continue;
        }
        uint32_t at = n++;
        for (; at > 0 && str_cmp(items[at - 1].name, name) > 0; at--) {
            items[at] = items[at - 1];
        }
        items[at] = (struct request_item){name, amount};
    }
    ret->items = items;
    ret->n = n;
    return 0;
}

int requests_compute(const struct pod_desc *d, bool on_node, struct arena *scratch,
                     struct pod_requests *ret, struct err *err)
{
    struct amounts real = {.arena = scratch}, padded = {.arena = scratch};
    struct pod_requests out;
    total(d, on_node, (struct defaults){0}, &real);
    struct defaults defs = {default_applies(d, STR("cpu")) ? DEFAULT_CPU_NANO : 0,
                            default_applies(d, STR("memory")) ? DEFAULT_MEM_NANO : 0};
    total(d, on_node, defs, &padded);
    if (real.too_many || padded.too_many) {
        return err_set(err, -E2BIG, "requests: more than %d resource names", LIMIT_RESOURCES);
    }
    if (padded.short_memory) {
        return err_nomem(err);
    }
    int r = finish(&real, &out, err);
    if (r != 0) {
        return r;
    }
    const struct quantity *cpu = find(&padded, STR("cpu")), *mem = find(&padded, STR("memory"));
    out.nonzero_cpu_milli = cpu == NULL ? 0 : quantity_milli(*cpu);
    out.nonzero_mem_bytes = mem == NULL ? 0 : quantity_units(*mem);
    *ret = out;
    return 0;
}
