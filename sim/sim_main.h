/* The verbs of the offline shell, for the dispatcher. Each takes its own argv (argv[0] is the verb) and returns the exit
 * code: 0 ok, 1 error, 2 usage, 3 a failed expectation. Data goes to stdout, everything else to stderr.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "conf/config_main.h"

int simulate_main(int argc, char **argv);
int explain_main(int argc, char **argv);
int compare_main(int argc, char **argv);
int demo_main(int argc, char **argv);
