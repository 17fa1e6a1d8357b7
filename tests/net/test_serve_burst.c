/* Reservations: a burst counts itself. Caps that kube-scheduler does not know hold for 500 pods in a row although nothing is
 * ever bound; with reservations switched off they do not, which shows that it is the reservations that hold them.
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

#define PODS  500
#define ZONES 3

static const char *const nodes[] = {"a-0", "a-1", "b-0", "b-1", "c-0", "c-1", NULL};

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void write_cluster(const char *path)
{
    char text[8192];
    int n = snprintf(text, sizeof text, "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":[");
    for (size_t i = 0; nodes[i]; i++) {
        bool spot = nodes[i][2] == '1';
        n +=
            snprintf(text + n, sizeof text - (size_t)n,
                     "%s{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\","
                     "\"labels\":{\"topology.kubernetes.io/zone\":"
                     "\"zone-%c\",\"topology.kubernetes.io/"
                     "region\":\"eu-central-1\",\"karpenter.sh/capacity-type\":\"%s\"}},\"status\":"
                     "{\"allocatable\":{\"cpu\":\"1000\",\"memory\":\"4000Gi\",\"pods\":\"2000\"},"
                     "\"conditions\":[{\"type\":\"Ready\","
                     "\"status\":\"True\"}]}}",
                     i > 0 ? "," : "", nodes[i], nodes[i][0], spot ? "spot" : "on-demand");
    }
    (void)snprintf(text + n, sizeof text - (size_t)n, "]}");
    write_file(path, text);
}

static const char config[] =
    "apiVersion: spawnpoint.dev/v1alpha1\n"
    "kind: SpawnpointConfiguration\n"
    "decisionBudget: 5s\n" /* sanitizers are slow; the burst is about caps */
    "fleets:\n"
    "- name: arena\n"
    "  match: {matchLabels: {app: arena}}\n"
    "  players: 10\n"
    "  zoneSpread: {topologyKey: topology.kubernetes.io/zone, maxSkew: 1, maxPlayerShare: 0.5}\n"
    "  spot: {policy: allowed, minOnDemandShare: 0.5}\n";

struct counts {
    int zone[ZONES], spot, placed, over_zone, over_spot, over_skew;
};

static void count(struct counts *c, const char *node)
{
    c->zone[node[0] - 'a']++;
    c->spot += node[2] == '1';
    c->placed++;
    int most = 0, least = c->placed;
    for (int z = 0; z < ZONES; z++) {
        most = c->zone[z] > most ? c->zone[z] : most;
        least = c->zone[z] < least ? c->zone[z] : least;
    }
    double share = 0.5 * c->placed;
    c->over_zone += most > (share > 1 ? share : 1);
    c->over_skew += most - least > 1;
    c->over_spot += c->spot > 0.5 * c->placed;
}

static void burst(const char *const *extra, int pods, struct counts *c)
{
    char dir[] = "/tmp/spawnpoint-burst-XXXXXX", cluster[64], conf[64], body[2048], name[64];
    struct net_server s;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(cluster, sizeof cluster, "%s/cluster.json", dir);
    (void)snprintf(conf, sizeof conf, "%s/c.yaml", dir);
    write_cluster(cluster);
    write_file(conf, config);
    const char *args[NET_ARGS_MAX] = {"--snapshot", cluster, "--config", conf};
    for (size_t i = 0; extra && extra[i]; i++) {
        args[4 + i] = extra[i];
    }
    net_start(&s, args);
    memset(c, 0, sizeof *c);
    int fd = net_connect(s.extender);
    for (int i = 0; i < pods; i++) {
        struct net_reply r;
        (void)snprintf(name, sizeof name, "burst-%d", i);
        net_args(body, sizeof body, name, "arena", "100m", nodes);
        net_post(fd, "/filter", body, strlen(body), &r);
        assert_int_equal(r.status, 200);
        net_json(&r, "NodeNames.0", name, sizeof name);
        if (name[0] == '\0') {
            fail_msg("pod %d found no node: %s", i, r.body);
        }
        count(c, name);
        net_reply_done(&r);
    }
    (void)close(fd);
    assert_int_equal(net_stop(&s), 0);
    (void)unlink(cluster);
    (void)unlink(conf);
    (void)rmdir(dir);
}

static void caps_hold_for_a_burst(void **state)
{
    struct counts c;
    (void)state;
    burst(NULL, PODS, &c);
    assert_int_equal(c.placed, PODS);
    assert_int_equal(c.over_zone, 0);
    assert_int_equal(c.over_skew, 0);
    assert_int_equal(c.over_spot, 0);
}

static void caps_break_without_reservations(void **state)
{
    struct counts c;
    (void)state;
    burst((const char *const[]){"--reservation-ttl", "0", NULL}, 60, &c);
    assert_true(c.over_zone > 0 && c.over_skew > 0);
}

static void reservations_expire(void **state)
{
    struct counts c;
    struct net_server s;
    char body[2048], name[64];
    (void)state;
    (void)c;
    net_start(&s, (const char *const[]){"--snapshot", "tests/data/snapshots/arena.json",
                                        "--reservation-ttl", "300ms", NULL});
    net_args(body, sizeof body, "brief", "other", "10m", (const char *const[]){"metal-a-0", NULL});
    struct net_reply r;
    net_call(s.extender, "POST", "/filter", body, &r);
    net_json(&r, "NodeNames.0", name, sizeof name);
    assert_string_equal(name, "metal-a-0");
    net_reply_done(&r);
    double held = -1;
    assert_true(net_metric(&s, "spawnpoint_reservations_total{event=\"made\"}") == 1);
    for (int i = 0; i < 100 && held != 0; i++) {
        (void)usleep(50000);
        held = net_metric(&s, "spawnpoint_cache_objects{kind=\"reservations\"}");
    }
    assert_true(held == 0);
    assert_true(net_metric(&s, "spawnpoint_reservations_total{event=\"expired\"}") == 1);
    assert_true(net_metric(&s, "spawnpoint_cache_objects{kind=\"pods\"}") == 6);
    assert_int_equal(net_stop(&s), 0);
}

/* Asking twice is no loss; the second failure of the same node sends it to the back, and it stays possible. */
static void a_node_that_failed_twice_goes_last(void **state)
{
    static const char *const two[] = {"ondemand-a-1", "ondemand-a-2", NULL}, *const one[] = {
                                                                                 "ondemand-a-1",
                                                                                 NULL};
    struct net_server s;
    char body[2048], names[4][64];
    (void)state;
    net_start(&s, (const char *const[]){"--snapshot", "tests/data/snapshots/arena.json", NULL});
    for (int i = 0; i < 4; i++) {
        struct net_reply r;
        net_args(body, sizeof body, "back", "other", "10m", i < 3 ? two : one);
        net_call(s.extender, "POST", "/filter", body, &r);
        net_json(&r, "NodeNames.0", names[i], sizeof names[i]);
        net_reply_done(&r);
    }
    assert_string_equal(names[0], "ondemand-a-1");
    assert_string_equal(names[1], "ondemand-a-1");
    assert_string_equal(names[2], "ondemand-a-2");
    assert_string_equal(names[3], "ondemand-a-1");
    assert_true(net_metric(&s, "spawnpoint_cache_objects{kind=\"reservations\"}") == 1);
    assert_int_equal(net_stop(&s), 0);
}

/* A pod that the snapshot shows bound is judged without itself, and not counted a second time. */
static void a_bound_pod_is_not_reserved_again(void **state)
{
    struct net_server s;
    struct net_reply r;
    char name[64];
    (void)state;
    net_start(&s, (const char *const[]){"--snapshot", "tests/data/snapshots/arena.json", NULL});
    double pods = net_metric(&s, "spawnpoint_cache_objects{kind=\"pods\"}");
    net_call(s.extender, "POST", "/filter",
             "{\"Pod\":{\"metadata\":{\"name\":\"arena-standing-0\",\"namespace\":\"games\","
             "\"uid\":\"5a000000-0000-4000-8000-000000000000\","
             "\"labels\":{\"app\":\"arena\"}},\"spec\":{\"containers\":[{\"name\":\"s\","
             "\"resources\":{\"requests\":{\"cpu\":\"1\"}}}]}},"
             "\"NodeNames\":[\"metal-a-0\"]}",
             &r);
    net_json(&r, "NodeNames.0", name, sizeof name);
    assert_string_equal(name, "metal-a-0");
    net_reply_done(&r);
    assert_true(net_metric(&s, "spawnpoint_cache_objects{kind=\"pods\"}") == pods);
    assert_true(net_metric(&s, "spawnpoint_cache_objects{kind=\"reservations\"}") == 0);
    assert_int_equal(net_stop(&s), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(caps_hold_for_a_burst),
        cmocka_unit_test(caps_break_without_reservations),
        cmocka_unit_test(reservations_expire),
        cmocka_unit_test(a_node_that_failed_twice_goes_last),
        cmocka_unit_test(a_bound_pod_is_not_reserved_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
