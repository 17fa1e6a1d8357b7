/* Watches the configuration and its tables, and takes over what has changed.
 *
 * Polled once a second by file identity, size and time, so that a symbolic link that is swapped (a mounted ConfigMap) counts
 * too. A bad file keeps what is in force and says file:line:column.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sys/types.h>
#include <time.h>

#include "daemon/state.h"

#define RELOAD_FILES_MAX 5

struct reload_file {
    char path[4096]; /* "" = not used */
    bool there;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};
struct reload {
    struct state *st;
    struct reload_file files[RELOAD_FILES_MAX];
};
void reload_init(struct reload *r, struct state *st);
/* Reads again when a file has changed, or in any case with `force` (SIGHUP). */
void reload_poll(struct reload *r, bool force);
