/* The flags of `spawnpoint serve`.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/settings.h"

#define SERVE_SNAPSHOTS_MAX 64

struct serve_args {
    const char *config, *listen, *admin_listen, *kubeconfig, *latency, *prices;
    const char *snapshots[SERVE_SNAPSHOTS_MAX];
    unsigned n_snapshots;
    bool has_decide, has_ttl;
    enum decide_way decide;
    int64_t reservation_ttl_ms, shutdown_delay_ms, api_timeout_ms;
    bool help;
};
/* -EINVAL with one line for standard error. Text points into argv. */
int serve_args_read(int argc, char **argv, struct serve_args *ret, struct err *err) SP_MUST_CHECK;
/* What --help prints. */
const char *serve_usage(void);
