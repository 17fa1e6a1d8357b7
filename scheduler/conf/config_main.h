/* `spawnpoint config default | validate FILE | explain [KEY]`. Exit codes: 0, 1 an error, 2 usage. May print.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* argv[0] is the verb "config". */
int config_main(int argc, char **argv);
