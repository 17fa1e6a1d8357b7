/* The live cluster: every fault of the API server that docs/faults.md lists, over real sockets against the real program.
 * Each row asserts the reply, the metric's change and the log line.
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/fake_api.h"
#include "support/net_client.h"

#define PATIENCE "400ms"
#define SOON_MS 8000
#define RESTARTS(resource, reason) "spawnpoint_watch_restarts_total{resource=\"" resource "\",reason=\"" reason "\"}"
#define RELISTS "spawnpoint_relists_total{resource=\"nodes\"}"
#define NODES "spawnpoint_cache_objects{kind=\"nodes\"}"
#define PODS "spawnpoint_cache_objects{kind=\"pods\"}"
#define HEAD "apiVersion: spawnpoint.dev/v1alpha1\nkind: SpawnpointConfiguration\n"

struct world {
    struct fake_api *api;
    struct net_server s;
    char dir[64], kubeconfig[96], token[96], config[96];
};

static void write_file(const char *path, const char *text)
{
    char next[128];
    (void)snprintf(next, sizeof next, "%s.next", path);
    FILE *f = fopen(next, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(next, path), 0); /* as a mounted volume changes */
}

static void put_node(struct world *w, const char *name, const char *zone)
{
    char json[2048];
    fake_node(json, sizeof json, name, zone, "8");
    fake_api_put(w->api, FAKE_NODES, "", name, json);
}

static void put_pod(struct world *w, const char *name, const char *node, const char *cpu)
{
    char json[2048], uid[128];
    (void)snprintf(uid, sizeof uid, "uid-%s", name);
    fake_pod(json, sizeof json, "games", name, uid, node, cpu);
    fake_api_put(w->api, FAKE_PODS, "games", name, json);
}

/* Two nodes and a pod; nothing is started yet. */
static void world_make(struct world *w)
{
    memset(w, 0, sizeof *w);
    w->api = fake_api_start();
    (void)snprintf(w->dir, sizeof w->dir, "/tmp/spawnpoint-sync-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->kubeconfig, sizeof w->kubeconfig, "%s/kubeconfig", w->dir);
    (void)snprintf(w->token, sizeof w->token, "%s/token", w->dir);
    (void)snprintf(w->config, sizeof w->config, "%s/config.yaml", w->dir);
    write_file(w->config, HEAD "maxStaleness: 3s\ndecisionBudget: 500ms\n");
    fake_api_kubeconfig(w->api, w->kubeconfig, NULL);
    put_node(w, "node-a", "a");
    put_node(w, "node-b", "b");
    put_pod(w, "old", "node-a", "1");
}

static void world_serve(struct world *w)
{
    net_start(&w->s, (const char *const[]){"--kubeconfig", w->kubeconfig, "--config", w->config, "--api-timeout", PATIENCE, NULL});
}

static void world_done(struct world *w)
{
    if (w->s.pid > 0) {
        assert_int_equal(net_stop(&w->s), 0);
    }
    fake_api_stop(w->api);
    (void)unlink(w->kubeconfig);
    (void)unlink(w->token);
    (void)unlink(w->config);
    (void)rmdir(w->dir);
}

static bool ready_says(struct world *w, int status, const char *text)
{
    struct net_reply r;
    net_call(w->s.admin, "GET", "/readyz?verbose", NULL, &r);
    bool yes = r.status == status && strstr(r.body, text) != NULL;
    net_reply_done(&r);
    return yes;
}

static void wait_ready(struct world *w, int status, const char *text)
{
    struct net_reply r;
    for (int i = 0; i < SOON_MS / 20; i++) {
        if (ready_says(w, status, text)) {
            return;
        }
        (void)usleep(20000);
    }
    net_call(w->s.admin, "GET", "/readyz?verbose", NULL, &r);
    net_read_log(&w->s, 100);
    fail_msg("/readyz: expected %d \"%s\", got %d %s\n%s", status, text, r.status, r.body, w->s.log);
}

static void wait_metric(struct world *w, const char *series, double least)
{
    for (int i = 0; i < SOON_MS / 20; i++) {
        if (net_metric(&w->s, series) >= least) {
            return;
        }
        (void)usleep(20000);
    }
    net_read_log(&w->s, 100);
    fail_msg("%s: expected at least %g, got %g\n%s", series, least, net_metric(&w->s, series), w->s.log);
}

static void wait_exactly(struct world *w, const char *series, double v)
{
    for (int i = 0; i < SOON_MS / 20 && net_metric(&w->s, series) != v; i++) {
        (void)usleep(20000);
    }
    if (net_metric(&w->s, series) != v) {
        net_read_log(&w->s, 100);
        fail_msg("%s: expected %g, got %g\n%s", series, v, net_metric(&w->s, series), w->s.log);
    }
}

static void expect_log(struct world *w, const char *text)
{
    if (!net_wait_log(&w->s, text, 3000)) {
        fail_msg("the log does not say %s:\n%s", text, w->s.log);
    }
}

/* What /filter answers for a pod about both nodes: how many names, and the first. */
static long ask(struct world *w, const char *pod, char *first, size_t n)
{
    char body[4096];
    struct net_reply r;
    net_args(body, sizeof body, pod, "arena", "1", (const char *const[]){"node-a", "node-b", NULL});
    net_call(w->s.extender, "POST", "/filter", body, &r);
    assert_int_equal(r.status, 200);
    long names = net_json_size(&r, "NodeNames");
    net_json(&r, "NodeNames.0", first, n);
    net_reply_done(&r);
    return names;
}

/* The cache decides: one node, and it is node-b when `full` says that node-a looks full. */
static void expect_decided(struct world *w, const char *pod)
{
    char first[64];
    double before = net_metric(&w->s, "spawnpoint_decision_fallback_total{policy=\"passthrough\"}");
    assert_int_equal(ask(w, pod, first, sizeof first), 1);
    assert_true(net_metric(&w->s, "spawnpoint_decision_fallback_total{policy=\"passthrough\"}") == before);
}

static void expect_fallback(struct world *w, const char *pod)
{
    char first[64];
    double before = net_metric(&w->s, "spawnpoint_decision_fallback_total{policy=\"passthrough\"}");
    assert_int_equal(ask(w, pod, first, sizeof first), 2);
    assert_true(net_metric(&w->s, "spawnpoint_decision_fallback_total{policy=\"passthrough\"}") == before + 1);
}

static void in_step(struct world *w)
{
    wait_ready(w, 200, "[+]informer-sync/nodes ok");
    wait_exactly(w, NODES, 2);
    wait_exactly(w, PODS, 1);
}

/* ---- the good course ---- */

static void streams_and_follows(void **state)
{
    (void)state;
    struct world w;
    world_make(&w);
    world_serve(&w);
    in_step(&w);
    expect_log(&w, "Took over the first list");
    assert_int_equal(fake_api_count(w.api, FAKE_NODES, FAKE_LIST), 0);
    assert_true(ready_says(&w, 200, "[+]informer-sync/gameservers.agones.dev ok (the API does not exist here)"));
    expect_decided(&w, "one");
    put_node(&w, "node-c", "c");
    wait_exactly(&w, NODES, 3);
    put_pod(&w, "new", "node-b", "1");
    wait_exactly(&w, PODS, 3); /* old, new, and the reservation */
    fake_api_delete(w.api, FAKE_NODES, "", "node-c");
    wait_exactly(&w, NODES, 2);
    assert_true(net_metric(&w.s, "spawnpoint_watch_events_total{type=\"deleted\"}") >= 1);
    assert_true(net_metric(&w.s, "spawnpoint_cache_age_seconds") == 0);
    world_done(&w);
}

static void pages_where_streams_are_refused(void **state)
{
    (void)state;
    struct world w;
    char name[32];
    world_make(&w);
    for (int i = 0; i < 1200; i++) { /* three pages */
        (void)snprintf(name, sizeof name, "many-%d", i);
        put_node(&w, name, "a");
    }
    fake_api_no_streams(w.api, true);
    world_serve(&w);
    wait_exactly(&w, NODES, 1202);
    wait_ready(&w, 200, "[+]informer-sync/nodes ok");
    assert_int_equal(fake_api_count(w.api, FAKE_NODES, FAKE_LIST), 3);
    assert_true(net_metric(&w.s, RESTARTS("nodes", "refused")) == 1);
    expect_log(&w, "way=\"pages\"");
    put_node(&w, "later", "a");
    wait_exactly(&w, NODES, 1203);
    world_done(&w);
}

static void pages_where_streams_never_end(void **state)
{
    (void)state;
    struct world w;
    world_make(&w);
    fake_api_fault(w.api, FAKE_NODES, FAKE_STREAM, FAKE_SHORT, 0, -1);
    world_serve(&w);
    in_step(&w);
    assert_true(fake_api_count(w.api, FAKE_NODES, FAKE_LIST) == 1);
    assert_true(net_metric(&w.s, RESTARTS("nodes", "ended")) >= 2);
    expect_log(&w, "way=\"pages\"");
    world_done(&w);
}

/* ---- faults of the first list: each is counted, said once, and overcome ---- */

static void first_list(const char *path, enum fake_request when, enum fake_fault fault, int arg, const char *series, const char *log)
{
    struct world w;
    world_make(&w);
    fake_api_no_streams(w.api, when == FAKE_LIST);
    fake_api_fault(w.api, path, when, fault, arg, 1);
    world_serve(&w);
    wait_metric(&w, series, 1);
    in_step(&w);
    if (log != NULL) {
        expect_log(&w, log);
    }
    expect_decided(&w, "one");
    world_done(&w);
}

#define FIRST_LIST(name, when, fault, arg, reason)                                                                   \
    static void name(void **state)                                                                                   \
    {                                                                                                                \
        (void)state;                                                                                                 \
        first_list(FAKE_NODES, when, fault, arg, RESTARTS("nodes", reason), "cause=\"" reason "\"");                 \
    }
FIRST_LIST(list_server_error, FAKE_STREAM, FAKE_STATUS, 500, "server_error")
FIRST_LIST(list_unavailable_with_retry_after, FAKE_STREAM, FAKE_STATUS, 503, "server_error")
FIRST_LIST(list_throttled, FAKE_STREAM, FAKE_STATUS, 429, "throttled")
FIRST_LIST(list_too_new, FAKE_LIST, FAKE_STATUS, 504, "version_too_new")
FIRST_LIST(list_gone, FAKE_LIST, FAKE_STATUS, 410, "gone")
FIRST_LIST(list_redirect_is_not_followed, FAKE_STREAM, FAKE_STATUS, 302, "redirect")
FIRST_LIST(list_html, FAKE_STREAM, FAKE_HTML, 0, "not_json")
FIRST_LIST(list_garbage, FAKE_LIST, FAKE_GARBAGE, 0, "bad_data")
FIRST_LIST(stream_garbage, FAKE_STREAM, FAKE_GARBAGE, 0, "bad_data")
FIRST_LIST(list_truncated, FAKE_LIST, FAKE_TRUNCATED, 0, "cut")
FIRST_LIST(list_reset, FAKE_STREAM, FAKE_RESET, 0, "cut")
FIRST_LIST(list_silent, FAKE_STREAM, FAKE_SILENT, 0, "silent")
FIRST_LIST(list_of_nothing, FAKE_LIST, FAKE_LIE, 0, "bad_data")
FIRST_LIST(list_of_another_kind, FAKE_LIST, FAKE_OTHER_KIND, 0, "bad_data")
FIRST_LIST(stream_error_event, FAKE_STREAM, FAKE_ERROR_EVENT, 500, "server_error")
FIRST_LIST(stream_too_long, FAKE_STREAM, FAKE_LONG_EVENT, 0, "too_long")
FIRST_LIST(stream_nameless, FAKE_STREAM, FAKE_NAMELESS, 0, "bad_data")

static void list_drips(void **state)
{
    (void)state;
    struct world w;
    world_make(&w);
    fake_api_no_streams(w.api, true);
    fake_api_fault(w.api, FAKE_NODES, FAKE_LIST, FAKE_DRIP, 0, 1); /* never silent for long, never done: 20 patiences */
    world_serve(&w);
    expect_fallback(&w, "early");
    for (int i = 0; i < 3 && net_metric(&w.s, RESTARTS("nodes", "silent")) < 1; i++) {
        (void)sleep(3);
    }
    wait_metric(&w, RESTARTS("nodes", "silent"), 1);
    expect_log(&w, "not finished after 8000 ms");
    in_step(&w);
    world_done(&w);
}

/* ---- faults while it runs: the cache answers on ---- */

struct running {
    struct world w;
    double relists;
};

static void run_begin(struct running *r)
{
    world_make(&r->w);
    world_serve(&r->w);
    in_step(&r->w);
    r->relists = net_metric(&r->w.s, RELISTS);
}

static void run_end(struct running *r, double relists)
{
    assert_true(net_metric(&r->w.s, RELISTS) == r->relists + relists);
    put_node(&r->w, "node-z", "z");
    wait_exactly(&r->w, NODES, 3);
    expect_decided(&r->w, "last");
    world_done(&r->w);
}

static void watch_cut(enum fake_cut how, const char *series, const char *log)
{
    struct running r;
    run_begin(&r);
    int watches = fake_api_count(r.w.api, FAKE_NODES, FAKE_WATCH);
    fake_api_cut(r.w.api, FAKE_NODES, how);
    wait_metric(&r.w, series, 1);
    expect_decided(&r.w, "meanwhile");
    assert_true(fake_api_wait(r.w.api, FAKE_NODES, FAKE_WATCH, watches + 1, SOON_MS));
    if (log != NULL) {
        expect_log(&r.w, log);
        expect_log(&r.w, "In step again");
    }
    run_end(&r, 0); /* from the last version, no list */
}

static void watch_ended_by_the_server(void **state)
{
    (void)state;
    watch_cut(FAKE_CLEAN, RESTARTS("nodes", "ended"), NULL);
}

static void watch_fin(void **state)
{
    (void)state;
    watch_cut(FAKE_FIN, RESTARTS("nodes", "cut"), "Lost the watch; serving from the cache");
}

static void watch_rst(void **state)
{
    (void)state;
    watch_cut(FAKE_RST, RESTARTS("nodes", "cut"), "Lost the watch; serving from the cache");
}

static void watch_cut_within_an_event(void **state)
{
    (void)state;
    watch_cut(FAKE_HALF_EVENT, RESTARTS("nodes", "cut"), "Lost the watch; serving from the cache");
}

static void watch_half_open(void **state)
{
    (void)state;
    watch_cut(FAKE_FREEZE, RESTARTS("nodes", "silent"), "cause=\"silent\"");
}

static void change_while_cut_is_caught_up(void **state)
{
    (void)state;
    struct running r;
    run_begin(&r);
    fake_api_fault(r.w.api, FAKE_NODES, FAKE_WATCH, FAKE_STATUS, 500, 1);
    fake_api_cut(r.w.api, FAKE_NODES, FAKE_FIN);
    wait_metric(&r.w, RESTARTS("nodes", "server_error"), 1);
    put_node(&r.w, "node-m", "m");
    wait_exactly(&r.w, NODES, 3);
    fake_api_delete(r.w.api, FAKE_NODES, "", "node-m");
    wait_exactly(&r.w, NODES, 2);
    run_end(&r, 0);
}

/* A fault of the next watch request. */
static void next_watch(enum fake_fault fault, int arg, const char *series, double relists)
{
    struct running r;
    run_begin(&r);
    fake_api_fault(r.w.api, FAKE_NODES, FAKE_WATCH, fault, arg, 1);
    fake_api_cut(r.w.api, FAKE_NODES, FAKE_CLEAN);
    wait_metric(&r.w, series, 1);
    expect_decided(&r.w, "meanwhile");
    assert_true(net_metric(&r.w.s, NODES) == 2);
    wait_exactly(&r.w, RELISTS, r.relists + relists);
    wait_ready(&r.w, 200, "[+]informer-sync/nodes ok");
    run_end(&r, relists);
}

static void watch_gone_in_stream(void **state)
{
    (void)state;
    next_watch(FAKE_ERROR_EVENT, 410, RESTARTS("nodes", "gone"), 1);
}

static void watch_gone_as_status(void **state)
{
    (void)state;
    next_watch(FAKE_STATUS, 410, RESTARTS("nodes", "gone"), 1);
}

static void watch_too_new_is_no_loss(void **state)
{
    (void)state;
    next_watch(FAKE_STATUS, 504, RESTARTS("nodes", "version_too_new"), 0);
}

static void watch_throttled(void **state)
{
    (void)state;
    next_watch(FAKE_STATUS, 429, RESTARTS("nodes", "throttled"), 0);
}

static void watch_html(void **state)
{
    (void)state;
    next_watch(FAKE_HTML, 0, RESTARTS("nodes", "not_json"), 0);
}

static void watch_garbage(void **state)
{
    (void)state;
    next_watch(FAKE_GARBAGE, 0, RESTARTS("nodes", "bad_data"), 1);
}

static void watch_too_long(void **state)
{
    (void)state;
    next_watch(FAKE_LONG_EVENT, 0, RESTARTS("nodes", "too_long"), 1);
}

static void watch_unknown_type_is_counted(void **state)
{
    (void)state;
    next_watch(FAKE_UNKNOWN_TYPE, 0, "spawnpoint_watch_events_total{type=\"unknown\"}", 0);
}

static void relist_removes_what_is_gone(void **state)
{
    (void)state;
    struct running r;
    run_begin(&r);
    put_node(&r.w, "ghost", "a");
    wait_exactly(&r.w, NODES, 3);
    fake_api_vanish(r.w.api, FAKE_NODES, "", "ghost");
    fake_api_compact(r.w.api);
    fake_api_cut(r.w.api, FAKE_NODES, FAKE_CLEAN);
    wait_exactly(&r.w, NODES, 2);
    expect_log(&r.w, "Took over a new list");
    run_end(&r, 1);
}

static void bookmarks_move_the_version(void **state)
{
    (void)state;
    struct running r;
    run_begin(&r);
    fake_api_compact(r.w.api); /* the version that the watch began with is gone … */
    fake_api_bookmark(r.w.api); /* … but it hears of a newer one */
    wait_metric(&r.w, "spawnpoint_watch_events_total{type=\"bookmark\"}", 12);
    fake_api_cut(r.w.api, FAKE_NODES, FAKE_CLEAN);
    wait_metric(&r.w, RESTARTS("nodes", "ended"), 1);
    run_end(&r, 0);
}

static void same_name_other_uid(void **state)
{
    (void)state;
    struct world w;
    char json[2048];
    world_make(&w);
    world_serve(&w);
    in_step(&w);
    fake_pod(json, sizeof json, "games", "old", "uid-second", "node-b", "1");
    fake_api_put(w.api, FAKE_PODS, "games", "old", json); /* its deletion was never sent */
    wait_metric(&w, "spawnpoint_watch_events_total{type=\"modified\"}", 1);
    assert_true(net_metric(&w.s, PODS) == 1);
    world_done(&w);
}

static void unreadable_object_is_left_out(void **state)
{
    (void)state;
    struct world w;
    world_make(&w);
    fake_api_put(w.api, FAKE_NODES, "", "odd",
                 "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"odd\",\"resourceVersion\":\"@\"},\"status\":{"
                 "\"allocatable\":{\"cpu\":\"many\"}}}");
    world_serve(&w);
    in_step(&w);
    assert_true(net_metric(&w.s, "spawnpoint_unreadable_objects_total{resource=\"nodes\"}") == 1);
    expect_log(&w, "Left out an object that cannot be read");
    world_done(&w);
}

/* ---- the API server is away ---- */

static void down_at_start(void **state)
{
    (void)state;
    struct world w;
    struct net_reply r;
    world_make(&w);
    fake_api_down(w.api, true);
    world_serve(&w); /* it listens at once */
    net_call(w.s.admin, "GET", "/livez", NULL, &r);
    assert_int_equal(r.status, 200);
    net_reply_done(&r);
    wait_ready(&w, 503, "[-]informer-sync/nodes failed: waiting for the first list; connect");
    expect_fallback(&w, "early");
    assert_true(net_metric(&w.s, "spawnpoint_cache_age_seconds") == -1);
    assert_true(net_metric(&w.s, RESTARTS("nodes", "connect")) >= 1);
    expect_log(&w, "Cannot list yet; trying on");
    fake_api_down(w.api, false);
    in_step(&w);
    expect_decided(&w, "late");
    world_done(&w);
}

static void down_while_it_runs(void **state)
{
    (void)state;
    struct world w;
    world_make(&w);
    world_serve(&w);
    in_step(&w);
    fake_api_down(w.api, true);
    wait_metric(&w, RESTARTS("nodes", "connect"), 1);
    wait_metric(&w, "spawnpoint_cache_age_seconds", 0.01);
    wait_ready(&w, 503, "failed: stale for"); /* past maxStaleness: 3s */
    expect_fallback(&w, "stale");
    expect_log(&w, "Lost the watch; serving from the cache");
    fake_api_down(w.api, false);
    in_step(&w);
    assert_true(net_metric(&w.s, "spawnpoint_cache_age_seconds") == 0);
    expect_log(&w, "In step again");
    expect_decided(&w, "fresh");
    /* one line a change, not one a try */
    net_read_log(&w.s, 200);
    const char *at = w.s.log;
    int lines = 0;
    while ((at = strstr(at, "resource=\"nodes\" cause=\"connect\"")) != NULL) {
        lines++;
        at++;
    }
    assert_int_equal(lines, 1);
    world_done(&w);
}

static void stale_can_reject(void **state)
{
    (void)state;
    struct world w;
    char first[64];
    world_make(&w);
    write_file(w.config, HEAD "maxStaleness: 1s\nonStale: reject\n");
    fake_api_down(w.api, true);
    world_serve(&w);
    assert_int_equal(ask(&w, "early", first, sizeof first), 0);
    assert_true(net_metric(&w.s, "spawnpoint_decision_fallback_total{policy=\"reject\"}") == 1);
    world_done(&w);
}

/* ---- who we are ---- */

static void token_is_read_again(void **state)
{
    (void)state;
    struct world w;
    world_make(&w);
    write_file(w.token, "first\n");
    fake_api_kubeconfig(w.api, w.kubeconfig, w.token);
    fake_api_token(w.api, "first");
    world_serve(&w);
    in_step(&w);
    write_file(w.token, "second\n");
    fake_api_token(w.api, "second");
    fake_api_cut(w.api, NULL, FAKE_CLEAN); /* the next requests bear the old one, are refused, and go again at once */
    wait_metric(&w, RESTARTS("nodes", "unauthorized"), 1);
    put_node(&w, "node-c", "c");
    wait_exactly(&w, NODES, 3);
    assert_true(net_metric(&w.s, RESTARTS("nodes", "unauthorized")) <= 2);
    world_done(&w);
}

static void unauthorized(void **state)
{
    (void)state;
    struct world w;
    world_make(&w);
    write_file(w.token, "wrong\n");
    fake_api_kubeconfig(w.api, w.kubeconfig, w.token);
    fake_api_token(w.api, "right");
    world_serve(&w);
    wait_ready(&w, 503, "unauthorized: status 401");
    expect_fallback(&w, "early");
    assert_true(net_metric(&w.s, RESTARTS("nodes", "unauthorized")) >= 2);
    expect_log(&w, "The API server does not know us");
    write_file(w.token, "right\n");
    in_step(&w);
    world_done(&w);
}

static void forbidden(void **state)
{
    (void)state;
    struct world w;
    world_make(&w);
    fake_api_fault(w.api, "/apis/policy/v1/poddisruptionbudgets", FAKE_ANY, FAKE_STATUS, 403, -1);
    world_serve(&w);
    wait_ready(&w, 503, "[-]informer-sync/poddisruptionbudgets failed: waiting for the first list; forbidden: status 403");
    expect_fallback(&w, "early");
    assert_true(net_metric(&w.s, RESTARTS("poddisruptionbudgets", "forbidden")) == 1);
    expect_log(&w, "A permission is missing");
    expect_log(&w, "get, list and watch poddisruptionbudgets in API group \\\"policy\\\"");
    (void)sleep(3); /* it is asked for again after 30 s, not after 0.8 s */
    assert_true(net_metric(&w.s, RESTARTS("poddisruptionbudgets", "forbidden")) == 1);
    world_done(&w);
}

static void bad_kubeconfig_is_one_line(void **state)
{
    (void)state;
    struct world w;
    struct net_server s;
    world_make(&w);
    write_file(w.kubeconfig, "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: k\n  cluster: {server: "
                             "\"https://127.0.0.1:1\"}\ncontexts:\n- name: c\n  context: {cluster: k, user: u}\nusers:\n- name: u\n  "
                             "user:\n    exec: {command: aws-iam}\n");
    assert_int_equal(net_run(&s, (const char *const[]){"--kubeconfig", w.kubeconfig, NULL}), 1);
    assert_non_null(strstr(s.log, "kubeconfig:13:"));
    assert_non_null(strstr(s.log, "exec \"aws-iam\": credential plug-ins are not run"));
    world_done(&w);
}

/* ---- reservations ---- */

#define EVENTS(event) "spawnpoint_reservations_total{event=\"" event "\"}"
#define HELD "spawnpoint_cache_objects{kind=\"reservations\"}"

static void reservations_are_settled_by_the_watch(void **state)
{
    (void)state;
    struct world w;
    char node[64], other[64];
    world_make(&w);
    world_serve(&w);
    in_step(&w);
    put_pod(&w, "p1", "", "1");
    put_pod(&w, "p2", "", "1");
    put_pod(&w, "p3", "", "1");
    wait_exactly(&w, PODS, 4);
    assert_int_equal(ask(&w, "p1", node, sizeof node), 1);
    put_pod(&w, "p1", node, "1"); /* where it was to go */
    wait_exactly(&w, EVENTS("bound"), 1);
    assert_int_equal(ask(&w, "p2", node, sizeof node), 1);
    (void)snprintf(other, sizeof other, "%s", strcmp(node, "node-a") == 0 ? "node-b" : "node-a");
    put_pod(&w, "p2", other, "1"); /* elsewhere: forgotten where it was */
    wait_exactly(&w, EVENTS("bound_elsewhere"), 1);
    assert_int_equal(ask(&w, "p3", node, sizeof node), 1);
    assert_true(net_metric(&w.s, HELD) == 1);
    fake_api_delete(w.api, FAKE_PODS, "games", "p3");
    wait_exactly(&w, EVENTS("deleted"), 1);
    assert_true(net_metric(&w.s, HELD) == 0);
    wait_exactly(&w, PODS, 3);
    world_done(&w);
}

static void node_deleted_under_a_reservation(void **state)
{
    (void)state;
    struct world w;
    char node[64], again[64];
    world_make(&w);
    world_serve(&w);
    in_step(&w);
    assert_int_equal(ask(&w, "p1", node, sizeof node), 1);
    fake_api_delete(w.api, FAKE_NODES, "", node);
    wait_exactly(&w, NODES, 1);
    assert_int_equal(ask(&w, "p1", again, sizeof again), 1); /* the one that is left */
    assert_string_not_equal(again, node);
    world_done(&w);
}

static void questions_about_a_live_cluster(void **state)
{
    (void)state;
    struct world w;
    struct net_reply r;
    char node[64], text[64];
    world_make(&w);
    world_serve(&w);
    in_step(&w);
    assert_int_equal(ask(&w, "p1", node, sizeof node), 1);
    net_call(w.s.admin, "GET", "/v1/explain?pod=games/p1", NULL, &r);
    assert_int_equal(r.status, 200);
    net_json(&r, "chosen", text, sizeof text);
    assert_string_equal(text, node);
    assert_int_equal(net_json_size(&r, "nodes"), 2);
    net_reply_done(&r);
    double pods = net_metric(&w.s, PODS);
    net_call(w.s.admin, "POST", "/v1/place",
             "{\"pods\":[{\"metadata\":{\"name\":\"q\",\"namespace\":\"games\"},\"spec\":{\"containers\":[{\"name\":\"s\",\"resources\":{"
             "\"requests\":{\"cpu\":\"20\"}}}]}}],\"nodes\":[{\"metadata\":{\"name\":\"big\"},\"status\":{\"allocatable\":{\"cpu\":\"64\","
             "\"memory\":\"64Gi\",\"pods\":\"110\"}}}]}",
             &r);
    assert_int_equal(r.status, 200);
    net_json(&r, "placements.0.node", text, sizeof text);
    assert_string_equal(text, "big");
    net_reply_done(&r);
    assert_true(net_metric(&w.s, PODS) == pods && net_metric(&w.s, NODES) == 2); /* nothing is kept */
    world_done(&w);
}

static void whole_nodes_wait_for_their_pods(void **state)
{
    (void)state;
    struct world w;
    struct net_reply r;
    char node[2048], body[8192];
    long names = 0;
    world_make(&w);
    world_serve(&w);
    in_step(&w);
    fake_node(node, sizeof node, "node-b", "b", "8");
    (void)snprintf(body, sizeof body,
                   "{\"Pod\":{\"metadata\":{\"name\":\"w\",\"namespace\":\"games\",\"uid\":\"w\"},\"spec\":{\"containers\":[{\"name\":\"s\"}]"
                   "}},\"Nodes\":{\"items\":[%s]},\"NodeNames\":null}",
                   node);
    net_call(w.s.extender, "POST", "/filter", body, &r); /* opens the second model; lists are made for it */
    assert_int_equal(r.status, 200);
    net_reply_done(&r);
    wait_metric(&w, RELISTS, 2);
    wait_metric(&w, "spawnpoint_relists_total{resource=\"services\"}", 2);
    for (int i = 0; i < 100 && net_metric(&w.s, "spawnpoint_decisions_total{result=\"placed\"}") < 1; i++) {
        net_call(w.s.extender, "POST", "/filter", body, &r);
        names = net_json_size(&r, "Nodes.items");
        net_reply_done(&r);
        (void)usleep(20000);
    }
    assert_int_equal(names, 1);
    assert_true(net_metric(&w.s, "spawnpoint_decisions_total{result=\"placed\"}") >= 1);
    world_done(&w);
}

static void game_servers_when_their_api_exists(void **state)
{
    (void)state;
    struct world w;
    world_make(&w);
    fake_api_resource(w.api, FAKE_AGONES, "GameServer", true);
    fake_api_put(w.api, FAKE_AGONES, "games", "gs",
                 "{\"kind\":\"GameServer\",\"apiVersion\":\"agones.dev/v1\",\"metadata\":{\"name\":\"gs\",\"namespace\":\"games\","
                 "\"resourceVersion\":\"@\"},\"status\":{\"state\":\"Allocated\"}}");
    world_serve(&w);
    in_step(&w);
    wait_metric(&w, "spawnpoint_relists_total{resource=\"gameservers.agones.dev\"}", 1);
    assert_true(ready_says(&w, 200, "[+]informer-sync/gameservers.agones.dev ok\n"));
    world_done(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_and_follows),
        cmocka_unit_test(pages_where_streams_are_refused),
        cmocka_unit_test(pages_where_streams_never_end),
        cmocka_unit_test(list_server_error),
        cmocka_unit_test(list_unavailable_with_retry_after),
        cmocka_unit_test(list_throttled),
        cmocka_unit_test(list_too_new),
        cmocka_unit_test(list_gone),
        cmocka_unit_test(list_redirect_is_not_followed),
        cmocka_unit_test(list_html),
        cmocka_unit_test(list_garbage),
        cmocka_unit_test(stream_garbage),
        cmocka_unit_test(list_truncated),
        cmocka_unit_test(list_reset),
        cmocka_unit_test(list_silent),
        cmocka_unit_test(list_of_nothing),
        cmocka_unit_test(list_of_another_kind),
        cmocka_unit_test(stream_error_event),
        cmocka_unit_test(stream_too_long),
        cmocka_unit_test(stream_nameless),
        cmocka_unit_test(list_drips),
        cmocka_unit_test(watch_ended_by_the_server),
        cmocka_unit_test(watch_fin),
        cmocka_unit_test(watch_rst),
        cmocka_unit_test(watch_cut_within_an_event),
        cmocka_unit_test(watch_half_open),
        cmocka_unit_test(change_while_cut_is_caught_up),
        cmocka_unit_test(watch_gone_in_stream),
        cmocka_unit_test(watch_gone_as_status),
        cmocka_unit_test(watch_too_new_is_no_loss),
        cmocka_unit_test(watch_throttled),
        cmocka_unit_test(watch_html),
        cmocka_unit_test(watch_garbage),
        cmocka_unit_test(watch_too_long),
        cmocka_unit_test(watch_unknown_type_is_counted),
        cmocka_unit_test(relist_removes_what_is_gone),
        cmocka_unit_test(bookmarks_move_the_version),
        cmocka_unit_test(same_name_other_uid),
        cmocka_unit_test(unreadable_object_is_left_out),
        cmocka_unit_test(down_at_start),
        cmocka_unit_test(down_while_it_runs),
        cmocka_unit_test(stale_can_reject),
        cmocka_unit_test(token_is_read_again),
        cmocka_unit_test(unauthorized),
        cmocka_unit_test(forbidden),
        cmocka_unit_test(bad_kubeconfig_is_one_line),
        cmocka_unit_test(reservations_are_settled_by_the_watch),
        cmocka_unit_test(node_deleted_under_a_reservation),
        cmocka_unit_test(questions_about_a_live_cluster),
        cmocka_unit_test(whole_nodes_wait_for_their_pods),
        cmocka_unit_test(game_servers_when_their_api_exists),
    };
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
