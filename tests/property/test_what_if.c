// SPDX-License-Identifier: Apache-2.0
//
// Every what-if that an explanation tells is made once more, independently: on the descriptions, from which another cluster
// is built and the pod decided. The told node must come out.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/explain.h"
#include "policies/presets.h"
#include "support/gen_model.h"

#define DECISIONS      10000
#define PODS_PER_WORLD 8

static uint64_t n_told;
static struct {
    const char *prefix;
    uint64_t n;
} kinds[] = {
    {"cordon", 0},         {"uncordon", 0},        {"remove taint", 0},      {"add", 0},
    {"tolerate", 0},       {"request", 0},         {"drop node", 0},         {"drop host port", 0},
    {"drop topology", 0},  {"drop pod anti", 0},   {"drop pod affinity", 0}, {"zone share", 0},
    {"zone skew", 0},      {"on-demand floor", 0}, {"spot pool share", 0},   {"density", 0},
    {"latency cutoff", 0},
};

static struct str after(struct str s, const char *prefix)
{
    size_t n = strlen(prefix);
    assert_true(str_starts(s, str_c(prefix)));
    return (struct str){s.p + n, s.n - n};
}

static struct taint_desc parse_taint(struct str s)
{
    struct taint_desc t = {0};
    size_t colon = s.n;
    while (colon > 0 && s.p[colon - 1] != ':') {
        colon--;
    }
    struct str effect = {s.p + colon, s.n - colon};
    t.effect = str_is(effect, "NoSchedule") ? EFFECT_NO_SCHEDULE : EFFECT_NO_EXECUTE;
    s.n = colon - 1;
    t.key = str_cut(&s, '=');
    t.val = s;
    return t;
}

static struct qty_desc parse_amount(struct str s)
{
    struct qty_desc q = {0};
    struct err err = ERR_NONE;
    q.name = str_cut(&s, ' ');
    assert_int_equal(quantity_parse(s, &q.value, &err), 0);
    return q;
}

static void drop_taints(struct gen_node *n, struct str key, const struct taint_desc *exact)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n->n_taints; i++) {
        bool hit = exact ? str_eq(n->taints[i].key, exact->key) &&
                               str_eq(n->taints[i].val, exact->val) &&
                               n->taints[i].effect == exact->effect
                         : str_eq(n->taints[i].key, key);
        if (!hit) {
            n->taints[kept++] = n->taints[i];
        }
    }
    assert_true(kept < n->n_taints || !exact);
    n->n_taints = kept;
}

static void change_node(struct gen_world *w, struct str rest)
{
    struct gen_node *n = NULL;
    struct str name = str_cut(&rest, ':');
    rest = after(rest, " ");
    for (uint32_t i = 0; i < w->n_nodes; i++) {
        n = str_is(name, w->nodes[i].name) ? &w->nodes[i] : n;
    }
    assert_non_null(n);
    if (str_is(rest, "cordon")) {
        n->d.unschedulable = true;
    } else if (str_is(rest, "uncordon")) {
        n->d.unschedulable = false;
        drop_taints(n, STR("node.kubernetes.io/unschedulable"), NULL);
    } else if (str_starts(rest, STR("remove taint "))) {
        struct taint_desc t = parse_taint(after(rest, "remove taint "));
        drop_taints(n, t.key, &t);
    } else {
        struct qty_desc q = parse_amount(after(rest, "add "));
        for (uint32_t i = 0; i < n->n_alloc; i++) {
            if (str_eq(n->alloc[i].name, q.name)) {
                n->alloc[i].value.nano += q.value.nano;
            }
        }
    }
    gen_node_fix(n);
}

static void drop_port(struct gen_pod *p, struct str rest)
{
    struct str number = str_cut(&rest, '/');
    for (uint32_t i = 0; i < p->n_ports; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", p->ports[i].host_port);
        if (str_is(number, text) && str_eq(rest, p->ports[i].protocol)) {
            p->ports[i].host_port = 0;
        }
    }
}

static void drop_hard_spread(struct gen_pod *p)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < p->n_spread; i++) {
        if (!p->spread[i].hard) {
            if (kept != i) { /* its selector's text moves with it */
                p->match[3 + kept] = p->match[3 + i];
            }
            p->spread[kept++] = p->spread[i];
        }
    }
    p->n_spread = kept;
}

static void change_pod(struct gen_pod *p, struct str rest)
{
    if (str_starts(rest, STR("tolerate "))) {
        struct taint_desc t = parse_taint(after(rest, "tolerate "));
        p->tolerations[p->n_tolerations++] =
            (struct toleration_desc){t.key, t.val, TOLERATE_EQUAL, t.effect};
    } else if (str_starts(rest, STR("request "))) {
        struct qty_desc q = parse_amount(after(rest, "request "));
        for (uint32_t i = 0; i < p->n_requests; i++) {
            if (str_eq(p->requests[i].name, q.name)) {
                p->requests[i].value = q.value;
            }
        }
    } else if (str_is(rest, "drop node affinity")) {
        p->n_node_selector = 0;
        p->n_terms = 0;
    } else if (str_starts(rest, STR("drop host port "))) {
        drop_port(p, after(rest, "drop host port "));
    } else if (str_is(rest, "drop topology spread")) {
        drop_hard_spread(p);
    } else if (str_is(rest, "drop pod anti-affinity")) {
        p->n_anti = 0;
    } else {
        assert_true(str_is(rest, "drop pod affinity"));
        p->n_affinity = 0;
    }
    gen_pod_fix(p);
}

static void change_fleet(struct gen_world *w, const struct gen_pod *p, struct str rest)
{
    struct fleet_settings *f = &w->settings.defaults;
    for (uint32_t i = 0; i < w->settings.fleets.n; i++) {
        f = str_eq(w->fleets[i].name, p->labels[0].val) ? &w->fleets[i] : f;
    }
    if (str_is(rest, "latency cutoff off")) {
        w->settings.latency.max_over_share = 1;
    } else if (str_is(rest, "zone share 1")) {
        f->zone_spread.max_player_share = 1;
    } else if (str_is(rest, "zone skew off")) {
        f->zone_spread.max_skew = 0;
    } else if (str_is(rest, "on-demand floor 0")) {
        f->spot.min_on_demand_share = 0;
    } else if (str_is(rest, "spot pool share 1")) {
        f->spot.max_pool_share = 1;
    } else {
        assert_true(str_is(rest, "density cap off"));
        f->max_servers_per_core = 0;
        f->max_servers_per_node = 0;
    }
}

static void count_kind(struct str change)
{
    struct str rest = change;
    (void)str_cut(&rest, ':');
    for (size_t i = 0; i < SP_COUNTOF(kinds); i++) {
        kinds[i].n +=
            rest.n > 1 && str_starts((struct str){rest.p + 1, rest.n - 1}, str_c(kinds[i].prefix));
    }
}

/* The node that a fresh cluster gives, "" for none. */
static struct str decide_afresh(const struct gen_world *w, const struct gen_pod *p,
                                const char *preset, char *out, size_t n)
{
    struct err err = ERR_NONE;
    struct arena scratch;
    struct engine *e = NULL;
    struct pod_req req;
    struct decision d;
    arena_init(&scratch, 1u << 24);
    struct cluster *c = gen_world_build(w, NULL);
    assert_int_equal(cluster_compile_pod(c, &p->d, &scratch, &req, &err), 0);
    assert_int_equal(engine_new(&e, c, preset_find(str_c(preset)), &err), 0);
    struct ask ask = {.pod = &req, .waited_ms = -1, .seed = 11};
    assert_int_equal(engine_decide_plain(e, &ask, &d, &err), 0);
    struct str name = d.chosen.v == IX_NONE ? STR("") : sym_str(c->syms, c->facts[d.chosen.v].name);
    (void)snprintf(out, n, STR_FMT, STR_ARG(name));
    engine_free(e);
    cluster_free(c);
    arena_done(&scratch);
    return str_c(out);
}

static void check_told(const struct gen_world *w, const struct gen_pod *p,
                       const struct explain_what_if *told, const char *preset)
{
    static struct gen_world changed;
    char got[64];
    gen_world_copy(&changed, w);
    struct gen_pod pod = *p;
    gen_pod_fix(&pod);
    if (str_starts(told->change, STR("node "))) {
        struct str rest =
            after(told->change, "node "); /* a name holds no colon, so NAME: ends at the first */
        change_node(&changed, rest);
    } else if (str_starts(told->change, STR("pod: "))) {
        change_pod(&pod, after(told->change, "pod: "));
    } else {
        change_fleet(&changed, p, after(told->change, "fleet: "));
    }
    struct str name = decide_afresh(&changed, &pod, preset, got, sizeof got);
    if (!str_eq(name, told->chosen)) {
        fail_msg("seed %llu, %s, preset %s: \"" STR_FMT "\" was told to give \"" STR_FMT
                 "\", gives \"%s\"",
                 (unsigned long long)w->seed, p->name, preset, STR_ARG(told->change),
                 STR_ARG(told->chosen), got);
    }
    count_kind(told->change);
    n_told++;
}

static void explain_one(struct gen_world *w, struct cluster *c, const char *preset)
{
    struct gen_pod p;
    struct err err = ERR_NONE;
    struct arena scratch;
    struct engine *e = NULL;
    struct pod_req req;
    struct explanation x;
    char first[64];
    gen_pod_make(w, &p);
    gen_pod_fix(&p);
    arena_init(&scratch, 1u << 24);
    assert_int_equal(cluster_compile_pod(c, &p.d, &scratch, &req, &err), 0);
    assert_int_equal(engine_new(&e, c, preset_find(str_c(preset)), &err), 0);
    struct ask ask = {.pod = &req, .waited_ms = -1, .seed = 11};
    struct explain_opts opts = {.what_ifs = true, .max_what_ifs = 16};
    uint64_t before = cluster_hash(c);
    assert_int_equal(explain_make(e, c, &ask, STR("games/x"), &opts, &x, &err), 0);
    assert_true(cluster_hash(c) == before);
    assert_true(str_eq(decide_afresh(w, &p, preset, first, sizeof first), x.chosen));
    for (uint32_t i = 0; i < x.n_what_ifs; i++) {
        assert_false(str_eq(x.what_ifs[i].chosen, x.chosen));
        check_told(w, &p, &x.what_ifs[i], preset);
    }
    explain_done(&x);
    engine_free(e);
    arena_done(&scratch);
}

static void test_each_what_if_holds(void **state)
{
    (void)state;
    static struct gen_world w;
    const char *seed_text = getenv("SPAWNPOINT_SEED");
    uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 5000;
    struct gen_opts opts = {.nodes_min = 1, .nodes_max = 9, .pods_max = 24};
    for (uint32_t done = 0; done < DECISIONS; done += PODS_PER_WORLD, seed++) {
        gen_world_make(&w, seed, &opts);
        struct cluster *c = gen_world_build(&w, NULL);
        for (uint32_t i = 0; i < PODS_PER_WORLD; i++) {
            explain_one(&w, c, done % 40 == 32 ? "most-allocated" : "spawnpoint");
        }
        cluster_free(c);
    }
    for (size_t i = 0; i < SP_COUNTOF(kinds); i++) {
        print_message("%-18s %llu\n", kinds[i].prefix, (unsigned long long)kinds[i].n);
    }
    assert_true(n_told > DECISIONS / 2);
    for (size_t i = 0; i < SP_COUNTOF(kinds); i++) {
        assert_true(kinds[i].n > 0); /* a kind that is never told is not tested */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_what_if_holds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
