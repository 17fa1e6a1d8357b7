/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "sim/args.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

#define MAX_REPEATS 100000

enum flag_id {
    FLAG_CLUSTER,
    FLAG_WORKLOAD,
    FLAG_POLICY,
    FLAG_SEED,
    FLAG_REPACK,
    FLAG_PLACEMENTS,
    FLAG_EXPECT,
    FLAG_POD,
    FLAG_PENDING,
    FLAG_SERVER,
    FLAG_CONFIG,
    FLAG_LATENCY,
    FLAG_PRICES,
    FLAG_OUTPUT,
    FLAG_COLOR,
    FLAG_HELP
};
struct flag {
    const char *name; /* with the dashes */
    char letter;      /* 0 = none */
    enum flag_id id;
    unsigned verbs;
    const char *value; /* NULL: takes none */
    const char *text;
};

#define RUNS      (VERB_SIMULATE | VERB_COMPARE)
#define READS     (RUNS | VERB_EXPLAIN)
#define ALL_VERBS (READS | VERB_DEMO)

static const struct flag flags[] = {
    {"--cluster", 0, FLAG_CLUSTER, READS, "PATH",
     "a dump: a file, a folder, or - for standard input; repeat for parts"},
    {"--workload", 0, FLAG_WORKLOAD, RUNS, "PATH",
     "manifests whose controllers make all of their pods (repeatable)"},
    {"--pod", 0, FLAG_POD, VERB_EXPLAIN, "NS/NAME", "the pod to explain (repeatable)"},
    {"--pending", 0, FLAG_PENDING, VERB_EXPLAIN, NULL, "every waiting pod, each judged alone"},
    {"--policy", 0, FLAG_POLICY, READS, "P", "a preset's name or a configuration file"},
    {"--seed", 0, FLAG_SEED, RUNS, "N", "for policies that draw lots (repeatable: one run each)"},
    {"--repack", 0, FLAG_REPACK, RUNS, NULL,
     "lift every pod but DaemonSets' and mirrors, and place them anew"},
    {"--placements", 0, FLAG_PLACEMENTS, RUNS, NULL,
     "list where each pod goes, and why one does not"},
    {"--expect", 0, FLAG_EXPECT, RUNS, "EXPR",
     "e.g. 'latency.p90Ms < 60'; exit 3 when a run misses it (repeatable)"},
    {"--server", 0, FLAG_SERVER, VERB_EXPLAIN, "URL",
     "ask a running server's admin port for its last live decision"},
    {"--config", 0, FLAG_CONFIG, READS, "FILE",
     "fleets, pools and rates for presets named by --policy"},
    {"--latency", 0, FLAG_LATENCY, READS, "FILE", "CSV from,to,rtt_ms[,jitter_ms]"},
    {"--prices", 0, FLAG_PRICES, READS, "FILE",
     "CSV instance_type,region[,zone],capacity_type,price_per_hour"},
    {"--output", 'o', FLAG_OUTPUT, READS, "FORMAT", "table (default), json, jsonl or csv"},
    {"--color", 0, FLAG_COLOR, ALL_VERBS, "WHEN",
     "auto (default), always or never; NO_COLOR counts"},
    {"--help", 'h', FLAG_HELP, ALL_VERBS, NULL, "this text"},
};

static const struct {
    enum sim_verb verb;
    const char *name, *usage, *about, *examples;
} verbs[] = {
    {VERB_SIMULATE, "simulate", "simulate --cluster PATH [--policy P...] [OPTION...]",
     "Places the waiting pods of a cluster dump (or, with --repack, all of them) and prints what "
     "came of it.",
     "  kubectl get nodes,pods -A -o json | spawnpoint simulate --cluster -\n"
     "  spawnpoint simulate --cluster dump.json --policy spawnpoint --policy least-allocated\n"
     "  spawnpoint simulate --cluster dump.json --repack --expect 'pods.pending == 0' -o json\n"},
    {VERB_COMPARE, "compare", "compare --cluster PATH --policy A --policy B [OPTION...]",
     "Runs two or more policies on the same input and tells the difference.",
     "  spawnpoint compare --cluster dump.json --policy spawnpoint --policy least-allocated\n"
     "  spawnpoint compare --cluster dump.json --config spawnpoint.yaml --latency rtt.csv --repack "
     "\\\n"
     "      --policy spawnpoint --policy random --seed 1 --seed 2 --seed 3\n"},
    {VERB_EXPLAIN, "explain", "explain --cluster PATH (--pod NS/NAME... | --pending) [OPTION...]",
     "Tells why a pod goes where it goes, why not elsewhere, and what would change it.",
     "  spawnpoint explain --cluster dump.json --pod games/arena-7\n"
     "  spawnpoint explain --cluster dump.json --pending -o jsonl\n"
     "  spawnpoint explain --server http://127.0.0.1:10271 --pod games/arena-7 -o json\n"},
    {VERB_DEMO, "demo", "demo [OPTION...]",
     "The whole tour without a cluster: a server, real requests, an explanation and a comparison.",
     "  spawnpoint demo\n"},
};

const char *args_verb_name(enum sim_verb verb)
{
    for (size_t i = 0; i < SP_COUNTOF(verbs); i++) {
        if (verbs[i].verb == verb) {
            return verbs[i].name;
        }
    }
    return "";
}

void args_help(enum sim_verb verb, FILE *out)
{
    for (size_t i = 0; i < SP_COUNTOF(verbs); i++) {
        if (verbs[i].verb != verb) {
            continue;
        }
        (void)fprintf(out, "usage: spawnpoint %s\n\n%s\n\noptions:\n", verbs[i].usage,
                      verbs[i].about);
        for (size_t k = 0; k < SP_COUNTOF(flags); k++) {
            const struct flag *f = &flags[k];
            if ((f->verbs & (unsigned)verb) == 0) {
                continue;
            }
            char left[40];
            (void)snprintf(left, sizeof left, "%s%.1s%s%s%s%s", f->letter != 0 ? "-" : "",
                           &f->letter, f->letter != 0 ? ", " : "", f->name,
                           f->value != NULL ? " " : "", f->value != NULL ? f->value : "");
            const char *text = f->id == FLAG_OUTPUT && verb == VERB_EXPLAIN
                                   ? "table (default), json or jsonl"
                                   : f->text;
            (void)fprintf(out, "  %-22s %s\n", left, text);
        }
        (void)fprintf(out, "\nexamples:\n%s", verbs[i].examples);
        (void)fprintf(out, "\nexit codes: 0 ok, 1 error, 2 usage%s\n",
                      (verb & RUNS) != 0 ? ", 3 a failed expectation" : "");
    }
}

static int usage_error(const struct args *a, FILE *errors, const char *what, const char *word)
{
    const char *verb = args_verb_name(a->verb);
    (void)fprintf(errors, "spawnpoint %s: %s", verb, what);
    if (word != NULL) {
        (void)fprintf(errors, " \"%.200s\"", word);
    }
    (void)fprintf(errors, "\n`spawnpoint %s --help` lists the options.\n", verb);
    return SIM_USAGE;
}

static int unknown_flag(const struct args *a, FILE *errors, const char *word, size_t n)
{
    const char *names[SP_COUNTOF(flags)];
    size_t n_names = 0;
    for (size_t i = 0; i < SP_COUNTOF(flags); i++) {
        if ((flags[i].verbs & (unsigned)a->verb) != 0) {
            names[n_names++] = flags[i].name;
        }
    }
    const char *near = str_nearest((struct str){word, n}, names, n_names),
               *verb = args_verb_name(a->verb);
    (void)fprintf(errors, "spawnpoint %s: unknown option \"%.*s\"", verb, (int)(n < 200 ? n : 200),
                  word);
    if (near != NULL) {
        (void)fprintf(errors, "; did you mean \"%s\"?", near);
    }
    (void)fprintf(errors, "\n`spawnpoint %s --help` lists the options.\n", verb);
    return SIM_USAGE;
}

static int set_choice(const struct args *a, const struct flag *f, const char *value,
                      const char *const *names, size_t n, int *ret, FILE *errors)
{
    check(value != NULL);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(value, names[i]) == 0) {
            *ret = (int)i;
            return SIM_OK;
        }
    }
    (void)fprintf(errors, "spawnpoint %s: %s knows no \"%.80s\"; there is", args_verb_name(a->verb),
                  f->name, value);
    for (size_t i = 0; i < n; i++) {
        (void)fprintf(errors, "%s %s", i > 0 ? "," : "", names[i]);
    }
    (void)fprintf(errors, "\n");
    return SIM_USAGE;
}

static int set_once(const struct args *a, const struct flag *f, const char *value, const char **ret,
                    FILE *errors)
{
    if (*ret != NULL) {
        return usage_error(a, errors, "this option is given twice:", f->name);
    }
    *ret = value;
    return SIM_OK;
}

static int push(arg_list *list, const char *value, FILE *errors)
{
    if (VEC_PUSH(list, value, MAX_REPEATS) != 0) {
        (void)fprintf(errors, "spawnpoint: out of memory\n");
        return SIM_ERROR;
    }
    return SIM_OK;
}

static int set_seed(struct args *a, const char *value, FILE *errors)
{
    int64_t seed;
    if (!str_to_i64(str_c(value), &seed) || seed < 0) {
        return usage_error(a, errors, "--seed takes a whole number from 0, not", value);
    }
    if (VEC_PUSH(&a->seeds, (uint64_t)seed, MAX_REPEATS) != 0) {
        (void)fprintf(errors, "spawnpoint: out of memory\n");
        return SIM_ERROR;
    }
    return SIM_OK;
}

static int set_flag(struct args *a, const struct flag *f, const char *value, FILE *errors)
{
    static const char *const formats[] = {"table", "json", "jsonl", "csv"};
    static const char *const colors[] = {"auto", "always", "never"};
    int choice = 0, rc;
    switch (f->id) {
    case FLAG_CLUSTER:
        return push(&a->clusters, value, errors);
    case FLAG_WORKLOAD:
        return push(&a->workloads, value, errors);
    case FLAG_POLICY:
        return push(&a->policies, value, errors);
    case FLAG_EXPECT:
        return push(&a->expects, value, errors);
    case FLAG_POD:
        return push(&a->pods, value, errors);
    case FLAG_SEED:
        return set_seed(a, value, errors);
    case FLAG_REPACK:
        a->repack = true;
        return SIM_OK;
    case FLAG_PLACEMENTS:
        a->placements = true;
        return SIM_OK;
    case FLAG_PENDING:
        a->pending = true;
        return SIM_OK;
    case FLAG_HELP:
        a->help = true;
        return SIM_OK;
    case FLAG_SERVER:
        return set_once(a, f, value, &a->server, errors);
    case FLAG_CONFIG:
        return set_once(a, f, value, &a->config, errors);
    case FLAG_LATENCY:
        return set_once(a, f, value, &a->latency, errors);
    case FLAG_PRICES:
        return set_once(a, f, value, &a->prices, errors);
    case FLAG_OUTPUT:
        rc = set_choice(a, f, value, formats, a->verb == VERB_EXPLAIN ? 3 : 4, &choice, errors);
        a->format = (enum sim_format)choice;
        return rc;
    case FLAG_COLOR:
        rc = set_choice(a, f, value, colors, 3, &choice, errors);
        a->color = (enum sim_color)choice;
        return rc;
    }
    return SIM_USAGE;
}

static const struct flag *find_flag(const struct args *a, const char *word, size_t n)
{
    for (size_t i = 0; i < SP_COUNTOF(flags); i++) {
        const struct flag *f = &flags[i];
        bool letter = f->letter != 0 && n == 2 && word[1] == f->letter;
        if ((f->verbs & (unsigned)a->verb) != 0 &&
            (letter || (strlen(f->name) == n && memcmp(word, f->name, n) == 0))) {
            return f;
        }
    }
    return NULL;
}

/* Where the value of the flag stands: behind '=', glued to a letter (-ojson), or in the next word. */
static int parse_word(struct args *a, int *at, FILE *errors)
{
    const char *word = a->argv[*at], *equals = strchr(word, '='), *glued = NULL;
    bool is_long = word[1] == '-';
    size_t n = is_long && equals != NULL ? (size_t)(equals - word) : strlen(word);
    if (is_long && equals != NULL) {
        glued = equals + 1;
    } else if (!is_long && n > 2) {
        glued = word + 2;
        n = 2;
    }
    const struct flag *f = find_flag(a, word, n);
    if (f == NULL) {
        return unknown_flag(a, errors, word, is_long ? n : strlen(word));
    }
    if (f->value == NULL) {
        return glued != NULL ? usage_error(a, errors, "this option takes no value:", word)
                             : set_flag(a, f, NULL, errors);
    }
    if (glued == NULL) {
        if (*at + 1 >= a->argc) {
            return usage_error(a, errors, "this option needs a value:", f->name);
        }
        glued = a->argv[++*at];
    }
    if (glued[0] == '\0') {
        return usage_error(a, errors, "this option needs a value:", f->name);
    }
    return set_flag(a, f, glued, errors);
}

static int check_named_clusters(const struct args *a, FILE *errors)
{
    for (size_t i = 0; i < a->clusters.n; i++) {
        const char *path = a->clusters.p[i], *equals = strchr(path, '='),
                   *slash = strchr(path, '/');
        if (equals != NULL && equals > path && (slash == NULL || slash > equals) &&
            access(path, F_OK) != 0) {
            return usage_error(a, errors,
                               "several clusters at once (NAME=PATH) are not supported; give one "
                               "cluster's PATH, not",
                               path);
        }
    }
    return SIM_OK;
}

/* What was read from standard input is gone: a second reader would get nothing. */
static int check_standard_input(const struct args *a, FILE *errors)
{
    size_t n = 0;
    for (size_t i = 0; i < a->clusters.n + a->workloads.n; i++) {
        const char *path = i < a->clusters.n ? a->clusters.p[i] : a->workloads.p[i - a->clusters.n];
        n += strcmp(path, "-") == 0;
    }
    return n < 2
               ? SIM_OK
               : usage_error(a, errors, "standard input can be read once: give - only once", NULL);
}

static int check_whole(const struct args *a, FILE *errors)
{
    if (a->verb == VERB_DEMO) {
        return SIM_OK;
    }
    if (a->verb == VERB_EXPLAIN) {
        if (a->pods.n == 0 && !a->pending) {
            return usage_error(a, errors, "which pod? give --pod NS/NAME, or --pending", NULL);
        }
        if (a->pods.n > 0 && a->pending) {
            return usage_error(a, errors, "--pod and --pending exclude each other", NULL);
        }
        if (a->policies.n > 1) {
            return usage_error(a, errors, "one --policy at a time", NULL);
        }
        if (a->server != NULL) {
            bool offline = a->clusters.n > 0 || a->policies.n > 0 || a->config != NULL ||
                           a->latency != NULL || a->prices != NULL || a->pending;
            return offline ? usage_error(a, errors, "--server goes with --pod, -o and --color only",
                                         NULL)
                           : SIM_OK;
        }
    }
    if (a->clusters.n == 0) {
        return usage_error(a, errors, "which cluster? give --cluster PATH", NULL);
    }
    if (a->verb == VERB_COMPARE && a->policies.n < 2) {
        return usage_error(a, errors, "give at least two --policy", NULL);
    }
    int code = check_named_clusters(a, errors);
    return code != SIM_OK ? code : check_standard_input(a, errors);
}

int args_parse(enum sim_verb verb, int argc, char **argv, struct args *ret, FILE *errors)
{
    *ret = (struct args){.verb = verb, .argc = argc, .argv = argv};
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            return usage_error(ret, errors, "unexpected argument", argv[i]);
        }
        int rc = parse_word(ret, &i, errors);
        if (rc != SIM_OK) {
            return rc;
        }
        if (ret->help) {
            return SIM_OK;
        }
    }
    return check_whole(ret, errors);
}

void args_done(struct args *a)
{
    VEC_DONE(&a->clusters);
    VEC_DONE(&a->workloads);
    VEC_DONE(&a->policies);
    VEC_DONE(&a->expects);
    VEC_DONE(&a->pods);
    VEC_DONE(&a->seeds);
}

static bool plain_word(const char *word)
{
    static const char safe[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,@%+";
    return word[0] != '\0' && strspn(word, safe) == strlen(word);
}

void args_reproduce(const struct args *a, struct buf *out)
{
    buf_lit(out, "spawnpoint");
    for (int i = 0; i < a->argc; i++) {
        const char *word = i == 0 ? args_verb_name(a->verb) : a->argv[i];
        buf_char(out, ' ');
        if (plain_word(word)) {
            buf_lit(out, word);
            continue;
        }
        buf_char(out, '\'');
        for (const char *c = word; *c != '\0'; c++) {
            if (*c == '\'') {
                buf_lit(out, "'\\''");
            } else {
                buf_char(out, *c);
            }
        }
        buf_char(out, '\'');
    }
}

bool args_want_color(const struct args *a, FILE *out)
{
    if (a->color != COLOR_AUTO) {
        return a->color == COLOR_ALWAYS;
    }
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    if ((no_color != NULL && no_color[0] != '\0') || (term != NULL && strcmp(term, "dumb") == 0)) {
        return false;
    }
    return isatty(fileno(out)) == 1;
}
