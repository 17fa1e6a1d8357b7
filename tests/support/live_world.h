/* For tests: the real program on a fake API server with two nodes and a pod.
 *
 * Everything here ends the test (cmocka's fail) when what it waits for does not come.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "support/fake_api.h"
#include "support/net_client.h"

#define PATIENCE "400ms"
#define SOON_MS  20000
#define RESTARTS(resource, reason) \
    "spawnpoint_watch_restarts_total{resource=\"" resource "\",reason=\"" reason "\"}"
#define RELISTS "spawnpoint_relists_total{resource=\"nodes\"}"
#define NODES   "spawnpoint_cache_objects{kind=\"nodes\"}"
#define PODS    "spawnpoint_cache_objects{kind=\"pods\"}"
#define HEAD    "apiVersion: spawnpoint.dev/v1alpha1\nkind: SpawnpointConfiguration\n"

struct live_world {
    struct fake_api *api;
    struct net_server s;
    char dir[64], kubeconfig[96], token[96], config[96];
};

void world_write_file(const char *path, const char *text);
void world_put_node(struct live_world *w, const char *name, const char *zone);
void world_put_pod(struct live_world *w, const char *name, const char *node, const char *cpu);
void world_make(struct live_world *w);
void world_serve(struct live_world *w);
void world_done(struct live_world *w);
bool world_ready_says(struct live_world *w, int status, const char *text);
void world_wait_ready(struct live_world *w, int status, const char *text);
void world_wait_metric(struct live_world *w, const char *series, double least);
void world_wait_exactly(struct live_world *w, const char *series, double v);
void world_expect_log(struct live_world *w, const char *text);
long world_ask(struct live_world *w, const char *pod, char *first, size_t n);
void world_expect_decided(struct live_world *w, const char *pod);
void world_expect_fallback(struct live_world *w, const char *pod);
void world_in_step(struct live_world *w);
