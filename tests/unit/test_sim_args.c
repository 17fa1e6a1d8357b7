/* The command line of the offline verbs.
 * SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim/args.h"

#include <string.h>

#define MAX_WORDS 24

static char *words[MAX_WORDS];

/* Parses, and gives what was said. */
static int parse(enum sim_verb verb, struct args *a, char *said, size_t n, int argc,
                 const char *const *argv)
{
    FILE *f = fmemopen(said, n, "w");
    assert_non_null(f);
    memset(said, 0, n);
    for (int i = 0; i < argc; i++) {
        words[i] = (char *)(uintptr_t)argv[i];
    }
    int rc = args_parse(verb, argc, words, a, f);
    (void)fclose(f);
    return rc;
}

#define PARSE(verb, ...)                                                 \
    parse(verb, &a, said, sizeof said,                                   \
          (int)SP_COUNTOF(((const char *const[]){"verb", __VA_ARGS__})), \
          (const char *const[]){"verb", __VA_ARGS__})

static void test_everything_is_read(void **state)
{
    struct args a;
    char said[400];
    (void)state;
    assert_int_equal(PARSE(VERB_SIMULATE, "--cluster", "a", "--cluster=b", "--policy", "random",
                           "--seed", "7", "--seed=8", "--repack", "--placements", "--expect",
                           "pods.placed > 1", "-ojson"),
                     SIM_OK);
    assert_int_equal(a.clusters.n, 2);
    assert_string_equal(a.clusters.p[1], "b");
    assert_int_equal(a.seeds.n, 2);
    assert_int_equal(a.seeds.p[1], 8);
    assert_true(a.repack && a.placements && !a.pending);
    assert_int_equal(a.format, FORMAT_JSON);
    args_done(&a);
}

static void test_wrong_words(void **state)
{
    struct args a;
    char said[400];
    (void)state;
    assert_int_equal(PARSE(VERB_SIMULATE, "--cluster", "a", "--expct", "x"), SIM_USAGE);
    assert_non_null(strstr(said, "did you mean \"--expect\""));
    args_done(&a);
    assert_int_equal(PARSE(VERB_SIMULATE, "--cluster", "a", "--pod", "x"), SIM_USAGE);
    args_done(&a);
    assert_int_equal(PARSE(VERB_SIMULATE, "--cluster", "a", "-x"), SIM_USAGE);
    args_done(&a);
    assert_int_equal(PARSE(VERB_SIMULATE, "--cluster", "a", "--config", "x", "--config", "y"),
                     SIM_USAGE);
    assert_non_null(strstr(said, "twice"));
    args_done(&a);
    assert_int_equal(PARSE(VERB_SIMULATE, "--cluster", "a", "--seed", "18446744073709551616"),
                     SIM_USAGE);
    args_done(&a);
    assert_int_equal(PARSE(VERB_COMPARE, "--cluster", "a", "--policy", "x"), SIM_USAGE);
    args_done(&a);
    assert_int_equal(PARSE(VERB_EXPLAIN, "--cluster", "a", "--pending", "-o", "csv"), SIM_USAGE);
    args_done(&a);
}

static void test_help_needs_nothing_else(void **state)
{
    struct args a;
    char said[400];
    (void)state;
    assert_int_equal(PARSE(VERB_EXPLAIN, "-h"), SIM_OK);
    assert_true(a.help);
    args_done(&a);
}

static void test_reproduce_is_quoted(void **state)
{
    struct args a;
    char said[400];
    struct buf out;
    (void)state;
    buf_init(&out, 1000);
    assert_int_equal(PARSE(VERB_SIMULATE, "--cluster", "my dump.json", "--expect",
                           "pods.placed > 1", "--policy", "it's"),
                     SIM_OK);
    args_reproduce(&a, &out);
    buf_char(&out, '\0');
    assert_string_equal(out.p, "spawnpoint simulate --cluster 'my dump.json' --expect 'pods.placed "
                               "> 1' --policy 'it'\\''s'");
    buf_done(&out);
    args_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_is_read),
        cmocka_unit_test(test_wrong_words),
        cmocka_unit_test(test_help_needs_nothing_else),
        cmocka_unit_test(test_reproduce_is_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
