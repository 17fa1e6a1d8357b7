/* `spawnpoint serve`. The composition root of the daemon.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Returns the exit code: 0 stopped, 1 error, 2 usage, 130 interrupted. */
int serve_main(int argc, char **argv);
