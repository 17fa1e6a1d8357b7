// SPDX-License-Identifier: Apache-2.0
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

void world_write_file(const char *path, const char *text)
{
    char next[128];
    (void)snprintf(next, sizeof next, "%s.next", path);
    FILE *f = fopen(next, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(next, path), 0); /* as a mounted volume changes */
}

void world_put_node(struct live_world *w, const char *name, const char *zone)
{
    char json[2048];
    fake_node(json, sizeof json, name, zone, "8");
    fake_api_put(w->api, FAKE_NODES, "", name, json);
}

void world_put_pod(struct live_world *w, const char *name, const char *node, const char *cpu)
{
    char json[2048], uid[128];
    (void)snprintf(uid, sizeof uid, "uid-%s", name);
    fake_pod(json, sizeof json, "games", name, uid, node, cpu);
    fake_api_put(w->api, FAKE_PODS, "games", name, json);
}

/* Two nodes and a pod; nothing is started yet. */
void world_make(struct live_world *w)
{
    memset(w, 0, sizeof *w);
    w->api = fake_api_start();
    (void)snprintf(w->dir, sizeof w->dir, "/tmp/spawnpoint-sync-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->kubeconfig, sizeof w->kubeconfig, "%s/kubeconfig", w->dir);
    (void)snprintf(w->token, sizeof w->token, "%s/token", w->dir);
    (void)snprintf(w->config, sizeof w->config, "%s/config.yaml", w->dir);
    world_write_file(w->config, HEAD "maxStaleness: 3s\ndecisionBudget: 500ms\n");
    fake_api_kubeconfig(w->api, w->kubeconfig, NULL);
    world_put_node(w, "node-a", "a");
    world_put_node(w, "node-b", "b");
    world_put_pod(w, "old", "node-a", "1");
}

void world_serve(struct live_world *w)
{
    net_start(&w->s, (const char *const[]){"--kubeconfig", w->kubeconfig, "--config", w->config,
                                           "--api-timeout", PATIENCE, NULL});
}

void world_done(struct live_world *w)
{
    if (w->s.pid > 0) {
        assert_int_equal(net_stop(&w->s), 0);
    }
    fake_api_stop(w->api);
    (void)unlink(w->kubeconfig);
    (void)unlink(w->token);
    (void)unlink(w->config);
    assert_int_equal(rmdir(w->dir), 0);
}

bool world_ready_says(struct live_world *w, int status, const char *text)
{
    struct net_reply r;
    net_call(w->s.admin, "GET", "/readyz?verbose", NULL, &r);
    bool yes = r.status == status && strstr(r.body, text) != NULL;
    net_reply_done(&r);
    return yes;
}

void world_wait_ready(struct live_world *w, int status, const char *text)
{
    struct net_reply r;
    for (int i = 0; i < SOON_MS / 20; i++) {
        if (world_ready_says(w, status, text)) {
            return;
        }
        (void)usleep(20000);
    }
    net_call(w->s.admin, "GET", "/readyz?verbose", NULL, &r);
    net_read_log(&w->s, 100);
    fail_msg("/readyz: expected %d \"%s\", got %d %s\n%s", status, text, r.status, r.body,
             w->s.log);
}

void world_wait_metric(struct live_world *w, const char *series, double least)
{
    for (int i = 0; i < SOON_MS / 20; i++) {
        if (net_metric(&w->s, series) >= least) {
            return;
        }
        (void)usleep(20000);
    }
    net_read_log(&w->s, 100);
    fail_msg("%s: expected at least %g, got %g\n%s", series, least, net_metric(&w->s, series),
             w->s.log);
}

void world_wait_exactly(struct live_world *w, const char *series, double v)
{
    for (int i = 0; i < SOON_MS / 20 && net_metric(&w->s, series) != v; i++) {
        (void)usleep(20000);
    }
    if (net_metric(&w->s, series) != v) {
        net_read_log(&w->s, 100);
        fail_msg("%s: expected %g, got %g\n%s", series, v, net_metric(&w->s, series), w->s.log);
    }
}

void world_expect_log(struct live_world *w, const char *text)
{
    if (!net_wait_log(&w->s, text, 3000)) {
        fail_msg("the log does not say %s:\n%s", text, w->s.log);
    }
}

/* What /filter answers for a pod about both nodes: how many names, and the first. */
long world_ask(struct live_world *w, const char *pod, char *first, size_t n)
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
void world_expect_decided(struct live_world *w, const char *pod)
{
    char first[64];
    double before = net_metric(&w->s, "spawnpoint_decision_fallback_total{policy=\"passthrough\"}");
    assert_int_equal(world_ask(w, pod, first, sizeof first), 1);
    assert_true(net_metric(&w->s, "spawnpoint_decision_fallback_total{policy=\"passthrough\"}") ==
                before);
}

void world_expect_fallback(struct live_world *w, const char *pod)
{
    char first[64];
    double before = net_metric(&w->s, "spawnpoint_decision_fallback_total{policy=\"passthrough\"}");
    assert_int_equal(world_ask(w, pod, first, sizeof first), 2);
    assert_true(net_metric(&w->s, "spawnpoint_decision_fallback_total{policy=\"passthrough\"}") ==
                before + 1);
}

void world_in_step(struct live_world *w)
{
    world_wait_ready(w, 200, "[+]informer-sync/nodes ok");
    world_wait_exactly(w, NODES, 2);
    world_wait_exactly(w, PODS, 1);
}
