/* One object into the model, by kind.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "wire/load_impl.h"

/* A fault without a place of its own: the object's. Placed faults go to load_fault as they are. */
static int object_fault(struct load_ctx *ctx, struct err *err)
{
    if (err->code == -ENOMEM) {
        return err->code;
    }
    load_place(ctx, err);
    return load_fault(ctx, err);
}

int load_apply_node(struct load_ctx *ctx, const struct node_desc *node, struct err *err)
{
    node_ix ix;
    if (node->meta.name.n == 0) {
        err_set(err, -EINVAL, "metadata.name: missing");
        return object_fault(ctx, err);
    }
    int rc = cluster_upsert_node(ctx->l->cluster, node, &ix, err);
    return rc == 0 ? 0 : object_fault(ctx, err);
}

/* ---- pods ---- */

static int owner_key(struct load_impl *im, struct str kind, struct str ns, struct str name,
                     struct str uid, struct str *ret)
{
    size_t n = kind.n + ns.n + name.n + uid.n + 3;
    char *p = arena_alloc(&im->arena, n);
    if (p == NULL) {
        return -ENOMEM;
    }
    char *o = p;
    const struct str parts[] = {kind, ns, name, uid};
    for (int i = 0; i < 4; i++) {
        if (parts[i].n > 0) {
            memcpy(o, parts[i].p, parts[i].n);
            o += parts[i].n;
        }
        if (i < 3) {
            *o++ = '\0';
        }
    }
    *ret = (struct str){p, n};
    return 0;
}

/* The number of an owner, with its entry. */
static int owner_number(struct load_impl *im, const struct owner_desc *o, struct str ns,
                        struct str uid, uint32_t *ret)
{
    struct str key;
    struct owner_entry entry = {0};
    bool fresh;
    if (owner_key(im, o->kind, ns, o->name, uid, &key) != 0 ||
        name_map_add(&im->owners, key, ret, &fresh) != 0) {
        return -ENOMEM;
    }
    return fresh ? VEC_PUSH(&im->owner, entry, LIMIT_SYMBOLS) : 0;
}

static struct str label_of(const struct meta_desc *m, const char *key)
{
    for (uint32_t i = 0; i < m->labels.n; i++) {
        if (str_is(m->labels.p[i].key, key)) {
            return m->labels.p[i].val;
        }
    }
    return STR_NONE;
}

static int remember_owner(struct load_impl *im, pod_ix ix, const struct pod_desc *pod)
{
    const struct owner_desc *owner = NULL;
    uint32_t number = UINT32_MAX, all;
    for (uint32_t i = 0; i < pod->meta.owners.n && owner == NULL; i++) {
        owner = pod->meta.owners.p[i].controller ? &pod->meta.owners.p[i] : NULL;
    }
    if (owner != NULL && !pod->meta.deleting) {
        if (owner_number(im, owner, pod->meta.ns, STR("*"), &all) != 0 ||
            owner_number(im, owner, pod->meta.ns, owner->uid, &number) != 0) {
            return -ENOMEM;
        }
        struct str fleet = label_of(&pod->meta, "agones.dev/fleet");
        im->owner.p[number].all = all;
        if (fleet.n > 0 && im->owner.p[all].fleet.n == 0) {
            struct str copy = arena_str(&im->keys, fleet);
            if (copy.p == NULL) {
                return -ENOMEM;
            }
            im->owner.p[all].fleet = copy;
        }
    }
    while (im->owner_of.n <= ix.v) {
        if (VEC_PUSH(&im->owner_of, 0u, LIMIT_PODS) != 0) {
            return -ENOMEM;
        }
    }
    im->owner_of.p[ix.v] = number + 1;
    return 0;
}

/* Counts are made at the first question after the last pod. */
void load_count_owners(struct load_impl *im, const struct cluster *c)
{
    for (size_t i = 0; i < im->owner.n; i++) {
        im->owner.p[i].n_pods = 0;
    }
    for (uint32_t i = 0; i < im->owner_of.n && i < c->n_pod_rows; i++) {
        if (im->owner_of.p[i] != 0 && c->pod[i].live) {
            struct owner_entry *e = &im->owner.p[im->owner_of.p[i] - 1];
            e->n_pods++;
            im->owner.p[e->all].n_pods++;
        }
    }
}

uint32_t load_owned(struct load_impl *im, struct str kind, struct str ns, struct str name,
                    struct str uid)
{
    struct str key;
    uint32_t n = 0;
    const struct str uids[] = {uid.n > 0 ? uid : STR("*"), STR_NONE};
    for (int i = 0; i < (uid.n > 0 ? 2 : 1); i++) {
        if (owner_key(im, kind, ns, name, uids[i], &key) == 0) {
            uint32_t number = name_map_find(&im->owners, key);
            n += number != UINT32_MAX ? im->owner.p[number].n_pods : 0;
        } else {
            im->short_memory = true;
        }
    }
    return n;
}

static int name_generated(struct load_ctx *ctx, struct pod_desc *pod)
{
    struct load_impl *im = ctx->im;
    char *p = arena_alloc(&im->arena, pod->meta.generate_name.n + 16);
    if (p == NULL) {
        return -ENOMEM;
    }
    int n = snprintf(p, pod->meta.generate_name.n + 16, "%.*s%u", STR_ARG(pod->meta.generate_name),
                     im->n_generated++);
    pod->meta.name = (struct str){p, (size_t)n};
    return 0;
}

int load_apply_pod(struct load_ctx *ctx, struct pod_desc *pod, struct str json, struct err *err)
{
    pod_ix ix = POD_NONE;
    if (pod->meta.name.n == 0 && pod->meta.generate_name.n > 0 && name_generated(ctx, pod) != 0) {
        return err_nomem(err);
    }
    /* what is bound was checked by the API server */
    if ((pod->node_name.n == 0 || pod->meta.name.n == 0) && k8s_validate_pod(pod, err) != 0) {
        load_place_path(ctx, json, err);
        return load_fault(ctx, err);
    }
    if (pod->n_resource_claims > 0) {
        loaded_note(ctx->l, NOTE_DRA, 1);
    }
    for (uint32_t i = 0; i < pod->volumes.n; i++) {
        loaded_note(ctx->l, NOTE_INLINE_DISK, pod->volumes.p[i].inline_kind.n > 0);
    }
    int rc = cluster_upsert_pod(ctx->l->cluster, pod, &ix, err);
    if (rc != 0) {
        return object_fault(ctx, err);
    }
    if (ix.v != IX_NONE && pod->phase != PHASE_SUCCEEDED && pod->phase != PHASE_FAILED &&
        remember_owner(ctx->im, ix, pod) != 0) {
        return err_nomem(err);
    }
    return 0;
}

/* ---- the other kinds ---- */

typedef int apply_fn(struct load_ctx *ctx, const struct k8s_head *head, struct str json,
                     struct err *err);

/* A decoder's fault carries its place in the object, the model's does not; both end in load_fault. */
#define APPLY(fn, type, decode, upsert)                                               \
    static int fn(struct load_ctx *ctx, const struct k8s_head *head, struct str json, \
                  struct err *err)                                                    \
    {                                                                                 \
        struct type d;                                                                \
        (void)head;                                                                   \
        int rc = decode(json, &ctx->im->arena, &d, err);                              \
        if (rc == 0) {                                                                \
            rc = upsert(ctx->l->cluster, &d, err);                                    \
        }                                                                             \
        return rc == 0 ? 0 : object_fault(ctx, err);                                  \
    }
APPLY(apply_namespace, namespace_desc, k8s_decode_namespace, cluster_upsert_namespace)
APPLY(apply_service, service_desc, k8s_decode_service, cluster_upsert_service)
APPLY(apply_pdb, pdb_desc, k8s_decode_pdb, cluster_upsert_pdb)
APPLY(apply_pv, pv_desc, k8s_decode_pv, cluster_upsert_pv)
APPLY(apply_pvc, pvc_desc, k8s_decode_pvc, cluster_upsert_pvc)
APPLY(apply_storage_class, storage_class_desc, k8s_decode_storage_class,
      cluster_upsert_storage_class)
APPLY(apply_game_server_object, game_server_desc, k8s_decode_game_server,
      cluster_upsert_game_server)

static int apply_priority_class(struct load_ctx *ctx, const struct k8s_head *head, struct str json,
                                struct err *err)
{
    struct priority_class_desc d;
    (void)head;
    int rc = k8s_decode_priority_class(json, &ctx->im->arena, &d, err);
    if (rc != 0) {
        return object_fault(ctx, err);
    }
    if (k8s_validate_priority_class(&d, err) != 0) {
        load_place_path(ctx, json, err);
        return load_fault(ctx, err);
    }
    rc = cluster_upsert_priority_class(ctx->l->cluster, &d, err);
    return rc == 0 ? 0 : object_fault(ctx, err);
}

static int apply_workload(struct load_ctx *ctx, const struct k8s_head *head, struct str json,
                          struct err *err)
{
    struct workload_desc d;
    int rc = k8s_decode_workload_as(head, json, &ctx->im->arena, &d, err);
    if (rc == 0) {
        d.kind = head->kind;
        rc = cluster_upsert_workload(ctx->l->cluster, &d, err);
    }
    return rc == 0 ? 0 : object_fault(ctx, err);
}

static int apply_game_server(struct load_ctx *ctx, const struct k8s_head *head, struct str json,
                             struct err *err)
{
    return apply_game_server_object(ctx, head, json, err);
}

static const struct kind_row {
    const char *kind, *group;
    apply_fn *apply;
    enum controller_kind controller;
    const char *ignored; /* why the kind does not matter for placement */
} kinds[] = {
    {"Namespace", "", apply_namespace, CTL_NONE, NULL},
    {"Service", "", apply_service, CTL_NONE, NULL},
    {"PersistentVolume", "", apply_pv, CTL_NONE, NULL},
    {"PersistentVolumeClaim", "", apply_pvc, CTL_NONE, NULL},
    {"StorageClass", "storage.k8s.io", apply_storage_class, CTL_NONE, NULL},
    {"PriorityClass", "scheduling.k8s.io", apply_priority_class, CTL_NONE, NULL},
    {"PodDisruptionBudget", "policy", apply_pdb, CTL_NONE, NULL},
    {"Deployment", "apps", apply_workload, CTL_DEPLOYMENT, NULL},
    {"Deployment", "extensions", apply_workload, CTL_DEPLOYMENT, NULL},
    {"ReplicaSet", "apps", apply_workload, CTL_REPLICA_SET, NULL},
    {"ReplicaSet", "extensions", apply_workload, CTL_REPLICA_SET, NULL},
    {"ReplicationController", "", apply_workload, CTL_REPLICATION_CONTROLLER, NULL},
    {"StatefulSet", "apps", apply_workload, CTL_STATEFUL_SET, NULL},
    {"DaemonSet", "apps", apply_workload, CTL_DAEMON_SET, NULL},
    {"DaemonSet", "extensions", apply_workload, CTL_DAEMON_SET, NULL},
    {"Job", "batch", apply_workload, CTL_JOB, NULL},
    {"CronJob", "batch", apply_workload, CTL_CRON_JOB, NULL},
    {"Fleet", "agones.dev", apply_workload, CTL_FLEET, NULL},
    {"GameServerSet", "agones.dev", apply_workload, CTL_GAME_SERVER_SET, NULL},
    {"GameServer", "agones.dev", apply_game_server, CTL_GAME_SERVER, NULL},
    {"GameServerSet", "game.kruise.io", apply_workload, CTL_OKG_SET, NULL},
    {"GameServer", "game.kruise.io", apply_game_server, CTL_NONE, NULL},
    {"ConfigMap", "", NULL, CTL_NONE, "data for containers"},
    {"Secret", "", NULL, CTL_NONE, "data for containers"},
    {"ServiceAccount", "", NULL, CTL_NONE, "identity"},
    {"Event", "", NULL, CTL_NONE, "history"},
    {"Event", "events.k8s.io", NULL, CTL_NONE, "history"},
    {"Endpoints", "", NULL, CTL_NONE, "network"},
    {"ComponentStatus", "", NULL, CTL_NONE, "health of the control plane"},
    {"EndpointSlice", "discovery.k8s.io", NULL, CTL_NONE, "network"},
    {"Ingress", "networking.k8s.io", NULL, CTL_NONE, "network"},
    {"Ingress", "extensions", NULL, CTL_NONE, "network"},
    {"IngressClass", "networking.k8s.io", NULL, CTL_NONE, "network"},
    {"NetworkPolicy", "networking.k8s.io", NULL, CTL_NONE, "network"},
    {"Lease", "coordination.k8s.io", NULL, CTL_NONE, "leader election and heartbeats"},
    {"Role", "rbac.authorization.k8s.io", NULL, CTL_NONE, "permissions"},
    {"RoleBinding", "rbac.authorization.k8s.io", NULL, CTL_NONE, "permissions"},
    {"ClusterRole", "rbac.authorization.k8s.io", NULL, CTL_NONE, "permissions"},
    {"ClusterRoleBinding", "rbac.authorization.k8s.io", NULL, CTL_NONE, "permissions"},
    {"CustomResourceDefinition", "apiextensions.k8s.io", NULL, CTL_NONE, "a schema"},
    {"APIService", "apiregistration.k8s.io", NULL, CTL_NONE, "the API itself"},
    {"ValidatingWebhookConfiguration", "admissionregistration.k8s.io", NULL, CTL_NONE, "admission"},
    {"MutatingWebhookConfiguration", "admissionregistration.k8s.io", NULL, CTL_NONE, "admission"},
    {"ValidatingAdmissionPolicy", "admissionregistration.k8s.io", NULL, CTL_NONE, "admission"},
    {"ValidatingAdmissionPolicyBinding", "admissionregistration.k8s.io", NULL, CTL_NONE,
     "admission"},
    {"ControllerRevision", "apps", NULL, CTL_NONE, "history of a controller"},
    {"PodMetrics", "metrics.k8s.io", NULL, CTL_NONE, "measurements"},
    {"NodeMetrics", "metrics.k8s.io", NULL, CTL_NONE, "measurements"},
    {"CertificateSigningRequest", "certificates.k8s.io", NULL, CTL_NONE, "identity"},
    {"Status", "", NULL, CTL_NONE, "an answer of the API server, not an object"},
};

static struct str group_of(struct str api_version)
{
    const char *slash = api_version.n > 0 ? memchr(api_version.p, '/', api_version.n) : NULL;
    return slash != NULL ? (struct str){api_version.p, (size_t)(slash - api_version.p)} : STR_NONE;
}

static const struct kind_path *configured_kind(const struct cluster *c, struct str group,
                                               struct str kind)
{
    const struct settings *s = c->settings;
    for (uint32_t i = 0; s != NULL && i < s->kinds.n; i++) {
        if (str_eq(s->kinds.p[i].kind, kind) && str_eq(s->kinds.p[i].api_group, group)) {
            return &s->kinds.p[i];
        }
    }
    return NULL;
}

static int unknown_kind(struct load_ctx *ctx, const struct k8s_head *head, struct str group,
                        struct str json, struct err *err)
{
    char what[160];
    const struct kind_path *path = configured_kind(ctx->l->cluster, group, head->kind);
    if (path != NULL) {
        int rc = apply_workload(ctx, head, json, err);
        return rc == 0 ? load_keep_controller(ctx, CTL_CUSTOM, path, head, json, err) : rc;
    }
    load_lint(ctx, head, json);
    snprintf(what, sizeof what, "kind %.*s%s%.*s", (int)(head->kind.n < 70 ? head->kind.n : 70),
             head->kind.p, group.n > 0 ? "." : "", (int)(group.n < 70 ? group.n : 70),
             group.n > 0 ? group.p : "");
    loaded_note(ctx->l, what, 1);
    return 0;
}

int load_apply(struct load_ctx *ctx, const struct k8s_head *head, struct str json, struct err *err)
{
    struct str group = group_of(head->api_version);
    for (size_t i = 0; i < SP_COUNTOF(kinds); i++) {
        const struct kind_row *k = &kinds[i];
        if (!str_is(head->kind, k->kind) || !str_is(group, k->group)) {
            continue;
        }
        uint64_t faults = ctx->l->warnings.n + ctx->im->warnings_lost;
        int rc = k->apply != NULL ? k->apply(ctx, head, json, err) : 0;
        bool bad = ctx->l->warnings.n + ctx->im->warnings_lost != faults; /* lenient: left out */
        if (rc == 0 && !bad && k->controller != CTL_NONE) {
            rc = load_keep_controller(ctx, k->controller, NULL, head, json, err);
        }
        return rc;
    }
    return unknown_kind(ctx, head, group, json, err);
}

/* ---- controllers ---- */

static struct str keep_str(struct load_impl *im, struct str s, bool *ok)
{
    struct str copy = arena_str(&im->keys, s);
    *ok = *ok && copy.p != NULL;
    return copy;
}

static int fill_controller(struct load_ctx *ctx, const struct k8s_head *head, struct str json,
                           struct controller *c, struct err *err)
{
    struct workload_desc w;
    struct game_server_desc g;
    bool ok = true;
    struct load_impl *im = ctx->im;
    int rc = k8s_decode_workload_as(head, json, &im->arena, &w, err);
    if (rc != 0) {
        return rc;
    }
    c->json = mem_alloc(json.n + 1);
    if (c->json == NULL) {
        return err_nomem(err);
    }
    memcpy(c->json, json.p, json.n);
    c->n_json = json.n;
    c->api_version = keep_str(im, head->api_version, &ok);
    c->kind_name = keep_str(im, head->kind, &ok);
    c->ns = keep_str(im, w.meta.ns, &ok);
    c->name = keep_str(im, w.meta.name, &ok);
    c->uid = keep_str(im, w.meta.uid, &ok);
    c->fleet_label = keep_str(im, label_of(&w.meta, "agones.dev/fleet"), &ok);
    for (uint32_t i = 0; i < w.meta.owners.n; i++) {
        if (w.meta.owners.p[i].controller) {
            c->owner_kind = keep_str(im, w.meta.owners.p[i].kind, &ok);
            c->owner_name = keep_str(im, w.meta.owners.p[i].name, &ok);
        }
    }
    if (c->kind == CTL_GAME_SERVER && k8s_decode_game_server(json, &im->arena, &g, err) == 0) {
        c->state = g.state;
    }
    return ok ? 0 : err_nomem(err);
}

int load_keep_controller(struct load_ctx *ctx, enum controller_kind kind,
                         const struct kind_path *path, const struct k8s_head *head, struct str json,
                         struct err *err)
{
    struct load_impl *im = ctx->im;
    struct controller c = {.kind = kind,
                           .path = path,
                           .workload = ctx->workload,
                           .lenient = ctx->lenient,
                           .file = ctx->file,
                           .line = ctx->line,
                           .column = ctx->column};
    struct str key;
    uint32_t number;
    bool fresh;
    if (ctx->source != NULL) {
        source_place(ctx->source, ctx->source_at, &c.line, &c.column);
    }
    int rc = fill_controller(ctx, head, json, &c, err);
    if (rc == 0 && (owner_key(im, c.kind_name, c.ns, c.name, c.api_version, &key) != 0 ||
                    name_map_add(&im->by_key, key, &number, &fresh) != 0)) {
        rc = err_nomem(err);
    }
    if (rc == 0 && fresh && VEC_PUSH(&im->controllers, c, LIMIT_SYMBOLS) != 0) {
        rc = err_nomem(err);
    }
    if (rc != 0) {
        mem_free(c.json);
        return rc;
    }
    if (ctx->marks != NULL) { /* the marks stay with the controller */
        c.marks = *ctx->marks;
        *ctx->marks = (struct yaml_marks){0};
    }
    if (!fresh) {
        mem_free(im->controllers.p[number].json);
        yaml_marks_done(&im->controllers.p[number].marks);
    }
    im->controllers.p[number] = c;
    return 0;
}
