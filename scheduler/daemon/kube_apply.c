// SPDX-License-Identifier: Apache-2.0
#include "daemon/kube_apply.h"

#include <errno.h>

#include "base/limits.h"
#include "daemon/log.h"
#include "wire/k8s.h"

void kube_apply_init(struct kube_apply *a, struct state *st)
{
    *a = (struct kube_apply){.st = st};
    arena_init(&a->arena, LIMIT_ITEM_ARENA);
}

void kube_apply_done(struct kube_apply *a)
{
    arena_done(&a->arena);
}

static void lock(struct kube_apply *a)
{
    if (a->held++ == 0) {
        (void)state_lock(a->st, 0);
    }
}

static void unlock(struct kube_apply *a)
{
    if (--a->held == 0) {
        state_unlock(a->st);
    }
}

/* Does it in every open model; the model that answers decides about success. */
#define IN_MODELS(a, rc, expr)                 \
    do {                                       \
        struct cluster *c = (a)->st->main.c;   \
        lock(a);                               \
        (rc) = (expr);                         \
        if ((rc) == 0 && (a)->st->has_whole) { \
            c = (a)->st->whole.c;              \
            (rc) = (expr);                     \
        }                                      \
        unlock(a);                             \
    } while (0)

#define UPSERT(fn, type, decode, upsert)                                  \
    static int fn(struct kube_apply *a, struct str json, struct err *err) \
    {                                                                     \
        struct type d;                                                    \
        int rc = decode(json, &a->arena, &d, err);                        \
        if (rc == 0) {                                                    \
            IN_MODELS(a, rc, upsert(c, &d, err));                         \
        }                                                                 \
        return rc;                                                        \
    }
UPSERT(upsert_namespace, namespace_desc, k8s_decode_namespace, cluster_upsert_namespace)
UPSERT(upsert_pv, pv_desc, k8s_decode_pv, cluster_upsert_pv)
UPSERT(upsert_pvc, pvc_desc, k8s_decode_pvc, cluster_upsert_pvc)
UPSERT(upsert_storage_class, storage_class_desc, k8s_decode_storage_class,
       cluster_upsert_storage_class)
UPSERT(upsert_pdb, pdb_desc, k8s_decode_pdb, cluster_upsert_pdb)
UPSERT(upsert_priority_class, priority_class_desc, k8s_decode_priority_class,
       cluster_upsert_priority_class)
UPSERT(upsert_service, service_desc, k8s_decode_service, cluster_upsert_service)
UPSERT(upsert_game_server, game_server_desc, k8s_decode_game_server, cluster_upsert_game_server)

static int upsert_node(struct kube_apply *a, struct str json, struct err *err)
{
    struct node_desc d;
    node_ix ignored;
    int rc = k8s_decode_node(json, &a->arena, &d, err);
    if (rc == 0) {
        IN_MODELS(a, rc, cluster_upsert_node(c, &d, &ignored, err));
    }
    return rc;
}

static int upsert_pod(struct kube_apply *a, struct str json, struct err *err)
{
    struct pod_desc d;
    int rc = k8s_decode_pod(json, &a->arena, &d, err);
    if (rc != 0) {
        return rc;
    }
    lock(a);
    IN_MODELS(a, rc, cluster_upsert_pod(c, &d, NULL, err));
    if (rc == 0 &&
        d.node_name.n > 0) { /* it stands: a reservation has done its work, or was for nothing */
        state_settle(a->st, &d.meta, d.node_name);
    }
    unlock(a);
    return rc;
}

int kube_apply_upsert(struct kube_apply *a, enum kube_kind kind, const struct kube_object *o,
                      struct err *err)
{
    static int (*const by_kind[KUBE_KINDS])(struct kube_apply * a, struct str json,
                                            struct err * err) = {
        [KUBE_NODES] = upsert_node,
        [KUBE_PODS] = upsert_pod,
        [KUBE_NAMESPACES] = upsert_namespace,
        [KUBE_PVS] = upsert_pv,
        [KUBE_PVCS] = upsert_pvc,
        [KUBE_STORAGE_CLASSES] = upsert_storage_class,
        [KUBE_PDBS] = upsert_pdb,
        [KUBE_PRIORITY_CLASSES] = upsert_priority_class,
        [KUBE_SERVICES] = upsert_service,
        [KUBE_AGONES] = upsert_game_server,
        [KUBE_KRUISE] = upsert_game_server,
    };
    arena_reset(&a->arena);
    return by_kind[kind](a, o->json, err);
}

static void remove_from(struct cluster *c, enum kube_kind kind, struct str ns, struct str name)
{
    struct err err = ERR_NONE;
    switch (kind) {
    case KUBE_NODES:
        cluster_remove_node(c, name);
        break;
    case KUBE_NAMESPACES:
        if (cluster_remove_namespace(c, name, &err) != 0) {
            LOG_WARN("Kept a namespace that is gone", KV_S("namespace", name),
                     KV_C("err", err.text));
        }
        break;
    case KUBE_PVS:
        cluster_remove_pv(c, name);
        break;
    case KUBE_PVCS:
        cluster_remove_pvc(c, ns, name);
        break;
    case KUBE_STORAGE_CLASSES:
        cluster_remove_storage_class(c, name);
        break;
    case KUBE_PDBS:
        cluster_remove_pdb(c, ns, name);
        break;
    case KUBE_PRIORITY_CLASSES:
        cluster_remove_priority_class(c, name);
        break;
    case KUBE_SERVICES:
        cluster_remove_service(c, ns, name);
        break;
    case KUBE_AGONES:
    case KUBE_KRUISE:
        cluster_remove_game_server(c, ns, name);
        break;
    case KUBE_PODS: /* remove_pod */
    case KUBE_KINDS:
    default:
        break;
    }
}

/* Whether the pod that stands under this name is the one that is meant. One that only a reservation knows is not. */
static bool is_meant(const struct cluster *c, struct str ns, struct str name, struct str uid,
                     bool other)
{
    pod_ix row = cluster_find_pod(c, ns, name);
    if (row.v == IX_NONE) {
        return false;
    }
    struct str has = sym_str(c->syms, c->pod[row.v].req.uid);
    if (uid.n == 0) {
        return !c->pod[row.v].assumed || c->pod[row.v].waiting;
    }
    return has.n == 0 || str_eq(has, uid) != other;
}

static void remove_pod(struct kube_apply *a, struct str ns, struct str name, struct str uid,
                       bool other)
{
    struct state *st = a->st;
    if (is_meant(st->main.c, ns, name, uid, other)) {
        state_drop_pod(st, ns, name);
        cluster_remove_pod(st->main.c, ns, name);
    }
    if (st->has_whole && is_meant(st->whole.c, ns, name, uid, other)) {
        cluster_remove_pod(st->whole.c, ns, name);
    }
}

void kube_apply_remove(struct kube_apply *a, enum kube_kind kind, struct str ns, struct str name,
                       struct str uid, bool other)
{
    struct state *st = a->st;
    lock(a);
    if (kind == KUBE_PODS) {
        remove_pod(a, ns, name, uid, other);
    } else {
        if (kind == KUBE_NODES) {
            state_forget_node(st, name);
        }
        remove_from(st->main.c, kind, ns, name);
        if (st->has_whole) {
            remove_from(st->whole.c, kind, ns, name);
        }
    }
    unlock(a);
}

void kube_apply_sweep(struct kube_apply *a, bool begin)
{
    if (begin) {
        lock(a);
    } else {
        unlock(a);
    }
}
