/* What makes pods alike, as bytes: the key that finds a pod's template without interning its specification.
 *
 * Everything that a policy may look at goes in, except what stays in struct pod_req. Two pods have the same key exactly when
 * their templates are the same, so that a look-up is one hash and one comparison. See cluster_store.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "model/cluster_store.h"
#include "model/conventions.h"
#include "model/requests.h"

#define KEY_FIRST_BYTES 4096u
#define WISH_BYTES_MAX  4096u

const char *const wish_names[WISH_N] = {"fleet",          "players", "demand", "latency-class",
                                        "session-length", "spot",    "regions"};

/* ---- growing bytes ---- */

struct bytes {
    struct arena *arena;
    char *p;
    size_t n, cap;
    bool short_memory;
};

static bool room(struct bytes *b, size_t n)
{
    if (SP_LIKELY(n <= b->cap - b->n)) {
        return true;
    }
    size_t cap = b->cap == 0 ? KEY_FIRST_BYTES : b->cap;
    while (cap - b->n < n) {
        cap *= 2;
    }
    char *p = b->short_memory ? NULL : arena_alloc(b->arena, cap);
    if (p == NULL) {
        b->short_memory = true;
        return false;
    }
    if (b->n > 0) {
        memcpy(p, b->p, b->n);
    }
    b->p = p;
    b->cap = cap;
    return true;
}

static void put(struct bytes *b, const void *p, size_t n)
{
    if (room(b, n) && n > 0) {
        memcpy(b->p + b->n, p, n);
        b->n += n;
    }
}

static void put_u32(struct bytes *b, uint32_t v)
{
    put(b, &v, sizeof v);
}

static void put_i64(struct bytes *b, int64_t v)
{
    put(b, &v, sizeof v);
}

static void put_str(struct bytes *b, struct str s)
{
    put_u32(b, (uint32_t)s.n);
    put(b, s.p, s.n);
}

static void put_list(struct bytes *b, str_list list)
{
    put_u32(b, list.n);
    for (uint32_t i = 0; i < list.n; i++) {
        put_str(b, list.p[i]);
    }
}

static void put_kv(struct bytes *b, const struct kv_desc *p, uint32_t n)
{
    put_u32(b, n);
    for (uint32_t i = 0; i < n; i++) {
        put_str(b, p[i].key);
        put_str(b, p[i].val);
    }
}

static void put_exprs(struct bytes *b, expr_list list)
{
    put_u32(b, list.n);
    for (uint32_t i = 0; i < list.n; i++) {
        put_str(b, list.p[i].key);
        put_str(b, list.p[i].op);
        put_list(b, list.p[i].values);
    }
}

static void put_selector(struct bytes *b, const struct selector_desc *s)
{
    put_u32(b, s->given);
    if (s->given) {
        put_kv(b, s->match_labels.p, s->match_labels.n);
        put_exprs(b, s->match_expressions);
    }
}

static void put_node_terms(struct bytes *b, node_term_list list)
{
    put_u32(b, list.n);
    for (uint32_t i = 0; i < list.n; i++) {
        put_exprs(b, list.p[i].match_expressions);
        put_exprs(b, list.p[i].match_fields);
        put_u32(b, (uint32_t)list.p[i].weight);
    }
}

static void put_pod_terms(struct bytes *b, pod_term_list list)
{
    put_u32(b, list.n);
    for (uint32_t i = 0; i < list.n; i++) {
        const struct pod_term_desc *t = &list.p[i];
        put_selector(b, &t->selector);
        put_list(b, t->namespaces);
        put_selector(b, &t->ns_selector);
        put_list(b, t->match_label_keys);
        put_list(b, t->mismatch_label_keys);
        put_str(b, t->topology_key);
        put_u32(b, (uint32_t)t->weight);
    }
}

static void put_spread(struct bytes *b, const struct pod_desc *d)
{
    put_u32(b, d->spread.n);
    for (uint32_t i = 0; i < d->spread.n; i++) {
        const struct spread_desc *s = &d->spread.p[i];
        put_str(b, s->topology_key);
        put_selector(b, &s->selector);
        put_u32(b, (uint32_t)s->max_skew);
        put_u32(b, (uint32_t)s->min_domains);
        put_u32(b, (uint32_t)s->hard | (uint32_t)s->affinity_ignore << 1 |
                       (uint32_t)s->taints_honor << 2);
        put_list(b, s->match_label_keys);
    }
}

/* ---- labels ---- */

static bool list_names(str_list list, struct str key)
{
    for (uint32_t i = 0; i < list.n; i++) {
        if (str_eq(list.p[i], key)) {
            return true;
        }
    }
    return false;
}

static bool selector_names(const struct selector_desc *s, struct str key)
{
    for (uint32_t i = 0; i < s->match_labels.n; i++) {
        if (str_eq(s->match_labels.p[i].key, key)) {
            return true;
        }
    }
    for (uint32_t i = 0; i < s->match_expressions.n; i++) {
        if (str_eq(s->match_expressions.p[i].key, key)) {
            return true;
        }
    }
    return false;
}

static bool terms_name(pod_term_list list, struct str key)
{
    for (uint32_t i = 0; i < list.n; i++) {
        const struct pod_term_desc *t = &list.p[i];
        if (selector_names(&t->selector, key) || list_names(t->match_label_keys, key) ||
            list_names(t->mismatch_label_keys, key)) {
            return true;
        }
    }
    return false;
}

/* A pod whose own terms look at a sibling label is alike only to pods with the same value of it. */
static bool own_terms_name(const struct pod_desc *d, struct str key)
{
    for (uint32_t i = 0; i < d->spread.n; i++) {
        if (selector_names(&d->spread.p[i].selector, key) ||
            list_names(d->spread.p[i].match_label_keys, key)) {
            return true;
        }
    }
    return terms_name(d->affinity_required, key) || terms_name(d->affinity_preferred, key) ||
           terms_name(d->anti_required, key) || terms_name(d->anti_preferred, key);
}

static int read_labels(const struct pod_desc *d, struct arena *scratch, struct pod_key *ret,
                       struct err *err)
{
    kv_list all = d->meta.labels;
    if (all.n > LIMIT_LABELS) {
        return err_set(err, -E2BIG, "labels: %u of them; at most %d are taken", all.n,
                       LIMIT_LABELS);
    }
    struct kv_desc *labels = arena_alloc(scratch, all.n * sizeof *labels);
    if (labels == NULL) {
        return err_nomem(err);
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < all.n; i++) {
        struct str key = all.p[i].key;
        if (conventions_is_sibling_label(key) && !own_terms_name(d, key)) {
            ret->has_siblings = true;
            continue;
        }
        if (n == 0 || str_cmp(labels[n - 1].key, key) < 0) { /* as the API server writes them */
            labels[n++] = all.p[i];
            continue;
        }
        uint32_t at = n;
        while (at > 0 && str_cmp(labels[at - 1].key, key) > 0) {
            at--;
        }
        if (at > 0 && str_eq(labels[at - 1].key, key)) {
            labels[at - 1] = all.p[i]; /* the last value of a key stays */
            continue;
        }
        memmove(&labels[at + 1], &labels[at], (n - at) * sizeof *labels);
        labels[at] = all.p[i];
        n++;
    }
    ret->labels = labels;
    ret->n_labels = n;
    return 0;
}

/* ---- owners, annotations, flags ---- */

void wishes_read(kv_list annotations, struct str ret[WISH_N], struct str *ret_session_ends)
{
    static const struct str prefix = {"spawnpoint.dev/", 15};
    for (uint32_t i = 0; i < annotations.n; i++) {
        const struct kv_desc *a = &annotations.p[i];
        if (!str_starts(a->key, prefix) || a->val.n > WISH_BYTES_MAX) {
            continue;
        }
        struct str name = {a->key.p + prefix.n, a->key.n - prefix.n};
        if (str_is(name, "session-ends")) {
            *ret_session_ends = a->val;
            continue;
        }
        for (int w = 0; w < WISH_N; w++) {
            if (str_is(name, wish_names[w])) {
                ret[w] = a->val;
                break;
            }
        }
    }
}

static struct str kv_get(kv_list kv, struct str key)
{
    for (uint32_t i = 0; i < kv.n; i++) {
        if (str_eq(kv.p[i].key, key)) {
            return kv.p[i].val;
        }
    }
    return STR_NONE;
}

static const struct owner_desc *controller_of(owner_list owners)
{
    for (uint32_t i = 0; i < owners.n; i++) {
        if (owners.p[i].controller) {
            return &owners.p[i];
        }
    }
    return owners.n > 0 ? &owners.p[0] : NULL;
}

static enum owner_type owner_type_of(const struct pod_desc *d, const struct owner_desc *controller)
{
    kv_list labels = d->meta.labels;
    if ((controller != NULL && str_is(controller->kind, "GameServer")) ||
        str_is(kv_get(labels, STR("agones.dev/role")), "gameserver") ||
        kv_get(labels, STR("agones.dev/gameserver")).n > 0 ||
        kv_get(labels, STR("game.kruise.io/owner-gss")).n > 0) {
        return OWNER_GAME;
    }
    if (controller == NULL) {
        return OWNER_NONE;
    }
    static const struct {
        const char *kind;
        enum owner_type type;
    } kinds[] = {{"StatefulSet", OWNER_STATEFUL},
                 {"DaemonSet", OWNER_DAEMON},
                 {"Job", OWNER_JOB},
                 {"CronJob", OWNER_JOB},
                 {"Node", OWNER_NODE}};
    for (size_t i = 0; i < SP_COUNTOF(kinds); i++) {
        if (str_is(controller->kind, kinds[i].kind)) {
            return kinds[i].type;
        }
    }
    return OWNER_OTHER;
}

static uint32_t container_flags(const struct pod_desc *d)
{
    uint32_t flags = 0;
    for (uint32_t i = 0; i < d->containers.n; i++) {
        const struct container_desc *k = &d->containers.p[i];
        if (k->init && !k->sidecar) {
            continue;
        }
        for (uint32_t j = 0; j < k->ports.n; j++) {
            flags |= k->ports.p[j].host_port > 0 ? CLASS_HOST_PORT : 0;
            flags |= str_is(k->ports.p[j].protocol, "UDP") ? CLASS_UDP : 0;
        }
    }
    for (uint32_t i = 0; i < d->volumes.n; i++) {
        flags |= d->volumes.p[i].claim.n > 0 ? CLASS_CLAIMS : 0;
    }
    return flags;
}

static void read_annotations(const struct pod_desc *d, struct pod_key *ret)
{
    kv_list annotations = d->meta.annotations;
    wishes_read(annotations, ret->wishes, &ret->session_ends);
    /* Agones: eviction Always sets both, OnUpgrade only the label; so the annotation decides where it stands. */
    ret->safe_to_evict = str_is(kv_get(d->meta.labels, STR("agones.dev/safe-to-evict")), "true");
    for (uint32_t i = 0; i < annotations.n; i++) {
        struct str key = annotations.p[i].key;
        if (str_is(key, "kubernetes.io/config.mirror")) {
            ret->flags |= CLASS_MIRROR;
        } else if (str_is(key, "autopilot.gke.io/host-port-assignment")) {
            ret->flags |= CLASS_AUTOPILOT_PORTS;
        } else if (str_is(key, "cluster-autoscaler.kubernetes.io/safe-to-evict")) {
            ret->safe_to_evict = str_is(annotations.p[i].val, "true");
        }
    }
}

static void read_flags(const struct pod_desc *d, struct pod_key *ret)
{
    ret->controller = controller_of(d->meta.owners);
    ret->owner = owner_type_of(d, ret->controller);
    read_annotations(d, ret);
    ret->flags |= container_flags(d);
    ret->flags |= ret->owner == OWNER_DAEMON ? CLASS_DAEMON : 0;
    ret->flags |= ret->owner == OWNER_NODE ? CLASS_MIRROR : 0;
    ret->flags |= ret->owner == OWNER_JOB ? CLASS_JOB : 0;
    ret->flags |= ret->controller != NULL && str_is(ret->controller->kind, "StatefulSet")
                      ? CLASS_STATEFUL
                      : 0;
    ret->flags |= d->host_network ? CLASS_HOST_NETWORK : 0;
    ret->flags |= d->n_resource_claims > 0 ? CLASS_DRA : 0;
    ret->flags |= d->node_selector.n > 0 || d->has_node_required ? CLASS_NODE_SELECTION : 0;
}

/* ---- the key ---- */

static int check_limits(const struct pod_desc *d, struct err *err)
{
    const struct {
        const char *what;
        uint32_t n, max;
    } lists[] = {{"containers", d->containers.n, LIMIT_CONTAINERS},
                 {"tolerations", d->tolerations.n, LIMIT_LABELS},
                 {"volumes", d->volumes.n, LIMIT_LABELS},
                 {"topologySpreadConstraints", d->spread.n, LIMIT_LABELS},
                 {"podAffinity required terms", d->affinity_required.n, LIMIT_LABELS},
                 {"podAffinity preferred terms", d->affinity_preferred.n, LIMIT_LABELS},
                 {"podAntiAffinity required terms", d->anti_required.n, LIMIT_LABELS},
                 {"podAntiAffinity preferred terms", d->anti_preferred.n, LIMIT_LABELS}};
    for (size_t i = 0; i < SP_COUNTOF(lists); i++) {
        if (lists[i].n > lists[i].max) {
            return err_set(err, -E2BIG, "%s: %u of them; at most %u are taken", lists[i].what,
                           lists[i].n, lists[i].max);
        }
    }
    return 0;
}

static void put_spec(struct bytes *b, const struct pod_desc *d, const struct pod_key *key)
{
    put_str(b, d->meta.ns);
    put_kv(b, key->labels, key->n_labels);
    put_str(b, d->scheduler_name);
    put_u32(b, key->flags);
    put_u32(b, (uint32_t)d->has_priority << 8 | (uint32_t)d->preemption);
    put_u32(b, d->has_priority ? (uint32_t)d->priority : 0);
    put_str(b, d->priority_class);
    put_u32(b, d->tolerations.n);
    for (uint32_t i = 0; i < d->tolerations.n; i++) {
        put_str(b, d->tolerations.p[i].key);
        put_str(b, d->tolerations.p[i].val);
        put_u32(b, (uint32_t)d->tolerations.p[i].op << 8 | (uint32_t)d->tolerations.p[i].effect);
    }
    put_kv(b, d->node_selector.p, d->node_selector.n);
    put_u32(b, d->has_node_required);
    put_node_terms(b, d->node_required);
    put_node_terms(b, d->node_preferred);
    put_pod_terms(b, d->affinity_required);
    put_pod_terms(b, d->affinity_preferred);
    put_pod_terms(b, d->anti_required);
    put_pod_terms(b, d->anti_preferred);
    put_spread(b, d);
    put_u32(b, d->containers.n);
    for (uint32_t i = 0; i < d->containers.n; i++) {
        put_str(b, d->containers.p[i].image);
    }
    for (uint32_t i = 0; i < d->volumes.n; i++) {
        if (d->volumes.p[i].image.n > 0) {
            put_str(b, d->volumes.p[i].image);
        }
    }
    put_u32(b, UINT32_MAX); /* no text is that long: ends the list */
}

int pod_key_make(const struct pod_desc *d, struct arena *scratch, struct pod_key *ret,
                 struct err *err)
{
    struct pod_key key = {0};
    int r = check_limits(d, err);
    r = r != 0 ? r : read_labels(d, scratch, &key, err);
    if (r != 0) {
        return r;
    }
    read_flags(d, &key);
    key.requests = arena_alloc(scratch, sizeof *key.requests);
    if (key.requests == NULL) {
        return err_nomem(err);
    }
    r = requests_compute(d, d->node_name.n > 0, scratch, key.requests, err);
    if (r != 0) {
        return r;
    }
    struct bytes b = {.arena = scratch};
    put_spec(&b, d, &key);
    put_u32(&b, key.requests->n);
    for (uint32_t i = 0; i < key.requests->n; i++) {
        put_str(&b, key.requests->items[i].name);
        put_i64(&b, key.requests->items[i].amount);
    }
    put_i64(&b, key.requests->nonzero_cpu_milli);
    put_i64(&b, key.requests->nonzero_mem_bytes);
    for (int w = 0; w < WISH_N; w++) {
        put_str(&b, key.wishes[w]);
    }
    put_u32(&b, (uint32_t)key.safe_to_evict << 8 | (uint32_t)key.owner);
    if (key.controller != NULL) {
        put_str(&b, key.controller->kind);
        put_str(&b, str_is(key.controller->kind, "GameServer") ? STR_NONE : key.controller->name);
    }
    if (b.short_memory) {
        return err_nomem(err);
    }
    key.bytes = (struct str){b.p, b.n};
    *ret = key;
    return 0;
}
