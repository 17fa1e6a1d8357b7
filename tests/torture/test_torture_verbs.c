/* Short memory in whole verbs, from the command line to the last byte: exit code 0, or 1 with words on standard error.
 * SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "sim/sim_main.h"
#include "support/torture.h"
#include "wire/jdoc.h"

#define CLUSTER  "tests/torture/cluster"
#define CONFIG   "tests/torture/config/config.yaml"
#define ARGS_MAX 16

struct verb_case {
    int (*run)(int argc, char **argv);
    const char *argv[ARGS_MAX];
};

struct streams {
    int out, err, told; /* the real ones, and where standard error goes meanwhile */
};

static void divert(struct streams *s)
{
    char path[] = "/tmp/torture-XXXXXX";
    (void)fflush(stdout);
    s->out = dup(STDOUT_FILENO);
    s->err = dup(STDERR_FILENO);
    s->told = mkstemp(path);
    int null = open("/dev/null", O_WRONLY);
    check(s->out >= 0 && s->err >= 0 && s->told >= 0 && null >= 0 && unlink(path) == 0);
    check(dup2(null, STDOUT_FILENO) >= 0 && dup2(s->told, STDERR_FILENO) >= 0);
    (void)close(null);
}

/* Returns how many bytes standard error got. */
static off_t bring_back(struct streams *s)
{
    (void)fflush(stdout);
    check(dup2(s->out, STDOUT_FILENO) >= 0 && dup2(s->err, STDERR_FILENO) >= 0);
    off_t told = lseek(s->told, 0, SEEK_END);
    (void)close(s->out);
    (void)close(s->err);
    (void)close(s->told);
    return told;
}

static bool verb_scenario(void *ctx)
{
    const struct verb_case *k = ctx;
    char *argv[ARGS_MAX + 1] = {NULL};
    int argc = 0;
    struct streams streams;
    while (argc < ARGS_MAX && k->argv[argc] != NULL) {
        argv[argc] = (char *)(uintptr_t)k->argv[argc];
        argc++;
    }
    divert(&streams);
    torture_begin();
    int code = k->run(argc, argv);
    torture_end();
    off_t told = bring_back(&streams);
    if (code != 0 && (code != 1 || !torture_hit())) {
        print_error("%s: exit code %d\n", k->argv[0], code);
    }
    check(code == 0 || (code == 1 && torture_hit() && told > 0));
    return code == 0;
}

static void run_case(const char *name, struct verb_case k)
{
    assert_true(torture(name, verb_scenario, &k, 71).allocations > 0);
}

static void simulate_and_compare(void **state)
{
    (void)state;
    run_case(
        "simulate -o csv",
        (struct verb_case){simulate_main,
                           {"simulate", "--cluster", CLUSTER "/objects.json", "--config", CONFIG,
                            "--placements", "-o", "csv", "--expect", "latency.p90Ms < 1000"}});
    run_case("compare",
             (struct verb_case){compare_main,
                                {"compare", "--cluster", CLUSTER "/objects.json", "--policy",
                                 CONFIG, "--policy", "random", "--seed", "1", "--seed", "2"}});
}

static void explain(void **state)
{
    (void)state;
    run_case("explain",
             (struct verb_case){explain_main,
                                {"explain", "--cluster", CLUSTER "/objects.json", "--config",
                                 CONFIG, "--pod", "games/arena-2", "--pod", "games/arena-1"}});
    run_case("explain -o json", (struct verb_case){explain_main,
                                                   {"explain", "--cluster", CLUSTER "/objects.json",
                                                    "--pending", "-o", "json"}});
}

static void config(void **state)
{
    (void)state;
    jdoc_init();
    run_case("config default", (struct verb_case){config_main, {"config", "default"}});
    run_case("config explain",
             (struct verb_case){config_main, {"config", "explain", "fleets[].spot.policy"}});
    run_case("config validate",
             (struct verb_case){config_main,
                                {"config", "validate", "tests/torture/config/config.json"}});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simulate_and_compare),
        cmocka_unit_test(explain),
        cmocka_unit_test(config),
    };
    return cmocka_run_group_tests_name("torture verbs", tests, NULL, NULL);
}
