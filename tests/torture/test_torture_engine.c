/* Short memory in decisions: the first of a class, later ones over dirty nodes, the plain ones, in every preset and with all
 * features on. A decision that is made is the same as without; a refused one leaves an engine that decides right next time.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/limits.h"
#include "policies/presets.h"
#include "support/torture.h"
#include "support/torture_world.h"
#include "wire/k8s.h"

static const char *const pods[] = {"arena-2", "stream-1", "never", "realm-0", "store-0", "lobby-0"};

struct decide_case {
    struct torture_world w;
    const struct preset *preset;
    bool plain;
};

static struct ask ask_of(const struct pod_req *pod)
{
    return (struct ask){.pod = pod,
                        .judge = JUDGE_ALL,
                        .has_time = true,
                        .now_ms = INT64_C(1767330000000),
                        .waited_ms = 120000,
                        .seed = 5};
}

static const struct pod_req *find(const struct torture_world *w, const char *name)
{
    for (size_t i = 0; i < w->loaded.waiting.n; i++) {
        const struct pod_req *r = &w->c->pod[w->loaded.waiting.p[i].v].req;
        struct str have = sym_str(w->c->syms, r->name);
        if (str_starts(have, str_c(name))) {
            return r;
        }
    }
    return torture_world_pod(w, name);
}

/* The decision of an engine that has kept nothing, while nothing fails. */
static void agrees(const struct decide_case *k, const struct ask *ask, node_ix chosen,
                   uint32_t n_feasible)
{
    struct engine *e = NULL;
    struct decision d;
    struct err err = ERR_NONE;
    check(engine_new(&e, k->w.c, k->preset, &err) == 0);
    check(engine_decide_plain(e, ask, &d, &err) == 0);
    check(d.chosen.v == chosen.v && d.n_feasible == n_feasible);
    engine_free(e);
}

static bool first_scenario(void *ctx)
{
    struct decide_case *k = ctx;
    struct engine *e = NULL;
    struct err err = ERR_NONE;
    struct decision d[SP_COUNTOF(pods)];
    size_t n = 0;
    struct buf text CLEANUP_BUF;
    uint64_t before = cluster_hash(k->w.c);
    buf_init(&text, 1u << 16);
    torture_begin();
    int rc = engine_new(&e, k->w.c, k->preset, &err);
    bool open = rc == 0;
    for (; rc == 0 && n < SP_COUNTOF(pods); n++) {
        struct ask ask = ask_of(find(&k->w, pods[n]));
        rc = k->plain ? engine_decide_plain(e, &ask, &d[n], &err)
                      : engine_decide(e, &ask, &d[n], &err);
        if (rc == 0) {
            engine_message(e, &d[n], &ask, &text);
            rc = text.broken ? err_nomem(&err) : 0;
        }
        if (rc != 0) {
            break;
        }
    }
    torture_end();
    check(cluster_hash(k->w.c) == before);
    for (size_t i = 0; i < n; i++) {
        struct ask ask = ask_of(find(&k->w, pods[i]));
        agrees(k, &ask, d[i].chosen, d[i].n_feasible);
    }
    if (open) { /* whatever became of it, the same engine decides right now */
        struct ask ask = ask_of(find(&k->w, n < SP_COUNTOF(pods) ? pods[n] : pods[0]));
        struct decision again;
        struct err unread = ERR_NONE;
        check(engine_decide(e, &ask, &again, &unread) == 0);
        agrees(k, &ask, again.chosen, again.n_feasible);
        engine_free(e);
    }
    return torture_ok(rc, &err);
}

/* Changes what the engine has looked at: another node, another pod, another namespace's labels. */
static void make_dirty(struct cluster *c, uint32_t round)
{
    struct arena a;
    struct err err = ERR_NONE;
    struct node_desc node;
    struct pod_desc pod;
    node_ix ix;
    char json[400];
    arena_init(&a, LIMIT_ITEM_ARENA);
    (void)snprintf(
        json, sizeof json,
        "{\"metadata\":{\"name\":\"spot-b\",\"labels\":{\"pool\":\"spot\",\"topology.kubernetes.io/"
        "zone\":\"eu-1%c\","
        "\"topology.kubernetes.io/region\":\"eu-1\",\"kubernetes.io/"
        "arch\":\"amd64\",\"karpenter.sh/capacity-type\":\"spot\"}},"
        "\"status\":{\"allocatable\":{\"cpu\":\"%u\",\"memory\":\"16Gi\",\"pods\":\"30\"}}}",
        (char)('b' + round % 2), 4 + (unsigned)round % 2);
    check(k8s_decode_node(str_c(json), &a, &node, &err) == 0);
    check(cluster_upsert_node(c, &node, &ix, &err) == 0);
    (void)snprintf(json, sizeof json,
                   "{\"metadata\":{\"name\":\"extra\",\"namespace\":\"games\",\"uid\":\"e\","
                   "\"labels\":{\"app\":\"arena\"}},\"spec\":{"
                   "\"nodeName\":\"%s\",\"containers\":[{\"name\":\"c\",\"resources\":{"
                   "\"requests\":{\"cpu\":\"%um\"}}}]}}",
                   round % 2 == 0 ? "spot-b" : "metal-a", 100 + (unsigned)round % 7);
    check(k8s_decode_pod(str_c(json), &a, &pod, &err) == 0);
    check(cluster_upsert_pod(c, &pod, NULL, &err) == 0);
    arena_done(&a);
}

/* All pods by turns; *ret_n says how many were decided. */
static int decide_all(const struct decide_case *k, struct engine *e,
                      struct decision d[SP_COUNTOF(pods)], size_t *ret_n, struct err *err)
{
    int rc = 0;
    for (*ret_n = 0; rc == 0 && *ret_n < SP_COUNTOF(pods); *ret_n += rc == 0 ? 1 : 0) {
        struct ask ask = ask_of(find(&k->w, pods[*ret_n]));
        rc = engine_decide(e, &ask, &d[*ret_n], err);
    }
    return rc;
}

static void all_agree(const struct decide_case *k, const struct decision d[SP_COUNTOF(pods)],
                      size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct ask ask = ask_of(find(&k->w, pods[i]));
        agrees(k, &ask, d[i].chosen, d[i].n_feasible);
    }
}

/* Classes are known, then the world changes, then they are asked again. */
static bool dirty_scenario(void *ctx)
{
    struct decide_case *k = ctx;
    struct engine *e = NULL;
    struct err err = ERR_NONE, unread = ERR_NONE;
    struct decision d[SP_COUNTOF(pods)];
    size_t n;
    check(engine_new(&e, k->w.c, k->preset, &err) == 0);
    check(decide_all(k, e, d, &n, &err) == 0);
    make_dirty(k->w.c, 0);
    make_dirty(k->w.c, 1);
    torture_begin();
    int rc = decide_all(k, e, d, &n, &err);
    torture_end();
    all_agree(k, d, n);
    make_dirty(k->w.c, 2);
    check(decide_all(k, e, d, &n, &unread) == 0); /* and after it all */
    all_agree(k, d, n);
    engine_free(e);
    return torture_ok(rc, &err);
}

static void first_decisions(void **state)
{
    (void)state;
    for (const char *const *name = preset_names(); *name != NULL; name++) {
        for (int plain = 0; plain < 2; plain++) {
            struct decide_case k = {.preset = preset_find(str_c(*name)), .plain = plain == 1};
            char title[80];
            (void)snprintf(title, sizeof title, "%s %s", *name, k.plain ? "plain" : "kept");
            torture_world_open(&k.w);
            struct torture_result r = torture(title, first_scenario, &k, 31);
            assert_true(r.allocations > 10);
            assert_int_equal(r.odd, 0);
            torture_verify(k.w.c);
            torture_world_close(&k.w);
        }
    }
}

static void over_dirty_nodes(void **state)
{
    (void)state;
    struct decide_case k = {.preset = preset_find(STR("spawnpoint"))};
    torture_world_open(&k.w);
    struct torture_result r = torture("dirty nodes", dirty_scenario, &k, 32);
    assert_int_equal(r.odd, 0);
    torture_verify(k.w.c);
    torture_world_close(&k.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_decisions),
        cmocka_unit_test(over_dirty_nodes),
    };
    return cmocka_run_group_tests_name("torture engine", tests, NULL, NULL);
}
