/* The extender port: POST /filter and /prioritize; /preempt and /bind answer 404 until they exist.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/http_server.h"
#include "daemon/state.h"

int routes_extender_route(void *state, struct http_exchange *x);
void routes_extender_handle(void *state, struct http_exchange *x);
