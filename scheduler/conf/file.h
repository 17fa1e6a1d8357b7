/* Whole files, bounded: the only I/O of conf.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "base/str.h"

/* Reads a regular file (or a pipe) of at most `max` bytes; *ret is the caller's to mem_free(). Errors name the path. */
int conf_read_file(const char *path, size_t max, char **ret, size_t *ret_n,
                   struct err *err) SP_MUST_CHECK;
/* The folder of a path, "" for the current one, "/" kept; cut to n bytes. Returns `out`. */
const char *conf_folder(const char *path, char *out, size_t n);
