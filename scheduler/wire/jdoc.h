/* JSON for people and archives: strict reading, stable sorted writing: the only user of jansson.
 *
 * Duplicate keys, trailing bytes and non-finite numbers are refused, with line and column.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "wire/yaml_doc.h"

/* Sends jansson's allocations through base/mem.h. Once, before threads; harmless when repeated. */
void jdoc_init(void);

/* Reads strict JSON into the same tree that yaml_parse gives (configuration may be JSON); no line and column per node
 * beyond what the source allows: each node carries the place of its key where it can be found, else 1:1. */
int jdoc_parse(const char *file, struct str bytes, struct arena *a, struct yaml_node **ret,
               struct err *err) SP_MUST_CHECK;
/* Re-writes JSON bytes with sorted keys, two-space indent, round-trip numbers. */
int jdoc_pretty(struct str json, struct buf *out, struct err *err) SP_MUST_CHECK;
