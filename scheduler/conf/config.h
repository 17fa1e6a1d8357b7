/* The configuration file: SpawnpointConfiguration, YAML or JSON, to settings.
 *
 * Strict: an unknown key, a wrong type, a value out of range, and values that contradict each other are errors with
 * file:line:column and the fix. Keys, defaults and prose stand in config_keys.def, once. Reads files, else pure.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buf.h"
#include "conf/keytab.h"
#include "conf/tables_read.h"
#include "model/settings.h"

#define CONFIG_API_VERSION "spawnpoint.dev/v1alpha1"
#define CONFIG_KIND        "SpawnpointConfiguration"

/* Reads `path` and the tables that it names. On success *ret is the caller's to settings_done(); on failure untouched. */
int config_load(const char *path, struct settings *ret, struct err *err) SP_MUST_CHECK;
/* The same from memory. `name` stands in errors; relative paths start from `folder` ("" = the current one). */
int config_load_bytes(const char *name, struct str bytes, const char *folder, struct settings *ret,
                      struct err *err) SP_MUST_CHECK;
/* A complete file of defaults with the meaning of each key, that config_load accepts. */
void config_print_default(struct buf *out);
/* What is in force, as YAML that config_load accepts. */
void config_print(struct buf *out, const struct settings *s);
/* All keys when `key` is NULL; else one with what is below it. -ENOENT with the nearest name. */
int config_explain(struct buf *out, const char *key, struct err *err) SP_MUST_CHECK;
/* docs/config.md. */
void config_print_docs(struct buf *out);
const struct keytab *config_keys(void);

/* config_check.c: what the key table cannot see. `root` is the file's tree, for places. */
struct yaml_node;
int config_check(const struct settings *s, const char *file, const struct yaml_node *root,
                 struct err *err) SP_MUST_CHECK;
