/* The dispatcher: finds the verb and calls it. The only file that knows both shells.
 *
 * Installed a second time as kubectl-spawnpoint, which makes it a kubectl plug-in.
 * SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/str.h"
#include "daemon/daemon_main.h"
#include "daemon/snapshot_main.h"
#include "sim/sim_main.h"
#include "spawnpoint_version.h"
#include "wire/jdoc.h"
#include "wire/jsonc.h"

#define EXIT_USAGE 2

static int version_main(int argc, char **argv);

struct verb {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the verb; returns the exit code */
    const char *summary;
};

static const struct verb verbs[] = {
    {"serve", serve_main, "answer kube-scheduler's extender calls"},
    {"simulate", simulate_main, "place the waiting pods of a cluster dump, or all of them"},
    {"explain", explain_main, "why here, why not there, and what would change it"},
    {"compare", compare_main, "two or more policies on the same input"},
    {"config", config_main, "print, check and explain the configuration"},
    {"demo", demo_main, "the whole tour without a cluster"},
    {"snapshot", snapshot_main, "dump a live cluster into a file"},
    {"version", version_main, "print the version"},
};

static int version_main(int argc, char **argv)
{
    bool help = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    if (argc > 1 && !help) {
        (void)fprintf(stderr, "spawnpoint version: unexpected argument \"%s\"\n", argv[1]);
        return EXIT_USAGE;
    }
    if (help) {
        (void)printf(
            "usage: spawnpoint version\n\nPrints the version.\n\nexample:\n  spawnpoint version\n");
        return 0;
    }
    (void)printf("spawnpoint %s\n", SPAWNPOINT_VERSION);
    return 0;
}

static void print_usage(FILE *out)
{
    (void)fprintf(out, "Spawnpoint places game servers where their players are.\n\n"
                       "usage: spawnpoint COMMAND [OPTION...]\n\ncommands:\n");
    for (size_t i = 0; i < SP_COUNTOF(verbs); i++) {
        (void)fprintf(out, "  %-10s %s\n", verbs[i].name, verbs[i].summary);
    }
    (void)fprintf(out,
                  "\n`spawnpoint COMMAND --help` shows the options and examples.\n"
                  "exit codes: 0 ok, 1 error, 2 usage, 3 a failed expectation, 130 interrupted\n");
}

static int unknown_verb(const char *word)
{
    const char *names[SP_COUNTOF(verbs)];
    for (size_t i = 0; i < SP_COUNTOF(verbs); i++) {
        names[i] = verbs[i].name;
    }
    const char *near = str_nearest(str_c(word), names, SP_COUNTOF(names));
    (void)fputs("spawnpoint: unknown command \"", stderr);
    struct str rest = str_c(word);
    for (size_t n; rest.n > 0; rest = (struct str){rest.p + n, rest.n - n}) {
        bool fit = str_printable(rest, &n);
        (void)fwrite(fit ? rest.p : "?", 1, fit ? n : 1, stderr);
    }
    (void)fputc('"', stderr);
    if (near != NULL) {
        (void)fprintf(stderr, "; did you mean \"%s\"?", near);
    }
    (void)fprintf(stderr, "\n`spawnpoint --help` lists the commands.\n");
    return EXIT_USAGE;
}

#define EXIT_INTERRUPTED 130

static void on_interrupt(int number)
{
    (void)number;
    _exit(EXIT_INTERRUPTED);
}

/* Verbs that wait for something install their own handlers over these. A reader that went away is an error like a full
 * disk: said, and exit 1. */
static void default_signals(void)
{
    struct sigaction interrupt = {.sa_handler = on_interrupt}, ignore = {.sa_handler = SIG_IGN};
    struct sigaction inherited;
    (void)sigaction(SIGPIPE, &ignore, NULL);
    /* started with & by a shell: Ctrl-C is not meant for this process */
    if (sigaction(SIGINT, NULL, &inherited) == 0 && inherited.sa_handler != SIG_IGN) {
        (void)sigaction(SIGINT, &interrupt, NULL);
    }
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_usage(stdout);
        return 0;
    }
    if (strcmp(word, "--version") == 0) {
        word = "version";
    }
    for (size_t i = 0; i < SP_COUNTOF(verbs); i++) {
        if (strcmp(word, verbs[i].name) == 0) {
            return verbs[i].run(argc - 1, argv + 1);
        }
    }
    return unknown_verb(word);
}

int main(int argc, char **argv)
{
    default_signals();
    jsonc_init();
    jdoc_init();
    int code = run(argc, argv);
    errno = 0;
    bool lost = fflush(stdout) != 0 || ferror(stdout) != 0;
    if (lost && code == 0) {
        (void)fprintf(stderr, "spawnpoint: standard output cannot be written: %s\n",
                      errno != 0 ? strerror(errno) : "some of it was lost");
        return 1;
    }
    return code;
}
