// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "support/fake_api_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void fake_must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "fake API server: %s: %s\n", what, strerror(errno));
        abort();
    }
}

void fake_lock(struct fake_api *f)
{
    (void)pthread_mutex_lock(&f->lock);
}

void fake_unlock(struct fake_api *f)
{
    (void)pthread_cond_broadcast(&f->changed);
    (void)pthread_mutex_unlock(&f->lock);
}

/* ---- state ---- */

size_t fake_find(struct fake_api *f, const char *path)
{
    for (size_t i = 0; i < f->n_resources; i++) {
        if (strcmp(f->resources[i].path, path) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

void fake_api_resource(struct fake_api *f, const char *path, const char *kind, bool exists)
{
    fake_lock(f);
    size_t i = fake_find(f, path);
    if (i == SIZE_MAX) {
        i = f->n_resources++;
        fake_must(i < RESOURCES_MAX, "too many resources");
        (void)snprintf(f->resources[i].path, sizeof f->resources[i].path, "%s", path);
    }
    (void)snprintf(f->resources[i].kind, sizeof f->resources[i].kind, "%s", kind);
    f->resources[i].exists = exists;
    fake_unlock(f);
}

static char *with_version(const char *json, long version)
{
    static const char mark[] = "\"resourceVersion\":\"@\"";
    const char *at = strstr(json, mark);
    char *out = NULL;
    fake_must(at != NULL, "an object without \"resourceVersion\":\"@\"");
    fake_must(asprintf(&out, "%.*s\"resourceVersion\":\"%ld\"%s", (int)(at - json), json, version,
                       at + sizeof mark - 1) > 0,
              "memory");
    return out;
}

static struct fake_object *find_object(struct resource *r, const char *ns, const char *name)
{
    for (size_t i = 0; i < r->n; i++) {
        if (strcmp(r->p[i].ns, ns) == 0 && strcmp(r->p[i].name, name) == 0) {
            return &r->p[i];
        }
    }
    return NULL;
}

static void add_event(struct fake_api *f, size_t resource, const char *type, const char *json)
{
    f->events = realloc(f->events, (f->n_events + 1) * sizeof *f->events);
    fake_must(f->events != NULL, "memory");
    f->events[f->n_events++] = (struct event){resource, f->version, type, strdup(json)};
}

void fake_api_put(struct fake_api *f, const char *path, const char *ns, const char *name,
                  const char *json)
{
    fake_lock(f);
    size_t at = fake_find(f, path);
    fake_must(at != SIZE_MAX, path);
    struct resource *r = &f->resources[at];
    struct fake_object *o = find_object(r, ns, name);
    bool added = o == NULL;
    char *text = with_version(json, ++f->version);
    if (added) {
        r->p = realloc(r->p, (r->n + 1) * sizeof *r->p);
        fake_must(r->p != NULL, "memory");
        o = &r->p[r->n++];
        (void)snprintf(o->ns, sizeof o->ns, "%s", ns);
        (void)snprintf(o->name, sizeof o->name, "%s", name);
    } else {
        free(o->json);
    }
    o->json = text;
    add_event(f, at, added ? "ADDED" : "MODIFIED", text);
    fake_unlock(f);
}

static void drop(struct fake_api *f, const char *path, const char *ns, const char *name, bool tell)
{
    fake_lock(f);
    size_t at = fake_find(f, path);
    fake_must(at != SIZE_MAX, path);
    struct resource *r = &f->resources[at];
    struct fake_object *o = find_object(r, ns, name);
    fake_must(o != NULL, name);
    f->version++;
    if (tell) {
        const char *rv = strstr(o->json, "\"resourceVersion\":\"");
        char *text = NULL;
        const char *end = rv != NULL ? strchr(rv + 19, '"') : NULL;
        fake_must(end != NULL, "version");
        fake_must(asprintf(&text, "%.*s\"resourceVersion\":\"%ld%s", (int)(rv - o->json), o->json,
                           f->version, end) > 0,
                  "memory");
        add_event(f, at, "DELETED", text);
        free(text);
    }
    free(o->json);
    *o = r->p[--r->n];
    fake_unlock(f);
}

void fake_api_delete(struct fake_api *f, const char *path, const char *ns, const char *name)
{
    drop(f, path, ns, name, true);
}

void fake_api_vanish(struct fake_api *f, const char *path, const char *ns, const char *name)
{
    drop(f, path, ns, name, false);
}

void fake_api_compact(struct fake_api *f)
{
    fake_lock(f);
    f->compacted = ++f->version;
    fake_unlock(f);
}

void fake_api_bookmark(struct fake_api *f)
{
    fake_lock(f);
    f->bookmark_gen++;
    fake_unlock(f);
}

void fake_api_no_streams(struct fake_api *f, bool refuse)
{
    fake_lock(f);
    f->no_streams = refuse;
    fake_unlock(f);
}

void fake_api_token(struct fake_api *f, const char *token)
{
    fake_lock(f);
    (void)snprintf(f->token, sizeof f->token, "%s", token);
    fake_unlock(f);
}

void fake_api_fault(struct fake_api *f, const char *path, enum fake_request when,
                    enum fake_fault fault, int arg, int times)
{
    fake_lock(f);
    fake_must(f->n_faults < FAULTS_MAX, "too many faults");
    struct fault *t = &f->faults[f->n_faults++];
    *t = (struct fault){.when = when, .fault = fault, .arg = arg, .times = times};
    (void)snprintf(t->path, sizeof t->path, "%s", path != NULL ? path : "");
    fake_unlock(f);
}

void fake_api_clear(struct fake_api *f)
{
    fake_lock(f);
    f->n_faults = 0;
    fake_unlock(f);
}

void fake_api_cut(struct fake_api *f, const char *path, enum fake_cut how)
{
    fake_lock(f);
    for (size_t i = 0; i < f->n_resources; i++) {
        if (path == NULL || strcmp(f->resources[i].path, path) == 0) {
            f->resources[i].cut_gen++;
            f->resources[i].cut = how;
        }
    }
    fake_unlock(f);
}

int fake_api_count(struct fake_api *f, const char *path, enum fake_request when)
{
    fake_lock(f);
    size_t i = fake_find(f, path);
    int n = i == SIZE_MAX ? 0 : f->resources[i].counts[when];
    fake_unlock(f);
    return n;
}

bool fake_api_wait(struct fake_api *f, const char *path, enum fake_request when, int count,
                   int wait_ms)
{
    for (int waited = 0; waited <= wait_ms; waited += 20) {
        if (fake_api_count(f, path, when) >= count) {
            return true;
        }
        (void)usleep(20000);
    }
    return false;
}

static int listen_on(int *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)*port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    fake_must(fd >= 0, "socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    fake_must(bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 64) == 0, "listen");
    fake_must(getsockname(fd, (struct sockaddr *)&a, &n) == 0, "getsockname");
    *port = ntohs(a.sin_port);
    return fd;
}

static void *accept_all(void *arg)
{
    struct fake_api *f = arg;
    pthread_attr_t detached;
    (void)pthread_attr_init(&detached);
    (void)pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (;;) {
        fake_lock(f);
        bool stop = f->stopping;
        if (f->down && f->listener >= 0) {
            (void)close(f->listener);
            f->listener = -1;
        } else if (!f->down && f->listener < 0) {
            f->listener = listen_on(&f->port);
        }
        struct pollfd p = {.fd = f->listener, .events = POLLIN};
        fake_unlock(f);
        if (stop) {
            break;
        }
        if (poll(&p, 1, 20) <= 0) {
            continue;
        }
        int fd = accept4(p.fd, NULL, NULL, SOCK_CLOEXEC);
        struct connection *c = fd >= 0 ? calloc(1, sizeof *c) : NULL;
        if (c == NULL) {
            continue;
        }
        c->f = f;
        c->fd = fd;
        fake_lock(f);
        f->n_connections++;
        fake_unlock(f);
        pthread_t thread;
        fake_must(pthread_create(&thread, &detached, fake_serve, c) == 0, "thread");
    }
    (void)pthread_attr_destroy(&detached);
    return NULL;
}

struct fake_api *fake_api_start(void)
{
    static const char *const usual[][2] = {
        {FAKE_NODES, "Node"},
        {FAKE_PODS, "Pod"},
        {"/api/v1/namespaces", "Namespace"},
        {"/api/v1/persistentvolumes", "PersistentVolume"},
        {"/api/v1/persistentvolumeclaims", "PersistentVolumeClaim"},
        {"/apis/storage.k8s.io/v1/storageclasses", "StorageClass"},
        {"/apis/policy/v1/poddisruptionbudgets", "PodDisruptionBudget"},
        {"/apis/scheduling.k8s.io/v1/priorityclasses", "PriorityClass"},
        {"/api/v1/services", "Service"}};
    struct fake_api *f = calloc(1, sizeof *f);
    fake_must(f != NULL, "memory");
    (void)pthread_mutex_init(&f->lock, NULL);
    (void)pthread_cond_init(&f->changed, NULL);
    f->version = 100;
    f->listener = listen_on(&f->port);
    (void)snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d", f->port);
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        fake_api_resource(f, usual[i][0], usual[i][1], true);
    }
    fake_api_resource(f, FAKE_AGONES, "GameServer", false);
    fake_must(pthread_create(&f->thread, NULL, accept_all, f) == 0, "thread");
    return f;
}

void fake_api_down(struct fake_api *f, bool down)
{
    fake_lock(f);
    f->down = down;
    fake_unlock(f);
    for (bool done = false; !done;) {
        (void)usleep(10000);
        fake_lock(f);
        done = down ? f->listener < 0 && f->n_connections == 0 : f->listener >= 0;
        fake_unlock(f);
    }
}

void fake_api_stop(struct fake_api *f)
{
    fake_lock(f);
    f->stopping = true;
    fake_unlock(f);
    (void)pthread_join(f->thread, NULL);
    for (bool done = false; !done;) {
        (void)usleep(10000);
        fake_lock(f);
        done = f->n_connections == 0;
        fake_unlock(f);
    }
    if (f->listener >= 0) {
        (void)close(f->listener);
    }
    for (size_t i = 0; i < f->n_resources; i++) {
        for (size_t j = 0; j < f->resources[i].n; j++) {
            free(f->resources[i].p[j].json);
        }
        free(f->resources[i].p);
    }
    for (size_t i = 0; i < f->n_events; i++) {
        free(f->events[i].json);
    }
    free(f->events);
    free(f);
}

const char *fake_api_url(const struct fake_api *f)
{
    return f->url;
}

void fake_api_kubeconfig(const struct fake_api *f, const char *path, const char *token)
{
    FILE *out = fopen(path, "we");
    fake_must(out != NULL, path);
    (void)fprintf(out,
                  "apiVersion: v1\nkind: Config\ncurrent-context: fake\nclusters:\n- name: fake\n  "
                  "cluster: {server: \"%s\"}\n"
                  "contexts:\n- name: fake\n  context: {cluster: fake, user: me}\nusers:\n- name: "
                  "me\n  user: {%s%s}\n",
                  f->url, token != NULL ? "tokenFile: " : "", token != NULL ? token : "");
    fake_must(fclose(out) == 0, path);
}

/* ---- objects ---- */

void fake_node(char *out, size_t n, const char *name, const char *zone, const char *cpu)
{
    (void)snprintf(
        out, n,
        "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\",\"uid\":\"uid-%s\","
        "\"resourceVersion\":\"@\","
        "\"labels\":{\"kubernetes.io/hostname\":\"%s\",\"topology.kubernetes.io/"
        "zone\":\"%s\"}},\"spec\":{},\"status\":{"
        "\"allocatable\":{\"cpu\":\"%s\",\"memory\":\"64Gi\",\"pods\":\"110\"},\"capacity\":{"
        "\"cpu\":\"%s\",\"memory\":"
        "\"64Gi\",\"pods\":\"110\"},\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}",
        name, name, name, zone, cpu, cpu);
}

void fake_pod(char *out, size_t n, const char *ns, const char *name, const char *uid,
              const char *node, const char *cpu)
{
    (void)snprintf(out, n,
                   "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\","
                   "\"namespace\":\"%s\",\"uid\":\"%s\","
                   "\"resourceVersion\":\"@\",\"labels\":{\"app\":\"arena\"}},\"spec\":{%s%s%"
                   "s\"schedulerName\":\"spawnpoint\","
                   "\"containers\":[{\"name\":\"server\",\"image\":\"x\",\"resources\":{"
                   "\"requests\":{\"cpu\":\"%s\"}}}]},"
                   "\"status\":{\"phase\":\"%s\"}}",
                   name, ns, uid, node[0] != '\0' ? "\"nodeName\":\"" : "", node,
                   node[0] != '\0' ? "\"," : "", cpu, node[0] != '\0' ? "Running" : "Pending");
}
