/* What the files of the key table's reader share. Included by keytab*.c only.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "conf/keytab.h"
#include "model/settings.h"

#define PATH_MAX_BYTES 256
/* For "%.*s": at most 60 bytes of text that need not end in NUL. */
#define CLIP(s)        (int)((s).n > 60 ? 60 : (s).n), ((s).p != NULL ? (s).p : "")

struct walk {
    const struct keytab_read *r;
    bool once; /* the scope stands once, as a default: no KEY_OWN_ONLY rows */
    char path[PATH_MAX_BYTES];
};

/* Puts the path in front of the error and the node's place behind it. Returns err->code. */
int keytab_fail(const struct walk *w, const struct yaml_node *at, struct err *err);
/* Add a part to the path; return its old length, to cut it back. */
size_t keytab_path_push(struct walk *w, const char *sep, struct str part);
size_t keytab_path_index(struct walk *w, uint32_t ix);
/* "expected WANT, found …" at the node. */
int keytab_wrong_type(const struct walk *w, const struct yaml_node *v, const char *want,
                      struct err *err);
/* All that follows lives in the reader's arena. */
int keytab_list_alloc(const struct walk *w, uint32_t n, size_t size, void **ret, struct err *err);
int keytab_keep_text(const struct walk *w, struct str s, struct str *ret, struct err *err);
int keytab_read_text(const struct walk *w, const struct yaml_node *v, struct str *ret,
                     struct err *err);
int keytab_read_text_list(struct walk *w, const struct yaml_node *v, str_list *ret,
                          struct err *err);
int keytab_read_selector(struct walk *w, const struct yaml_node *v, struct selector_desc *ret,
                         struct err *err);
