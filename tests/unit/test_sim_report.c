/* Expectations, comparison and the writers, on reports made by hand.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim/compare.h"
#include "sim/expect.h"
#include "sim/report_json.h"
#include "sim/report_rows.h"
#include "sim/style.h"
#include "wire/jdoc.h"

#include <errno.h>
#include <string.h>

#define assert_double_near(a, b, eps) assert_true((a) - (b) <= (eps) && (b) - (a) <= (eps))

static const char *const two[] = {"one", "two"};

/* Two policies with `n` seeds; used nodes as given (policy by policy), everything else zero or null. */
static void make(struct report *r, size_t n, const int64_t *used)
{
    *r = (struct report){0};
    arena_init(&r->arena, 1u << 20);
    for (size_t p = 0; p < 2; p++) {
        assert_int_equal(VEC_PUSH(&r->policies, str_c(two[p]), 8), 0);
        for (size_t s = 0; s < n; s++) {
            struct report_run run = {
                .policy = str_c(two[p]), .seed = s, .wall_s = 0.5, .placements_per_s = SIM_NULL};
            run.outcome.nodes.used = used[p * n + s];
            run.outcome.latency.p90_ms = run.outcome.latency.p50_ms = run.outcome.latency.unknown =
                SIM_NULL;
            run.outcome.blast_radius = run.outcome.spot_share = run.outcome.cost.per_player_hour =
                SIM_NULL;
            run.outcome.cost.currency = STR("EUR");
            assert_int_equal(VEC_PUSH(&r->runs, run, 100), 0);
        }
    }
}

static const struct report_difference *find(const struct report *r, const char *path)
{
    for (size_t i = 0; i < r->differences.n; i++) {
        if (strcmp(outcome_metrics[r->differences.p[i].metric].path, path) == 0) {
            return &r->differences.p[i];
        }
    }
    return NULL;
}

static void test_one_seed_is_a_point(void **state)
{
    struct report r;
    struct err err = ERR_NONE;
    (void)state;
    make(&r, 1, (const int64_t[]){5, 9});
    assert_int_equal(compare_fill(&r, 1, &err), 0);
    const struct report_difference *d = find(&r, "nodes.used");
    assert_non_null(d);
    assert_true(d->difference == 4 && d->low == 4 && d->high == 4);
    assert_int_equal(d->better, 'a');
    assert_null(find(&r, "latency.p90Ms"));
    assert_int_equal(find(&r, "pods.placed")->better, 'n');
    assert_true(str_contains(r.verdict, STR("one beats two in nodes in use (5 instead of 9)")));
    report_done(&r);
}

static void test_several_seeds_are_paired(void **state)
{
    struct report r;
    struct err err = ERR_NONE;
    (void)state;
    /* differences -1, -2, -3: mean -2, standard deviation 1, half width 4.303 / sqrt(3) */
    make(&r, 3, (const int64_t[]){10, 20, 30, 9, 18, 27});
    assert_int_equal(compare_fill(&r, 3, &err), 0);
    const struct report_difference *d = find(&r, "nodes.used");
    assert_true(d->difference == -2);
    assert_double_near(d->high, -2 + 4.303 / 1.7320508075688772, 1e-9);
    assert_int_equal(d->better, 'n');
    report_done(&r);
    make(&r, 3, (const int64_t[]){10, 20, 30, 8, 18, 28});
    assert_int_equal(compare_fill(&r, 3, &err), 0);
    d = find(&r, "nodes.used");
    assert_true(d->low == -2 && d->high == -2);
    assert_int_equal(d->better, 'b');
    report_done(&r);
    assert_double_near(compare_t95(2), 12.706, 1e-9);
    assert_double_near(compare_t95(31), 2.042, 1e-9);
    assert_double_near(compare_t95(61), 2.000, 2e-3);
    assert_double_near(compare_t95(100000), 1.960, 1e-3);
}

static void test_expressions(void **state)
{
    static const struct {
        const char *text;
        int code;
    } cases[] = {{"pods.placed>=3", 0},
                 {" pods.placed  ==  -2.5e1 ", 0},
                 {"pods.placed", -EINVAL},
                 {"pods.placed <", -EINVAL},
                 {"pods.placed < 3 ms", -EINVAL},
                 {"pods.placed =< 3", -EINVAL},
                 {"", -EINVAL},
                 {"!= 3", -EINVAL},
                 {"pods < 3", -EINVAL},
                 {"policy == 3", -EINVAL},
                 {"cost.byFleet.a.b < 3", 0},
                 {"cost.byFleet. < 3", -EINVAL},
                 {"latency.byFleet.x.p90Ms!=3", 0},
                 {"latency.byFleet.p90Ms<3", -EINVAL},
                 {"cost.byCapacityType.free<3", -EINVAL},
                 {"pods.placed < nan", -EINVAL},
                 {"pods.placed < 0x10", -EINVAL}};
    (void)state;
    for (size_t i = 0; i < SP_COUNTOF(cases); i++) {
        struct expect e;
        struct err err = ERR_NONE;
        if (expectation_parse(str_c(cases[i].text), &e, &err) != cases[i].code) {
            fail_msg("\"%s\" should give %d", cases[i].text, cases[i].code);
        }
    }
    struct expect e;
    struct err err = ERR_NONE;
    assert_int_equal(expectation_parse(STR("pods.pla\0ced < 1"), &e, &err), -EINVAL);
    assert_int_equal(expectation_parse(STR("nodes.used<=3"), &e, &err), 0);
    assert_true(expectation_holds(&e, 3) && !expectation_holds(&e, 3.5) &&
                !expectation_holds(&e, SIM_NULL));
    e.op = EXPECT_NE;
    assert_true(expectation_holds(&e, 2) && !expectation_holds(&e, 3) &&
                !expectation_holds(&e, SIM_NULL));
}

static void test_every_run_must_hold(void **state)
{
    struct report r;
    struct expect e;
    struct err err = ERR_NONE;
    bool ok = true;
    (void)state;
    make(&r, 1, (const int64_t[]){5, 9});
    assert_int_equal(expectation_parse(STR("nodes.used < 9"), &e, &err), 0);
    assert_int_equal(expectation_check(&r, &e, 1, &ok, &err), 0);
    assert_false(ok);
    assert_true(r.expectations.p[0].ok && !r.expectations.p[1].ok);
    assert_int_equal(expectation_parse(STR("cost.byFleet.arena < 9"), &e, &err), 0);
    assert_int_equal(expectation_check(&r, &e, 1, &ok, &err), -EINVAL);
    report_done(&r);
}

static void test_json_is_json(void **state)
{
    struct report r;
    struct err err = ERR_NONE;
    struct buf out;
    struct arena a;
    struct yaml_node *root;
    (void)state;
    make(&r, 2, (const int64_t[]){1, 2, 3, 4});
    r.reproduce = STR("spawnpoint simulate --cluster \"x\"\n");
    r.with_placements = true;
    struct report_placement p = {STR("a/b\""), STR(""), STR("no\troom")};
    assert_int_equal(VEC_PUSH(&r.runs.p[0].placements, p, 8), 0);
    assert_int_equal(VEC_PUSH(&r.runs.p[0].placements, p, 8), 0);
    assert_int_equal(compare_fill(&r, 2, &err), 0);
    buf_init(&out, 1u << 20);
    arena_init(&a, 1u << 24);
    report_write_json(&r, &out);
    assert_int_equal(jdoc_parse("report", buf_view(&out), &a, &root, &err), 0);
    assert_int_equal(yaml_get(root, "runs")->n, 4);
    const struct yaml_node *run = yaml_get(root, "runs")->items[0];
    assert_int_equal(yaml_get(run, "placements")->n, 2);
    assert_int_equal(yaml_get(yaml_get(run, "placements")->items[0], "node")->type, YAML_NULL);
    assert_int_equal(yaml_get(run, "latency")->type, YAML_NULL);
    assert_int_equal(yaml_get(yaml_get(run, "gpu"), "curve")->type, YAML_NULL);
    buf_clear(&out);
    report_write_jsonl(&r, &out);
    struct str rest = buf_view(&out);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(jdoc_parse("line", str_cut(&rest, '\n'), &a, &root, &err), 0);
    }
    assert_int_equal(rest.n, 0);
    arena_done(&a);
    buf_done(&out);
    report_done(&r);
}

static void test_csv_cells(void **state)
{
    struct report r;
    struct buf out;
    (void)state;
    make(&r, 1, (const int64_t[]){1, 2});
    r.with_placements = true;
    struct report_placement p = {STR("=cmd()"), STR("a,b"), STR("say \"no\"")};
    assert_int_equal(VEC_PUSH(&r.runs.p[0].placements, p, 8), 0);
    buf_init(&out, 1u << 20);
    report_write_csv(&r, &out);
    assert_true(str_eq(buf_view(&out), STR("policy,seed,index,pod,node,reason\none,0,0,\"'=cmd()\","
                                           "\"a,b\",\"say \"\"no\"\"\"\n")));
    buf_done(&out);
    report_done(&r);
}

static void test_text_is_clean(void **state)
{
    struct buf out;
    struct style plain = {0};
    (void)state;
    buf_init(&out, 1000);
    style_put(&out, &plain, INK_RED, STR("a\033[2Jb\x7f\xc2\x9b\xc3\xa9"));
    assert_true(str_eq(buf_view(&out), STR("a?[2Jb??\xc3\xa9")));
    buf_clear(&out);
    style_put(&out, &plain, INK_PLAIN, STR("\xff\xfe"));
    assert_true(str_eq(buf_view(&out), STR("??")));
    buf_clear(&out);
    style_right(&out, &plain, INK_PLAIN, STR("policies/long/name.yaml"), 10);
    assert_true(str_eq(buf_view(&out), STR("...me.yaml")));
    buf_clear(&out);
    style_left(&out, &plain, INK_PLAIN, STR("\xc3\xa9"), 3);
    assert_true(str_eq(buf_view(&out), STR("\xc3\xa9  ")));
    buf_clear(&out);
    style_wrap(&out, &plain, INK_PLAIN, STR("one two  three"), 2, 10);
    assert_true(str_eq(buf_view(&out), STR("  one two\n  three\n")));
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_seed_is_a_point), cmocka_unit_test(test_several_seeds_are_paired),
        cmocka_unit_test(test_expressions),         cmocka_unit_test(test_every_run_must_hold),
        cmocka_unit_test(test_json_is_json),        cmocka_unit_test(test_csv_cells),
        cmocka_unit_test(test_text_is_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
