// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/mem.h"
#include "engine/explain.h"
#include "policies/presets.h"
#include "support/gen_model.h"

struct fixture {
    struct gen_world w;
    struct cluster *c;
    struct engine *e;
    struct arena scratch;
    struct gen_pod pod;
    struct pod_req req;
};
static struct fixture f;

static void open_world(uint64_t seed, uint32_t nodes, const char *preset)
{
    struct err err = ERR_NONE;
    struct gen_opts opts = {.nodes_min = nodes, .nodes_max = nodes, .pods_max = 10, .plain = true};
    gen_world_make(&f.w, seed, &opts);
    for (uint32_t i = 0; i < nodes; i++) {
        f.w.nodes[i].n_taints = 0;
        f.w.nodes[i].d.unschedulable = false;
        gen_node_fix(&f.w.nodes[i]);
    }
    f.w.n_pods = 0;
    f.c = gen_world_build(&f.w, NULL);
    arena_init(&f.scratch, 1u << 24);
    f.pod = (struct gen_pod){.name = "p", .uid = "u"};
    f.pod.d.meta.ns = STR("games");
    gen_pod_fix(&f.pod);
    assert_int_equal(cluster_compile_pod(f.c, &f.pod.d, &f.scratch, &f.req, &err), 0);
    assert_int_equal(engine_new(&f.e, f.c, preset_find(str_c(preset)), &err), 0);
}

static void close_world(void)
{
    engine_free(f.e);
    cluster_free(f.c);
    arena_done(&f.scratch);
}

static struct decision decide(const struct ask *more)
{
    struct err err = ERR_NONE;
    struct decision d;
    struct ask ask = more ? *more : (struct ask){.waited_ms = -1};
    ask.pod = &f.req;
    assert_int_equal(engine_decide(f.e, &ask, &d, &err), 0);
    return d;
}

static void test_presets(void **state)
{
    (void)state;
    for (const char *const *n = preset_names(); *n; n++) {
        const struct preset *p = preset_find(str_c(*n));
        assert_non_null(p);
        assert_string_equal(p->name, *n);
        for (uint32_t i = 0; i < p->n_items; i++) {
            assert_non_null(policy_find(str_c(p->items[i].policy->name)));
        }
    }
    assert_null(preset_find(STR("kube-1.37")));
    assert_null(policy_find(STR("nothing")));
    for (int r = REASON_NONE + 1; r < REASON_COUNT; r++) {
        assert_true(reason_text((enum reason)r)[0] != '\0');
    }
}

static void test_failed_twice_goes_to_the_back(void **state)
{
    (void)state;
    open_world(1, 6, "spawnpoint");
    struct decision d = decide(NULL);
    node_ix first = d.chosen;
    assert_true(first.v != IX_NONE);
    struct ask again = {.waited_ms = -1, .last = &first, .n_last = 1};
    d = decide(&again);
    assert_true(d.chosen.v != first.v);
    struct ask alone = {
        .waited_ms = -1, .last = &first, .n_last = 1, .nodes = &first, .n_nodes = 1};
    d = decide(&alone);
    assert_int_equal(d.chosen.v, first.v); /* last, never refused for it */
    assert_true(d.best.back);
    close_world();
}

static void test_full_nodes(void **state)
{
    (void)state;
    struct err err = ERR_NONE;
    open_world(2, 2, "spawnpoint");
    struct decision d = decide(NULL);
    node_ix full = d.chosen, other = {1 - full.v};
    f.c->alloc[RES_PODS][full.v] = 0; /* behind the caches' back: a fresh engine looks again */
    engine_free(f.e);
    assert_int_equal(engine_new(&f.e, f.c, preset_find(STR("spawnpoint")), &err), 0);
    struct ask live = {.waited_ms = -1, .judge = JUDGE_LIVE};
    d = decide(&live);
    assert_int_equal(d.chosen.v, other.v);
    assert_int_equal(d.n_feasible, 2);
    assert_int_equal(d.n_full, 1);
    assert_false(d.all_full);
    struct ask only = {.waited_ms = -1, .judge = JUDGE_LIVE, .nodes = &full, .n_nodes = 1};
    d = decide(&only);
    assert_int_equal(d.chosen.v, full.v);
    assert_true(d.all_full);
    only.judge = JUDGE_SNAPSHOT;
    d = decide(&only);
    assert_int_equal(d.chosen.v, IX_NONE);
    assert_int_equal(d.verdicts[0].reason, REASON_TOO_MANY_PODS);
    close_world();
}

static bool always(void *arg)
{
    ++*(int *)arg;
    return true;
}

static void test_over_budget(void **state)
{
    (void)state;
    int polled = 0;
    open_world(3, 4, "spawnpoint");
    struct ask ask = {.waited_ms = -1, .over_budget = always, .over_arg = &polled};
    struct decision d = decide(&ask);
    assert_true(d.over_budget);
    assert_int_equal(d.chosen.v, IX_NONE);
    assert_true(polled > 0);
    close_world();
}

static void test_top_is_sorted(void **state)
{
    (void)state;
    open_world(4, 20, "least-allocated");
    struct decision d = decide(NULL);
    struct ranked top[20], few[3];
    assert_int_equal(engine_top(f.e, &d, top, 20), d.n_feasible);
    for (uint32_t i = 1; i < d.n_feasible; i++) {
        assert_true(engine_compare(f.e, &top[i - 1], &top[i]) < 0);
    }
    assert_int_equal(top[0].node.v, d.chosen.v);
    assert_int_equal(engine_top(f.e, &d, few, 3), 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(few[i].node.v, top[i].node.v);
    }
    close_world();
}

static void test_random_goes_by_seed(void **state)
{
    (void)state;
    open_world(5, 20, "random");
    uint32_t seen = 0, distinct = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct ask ask = {.waited_ms = -1, .seed = seed};
        struct decision a = decide(&ask), b = decide(&ask);
        assert_int_equal(a.chosen.v, b.chosen.v);
        distinct += !(seen & 1u << a.chosen.v);
        seen |= 1u << a.chosen.v;
    }
    assert_true(distinct > 10);
    close_world();
}

static void test_known_class_allocates_nothing(void **state)
{
    (void)state;
    struct err err = ERR_NONE;
    open_world(6, 20, "spawnpoint");
    struct decision d = decide(NULL);
    for (uint32_t i = 0; i < 4; i++) {
        d = decide(NULL);
    }
    pod_ix pod;
    assert_int_equal(cluster_assume(f.c, &f.req, d.chosen, &pod, &err), 0);
    d = decide(NULL);
    uint64_t before = mem_thread_count();
    d = decide(NULL);
#if !defined(__SANITIZE_ADDRESS__) /* there an arena is one block per piece */
    assert_int_equal(mem_thread_count(), before);
#else
    (void)before;
#endif
    struct engine_stats s;
    engine_stats(f.e, &s);
    assert_int_equal(s.classes, 1);
    assert_int_equal(s.nodes_evaluated, 21); /* all once, then the one that changed */
    close_world();
}

static void explain(struct explanation *x, bool what_ifs)
{
    struct err err = ERR_NONE;
    struct ask ask = {.pod = &f.req, .waited_ms = -1};
    struct explain_opts opts = {.what_ifs = what_ifs};
    assert_int_equal(explain_make(f.e, f.c, &ask, STR("games/p\x01\"<"), &opts, x, &err), 0);
}

static void test_json_shape(void **state)
{
    (void)state;
    static const char *const fields[] = {
        "kind",   "pod",  "policy",   "dialect", "chosen", "best",       "message",     "decidedBy",
        "margin", "unit", "runnerUp", "whatIf",  "inputs", "preemption", "notModelled", "nodes"};
    for (const char *const *preset = preset_names(); *preset; preset++) {
        struct explanation x;
        struct buf out;
        open_world(7, 8, *preset);
        explain(&x, true);
        buf_init(&out, 1u << 20);
        explain_write_json(&x, &out);
        assert_false(out.broken);
        json_t *j = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(j);
        assert_int_equal(json_object_size(j), SP_COUNTOF(fields));
        for (size_t i = 0; i < SP_COUNTOF(fields); i++) {
            assert_non_null(json_object_get(j, fields[i]));
        }
        assert_string_equal(json_string_value(json_object_get(j, "pod")), "games/p\x01\"<");
        assert_int_equal(json_array_size(json_object_get(j, "nodes")), 8);
        json_decref(j);
        buf_done(&out);
        explain_done(&x);
        close_world();
    }
}

static void test_terms_add_up(void **state)
{
    (void)state;
    struct explanation x;
    open_world(8, 12, "spawnpoint");
    explain(&x, false);
    for (uint32_t i = 0; i < x.n_nodes; i++) {
        int64_t sum = 0;
        for (uint32_t k = 0; k < x.nodes[i].n_terms; k++) {
            sum += x.nodes[i].terms[k].t.cost_nano;
        }
        assert_true(!x.nodes[i].feasible || sum == x.nodes[i].total);
        assert_true(i == 0 || str_cmp(x.nodes[i - 1].name, x.nodes[i].name) < 0);
    }
    explain_done(&x);
    close_world();
}

static void test_text_is_plain(void **state)
{
    (void)state;
    struct explanation x;
    struct buf out;
    open_world(9, 12, "spawnpoint");
    explain(&x, true);
    buf_init(&out, 1u << 20);
    explain_write_text(&x, &out, 100, false);
    assert_false(out.broken);
    uint32_t column = 0;
    for (size_t i = 0; i < out.n; i++) {
        assert_true(out.p[i] == '\n' || (out.p[i] >= 0x20 && out.p[i] < 0x7f));
        column = out.p[i] == '\n' ? 0 : column + 1;
        assert_true(column <= 100);
    }
    assert_true(str_contains(buf_view(&out), x.chosen));
    assert_true(str_contains(buf_view(&out), STR("What would change it")));
    buf_done(&out);
    explain_done(&x);
    close_world();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_presets),
        cmocka_unit_test(test_failed_twice_goes_to_the_back),
        cmocka_unit_test(test_full_nodes),
        cmocka_unit_test(test_over_budget),
        cmocka_unit_test(test_top_is_sorted),
        cmocka_unit_test(test_random_goes_by_seed),
        cmocka_unit_test(test_known_class_allocates_nothing),
        cmocka_unit_test(test_json_shape),
        cmocka_unit_test(test_terms_add_up),
        cmocka_unit_test(test_text_is_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
