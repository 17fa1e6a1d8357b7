// SPDX-License-Identifier: Apache-2.0
#include "support/policy_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

extern const struct policy policy_gpu;
extern const struct policy policy_packing;

#define ARENA "spawnpoint.dev/fleet=arena"

static const struct pod_spec one_gpu = {.annotations = ARENA, .gpus = 1, .cpu_milli = 100};

static struct fleet_settings *open_arena(struct world *w)
{
    world_open(w);
    struct fleet_settings *f = world_fleet(w, "arena");
    f->session_p50_ms = f->session_p90_ms = 60 * MINUTE_MS;
    world_use(w, &policy_gpu, NULL, NULL);
    return f;
}

static void gpus(struct world *w, const char *name, const char *labels, int64_t n)
{
    world_node(w, (struct node_spec){.name = name, .labels = labels, .gpus = n});
}

static void test_policy_gpu_filters(void **state)
{
    (void)state;
    static struct str products[] = {STR("a100")};
    struct world w;
    struct fleet_settings *f = open_arena(&w);
    f->gpu.products = (str_list){products, 1};
    f->gpu.min_memory_mib = 40000;
    f->gpu.min_compute_major = 8;
    world_start(&w);
#define A100 "nvidia.com/gpu.product=NVIDIA-A100-SXM4-40GB"
#define BIG  ";nvidia.com/gpu.memory=40960;nvidia.com/gpu.compute.major=8"
    gpus(&w, "good", A100 BIG, 1);
    gpus(&w, "t4", "nvidia.com/gpu.product=Tesla-T4" BIG, 1);
    gpus(&w, "unknown", NULL, 1);
    gpus(&w, "small", A100 ";nvidia.com/gpu.memory=20480;nvidia.com/gpu.compute.major=8", 1);
    gpus(&w, "old", A100 ";nvidia.com/gpu.memory=40960;nvidia.com/gpu.compute.major=7", 1);
    gpus(&w, "a1000", "nvidia.com/gpu.product=NVIDIA-RTX-A1000" BIG, 1);
    gpus(&w, "shared", A100 "-SHARED;nvidia.com/gpu.replicas=4" BIG, 4);
    assert_int_equal(world_reason(&w, one_gpu, "good"), REASON_NONE);
    assert_int_equal(world_reason(&w, one_gpu, "t4"), REASON_GPU_PRODUCT);
    assert_int_equal(world_reason(&w, one_gpu, "unknown"), REASON_GPU_PRODUCT);
    assert_int_equal(world_reason(&w, one_gpu, "small"), REASON_GPU_MEMORY);
    assert_int_equal(world_reason(&w, one_gpu, "old"), REASON_GPU_COMPUTE);
    assert_int_equal(world_reason(&w, one_gpu, "a1000"), REASON_GPU_PRODUCT);
    assert_int_equal(world_reason(&w, one_gpu, "shared"), REASON_GPU_SHARED);
    f->gpu.allow_shared = true;
    f->gpu.display = true;
    struct err err = ERR_NONE;
    assert_int_equal(cluster_set_settings(w.c, &w.s, &err), 0);
    assert_int_equal(world_reason(&w, one_gpu, "shared"), REASON_GPU_DISPLAY);
    gpus(&w, "display", A100 ";nvidia.com/gpu.mode=display" BIG, 1);
    assert_int_equal(world_reason(&w, one_gpu, "display"), REASON_NONE);
    struct pod_spec cpu = {.annotations = ARENA, .zero_gpu = true};
    assert_int_equal(world_reason(&w, cpu, "t4"), REASON_NONE); /* a zero request is a CPU pod */
    world_close(&w);
}

/* Half of the requests are for 1, half for 8: the example of the page. */
static void eight_and_one(struct world *w)
{
    world_start(w);
    gpus(w, "a8", NULL, 8);
    gpus(w, "b1", NULL, 1);
    gpus(w, "z8", NULL, 8);
    world_pod(w, (struct pod_spec){.name = "train", .node = "z8", .gpus = 8, .cpu_milli = 100});
}

static void test_policy_gpu_fragmentation_gradient(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w);
    eight_and_one(&w);
    /* +3500 milli and -500 milli, at 0.50 per GPU-hour, for an hour */
    assert_int_equal(world_cost(&w, one_gpu, "a8"), 1750000000);
    assert_int_equal(world_cost(&w, one_gpu, "b1"), -250000000);
    world_explain(&w, one_gpu, "a8");
    assert_true(w.term.value == 3500);
    assert_string_equal(w.term.unit, "GPU-milli");
    world_close(&w);
}

static void test_policy_gpu_keeps_cpu_pods_off(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w);
    world_start(&w);
    gpus(&w, "a-gpu", NULL, 1);
    world_node(&w, (struct node_spec){.name = "b-cpu", .cpu_milli = 64000, .mem_gib = 512});
    struct pod_spec cpu = {.annotations = ARENA ";spawnpoint.dev/session-length=9000h",
                           .zero_gpu = true};
    world_pod(&w, (struct pod_spec){.name = "x", .node = "a-gpu", .annotations = ARENA});
    world_use(&w, &policy_gpu, &policy_packing, NULL);
    assert_string_equal(world_choose(&w, cpu),
                        "b-cpu"); /* though opening that node costs a month */
    world_explain(&w, cpu, "a-gpu");
    assert_non_null(strstr(w.term.note, "only if nothing else fits"));
    cluster_remove_node(w.c, STR("b-cpu"));
    assert_string_equal(world_choose(&w, cpu), "a-gpu");
    world_close(&w);
}

/* A CPU pod that takes the CPU a GPU request would need strands the GPU; on a roomy node it does not. */
static void test_policy_gpu_stranding_by_cpu(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w);
    world_start(&w);
    world_node(&w, (struct node_spec){.name = "a-tight", .gpus = 2, .cpu_milli = 4000});
    world_node(&w, (struct node_spec){.name = "b-roomy", .gpus = 2, .cpu_milli = 16000});
    world_node(&w, (struct node_spec){.name = "c-busy", .gpus = 1, .cpu_milli = 16000});
    world_pod(
        &w, (struct pod_spec){
                .name = "g", .node = "c-busy", .gpus = 1, .cpu_milli = 2000, .annotations = ARENA});
    struct pod_spec cpu = {.annotations = ARENA, .cpu_milli = 3000};
    assert_string_equal(world_choose(&w, cpu), "b-roomy");
    int64_t more = world_cost(&w, cpu, "a-tight") - world_cost(&w, cpu, "b-roomy");
    assert_int_equal(more, 1000000000); /* two GPUs for an hour */
    world_close(&w);
}

static void test_policy_gpu_mig_counts_sevenths(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w);
    world_start(&w);
    world_node(&w,
               (struct node_spec){.name = "cut", .gpus = 3, .gpu_res = "nvidia.com/mig-2g.10gb"});
    struct pod_spec mig = {
        .annotations = ARENA, .gpus = 2, .gpu_res = "nvidia.com/mig-2g.10gb", .cpu_milli = 100};
    world_explain(&w, mig, "cut");
    assert_true(w.term.value == 285); /* one slice of two sevenths is left, too small for two */
    world_close(&w);
}

static void test_policy_gpu_is_silent_without_accelerators(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w);
    world_start(&w);
    world_node(&w, (struct node_spec){.name = "n"});
    world_explain(&w, (struct pod_spec){.annotations = ARENA}, "n");
    assert_string_equal(w.term.note, "skipped");
    world_close(&w);
}

static void test_policy_gpu_constant_score_is_caught(void **state)
{
    (void)state;
    struct world w;
    struct policy blunt = policy_with_constant_cost(&policy_gpu);
    open_arena(&w);
    eight_and_one(&w);
    assert_string_equal(world_choose(&w, one_gpu), "b1");
    world_use(&w, &blunt, NULL, NULL);
    assert_string_equal(world_choose(&w, one_gpu), "a8");
    world_close(&w);
}

/* GPU memory that nobody tells is not enough memory. */
static void test_policy_gpu_dropped_unknown_is_caught(void **state)
{
    (void)state;
    struct world w;
    open_arena(&w)->gpu.min_memory_mib = 16000;
    world_start(&w);
    gpus(&w, "a-blind", NULL, 1);
    gpus(&w, "b-told", "nvidia.com/gpu.memory=24576", 1);
    assert_int_equal(world_reason(&w, one_gpu, "a-blind"), REASON_GPU_MEMORY);
    assert_string_equal(world_choose(&w, one_gpu), "b-told");
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_gpu_filters),
        cmocka_unit_test(test_policy_gpu_fragmentation_gradient),
        cmocka_unit_test(test_policy_gpu_keeps_cpu_pods_off),
        cmocka_unit_test(test_policy_gpu_stranding_by_cpu),
        cmocka_unit_test(test_policy_gpu_mig_counts_sevenths),
        cmocka_unit_test(test_policy_gpu_is_silent_without_accelerators),
        cmocka_unit_test(test_policy_gpu_constant_score_is_caught),
        cmocka_unit_test(test_policy_gpu_dropped_unknown_is_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
