/* JSON trees for irregular objects of machine peers: the only user of cJSON.
 *
 * cJSON's allocation goes to the calling thread's open arena (hooks set once by jsonc_init), so a tree is freed with
 * its arena. Adds what cJSON lacks: end of input, UTF-8, \u0000, depth and size limits, finite numbers. Nodes are opaque.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

typedef struct cJSON jsonc_node;

void jsonc_init(void); /* once, before threads; harmless when repeated */
int jsonc_parse(struct str bytes, struct arena *a, jsonc_node **ret, struct err *err) SP_MUST_CHECK;
const jsonc_node *jsonc_get(const jsonc_node *object, const char *key); /* exact */
const jsonc_node *jsonc_get_nocase(const jsonc_node *object,
                                   const char *key); /* as Go decodes; the last match */
const jsonc_node *jsonc_path(const jsonc_node *object, const char *dotted); /* "spec.template" */
bool jsonc_is_object(const jsonc_node *n);
bool jsonc_is_array(const jsonc_node *n);
bool jsonc_is_null(const jsonc_node *n); /* absent (NULL) counts */
bool jsonc_str(const jsonc_node *n, struct str *ret);
bool jsonc_i64(const jsonc_node *n, int64_t *ret); /* exact integers only */
bool jsonc_f64(const jsonc_node *n, double *ret);
bool jsonc_bool(const jsonc_node *n, bool *ret);
const jsonc_node *jsonc_first(const jsonc_node *parent); /* first child or item */
const jsonc_node *jsonc_next(const jsonc_node *child);
struct str jsonc_key(const jsonc_node *child);
/* Prints compactly. */
int jsonc_print(const jsonc_node *n, struct buf *out, struct err *err) SP_MUST_CHECK;
