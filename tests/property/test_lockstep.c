// SPDX-License-Identifier: Apache-2.0
//
// The cached decision against the plain one, over random traces of assume, forget, removal and changes of nodes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "policies/presets.h"
#include "support/gen_model.h"

#define DECISIONS 24000
#define CLASSES   24

struct trace {
    struct gen_world *w;
    struct cluster *c;
    struct engine *cached, *plain;
    struct gen_pod kinds[CLASSES];
    pod_ix assumed[256];
    uint32_t n_assumed;
    uint64_t step;
    const char *preset;
};

static void explain_difference(const struct trace *t, const char *what, uint64_t a, uint64_t b)
{
    fail_msg("seed %llu, preset %s, step %llu: %s differs: cached %llu, plain %llu",
             (unsigned long long)t->w->seed, t->preset, (unsigned long long)t->step, what,
             (unsigned long long)a, (unsigned long long)b);
}

#define SAME(what, a, b)                                               \
    do {                                                               \
        if ((a) != (b)) {                                              \
            explain_difference(t, what, (uint64_t)(a), (uint64_t)(b)); \
        }                                                              \
    } while (0)

static void compare(const struct trace *t, const struct decision *a, const struct decision *b)
{
    SAME("asked", a->n_asked, b->n_asked);
    for (uint32_t i = 0; i < a->n_asked; i++) {
        SAME("reason", a->verdicts[i].reason, b->verdicts[i].reason);
        if (a->verdicts[i].reason != REASON_NONE) {
            SAME("policy", a->verdicts[i].policy, b->verdicts[i].policy);
            SAME("resource", a->verdicts[i].arg, b->verdicts[i].arg);
            SAME("unresolvable", a->verdicts[i].unresolvable, b->verdicts[i].unresolvable);
        }
    }
    SAME("feasible", a->n_feasible, b->n_feasible);
    for (uint32_t i = 0; i < a->n_feasible; i++) {
        const struct ranked *x = &a->feasible[i], *y = &b->feasible[i];
        SAME("node", x->node.v, y->node.v);
        SAME("full", x->full, y->full);
        SAME("stage", x->stage, y->stage);
        SAME("total", x->total, y->total);
        SAME("rank", x->rank, y->rank);
    }
    SAME("chosen", a->chosen.v, b->chosen.v);
    SAME("all full", a->all_full, b->all_full);
}

static void change_node(struct trace *t, struct err *err)
{
    uint32_t at = gen_below(t->w, t->w->n_nodes);
    struct gen_node *n = &t->w->nodes[at];
    node_ix ix;
    uint32_t what = gen_below(t->w, 10);
    if (what == 0 && !n->gone) {
        cluster_remove_node(t->c, n->d.meta.name);
        n->gone = true;
        return;
    }
    if (what < 3) { /* the same name, another node */
        char name[sizeof n->name];
        memcpy(name, n->name, sizeof name);
        gen_node_make(t->w, n, at);
        memcpy(n->name, name, sizeof name);
        gen_node_fix(n);
    } else if (what < 6) {
        n->d.unschedulable = !n->d.unschedulable;
    } else {
        n->alloc[0].value.nano += 500000000;
    }
    n->gone = false;
    assert_int_equal(cluster_upsert_node(t->c, &n->d, &ix, err), 0);
}

static void drop_assumed(struct trace *t, uint32_t at)
{
    t->assumed[at] = t->assumed[--t->n_assumed];
}

static void change_something(struct trace *t, struct err *err)
{
    uint32_t dice = gen_below(t->w, 100);
    if (dice < 18) {
        change_node(t, err);
    } else if (dice < 40 && t->n_assumed > 0) {
        uint32_t at = gen_below(t->w, t->n_assumed);
        cluster_forget(t->c, t->assumed[at]);
        drop_assumed(t, at);
    } else if (dice < 46 && t->w->n_pods > 0) {
        struct gen_pod *p = &t->w->pods[gen_below(t->w, t->w->n_pods)];
        if (gen_chance(t->w, 50)) {
            cluster_remove_pod(t->c, p->d.meta.ns, p->d.meta.name);
        } else {
            p->d.meta.deleting = gen_chance(t->w, 30);
            p->d.node_name = str_c(t->w->nodes[gen_below(t->w, t->w->n_nodes)].name);
            cluster_remove_pod(t->c, p->d.meta.ns, p->d.meta.name);
            assert_int_equal(cluster_upsert_pod(t->c, &p->d, NULL, err), 0);
        }
    } else if (dice < 47) { /* a class that was not there before */
        gen_pod_make(t->w, &t->kinds[gen_below(t->w, CLASSES)]);
    }
}

static struct ask make_ask(struct trace *t, const struct pod_req *req, node_ix *list)
{
    struct ask ask = {.pod = req, .seed = 7, .waited_ms = -1};
    ask.judge = (enum judge)gen_below(t->w, 3);
    ask.has_time = gen_chance(t->w, 70);
    ask.now_ms = ask.has_time ? 1790000000000 + (int64_t)t->step * 1000 : 0;
    ask.waited_ms = gen_chance(t->w, 20) ? 500000 : 0;
    if (gen_chance(t->w, 50)) { /* a part of the nodes, in any order */
        for (uint32_t row = 0; row < t->c->n_rows; row++) {
            if ((t->c->flags[row] & NODE_LIVE) && gen_chance(t->w, 70)) {
                list[ask.n_nodes++] = (node_ix){row};
            }
        }
        for (uint32_t i = ask.n_nodes; i > 1; i--) {
            uint32_t k = gen_below(t->w, i);
            node_ix x = list[i - 1];
            list[i - 1] = list[k];
            list[k] = x;
        }
        ask.nodes = list;
    }
    if (ask.n_nodes > 2 && gen_chance(t->w, 10)) {
        ask.last = list;
        ask.n_last = 1;
    }
    return ask;
}

static void one_step(struct trace *t)
{
    struct err err = ERR_NONE;
    struct arena scratch;
    node_ix list[GEN_NODES_MAX * 4];
    arena_init(&scratch, 1u << 24);
    struct gen_pod *kind = &t->kinds[gen_below(t->w, CLASSES)];
    (void)snprintf(kind->name, sizeof kind->name, "w-%llu", (unsigned long long)t->step);
    (void)snprintf(kind->uid, sizeof kind->uid, "w-uid-%llu", (unsigned long long)t->step);
    gen_pod_fix(kind);
    struct pod_req req;
    assert_int_equal(cluster_compile_pod(t->c, &kind->d, &scratch, &req, &err), 0);
    struct ask ask = make_ask(t, &req, list);
    struct decision a, b;
    assert_int_equal(engine_decide(t->cached, &ask, &a, &err), 0);
    assert_int_equal(engine_decide_plain(t->plain, &ask, &b, &err), 0);
    compare(t, &a, &b);
    if (a.chosen.v != IX_NONE && t->n_assumed < SP_COUNTOF(t->assumed) && gen_chance(t->w, 60)) {
        assert_int_equal(cluster_assume(t->c, &req, a.chosen, &t->assumed[t->n_assumed], &err), 0);
        t->n_assumed++;
    }
    arena_done(&scratch);
    if (gen_chance(t->w, 70)) {
        change_something(t, &err);
    }
}

static void run_trace(const char *preset, uint64_t seed, uint32_t steps)
{
    static struct gen_world w;
    static struct trace t;
    struct gen_opts opts = {.nodes_min = 1, .nodes_max = GEN_NODES_MAX, .pods_max = 40};
    struct err err = ERR_NONE;
    gen_world_make(&w, seed, &opts);
    t = (struct trace){.w = &w, .preset = preset};
    t.c = gen_world_build(&w, NULL);
    for (uint32_t i = 0; i < CLASSES; i++) {
        gen_pod_make(&w, &t.kinds[i]);
    }
    assert_int_equal(engine_new(&t.cached, t.c, preset_find(str_c(preset)), &err), 0);
    assert_int_equal(engine_new(&t.plain, t.c, preset_find(str_c(preset)), &err), 0);
    for (t.step = 0; t.step < steps; t.step++) {
        one_step(&t);
    }
    if (cluster_verify(t.c, &err) != 0) {
        fail_msg("seed %llu: %s", (unsigned long long)seed, err.text);
    }
    struct engine_stats s;
    engine_stats(t.cached, &s);
    assert_true(s.nodes_reused > 0); /* otherwise this test compares the plain path with itself */
    engine_free(t.cached);
    engine_free(t.plain);
    cluster_free(t.c);
}

static void test_lockstep(void **state)
{
    (void)state;
    const char *seed_text = getenv("SPAWNPOINT_SEED");
    uint64_t base = seed_text ? strtoull(seed_text, NULL, 10) : 1000;
    for (uint32_t i = 0; i < DECISIONS / 400; i++) {
        run_trace(i % 4 == 3 ? preset_names()[1 + i / 4 % 3] : "spawnpoint", base + i, 400);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lockstep)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
