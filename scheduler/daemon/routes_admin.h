/* The admin port: health, metrics, explanations, hypothetical placements, the page.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/http_server.h"
#include "daemon/lab.h"

struct routes_admin {
    struct state *st;
    struct lab *lab;
    bool loopback; /* off loopback: health and metrics only */
    unsigned (*in_flight)(void *ctx);
    unsigned (*connections)(void *ctx);
    void *ctx;
};
int routes_admin_route(void *routes, struct http_exchange *x);
void routes_admin_handle(void *routes, struct http_exchange *x);
