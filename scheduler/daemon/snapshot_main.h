/* `spawnpoint snapshot`: a dump of a live cluster, as `simulate` and `explain` take it.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

int snapshot_main(int argc, char **argv); /* argv[0] is the verb; returns the exit code */
