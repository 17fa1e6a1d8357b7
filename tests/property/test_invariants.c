// SPDX-License-Identifier: Apache-2.0
//
// What every decision keeps: it names a node that was asked, over-commits nothing, hangs neither on the order of nodes nor
// (where no tie is left to the name) on their names, and leaves no trace when its assumption is forgotten.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "policies/presets.h"
#include "support/gen_model.h"

#define WORLDS 700
#define PODS   6

struct bench {
    struct cluster *c;
    struct engine *e;
    struct arena scratch;
};

static void bench_open(struct bench *b, const struct gen_world *w, const uint32_t *order,
                       const char *preset)
{
    struct err err = ERR_NONE;
    arena_init(&b->scratch, 1u << 26);
    b->c = gen_world_build(w, order);
    assert_int_equal(engine_new(&b->e, b->c, preset_find(str_c(preset)), &err), 0);
}

static void bench_close(struct bench *b)
{
    engine_free(b->e);
    cluster_free(b->c);
    arena_done(&b->scratch);
}

static struct str bench_decide(struct bench *b, const struct gen_pod *p, struct pod_req *req,
                               struct decision *d)
{
    struct err err = ERR_NONE;
    assert_int_equal(cluster_compile_pod(b->c, &p->d, &b->scratch, req, &err), 0);
    struct ask ask = {.pod = req, .waited_ms = -1, .seed = 3};
    assert_int_equal(engine_decide(b->e, &ask, d, &err), 0);
    return d->chosen.v == IX_NONE ? STR("") : sym_str(b->c->syms, b->c->facts[d->chosen.v].name);
}

static void world_of(struct gen_world *w, uint32_t i)
{
    struct gen_opts opts = {.nodes_min = 1, .nodes_max = 12, .pods_max = 24};
    gen_world_make(w, 90000 + i, &opts);
}

static const char *preset_of(uint32_t i)
{
    return i % 3 ? "spawnpoint" : preset_names()[i / 3 % 4];
}

static void test_fits_and_was_asked(void **state)
{
    (void)state;
    static struct gen_world w;
    for (uint32_t i = 0; i < WORLDS; i++) {
        struct bench b;
        struct err err = ERR_NONE;
        world_of(&w, i);
        bench_open(&b, &w, NULL, preset_of(i));
        for (uint32_t k = 0; k < 3 * PODS; k++) {
            struct gen_pod p;
            struct pod_req req;
            struct decision d;
            node_ix asked[GEN_NODES_MAX];
            struct ask ask = {.pod = &req, .waited_ms = -1, .nodes = asked};
            gen_pod_make(&w, &p);
            gen_pod_fix(&p);
            assert_int_equal(cluster_compile_pod(b.c, &p.d, &b.scratch, &req, &err), 0);
            for (uint32_t row = 0; row < b.c->n_rows; row++) {
                if (gen_chance(&w, 60)) {
                    asked[ask.n_nodes++] = (node_ix){row};
                }
            }
            assert_int_equal(engine_decide(b.e, &ask, &d, &err), 0);
            if (d.chosen.v == IX_NONE) {
                continue;
            }
            bool was_asked = false;
            for (uint32_t n = 0; n < ask.n_nodes; n++) {
                was_asked = was_asked || asked[n].v == d.chosen.v;
            }
            assert_true(was_asked);
            uint32_t pods_before = b.c->n_pods[d.chosen.v];
            assert_int_equal(cluster_assume(b.c, &req, d.chosen, NULL, &err), 0);
            assert_int_equal(b.c->n_pods[d.chosen.v], pods_before + 1);
            assert_true((int64_t)b.c->n_pods[d.chosen.v] <= b.c->alloc[RES_PODS][d.chosen.v]);
            const struct pod_class *cls = cluster_class(b.c, req.cls);
            for (uint32_t n = 0; n < cls->n_needs; n++) {
                uint32_t res = cls->needs[n].res.v;
                assert_true(b.c->used[res][d.chosen.v] <= b.c->alloc[res][d.chosen.v]);
            }
        }
        bench_close(&b);
    }
}

static void test_order_of_nodes(void **state)
{
    (void)state;
    static struct gen_world w;
    for (uint32_t i = 0; i < WORLDS; i++) {
        struct bench a, b;
        uint32_t order[GEN_NODES_MAX];
        world_of(&w, i);
        for (uint32_t n = 0; n < w.n_nodes; n++) {
            order[n] = n;
        }
        for (uint32_t n = w.n_nodes; n > 1; n--) {
            uint32_t k = gen_below(&w, n), t = order[n - 1];
            order[n - 1] = order[k];
            order[k] = t;
        }
        bench_open(&a, &w, NULL, preset_of(i));
        bench_open(&b, &w, order, preset_of(i));
        for (uint32_t k = 0; k < PODS; k++) {
            struct gen_pod p;
            struct pod_req ra, rb;
            struct decision da, db;
            struct err err = ERR_NONE;
            gen_pod_make(&w, &p);
            gen_pod_fix(&p);
            struct str na = bench_decide(&a, &p, &ra, &da), nb = bench_decide(&b, &p, &rb, &db);
            if (!str_eq(na, nb)) {
                fail_msg("seed %llu %s: " STR_FMT " in one order, " STR_FMT " in another",
                         (unsigned long long)w.seed, p.name, STR_ARG(na), STR_ARG(nb));
            }
            assert_int_equal(da.n_feasible, db.n_feasible);
            if (da.chosen.v != IX_NONE) {
                assert_int_equal(cluster_assume(a.c, &ra, da.chosen, NULL, &err), 0);
                assert_int_equal(cluster_assume(b.c, &rb, db.chosen, NULL, &err), 0);
            }
        }
        bench_close(&a);
        bench_close(&b);
    }
}

static void rename_nodes(struct gen_world *w)
{
    for (uint32_t n = 0; n < w->n_nodes; n++) {
        char old[sizeof w->nodes[n].name];
        memcpy(old, w->nodes[n].name, sizeof old);
        (void)snprintf(w->nodes[n].name, sizeof w->nodes[n].name, "z%02u-%.30s", (n * 7 + 3) % 24,
                       old);
        gen_node_fix(&w->nodes[n]);
    }
    for (uint32_t i = 0; i < w->n_pods; i++) {
        w->pods[i].d.node_name = str_c(w->pods[i].d.node_name.p); /* the new length */
    }
}

static void test_names_of_nodes(void **state)
{
    (void)state;
    static struct gen_world w, renamed;
    uint32_t compared = 0;
    for (uint32_t i = 0; i < WORLDS; i++) {
        struct bench a, b;
        world_of(&w, i);
        gen_world_copy(&renamed, &w);
        rename_nodes(&renamed);
        bench_open(&a, &w, NULL, "spawnpoint");
        bench_open(&b, &renamed, NULL, "spawnpoint");
        for (uint32_t k = 0; k < PODS; k++) {
            struct gen_pod p;
            struct pod_req ra, rb;
            struct decision da, db;
            struct ranked top[2];
            gen_pod_make(&w, &p);
            gen_pod_fix(&p);
            (void)bench_decide(&a, &p, &ra, &da);
            (void)bench_decide(&b, &p, &rb, &db);
            assert_int_equal(da.n_feasible, db.n_feasible);
            bool tie = engine_top(a.e, &da, top, 2) == 2 &&
                       engine_compare_keys(a.e, &top[0], &top[1]) == 0;
            if (!tie) {
                assert_int_equal(da.chosen.v, db.chosen.v); /* rows are alike in both */
                compared += da.chosen.v != IX_NONE;
            }
        }
        bench_close(&a);
        bench_close(&b);
    }
    assert_true(compared > WORLDS); /* most decisions are no ties */
}

static void test_assume_then_forget(void **state)
{
    (void)state;
    static struct gen_world w;
    for (uint32_t i = 0; i < WORLDS; i++) {
        struct bench b;
        pod_ix made[PODS];
        uint32_t n_made = 0;
        struct err err = ERR_NONE;
        world_of(&w, i);
        bench_open(&b, &w, NULL, "spawnpoint");
        struct gen_pod pods[PODS];
        struct pod_req reqs[PODS];
        for (uint32_t k = 0; k < PODS; k++) {
            gen_pod_make(&w, &pods[k]);
            gen_pod_fix(&pods[k]);
            assert_int_equal(cluster_compile_pod(b.c, &pods[k].d, &b.scratch, &reqs[k], &err), 0);
        }
        uint64_t before = cluster_hash(b.c);
        for (uint32_t k = 0; k < PODS; k++) {
            struct decision d;
            struct ask ask = {.pod = &reqs[k], .waited_ms = -1};
            assert_int_equal(engine_decide(b.e, &ask, &d, &err), 0);
            if (d.chosen.v != IX_NONE) {
                assert_int_equal(cluster_assume(b.c, &reqs[k], d.chosen, &made[n_made], &err), 0);
                n_made++;
                assert_true(cluster_hash(b.c) != before);
            }
        }
        while (n_made > 0) {
            cluster_forget(b.c, made[--n_made]);
        }
        assert_true(cluster_hash(b.c) == before);
        bench_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fits_and_was_asked),
        cmocka_unit_test(test_order_of_nodes),
        cmocka_unit_test(test_names_of_nodes),
        cmocka_unit_test(test_assume_then_forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
