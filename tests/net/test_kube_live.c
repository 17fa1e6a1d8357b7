/* The live cluster: who we are, reservations settled by the watch, questions, whole nodes, dumps.
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
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/live_world.h"

/* ---- who we are ---- */

static void token_is_read_again(void **state)
{
    (void)state;
    struct live_world w;
    world_make(&w);
    world_write_file(w.token, "first\n");
    fake_api_kubeconfig(w.api, w.kubeconfig, w.token);
    fake_api_token(w.api, "first");
    world_serve(&w);
    world_in_step(&w);
    world_write_file(w.token, "second\n");
    fake_api_token(w.api, "second");
    fake_api_cut(w.api, NULL, FAKE_CLEAN); /* the next requests bear the old one, are refused, and go again at once */
    world_wait_metric(&w, RESTARTS("nodes", "unauthorized"), 1);
    world_put_node(&w, "node-c", "c");
    world_wait_exactly(&w, NODES, 3);
    assert_true(net_metric(&w.s, RESTARTS("nodes", "unauthorized")) <= 2);
    world_done(&w);
}

static void unauthorized(void **state)
{
    (void)state;
    struct live_world w;
    world_make(&w);
    world_write_file(w.token, "wrong\n");
    fake_api_kubeconfig(w.api, w.kubeconfig, w.token);
    fake_api_token(w.api, "right");
    world_serve(&w);
    world_wait_ready(&w, 503, "unauthorized: status 401");
    world_expect_fallback(&w, "early");
    assert_true(net_metric(&w.s, RESTARTS("nodes", "unauthorized")) >= 2);
    world_expect_log(&w, "The API server does not know us");
    world_write_file(w.token, "right\n");
    world_in_step(&w);
    world_done(&w);
}

static void forbidden(void **state)
{
    (void)state;
    struct live_world w;
    world_make(&w);
    fake_api_fault(w.api, "/apis/policy/v1/poddisruptionbudgets", FAKE_ANY, FAKE_STATUS, 403, -1);
    world_serve(&w);
    world_wait_ready(&w, 503, "[-]informer-sync/poddisruptionbudgets failed: waiting for the first list; forbidden: status 403");
    world_expect_fallback(&w, "early");
    assert_true(net_metric(&w.s, RESTARTS("poddisruptionbudgets", "forbidden")) == 1);
    world_expect_log(&w, "A permission is missing");
    world_expect_log(&w, "get, list and watch poddisruptionbudgets in API group \\\"policy\\\"");
    (void)sleep(3); /* it is asked for again after 30 s, not after 0.8 s */
    assert_true(net_metric(&w.s, RESTARTS("poddisruptionbudgets", "forbidden")) == 1);
    world_done(&w);
}

static void bad_kubeconfig_is_one_line(void **state)
{
    (void)state;
    struct live_world w;
    struct net_server s;
    world_make(&w);
    world_write_file(w.kubeconfig, "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: k\n  cluster: {server: "
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
    struct live_world w;
    char node[64], other[64];
    world_make(&w);
    world_serve(&w);
    world_in_step(&w);
    world_put_pod(&w, "p1", "", "1");
    world_put_pod(&w, "p2", "", "1");
    world_put_pod(&w, "p3", "", "1");
    world_wait_exactly(&w, PODS, 4);
    assert_int_equal(world_ask(&w, "p1", node, sizeof node), 1);
    world_put_pod(&w, "p1", node, "1"); /* where it was to go */
    world_wait_exactly(&w, EVENTS("bound"), 1);
    assert_int_equal(world_ask(&w, "p2", node, sizeof node), 1);
    (void)snprintf(other, sizeof other, "%s", strcmp(node, "node-a") == 0 ? "node-b" : "node-a");
    world_put_pod(&w, "p2", other, "1"); /* elsewhere: forgotten where it was */
    world_wait_exactly(&w, EVENTS("bound_elsewhere"), 1);
    assert_int_equal(world_ask(&w, "p3", node, sizeof node), 1);
    assert_true(net_metric(&w.s, HELD) == 1);
    fake_api_delete(w.api, FAKE_PODS, "games", "p3");
    world_wait_exactly(&w, EVENTS("deleted"), 1);
    assert_true(net_metric(&w.s, HELD) == 0);
    world_wait_exactly(&w, PODS, 3);
    world_done(&w);
}

static void node_deleted_under_a_reservation(void **state)
{
    (void)state;
    struct live_world w;
    char node[64], again[64];
    world_make(&w);
    world_serve(&w);
    world_in_step(&w);
    assert_int_equal(world_ask(&w, "p1", node, sizeof node), 1);
    fake_api_delete(w.api, FAKE_NODES, "", node);
    world_wait_exactly(&w, NODES, 1);
    assert_int_equal(world_ask(&w, "p1", again, sizeof again), 1); /* the one that is left */
    assert_string_not_equal(again, node);
    world_done(&w);
}

static void questions_about_a_live_cluster(void **state)
{
    (void)state;
    struct live_world w;
    struct net_reply r;
    char node[64], text[64];
    world_make(&w);
    world_serve(&w);
    world_in_step(&w);
    assert_int_equal(world_ask(&w, "p1", node, sizeof node), 1);
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
    struct live_world w;
    struct net_reply r;
    char node[2048], body[8192];
    long names = 0;
    world_make(&w);
    world_serve(&w);
    world_in_step(&w);
    fake_node(node, sizeof node, "node-b", "b", "8");
    (void)snprintf(body, sizeof body,
                   "{\"Pod\":{\"metadata\":{\"name\":\"w\",\"namespace\":\"games\",\"uid\":\"w\"},\"spec\":{\"containers\":["
                   "{\"name\":\"s\"}]"
                   "}},\"Nodes\":{\"items\":[%s]},\"NodeNames\":null}",
                   node);
    net_call(w.s.extender, "POST", "/filter", body, &r); /* opens the second model; lists are made for it */
    assert_int_equal(r.status, 200);
    net_reply_done(&r);
    world_wait_metric(&w, RELISTS, 2);
    world_wait_metric(&w, "spawnpoint_relists_total{resource=\"services\"}", 2);
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
    struct live_world w;
    world_make(&w);
    fake_api_resource(w.api, FAKE_AGONES, "GameServer", true);
    fake_api_put(w.api, FAKE_AGONES, "games", "gs",
                 "{\"kind\":\"GameServer\",\"apiVersion\":\"agones.dev/v1\",\"metadata\":{\"name\":\"gs\",\"namespace\":\"games\","
                 "\"resourceVersion\":\"@\"},\"status\":{\"state\":\"Allocated\"}}");
    world_serve(&w);
    world_in_step(&w);
    world_wait_metric(&w, "spawnpoint_relists_total{resource=\"gameservers.agones.dev\"}", 1);
    assert_true(world_ready_says(&w, 200, "[+]informer-sync/gameservers.agones.dev ok\n"));
    world_done(&w);
}

/* ---- a dump ---- */

static int run_snapshot(struct live_world *w, const char *options, char *out, size_t n)
{
    char command[1024];
    const char *program = getenv("SPAWNPOINT_PROGRAM");
    (void)snprintf(command, sizeof command, "%s snapshot --kubeconfig %s %s 2>&1 >%s/stdout", program, w->kubeconfig, options, w->dir);
    FILE *f = popen(command, "re");
    assert_non_null(f);
    size_t got = fread(out, 1, n - 1, f);
    out[got] = '\0';
    int status = pclose(f);
    (void)snprintf(command, sizeof command, "%s/stdout", w->dir);
    (void)unlink(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_dump_loads_again(void **state)
{
    (void)state;
    struct live_world w;
    char said[4096], path[128], option[160], name[32];
    struct net_server s;
    world_make(&w);
    for (int i = 0; i < 1100; i++) { /* three pages of pods, and the server stumbles on the way */
        (void)snprintf(name, sizeof name, "many-%d", i);
        world_put_pod(&w, name, "node-a", "1m");
    }
    fake_api_resource(w.api, FAKE_AGONES, "GameServer", true);
    fake_api_fault(w.api, FAKE_PODS, FAKE_LIST, FAKE_STATUS, 429, 1);
    fake_api_fault(w.api, FAKE_NODES, FAKE_LIST, FAKE_TRUNCATED, 0, 1);
    (void)snprintf(path, sizeof path, "%s/dump.json", w.dir);
    (void)snprintf(option, sizeof option, "-o %s", path);
    int code = run_snapshot(&w, option, said, sizeof said);
    if (code != 0 || strstr(said, "pods: 1101\n") == NULL || strstr(said, "1103 objects from http://127.0.0.1:") == NULL) {
        fail_msg("exit %d: %s", code, said);
    }
    net_start(&s, (const char *const[]){"--snapshot", path, NULL});
    assert_true(net_metric(&s, NODES) == 2);
    assert_true(net_metric(&s, PODS) == 1101);
    assert_int_equal(net_stop(&s), 0);
    (void)unlink(path);
    world_done(&w);
}

static void a_dump_that_fails_leaves_nothing(void **state)
{
    (void)state;
    struct live_world w;
    char said[4096], path[128], option[160];
    world_make(&w);
    fake_api_fault(w.api, FAKE_PODS, FAKE_LIST, FAKE_STATUS, 403, -1);
    (void)snprintf(path, sizeof path, "%s/dump.json", w.dir);
    (void)snprintf(option, sizeof option, "-o %s", path);
    assert_int_equal(run_snapshot(&w, option, said, sizeof said), 1);
    assert_non_null(strstr(said, "list of pods from http://127.0.0.1:"));
    assert_non_null(strstr(said, "permission \"list\" on pods is missing"));
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(run_snapshot(&w, "--out", said, sizeof said), 2);
    world_done(&w); /* whose folder must be empty but for its own files */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_is_read_again),
        cmocka_unit_test(unauthorized),
        cmocka_unit_test(forbidden),
        cmocka_unit_test(bad_kubeconfig_is_one_line),
        cmocka_unit_test(reservations_are_settled_by_the_watch),
        cmocka_unit_test(node_deleted_under_a_reservation),
        cmocka_unit_test(questions_about_a_live_cluster),
        cmocka_unit_test(whole_nodes_wait_for_their_pods),
        cmocka_unit_test(game_servers_when_their_api_exists),
        cmocka_unit_test(a_dump_loads_again),
        cmocka_unit_test(a_dump_that_fails_leaves_nothing),
    };
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
