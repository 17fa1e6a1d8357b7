/* simulate and compare: from the command line to the report.
 * SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "sim/sim_main.h"

#include "base/limits.h"
#include "sim/args.h"
#include "sim/compare.h"
#include "sim/expect.h"
#include "sim/job.h"
#include "sim/report_json.h"
#include "sim/report_rows.h"
#include "sim/report_table.h"

#include <errno.h>
#include <string.h>

#define DEFAULT_SEED     1
#define REPORT_ARENA_MAX ((size_t)256 << 20)

struct job {
    struct args args;
    struct world_source source;
    VEC(struct policy_choice) policies;
    VEC(struct expect) expects;
    struct report report;
};

static int fail(const struct job *job, const struct err *err, int code)
{
    char text[1024];
    (void)fprintf(stderr, "spawnpoint %s: %s\n", args_verb_name(job->args.verb),
                  err_format(err, text, sizeof text));
    return code;
}

/* What can be wrong before anything is read. */
static int prepare(struct job *job)
{
    struct args *a = &job->args;
    struct err err = ERR_NONE;
    arg_list names = a->policies;
    const char *standard = "spawnpoint";
    if (names.n == 0) {
        names.p = &standard;
        names.n = 1;
    }
    for (size_t i = 0; i < names.n; i++) {
        struct policy_choice choice;
        int rc = sim_world_choose(names.p[i], &choice, &err);
        if (rc != 0) {
            return fail(job, &err, rc == -EINVAL ? SIM_USAGE : SIM_ERROR);
        }
        if (VEC_PUSH(&job->policies, choice, 10000) != 0 ||
            VEC_PUSH(&job->report.policies, str_c(choice.name), 10000) != 0) {
            (void)err_nomem(&err);
            return fail(job, &err, SIM_ERROR);
        }
    }
    for (size_t i = 0; i < a->expects.n; i++) {
        struct expect one;
        if (expectation_parse(str_c(a->expects.p[i]), &one, &err) != 0) {
            return fail(job, &err, SIM_USAGE);
        }
        if (VEC_PUSH(&job->expects, one, 100000) != 0) {
            (void)err_nomem(&err);
            return fail(job, &err, SIM_ERROR);
        }
    }
    if (a->seeds.n == 0 && VEC_PUSH(&a->seeds, DEFAULT_SEED, 1) != 0) {
        (void)err_nomem(&err);
        return fail(job, &err, SIM_ERROR);
    }
    return SIM_OK;
}

static int print(const struct job *job, struct err *err)
{
    struct buf out CLEANUP_BUF;
    buf_init(&out, LIMIT_REPORT_BYTES);
    const struct report *r = &job->report;
    struct table_opts table = {.compare = job->args.verb == VERB_COMPARE,
                               .style = {args_want_color(&job->args, stdout), style_utf8_locale()}};
    switch (job->args.format) {
    case FORMAT_TABLE:
        report_write_table(r, &table, &out);
        break;
    case FORMAT_JSON:
        report_write_json(r, &out);
        break;
    case FORMAT_JSONL:
        report_write_jsonl(r, &out);
        break;
    case FORMAT_CSV:
        report_write_csv(r, &out);
        break;
    }
    if (out.starved) {
        return err_nomem(err);
    }
    if (out.broken) {
        return err_set(err, -E2BIG, "the report is larger than %u bytes, or memory is short",
                       LIMIT_REPORT_BYTES);
    }
    if (fwrite(out.p, 1, out.n, stdout) != out.n || fflush(stdout) != 0) {
        return err_set(err, -EIO, "standard output: %s", strerror(errno));
    }
    return 0;
}

static int run_job(struct job *job)
{
    struct report *r = &job->report;
    struct err err = ERR_NONE;
    struct buf line CLEANUP_BUF;
    bool all_ok = true;
    buf_init(&line, 1u << 20);
    args_reproduce(&job->args, &line);
    r->reproduce = arena_str(&r->arena, buf_view(&line));
    r->with_placements = job->args.placements;
    r->keep_placements = job->args.format == FORMAT_TABLE;
    int rc = r->reproduce.p == NULL
                 ? err_nomem(&err)
                 : job_run(&job->source, job->policies.p, job->policies.n, stderr, r, &err);
    if (rc != 0) {
        return fail(job, &err, SIM_ERROR);
    }
    if (expectation_check(r, job->expects.p, job->expects.n, &all_ok, &err) != 0) {
        return fail(job, &err, err.code == -EINVAL ? SIM_USAGE : SIM_ERROR);
    }
    if (print(job, &err) != 0) {
        return fail(job, &err, SIM_ERROR);
    }
    for (size_t i = 0; i < r->expectations.n; i++) {
        const struct report_expectation *e = &r->expectations.p[i];
        if (!e->ok) {
            (void)fprintf(stderr, "missed: %.*s under %.*s, seed %llu\n", STR_ARG(e->expr),
                          STR_ARG(r->runs.p[e->run].policy),
                          (unsigned long long)r->runs.p[e->run].seed);
        }
    }
    return all_ok ? SIM_OK : SIM_EXPECT;
}

static int simulate(enum sim_verb verb, int argc, char **argv)
{
    struct job job = {0};
    arena_init(&job.report.arena, REPORT_ARENA_MAX);
    job.source.args = &job.args;
    int code = args_parse(verb, argc, argv, &job.args, stderr);
    if (code == SIM_OK && job.args.help) {
        args_help(verb, stdout);
    } else if (code == SIM_OK) {
        code = prepare(&job);
        code = code == SIM_OK ? run_job(&job) : code;
    }
    report_done(&job.report);
    world_source_done(&job.source);
    VEC_DONE(&job.policies);
    VEC_DONE(&job.expects);
    args_done(&job.args);
    return code;
}

int simulate_main(int argc, char **argv)
{
    return simulate(VERB_SIMULATE, argc, argv);
}

int compare_main(int argc, char **argv)
{
    return simulate(VERB_COMPARE, argc, argv);
}
