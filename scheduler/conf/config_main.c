/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/config_main.h"

#include <stdio.h>
#include <string.h>

#include "conf/config.h"

#define OUT_BYTES_MAX ((size_t)1 << 20)

static const char usage[] =
    "usage: spawnpoint config default            print a complete file with every key at its "
    "default\n"
    "       spawnpoint config validate FILE      check a file and the tables that it names\n"
    "       spawnpoint config explain [KEY]      what a key means, or all of them\n"
    "\n"
    "examples:\n"
    "  spawnpoint config default > spawnpoint.yaml\n"
    "  spawnpoint config validate spawnpoint.yaml\n"
    "  spawnpoint config explain fleets[].zoneSpread\n";

static int flush_out(const struct buf *out)
{
    if (out->broken) {
        fputs("spawnpoint: error: not enough memory\n", stderr);
        return 1;
    }
    if (fwrite(out->p, 1, out->n, stdout) != out->n || fflush(stdout) != 0) {
        fputs("spawnpoint: error: cannot write to standard output\n", stderr);
        return 1;
    }
    return 0;
}

static int fail(const struct err *err)
{
    char text[1024];
    fprintf(stderr, "spawnpoint: error: %s\n", err_format(err, text, sizeof text));
    return 1;
}

static int validate(const char *path)
{
    struct settings s;
    struct err err = ERR_NONE;
    if (config_load(path, &s, &err) != 0) {
        return fail(&err);
    }
    fprintf(stderr, "%s: ok: %u fleets, %u pools, %u latency rows, %u price rows\n", path,
            (unsigned)s.fleets.n, (unsigned)s.pools.n, (unsigned)s.latency.rows.n,
            (unsigned)s.prices.rows.n);
    settings_done(&s);
    return 0;
}

static int print(const char *key, bool all_defaults)
{
    struct buf out CLEANUP_BUF;
    struct err err = ERR_NONE;
    buf_init(&out, OUT_BYTES_MAX);
    if (all_defaults) {
        config_print_default(&out);
    } else if (config_explain(&out, key, &err) != 0) {
        return fail(&err);
    }
    return flush_out(&out);
}

int config_main(int argc, char **argv)
{
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage, stdout);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "default") == 0) {
        return print(NULL, true);
    }
    if (argc == 3 && strcmp(argv[1], "validate") == 0 && argv[2][0] != '-') {
        return validate(argv[2]);
    }
    if ((argc == 2 || argc == 3) && strcmp(argv[1], "explain") == 0) {
        return print(argc == 3 ? argv[2] : NULL, false);
    }
    fputs(usage, stderr);
    return 2;
}
