// SPDX-License-Identifier: Apache-2.0
#include "support/policy_world.h"

#include "model/conventions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define ZONE_KEY "topology.kubernetes.io/zone"

static void must(int r, const struct err *err)
{
    if (r != 0) {
        fail_msg("%d: %s", r, err->text);
    }
}

static void *piece(struct world *w, size_t count, size_t size)
{
    void *p = arena_calloc(&w->arena, count, size);
    assert_non_null(p);
    return p;
}

static struct quantity units(int64_t n)
{
    return (struct quantity){(i128)n * 1000000000};
}

static kv_list pairs(struct world *w, const char *text)
{
    struct kv_desc *p = piece(w, 32, sizeof *p);
    uint32_t n = 0;
    struct str rest = str_c(text);
    while (rest.n > 0) {
        struct str one = str_cut(&rest, ';');
        p[n].key = str_cut(&one, '=');
        p[n++].val = one;
    }
    return (kv_list){p, n};
}

void world_open(struct world *w)
{
    struct err err = ERR_NONE;
    *w = (struct world){.waited_ms = -1, .judge = JUDGE_ALL};
    arena_init(&w->arena, (size_t)1 << 30);
    must(settings_default(&w->s, &err), &err);
}

void world_start(struct world *w)
{
    struct err err = ERR_NONE;
    must(cluster_new(&w->c, &w->s, &err), &err);
}

void world_close(struct world *w)
{
    struct err err = ERR_NONE;
    engine_free(w->e);
    if (w->c) {
        must(cluster_verify(w->c, &err), &err);
        cluster_free(w->c);
    }
    settings_done(&w->s);
    arena_done(&w->arena);
}

struct fleet_settings *world_fleet(struct world *w, const char *name)
{
    struct fleet_settings *all = piece(w, w->s.fleets.n + 1, sizeof *all);
    if (w->s.fleets.n) {
        memcpy(all, w->s.fleets.p, w->s.fleets.n * sizeof *all);
    }
    struct fleet_settings *f = &all[w->s.fleets.n];
    *f = w->s.defaults;
    f->name = str_c(name);
    w->s.fleets.p = all;
    w->s.fleets.n++;
    return f;
}

static void node_taints(struct world *w, struct node_desc *d, const char *text)
{
    struct taint_desc *t = piece(w, 8, sizeof *t);
    struct str rest = str_c(text);
    uint32_t n = 0;
    while (rest.n > 0) {
        struct str one = str_cut(&rest, ';'), pair = str_cut(&one, ':');
        t[n].key = str_cut(&pair, '=');
        t[n].val = pair;
        t[n++].effect = str_is(one, "PreferNoSchedule") ? EFFECT_PREFER_NO_SCHEDULE
                        : str_is(one, "NoExecute")      ? EFFECT_NO_EXECUTE
                                                        : EFFECT_NO_SCHEDULE;
    }
    d->taints.p = t;
    d->taints.n = n;
}

node_ix world_node(struct world *w, struct node_spec n)
{
    struct err err = ERR_NONE;
    struct qty_desc *q = piece(w, 4, sizeof *q);
    struct condition_desc *ready = piece(w, 1, sizeof *ready);
    struct node_desc d = {.meta = {.name = str_c(n.name), .labels = pairs(w, n.labels)},
                          .unschedulable = n.cordoned};
    q[0] = (struct qty_desc){STR("cpu"), {units(n.cpu_milli ? n.cpu_milli : 8000).nano / 1000}};
    q[1] = (struct qty_desc){STR("memory"), units((n.mem_gib ? n.mem_gib : 32) << 30)};
    q[2] = (struct qty_desc){STR("pods"), units(110)};
    q[3] = (struct qty_desc){str_c(n.gpu_res ? n.gpu_res : "nvidia.com/gpu"), units(n.gpus)};
    *ready = (struct condition_desc){STR("Ready"), STR("True"), STR("")};
    d.allocatable = (qty_list){q, n.gpus ? 4 : 3};
    d.capacity = d.allocatable;
    d.conditions.p = ready;
    d.conditions.n = 1;
    node_taints(w, &d, n.taints);
    struct image_desc *image = piece(w, 1, sizeof *image);
    if (n.image) {
        *image = (struct image_desc){str_c(n.image), n.image_mib << 20};
        d.images.p = image;
        d.images.n = 1;
    }
    node_ix ix;
    must(cluster_upsert_node(w->c, &d, &ix, &err), &err);
    return ix;
}

static pod_term_list pod_terms(struct world *w, const char *match, const char *topo, int32_t weight)
{
    struct pod_term_desc *t = piece(w, 1, sizeof *t);
    t->selector = (struct selector_desc){.given = true, .match_labels = pairs(w, match)};
    t->topology_key = str_c(topo ? topo : "kubernetes.io/hostname");
    t->weight = weight;
    return (pod_term_list){t, match ? 1 : 0};
}

static void pod_wishes(struct world *w, struct pod_desc *d, const struct pod_spec *p)
{
    int32_t weight = p->prefer_weight ? p->prefer_weight : 100;
    if (p->prefer_node) {
        struct node_term_desc *t = piece(w, 1, sizeof *t);
        struct expr_desc *e = piece(w, 1, sizeof *e);
        struct str *val = piece(w, 1, sizeof *val);
        struct str rest = str_c(p->prefer_node);
        e->key = str_cut(&rest, '=');
        e->op = STR("In");
        *val = rest;
        e->values = (str_list){val, 1};
        t->match_expressions = (expr_list){e, 1};
        t->weight = weight;
        d->node_preferred = (node_term_list){t, 1};
    }
    d->affinity_preferred = pod_terms(w, p->near, p->topo, weight);
    d->anti_preferred = pod_terms(w, p->apart, p->topo, weight);
    if (p->spread) {
        struct spread_desc *s = piece(w, 1, sizeof *s);
        s->topology_key = str_c(p->topo ? p->topo : ZONE_KEY);
        s->selector = (struct selector_desc){.given = true, .match_labels = pairs(w, p->spread)};
        s->max_skew = 1;
        d->spread.p = s;
        d->spread.n = 1;
    }
}

static struct pod_desc describe(struct world *w, const struct pod_spec *p)
{
    struct container_desc *k = piece(w, 1, sizeof *k);
    struct qty_desc *q = piece(w, 3, sizeof *q);
    struct port_desc *port = piece(w, 1, sizeof *port);
    struct owner_desc *owner = piece(w, 1, sizeof *owner);
    bool agones = p->owner && strcmp(p->owner, "GameServer") == 0;
    struct pod_desc d = {
        .meta = {.ns = STR("default"), .name = str_c(p->name ? p->name : "asked")}};
    d.meta.uid = d.meta.name;
    d.meta.labels = pairs(w, p->labels);
    d.meta.annotations = pairs(w, p->annotations);
    *owner = (struct owner_desc){agones ? STR("agones.dev/v1") : STR("apps/v1"), str_c(p->owner),
                                 STR("owner"), STR("owner-uid"), true};
    d.meta.owners = (owner_list){owner, p->owner ? 1 : 0};
    d.node_name = str_c(p->node);
    d.phase = p->node ? PHASE_RUNNING : PHASE_PENDING;
    d.ready = p->node != NULL;
    d.start_ms = p->start_ms;
    q[0] = (struct qty_desc){STR("cpu"), {units(p->cpu_milli ? p->cpu_milli : 1000).nano / 1000}};
    q[1] = (struct qty_desc){STR("memory"), units((p->mem_gib ? p->mem_gib : 1) << 30)};
    q[2] = (struct qty_desc){str_c(p->gpu_res ? p->gpu_res : "nvidia.com/gpu"), units(p->gpus)};
    *k = (struct container_desc){.name = STR("main"),
                                 .image = str_c(p->image ? p->image : "game:1")};
    k->requests = (qty_list){q, p->gpus || p->zero_gpu ? 3 : 2};
    *port = (struct port_desc){STR(""), p->udp ? STR("UDP") : STR("TCP"), p->host_port, 7000};
    k->ports.p = port;
    k->ports.n = p->host_port || p->udp ? 1 : 0;
    d.containers.p = k;
    d.containers.n = 1;
    pod_wishes(w, &d, p);
    return d;
}

pod_ix world_pod(struct world *w, struct pod_spec p)
{
    struct err err = ERR_NONE;
    struct pod_desc d = describe(w, &p);
    pod_ix ix;
    must(cluster_upsert_pod(w->c, &d, &ix, &err), &err);
    return ix;
}

void world_use(struct world *w, const struct policy *a, const struct policy *b,
               const struct policy *c)
{
    w->policies[0] = a;
    w->policies[1] = b;
    w->policies[2] = c;
    w->n_policies = c ? 3 : b ? 2 : 1;
    engine_free(w->e);
    w->e = NULL;
}

static void open_engine(struct world *w)
{
    struct err err = ERR_NONE;
    for (uint32_t i = 0; i < w->n_policies; i++) {
        w->items[i] = (struct preset_item){w->policies[i], w->policies[i]->filter ? 0 : 1};
    }
    w->preset = (struct preset){
        .name = "test", .rule = w->rule, .items = w->items, .n_items = w->n_policies};
    must(engine_new(&w->e, w->c, w->named ? w->named : &w->preset, &err), &err);
}

/* A decision made both ways, each node alike. */
static struct decision decide(struct world *w, const struct pod_spec *p, struct pod_req *req)
{
    struct err err = ERR_NONE;
    struct pod_desc desc = describe(w, p);
    must(cluster_compile_pod(w->c, &desc, &w->arena, req, &err), &err);
    if (!w->e) {
        open_engine(w);
    }
    struct ask ask = {.pod = req,
                      .judge = w->judge,
                      .has_time = w->has_time,
                      .now_ms = w->now_ms,
                      .waited_ms = w->waited_ms};
    struct decision kept, plain;
    must(engine_decide(w->e, &ask, &kept, &err), &err);
    node_ix chosen = kept.chosen;
    uint32_t n = kept.n_feasible;
    struct ranked *all = piece(w, n + 1, sizeof *all);
    memcpy(all, kept.feasible, n * sizeof *all);
    must(engine_decide_plain(w->e, &ask, &plain, &err), &err);
    assert_int_equal(chosen.v, plain.chosen.v);
    assert_int_equal(n, plain.n_feasible);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(all[i].node.v, plain.feasible[i].node.v);
        assert_int_equal(all[i].total, plain.feasible[i].total);
        assert_int_equal(all[i].stage, plain.feasible[i].stage);
        assert_int_equal(all[i].rank, plain.feasible[i].rank);
    }
    return plain;
}

const char *world_choose(struct world *w, struct pod_spec p)
{
    struct pod_req req;
    struct decision d = decide(w, &p, &req);
    return d.chosen.v == IX_NONE ? "" : sym_str(w->c->syms, w->c->facts[d.chosen.v].name).p;
}

const char *world_place(struct world *w, struct pod_spec p)
{
    struct pod_req req;
    struct err err = ERR_NONE;
    pod_ix ix;
    struct decision d = decide(w, &p, &req);
    if (d.chosen.v == IX_NONE) {
        return "";
    }
    must(cluster_assume(w->c, &req, d.chosen, &ix, &err), &err);
    return sym_str(w->c->syms, w->c->facts[d.chosen.v].name).p;
}

static bool look(struct world *w, const struct pod_spec *p, const char *name, struct verdict *v,
                 struct ranked *r)
{
    struct pod_req req;
    struct decision d = decide(w, p, &req);
    node_ix node = cluster_find_node(w->c, str_c(name));
    bool passed = false;
    assert_int_not_equal(node.v, IX_NONE);
    *v = (struct verdict){0};
    for (uint32_t i = 0; i < d.n_asked; i++) {
        if (d.nodes[i].v == node.v) {
            *v = d.verdicts[i];
        }
    }
    for (uint32_t i = 0; i < d.n_feasible; i++) {
        if (d.feasible[i].node.v == node.v) {
            *r = d.feasible[i];
            passed = true;
        }
    }
    return passed;
}

enum reason world_reason(struct world *w, struct pod_spec p, const char *node)
{
    struct verdict v;
    struct ranked r;
    bool passed = look(w, &p, node, &v, &r);
    assert_int_equal(passed, v.reason == REASON_NONE);
    return (enum reason)v.reason;
}

int64_t world_cost(struct world *w, struct pod_spec p, const char *node)
{
    struct verdict v;
    struct ranked r;
    if (!look(w, &p, node, &v, &r)) {
        fail_msg("%s is refused: %s", node, reason_text((enum reason)v.reason));
    }
    return r.total;
}

int world_stage(struct world *w, struct pod_spec p, const char *node)
{
    struct verdict v;
    struct ranked r;
    if (!look(w, &p, node, &v, &r)) {
        fail_msg("%s is refused: %s", node, reason_text((enum reason)v.reason));
    }
    return r.stage;
}

void world_explain(struct world *w, struct pod_spec p, const char *node)
{
    struct err err = ERR_NONE;
    struct pod_req req;
    struct arena arena;
    const struct policy *policy = w->policies[0];
    struct pod_desc desc = describe(w, &p);
    must(cluster_compile_pod(w->c, &desc, &w->arena, &req, &err), &err);
    arena_init(&arena, (size_t)16 << 20);
    node_ix *nodes = piece(w, w->c->n_rows, sizeof *nodes);
    int64_t *costs = piece(w, w->c->n_rows, sizeof *costs);
    struct verdict *verdicts = piece(w, w->c->n_rows, sizeof *verdicts);
    const struct pod_class *cls = cluster_class(w->c, req.cls);
    struct policy_ctx ctx = {.c = w->c,
                             .settings = w->c->settings,
                             .cls = cls,
                             .pod = &req,
                             .game = &cls->game,
                             .has_time = w->has_time,
                             .now_ms = w->now_ms,
                             .waited_ms = w->waited_ms,
                             .scratch = &arena,
                             .nodes = nodes};
    for (uint32_t row = 0; row < w->c->n_rows; row++) {
        if (w->c->flags[row] & NODE_LIVE) {
            nodes[ctx.n_nodes++] = (node_ix){row};
        }
    }
    if (policy->class_begin) {
        must(policy->class_begin(&ctx, &arena, &ctx.class_state, &err), &err);
    }
    int r = policy->prepare ? policy->prepare(&ctx, &err) : 0;
    w->term = (struct policy_term){.unit = policy->unit};
    if (r == POLICY_SKIP) {
        snprintf(w->term.note, sizeof w->term.note, "skipped");
    } else {
        uint32_t n = 0;
        must(r, &err);
        if (policy->filter) {
            policy->filter(&ctx, nodes, ctx.n_nodes, verdicts);
        }
        node_ix *passed = piece(w, w->c->n_rows, sizeof *passed);
        for (uint32_t i = 0; i < ctx.n_nodes; i++) {
            if (verdicts[i].reason == REASON_NONE) {
                passed[n++] = nodes[i];
            }
        }
        policy->cost(&ctx, passed, n, costs);
        policy->explain(&ctx, cluster_find_node(w->c, str_c(node)), &w->term);
    }
    arena_done(&arena);
}

static void constant_cost(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                          int64_t *cost)
{
    (void)ctx;
    (void)nodes;
    for (uint32_t i = 0; i < n; i++) {
        cost[i] += 1;
    }
}

struct policy policy_with_constant_cost(const struct policy *p)
{
    struct policy copy = *p;
    copy.cost = constant_cost;
    copy.stage = NULL;
    copy.rank = NULL;
    return copy;
}
