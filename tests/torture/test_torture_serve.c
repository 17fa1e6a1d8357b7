/* Short memory in the daemon: each route of both ports, the lab, a reload, and requests over a real socket. A request is answered
 * as ever or with 503, and the next one right.
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "daemon/routes_admin.h"
#include "daemon/routes_extender.h"
#include "support/net_client.h"
#include "support/torture.h"
#include "wire/http_client.h"
#include "wire/jsonc.h"

#define CONFIG "tests/torture/config/config.yaml"
#define POD                                                                                        \
    "{\"metadata\":{\"name\":\"ask\",\"namespace\":\"games\",\"uid\":\"%s\",\"labels\":{\"app\":"  \
    "\"%s\"}},\"spec\":{"                                                                          \
    "\"tolerations\":[{\"operator\":\"Exists\"}],\"containers\":[{\"name\":\"s\",\"image\":\"i\"," \
    "\"resources\":{\"requests\":{"                                                                \
    "\"cpu\":\"300m\",\"memory\":\"64Mi\"}}}]}}"
#define NODE                                                                                   \
    "{\"metadata\":{\"name\":\"%s\",\"labels\":{\"pool\":\"metal\",\"topology.kubernetes.io/"  \
    "zone\":\"eu-1a\","                                                                        \
    "\"topology.kubernetes.io/"                                                                \
    "region\":\"eu-1\",\"n%u\":\"x\"}},\"status\":{\"allocatable\":{\"cpu\":\"8\",\"memory\":" \
    "\"32Gi\","                                                                                \
    "\"pods\":\"110\"}}}"

static const char *const snapshots[] = {"tests/torture/cluster"};
static struct serve_args args;
static struct source source;
static struct state st;
static struct lab lab;
static struct routes_admin routes;
static unsigned uids;

static unsigned none(void *ctx)
{
    (void)ctx;
    return 0;
}

static int open_daemon(void **state)
{
    struct err err = ERR_NONE;
    (void)state;
    jsonc_init();
    args = (struct serve_args){.config = CONFIG, .snapshots = {snapshots[0]}, .n_snapshots = 1};
    assert_int_equal(source_open(&source, snapshots, 1, &err), 0);
    assert_int_equal(state_open(&st, &args, &source, NULL, &err), 0);
    lab_init(&lab, &st);
    routes = (struct routes_admin){
        .st = &st, .lab = &lab, .loopback = true, .in_flight = none, .connections = none};
    return 0;
}

static int close_daemon(void **state)
{
    (void)state;
    lab_done(&lab);
    state_close(&st);
    source_done(&source);
    return 0;
}

/* ---- one request without a socket ---- */

struct request_case {
    const char *path, *pod_app;
    bool names, whole, fresh_lab;
    const char *body; /* of the admin port */
    bool same;        /* the answer is the same each time */
    struct buf kept;
};

/* A request that was never made before: another pod, for whole nodes also other labels. */
static void make_body(const struct request_case *k, struct buf *out)
{
    static const char *const nodes[] = {"metal-a", "spot-b", "gpu-a", "unknown"};
    char uid[32];
    (void)snprintf(uid, sizeof uid, "ask-%u", uids);
    buf_lit(out, "{\"Pod\":");
    buf_printf(out, POD, uid, k->pod_app);
    if (k->whole) {
        buf_lit(out, ",\"Nodes\":{\"items\":[");
        for (size_t i = 0; i < 3; i++) {
            buf_printf(out, "%s" NODE, i > 0 ? "," : "", nodes[i], uids);
        }
        buf_lit(out, "]}}");
        return;
    }
    buf_lit(out, ",\"NodeNames\":[");
    for (size_t i = 0; i < SP_COUNTOF(nodes); i++) {
        buf_printf(out, "%s\"%s\"", i > 0 ? "," : "", nodes[i]);
    }
    buf_lit(out, "]}");
}

static int status_of(const struct http_exchange *x)
{
    return x->reply->broken ? 503 : x->status;
}

static void call(const struct request_case *k, struct str body, struct arena *a, struct buf *reply,
                 int *ret_status)
{
    struct http_exchange x = {.method = body.n > 0 ? HTTP_POST : HTTP_GET,
                              .path = k->path,
                              .body = body,
                              .arena = a,
                              .reply = reply,
                              .status = 200,
                              .type = "application/json"};
    if (k->pod_app != NULL) {
        check(routes_extender_route(&st, &x) == 0);
        routes_extender_handle(&st, &x);
    } else {
        check(routes_admin_route(&routes, &x) == 0);
        routes_admin_handle(&routes, &x);
    }
    *ret_status = status_of(&x);
}

/* Takes the reservation of the last asked pod off again. */
static void release(void)
{
    char uid[32];
    (void)snprintf(uid, sizeof uid, "ask-%u", uids);
    (void)state_lock(&st, 0);
    uint32_t at =
        reserve_find(&st.reserve, reserve_key(&st.reserve, str_c(uid), STR("games"), STR("ask")));
    if (at != RESERVE_NONE && st.reserve.p[at].reserved) {
        state_release(&st, at, RESERVATION_EXPIRED, st.decisions.next);
    }
    check(st.reserve.n_reserved == 0);
    state_unlock(&st);
}

/* Ages go by the wall clock. */
static void blank_ages(const struct buf *b)
{
    static const char key[] = "\"ageSeconds\":";
    for (char *p = b->p, *end = b->p + b->n;
         (p = memmem(p, (size_t)(end - p), key, sizeof key - 1)) != NULL;) {
        for (p += sizeof key - 1; p < end && *p != ',' && *p != '}'; p++) {
            *p = '#';
        }
    }
}

/* Numbers differ in length: what is kept ends them all at one character. */
static size_t squeeze(char *p, size_t n)
{
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] != '#' || out == 0 || p[out - 1] != '#') {
            p[out++] = p[i];
        }
    }
    return out;
}

static void judge(struct request_case *k, int status, const struct buf *reply)
{
    check(status == 200);
    check(reply->n > 0);
    if (!k->same) {
        return;
    }
    blank_ages(reply);
    size_t n = squeeze(reply->p, reply->n);
    if (k->kept.n == 0) {
        buf_put(&k->kept, reply->p, n);
    }
    check(n == k->kept.n && memcmp(reply->p, k->kept.p, n) == 0);
}

static bool request_scenario(void *ctx)
{
    struct request_case *k = ctx;
    struct arena a;
    struct buf body CLEANUP_BUF;
    struct buf reply CLEANUP_BUF;
    int status = 0, again = 0;
    arena_init(&a, LIMIT_REQUEST_ARENA);
    buf_init(&body, 1u << 20);
    buf_init(&reply, LIMIT_REPLY_BYTES);
    uids++;
    if (k->pod_app != NULL) {
        make_body(k, &body);
    } else if (k->body != NULL) {
        buf_lit(&body, k->body);
    }
    if (k->fresh_lab) {
        lab_close(&lab);
    }
    uint64_t before = cluster_hash(st.main.c);
    torture_begin();
    call(k, buf_view(&body), &a, &reply, &status);
    torture_end();
    bool ok = status == 200;
    if (ok) {
        judge(k, status, &reply);
    } else {
        if (status != 503 || !torture_hit()) {
            print_error("%s: %d %.*s\n", k->path, status, (int)reply.n, reply.p);
        }
        check(status == 503 && torture_hit());
    }
    release();
    check(cluster_hash(st.main.c) == before);
    buf_clear(&reply);
    arena_reset(&a);
    call(k, buf_view(&body), &a, &reply, &again); /* the next is right */
    if (!k->whole || k->same) {
        judge(k, again, &reply);
    }
    release();
    arena_done(&a);
    return ok;
}

static void run_case(const char *name, struct request_case k)
{
    buf_init(&k.kept, LIMIT_REPLY_BYTES);
    struct torture_result r = torture(name, request_scenario, &k, 61);
    struct err err = ERR_NONE;
    assert_int_equal(cluster_verify(st.main.c, &err), 0);
    assert_true(r.allocations > 0);
    buf_done(&k.kept);
}

static void extender_port(void **state)
{
    (void)state;
    run_case("filter arena",
             (struct request_case){.path = "/filter", .pod_app = "arena", .same = true});
    run_case("filter stream",
             (struct request_case){.path = "/filter", .pod_app = "stream", .same = true});
    run_case("prioritize",
             (struct request_case){.path = "/prioritize", .pod_app = "arena", .same = true});
    run_case("filter whole nodes",
             (struct request_case){.path = "/filter", .pod_app = "arena", .whole = true});
}

static void admin_port(void **state)
{
    (void)state;
    run_case("configz", (struct request_case){.path = "/configz", .same = true});
    run_case("decisions", (struct request_case){.path = "/v1/decisions"});
    run_case("metrics", (struct request_case){.path = "/metrics"});
    run_case("openapi", (struct request_case){.path = "/openapi.json", .same = true});
    run_case("page", (struct request_case){.path = "/"});
    run_case("version", (struct request_case){.path = "/version", .same = true});
    run_case("livez", (struct request_case){.path = "/livez", .same = true});
}

#define PLACE_BODY                                                                              \
    "{\"pods\":[{\"metadata\":{\"name\":\"h-1\",\"namespace\":\"games\",\"labels\":{\"app\":"   \
    "\"arena\"}},\"spec\":{\"containers\":["                                                    \
    "{\"name\":\"s\",\"resources\":{\"requests\":{\"cpu\":\"1\"}}}]}},{\"metadata\":{\"name\":" \
    "\"h-2\"},\"spec\":{\"nodeSelector\":{"                                                     \
    "\"pool\":\"nowhere\"},\"containers\":[{\"name\":\"s\"}]}}],\"explain\":true,\"nodes\":[{"  \
    "\"metadata\":{\"name\":\"hyp-1\","                                                         \
    "\"labels\":{\"pool\":\"metal\",\"topology.kubernetes.io/"                                  \
    "zone\":\"eu-1c\"}},\"status\":{\"allocatable\":{\"cpu\":\"8\","                            \
    "\"memory\":\"8Gi\",\"pods\":\"10\"}}}]}"

static void place(void **state)
{
    (void)state;
    run_case("place", (struct request_case){.path = "/v1/place", .body = PLACE_BODY, .same = true});
    run_case("place, model made anew",
             (struct request_case){
                 .path = "/v1/place", .body = PLACE_BODY, .same = true, .fresh_lab = true});
}

static bool explain_scenario(void *ctx)
{
    struct request_case *k = ctx;
    struct arena a;
    struct err err = ERR_NONE, unread = ERR_NONE;
    struct buf reply CLEANUP_BUF;
    arena_init(&a, LIMIT_REQUEST_ARENA);
    buf_init(&reply, LIMIT_REPLY_BYTES);
    if (k->fresh_lab) {
        lab_close(&lab);
    }
    torture_begin();
    int rc = lab_explain(&lab, STR("games"), STR("ask"), &a, &reply, &err);
    torture_end();
    if (rc == 0 && reply.broken) {
        rc = err_nomem(&err);
    }
    if (rc == 0) {
        judge(k, 200, &reply);
    }
    buf_clear(&reply);
    arena_reset(&a);
    check(lab_explain(&lab, STR("games"), STR("ask"), &a, &reply, &unread) == 0);
    judge(k, 200, &reply);
    arena_done(&a);
    return torture_ok(rc, &err);
}

static void explain_last(const char *name, bool fresh)
{
    struct request_case k = {.same = true, .fresh_lab = fresh};
    buf_init(&k.kept, LIMIT_REPLY_BYTES);
    struct torture_result r = torture(name, explain_scenario, &k, 62);
    assert_int_equal(r.odd, 0);
    assert_true(r.allocations > 50);
    buf_done(&k.kept);
}

static void explain(void **state)
{
    (void)state;
    explain_last("explain whole nodes", false); /* the last that was asked */
    run_case("filter again",
             (struct request_case){.path = "/filter", .pod_app = "arena", .same = true});
    explain_last("explain", false);
    explain_last("explain, model made anew", true);
}

/* ---- reload ---- */

static bool reload_scenario(void *ctx)
{
    struct live *old = state_live(&st), *fresh = NULL;
    struct err err = ERR_NONE;
    (void)ctx;
    (void)state_lock(&st,
                     0); /* closed when it could not take over the settings of an earlier run */
    check(state_need_whole(&st, &err) == 0);
    state_unlock(&st);
    uint64_t before = cluster_hash(st.main.c), generation = old->generation;
    torture_begin();
    int rc = live_read(&args, generation + 1, &fresh, &err);
    if (rc == 0) {
        rc = state_reload(&st, fresh, &err);
    }
    torture_end();
    check((st.live == old) == (rc != 0) && st.live->generation == generation + (rc == 0 ? 1 : 0));
    check(st.main.c->settings == &st.live->s && st.main.live == st.live);
    check(cluster_hash(st.main.c) == before);
    live_drop(fresh);
    live_drop(old);
    return torture_ok(rc, &err);
}

static void reload(void **state)
{
    struct err err = ERR_NONE;
    (void)state;
    assert_int_equal(torture("reload", reload_scenario, NULL, 63).odd, 0);
    assert_int_equal(cluster_verify(st.main.c, &err), 0);
}

/* ---- from nothing ---- */

static bool open_scenario(void *ctx)
{
    struct state one;
    struct source src;
    struct err err = ERR_NONE;
    (void)ctx;
    torture_begin();
    int rc = source_open(&src, snapshots, 1, &err);
    bool opened = rc == 0;
    rc = opened ? state_open(&one, &args, &src, NULL, &err) : rc;
    torture_end();
    if (rc == 0) {
        state_close(&one);
    }
    if (opened) {
        source_done(&src);
    }
    return torture_ok(rc, &err);
}

static void opening(void **state)
{
    (void)state;
    assert_int_equal(torture("open", open_scenario, NULL, 64).odd, 0);
}

/* ---- over a socket ---- */

static void on_done(void *ctx, const struct http_exchange *x, size_t in, size_t out,
                    int64_t took_ns)
{
    (void)ctx, (void)x, (void)in, (void)out, (void)took_ns;
}

static void on_failed(void *ctx, const char *cause)
{
    (void)ctx, (void)cause;
}

static void post(const char *address, const struct buf *body, struct net_reply *r)
{
    int fd = net_connect(address);
    net_post(fd, "/filter", body->p, body->n, r);
    (void)close(fd);
}

/* A server of its own, so that the first request's buffers are made as well. */
static bool socket_scenario(void *ctx)
{
    struct request_case *k = ctx;
    struct http_server *s = NULL;
    struct http_opts o;
    struct err err = ERR_NONE;
    struct net_reply first, second;
    struct buf body CLEANUP_BUF;
    buf_init(&body, 1u << 20);
    uids++;
    make_body(k, &body);
    http_opts_default(&o);
    o.listen = "127.0.0.1:0";
    o.max_connections = 4;
    o.events = (struct http_events){&st, routes_extender_route, routes_extender_handle, on_done,
                                    on_failed};
    check(http_server_start(&s, &o, &err) == 0);
    torture_begin();
    post(http_server_address(s), &body, &first);
    torture_end();
    post(http_server_address(s), &body, &second);
    http_server_stop(s);
    bool ok = first.status == 200;
    check(ok || (first.status == 503 && torture_hit()));
    check(first.n_body > 0 && first.content_length == (long)first.n_body);
    check(second.status == 200 && strstr(second.body, "NodeNames") != NULL);
    check(!ok || strcmp(first.body, second.body) == 0);
    release();
    net_reply_done(&first);
    net_reply_done(&second);
    return ok;
}

static void over_a_socket(void **state)
{
    struct request_case k = {.pod_app = "arena"};
    struct err err = ERR_NONE;
    (void)state;
    struct torture_result r = torture("socket", socket_scenario, &k, 65);
    assert_true(r.allocations > 5);
    assert_int_equal(cluster_verify(st.main.c, &err), 0);
}

/* ---- the client ---- */

struct client_case {
    char url[200];
};

/* Both ends are in this process; the server's failures come as 503, the client's as an error. */
static bool client_scenario(void *ctx)
{
    const struct client_case *k = ctx;
    struct err err = ERR_NONE;
    int status = 0;
    struct buf reply CLEANUP_BUF;
    struct http_ask ask = {.method = "GET", .url = k->url, .timeout_ms = 10000};
    buf_init(&reply, 1u << 20);
    torture_begin();
    int rc = http_client_call(&ask, &reply, &status, &err);
    torture_end();
    check(rc != 0 || status == 200 || (status == 503 && torture_hit()));
    return torture_ok(rc, &err) && status == 200;
}

static void client(void **state)
{
    struct client_case k;
    struct http_server *s = NULL;
    struct http_opts o;
    struct err err = ERR_NONE;
    (void)state;
    assert_true(http_client_init());
    http_opts_default(&o);
    o.listen = "127.0.0.1:0";
    o.events =
        (struct http_events){&routes, routes_admin_route, routes_admin_handle, on_done, on_failed};
    assert_int_equal(http_server_start(&s, &o, &err), 0);
    (void)snprintf(k.url, sizeof k.url, "http://%s/configz", http_server_address(s));
    struct torture_result r = torture("client", client_scenario, &k, 66);
    assert_true(r.allocations > 50); /* the library's own are among them */
    http_server_stop(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extender_port), cmocka_unit_test(explain), cmocka_unit_test(place),
        cmocka_unit_test(admin_port),    cmocka_unit_test(reload),  cmocka_unit_test(opening),
        cmocka_unit_test(over_a_socket), cmocka_unit_test(client),
    };
    return cmocka_run_group_tests_name("torture serve", tests, open_daemon, close_daemon);
}
