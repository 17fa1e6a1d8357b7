/* Controllers into the pods that they would make.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "wire/expand_impl.h"

static const char *const template_paths[] = {
    [CTL_DEPLOYMENT] = "spec.template",
    [CTL_REPLICA_SET] = "spec.template",
    [CTL_REPLICATION_CONTROLLER] = "spec.template",
    [CTL_STATEFUL_SET] = "spec.template",
    [CTL_DAEMON_SET] = "spec.template",
    [CTL_JOB] = "spec.template",
    [CTL_CRON_JOB] = "spec.jobTemplate.spec.template",
    [CTL_FLEET] = "spec.template.spec.template",
    [CTL_GAME_SERVER_SET] = "spec.template.spec.template",
    [CTL_GAME_SERVER] = "spec.template",
    [CTL_OKG_SET] = "spec.gameServerTemplate",
};

/* ---- helpers ---- */

bool expand_i64(const struct expand *x, const char *path, int64_t *ret)
{
    size_t at;
    struct scan s;
    if (!k8s_find_field(x->json, path, &at)) {
        return false;
    }
    scan_init(&s, (struct str){x->json.p + at, x->json.n - at});
    return scan_peek(&s) == SCAN_NUMBER && scan_i64(&s, ret);
}

bool expand_text(const struct expand *x, const char *path, struct str *ret)
{
    size_t at;
    struct scan s;
    if (!k8s_find_field(x->json, path, &at)) {
        return false;
    }
    scan_init(&s, (struct str){x->json.p + at, x->json.n - at});
    bool ok = scan_peek(&s) == SCAN_STRING && scan_string(&s, x->a, ret);
    if (!ok && s.error != NULL && strcmp(s.error, SCAN_NO_MEMORY) == 0) {
        x->im->short_memory = true;
    }
    return ok;
}

static bool expand_true(const struct expand *x, const char *path)
{
    size_t at;
    return k8s_find_field(x->json, path, &at) && x->json.p[at] == 't';
}

int expand_fault(struct expand *x, const char *path, const char *text)
{
    size_t at = k8s_find_path(x->json, path);
    err_set(x->err, -EINVAL, "%.*s %.*s: %s%s%s", STR_ARG(x->c->kind_name), STR_ARG(x->c->name),
            path, path[0] != '\0' ? ": " : "", text);
    scan_place(x->json.p, x->json.p + at, &x->err->line, &x->err->column);
    load_place(&x->ctx, x->err);
    return load_fault(&x->ctx, x->err);
}

struct str expand_format(struct expand *x, const char *fmt, ...)
{
    char text[LIMIT_NAME_BYTES * 2];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    return arena_str(x->to, (struct str){text, len});
}

bool expand_taken(const struct expand *x, struct str name)
{
    return cluster_find_pod(x->l->cluster, x->c->ns, name).v != IX_NONE;
}

void expand_next_pod(struct expand *x)
{
    arena_reset(x->each);
    x->to = x->each;
}

struct str expand_name(struct expand *x)
{
    for (;;) {
        struct str name = expand_format(x, "%.*s-%u", STR_ARG(x->c->name), x->next++);
        if (name.p == NULL || !expand_taken(x, name)) {
            return name;
        }
    }
}

kv_list expand_merge(struct expand *x, kv_list list, const struct kv_desc *more, uint32_t n)
{
    struct kv_desc *p = arena_alloc(x->to, (list.n + n + 1) * sizeof *p);
    uint32_t out = 0;
    if (p == NULL) {
        x->short_memory = true;
        return list;
    }
    for (uint32_t i = 0; i < list.n; i++) {
        bool replaced = false;
        for (uint32_t k = 0; k < n; k++) {
            replaced = replaced || str_eq(list.p[i].key, more[k].key);
        }
        if (!replaced) {
            p[out++] = list.p[i];
        }
    }
    if (n > 0) {
        memcpy(p + out, more, n * sizeof *p);
    }
    return (kv_list){p, out + n};
}

int expand_make(struct expand *x, struct pod_desc *pod, struct str name,
                const struct owner_desc *owner, const struct kv_desc *labels, uint32_t n_labels)
{
    struct k8s_dec d;
    pod_ix ix;
    if (name.p == NULL) {
        return err_nomem(x->err);
    }
    pod->meta.name = name;
    pod->meta.ns = x->c->ns;
    pod->meta.uid = expand_format(x, "made/%.*s/%.*s", STR_ARG(x->c->ns), STR_ARG(name));
    pod->meta.created_ms = 0;
    pod->meta.labels = expand_merge(x, pod->meta.labels, labels, n_labels);
    pod->meta.owners.p = owner;
    pod->meta.owners.n = owner != NULL ? 1 : 0;
    pod->phase = PHASE_PENDING;
    dec_init(&d, STR("{}"), x->to);
    if (!dec_name_ephemeral(&d, pod) || pod->meta.uid.p == NULL || x->short_memory) {
        return err_nomem(x->err);
    }
    int rc = cluster_upsert_pod(x->l->cluster, pod, &ix, x->err);
    if (rc != 0 && rc != -ENOMEM) {
        char text[ERR_TEXT_MAX];
        snprintf(text, sizeof text, "%s", x->err->text);
        return expand_fault(x, "", text);
    }
    return rc;
}

/* ---- templates ---- */

/* 1 when there is a template, 0 when not (said), negative on a fault. */
static int read_template(struct expand *x)
{
    struct k8s_dec d;
    const char *path = x->c->kind == CTL_CUSTOM ? NULL : template_paths[x->c->kind];
    if (path != NULL) {
        snprintf(x->template_path, sizeof x->template_path, "%s", path);
    } else {
        struct str p = x->c->path->template_path;
        snprintf(x->template_path, sizeof x->template_path, "%.*s", STR_ARG(p));
    }
    if (!k8s_find_field(x->json, x->template_path, &x->template_at)) {
        if (x->c->kind == CTL_GAME_SERVER &&
            !x->c->workload) { /* a stripped dump: its pod stands there itself */
            loaded_note(x->l, NOTE_NO_TEMPLATE, 1);
            return 0;
        }
        return expand_fault(x, x->template_path, "missing: the pod template was expected here");
    }
    dec_init(&d, (struct str){x->json.p + x->template_at, x->json.n - x->template_at}, x->a);
    if (!dec_pod(&d, &x->pod)) {
        dec_in(&d, str_c(x->template_path));
        dec_error(&d, x->err);
        const char *at = d.s.error_at != NULL ? d.s.error_at : d.s.p;
        scan_place(x->json.p, at, &x->err->line, &x->err->column);
        load_place(&x->ctx, x->err);
        return load_fault(&x->ctx, x->err);
    }
    struct pod_desc named = x->pod;
    struct err err = ERR_NONE;
    named.meta.name = x->c->name;
    if (k8s_validate_pod(&named, &err) != 0) {
        char full[ERR_TEXT_MAX];
        snprintf(full, sizeof full, "%s.%.*s", x->template_path,
                 (int)(ERR_TEXT_MAX - sizeof x->template_path - 2), err.text);
        err_set(x->err, -EINVAL, "%s", full);
        load_place_path(&x->ctx, x->json, x->err);
        return load_fault(&x->ctx, x->err);
    }
    x->pod.node_name = STR_NONE;
    return 1;
}

/* ---- counting what is there ---- */

static struct str strip_dash(struct str s)
{
    size_t n = s.n;
    while (n > 0 && s.p[n - 1] != '-') {
        n--;
    }
    return n > 0 ? (struct str){s.p, n - 1} : STR_NONE;
}

static int derive(struct expand *x, const char *kind, struct str ns, struct str name, uint32_t n)
{
    char key[LIMIT_NAME_BYTES * 2 + 64];
    uint32_t number;
    bool fresh;
    int len = snprintf(key, sizeof key, "%s/%.*s/%.*s", kind, STR_ARG(ns), STR_ARG(name));
    if (len < 0 || (size_t)len >= sizeof key) {
        return 0;
    }
    if (name_map_add(x->derived, (struct str){key, (size_t)len}, &number, &fresh) != 0 ||
        (fresh && VEC_PUSH(&x->derived_n, 0u, LIMIT_SYMBOLS) != 0)) {
        return -ENOMEM;
    }
    check(number < x->derived_n.n);
    x->derived_n.p[number] += n;
    return 0;
}

static uint32_t derived(const struct expand *x, const char *kind)
{
    char key[LIMIT_NAME_BYTES * 2 + 64];
    int len =
        snprintf(key, sizeof key, "%s/%.*s/%.*s", kind, STR_ARG(x->c->ns), STR_ARG(x->c->name));
    uint32_t number = len < 0 || (size_t)len >= sizeof key
                          ? UINT32_MAX
                          : name_map_find(x->derived, (struct str){key, (size_t)len});
    return number >= x->derived_n.n ? 0 : x->derived_n.p[number];
}

/* Kinds that own and are owned: by kind, namespace and name, whatever the API version. */
static const struct controller *loaded_controller(const struct expand *x, const char *kind,
                                                  struct str ns, struct str name)
{
    char key[LIMIT_NAME_BYTES * 2 + 64];
    int len = snprintf(key, sizeof key, "=%s/%.*s/%.*s", kind, STR_ARG(ns), STR_ARG(name));
    uint32_t number = len < 0 || (size_t)len >= sizeof key
                          ? UINT32_MAX
                          : name_map_find(x->derived, (struct str){key, (size_t)len});
    return number >= x->derived_n.n ? NULL : &x->im->controllers.p[x->derived_n.p[number] - 1];
}

static int index_controllers(struct expand *x)
{
    int rc = 0;
    for (size_t i = 0; i < x->im->controllers.n && rc == 0; i++) {
        const struct controller *c = &x->im->controllers.p[i];
        char kind[80];
        snprintf(kind, sizeof kind, "=%.*s", (int)(c->kind_name.n < 70 ? c->kind_name.n : 70),
                 c->kind_name.p);
        if (loaded_controller(x, kind + 1, c->ns, c->name) == NULL) {
            rc = derive(x, kind, c->ns, c->name, (uint32_t)i + 1);
        }
    }
    return rc;
}

/* Pods whose owner chain ends higher: of ReplicaSets, Jobs and game servers that are not in the input themselves. */
static int derive_from_pods(struct expand *x)
{
    int rc = 0;
    struct load_impl *im = x->im;
    for (size_t i = 0; i < im->owners.n && rc == 0; i++) {
        struct str key = im->owners.names[i];
        struct str kind = str_cut(&key, '\0'), ns = str_cut(&key, '\0'), name = str_cut(&key, '\0');
        uint32_t n = im->owner.p[i].n_pods;
        if (!str_is(key, "*") || n == 0) {
            continue;
        }
        const char *k = str_is(kind, "ReplicaSet") ? "ReplicaSet"
                        : str_is(kind, "Job")      ? "Job"
                                                   : "GameServer";
        if (!str_is(kind, k)) {
            continue;
        }
        const struct controller *c = loaded_controller(x, k, ns, name);
        struct str above = c != NULL && c->owner_name.n > 0 ? c->owner_name : strip_dash(name);
        if (k[0] == 'R') {
            rc = derive(x, "Deployment", ns, above, n);
        } else if (k[0] == 'J') {
            rc = derive(x, "CronJob", ns, above, n);
        } else if (c == NULL) {
            struct str fleet = im->owner.p[i].fleet;
            rc = derive(x, "GameServerSet", ns, above, 1);
            rc = rc == 0 ? derive(x, "Fleet", ns, fleet.n > 0 ? fleet : strip_dash(above), 1) : rc;
        }
    }
    return rc;
}

static int derive_from_game_servers(struct expand *x)
{
    int rc = 0;
    for (size_t i = 0; i < x->im->controllers.n && rc == 0; i++) {
        const struct controller *c = &x->im->controllers.p[i];
        if (c->kind != CTL_GAME_SERVER || c->state == GAME_ENDED ||
            !str_is(c->owner_kind, "GameServerSet")) {
            continue;
        }
        const struct controller *set = loaded_controller(x, "GameServerSet", c->ns, c->owner_name);
        struct str fleet = c->fleet_label.n > 0                   ? c->fleet_label
                           : set != NULL && set->owner_name.n > 0 ? set->owner_name
                                                                  : strip_dash(c->owner_name);
        rc = derive(x, "GameServerSet", c->ns, c->owner_name, 1);
        rc = rc == 0 ? derive(x, "Fleet", c->ns, fleet, 1) : rc;
    }
    return rc;
}

/* ---- one controller ---- */

static bool made_by_another(const struct expand *x)
{
    static const struct {
        enum controller_kind kind;
        const char *owner;
    } chains[] = {{CTL_REPLICA_SET, "Deployment"},
                  {CTL_GAME_SERVER_SET, "Fleet"},
                  {CTL_GAME_SERVER, "GameServerSet"}};
    for (size_t i = 0; i < SP_COUNTOF(chains); i++) {
        if (x->c->kind == chains[i].kind && str_is(x->c->owner_kind, chains[i].owner)) {
            return loaded_controller(x, chains[i].owner, x->c->ns, x->c->owner_name) != NULL;
        }
    }
    return false;
}

static int64_t job_pods(const struct expand *x, const char *spec)
{
    char path[96];
    int64_t parallelism = 1, completions = -1, succeeded = 0;
    snprintf(path, sizeof path, "%s.suspend", spec);
    if (expand_true(x, path)) {
        return 0;
    }
    snprintf(path, sizeof path, "%s.parallelism", spec);
    (void)expand_i64(x, path, &parallelism);
    snprintf(path, sizeof path, "%s.completions", spec);
    if (!expand_i64(x, path, &completions)) {
        completions = parallelism; /* a work queue: as many as run at once */
    }
    if (x->c->kind == CTL_JOB) {
        (void)expand_i64(x, "status.succeeded", &succeeded);
    }
    int64_t left = completions - succeeded;
    return left < parallelism ? left : parallelism;
}

/* Pods that the controller wants, before what it has is taken off. */
static int64_t wanted_pods(const struct expand *x)
{
    int64_t n = 1;
    char path[192];
    switch (x->c->kind) {
    case CTL_JOB:
        return job_pods(x, "spec");
    case CTL_CRON_JOB:
        return expand_true(x, "spec.suspend") ? 0 : job_pods(x, "spec.jobTemplate.spec");
    case CTL_GAME_SERVER:
        return x->c->state == GAME_ENDED ? 0 : 1;
    case CTL_FLEET:
    case CTL_GAME_SERVER_SET:
        n = 0; /* Agones' default */
        break;
    case CTL_CUSTOM:
        if (x->c->path->replicas_path.n > 0) {
            snprintf(path, sizeof path, "%.*s", STR_ARG(x->c->path->replicas_path));
            (void)expand_i64(x, path, &n);
            return n;
        }
        break;
    default:
        break;
    }
    (void)expand_i64(x, "spec.replicas", &n);
    return n;
}

static int64_t present_pods(const struct expand *x)
{
    const struct controller *c = x->c;
    int64_t n = load_owned(x->im, c->kind_name, c->ns, c->name, c->uid);
    switch (c->kind) {
    case CTL_DEPLOYMENT:
        return n + derived(x, "Deployment");
    case CTL_CRON_JOB:
        return n + derived(x, "CronJob");
    case CTL_FLEET:
        return n + derived(x, "Fleet");
    case CTL_GAME_SERVER_SET:
        return n + derived(x, "GameServerSet");
    default:
        return n;
    }
}

/* A Deployment's pods belong to a ReplicaSet, which is made with its hash of the template. */
static int make_replica_set(struct expand *x, struct owner_desc *ret_owner,
                            struct kv_desc *ret_label)
{
    struct workload_desc d;
    struct str template = {x->json.p + x->template_at, x->json.n - x->template_at};
    struct k8s_head head = {.api_version = x->c->api_version, .kind = STR("ReplicaSet")};
    int rc = k8s_decode_workload_as(&head, x->json, x->a, &d, x->err);
    struct owner_desc *owner = arena_calloc(x->a, 1, sizeof *owner);
    struct str hash = expand_format(x, "%08x", (unsigned)(str_hash(template, 1, 2) & 0xffffffffu));
    if (rc != 0 || owner == NULL || hash.p == NULL) {
        return rc != 0 ? rc : err_nomem(x->err);
    }
    *owner = (struct owner_desc){STR("apps/v1"), STR("Deployment"), x->c->name, x->c->uid, true};
    *ret_label = (struct kv_desc){STR("pod-template-hash"), hash};
    d.meta.name = expand_format(x, "%.*s-%.*s", STR_ARG(x->c->name), STR_ARG(hash));
    d.meta.uid = expand_format(x, "made/%.*s", STR_ARG(d.meta.name));
    d.meta.owners.p = owner;
    d.meta.owners.n = 1;
    d.selector.match_labels = expand_merge(x, d.selector.match_labels, ret_label, 1);
    if (d.meta.name.p == NULL || d.meta.uid.p == NULL || x->short_memory) {
        return err_nomem(x->err);
    }
    *ret_owner =
        (struct owner_desc){STR("apps/v1"), STR("ReplicaSet"), d.meta.name, d.meta.uid, true};
    return cluster_upsert_workload(x->l->cluster, &d, x->err);
}

static int make_plain(struct expand *x, int64_t count)
{
    struct owner_desc owner = {x->c->api_version, x->c->kind_name, x->c->name, x->c->uid, true};
    struct kv_desc labels[2];
    uint32_t n_labels = 0;
    int rc = 0;
    if (x->c->kind == CTL_DEPLOYMENT) {
        rc = make_replica_set(x, &owner, labels);
        n_labels = 1;
    } else if (x->c->kind == CTL_JOB) {
        labels[0] = (struct kv_desc){STR("batch.kubernetes.io/job-name"), x->c->name};
        labels[1] = (struct kv_desc){STR("job-name"), x->c->name};
        n_labels = 2;
    }
    for (int64_t i = 0; i < count && rc == 0; i++) {
        struct pod_desc pod = x->pod;
        expand_next_pod(x);
        rc = expand_make(x, &pod, expand_name(x), &owner, labels, n_labels);
    }
    return rc;
}

/* A number of pods that is there must be one: 0 when it is (or absent), 1 when it is not and that was said, or negative. */
static int check_count(struct expand *x, const char *path)
{
    size_t at;
    struct scan s;
    int64_t n = 0;
    if (!k8s_find_field(x->json, path, &at)) {
        return 0;
    }
    scan_init(&s, (struct str){x->json.p + at, x->json.n - at});
    enum scan_type type = scan_peek(&s);
    if (type == SCAN_NULL || (type == SCAN_NUMBER && scan_i64(&s, &n) && n >= 0)) {
        return 0;
    }
    int rc = expand_fault(x, path,
                          n < 0 ? "a negative number of pods: write 0 or more"
                                : "a whole number was expected");
    return rc != 0 ? rc : 1;
}

static int check_counts(struct expand *x)
{
    static const char *const paths[] = {"spec.replicas", "spec.parallelism", "spec.completions",
                                        "spec.jobTemplate.spec.parallelism",
                                        "spec.jobTemplate.spec.completions"};
    char path[192] = "";
    int rc = 0;
    if (x->c->kind == CTL_CUSTOM) {
        snprintf(path, sizeof path, "%.*s", STR_ARG(x->c->path->replicas_path));
        return path[0] != '\0' ? check_count(x, path) : 0;
    }
    for (size_t i = 0; i < SP_COUNTOF(paths) && rc == 0; i++) {
        rc = check_count(x, paths[i]);
    }
    return rc;
}

static int make_pods(struct expand *x)
{
    const struct controller *c = x->c;
    int faulty = check_counts(x);
    if (faulty != 0) {
        return faulty < 0 ? faulty : 0;
    }
    if (c->kind == CTL_DAEMON_SET) {
        return expand_daemon_set(x);
    }
    int64_t count = wanted_pods(x);
    if (count > LIMIT_EXPAND_PODS) {
        return expand_fault(x, "spec.replicas", "more than 1000000 pods of one controller");
    }
    if (c->kind == CTL_STATEFUL_SET) {
        return expand_stateful_set(x, count);
    }
    if (c->kind == CTL_OKG_SET) {
        return expand_okg_set(x, count);
    }
    if (!c->workload) {
        count -= present_pods(x);
    }
    if (count <= 0) {
        return 0;
    }
    if (c->kind == CTL_CRON_JOB) {
        loaded_note(x->l, NOTE_CRONJOB, 1);
    }
    if (c->kind == CTL_FLEET || c->kind == CTL_GAME_SERVER_SET || c->kind == CTL_GAME_SERVER) {
        return expand_game_servers(x, count);
    }
    return make_plain(x, count);
}

/* Agones' container is a name; the container itself belongs into the pod template. */
static int check_agones(struct expand *x)
{
    const char *path =
        x->c->kind == CTL_GAME_SERVER ? "spec.container" : "spec.template.spec.container";
    size_t at;
    if (k8s_find_field(x->json, path, &at) && x->json.p[at] == '{') {
        return expand_fault(x, path,
                            x->c->kind == CTL_GAME_SERVER
                                ? "the name of a container was expected, found an object: put the "
                                  "container into the list "
                                  "spec.template.spec.containers"
                                : "the name of a container was expected, found an object: put the "
                                  "container into the list "
                                  "spec.template.spec.template.spec.containers");
    }
    return 1;
}

static int expand_one(struct expand *x)
{
    const struct controller *c = x->c;
    bool agones =
        c->kind == CTL_FLEET || c->kind == CTL_GAME_SERVER_SET || c->kind == CTL_GAME_SERVER;
    x->json = (struct str){c->json, c->n_json};
    x->ctx = (struct load_ctx){.l = x->l,
                               .im = x->im,
                               .file = c->file,
                               .workload = c->workload,
                               .lenient = c->lenient,
                               .line = c->line,
                               .column = c->column,
                               .marks = c->marks.n > 0 ? (struct yaml_marks *)(uintptr_t)&c->marks
                                                       : NULL};
    x->next = 0;
    arena_reset(x->a);
    x->to = x->a;
    if (made_by_another(x)) {
        return 0;
    }
    int rc = agones ? check_agones(x) : 1;
    rc = rc == 1 ? read_template(x) : rc;
    return rc == 1 ? make_pods(x) : rc;
}

/* The two classes that every cluster has; manifests name them without bringing them. */
static int built_in_priorities(struct cluster *c, struct err *err)
{
    const struct priority_class_desc classes[] = {
        {.meta.name = STR("system-cluster-critical"), .value = 2000000000},
        {.meta.name = STR("system-node-critical"), .value = 2000001000},
    };
    int rc = 0;
    for (size_t i = 0; i < SP_COUNTOF(classes) && rc == 0; i++) {
        rc = cluster_upsert_priority_class(c, &classes[i], err);
    }
    return rc;
}

int load_expand(struct loaded *l, struct err *err)
{
    struct load_impl *im = l->impl;
    struct arena arena, each;
    struct name_map derived_names = {.keys = &im->keys};
    struct expand x = {.l = l,
                       .im = im,
                       .a = &arena,
                       .each = &each,
                       .to = &arena,
                       .err = err,
                       .derived = &derived_names};
    arena_init(&arena, (size_t)1 << 30);
    arena_init(&each, LIMIT_ITEM_ARENA);
    load_count_owners(im, l->cluster);
    int rc = index_controllers(&x);
    rc = rc == 0 && im->controllers.n > 0 ? derive_from_pods(&x) : rc;
    rc = rc == 0 ? derive_from_game_servers(&x) : rc;
    rc = rc != 0 ? err_nomem(err) : built_in_priorities(l->cluster, err);
    for (size_t i = 0; i < im->controllers.n && rc == 0; i++) {
        x.c = &im->controllers.p[i];
        rc = expand_one(&x);
        if (rc == 0 && (x.short_memory || im->short_memory)) {
            rc = err_nomem(err);
        }
    }
    name_map_done(&derived_names);
    mem_free(x.derived_n.p);
    arena_done(&arena);
    arena_done(&each);
    return rc;
}
