/* Request arithmetic: init, sidecar, overhead, pod level, defaults, resize.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "model/requests.h"

#define MI (INT64_C(1) << 20)

static struct quantity cpu(int64_t milli)
{
    return (struct quantity){(i128)milli * 1000000};
}
static struct quantity mem(int64_t mi)
{
    return (struct quantity){(i128)mi * MI * 1000000000};
}

#define CPU(m)  ((struct qty_desc){{"cpu", 3}, cpu(m)})
#define MEM(mi) ((struct qty_desc){STR("memory"), mem(mi)})
#define LIST(...)                                                                    \
    (qty_list)                                                                       \
    {                                                                                \
        (const struct qty_desc[]){__VA_ARGS__},                                      \
            sizeof((const struct qty_desc[]){__VA_ARGS__}) / sizeof(struct qty_desc) \
    }

static struct pod_requests ask(const struct pod_desc *d, bool on_node)
{
    static struct arena arena;
    struct pod_requests r;
    struct err err;
    arena_init(&arena, (size_t)1 << 24);
    assert_int_equal(requests_compute(d, on_node, &arena, &r, &err), 0);
    static struct request_item items[64];
    assert_true(r.n <= 64);
    memcpy(items, r.items, r.n * sizeof *items);
    r.items = items;
    arena_done(&arena);
    return r;
}

static int64_t amount(struct pod_requests r, const char *name)
{
    for (uint32_t i = 0; i < r.n; i++) {
        if (str_is(r.items[i].name, name)) {
            return r.items[i].amount;
        }
    }
    return 0;
}

#define POD(...)                                                                                 \
    {                                                                                            \
        .containers = {                                                                          \
            (const struct container_desc[]){__VA_ARGS__},                                        \
            sizeof((const struct container_desc[]){__VA_ARGS__}) / sizeof(struct container_desc) \
        }                                                                                        \
    }

static void test_regular_containers_add_up_and_round_once(void **state)
{
    (void)state;
    struct qty_desc sliver = {STR("cpu"), {400000}}; /* 0.4m */
    struct pod_desc d =
        POD({.requests = LIST(sliver, MEM(10))}, {.requests = LIST(sliver, MEM(20))});
    struct pod_requests r = ask(&d, false);
    assert_int_equal(amount(r, "cpu"), 1); /* 0.8m, not 1 + 1 */
    assert_int_equal(amount(r, "memory"), 30 * MI);
}

static void test_ordinary_init_counts_by_maximum(void **state)
{
    (void)state;
    struct pod_desc d = POD({.init = true, .requests = LIST(CPU(900), MEM(5))},
                            {.init = true, .requests = LIST(CPU(300))},
                            {.requests = LIST(CPU(200), MEM(50))}, {.requests = LIST(CPU(100))});
    struct pod_requests r = ask(&d, false);
    assert_int_equal(amount(r, "cpu"), 900);
    assert_int_equal(amount(r, "memory"), 50 * MI);
    assert_int_equal(r.nonzero_cpu_milli, 900);
    assert_int_equal(r.nonzero_mem_bytes, 250 * MI); /* 50 and the default of 200 */
}

static void test_sidecars_stand_beside_later_inits(void **state)
{
    (void)state;
    /* init 500, sidecar 100, init 700 (with the sidecar: 800), regular 300 (+ sidecar: 400) */
    struct pod_desc d =
        POD({.init = true, .requests = LIST(CPU(500))},
            {.init = true, .sidecar = true, .requests = LIST(CPU(100))},
            {.init = true, .requests = LIST(CPU(700))}, {.requests = LIST(CPU(300))});
    assert_int_equal(amount(ask(&d, false), "cpu"), 800);
    struct pod_desc late = POD({.init = true, .requests = LIST(CPU(750))},
                               {.init = true, .sidecar = true, .requests = LIST(CPU(100))},
                               {.requests = LIST(CPU(300))});
    assert_int_equal(amount(ask(&late, false), "cpu"), 750); /* the sidecar was not there yet */
}

static void test_overhead_comes_on_top(void **state)
{
    (void)state;
    struct pod_desc d =
        POD({.init = true, .requests = LIST(CPU(500))}, {.requests = LIST(CPU(300))});
    d.overhead = LIST(CPU(50), MEM(7));
    struct pod_requests r = ask(&d, false);
    assert_int_equal(amount(r, "cpu"), 550);
    assert_int_equal(amount(r, "memory"), 7 * MI);
}

static void test_pod_level_stands_in(void **state)
{
    (void)state;
    struct qty_desc gpu = {STR("nvidia.com/gpu"), {(i128)2000000000}};
    struct qty_desc level_gpu = {STR("nvidia.com/gpu"), {(i128)9000000000}};
    struct pod_desc d = POD({.requests = LIST(CPU(300), gpu)}, {.requests = LIST(CPU(100))});
    d.has_pod_requests = true;
    d.pod_requests = LIST(CPU(250), level_gpu);
    struct pod_requests r = ask(&d, false);
    assert_int_equal(amount(r, "cpu"), 250);          /* replaced, even by less */
    assert_int_equal(amount(r, "nvidia.com/gpu"), 2); /* only cpu, memory and hugepages are */
    assert_int_equal(r.nonzero_cpu_milli, 250);
    assert_int_equal(r.nonzero_mem_bytes,
                     2 * 200 * MI); /* nobody names memory: the default of each container */
}

static void test_defaults_fill_only_what_is_missing(void **state)
{
    (void)state;
    struct pod_desc d = POD({.requests = LIST(CPU(0))}, {.init = false});
    struct pod_requests r = ask(&d, false);
    assert_int_equal(r.n, 0);
    assert_int_equal(r.nonzero_cpu_milli, 100); /* an explicit 0 stays 0 */
    assert_int_equal(r.nonzero_mem_bytes, 400 * MI);
    struct pod_desc init = POD({.init = true});
    assert_int_equal(ask(&init, false).nonzero_cpu_milli, 100);
}

static void test_untracked_names_are_left_out(void **state)
{
    (void)state;
    struct quantity one = {1000000000};
    const struct qty_desc names[] = {
        {STR("example.com/x"), one},     {STR("requests.example.com/x"), one}, {STR("bogus"), one},
        {STR("hugepages-2Mi"), one},     {STR("attachable-volumes-csi"), one}, {STR("pods"), one},
        {STR("ephemeral-storage"), one}, {STR("kubernetes.io/y"), one}};
    struct container_desc k = {.requests = {names, SP_COUNTOF(names)}};
    struct pod_desc d = {.containers = {&k, 1}};
    struct pod_requests r = ask(&d, false);
    assert_int_equal(r.n, 5);
    assert_int_equal(amount(r, "bogus") + amount(r, "requests.example.com/x") + amount(r, "pods"),
                     0);
}

static void test_resize_takes_the_largest_view(void **state)
{
    (void)state;
    struct pod_desc d = POD({.requests = LIST(CPU(200)),
                             .has_allocated = true,
                             .status_allocated = LIST(CPU(500)),
                             .has_status_requests = true,
                             .status_requests = LIST(CPU(400))},
                            {.requests = LIST(CPU(100))});
    assert_int_equal(amount(ask(&d, false), "cpu"), 300); /* not on a node: the spec alone */
    assert_int_equal(amount(ask(&d, true), "cpu"), 600);  /* allocated 500 + 100 */
    d.resize_infeasible = true; /* the spec does not count where the node has refused it */
    assert_int_equal(amount(ask(&d, true), "cpu"), 500);
    d.resize_infeasible = false;
    d.has_pod_status_resources = true;
    d.pod_status_allocated = LIST(CPU(350));
    d.pod_status_requests = LIST(CPU(320));
    assert_int_equal(amount(ask(&d, true), "cpu"), 350);
    d.has_pod_requests = true;
    d.pod_requests = LIST(CPU(250));
    assert_int_equal(amount(ask(&d, true), "cpu"),
                     350); /* max of spec, status and allocated of the pod */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_regular_containers_add_up_and_round_once),
        cmocka_unit_test(test_ordinary_init_counts_by_maximum),
        cmocka_unit_test(test_sidecars_stand_beside_later_inits),
        cmocka_unit_test(test_overhead_comes_on_top),
        cmocka_unit_test(test_pod_level_stands_in),
        cmocka_unit_test(test_defaults_fill_only_what_is_missing),
        cmocka_unit_test(test_untracked_names_are_left_out),
        cmocka_unit_test(test_resize_takes_the_largest_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
