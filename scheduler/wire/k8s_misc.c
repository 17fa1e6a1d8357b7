/* The small kinds: each is a table of field paths and where they go.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/limits.h"
#include "wire/k8s.h"
#include "wire/k8s_dec.h"

enum field_type {
    F_STR,
    F_I32,
    F_BOOL,
    F_META,
    F_KV,
    F_SELECTOR,
    F_STRINGS,
    F_KEYS,
    F_COUNT,
    F_QTYS,
    F_TERMS,
    F_GIVEN_STR
};

struct field {
    const char *path; /* "spec.claimRef.name" */
    enum field_type type;
    size_t offset; /* in the struct that is filled; F_GIVEN_STR: of a struct given_str */
};
struct given_str {
    bool given;
    struct str s;
};

static bool keys_of(struct k8s_dec *d, str_list *ret)
{
    struct dec_iter it;
    struct str *p = NULL;
    uint32_t n = 0, cap = 0;
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        p = dec_grow(d, p, n, &cap, sizeof *p, 1u << 20);
        if (p == NULL || !dec_skip(d)) {
            return dec_in(d, it.key);
        }
        p[n++] = it.key;
    }
    ret->p = p;
    ret->n = n;
    return dec_ok(d);
}

static bool count_of(struct k8s_dec *d, int32_t *ret)
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
    *ret = it.open ? (int32_t)(it.i + 1) : -1;
    return dec_ok(d);
}

static bool take(struct k8s_dec *d, const struct field *f, void *base)
{
    void *to = (char *)base + f->offset;
    switch (f->type) {
    case F_STR:
        return dec_str(d, to);
    case F_I32:
        return scan_peek(&d->s) == SCAN_NULL ? dec_skip(d) : dec_i32(d, to);
    case F_BOOL:
        return dec_bool(d, to);
    case F_META:
        return dec_meta(d, to);
    case F_KV:
        return dec_kv_map(d, to);
    case F_SELECTOR:
        return dec_selector(d, to);
    case F_STRINGS:
        return dec_str_list(d, to);
    case F_KEYS:
        return keys_of(d, to);
    case F_COUNT:
        return count_of(d, to);
    case F_QTYS:
        return dec_qty_map(d, to);
    case F_TERMS:
        return dec_node_terms(d, to);
    case F_GIVEN_STR:
        break;
    }
    struct given_str *g = to;
    g->given = scan_peek(&d->s) == SCAN_STRING;
    return dec_str(d, &g->s);
}

/* Whether the table names `prefix.key` (2), something below it (1), or nothing (0). */
static int find_field(const struct field *table, size_t n, const char *prefix, size_t prefix_n,
                      struct str key, const struct field **ret)
{
    int below = 0;
    for (size_t i = 0; i < n; i++) {
        const char *path = table[i].path;
        if (strncmp(path, prefix, prefix_n) != 0 || strncmp(path + prefix_n, key.p, key.n) != 0) {
            continue;
        }
        char next = path[prefix_n + key.n];
        if (next == '\0') {
            *ret = &table[i];
            return 2;
        }
        below |= next == '.';
    }
    return below;
}

static bool walk(struct k8s_dec *d, const struct field *table, size_t n, char *prefix,
                 size_t prefix_n, void *base)
{
    struct dec_iter it;
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        const struct field *f = NULL;
        int hit = it.key.n < 64 ? find_field(table, n, prefix, prefix_n, it.key, &f) : 0;
        bool ok;
        if (hit == 2) {
            ok = take(d, f, base);
        } else if (hit == 1) { /* as deep as the table's own paths at most */
            memcpy(prefix + prefix_n, it.key.p, it.key.n);
            prefix[prefix_n + it.key.n] = '.';
            ok = walk(d, table, n, prefix, prefix_n + it.key.n + 1, base);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    return dec_ok(d);
}

static int decode(struct str json, struct arena *a, const struct field *table, size_t n, void *base,
                  struct err *err)
{
    struct k8s_dec d;
    char prefix[256];
    dec_init(&d, json, a);
    if (scan_peek(&d.s) != SCAN_OBJECT) {
        dec_fail(&d, NULL, "an object was expected");
        return dec_error(&d, err);
    }
    if (!walk(&d, table, n, prefix, 0, base) || !scan_end(&d.s)) {
        return dec_error(&d, err);
    }
    return 0;
}

static void default_namespace(struct meta_desc *m)
{
    if (m->ns.n == 0) {
        m->ns = STR("default");
    }
}

static struct str annotation(const struct meta_desc *m, const char *key)
{
    for (uint32_t i = 0; i < m->annotations.n; i++) {
        if (str_is(m->annotations.p[i].key, key)) {
            return m->annotations.p[i].val;
        }
    }
    return STR_NONE;
}

static struct str label(const struct meta_desc *m, const char *key)
{
    for (uint32_t i = 0; i < m->labels.n; i++) {
        if (str_is(m->labels.p[i].key, key)) {
            return m->labels.p[i].val;
        }
    }
    return STR_NONE;
}

int k8s_decode_head(struct str json, struct arena *arena, struct k8s_head *ret, struct err *err)
{
    static const struct field table[] = {
        {"apiVersion", F_STR, offsetof(struct k8s_head, api_version)},
        {"kind", F_STR, offsetof(struct k8s_head, kind)},
        {"metadata.name", F_STR, offsetof(struct k8s_head, name)},
        {"metadata.namespace", F_STR, offsetof(struct k8s_head, ns)},
    };
    struct k8s_head head = {0};
    int rc = decode(json, arena, table, SP_COUNTOF(table), &head, err);
    if (rc == 0) {
        *ret = head;
    }
    return rc;
}

int k8s_decode_namespace(struct str json, struct arena *a, struct namespace_desc *ret,
                         struct err *err)
{
    static const struct field table[] = {
        {"metadata", F_META, offsetof(struct namespace_desc, meta)}};
    struct namespace_desc v = {0};
    int rc = decode(json, a, table, SP_COUNTOF(table), &v, err);
    if (rc == 0) {
        *ret = v;
    }
    return rc;
}

int k8s_decode_priority_class(struct str json, struct arena *a, struct priority_class_desc *ret,
                              struct err *err)
{
    struct in {
        struct priority_class_desc d;
        struct str policy;
    } v = {0};
    static const struct field table[] = {
        {"metadata", F_META, offsetof(struct in, d.meta)},
        {"value", F_I32, offsetof(struct in, d.value)},
        {"globalDefault", F_BOOL, offsetof(struct in, d.global_default)},
        {"preemptionPolicy", F_STR, offsetof(struct in, policy)},
    };
    int rc = decode(json, a, table, SP_COUNTOF(table), &v, err);
    if (rc == 0) {
        v.d.preemption = str_is(v.policy, "Never") ? PREEMPT_NEVER : PREEMPT_LOWER;
        *ret = v.d;
    }
    return rc;
}

int k8s_validate_priority_class(const struct priority_class_desc *pc, struct err *err)
{
    bool system = str_is(pc->meta.name, "system-node-critical") ||
                  str_is(pc->meta.name, "system-cluster-critical");
    if (!system && str_starts(pc->meta.name, STR("system-"))) {
        return err_set(err, -EINVAL,
                       "metadata.name: the prefix system- is reserved for Kubernetes' own classes: "
                       "call \"%.*s\" otherwise",
                       pc->meta.name.n < 80 ? (int)pc->meta.name.n : 80, pc->meta.name.p);
    }
    if (!system && pc->value > 1000000000) {
        return err_set(
            err, -EINVAL,
            "value: %d is above 1000000000, the most that a user's PriorityClass may have",
            pc->value);
    }
    return 0;
}

int k8s_decode_service(struct str json, struct arena *a, struct service_desc *ret, struct err *err)
{
    static const struct field table[] = {
        {"metadata", F_META, offsetof(struct service_desc, meta)},
        {"spec.selector", F_KV, offsetof(struct service_desc, selector)},
    };
    struct service_desc v = {0};
    int rc = decode(json, a, table, SP_COUNTOF(table), &v, err);
    if (rc == 0) {
        default_namespace(&v.meta);
        *ret = v;
    }
    return rc;
}

int k8s_decode_workload_as(const struct k8s_head *head, struct str json, struct arena *a,
                           struct workload_desc *ret, struct err *err)
{
    static const struct field by_selector[] = {
        {"kind", F_STR, offsetof(struct workload_desc, kind)},
        {"metadata", F_META, offsetof(struct workload_desc, meta)},
        {"spec.selector", F_SELECTOR, offsetof(struct workload_desc, selector)},
        {"spec.replicas", F_I32, offsetof(struct workload_desc, replicas)},
    };
    static const struct field by_map[] = {
        /* ReplicationController: the selector is a plain map */
        {"kind", F_STR, offsetof(struct workload_desc, kind)},
        {"metadata", F_META, offsetof(struct workload_desc, meta)},
        {"spec.selector", F_KV, offsetof(struct workload_desc, selector.match_labels)},
        {"spec.replicas", F_I32, offsetof(struct workload_desc, replicas)},
    };
    static const struct field unknown[] = {
        {"metadata", F_META, offsetof(struct workload_desc, meta)}};
    struct workload_desc v = {.replicas = 1};
    bool map = str_is(head->kind, "ReplicationController") && str_is(head->api_version, "v1");
    bool plain = map || str_starts(head->api_version, STR("apps/")) ||
                 str_starts(head->api_version, STR("batch/")) ||
                 str_starts(head->api_version, STR("extensions/"));
    int rc = !plain ? decode(json, a, unknown, SP_COUNTOF(unknown), &v, err)
             : map  ? decode(json, a, by_map, SP_COUNTOF(by_map), &v, err)
                    : decode(json, a, by_selector, SP_COUNTOF(by_selector), &v, err);
    if (rc == 0) {
        v.kind = head->kind;
        v.selector.given = v.selector.given || v.selector.match_labels.n > 0;
        default_namespace(&v.meta);
        *ret = v;
    }
    return rc;
}

int k8s_decode_workload(struct str json, struct arena *a, struct workload_desc *ret,
                        struct err *err)
{
    struct k8s_head head;
    int rc = k8s_decode_head(json, a, &head, err);
    return rc == 0 ? k8s_decode_workload_as(&head, json, a, ret, err) : rc;
}

int k8s_decode_pdb(struct str json, struct arena *a, struct pdb_desc *ret, struct err *err)
{
    static const struct field table[] = {
        {"metadata", F_META, offsetof(struct pdb_desc, meta)},
        {"spec.selector", F_SELECTOR, offsetof(struct pdb_desc, selector)},
        {"status.disruptionsAllowed", F_I32, offsetof(struct pdb_desc, disruptions_allowed)},
        {"status.disruptedPods", F_KEYS, offsetof(struct pdb_desc, disrupted_pods)},
    };
    struct pdb_desc v = {0};
    int rc = decode(json, a, table, SP_COUNTOF(table), &v, err);
    if (rc == 0) {
        default_namespace(&v.meta);
        *ret = v;
    }
    return rc;
}

static struct quantity storage_of(qty_list list)
{
    for (uint32_t i = 0; i < list.n; i++) {
        if (str_is(list.p[i].name, "storage")) {
            return list.p[i].value;
        }
    }
    return QUANTITY_ZERO;
}

int k8s_decode_pv(struct str json, struct arena *a, struct pv_desc *ret, struct err *err)
{
    struct in {
        struct pv_desc d;
        qty_list capacity;
    } v = {0};
    static const struct field table[] = {
        {"metadata", F_META, offsetof(struct in, d.meta)},
        {"spec.storageClassName", F_STR, offsetof(struct in, d.storage_class)},
        {"spec.claimRef.namespace", F_STR, offsetof(struct in, d.claim_ns)},
        {"spec.claimRef.name", F_STR, offsetof(struct in, d.claim_name)},
        {"spec.claimRef.uid", F_STR, offsetof(struct in, d.claim_uid)},
        {"spec.volumeMode", F_STR, offsetof(struct in, d.volume_mode)},
        {"spec.accessModes", F_STRINGS, offsetof(struct in, d.access_modes)},
        {"spec.capacity", F_QTYS, offsetof(struct in, capacity)},
        {"spec.nodeAffinity.required.nodeSelectorTerms", F_TERMS,
         offsetof(struct in, d.node_affinity)},
        {"status.phase", F_STR, offsetof(struct in, d.phase)},
    };
    int rc = decode(json, a, table, SP_COUNTOF(table), &v, err);
    if (rc == 0) {
        v.d.has_node_affinity = v.d.node_affinity.n > 0;
        v.d.capacity = storage_of(v.capacity);
        *ret = v.d;
    }
    return rc;
}

int k8s_decode_pvc(struct str json, struct arena *a, struct pvc_desc *ret, struct err *err)
{
    struct in {
        struct pvc_desc d;
        struct given_str storage_class;
        qty_list requests;
    } v = {0};
    static const struct field table[] = {
        {"metadata", F_META, offsetof(struct in, d.meta)},
        {"spec.storageClassName", F_GIVEN_STR, offsetof(struct in, storage_class)},
        {"spec.volumeName", F_STR, offsetof(struct in, d.volume_name)},
        {"spec.volumeMode", F_STR, offsetof(struct in, d.volume_mode)},
        {"spec.accessModes", F_STRINGS, offsetof(struct in, d.access_modes)},
        {"spec.resources.requests", F_QTYS, offsetof(struct in, requests)},
        {"spec.selector", F_SELECTOR, offsetof(struct in, d.selector)},
        {"status.phase", F_STR, offsetof(struct in, d.phase)},
    };
    int rc = decode(json, a, table, SP_COUNTOF(table), &v, err);
    if (rc != 0) {
        return rc;
    }
    struct str old = annotation(&v.d.meta, "volume.beta.kubernetes.io/storage-class");
    v.d.has_storage_class = v.storage_class.given || old.n > 0;
    v.d.storage_class = v.storage_class.given ? v.storage_class.s : old;
    v.d.request = storage_of(v.requests);
    v.d.bind_completed = str_is(annotation(&v.d.meta, "pv.kubernetes.io/bind-completed"), "yes");
    v.d.selected_node = annotation(&v.d.meta, "volume.kubernetes.io/selected-node");
    default_namespace(&v.d.meta);
    *ret = v.d;
    return 0;
}

int k8s_decode_storage_class(struct str json, struct arena *a, struct storage_class_desc *ret,
                             struct err *err)
{
    struct in {
        struct storage_class_desc d;
        struct str mode;
    } v = {0};
    static const struct field table[] = {
        {"metadata", F_META, offsetof(struct in, d.meta)},
        {"provisioner", F_STR, offsetof(struct in, d.provisioner)},
        {"volumeBindingMode", F_STR, offsetof(struct in, mode)},
        {"allowedTopologies", F_TERMS, offsetof(struct in, d.allowed_topologies)},
    };
    int rc = decode(json, a, table, SP_COUNTOF(table), &v, err);
    if (rc == 0) {
        v.d.wait_for_first_consumer = str_is(v.mode, "WaitForFirstConsumer");
        v.d.is_default =
            str_is(annotation(&v.d.meta, "storageclass.kubernetes.io/is-default-class"), "true") ||
            str_is(annotation(&v.d.meta, "storageclass.beta.kubernetes.io/is-default-class"),
                   "true");
        *ret = v.d;
    }
    return rc;
}

/* ---- game servers ---- */

struct game_in {
    struct game_server_desc d;
    struct str api_version, state, ops_state;
    int32_t counter, counter_max, list, list_max;
};

static const struct {
    const char *name;
    enum game_state state;
} game_states[] = {
    {"PortAllocation", GAME_STARTING},
    {"Creating", GAME_STARTING},
    {"Starting", GAME_STARTING},
    {"Scheduled", GAME_STARTING},
    {"RequestReady", GAME_STARTING},
    {"Ready", GAME_READY},
    {"Reserved", GAME_RESERVED},
    {"Allocated", GAME_ALLOCATED},
    {"Shutdown", GAME_ENDED},
    {"Error", GAME_ENDED},
    {"Unhealthy", GAME_ENDED},
    /* OpenKruiseGame: status.currentState, or spec.opsState where that says more */
    {"NotReady", GAME_STARTING},
    {"Crash", GAME_ENDED},
    {"Deleting", GAME_ENDED},
    {"WaitToBeDeleted", GAME_ENDED},
    {"Kill", GAME_ENDED},
    {"Maintaining", GAME_RESERVED},
};

static enum game_state game_state(struct str name)
{
    for (size_t i = 0; i < SP_COUNTOF(game_states); i++) {
        if (str_is(name, game_states[i].name)) {
            return game_states[i].state;
        }
    }
    return GAME_UNKNOWN;
}

int k8s_decode_game_server(struct str json, struct arena *a, struct game_server_desc *ret,
                           struct err *err)
{
    static const struct field table[] = {
        {"apiVersion", F_STR, offsetof(struct game_in, api_version)},
        {"metadata", F_META, offsetof(struct game_in, d.meta)},
        {"spec.opsState", F_STR, offsetof(struct game_in, ops_state)},
        {"status.state", F_STR, offsetof(struct game_in, state)},
        {"status.currentState", F_STR, offsetof(struct game_in, state)},
        {"status.players.count", F_I32, offsetof(struct game_in, d.players)},
        {"status.players.capacity", F_I32, offsetof(struct game_in, d.players_max)},
        {"status.counters.players.count", F_I32, offsetof(struct game_in, counter)},
        {"status.counters.players.capacity", F_I32, offsetof(struct game_in, counter_max)},
        {"status.lists.players.values", F_COUNT, offsetof(struct game_in, list)},
        {"status.lists.players.capacity", F_I32, offsetof(struct game_in, list_max)},
    };
    struct game_in v = {.d = {.players = -1, .players_max = -1},
                        .counter = -1,
                        .counter_max = -1,
                        .list = -1,
                        .list_max = -1};
    int rc = decode(json, a, table, SP_COUNTOF(table), &v, err);
    if (rc != 0) {
        return rc;
    }
    enum game_state ops = game_state(v.ops_state);
    v.d.state = ops != GAME_UNKNOWN ? ops : game_state(v.state);
    v.d.players = v.list >= 0 ? v.list : v.counter >= 0 ? v.counter : v.d.players;
    v.d.players_max = v.list_max >= 0      ? v.list_max
                      : v.counter_max >= 0 ? v.counter_max
                                           : v.d.players_max;
    v.d.fleet = label(&v.d.meta, str_starts(v.api_version, STR("game.kruise.io/"))
                                     ? "game.kruise.io/owner-gss"
                                     : "agones.dev/fleet");
    default_namespace(&v.d.meta);
    *ret = v.d;
    return 0;
}
