/* A `spawnpoint serve` of our own for the demo: started on free ports, asked, ended.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct demo_server {
    pid_t pid;                    /* 0 = not running */
    char extender[64], admin[64]; /* HOST:PORT */
    char log[256];                /* file that takes its stderr */
};

/* Starts this very program on the files of `folder` and waits until it says "ready". */
int demo_server_start(const char *folder, struct demo_server *ret, struct err *err) SP_MUST_CHECK;
/* Ends it: politely, then for good. Harmless when it does not run. */
void demo_server_stop(struct demo_server *s);
