/* The small cluster of tests/torture/: settings, objects, waiting pods. Made while nothing fails.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buf.h"
#include "conf/config.h"
#include "wire/load.h"

#define TORTURE_CLUSTER "tests/torture/cluster"
#define TORTURE_CONFIG  "tests/torture/config/config.yaml"

struct torture_world {
    struct settings settings;
    struct cluster *c;
    struct loaded loaded;
};
/* Aborts when it cannot be made. */
void torture_world_open(struct torture_world *w);
void torture_world_close(struct torture_world *w);
/* The waiting pod games/NAME. */
const struct pod_req *torture_world_pod(const struct torture_world *w, const char *name);
/* A whole file, appended to `out`. */
void torture_read(const char *path, struct buf *out);
/* Aborts with the first difference when the model does not agree with itself. */
void torture_verify(const struct cluster *c);
