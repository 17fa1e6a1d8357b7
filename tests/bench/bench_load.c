/* Reading a kubectl dump: ours to a finished model, against reading and bare-parsing the same bytes with cJSON.
 *
 *     bench_load               each in children of its own, in turn; medians of wall and CPU time, growth of the peak RSS
 *     bench_load MODE N        N loads of one mode, for instruction counts: ours, cjson
 *
 * BENCH_MB: the size of the generated file (85). BENCH_FILE: where it stands; kept, and taken as it is when it is there.
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "support/bench.h"
#include "support/gen_big.h"
#include "wire/jsonc.h"
#include "wire/load.h"

struct result {
    int64_t wall_ns, cpu_ns;
    long grown_kib; /* peak RSS over the RSS at the start */
};
static char path[4096];
static size_t file_bytes;
static struct gen_big size;

static void flush(void *arg, struct buf *out)
{
    if (out->broken || fwrite(out->p, 1, out->n, arg) != out->n) {
        bench_die(path, "cannot write");
    }
    buf_clear(out);
}

static size_t average_object(void)
{
    struct buf b;
    struct gen_big g = {.nodes = 10, .pods = 100};
    buf_init(&b, LIMIT_REPLY_BYTES);
    gen_big_dump(&b, &g, NULL, NULL);
    size_t n = b.n / 110;
    buf_done(&b);
    return n;
}

/* In a child, so that what writing needs is not in anyone's peak. */
static void write_file(FILE *f)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid != 0) {
        if (!f || pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
            bench_die(path, "cannot be written");
        }
        fclose(f);
        return;
    }
    struct buf b;
    if (!f) {
        bench_die(path, "cannot create");
    }
    buf_init(&b, LIMIT_REPLY_BYTES);
    gen_big_dump(&b, &size, flush, f);
    buf_done(&b);
    _exit(fclose(f) != 0);
}

static void make_file(long mb)
{
    struct stat st;
    const char *kept = getenv("BENCH_FILE"), *folder = getenv("TMPDIR");
    size.nodes = (uint32_t)((size_t)mb * 1000000 / average_object() / 11);
    size.pods = size.nodes * 10;
    if (kept) {
        snprintf(path, sizeof path, "%s", kept);
        if (stat(path, &st) != 0) {
            write_file(fopen(path, "wb"));
        }
    } else {
        snprintf(path, sizeof path, "%s/spawnpoint-bench-XXXXXX", folder ? folder : "/tmp");
        int fd = mkstemp(path);
        write_file(fd < 0 ? NULL : fdopen(fd, "wb"));
    }
    if (stat(path, &st) != 0) {
        bench_die(path, "cannot be read");
    }
    file_bytes = (size_t)st.st_size;
}

static void load_ours(void *arg)
{
    jsonc_init();
    struct err err;
    struct settings s;
    struct cluster *c;
    struct loaded l;
    if (settings_default(&s, &err) != 0 || cluster_new(&c, &s, &err) != 0 ||
        loaded_init(&l, c, &err) != 0) {
        bench_die("load", err.text);
    }
    l.no_digest = arg == NULL;
    if (load_path(&l, path, false, &err) != 0 || load_finish(&l, &err) != 0) {
        bench_die("load", err.text);
    }
    if (c->n_nodes != size.nodes || c->n_pods_live != size.pods) {
        bench_die("load", "other numbers of nodes and pods than were written");
    }
    /* a program that ends here frees nothing; the other side does not either */
}

static void load_cjson(void *arg)
{
    (void)arg;
    cJSON_InitHooks(NULL); /* malloc and free */
    FILE *f = fopen(path, "rb");
    char *bytes = malloc(file_bytes);
    if (!f || !bytes || fread(bytes, 1, file_bytes, f) != file_bytes) {
        bench_die(path, "cannot read");
    }
    fclose(f);
    cJSON *tree = cJSON_ParseWithLength(bytes, file_bytes);
    if ((uint32_t)cJSON_GetArraySize(cJSON_GetObjectItem(tree, "items")) !=
        size.nodes + size.pods) {
        bench_die("cJSON", "another number of items than was written");
    }
}

/* VmRSS or VmHWM of this process, KiB. */
static long status_kib(const char *key)
{
    char line[256];
    long v = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, key, strlen(key)) == 0) {
            v = strtol(line + strlen(key) + 1, NULL, 10);
        }
    }
    if (f) {
        fclose(f);
    }
    return v;
}

static struct result in_child(void (*fn)(void *), void *arg)
{
    int ends[2], status;
    struct result r = {0};
    if (pipe(ends) != 0) {
        bench_die("pipe", "failed");
    }
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        long before = status_kib("VmRSS");
        int64_t wall = bench_wall_ns(), cpu = bench_thread_ns();
        fn(arg);
        r.wall_ns = bench_wall_ns() - wall;
        r.cpu_ns = bench_thread_ns() - cpu;
        r.grown_kib = status_kib("VmHWM") - before;
        ssize_t n = write(ends[1], &r, sizeof r);
        _exit(n == sizeof r ? 0 : 1);
    }
    close(ends[1]);
    if (pid < 0 || read(ends[0], &r, sizeof r) != sizeof r || waitpid(pid, &status, 0) != pid ||
        status != 0) {
        bench_die("child", "failed");
    }
    close(ends[0]);
    return r;
}

static void table(void)
{
    enum { ROUNDS = 9, CASES = 3 };
    static struct bench_series wall[CASES], cpu[CASES], grown[CASES];
    static const char *const names[CASES] = {"read, decoded, interned: a finished model",
                                             "the same with the file's SHA-256 (for reports)",
                                             "read and bare-parsed by cJSON"};
    for (int i = 0; i < ROUNDS; i++) {
        for (int k = 0; k < CASES; k++) {
            struct result r = in_child(k < 2 ? load_ours : load_cjson, k == 1 ? path : NULL);
            bench_add(&wall[k], r.wall_ns);
            bench_add(&cpu[k], r.cpu_ns);
            bench_add(&grown[k], r.grown_kib * 1024 * 1000); /* a series divides by 1,000: bytes */
        }
    }
    double wall_cjson = bench_percentile(&wall[2], 0.5), cpu_cjson = bench_percentile(&cpu[2], 0.5);
    printf("| dump of %.1f MB, %u nodes, %u pods | wall ms | times faster | CPU ms | times faster "
           "| peak RSS grew by MB | of the file "
           "|\n|---|--:|--:|--:|--:|--:|--:|\n",
           (double)file_bytes / 1e6, size.nodes, size.pods);
    for (int k = 0; k < CASES; k++) {
        double w = bench_percentile(&wall[k], 0.5), c = bench_percentile(&cpu[k], 0.5),
               bytes = bench_percentile(&grown[k], 0.5);
        printf("| %s | %.0f | %.2f | %.0f | %.2f | %.1f | %.3f |\n", names[k], w / 1e3,
               wall_cjson / w, c / 1e3, cpu_cjson / c, bytes / 1e6, bytes / (double)file_bytes);
    }
}

int main(int argc, char **argv)
{
    make_file(bench_env("BENCH_MB", 85));
    if (argc == 3) {
        bool ours = strcmp(argv[1], "ours") == 0;
        for (long i = strtol(argv[2], NULL, 10); i > 0; i--) {
            bench_measured(ours ? load_ours : load_cjson, NULL);
        }
    } else {
        table();
    }
    if (!getenv("BENCH_FILE")) {
        unlink(path);
    }
    return 0;
}
