// SPDX-License-Identifier: Apache-2.0
//
// The tutorial's policy, exactly as docs/write-a-policy.md shows it, through the engine.
#include "tutorial/gpu_memory_policy.c"

#include "support/policy_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define FILE_PATH SP_TEST_SOURCE_DIR "/tests/tutorial/gpu_memory_policy.c"
#define PAGE_PATH SP_TEST_SOURCE_DIR "/docs/write-a-policy.md"

extern const struct policy policy_kube_node_resources_fit;

static char *read_all(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *p = calloc(1, 1 << 20);
    assert_non_null(p);
    *ret_n = fread(p, 1, (1 << 20) - 1, f);
    fclose(f);
    return p;
}

static void test_tutorial_page_shows_the_file(void **state)
{
    (void)state;
    size_t n_file, n_page;
    char *file = read_all(FILE_PATH, &n_file), *page = read_all(PAGE_PATH, &n_page);
    char *block = strstr(page, "```c\n");
    assert_non_null(block);
    block += 5;
    char *end = strstr(block, "```\n");
    assert_non_null(end);
    assert_int_equal(end - block, n_file);
    assert_memory_equal(block, file, n_file);
    free(file);
    free(page);
}

static void test_tutorial_policy_scores_free_gpu_and_memory(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    world_start(&w);
    w.rule = RULE_SCORE;
    world_use(&w, &policy_kube_node_resources_fit, &policy_gpu_memory, NULL);
    world_node(&w, (struct node_spec){.name = "a-cpu", .mem_gib = 64});
    world_node(&w, (struct node_spec){.name = "b-full", .mem_gib = 64, .gpus = 4});
    world_node(&w, (struct node_spec){.name = "c-half", .mem_gib = 64, .gpus = 4});
    world_pod(&w, (struct pod_spec){.name = "p1", .node = "b-full", .gpus = 4, .mem_gib = 16});
    world_pod(&w, (struct pod_spec){.name = "p2", .node = "c-half", .gpus = 2, .mem_gib = 32});
    struct pod_spec cpu = {.name = "cpu"}, gpu = {.name = "gpu", .gpus = 1};
    assert_int_equal(world_cost(&w, cpu, "a-cpu"), 40);       /* no GPU, all memory */
    assert_int_equal(world_cost(&w, cpu, "b-full"), 30);      /* no GPU left, 48 of 64 */
    assert_int_equal(world_cost(&w, cpu, "c-half"), 30 + 20); /* half of both */
    assert_string_equal(world_choose(&w, gpu), "c-half");
    assert_int_equal(world_reason(&w, gpu, "b-full"), REASON_INSUFFICIENT);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tutorial_page_shows_the_file),
        cmocka_unit_test(test_tutorial_policy_scores_free_gpu_and_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
