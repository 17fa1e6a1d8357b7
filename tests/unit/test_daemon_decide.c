/* The decisive path allocates nothing of ours from the heap, and what is remembered of pods is bounded.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "daemon/decide_filter.h"
#include "daemon/lab.h"
#include "daemon/routes_extender.h"
#include "wire/jsonc.h"

static const char *const snapshot[] = {"tests/data/snapshots/arena.json"};
static struct source source;
static struct state st;
static struct arena arena;
static struct buf reply;

static int open_state(void **state)
{
    (void)state;
    struct err err = ERR_NONE;
    struct serve_args args = {.snapshots = {snapshot[0]}, .n_snapshots = 1};
    jsonc_init();
    arena_init(&arena, LIMIT_REQUEST_ARENA);
    buf_init(&reply, LIMIT_REPLY_BYTES);
    if (source_open(&source, snapshot, 1, &err) != 0 ||
        state_open(&st, &args, &source, NULL, &err) != 0) {
        print_error("%s\n", err.text);
        return -1;
    }
    return 0;
}

static int close_state(void **state)
{
    (void)state;
    state_close(&st);
    source_done(&source);
    arena_done(&arena);
    buf_done(&reply);
    return 0;
}

static int call(const char *path, const char *pod, unsigned i)
{
    char body[4096];
    static const char names[] = "\"metal-a-0\",\"metal-a-1\",\"metal-b-0\",\"metal-b-1\",\"metal-c-"
                                "0\",\"ondemand-a-0\",\"spot-a-0\"";
    int n = snprintf(body, sizeof body,
                     "{\"Pod\":{\"metadata\":{\"name\":\"%s-%u\",\"namespace\":\"games\",\"uid\":"
                     "\"%s-uid-%u\",\"labels\":{\"app\":"
                     "\"arena\"}},\"spec\":{\"containers\":[{\"name\":\"s\",\"resources\":{"
                     "\"requests\":{\"cpu\":\"%um\"}}}]}},"
                     "\"Nodes\":null,\"NodeNames\":[%s]}",
                     pod, i, pod, i, strcmp(pod, "short") == 0 ? i + 1 : 1,
                     names); /* short: a class of its own each time */
    arena_reset(&arena);
    buf_clear(&reply);
    struct http_exchange x = {.method = HTTP_POST,
                              .path = path,
                              .body = {body, (size_t)n},
                              .arena = &arena,
                              .reply = &reply,
                              .status = 200,
                              .type = "application/json"};
    assert_int_equal(routes_extender_route(&st, &x), 0);
    routes_extender_handle(&st, &x);
    return x.status;
}

/* The same pods again: their rows, classes and names are known, the arrays have grown. Under the address sanitizer an
 * arena takes each piece from the heap, so there the count says nothing. */
static void decisive_path_allocates_nothing(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 100; i++) {
            assert_int_equal(call("/filter", "alloc", i), 200);
        }
    }
#if !defined(__SANITIZE_ADDRESS__)
    uint64_t before = mem_thread_count();
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(call("/filter", "alloc", i), 200);
    }
    assert_int_equal(mem_thread_count() - before, 0);
#endif
}

/* Every allocation of a call fails once: 503 or an answer, and nothing is left behind. */
static void short_memory_is_503(void **state)
{
    (void)state;
    assert_int_equal(call("/filter", "short", 0), 200);
    unsigned refused = 0;
    for (uint64_t nth = 1; nth < 400; nth++) {
        mem_fail_at(nth, false);
        int status = call("/filter", "short", (unsigned)nth);
        bool failed = mem_failed();
        mem_fail_at(0, false);
        assert_true(status == 200 || status == 503);
        refused += status == 503;
        struct err err = ERR_NONE;
        if (cluster_verify(st.main.c, &err) != 0) {
            fail_msg("after allocation %u: %s", (unsigned)nth, err.text);
        }
        if (!failed) {
            break;
        }
    }
    assert_true(refused > 0);
    assert_int_equal(call("/filter", "short", 1000), 200);
}

static uint64_t expire_all(void)
{
    (void)state_lock(&st, 0);
    int64_t ttl_ms = st.live->ttl_ms;
    st.live->ttl_ms = 0;
    state_expire(&st, st.decisions.next);
    st.live->ttl_ms = ttl_ms;
    uint64_t hash = cluster_hash(st.main.c);
    state_unlock(&st);
    return hash;
}

/* Reservations come and go and leave the model as it was. */
static void expiry_restores_the_model(void **state)
{
    (void)state;
    uint64_t before = 0;
    (void)expire_all();
    for (unsigned cycle = 0; cycle < 6;
         cycle++) { /* the first few settle how many rows are kept free */
        for (unsigned i = 0; i < 50; i++) {
            assert_int_equal(call("/filter", "come", i), 200);
        }
        assert_int_equal(st.reserve.n_reserved, 50);
        uint64_t held = cluster_hash(st.main.c), after = expire_all();
        assert_int_equal(st.reserve.n_reserved, 0);
        assert_true(held != after);
        assert_true(cycle < 4 || after == before);
        before = after;
    }
}

static void spent_budget_answers_what_is_configured(void **state)
{
    (void)state;
    atomic_store(&st.budget_ms, 0);
    (void)state_lock(&st, 0); /* nobody gets the lock */
    atomic_store(&st.on_stale, STALE_PASSTHROUGH);
    assert_int_equal(call("/filter", "late", 1), 200);
    buf_char(&reply, '\0');
    assert_non_null(strstr(reply.p, "\"metal-a-0\",\"metal-a-1\",\"metal-b-0\",\"metal-b-1\","
                                    "\"metal-c-0\",\"ondemand-a-0\",\"spot-a-0\""));
    atomic_store(&st.on_stale, STALE_REJECT);
    assert_int_equal(call("/filter", "late", 2), 200);
    buf_char(&reply, '\0');
    assert_non_null(strstr(reply.p, "\"NodeNames\":[]"));
    assert_non_null(strstr(reply.p, "view of the cluster is stale"));
    assert_int_equal(call("/prioritize", "late", 3), 200);
    assert_int_equal(reply.n, 2);
    state_unlock(&st);
    assert_int_equal(metric_value(METRIC_FALLBACKS, POLICY_PASSTHROUGH), 1);
    assert_int_equal(metric_value(METRIC_FALLBACKS, POLICY_REJECT), 2);
    atomic_store(&st.budget_ms, 5000);
}

static void memory_of_pods_is_bounded(void **state)
{
    (void)state;
    struct reserve r;
    struct err err = ERR_NONE;
    assert_int_equal(reserve_init(&r, 7, &err), 0);
    for (uint32_t i = 0; i < 300000; i++) {
        char uid[32];
        int n = snprintf(uid, sizeof uid, "u%u", i);
        uint32_t at =
            reserve_touch(&r, reserve_key(&r, (struct str){uid, (size_t)n}, STR("n"), STR("p")), i);
        assert_int_not_equal(at, RESERVE_NONE);
    }
    assert_in_range(r.n, 1000, 131072);
    assert_int_equal(reserve_find(&r, reserve_key(&r, STR("u0"), STR("n"), STR("p"))),
                     RESERVE_NONE);
    assert_int_not_equal(reserve_find(&r, reserve_key(&r, STR("u299999"), STR("n"), STR("p"))),
                         RESERVE_NONE);
    reserve_sweep(&r, 1000000, 1000);
    assert_int_equal(r.n, 0);
    reserve_done(&r);
}

static void records_are_a_ring(void **state)
{
    (void)state;
    struct decisions d;
    struct err err = ERR_NONE;
    assert_int_equal(decisions_init(&d, &err), 0);
    static char pod[100000];
    memset(pod, 'x', sizeof pod);
    for (uint64_t i = 1; i <= 20000; i++) {
        char name[32];
        int n = snprintf(name, sizeof name, "p%u", (unsigned)(i % 500));
        struct decision_record r = {.seq = i,
                                    .ns = STR("games"),
                                    .name = {name, (size_t)n},
                                    .pod_json = {pod, (size_t)(i * 7919 % sizeof pod)}};
        decisions_add(&d, &r);
        const struct decision_record *last =
            decisions_find(&d, STR("games"), (struct str){name, (size_t)n});
        assert_non_null(last);
        assert_int_equal(last->seq, i);
        const struct decision_record *first = decisions_get(&d, d.first);
        assert_true(first->pod_json.n == 0 || first->pod_json.p[first->pod_json.n - 1] == 'x');
        assert_int_equal(first->name.p[0], 'p');
    }
    assert_null(decisions_get(&d, 1));
    decisions_done(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decisive_path_allocates_nothing),
        cmocka_unit_test(short_memory_is_503),
        cmocka_unit_test(expiry_restores_the_model),
        cmocka_unit_test(spent_budget_answers_what_is_configured),
        cmocka_unit_test(memory_of_pods_is_bounded),
        cmocka_unit_test(records_are_a_ring),
    };
    return cmocka_run_group_tests(tests, open_state, close_state);
}
