/* Settings in force, shared: models and requests hold them by count, so that a reload never pulls them away.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/serve_args.h"

struct live {
    struct settings s;
    _Atomic unsigned refs;
    uint64_t generation;
    int64_t loaded_ms; /* wall clock */
    int64_t ttl_ms;    /* of reservations; 0 = none are made */
    enum decide_way decide;
};
/* Reads the configuration and tables that the flags name (flags win). The caller holds one count. */
int live_read(const struct serve_args *a, uint64_t generation, struct live **ret,
              struct err *err) SP_MUST_CHECK;
struct live *live_hold(struct live *l);
void live_drop(struct live *l); /* NULL is fine */
const char *live_decide_name(enum decide_way way);
