/* Bodies of /filter, /prioritize and /v1/place through the route handlers, without sockets. First byte: the route.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "daemon/lab.h"
#include "daemon/routes_admin.h"
#include "daemon/routes_extender.h"
#include "wire/jsonc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *const snapshot[] = {"tests/data/snapshots/arena.json"};
static struct source source;
static struct state st;
static struct lab lab;
static struct arena arena;
static struct buf reply;

static void open_once(void)
{
    static bool done;
    struct err err = ERR_NONE;
    struct serve_args args = {.snapshots = {snapshot[0]}, .n_snapshots = 1};
    if (done) {
        return;
    }
    done = true;
    jsonc_init();
    arena_init(&arena, 16u << 20);
    buf_init(&reply, LIMIT_REPLY_BYTES);
    if (source_open(&source, snapshot, 1, &err) != 0 ||
        state_open(&st, &args, &source, NULL, &err) != 0) {
        abort();
    }
    lab_init(&lab, &st);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const paths[] = {"/filter", "/prioritize", "/v1/place"};
    open_once();
    if (n == 0) {
        return 0;
    }
    arena_reset(&arena);
    buf_clear(&reply);
    struct http_exchange x = {.method = HTTP_POST,
                              .path = paths[data[0] % 3],
                              .body = {(const char *)data + 1, n - 1},
                              .arena = &arena,
                              .reply = &reply,
                              .status = 200,
                              .type = "application/json"};
    struct routes_admin admin = {.st = &st, .lab = &lab, .loopback = true};
    if (data[0] % 3 == 2) {
        routes_admin_handle(&admin, &x);
    } else {
        (void)routes_extender_route(&st, &x);
        routes_extender_handle(&st, &x);
    }
    if (x.status == 200 &&
        (reply.n < 2 || (reply.p[reply.n - 1] != '}' && reply.p[reply.n - 1] != ']'))) {
        abort(); /* never an ambiguous answer */
    }
    return 0;
}
