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

#include "support/live_world.h"

/* ---- the good course ---- */

static void streams_and_follows(void **state)
{
    (void)state;
    struct live_world w;
    world_make(&w);
    world_serve(&w);
    world_in_step(&w);
    world_expect_log(&w, "Took over the first list");
    assert_int_equal(fake_api_count(w.api, FAKE_NODES, FAKE_LIST), 0);
    assert_true(world_ready_says(
        &w, 200, "[+]informer-sync/gameservers.agones.dev ok (the API does not exist here)"));
    world_expect_decided(&w, "one");
    world_put_node(&w, "node-c", "c");
    world_wait_exactly(&w, NODES, 3);
    world_put_pod(&w, "new", "node-b", "1");
    world_wait_exactly(&w, PODS, 3); /* old, new, and the reservation */
    fake_api_delete(w.api, FAKE_NODES, "", "node-c");
    world_wait_exactly(&w, NODES, 2);
    assert_true(net_metric(&w.s, "spawnpoint_watch_events_total{type=\"deleted\"}") >= 1);
    assert_true(net_metric(&w.s, "spawnpoint_cache_age_seconds") == 0);
    world_done(&w);
}

static void pages_where_streams_are_refused(void **state)
{
    (void)state;
    struct live_world w;
    char name[32];
    world_make(&w);
    for (int i = 0; i < 1200; i++) { /* three pages */
        (void)snprintf(name, sizeof name, "many-%d", i);
        world_put_node(&w, name, "a");
    }
    fake_api_no_streams(w.api, true);
    world_serve(&w);
    world_wait_exactly(&w, NODES, 1202);
    world_wait_ready(&w, 200, "[+]informer-sync/nodes ok");
    assert_int_equal(fake_api_count(w.api, FAKE_NODES, FAKE_LIST), 3);
    assert_true(net_metric(&w.s, RESTARTS("nodes", "refused")) == 1);
    world_expect_log(&w, "way=\"pages\"");
    world_put_node(&w, "later", "a");
    world_wait_exactly(&w, NODES, 1203);
    world_done(&w);
}

static void pages_where_streams_never_end(void **state)
{
    (void)state;
    struct live_world w;
    world_make(&w);
    fake_api_fault(w.api, FAKE_NODES, FAKE_STREAM, FAKE_SHORT, 0, -1);
    world_serve(&w);
    world_in_step(&w);
    assert_true(fake_api_count(w.api, FAKE_NODES, FAKE_LIST) == 1);
    assert_true(net_metric(&w.s, RESTARTS("nodes", "ended")) >= 2);
    world_expect_log(&w, "way=\"pages\"");
    world_done(&w);
}

/* ---- faults of the first list: each is counted, said once, and overcome ---- */

static void first_list(const char *path, enum fake_request when, enum fake_fault fault, int arg,
                       const char *series, const char *log)
{
    struct live_world w;
    world_make(&w);
    fake_api_no_streams(w.api, when == FAKE_LIST);
    fake_api_fault(w.api, path, when, fault, arg, 1);
    world_serve(&w);
    world_wait_metric(&w, series, 1);
    world_in_step(&w);
    if (log != NULL) {
        world_expect_log(&w, log);
    }
    world_expect_decided(&w, "one");
    world_done(&w);
}

#define FIRST_LIST(name, when, fault, arg, reason)                          \
    static void name(void **state)                                          \
    {                                                                       \
        (void)state;                                                        \
        first_list(FAKE_NODES, when, fault, arg, RESTARTS("nodes", reason), \
                   "cause=\"" reason "\"");                                 \
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
    struct live_world w;
    world_make(&w);
    fake_api_no_streams(w.api, true);
    fake_api_fault(w.api, FAKE_NODES, FAKE_LIST, FAKE_DRIP, 0,
                   1); /* never silent for long, never done: 20 patiences */
    world_serve(&w);
    world_expect_fallback(&w, "early");
    for (int i = 0; i < 6 && net_metric(&w.s, RESTARTS("nodes", "silent")) < 1; i++) {
        (void)sleep(3);
    }
    world_wait_metric(&w, RESTARTS("nodes", "silent"), 1);
    world_expect_log(&w, "not finished after 8000 ms");
    world_in_step(&w);
    world_done(&w);
}

/* ---- faults while it runs: the cache answers on ---- */

struct running {
    struct live_world w;
    double relists;
};

static void run_begin(struct running *r)
{
    world_make(&r->w);
    world_serve(&r->w);
    world_in_step(&r->w);
    r->relists = net_metric(&r->w.s, RELISTS);
}

static void run_end(struct running *r, double relists)
{
    assert_true(net_metric(&r->w.s, RELISTS) == r->relists + relists);
    world_put_node(&r->w, "node-z", "z");
    world_wait_exactly(&r->w, NODES, 3);
    world_expect_decided(&r->w, "last");
    world_done(&r->w);
}

static void watch_cut(enum fake_cut how, const char *series, const char *log)
{
    struct running r;
    run_begin(&r);
    int watches = fake_api_count(r.w.api, FAKE_NODES, FAKE_WATCH);
    fake_api_cut(r.w.api, FAKE_NODES, how);
    world_wait_metric(&r.w, series, 1);
    world_expect_decided(&r.w, "meanwhile");
    assert_true(fake_api_wait(r.w.api, FAKE_NODES, FAKE_WATCH, watches + 1, SOON_MS));
    if (log != NULL) {
        world_expect_log(&r.w, log);
        world_expect_log(&r.w, "In step again");
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
    world_wait_metric(&r.w, RESTARTS("nodes", "server_error"), 1);
    world_put_node(&r.w, "node-m", "m");
    world_wait_exactly(&r.w, NODES, 3);
    fake_api_delete(r.w.api, FAKE_NODES, "", "node-m");
    world_wait_exactly(&r.w, NODES, 2);
    run_end(&r, 0);
}

/* A fault of the next watch request. */
static void next_watch(enum fake_fault fault, int arg, const char *series, double relists)
{
    struct running r;
    run_begin(&r);
    fake_api_fault(r.w.api, FAKE_NODES, FAKE_WATCH, fault, arg, 1);
    fake_api_cut(r.w.api, FAKE_NODES, FAKE_CLEAN);
    world_wait_metric(&r.w, series, 1);
    world_expect_decided(&r.w, "meanwhile");
    assert_true(net_metric(&r.w.s, NODES) == 2);
    world_wait_exactly(&r.w, RELISTS, r.relists + relists);
    world_wait_ready(&r.w, 200, "[+]informer-sync/nodes ok");
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
    world_put_node(&r.w, "ghost", "a");
    world_wait_exactly(&r.w, NODES, 3);
    fake_api_vanish(r.w.api, FAKE_NODES, "", "ghost");
    fake_api_compact(r.w.api);
    fake_api_cut(r.w.api, FAKE_NODES, FAKE_CLEAN);
    world_wait_exactly(&r.w, NODES, 2);
    world_expect_log(&r.w, "Took over a new list");
    run_end(&r, 1);
}

static void bookmarks_move_the_version(void **state)
{
    (void)state;
    struct running r;
    run_begin(&r);
    fake_api_compact(r.w.api);  /* the version that the watch began with is gone … */
    fake_api_bookmark(r.w.api); /* … but it hears of a newer one */
    world_wait_metric(&r.w, "spawnpoint_watch_events_total{type=\"bookmark\"}", 12);
    fake_api_cut(r.w.api, FAKE_NODES, FAKE_CLEAN);
    world_wait_metric(&r.w, RESTARTS("nodes", "ended"), 1);
    run_end(&r, 0);
}

static void same_name_other_uid(void **state)
{
    (void)state;
    struct live_world w;
    char json[2048];
    world_make(&w);
    world_serve(&w);
    world_in_step(&w);
    fake_pod(json, sizeof json, "games", "old", "uid-second", "node-b", "1");
    fake_api_put(w.api, FAKE_PODS, "games", "old", json); /* its deletion was never sent */
    world_wait_metric(&w, "spawnpoint_watch_events_total{type=\"modified\"}", 1);
    assert_true(net_metric(&w.s, PODS) == 1);
    world_done(&w);
}

static void unreadable_object_is_left_out(void **state)
{
    (void)state;
    struct live_world w;
    world_make(&w);
    fake_api_put(w.api, FAKE_NODES, "", "odd",
                 "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"odd\","
                 "\"resourceVersion\":\"@\"},\"status\":{"
                 "\"allocatable\":{\"cpu\":\"many\"}}}");
    world_serve(&w);
    world_in_step(&w);
    assert_true(net_metric(&w.s, "spawnpoint_unreadable_objects_total{resource=\"nodes\"}") == 1);
    world_expect_log(&w, "Left out an object that cannot be read");
    world_done(&w);
}

/* ---- the API server is away ---- */

static void down_at_start(void **state)
{
    (void)state;
    struct live_world w;
    struct net_reply r;
    world_make(&w);
    fake_api_down(w.api, true);
    world_serve(&w); /* it listens at once */
    net_call(w.s.admin, "GET", "/livez", NULL, &r);
    assert_int_equal(r.status, 200);
    net_reply_done(&r);
    world_wait_ready(&w, 503, "[-]informer-sync/nodes failed: waiting for the first list; connect");
    world_expect_fallback(&w, "early");
    assert_true(net_metric(&w.s, "spawnpoint_cache_age_seconds") == -1);
    assert_true(net_metric(&w.s, RESTARTS("nodes", "connect")) >= 1);
    world_expect_log(&w, "Cannot list yet; trying on");
    fake_api_down(w.api, false);
    world_in_step(&w);
    world_expect_decided(&w, "late");
    world_done(&w);
}

static void down_while_it_runs(void **state)
{
    (void)state;
    struct live_world w;
    world_make(&w);
    world_serve(&w);
    world_in_step(&w);
    fake_api_down(w.api, true);
    world_wait_metric(&w, RESTARTS("nodes", "connect"), 1);
    world_wait_metric(&w, "spawnpoint_cache_age_seconds", 0.01);
    world_wait_ready(&w, 503, "failed: stale for"); /* past maxStaleness: 3s */
    world_expect_fallback(&w, "stale");
    world_expect_log(&w, "Lost the watch; serving from the cache");
    fake_api_down(w.api, false);
    world_in_step(&w);
    world_expect_log(&w, "In step again");
    for (int i = 0; i < 400 && net_metric(&w.s, "spawnpoint_cache_age_seconds") != 0; i++) {
        net_read_log(&w.s, 50); /* the last of the watches may open a moment later */
    }
    assert_true(net_metric(&w.s, "spawnpoint_cache_age_seconds") == 0);
    world_expect_decided(&w, "fresh");
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
    struct live_world w;
    char first[64];
    world_make(&w);
    world_write_file(w.config, HEAD "maxStaleness: 1s\nonStale: reject\n");
    fake_api_down(w.api, true);
    world_serve(&w);
    assert_int_equal(world_ask(&w, "early", first, sizeof first), 0);
    assert_true(net_metric(&w.s, "spawnpoint_decision_fallback_total{policy=\"reject\"}") == 1);
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
    };
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
