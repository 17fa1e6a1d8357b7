/* Agones Fleets, GameServerSets and GameServers into pods, as Agones' controllers build them.
 *
 * Dynamic ports: Agones hands out the ports of its range without knowing nodes, one after the other; here 7000 + i over
 * all made game servers. The SDK sidecar is not added (its requests depend on how Agones was installed) and counted.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "wire/expand_impl.h"

#define PORT_FIRST 7000
#define PORT_LAST  8000
#define PORTS_MAX  64u

enum port_policy { POLICY_DYNAMIC = 0, POLICY_STATIC, POLICY_PASSTHROUGH, POLICY_NONE };
struct agones_port {
    enum port_policy policy;
    int32_t container_port, host_port;
    struct str protocol, container; /* protocol "TCPUDP": both */
};
struct agones {
    const char *spec; /* path of the GameServerSpec */
    struct agones_port ports[PORTS_MAX];
    uint32_t n_ports;
    struct str container;
    bool packed;
    bool annotation, label; /* safe to evict */
};

static bool read_port(struct k8s_dec *d, struct agones_port *p)
{
    struct dec_iter it;
    struct str policy = STR_NONE;
    *p = (struct agones_port){.protocol = STR("UDP")};
    if (!dec_object(d, &it)) {
        return false;
    }
    while (dec_member(d, &it)) {
        bool ok;
        if (DEC_KEY(it, "portPolicy")) {
            ok = dec_str(d, &policy);
        } else if (DEC_KEY(it, "containerPort")) {
            ok = dec_i32(d, &p->container_port);
        } else if (DEC_KEY(it, "hostPort")) {
            ok = dec_i32(d, &p->host_port);
        } else if (DEC_KEY(it, "protocol")) {
            ok = dec_str(d, &p->protocol);
        } else if (DEC_KEY(it, "container")) {
            ok = dec_str(d, &p->container);
        } else {
            ok = dec_skip(d);
        }
        if (!ok) {
            return dec_in(d, it.key);
        }
    }
    p->policy = str_is(policy, "Static")        ? POLICY_STATIC
                : str_is(policy, "Passthrough") ? POLICY_PASSTHROUGH
                : str_is(policy, "None")        ? POLICY_NONE
                                                : POLICY_DYNAMIC;
    bool known = policy.n == 0 || p->policy != POLICY_DYNAMIC || str_is(policy, "Dynamic");
    if (dec_ok(d) && !known) {
        return dec_fail(d, NULL, "portPolicy is none of Dynamic, Static, Passthrough, None");
    }
    int32_t worst = p->host_port < 0 || p->host_port > 65535 ? p->host_port : p->container_port;
    return dec_ok(d) && ((worst >= 0 && worst <= 65535) ||
                         dec_fail(d, NULL, "%d is no port (1 to 65535)", worst));
}

static bool read_ports(struct k8s_dec *d, struct agones *g)
{
    struct dec_iter it;
    if (!dec_list(d, &it)) {
        return false;
    }
    while (dec_item(d, &it)) {
        if (g->n_ports == PORTS_MAX) {
            dec_fail(d, NULL, "more than %u ports", PORTS_MAX);
            return dec_in_index(d, it.i);
        }
        if (!read_port(d, &g->ports[g->n_ports])) {
            return dec_in_index(d, it.i);
        }
        g->n_ports++;
    }
    return dec_ok(d);
}

static const char *path_of(char *out, size_t n, const struct agones *g, const char *field)
{
    snprintf(out, n, "%s.%s", g->spec, field);
    return out;
}

/* A Static port without a host port: the container's port is taken, and said. */
static void default_static(struct expand *x, struct agones *g)
{
    char path[128], text[ERR_TEXT_MAX];
    for (uint32_t i = 0; i < g->n_ports; i++) {
        struct agones_port *p = &g->ports[i];
        if (p->policy != POLICY_STATIC || p->host_port != 0) {
            continue;
        }
        struct err err = ERR_NONE;
        p->host_port = p->container_port;
        snprintf(path, sizeof path, "%s.ports[%u]", g->spec, i);
        err_set(&err, -1,
                "%s: portPolicy Static without hostPort: host port %d (the container's) is taken, "
                "so one server of %.*s "
                "fits on a node; write hostPort, or portPolicy: Dynamic",
                path, p->container_port, STR_ARG(x->c->name));
        size_t at = k8s_find_path(x->json, path);
        scan_place(x->json.p, x->json.p + at, &err.line, &err.column);
        load_place(&x->ctx, &err);
        load_warn(x->l, "%s", err_format(&err, text, sizeof text));
    }
}

/* 0, a fault, or 1 when the controller is left out. */
static int read_spec(struct expand *x, struct agones *g)
{
    char path[128];
    struct str scheduling = STR_NONE, safe = STR_NONE;
    size_t at;
    *g = (struct agones){.spec = x->c->kind == CTL_GAME_SERVER ? "spec" : "spec.template.spec",
                         .packed = true};
    if (k8s_find_field(x->json, path_of(path, sizeof path, g, "ports"), &at)) {
        struct k8s_dec d;
        dec_init(&d, (struct str){x->json.p + at, x->json.n - at}, x->a);
        if (!read_ports(&d, g)) {
            struct err err = ERR_NONE;
            dec_error(&d, &err);
            int rc = err.code == -ENOMEM ? err_nomem(x->err) : expand_fault(x, path, err.text);
            return rc != 0 ? rc : 1;
        }
    }
    (void)expand_text(x, path_of(path, sizeof path, g, "container"), &g->container);
    if (!expand_text(x, path_of(path, sizeof path, g, "scheduling"), &scheduling)) {
        (void)expand_text(x, "spec.scheduling", &scheduling);
    }
    g->packed = !str_is(scheduling, "Distributed");
    (void)expand_text(x, path_of(path, sizeof path, g, "eviction.safe"), &safe);
    g->annotation = str_is(safe, "Always");
    g->label = g->annotation || str_is(safe, "OnUpgrade");
    default_static(x, g);
    return 0;
}

static int32_t next_port(struct load_impl *im)
{
    int32_t port = im->next_port;
    im->next_port = port == PORT_LAST ? PORT_FIRST : port + 1;
    return port;
}

/* The container that the port belongs to: its own, the GameServer's, or the first. */
static uint32_t container_of(const struct pod_desc *pod, const struct agones *g,
                             const struct agones_port *p)
{
    struct str name = p->container.n > 0 ? p->container : g->container;
    uint32_t first = pod->containers.n;
    for (uint32_t i = pod->containers.n; i-- > 0;) {
        if (pod->containers.p[i].init) {
            continue;
        }
        if (name.n > 0 && str_eq(pod->containers.p[i].name, name)) {
            return i;
        }
        first = i;
    }
    return first;
}

static int add_ports(struct expand *x, const struct agones *g, struct pod_desc *pod)
{
    uint32_t n = pod->containers.n;
    struct container_desc *c = arena_alloc(x->to, n * sizeof *c + 1);
    if (c == NULL) {
        return err_nomem(x->err);
    }
    if (n > 0) {
        memcpy(c, pod->containers.p, n * sizeof *c);
    }
    pod->containers.p = c;
    for (uint32_t i = 0; i < g->n_ports; i++) {
        const struct agones_port *p = &g->ports[i];
        uint32_t k = container_of(pod, g, p);
        if (k >= n) {
            continue;
        }
        bool both = str_is(p->protocol, "TCPUDP");
        struct port_desc *list = arena_alloc(x->to, (c[k].ports.n + 2) * sizeof *list);
        if (list == NULL) {
            return err_nomem(x->err);
        }
        if (c[k].ports.n > 0) {
            memcpy(list, c[k].ports.p, c[k].ports.n * sizeof *list);
        }
        int32_t host = p->policy == POLICY_NONE ? 0
                       : p->host_port != 0      ? p->host_port
                                                : next_port(x->im);
        struct port_desc one = {.protocol = both ? STR("UDP") : p->protocol,
                                .host_port = host,
                                .container_port =
                                    p->policy == POLICY_PASSTHROUGH ? host : p->container_port};
        list[c[k].ports.n++] = one;
        if (both) {
            one.protocol = STR("TCP");
            list[c[k].ports.n++] = one;
        }
        c[k].ports.p = list;
    }
    return 0;
}

/* Packed: game servers draw game servers to their node. */
static int add_packed(struct expand *x, struct pod_desc *pod)
{
    static const struct kv_desc role[] = {{STR("agones.dev/role"), STR("gameserver")}};
    uint32_t n = pod->affinity_preferred.n;
    struct pod_term_desc *p = arena_calloc(x->to, n + 1, sizeof *p);
    if (p == NULL) {
        return err_nomem(x->err);
    }
    if (n > 0) {
        memcpy(p, pod->affinity_preferred.p, n * sizeof *p);
    }
    p[n].weight = 100;
    p[n].topology_key = STR("kubernetes.io/hostname");
    p[n].selector.given = true;
    p[n].selector.match_labels = (kv_list){role, 1};
    pod->affinity_preferred.p = p;
    pod->affinity_preferred.n = n + 1;
    return 0;
}

/* The GameServer of a made pod, so that fleet and state are known. A loaded GameServer is there already. */
static int make_game_server(struct expand *x, struct str name, struct str uid)
{
    struct game_server_desc g = {.meta = {.name = name, .ns = x->c->ns, .uid = uid},
                                 .state = GAME_STARTING,
                                 .players = -1,
                                 .players_max = -1};
    struct str fleet = x->c->kind == CTL_FLEET ? x->c->name : x->c->fleet_label;
    struct owner_desc owner = {x->c->api_version, x->c->kind_name, x->c->name, x->c->uid, true};
    const struct kv_desc labels[] = {{STR("agones.dev/fleet"), fleet}};
    if (x->c->kind == CTL_GAME_SERVER) {
        return 0;
    }
    if (fleet.n > 0) {
        g.fleet = fleet;
        g.meta.labels.p = labels;
        g.meta.labels.n = 1;
    }
    g.meta.owners.p = &owner;
    g.meta.owners.n = 1;
    return cluster_upsert_game_server(x->l->cluster, &g, x->err);
}

static int make_one(struct expand *x, const struct agones *g)
{
    static const char *const words[] = {"false", "true"};
    struct pod_desc pod = x->pod;
    struct str name = expand_name(x);
    bool loaded = x->c->kind == CTL_GAME_SERVER;
    struct str server = loaded ? x->c->name : name;
    struct str uid =
        loaded ? x->c->uid
               : expand_format(x, "made/gameserver/%.*s/%.*s", STR_ARG(x->c->ns), STR_ARG(name));
    struct owner_desc owner = {STR("agones.dev/v1"), STR("GameServer"), server, uid, true};
    const struct kv_desc labels[] = {{STR("agones.dev/role"), STR("gameserver")},
                                     {STR("agones.dev/gameserver"), server},
                                     {STR("agones.dev/safe-to-evict"), str_c(words[g->label])}};
    const struct kv_desc annotations[] = {
        {STR("cluster-autoscaler.kubernetes.io/safe-to-evict"), str_c(words[g->annotation])},
        {STR("agones.dev/container"), g->container}};
    if (name.p == NULL) {
        return err_nomem(x->err);
    }
    pod.meta.annotations =
        expand_merge(x, pod.meta.annotations, annotations, g->container.n > 0 ? 2 : 1);
    int rc = add_ports(x, g, &pod);
    rc = rc == 0 && g->packed ? add_packed(x, &pod) : rc;
    rc = rc == 0 ? make_game_server(x, server, uid) : rc;
    return rc == 0 ? expand_make(x, &pod, name, &owner, labels, SP_COUNTOF(labels)) : rc;
}

int expand_game_servers(struct expand *x, int64_t count)
{
    struct agones g;
    int rc = read_spec(x, &g);
    if (rc != 0) {
        return rc > 0 ? 0 : rc;
    }
    for (int64_t i = 0; i < count && rc == 0; i++) {
        expand_next_pod(x);
        rc = make_one(x, &g);
    }
    if (rc == 0) {
        loaded_note(x->l, NOTE_SDK_SIDECAR, (uint64_t)count);
    }
    return rc;
}
