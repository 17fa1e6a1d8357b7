// SPDX-License-Identifier: Apache-2.0
#include "support/gen_model.h"

#include <stdio.h>
#include <stdlib.h>

uint32_t gen_below(struct gen_world *w, uint32_t n)
{
    return (uint32_t)rng_below(&w->rng, n);
}

bool gen_chance(struct gen_world *w, uint32_t percent)
{
    return gen_below(w, 100) < percent;
}

static void must(int r, const struct err *err, const char *what)
{
    if (r != 0) {
        (void)fprintf(stderr, "%s: %d %s\n", what, r, err->text);
        abort();
    }
}

static struct quantity units(int64_t n)
{
    return (struct quantity){(i128)n * 1000000000};
}

static struct quantity milli(int64_t n)
{
    return (struct quantity){(i128)n * 1000000};
}

#define PICK(w, list) ((list)[gen_below((w), (uint32_t)SP_COUNTOF(list))])

static const struct str zones[] = {STR("eu-central-1a"), STR("eu-central-1b"), STR("eu-west-1a")};
static const struct str regions[] = {STR("eu-central-1"), STR("eu-central-1"), STR("eu-west-1")};
static const struct str apps[] = {STR("arena"), STR("racer"), STR("web"), STR("bot")};
static const struct str disks[] = {STR("ssd"), STR("hdd")};
static const struct str types[] = {STR("c7g.large"), STR("m6i.xlarge"), STR("t3.medium"),
                                   STR("weird")};
static const struct str pool_names[] = {STR("metal"), STR("ondemand"), STR("spot")};
static const struct taint_desc taint_kinds[] = {
    {STR("game.example/dedicated"), STR("arena"), EFFECT_NO_SCHEDULE},
    {STR("game.example/dedicated"), STR("racer"), EFFECT_NO_SCHEDULE},
    {STR("game.example/maintenance"), STR(""), EFFECT_NO_EXECUTE},
    {STR("game.example/noisy"), STR("yes"), EFFECT_PREFER_NO_SCHEDULE},
    {STR("node-type"), STR("spot"), EFFECT_NO_SCHEDULE},
};

void gen_node_fix(struct gen_node *n)
{
    n->d.meta.name = str_c(n->name);
    n->d.meta.labels = (kv_list){n->labels, n->n_labels};
    n->d.taints.p = n->taints;
    n->d.taints.n = n->n_taints;
    n->d.allocatable = (qty_list){n->alloc, n->n_alloc};
    n->d.capacity = n->d.allocatable;
    for (uint32_t i = 0; i < n->n_labels; i++) {
        if (str_is(n->labels[i].key, "kubernetes.io/hostname")) {
            n->labels[i].val = n->d.meta.name;
        }
    }
}

static void add_label(struct gen_node *n, const char *key, struct str val)
{
    n->labels[n->n_labels++] = (struct kv_desc){str_c(key), val};
}

void gen_node_make(struct gen_world *w, struct gen_node *n, uint32_t number)
{
    *n = (struct gen_node){0};
    (void)snprintf(n->name, sizeof n->name, "%c-node-%u", (char)('a' + gen_below(w, 5)), number);
    if (gen_chance(w, 95)) {
        add_label(n, "kubernetes.io/hostname", STR(""));
    }
    uint32_t zone = gen_below(w, SP_COUNTOF(zones));
    if (gen_chance(w, 88)) {
        add_label(n, "topology.kubernetes.io/zone", zones[zone]);
        add_label(n, "topology.kubernetes.io/region", regions[zone]);
    }
    if (gen_chance(w, 70)) {
        add_label(n, "disk", PICK(w, disks));
    }
    if (gen_chance(w, 70)) {
        add_label(n, "node.kubernetes.io/instance-type", PICK(w, types));
    }
    uint32_t pool = gen_below(w, SP_COUNTOF(pool_names));
    if (gen_chance(w, 75)) {
        add_label(n, "game.example/pool", pool_names[pool]);
        if (gen_chance(w, 80)) {
            add_label(n, "karpenter.sh/capacity-type", pool == 2 ? STR("spot") : STR("on-demand"));
        }
    }
    while (gen_chance(w, 22) && n->n_taints < 3) {
        n->taints[n->n_taints] = PICK(w, taint_kinds);
        n->n_taints++;
        if (n->n_taints == 2 && str_eq(n->taints[0].key, n->taints[1].key) &&
            n->taints[0].effect == n->taints[1].effect) {
            n->n_taints--;
        }
    }
    n->d.unschedulable = gen_chance(w, 10);
    if (n->d.unschedulable && gen_chance(w, 50)) {
        n->taints[n->n_taints++] = (struct taint_desc){STR("node.kubernetes.io/unschedulable"),
                                                       STR(""), EFFECT_NO_SCHEDULE};
    }
    n->alloc[n->n_alloc++] =
        (struct qty_desc){STR("cpu"), milli(500 * (2 + (int64_t)gen_below(w, 15)))};
    n->alloc[n->n_alloc++] =
        (struct qty_desc){STR("memory"), units((1 + (int64_t)gen_below(w, 16)) << 30)};
    n->alloc[n->n_alloc++] =
        (struct qty_desc){STR("pods"), units(gen_chance(w, 30) ? 2 + gen_below(w, 5) : 110)};
    if (gen_chance(w, 20)) {
        n->alloc[n->n_alloc++] =
            (struct qty_desc){STR("nvidia.com/gpu"), units(1 + gen_below(w, 4))};
    }
    if (gen_chance(w, 20)) {
        n->alloc[n->n_alloc++] =
            (struct qty_desc){STR("example.com/licence"), units(1 + gen_below(w, 3))};
    }
    gen_node_fix(n);
}

void gen_pod_fix(struct gen_pod *p)
{
    struct pod_desc *d = &p->d;
    d->meta.name = str_c(p->name);
    d->meta.uid = str_c(p->uid);
    d->meta.labels = (kv_list){p->labels, p->n_labels};
    d->meta.annotations = (kv_list){p->annotations, p->n_annotations};
    d->node_selector = (kv_list){p->node_selector, p->n_node_selector};
    d->tolerations.p = p->tolerations;
    d->tolerations.n = p->n_tolerations;
    p->container.name = STR("game");
    p->container.requests = (qty_list){p->requests, p->n_requests};
    p->container.ports.p = p->ports;
    p->container.ports.n = p->n_ports;
    d->containers.p = &p->container;
    d->containers.n = 1;
    for (uint32_t i = 0; i < SP_COUNTOF(p->exprs); i++) {
        p->exprs[i].values.p = p->values[i];
    }
    for (uint32_t i = 0; i < SP_COUNTOF(p->terms); i++) {
        p->terms[i].match_expressions = (expr_list){&p->exprs[i], 1};
    }
    p->preferred[0].match_expressions = (expr_list){&p->exprs[2], 1};
    d->node_required = (node_term_list){p->terms, p->n_terms};
    d->has_node_required = p->n_terms > 0;
    d->node_preferred = (node_term_list){p->preferred, p->n_preferred};
    struct selector_desc *selectors[] = {&p->affinity[0].selector, &p->anti[0].selector,
                                         &p->wish[0].selector,     &p->spread[0].selector,
                                         &p->spread[1].selector,   &p->affinity[1].selector};
    for (uint32_t i = 0; i < SP_COUNTOF(selectors); i++) {
        if (selectors[i]->match_labels.n) {
            selectors[i]->match_labels.p = &p->match[i];
        }
    }
    d->affinity_required = (pod_term_list){p->affinity, p->n_affinity};
    d->anti_required = (pod_term_list){p->anti, p->n_anti};
    d->anti_preferred = (pod_term_list){p->wish, p->n_wish};
    d->spread.p = p->spread;
    d->spread.n = p->n_spread;
    d->volumes.p = p->volumes;
    d->volumes.n = p->n_volumes;
}

static struct selector_desc app_selector(struct gen_world *w, struct gen_pod *p, uint32_t slot)
{
    p->match[slot] = (struct kv_desc){STR("app"), PICK(w, apps)};
    if (gen_chance(w, 60)) {
        p->match[slot].val = p->labels[0].val;
    }
    return (struct selector_desc){.given = true, .match_labels = {NULL, gen_chance(w, 92)}};
}

static struct str topology_key(struct gen_world *w)
{
    return gen_chance(w, 50) ? STR("topology.kubernetes.io/zone") : STR("kubernetes.io/hostname");
}

static void make_requests(struct gen_world *w, struct gen_pod *p)
{
    if (gen_chance(w, 90)) {
        p->requests[p->n_requests++] =
            (struct qty_desc){STR("cpu"), milli(100 * (1 + (int64_t)gen_below(w, 30)))};
    }
    if (gen_chance(w, 80)) {
        p->requests[p->n_requests++] =
            (struct qty_desc){STR("memory"), units((1 + (int64_t)gen_below(w, 40)) << 27)};
    }
    if (gen_chance(w, 12)) {
        p->requests[p->n_requests++] =
            (struct qty_desc){STR("nvidia.com/gpu"), units(gen_below(w, 3))};
    }
    if (gen_chance(w, 8)) {
        p->requests[p->n_requests++] = (struct qty_desc){STR("example.com/licence"), units(1)};
    }
}

static void make_node_wishes(struct gen_world *w, struct gen_pod *p)
{
    if (gen_chance(w, 15)) {
        p->node_selector[p->n_node_selector++] = (struct kv_desc){STR("disk"), PICK(w, disks)};
    }
    if (gen_chance(w, 18)) {
        p->n_terms = 1 + gen_below(w, 2);
        p->exprs[0] =
            (struct expr_desc){.key = STR("topology.kubernetes.io/zone"), .op = STR("In")};
        p->exprs[0].values.n = 1 + gen_below(w, 2);
        p->exprs[1] = (struct expr_desc){.key = STR("disk"),
                                         .op = gen_chance(w, 50) ? STR("NotIn") : STR("Exists")};
        p->exprs[1].values.n = str_is(p->exprs[1].op, "NotIn");
        p->values[0][0] = PICK(w, zones);
        p->values[0][1] = PICK(w, zones);
        p->values[1][0] = PICK(w, disks);
    }
    if (gen_chance(w, 15)) {
        p->n_preferred = 1;
        p->preferred[0].weight = 1 + (int32_t)gen_below(w, 100);
        p->exprs[2] = (struct expr_desc){.key = STR("disk"), .op = STR("In"), .values = {NULL, 1}};
        p->values[2][0] = PICK(w, disks);
    }
    while (gen_chance(w, 30) && p->n_tolerations < 3) {
        struct taint_desc t = PICK(w, taint_kinds);
        p->tolerations[p->n_tolerations++] =
            (struct toleration_desc){.key = t.key,
                                     .val = t.val,
                                     .op = gen_chance(w, 70) ? TOLERATE_EQUAL : TOLERATE_EXISTS,
                                     .effect = gen_chance(w, 70) ? t.effect : EFFECT_ANY};
    }
}

static void make_pod_wishes(struct gen_world *w, struct gen_pod *p)
{
    if (gen_chance(w, 12)) {
        p->n_affinity = 1 + gen_chance(w, 30);
        p->affinity[0] = (struct pod_term_desc){.selector = app_selector(w, p, 0),
                                                .topology_key = topology_key(w)};
        p->affinity[1] = (struct pod_term_desc){.selector = app_selector(w, p, 5),
                                                .topology_key = topology_key(w)};
    }
    if (gen_chance(w, 15)) {
        p->n_anti = 1;
        p->anti[0] = (struct pod_term_desc){.selector = app_selector(w, p, 1),
                                            .topology_key = topology_key(w)};
        if (gen_chance(w, 20)) {
            p->anti[0].ns_selector.given = true; /* every namespace */
        }
    }
    if (gen_chance(w, 15)) {
        p->n_wish = 1;
        p->wish[0] = (struct pod_term_desc){
            .selector = app_selector(w, p, 2), .topology_key = topology_key(w), .weight = 50};
    }
    p->n_spread = gen_chance(w, 25) ? 1 + gen_below(w, 2) : 0;
    for (uint32_t i = 0; i < p->n_spread; i++) {
        p->spread[i] = (struct spread_desc){.topology_key = topology_key(w),
                                            .selector = app_selector(w, p, 3 + i),
                                            .max_skew = 1 + (int32_t)gen_below(w, 2),
                                            .hard = gen_chance(w, 70),
                                            .affinity_ignore = gen_chance(w, 30),
                                            .taints_honor = gen_chance(w, 30)};
        p->spread[i].min_domains = p->spread[i].hard && gen_chance(w, 20) ? 3 : 0;
    }
}

void gen_pod_make(struct gen_world *w, struct gen_pod *p)
{
    static const struct str ports[] = {STR("TCP"), STR("UDP")};
    *p = (struct gen_pod){0};
    uint32_t number = w->n_made++;
    (void)snprintf(p->name, sizeof p->name, "pod-%u", number);
    (void)snprintf(p->uid, sizeof p->uid, "uid-%u-%u", (uint32_t)(w->seed & 0xffffff), number);
    p->d.meta.ns = gen_chance(w, 85) ? STR("games") : STR("other");
    p->d.phase = PHASE_PENDING;
    p->labels[p->n_labels++] = (struct kv_desc){STR("app"), PICK(w, apps)};
    if (gen_chance(w, 25)) {
        p->annotations[p->n_annotations++] =
            (struct kv_desc){STR("spawnpoint.dev/players"), STR("7")};
    }
    if (gen_chance(w, 20)) {
        p->annotations[p->n_annotations++] = (struct kv_desc){
            STR("spawnpoint.dev/spot"), gen_chance(w, 50) ? STR("never") : STR("preferred")};
    }
    if (gen_chance(w, 15)) {
        p->annotations[p->n_annotations++] =
            (struct kv_desc){STR("spawnpoint.dev/demand"), STR("{\"DE\":0.7,\"IE\":0.3}")};
    }
    make_requests(w, p);
    make_node_wishes(w, p);
    make_pod_wishes(w, p);
    if (gen_chance(w, 25)) {
        p->ports[p->n_ports++] =
            (struct port_desc){.protocol = PICK(w, ports),
                               .host_ip = gen_chance(w, 20) ? STR("10.0.0.1") : STR(""),
                               .host_port = 7777 + (int32_t)gen_below(w, 2),
                               .container_port = 7777};
    }
    if (w->n_pods != UINT32_MAX && gen_chance(w, 5) && w->settings.fleets.n > 0) {
        static const struct str claims[] = {STR("save-0"), STR("save-1"), STR("save-2")};
        p->n_volumes = 1;
        p->volumes[0] = (struct volume_desc){.name = STR("save"), .claim = PICK(w, claims)};
    }
    gen_pod_fix(p);
}

static void world_settings(struct gen_world *w, bool plain)
{
    static const struct kv_desc arena_match[] = {{STR("app"), STR("arena")}};
    static const struct kv_desc racer_match[] = {{STR("app"), STR("racer")}};
    static const struct kv_desc pool_match[3] = {{STR("game.example/pool"), STR("metal")},
                                                 {STR("game.example/pool"), STR("ondemand")},
                                                 {STR("game.example/pool"), STR("spot")}};
    static const struct demand_share demand[] = {{STR("DE"), 0.6}, {STR("FR"), 0.4}};
    struct err err = ERR_NONE;
    must(settings_default(&w->settings, &err), &err, "settings");
    if (plain) {
        return;
    }
    for (uint32_t i = 0; i < 3; i++) {
        w->pools[i] = (struct pool_settings){.name = pool_names[i], .price_nano_hour = -1};
        w->pools[i].match =
            (struct selector_desc){.given = true, .match_labels = {&pool_match[i], 1}};
    }
    w->fleets[0] = w->settings.defaults;
    w->fleets[0].name = STR("arena");
    w->fleets[0].match = (struct selector_desc){.given = true, .match_labels = {arena_match, 1}};
    w->fleets[0].demand = (demand_list){demand, 2};
    w->fleets[0].players = 10;
    w->fleets[0].zone_spread.set = true;
    w->fleets[0].zone_spread.max_player_share = gen_chance(w, 70) ? 0.5 : 1;
    w->fleets[0].spot.min_on_demand_share = gen_chance(w, 50) ? 0.4 : 0;
    w->fleets[0].pools = (str_list){pool_names, 3};
    w->fleets[1] = w->settings.defaults;
    w->fleets[1].name = STR("racer");
    w->fleets[1].match = (struct selector_desc){.given = true, .match_labels = {racer_match, 1}};
    w->fleets[1].players = 24;
    w->fleets[1].zone_spread.set = true;
    w->fleets[1].zone_spread.max_skew = gen_chance(w, 60);
    w->fleets[1].max_servers_per_node = gen_chance(w, 50) ? 2 : 0;
    w->fleets[1].spot.max_pool_share = gen_chance(w, 70) ? 0.25 : 1;
    w->fleets[1].latency_class = STR("competitive");
    w->fleets[1].demand = (demand_list){demand, gen_chance(w, 50) ? 2 : 0};
    w->settings.fleets.p = w->fleets;
    w->settings.fleets.n = 2;
    w->settings.pools.p = w->pools;
    w->settings.pools.n = 3;
    uint32_t n = 0;
    static const struct str from[] = {STR("DE"), STR("FR"), STR("IE")};
    for (uint32_t i = 0; i < 3; i++) {
        for (uint32_t z = 0; z < 3; z++) {
            if (gen_chance(w, 80)) {
                w->rows[n++] = (struct latency_row){from[i], zones[z], 10 + gen_below(w, 120),
                                                    gen_below(w, 10)};
            }
        }
    }
    w->settings.latency.rows.p = w->rows;
    w->settings.latency.rows.n = n;
}

void gen_world_make(struct gen_world *w, uint64_t seed, const struct gen_opts *opts)
{
    *w = (struct gen_world){.seed = seed};
    rng_seed(&w->rng, seed);
    world_settings(w, opts->plain);
    w->n_nodes = opts->nodes_min + gen_below(w, opts->nodes_max - opts->nodes_min + 1);
    for (uint32_t i = 0; i < w->n_nodes; i++) {
        gen_node_make(w, &w->nodes[i], i);
    }
    uint32_t pods = gen_below(w, opts->pods_max + 1);
    for (uint32_t i = 0; i < pods && w->n_nodes > 0; i++) {
        struct gen_pod *p = &w->pods[w->n_pods];
        gen_pod_make(w, p);
        p->d.phase = PHASE_RUNNING;
        p->d.meta.deleting = gen_chance(w, 6);
        w->n_pods++;
        uint32_t node = gen_below(w, w->n_nodes);
        p->d.node_name = str_c(w->nodes[node].name);
    }
}

void gen_world_copy(struct gen_world *to, const struct gen_world *from)
{
    memcpy(to, from, sizeof *to);
    if (to->settings.fleets.n > 0) {
        to->settings.fleets.p = to->fleets;
        to->settings.pools.p = to->pools;
        to->settings.latency.rows.p = to->rows;
    }
    for (uint32_t i = 0; i < to->n_nodes; i++) {
        gen_node_fix(&to->nodes[i]);
    }
    for (uint32_t i = 0; i < to->n_pods; i++) {
        gen_pod_fix(&to->pods[i]);
        for (uint32_t k = 0; k < from->n_nodes; k++) {
            if (from->pods[i].d.node_name.p == from->nodes[k].name) {
                to->pods[i].d.node_name = str_c(to->nodes[k].name);
            }
        }
    }
}

/* Two claims bound to volumes of a zone, one that waits for its first consumer. */
static void build_claims(struct cluster *c, struct err *err)
{
    static const struct str zone_value[2][1] = {{STR("eu-central-1a")}, {STR("eu-west-1a")}};
    static const struct str claims[] = {STR("save-0"), STR("save-1"), STR("save-2")};
    static const struct str volumes[] = {STR("pv-0"), STR("pv-1"), STR("")};
    struct storage_class_desc sc = {.provisioner = STR("ebs.csi.aws.com"),
                                    .wait_for_first_consumer = true};
    sc.meta.name = STR("wait");
    must(cluster_upsert_storage_class(c, &sc, err), err, "storage class");
    for (uint32_t i = 0; i < GEN_CLAIMS; i++) {
        struct pvc_desc pvc = {
            .storage_class = STR("wait"), .has_storage_class = true, .volume_name = volumes[i]};
        pvc.meta.ns = STR("games");
        pvc.meta.name = claims[i];
        pvc.bind_completed = i < 2;
        pvc.phase = i < 2 ? STR("Bound") : STR("Pending");
        must(cluster_upsert_pvc(c, &pvc, err), err, "claim");
        if (i < 2) {
            struct expr_desc e = {
                STR("topology.kubernetes.io/zone"), STR("In"), {zone_value[i], 1}};
            struct node_term_desc term = {.match_expressions = {&e, 1}};
            struct kv_desc zone = {STR("topology.kubernetes.io/zone"), zone_value[i][0]};
            struct pv_desc pv = {
                .storage_class = STR("wait"), .phase = STR("Bound"), .has_node_affinity = i == 0};
            pv.node_affinity = (node_term_list){&term, 1};
            pv.meta.name = volumes[i];
            pv.meta.labels = (kv_list){&zone, i == 1};
            must(cluster_upsert_pv(c, &pv, err), err, "volume");
        }
    }
}

struct cluster *gen_world_build(const struct gen_world *w, const uint32_t *order)
{
    struct cluster *c = NULL;
    struct err err = ERR_NONE;
    static const struct kv_desc team = {STR("team"), STR("a")};
    must(cluster_new(&c, &w->settings, &err), &err, "cluster");
    static const struct str spaces[] = {STR("games"), STR("other")};
    for (uint32_t i = 0; i < 2; i++) {
        struct namespace_desc ns = {0};
        ns.meta.name = spaces[i];
        ns.meta.labels = (kv_list){&team, i};
        must(cluster_upsert_namespace(c, &ns, &err), &err, "namespace");
    }
    build_claims(c, &err);
    for (uint32_t i = 0; i < w->n_nodes; i++) {
        const struct gen_node *n = &w->nodes[order ? order[i] : i];
        node_ix ix;
        if (!n->gone) {
            must(cluster_upsert_node(c, &n->d, &ix, &err), &err, "node");
        }
    }
    for (uint32_t i = 0; i < w->n_pods; i++) {
        must(cluster_upsert_pod(c, &w->pods[i].d, NULL, &err), &err, "pod");
    }
    return c;
}
