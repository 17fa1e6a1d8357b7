/* Inside of the fake API server: its state (fake_api.c) and its answers (fake_api_serve.c).
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>

#include "support/fake_api.h"

#define RESOURCES_MAX 16
#define FAULTS_MAX    64

struct fake_object {
    char ns[64], name[128];
    char *json;
};
struct resource {
    char path[128], kind[64];
    bool exists;
    struct fake_object *p;
    size_t n;
    int counts[4];
    int cut_gen;
    enum fake_cut cut;
};
struct event {
    size_t resource;
    long version;
    const char *type;
    char *json;
};
struct fault {
    char path[128];
    enum fake_request when;
    enum fake_fault fault;
    int arg, times;
};
struct fake_api {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    int listener, port, n_connections;
    char url[64], token[256];
    bool stopping, down, no_streams;
    long version, compacted;
    int bookmark_gen;
    struct resource resources[RESOURCES_MAX];
    size_t n_resources;
    struct event *events;
    size_t n_events;
    struct fault faults[FAULTS_MAX];
    size_t n_faults;
};
struct connection {
    struct fake_api *f;
    int fd;
    char head[16384];
};

void fake_must(bool ok, const char *what);
void fake_lock(struct fake_api *f);
void fake_unlock(struct fake_api *f);                   /* and tells who waits */
size_t fake_find(struct fake_api *f, const char *path); /* SIZE_MAX when it is not there */
void *fake_serve(void *connection);                     /* one connection, to its end */
