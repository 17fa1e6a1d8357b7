/* A whole call of the daemon: from the request's bytes to the reply's, decided, reserved and recorded.
 *
 *     bench_call               the route's handler by itself, then the shipped program over a socket
 *     bench_call MODE N        N measured calls, for instruction counts: filter, whole (the handler), and cjson: the same
 *                              requests as `filter`, decoded by cJSON and nothing else
 *     bench_call heap N        N calls as `filter`; prints the heap allocations of our own code and those of the libraries
 *
 * BENCH_NODES, BENCH_PODS, BENCH_CANDIDATES: the size (5,000, 50,000, 500). SPAWNPOINT_PROGRAM: the program.
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <cjson/cJSON.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "daemon/routes_extender.h"
#include "support/bench.h"
#include "support/bench_http.h"
#include "support/gen_big.h"
#include "wire/jsonc.h"

enum {
    CALLS = 600,
    LARGE_CALLS = 200,
    WHOLE_CALLS = 60,
    WHOLE_BYTES = 5000000,
    WARM_CALLS = 240 /* until each class has met each part of the ring twice */
};

struct world {
    struct gen_big g;
    char folder[4096], snapshot[4200], config[4200];
    struct serve_args args;
    struct source source;
    struct state state;
    struct arena arena;
    struct buf reply;
    uint32_t serial; /* of the next pod */
};
struct series_set {
    struct bench_series wall, thread;
    uint64_t fallbacks;
    uint64_t own, all, n; /* heap allocations: through base/mem.h, and every one */
};
static struct series_set handler_small, handler_large, handler_whole, handler_fresh;
static struct bench_series socket_wall, socket_thread;

/* ---- every heap allocation of the process, by whomever ---- */

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *p, size_t n);
static _Atomic uint64_t heap_calls;

void *malloc(size_t n)
{
    atomic_fetch_add_explicit(&heap_calls, 1, memory_order_relaxed);
    return __libc_malloc(n);
}

void *calloc(size_t count, size_t size)
{
    atomic_fetch_add_explicit(&heap_calls, 1, memory_order_relaxed);
    return __libc_calloc(count, size);
}

void *realloc(void *p, size_t n)
{
    atomic_fetch_add_explicit(&heap_calls, 1, memory_order_relaxed);
    return __libc_realloc(p, n);
}

/* ---- files ---- */

static void write_all(const char *path, void (*make)(struct buf *out, const void *arg),
                      const void *arg)
{
    struct buf b;
    FILE *f = fopen(path, "wb");
    buf_init(&b, LIMIT_REPLY_BYTES);
    make(&b, arg);
    if (!f || b.broken || fwrite(b.p, 1, b.n, f) != b.n || fclose(f) != 0) {
        bench_die(path, "cannot be written");
    }
    buf_done(&b);
}

static void make_config(struct buf *out, const void *arg)
{
    gen_big_config(out, true);
    if (arg) { /* counted under valgrind, where everything takes its time */
        buf_lit(out, "decisionBudget: 1s\n");
    }
}

static void make_latency(struct buf *out, const void *arg)
{
    (void)arg;
    gen_big_latency(out);
}

static void make_prices(struct buf *out, const void *arg)
{
    (void)arg;
    gen_big_prices(out);
}

/* One object a line: what loads fast, and is no part of what is measured. */
static void write_snapshot(const struct world *w)
{
    struct buf b;
    FILE *f = fopen(w->snapshot, "wb");
    buf_init(&b, LIMIT_ITEM_BYTES);
    for (uint32_t i = 0; f && i < w->g.nodes + w->g.pods; i++) {
        buf_clear(&b);
        if (i < w->g.nodes) {
            gen_big_node(&b, i);
        } else {
            gen_big_pod(&b, &w->g, i - w->g.nodes);
        }
        buf_char(&b, '\n');
        if (fwrite(b.p, 1, b.n, f) != b.n) {
            bench_die(w->snapshot, "cannot be written");
        }
    }
    if (!f || fclose(f) != 0) {
        bench_die(w->snapshot, "cannot be written");
    }
    buf_done(&b);
}

static void remove_files(const struct world *w)
{
    static const char *const names[] = {"snapshot.json", "config.yaml", "rtt.csv", "prices.csv"};
    char path[4300];
    for (size_t i = 0; i < SP_COUNTOF(names); i++) {
        snprintf(path, sizeof path, "%s/%s", w->folder, names[i]);
        unlink(path);
    }
    rmdir(w->folder);
}

static void make_files(struct world *w, bool patient)
{
    char path[4300];
    const char *tmp = getenv("TMPDIR");
    snprintf(w->folder, sizeof w->folder, "%s/spawnpoint-bench-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(w->folder)) {
        bench_die(w->folder, "cannot be made");
    }
    snprintf(w->snapshot, sizeof w->snapshot, "%s/snapshot.json", w->folder);
    snprintf(w->config, sizeof w->config, "%s/config.yaml", w->folder);
    write_snapshot(w);
    write_all(w->config, make_config, patient ? w : NULL);
    snprintf(path, sizeof path, "%s/rtt.csv", w->folder);
    write_all(path, make_latency, NULL);
    snprintf(path, sizeof path, "%s/prices.csv", w->folder);
    write_all(path, make_prices, NULL);
}

static void open_world(struct world *w, bool patient)
{
    struct err err;
    char text[ERR_TEXT_MAX + 256];
    w->g.nodes = (uint32_t)bench_env("BENCH_NODES", 5000);
    w->g.pods = (uint32_t)bench_env("BENCH_PODS", 50000);
    gen_big_order(&w->g);
    make_files(w, patient);
    w->args.snapshots[0] = w->snapshot;
    w->args.n_snapshots = 1;
    w->args.config = w->config;
    arena_init(&w->arena, LIMIT_REQUEST_ARENA);
    buf_init(&w->reply, LIMIT_REPLY_BYTES);
    jsonc_init();
    if (source_open(&w->source, w->args.snapshots, 1, &err) != 0 ||
        state_open(&w->state, &w->args, &w->source, NULL, &err) != 0) {
        remove_files(w);
        bench_die("state", err_format(&err, text, sizeof text));
    }
}

static void close_world(struct world *w)
{
    state_close(&w->state);
    source_done(&w->source);
    arena_done(&w->arena);
    buf_done(&w->reply);
    gen_big_done(&w->g);
    remove_files(w);
}

/* ---- requests ---- */

/* The next pod of the burst: fleets in turn, and each call goes on along the ring where the last one stopped, as kube-scheduler
 * does with a sample of the nodes. */
static void next_request(struct world *w, struct buf *out, uint32_t candidates, bool whole)
{
    uint32_t s = w->serial++;
    buf_clear(out);
    gen_big_request(out, &w->g, s % GEN_BIG_FLEETS, s, candidates,
                    whole ? 0 : s * candidates % w->g.nodes, whole);
    if (out->broken) {
        bench_die("request", "out of memory");
    }
}

/* Another resourceVersion in each node: all of them have to be taken over anew. */
static void change_nodes(struct buf *body)
{
    static const char key[] = "\"resourceVersion\":\"";
    for (char *p = body->p;
         (p = memmem(p, body->n - (size_t)(p - body->p), key, sizeof key - 1)) != NULL;) {
        p += sizeof key - 1;
        *p = *p == '9' ? '1' : (char)(*p + 1);
    }
}

/* ---- the handler by itself ---- */

struct call {
    struct world *w;
    struct str body;
    int status;
};

static void handle(void *arg)
{
    struct call *k = arg;
    struct http_exchange x = {.method = HTTP_POST,
                              .path = "/filter",
                              .body = k->body,
                              .arena = &k->w->arena,
                              .reply = &k->w->reply,
                              .status = 200,
                              .type = "application/json",
                              .verb = VERB_FILTER};
    buf_clear(&k->w->reply);
    routes_extender_handle(&k->w->state, &x);
    arena_reset(&k->w->arena);
    k->status = x.status;
}

static void call_handler(struct world *w, struct buf *body, struct series_set *s)
{
    struct call k = {.w = w, .body = buf_view(body)};
    uint64_t own = mem_thread_count(), all = atomic_load(&heap_calls);
    int64_t wall = bench_wall_ns(), thread = bench_thread_ns();
    bench_measured(handle, &k);
    thread = bench_thread_ns() - thread;
    wall = bench_wall_ns() - wall;
    if (k.status != 200) {
        bench_die("the handler's answer", "not 200");
    }
    if (s) { /* one node, not the fallback's all of them */
        s->fallbacks += w->reply.n > body->n / 8;
        s->own += mem_thread_count() - own;
        s->all += atomic_load(&heap_calls) - all;
        s->n++;
        bench_add(&s->wall, wall);
        bench_add(&s->thread, thread);
    }
}

static void run_handler(struct world *w, uint32_t candidates, uint32_t calls, bool whole,
                        bool fresh, struct series_set *s)
{
    struct buf body;
    buf_init(&body, LIMIT_BODY_BYTES);
    for (uint32_t i = 0; i < calls + WARM_CALLS; i++) {
        next_request(w, &body, candidates, whole);
        for (uint32_t turn = i % 8; fresh && turn > 0; turn--) {
            change_nodes(&body);
        }
        call_handler(w, &body, i < WARM_CALLS ? NULL : s);
    }
    buf_done(&body);
}

static uint32_t whole_candidates(const struct world *w)
{
    struct buf b;
    buf_init(&b, LIMIT_BODY_BYTES);
    gen_big_request(&b, &w->g, 0, 0, 100, 0, true);
    uint32_t n = (uint32_t)(WHOLE_BYTES / (b.n / 100));
    buf_done(&b);
    return n < w->g.nodes ? n : w->g.nodes;
}

static void print_handler(const char *what, uint32_t candidates, struct series_set *s)
{
    if (s->fallbacks > 0) {
        fprintf(stderr, "bench: %s: %llu of %llu calls were answered by the fallback\n", what,
                (unsigned long long)s->fallbacks, (unsigned long long)s->n);
    }
    printf("| %s | %u | %.3f | %.3f | %.3f | %.2f | %.2f |\n", what, candidates,
           bench_percentile(&s->thread, 0.5) / 1e3, bench_percentile(&s->wall, 0.5) / 1e3,
           bench_percentile(&s->wall, 0.99) / 1e3, (double)s->own / (double)s->n,
           (double)(s->all - s->own) / (double)s->n);
}

static void handler_table(struct world *w)
{
    uint32_t whole = whole_candidates(w);
    run_handler(w, 500, CALLS, false, false, &handler_small);
    run_handler(w, 5000, LARGE_CALLS, false, false, &handler_large);
    run_handler(w, whole, WHOLE_CALLS, true, false, &handler_whole);
    run_handler(w, whole, WHOLE_CALLS, true, true, &handler_fresh);
    printf("| handler of /filter, decisive, %u nodes, %u pods | candidates | thread p50 ms | wall "
           "p50 ms | wall p99 ms "
           "| own allocations | libraries' |\n|---|--:|--:|--:|--:|--:|--:|\n",
           w->g.nodes, w->g.pods);
    print_handler("names", 500, &handler_small);
    print_handler("names", 5000, &handler_large);
    print_handler("whole nodes, 5 MB, as before", whole, &handler_whole);
    print_handler("whole nodes, 5 MB, each changed", whole, &handler_fresh);
}

/* ---- the program, over a socket ---- */

static void run_socket(struct world *w, struct bench_http *h, uint32_t candidates, uint32_t calls,
                       bool whole)
{
    struct buf body;
    buf_init(&body, LIMIT_BODY_BYTES);
    socket_wall.n = socket_thread.n = 0;
    for (uint32_t i = 0; i < calls + WARM_CALLS; i++) {
        next_request(w, &body, candidates, whole);
        int64_t thread = bench_http_cpu_ns(h), wall = bench_wall_ns();
        int status = bench_http_post(h, "/filter", buf_view(&body), &w->reply);
        wall = bench_wall_ns() - wall;
        thread = bench_http_cpu_ns(h) - thread;
        if (status != 200) {
            bench_die("the program's answer", "not 200");
        }
        if (i >= WARM_CALLS) {
            bench_add(&socket_wall, wall);
            bench_add(&socket_thread, thread);
        }
    }
    buf_done(&body);
    printf("| %s | %u | %.3f | %.3f | %.3f |\n", whole ? "whole nodes, 5 MB" : "names", candidates,
           bench_percentile(&socket_thread, 0.5) / 1e3, bench_percentile(&socket_wall, 0.5) / 1e3,
           bench_percentile(&socket_wall, 0.99) / 1e3);
}

static void socket_table(struct world *w, const char *program)
{
    struct bench_http h;
    char *argv[] = {(char[]){"spawnpoint"},
                    (char[]){"serve"},
                    (char[]){"--snapshot"},
                    w->snapshot,
                    (char[]){"--config"},
                    w->config,
                    (char[]){"--listen"},
                    (char[]){"127.0.0.1:0"},
                    (char[]){"--admin-listen"},
                    (char[]){"127.0.0.1:0"},
                    (char[]){"--shutdown-delay"},
                    (char[]){"0"},
                    NULL};
    bench_http_start(&h, program, argv);
    printf("\n| %s serve, over loopback | candidates | thread p50 ms | wall p50 ms | wall p99 ms "
           "|\n|---|--:|--:|--:|--:|\n",
           "spawnpoint");
    run_socket(w, &h, 500, CALLS, false);
    run_socket(w, &h, 5000, LARGE_CALLS, false);
    run_socket(w, &h, whole_candidates(w), WHOLE_CALLS, true);
    bench_http_stop(&h);
}

/* ---- counting ---- */

static void parse_cjson(void *arg)
{
    const struct str *body = arg;
    cJSON *tree = cJSON_ParseWithLength(body->p, body->n);
    if (!cJSON_GetObjectItem(tree, "NodeNames")) {
        bench_die("cJSON", "does not read the request");
    }
    cJSON_Delete(tree);
}

static void count_mode(struct world *w, const char *mode, long n)
{
    struct buf body;
    uint32_t candidates = (uint32_t)bench_env("BENCH_CANDIDATES", 500);
    bool cjson = strcmp(mode, "cjson") == 0, whole = strcmp(mode, "whole") == 0,
         heap = strcmp(mode, "heap") == 0;
    if (!cjson && !whole && !heap && strcmp(mode, "filter") != 0) {
        bench_die(mode, "no such mode: filter, whole, cjson, heap");
    }
    buf_init(&body, LIMIT_BODY_BYTES);
    if (cjson) {
        cJSON_InitHooks(NULL);
    }
    long warm = cjson ? 0 : WARM_CALLS;
    for (long i = 0; i < n + warm; i++) {
        next_request(w, &body, candidates, whole);
        struct str view = buf_view(&body);
        if (cjson) {
            bench_measured(parse_cjson, &view);
        } else if (i < warm) {
            handle(&(struct call){.w = w, .body = view});
        } else {
            call_handler(w, &body, &handler_small);
        }
    }
    if (heap) {
        const struct series_set *s = &handler_small;
        printf("%llu %llu\n", (unsigned long long)s->own, (unsigned long long)(s->all - s->own));
    }
    buf_done(&body);
}

int main(int argc, char **argv)
{
    static struct world w;
    open_world(&w, argc == 3);
    if (argc == 3) {
        count_mode(&w, argv[1], strtol(argv[2], NULL, 10));
    } else {
        handler_table(&w);
        char program[4096];
        const char *slash = strrchr(argv[0], '/');
        snprintf(program, sizeof program, "%.*s/../spawnpoint", slash ? (int)(slash - argv[0]) : 1,
                 slash ? argv[0] : ".");
        socket_table(&w, getenv("SPAWNPOINT_PROGRAM") ? getenv("SPAWNPOINT_PROGRAM") : program);
    }
    close_world(&w);
    return 0;
}
