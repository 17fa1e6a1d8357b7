/* The three ways to answer, whole nodes, explanations of live decisions, hypothetical placements.
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/net_client.h"

#define SNAPSHOT "tests/data/snapshots/arena.json"

static const char *const asked[] = {"metal-a-0", "cordoned-a-0", "metal-b-0", "doomed-b-0",
                                    "spot-c-0",  "ondemand-a-0", NULL};

static void call(const struct net_server *s, const char *path, const char *pod,
                 const char *const *names, struct net_reply *r)
{
    char body[4096];
    net_args(body, sizeof body, pod, "other", "100m", names);
    net_call(s->extender, "POST", path, body, r);
    assert_int_equal(r->status, 200);
}

static void cooperative_vetoes_then_ranks(void **state)
{
    (void)state;
    struct net_server s;
    struct net_reply r;
    char text[200];
    net_start(&s, (const char *const[]){"--snapshot", SNAPSHOT, "--decide", "cooperative", NULL});
    call(&s, "/filter", "coop", asked, &r);
    assert_int_equal(net_json_size(&r, "NodeNames"), 4);
    static const char *const kept[] = {"metal-a-0", "metal-b-0", "spot-c-0",
                                       "ondemand-a-0"}; /* in the order asked */
    for (int i = 0; i < 4; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "NodeNames.%d", i);
        net_json(&r, path, text, sizeof text);
        assert_string_equal(text, kept[i]);
    }
    assert_int_equal(net_json_size(&r, "FailedAndUnresolvableNodes"), 2);
    net_json(&r, "FailedAndUnresolvableNodes.cordoned-a-0", text, sizeof text);
    assert_string_equal(text, "node(s) were unschedulable");
    net_reply_done(&r);
    assert_true(net_metric(&s, "spawnpoint_reservations_total{event=\"made\"}") == 0);
    call(&s, "/prioritize", "coop",
         (const char *const[]){"metal-a-0", "metal-b-0", "spot-c-0", "ondemand-a-0", NULL}, &r);
    int tens = 0;
    for (long i = 0; i < net_json_size(&r, ""); i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "%ld.Score", i);
        net_json(&r, path, text, sizeof text);
        tens += strcmp(text, "10") == 0;
        assert_string_not_equal(text, "0");
    }
    assert_int_equal(tens, 1);
    net_reply_done(&r);
    assert_true(net_metric(&s, "spawnpoint_reservations_total{event=\"made\"}") == 1);
    call(&s, "/filter", "alone", (const char *const[]){"metal-a-0", NULL},
         &r); /* one left: no prioritize follows */
    net_reply_done(&r);
    assert_true(net_metric(&s, "spawnpoint_reservations_total{event=\"made\"}") == 2);
    assert_int_equal(net_stop(&s), 0);
}

static void shortlist_names_the_best_few(void **state)
{
    (void)state;
    struct net_server s;
    struct net_reply r, p;
    char first[200], best[200], score[32];
    static const char *const many[] = {
        "metal-a-0", "metal-a-1", "metal-a-2", "metal-b-0", "metal-b-1", "metal-b-2", "metal-c-0",
        "metal-c-1", "metal-c-2", "spot-a-0",  "spot-a-1",  "spot-a-2",  NULL};
    net_start(&s, (const char *const[]){"--snapshot", SNAPSHOT, "--decide", "shortlist", NULL});
    call(&s, "/filter", "short", many, &r);
    assert_int_equal(net_json_size(&r, "NodeNames"), 8);
    net_json(&r, "NodeNames.0", first, sizeof first);
    assert_true(net_metric(&s, "spawnpoint_reservations_total{event=\"made\"}") == 1);
    call(&s, "/prioritize", "short", many, &p);
    bool found = false;
    for (long i = 0; i < net_json_size(&p, ""); i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "%ld.Score", i);
        net_json(&p, path, score, sizeof score);
        (void)snprintf(path, sizeof path, "%ld.Host", i);
        net_json(&p, path, best, sizeof best);
        if (strcmp(score, "10") == 0) {
            assert_string_equal(best, first);
            found = true;
        }
    }
    assert_true(found);
    assert_true(net_metric(&s, "spawnpoint_cache_objects{kind=\"reservations\"}") == 1);
    net_reply_done(&r);
    net_reply_done(&p);
    assert_int_equal(net_stop(&s), 0);
}

/* The decision that is shown is the decision that was made, on the state that it was made on. */
static void explanations_are_of_their_decision(void **state)
{
    (void)state;
    struct net_server s;
    struct net_reply r;
    char chosen[30][200], text[200], path[200], again[200];
    static const char *const one_each[] = {"metal-a-1", "metal-b-1", "metal-c-1", "unknown-node",
                                           NULL};
    net_start(&s, (const char *const[]){"--snapshot", SNAPSHOT, NULL});
    for (int i = 0; i < 30; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "ex-%d", i);
        call(&s, "/filter", name, one_each, &r);
        net_json(&r, "NodeNames.0", chosen[i], sizeof chosen[i]);
        net_reply_done(&r);
    }
    for (int i = 29; i >= 0; i -= 7) {
        (void)snprintf(path, sizeof path, "/v1/explain?pod=games/ex-%d", i);
        net_call(s.admin, "GET", path, NULL, &r);
        assert_int_equal(r.status, 200);
        net_json(&r, "chosen", text, sizeof text);
        assert_string_equal(text, chosen[i]);
        net_json(&r, "best.0", again, sizeof again);
        assert_int_equal(net_json_size(&r, "nodes"), 4);
        net_json(&r, "nodes.3.name", again, sizeof again);
        assert_string_equal(again, "unknown-node");
        bool said = false;
        for (long k = 0; k < net_json_size(&r, "inputs"); k++) {
            (void)snprintf(path, sizeof path, "inputs.%ld.name", k);
            net_json(&r, path, text, sizeof text);
            if (strcmp(text, "decision") == 0) {
                (void)snprintf(path, sizeof path, "inputs.%ld.fallback", k);
                net_json(&r, path, text, sizeof text);
                assert_string_equal(
                    text, "false"); /* made again on the same state, with the same outcome */
                said = true;
            }
        }
        assert_true(said);
        net_reply_done(&r);
    }
    net_call(s.admin, "GET", "/v1/explain?pod=games/never", NULL, &r);
    assert_int_equal(r.status, 404);
    net_reply_done(&r);
    net_call(s.admin, "GET", "/v1/decisions?limit=5", NULL, &r);
    assert_int_equal(net_json_size(&r, "items"), 5);
    net_json(&r, "items.0.pod", text, sizeof text);
    assert_string_equal(text, "games/ex-29");
    net_reply_done(&r);
    assert_int_equal(net_stop(&s), 0);
}

static void place(const struct net_server *s, const char *body, int status, struct net_reply *r)
{
    net_call(s->admin, "POST", "/v1/place", body, r);
    if (r->status != status) {
        fail_msg("place %s gave %d %s", body, r->status, r->body);
    }
}

#define POD(name, cpu)                                                                          \
    "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"games\"},\"spec\":{\"containers\":[{" \
    "\"name\":\"s\",\"resources\":{\"requests\":{"                                              \
    "\"cpu\":\"" cpu "\"}}}]}}"
#define NODE(name, cpu)                                                                       \
    "{\"metadata\":{\"name\":\"" name "\"},\"status\":{\"allocatable\":{\"cpu\":\"" cpu       \
    "\",\"memory\":\"8Gi\",\"pods\":\"110\"},\"conditions\":[{\"type\":\"Ready\",\"status\":" \
    "\"True\"}]}}"

static void place_sees_the_ones_before_and_keeps_nothing(void **state)
{
    (void)state;
    struct net_server s;
    struct net_reply r;
    char text[400];
    net_start(&s, (const char *const[]){"--snapshot", SNAPSHOT, NULL});
    static const char body[] = "{\"pods\":[" POD("p1", "3") "," POD("p2", "3") "],\"nodes\":[" NODE(
        "fresh", "4") "],"
                      "\"replaceNodes\":true,\"explain\":true}";
    for (int i = 0; i < 3; i++) {
        place(&s, body, 200, &r);
        net_json(&r, "placements.0.node", text, sizeof text);
        assert_string_equal(text, "fresh");
        net_json(&r, "placements.1.node", text, sizeof text);
        assert_string_equal(text, "null");
        net_json(&r, "placements.1.message", text, sizeof text);
        assert_string_equal(text, "0/1 nodes are available: 1 Insufficient cpu.");
        assert_int_equal(net_json_size(&r, "explanations"), 2);
        net_reply_done(&r);
    }
    place(&s, "{\"pods\":[" POD("p3", "400m") "]}", 200, &r); /* the known nodes are back */
    net_json(&r, "placements.0.node", text, sizeof text);
    assert_string_not_equal(text, "null");
    assert_string_not_equal(text, "fresh");
    net_reply_done(&r);
    /* the same name twice, and a pod that stands already: the model must survive being displaced */
    place(&s,
          "{\"pods\":[" POD("same", "1") "," POD("same", "1") "," POD("arena-standing-0", "1") "]}",
          200, &r);
    assert_int_equal(net_json_size(&r, "placements"), 3);
    net_reply_done(&r);
    place(&s, "{\"pods\":[" POD("p4", "1") "]}", 200, &r);
    net_reply_done(&r);
    assert_true(net_metric(&s, "spawnpoint_cache_objects{kind=\"pods\"}") == 6);
    assert_true(net_metric(&s, "spawnpoint_cache_objects{kind=\"nodes\"}") == 51);
    assert_int_equal(net_stop(&s), 0);
}

static void place_counts_reservations(void **state)
{
    (void)state;
    struct net_server s;
    struct net_reply r;
    char body[2048], text[200];
    net_start(&s, (const char *const[]){"--snapshot", SNAPSHOT, NULL});
    net_args(body, sizeof body, "holder", "other", "7", (const char *const[]){"edge-ham-0", NULL});
    net_call(s.extender, "POST", "/filter", body, &r);
    net_json(&r, "NodeNames.0", text, sizeof text);
    assert_string_equal(text, "edge-ham-0");
    net_reply_done(&r);
    static const char ask[] =
        "{\"pods\":[{\"metadata\":{\"name\":\"e\"},\"spec\":{\"nodeSelector\":{\"game.example/"
        "pool\":\"edge\"},"
        "\"containers\":[{\"name\":\"s\",\"resources\":{\"requests\":{\"cpu\":\"2\"}}}]}}]}";
    place(&s, ask, 200, &r);
    net_json(&r, "placements.0.node", text, sizeof text);
    assert_string_equal(text, "null");
    net_reply_done(&r);
    assert_int_equal(net_stop(&s), 0);
}

static void place_names_the_field(void **state)
{
    static const struct {
        const char *body, *says;
    } bad[] = {
        {"", "body"},
        {"[]", "body"},
        {"{\"pods\":7}", "pods"},
        {"{\"pods\":[7]}", "pods[0]"},
        {"{\"PODS\":[7]}", "pods[0]"},
        {"{\"pods\":[" POD("a", "many") "]}", "pods[0]"},
        {"{\"nodes\":[{}]}", "nodes[0]"},
        {"{\"replaceNodes\":\"yes\"}", "replaceNodes"},
        {"{\"pods\":[]} x", "body"},
    };
    (void)state;
    struct net_server s;
    net_start(&s, (const char *const[]){"--snapshot", SNAPSHOT, NULL});
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct net_reply r;
        place(&s, bad[i].body, 400, &r);
        if (!strstr(r.body, bad[i].says)) {
            fail_msg("%s: %s", bad[i].body, r.body);
        }
        net_reply_done(&r);
    }
    assert_int_equal(net_stop(&s), 0);
}

/* Whole nodes are what is judged, whatever the snapshot says, and the other form is left alone. */
static void whole_nodes_are_judged_themselves(void **state)
{
    (void)state;
    struct net_server s;
    struct net_reply r;
    net_start(&s, (const char *const[]){"--snapshot", SNAPSHOT, NULL});
    static const char tainted[] = "{\"Pod\":" POD(
        "w", "1") ",\"Nodes\":{\"items\":[{\"metadata\":{\"name\":\"metal-a-0\"},\"spec\":{"
                  "\"unschedulable\":true},\"status\":{\"allocatable\":{\"cpu\":\"4\",\"pods\":"
                  "\"9\"}}}]},"
                  "\"NodeNames\":null}";
    net_call(s.extender, "POST", "/filter", tainted, &r);
    assert_int_equal(net_json_size(&r, "Nodes.items"), 0);
    assert_int_equal(net_json_size(&r, "FailedAndUnresolvableNodes"), 1);
    net_reply_done(&r);
    static const char open_node[] = "{\"Pod\":" POD(
        "w", "1") ",\"Nodes\":{\"items\":[{\"metadata\":{\"name\":\"metal-a-0\"},  \"spec\":{},"
                  "\"status\":{\"allocatable\":{\"cpu\":\"40\",\"pods\":\"90\",\"memory\":\"90Gi\"}"
                  "}}]}}";
    net_call(s.extender, "POST", "/filter", open_node, &r);
    assert_int_equal(net_json_size(&r, "Nodes.items"), 1);
    assert_non_null(strstr(r.body, "\"metal-a-0\"},  \"spec\"")); /* byte for byte */
    net_reply_done(&r);
    call(&s, "/filter", "named", (const char *const[]){"metal-a-0", NULL}, &r);
    assert_int_equal(net_json_size(&r, "NodeNames"), 1);
    net_reply_done(&r);
    assert_int_equal(net_stop(&s), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cooperative_vetoes_then_ranks),
        cmocka_unit_test(shortlist_names_the_best_few),
        cmocka_unit_test(explanations_are_of_their_decision),
        cmocka_unit_test(place_sees_the_ones_before_and_keeps_nothing),
        cmocka_unit_test(place_counts_reservations),
        cmocka_unit_test(place_names_the_field),
        cmocka_unit_test(whole_nodes_are_judged_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
