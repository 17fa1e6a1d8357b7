// SPDX-License-Identifier: Apache-2.0
#include "daemon/routes_admin.h"

#include <errno.h>
#include <stdatomic.h>

#include "daemon/admin_json.h"
#include "daemon/clock.h"
#include "spawnpoint_version.h"

#define TEXT_PLAIN   "text/plain; charset=utf-8"
#define TEXT_METRICS "text/plain; version=0.0.4; charset=utf-8"

struct route {
    const char *path;
    enum http_method method;
    bool everywhere; /* also off loopback */
    void (*handle)(struct routes_admin *r, struct http_exchange *x);
};

static void plain_error(struct http_exchange *x, const struct err *err)
{
    char text[ERR_TEXT_MAX + 256];
    int status = err->code == -ENOMEM || err->code == -E2BIG ? 503
                 : err->code == -ENOENT                      ? 404
                                                             : 400;
    http_error(x, status, "%s", err_format(err, text, sizeof text));
}

static void livez(struct routes_admin *r, struct http_exchange *x)
{
    (void)r;
    x->type = TEXT_PLAIN;
    buf_lit(x->reply, "ok");
}

static void readyz(struct routes_admin *r, struct http_exchange *x)
{
    bool stopping = atomic_load(&r->st->stopping), ready = atomic_load(&r->st->ready) && !stopping;
    struct buf sync CLEANUP_BUF;
    buf_init(&sync, 1u << 16);
    if (r->st->view) {
        bool in_step = kube_view_write(r->st->view, clock_mono_ms(),
                                       atomic_load(&r->st->max_staleness_ms), &sync);
        ready = ready && in_step;
    } else {
        buf_lit(&sync, "[+]snapshot ok\n");
    }
    x->type = TEXT_PLAIN;
    x->status = ready ? 200 : 503;
    if (http_query(x, "verbose").p || !ready) {
        buf_str(x->reply, buf_view(&sync));
        buf_lit(x->reply, "[+]config ok\n");
        buf_lit(x->reply, stopping ? "[-]shutdown failed: stopping\n" : "[+]shutdown ok\n");
        buf_lit(x->reply, ready ? "readyz check passed\n" : "readyz check failed\n");
        return;
    }
    buf_lit(x->reply, "ok");
}

static void metrics(struct routes_admin *r, struct http_exchange *x)
{
    x->type = TEXT_METRICS;
    state_update_gauges(r->st);
    metric_set(METRIC_REQUESTS_IN_FLIGHT, 0, r->in_flight(r->ctx));
    metric_set(METRIC_CONNECTIONS, 0, r->connections(r->ctx));
    metrics_write(x->reply);
}

static void version(struct routes_admin *r, struct http_exchange *x)
{
    (void)r;
    buf_lit(x->reply, "{\"version\":\"" SPAWNPOINT_VERSION "\"}");
}

static void configz(struct routes_admin *r, struct http_exchange *x)
{
    admin_write_configz(r->st, x->reply);
}

static void openapi(struct routes_admin *r, struct http_exchange *x)
{
    (void)r;
    openapi_write(x->reply);
}

static void decisions(struct routes_admin *r, struct http_exchange *x)
{
    struct str limit = http_query(x, "limit");
    int64_t n = DECISIONS_SHOWN;
    if (limit.p && (!str_to_i64(limit, &n) || n < 1 || n > DECISIONS_SHOWN)) {
        http_error(x, 400, "limit: expected a number from 1 to %u", DECISIONS_SHOWN);
        return;
    }
    admin_write_decisions(r->st, x->reply, (uint32_t)n);
}

static void explain(struct routes_admin *r, struct http_exchange *x)
{
    struct err err = ERR_NONE;
    struct str name = http_query(x, "pod");
    if (!name.p || !memchr(name.p, '/', name.n)) {
        http_error(x, 400, "pod: expected ?pod=NAMESPACE/NAME");
        return;
    }
    struct str ns = str_cut(&name, '/');
    if (lab_explain(r->lab, ns, name, x->arena, x->reply, &err) != 0) {
        plain_error(x, &err);
    }
}

static void place(struct routes_admin *r, struct http_exchange *x)
{
    struct err err = ERR_NONE;
    if (lab_place(r->lab, x->body, x->arena, x->reply, &err) != 0) {
        plain_error(x, &err);
    }
}

static void page(struct routes_admin *r, struct http_exchange *x)
{
    x->type = "text/html; charset=utf-8";
    page_write(r->st, x->reply);
}

static const struct route routes[] = {
    {"/livez", HTTP_GET, true, livez},
    {"/readyz", HTTP_GET, true, readyz},
    {"/healthz", HTTP_GET, true, livez},
    {"/metrics", HTTP_GET, true, metrics},
    {"/version", HTTP_GET, false, version},
    {"/configz", HTTP_GET, false, configz},
    {"/openapi.json", HTTP_GET, false, openapi},
    {"/v1/decisions", HTTP_GET, false, decisions},
    {"/v1/explain", HTTP_GET, false, explain},
    {"/v1/place", HTTP_POST, false, place},
    {"/", HTTP_GET, false, page},
};

static const struct route *find(const char *path)
{
    for (size_t i = 0; i < SP_COUNTOF(routes); i++) {
        if (strcmp(routes[i].path, path) == 0) {
            return &routes[i];
        }
    }
    return NULL;
}

int routes_admin_route(void *routes_ctx, struct http_exchange *x)
{
    struct routes_admin *r = routes_ctx;
    const struct route *route = find(x->path);
    x->verb = VERB_ADMIN;
    if (!route) {
        return 404;
    }
    if (!r->loopback && !route->everywhere) {
        return 403;
    }
    x->allow = route->method == HTTP_POST ? "POST" : "GET, HEAD";
    bool fits = x->method == route->method || (x->method == HTTP_HEAD && route->method == HTTP_GET);
    return fits ? 0 : 405;
}

void routes_admin_handle(void *routes_ctx, struct http_exchange *x)
{
    find(x->path)->handle(routes_ctx, x);
}
