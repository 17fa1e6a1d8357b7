/* `spawnpoint serve` as a child, and one connection to it that is kept open, as kube-scheduler keeps its own.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sys/types.h>

#include "base/buf.h"

struct bench_http {
    pid_t pid;
    int fd, log; /* the connection; the program's standard error */
};
/* Starts the program, waits for its ready line, connects to the extender port. Exits with a message when that fails. */
void bench_http_start(struct bench_http *h, const char *program, char *const argv[]);
void bench_http_stop(struct bench_http *h);
/* The status; the reply's body in `reply`. */
int bench_http_post(struct bench_http *h, const char *path, struct str body, struct buf *reply);
/* Nanoseconds that all threads of the program have run. */
int64_t bench_http_cpu_ns(const struct bench_http *h);
