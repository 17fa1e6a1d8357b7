/* The engine alone, without decoding and encoding, in a large game cluster under the preset `spawnpoint`.
 *
 *     bench_engine             times of a class's first call, of a call after one node changed, and of a burst
 *     bench_engine MODE N      N measured calls of one mode, for instruction counts: first, changed, burst
 *
 * BENCH_NODES, BENCH_PODS, BENCH_CANDIDATES: the size (5,000, 50,000, 500).
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "policies/presets.h"
#include "support/bench.h"
#include "support/gen_big.h"
#include "wire/k8s.h"

enum { NOW_H = 494000, BURST = 400 };

struct world {
    struct gen_big g;
    struct settings settings;
    struct cluster *c;
    struct engine *e;
    const struct preset *preset;
    uint32_t n_candidates, round;
    node_ix *candidates;
    struct arena arena;
    struct pod_req pods[BURST]; /* of fleet 0 */
    struct pod_req other;       /* of fleet 1 */
    pod_ix assumed[BURST];
    uint64_t bound;
};
/* One measured call. */
struct call {
    struct world *w;
    const struct pod_req *pod;
    struct decision d;
    bool assume;
    pod_ix row;
};
static struct bench_series series[3];

static void compile(struct world *w, uint32_t fleet, uint32_t serial, struct pod_req *ret)
{
    struct buf b;
    struct pod_desc d;
    struct err err;
    buf_init(&b, LIMIT_ITEM_BYTES);
    gen_big_pending(&b, fleet, serial);
    if (k8s_decode_pod(buf_view(&b), &w->arena, &d, &err) != 0 ||
        cluster_compile_pod(w->c, &d, &w->arena, ret, &err) != 0) {
        bench_die("pod", err.text);
    }
    buf_done(&b);
}

static void decide(void *arg)
{
    struct call *k = arg;
    struct world *w = k->w;
    struct err err;
    struct ask ask = {.pod = k->pod,
                      .nodes = w->candidates,
                      .n_nodes = w->n_candidates,
                      .judge = JUDGE_SNAPSHOT,
                      .has_time = true,
                      .now_ms = (int64_t)NOW_H * 3600000};
    if (engine_decide(w->e, &ask, &k->d, &err) != 0) {
        bench_die("decision", err.text);
    }
    if (k->d.chosen.v == IX_NONE) {
        bench_die("decision", "no node fits");
    }
    if (k->assume && cluster_assume(w->c, k->pod, k->d.chosen, &k->row, &err) != 0) {
        bench_die("assume", err.text);
    }
}

static int64_t measured(struct call *k)
{
    int64_t t = bench_thread_ns();
    bench_measured(decide, k);
    t = bench_thread_ns() - t;
    k->w->bound += k->d.n_feasible;
    return t;
}

/* A new engine that has met another class: memory is warm, this class is not known. */
static void fresh_engine(struct world *w)
{
    struct err err;
    engine_free(w->e);
    if (engine_new(&w->e, w->c, w->preset, &err) != 0) {
        bench_die("engine", err.text);
    }
    decide(&(struct call){.w = w, .pod = &w->other});
}

static void first(struct world *w, long n)
{
    for (long i = 0; i < n; i++) {
        fresh_engine(w);
        bench_add(&series[0], measured(&(struct call){.w = w, .pod = &w->pods[0]}));
    }
}

/* One candidate gains and loses a pod of another class between two calls. */
static void changed(struct world *w, long n)
{
    struct err err;
    fresh_engine(w);
    decide(&(struct call){.w = w, .pod = &w->pods[0]});
    for (long i = 0; i < n; i++) {
        pod_ix row;
        if (cluster_assume(w->c, &w->other, w->candidates[w->round++ % w->n_candidates], &row,
                           &err) != 0) {
            bench_die("assume", err.text);
        }
        bench_add(&series[1], measured(&(struct call){.w = w, .pod = &w->pods[0]}));
        cluster_forget(w->c, row);
        decide(&(struct call){.w = w, .pod = &w->pods[0]});
    }
}

/* Pods of one class, each assumed where it was decided, and all forgotten at the end. */
static void burst(struct world *w, long n)
{
    fresh_engine(w);
    decide(&(struct call){.w = w, .pod = &w->pods[0]});
    for (long done = 0; done < n;) {
        uint32_t k = 0;
        for (; k < BURST && done < n; k++, done++) {
            struct call call = {.w = w, .pod = &w->pods[k], .assume = true};
            bench_add(&series[2], measured(&call));
            w->assumed[k] = call.row;
        }
        while (k > 0) {
            cluster_forget(w->c, w->assumed[--k]);
        }
        decide(&(struct call){.w = w, .pod = &w->pods[0]});
    }
}

static void set_candidates(struct world *w, uint32_t n)
{
    struct buf name;
    buf_init(&name, 1024);
    w->n_candidates = n < w->g.nodes ? n : w->g.nodes;
    mem_free(w->candidates);
    w->candidates = mem_calloc(w->n_candidates, sizeof *w->candidates);
    if (!w->candidates) {
        bench_die("candidates", "out of memory");
    }
    for (uint32_t i = 0; i < w->n_candidates; i++) {
        buf_clear(&name);
        gen_big_node_name(&name, gen_big_candidate(&w->g, 3, i));
        w->candidates[i] = cluster_find_node(w->c, buf_view(&name));
    }
    buf_done(&name);
}

static void open_world(struct world *w)
{
    w->g.nodes = (uint32_t)bench_env("BENCH_NODES", 5000);
    w->g.pods = (uint32_t)bench_env("BENCH_PODS", 50000);
    gen_big_order(&w->g);
    w->preset = preset_find(STR("spawnpoint"));
    arena_init(&w->arena, LIMIT_ITEM_ARENA);
    gen_big_settings(&w->settings);
    gen_big_cluster(&w->g, &w->settings, &w->c);
    for (uint32_t i = 0; i < BURST; i++) {
        compile(w, 0, i, &w->pods[i]);
    }
    compile(w, 1, 0, &w->other);
    set_candidates(w, (uint32_t)bench_env("BENCH_CANDIDATES", 500));
}

static void print_row(const char *what, uint32_t candidates, struct bench_series *s, double base)
{
    double p50 = bench_percentile(s, 0.5), p99 = bench_percentile(s, 0.99);
    printf("| %s | %u | %.1f | %.1f | %.3f |\n", what, candidates, p50, p99,
           base > 0 ? p50 / base : 1.0);
    s->n = 0;
}

static void table(struct world *w)
{
    static const uint32_t sizes[] = {500, 5000};
    printf("| engine alone, %u nodes, %u pods | candidates | p50 us | p99 us | of a first call "
           "|\n|---|--:|--:|--:|--:|\n",
           w->g.nodes, w->g.pods);
    for (size_t i = 0; i < SP_COUNTOF(sizes); i++) {
        set_candidates(w, sizes[i]);
        first(w, 200);
        changed(w, 1000);
        burst(w, 2000);
        double base = bench_percentile(&series[0], 0.5);
        print_row("first call of a class", w->n_candidates, &series[0], base);
        print_row("one node changed since", w->n_candidates, &series[1], base);
        print_row("burst: decide and reserve", w->n_candidates, &series[2], base);
    }
}

int main(int argc, char **argv)
{
    static struct world w;
    open_world(&w);
    if (argc == 3) {
        long n = strtol(argv[2], NULL, 10);
        if (strcmp(argv[1], "first") == 0) {
            first(&w, n);
        } else if (strcmp(argv[1], "changed") == 0) {
            changed(&w, n);
        } else if (strcmp(argv[1], "burst") == 0) {
            burst(&w, n);
        } else {
            bench_die(argv[1], "no such mode: first, changed, burst");
        }
        printf("%llu\n", (unsigned long long)w.bound);
    } else {
        table(&w);
    }
    engine_free(w.e);
    cluster_free(w.c);
    settings_done(&w.settings);
    arena_done(&w.arena);
    mem_free(w.candidates);
    gen_big_done(&w.g);
    return 0;
}
