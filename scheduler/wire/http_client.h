/* One HTTP request over libcurl: the only user of libcurl outside the Kubernetes client, with the same adapter for all verbs.
 *
 * http and https by URL; no redirects, no proxy from the environment, no other scheme. Blocks until the answer is there or the
 * time is over. The answer's body is bounded by the buffer's own maximum. May do I/O; never logs.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Sends libcurl's allocations through base/mem.h. Once, before threads; harmless when repeated. false: libcurl cannot start. */
bool http_client_init(void);

struct http_ask {
    const char *method; /* "GET", "POST" */
    const char *url;
    struct str body;          /* STR_NONE for none */
    const char *content_type; /* of the body; NULL = application/json */
    long timeout_ms;          /* for everything; > 0 */
};
/* Fills `body` (made by the caller with buf_init) and the status. -EINVAL: no such URL; -ECONNREFUSED, -ETIMEDOUT,
 * -EHOSTUNREACH, -E2BIG (longer than the buffer may be), -EPROTO. A status of 404 is an answer, not an error. */
int http_client_call(const struct http_ask *ask, struct buf *body, int *ret_status,
                     struct err *err) SP_MUST_CHECK;
