// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "daemon/daemon_main.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/kube_client.h"
#include "daemon/log.h"
#include "daemon/reload.h"
#include "daemon/routes_admin.h"
#include "daemon/routes_extender.h"
#include "daemon/signals.h"
#include "wire/jsonc.h"

#define EXIT_ERROR           1
#define EXIT_USAGE           2
#define EXIT_INTERRUPTED     130
#define TICK_MS              250
#define RELOAD_EVERY_MS      1000
#define DRAIN_MS             10000 /* in-flight requests have this long after the shutdown delay */
#define EXTENDER_CONNECTIONS 128
#define ADMIN_CONNECTIONS    64
#define OTHER_FILES          24 /* descriptors for ports, signals and files being read */
#define CONNECTIONS_MIN      4

struct daemon_root {
    struct serve_args args;
    struct source source;
    struct kubeconfig kubeconfig;
    struct kube_view view;
    struct kube_client *kube; /* NULL with a snapshot */
    struct state state;
    struct lab lab;
    struct reload reload;
    struct routes_admin routes;
    struct http_server *extender, *admin;
    int signals;
};

static unsigned in_flight(void *ctx)
{
    const struct daemon_root *d = ctx;
    return (d->extender ? http_server_in_flight(d->extender) : 0) +
           (d->admin ? http_server_in_flight(d->admin) : 0);
}

static unsigned connections(void *ctx)
{
    const struct daemon_root *d = ctx;
    return (d->extender ? http_server_connections(d->extender) : 0) +
           (d->admin ? http_server_connections(d->admin) : 0);
}

static void on_done(void *ctx, const struct http_exchange *x, size_t request_bytes,
                    size_t reply_bytes, int64_t took_ns)
{
    (void)ctx;
    enum metric_verb verb =
        x->verb >= 0 && x->verb < VERB_COUNT ? (enum metric_verb)x->verb : VERB_OTHER;
    metric_observe(METRIC_REQUEST_SECONDS, metric_verb_code(verb, x->status),
                   (double)took_ns / 1e9);
    metric_observe(METRIC_REQUEST_BYTES, verb, (double)request_bytes);
    metric_observe(METRIC_RESPONSE_BYTES, verb, (double)reply_bytes);
}

static void on_failed(void *ctx, const char *cause)
{
    static struct log_limit limit;
    uint64_t skipped = 0;
    (void)ctx;
    metric_add(METRIC_HTTP_FAILURES, metric_cause(cause), 1);
    if (log_allowed(&limit, clock_mono_ms(), 10000, &skipped)) {
        LOG_INFO("Ended a connection without an answer", KV_C("cause", cause),
                 KV_I("skipped", skipped));
    }
}

static int usage_error(const char *fmt, const char *text)
{
    (void)fprintf(stderr, "spawnpoint serve: ");
    (void)fprintf(stderr, "%s%s\n", fmt, text);
    return EXIT_USAGE;
}

/* Usage that no parser sees: which cluster, and who may reach the ports. */
static int check_args(struct daemon_root *d, int *ret_exit)
{
    struct err err = ERR_NONE;
    bool loopback = false;
    *ret_exit = EXIT_USAGE;
    struct kubeconfig_env env;
    kubeconfig_env_read(&env, d->args.kubeconfig);
    if (d->args.n_snapshots == 0 && !kubeconfig_present(&env)) {
        return usage_error("no cluster: give --kubeconfig FILE or --snapshot PATH",
                           " (KUBECONFIG and ~/.kube/config name none, and this is no pod)");
    }
    if (d->args.n_snapshots > 0 && d->args.kubeconfig) {
        return usage_error("--snapshot and --kubeconfig: ",
                           "the cluster is either a dump or live; give one of them");
    }
    if (http_address_loopback(d->args.listen, &loopback, &err) != 0) {
        return usage_error("--listen: ", err.text);
    }
    if (!loopback) {
        return usage_error("--listen: ", "off loopback the extender port needs mutual TLS, which "
                                         "this version does not have; use "
                                         "127.0.0.1 or [::1]");
    }
    if (http_address_loopback(d->args.admin_listen, &d->routes.loopback, &err) != 0) {
        return usage_error("--admin-listen: ", err.text);
    }
    *ret_exit = 0;
    return 0;
}

/* Where few descriptors are allowed, fewer connections are taken: accepting must never fail for want of one. */
static void fit_descriptors(struct http_opts *o)
{
    struct rlimit files;
    unsigned all = EXTENDER_CONNECTIONS + ADMIN_CONNECTIONS;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < all + OTHER_FILES) {
        unsigned n = files.rlim_cur > OTHER_FILES ? (unsigned)files.rlim_cur - OTHER_FILES : 0;
        o->max_connections = o->max_connections * n / all;
        if (o->max_connections < CONNECTIONS_MIN) {
            o->max_connections = CONNECTIONS_MIN;
        }
    }
    o->spare = o->max_connections / 4;
}

static int start_servers(struct daemon_root *d, struct err *err)
{
    struct http_opts o;
    http_opts_default(&o);
    o.listen = d->args.listen;
    o.max_connections = EXTENDER_CONNECTIONS;
    fit_descriptors(&o);
    o.events = (struct http_events){&d->state, routes_extender_route, routes_extender_handle,
                                    on_done, on_failed};
    int rc = http_server_start(&d->extender, &o, err);
    if (rc != 0) {
        return rc;
    }
    d->routes.st = &d->state;
    d->routes.lab = &d->lab;
    d->routes.in_flight = in_flight;
    d->routes.connections = connections;
    d->routes.ctx = d;
    http_opts_default(&o);
    o.listen = d->args.admin_listen;
    o.max_connections = ADMIN_CONNECTIONS;
    fit_descriptors(&o);
    o.events = (struct http_events){&d->routes, routes_admin_route, routes_admin_handle, on_done,
                                    on_failed};
    return http_server_start(&d->admin, &o, err);
}

static void tick(struct daemon_root *d, int64_t *next_reload_ms)
{
    http_server_tick(d->extender);
    http_server_tick(d->admin);
    if (clock_mono_ms() < *next_reload_ms) {
        return;
    }
    *next_reload_ms = clock_mono_ms() + RELOAD_EVERY_MS;
    reload_poll(&d->reload, false);
    (void)state_lock(&d->state, 0);
    state_expire(&d->state, d->state.decisions.next);
    state_unlock(&d->state);
}

/* Until the first signal to stop. */
static enum signal_event run(struct daemon_root *d)
{
    int64_t next_reload_ms = clock_mono_ms() + RELOAD_EVERY_MS;
    for (;;) {
        enum signal_event e = signals_wait(d->signals, TICK_MS);
        if (e == SIGNAL_STOP || e == SIGNAL_INTERRUPT) {
            return e;
        }
        if (e == SIGNAL_RELOAD) {
            reload_poll(&d->reload, true);
        }
        tick(d, &next_reload_ms);
    }
}

/* Serves on for the delay, then waits for what is in flight. A second signal ends the process at once. */
static void wind_down(struct daemon_root *d, int64_t delay_ms)
{
    int64_t next_reload_ms = INT64_MAX, until = clock_mono_ms() + delay_ms;
    atomic_store(&d->state.stopping, true);
    http_server_say_close(d->extender);
    LOG_INFO("Stopping", KV_I("delayMs", delay_ms));
    bool draining = false;
    for (;;) {
        int64_t left = until - clock_mono_ms();
        if (left <= 0 && !draining) {
            draining = true;
            http_server_quiesce(d->extender);
            until = clock_mono_ms() + DRAIN_MS;
            continue;
        }
        if (draining && (left <= 0 || http_server_in_flight(d->extender) == 0)) {
            return;
        }
        int wait_ms = draining ? 10 : left < TICK_MS ? (int)left : TICK_MS;
        enum signal_event e = signals_wait(d->signals, wait_ms);
        if (e == SIGNAL_STOP || e == SIGNAL_INTERRUPT) {
            LOG_WARN("Stopped at once by a second signal",
                     KV_I("inFlight", http_server_in_flight(d->extender)));
            _exit(EXIT_ERROR);
        }
        tick(d, &next_reload_ms);
    }
}

static void stop(struct daemon_root *d)
{
    http_server_stop(d->admin); /* first: it asks the other one for its numbers */
    http_server_stop(d->extender);
    kube_client_stop(d->kube);
    lab_done(&d->lab);
    state_close(&d->state);
    kube_view_done(&d->view);
    kubeconfig_done(&d->kubeconfig);
    source_done(&d->source);
    (void)close(d->signals);
}

static int fail(const struct err *err)
{
    char text[ERR_TEXT_MAX + 256];
    (void)fprintf(stderr, "spawnpoint serve: %s\n", err_format(err, text, sizeof text));
    return EXIT_ERROR;
}

static int serve(struct daemon_root *d)
{
    struct err err = ERR_NONE;
    int rc = start_servers(d, &err);
    if (rc != 0) {
        return fail(&err);
    }
    if (!d->state.view) {
        LOG_INFO("Loaded the cluster", KV_I("nodes", d->state.main.c->n_nodes),
                 KV_I("pods", d->state.main.c->n_pods_live),
                 KV_C("decide", live_decide_name(d->state.live->decide)));
    }
    reload_init(&d->reload, &d->state);
    atomic_store(&d->state.ready, true);
    if (d->state.view) {
        LOG_INFO("Watching", KV_C("server", d->kubeconfig.server),
                 KV_C("credentials", d->kubeconfig.origin),
                 KV_C("decide", live_decide_name(d->state.live->decide)));
        rc = kube_client_start(&d->kube, &d->kubeconfig, &d->state, d->args.api_timeout_ms, &err);
        if (rc != 0) {
            return fail(&err);
        }
    }
    char ready[400];
    (void)snprintf(ready, sizeof ready, "ready extender=%s admin=%s",
                   http_server_address(d->extender), http_server_address(d->admin));
    log_plain(ready);
    enum signal_event e = run(d);
    wind_down(d, e == SIGNAL_INTERRUPT ? 0 : d->args.shutdown_delay_ms);
    return e == SIGNAL_INTERRUPT ? EXIT_INTERRUPTED : 0;
}

static int open_cluster(struct daemon_root *d, bool live, struct err *err)
{
    struct kubeconfig_env env;
    if (!live) {
        return source_open(&d->source, d->args.snapshots, d->args.n_snapshots, err);
    }
    kubeconfig_env_read(&env, d->args.kubeconfig);
    return kubeconfig_load(&env, &d->kubeconfig, err);
}

int serve_main(int argc, char **argv)
{
    static struct daemon_root d;
    struct err err = ERR_NONE;
    int code = 0;
    memset(&d, 0, sizeof d);
    if (serve_args_read(argc, argv, &d.args, &err) != 0) {
        return usage_error(err.text, "");
    }
    if (d.args.help) {
        (void)printf("%s", serve_usage());
        return 0;
    }
    if (check_args(&d, &code) != 0) {
        return code;
    }
    jsonc_init();
    if (signals_open(&d.signals, &err) != 0) {
        return fail(&err);
    }
    kube_view_init(&d.view);
    bool live = d.args.n_snapshots == 0;
    if (open_cluster(&d, live, &err) != 0 ||
        state_open(&d.state, &d.args, &d.source, live ? &d.view : NULL, &err) != 0) {
        code = fail(&err);
        kubeconfig_done(&d.kubeconfig);
        source_done(&d.source);
        (void)close(d.signals);
        return code;
    }
    lab_init(&d.lab, &d.state);
    code = serve(&d);
    stop(&d);
    return code;
}
