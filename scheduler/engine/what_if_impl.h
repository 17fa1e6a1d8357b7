/* Trying changes: shared by what_if.c (nodes, order of trying) and what_if_pod.c (the pod and its fleet).
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdio.h>

#include "engine/explain_impl.h"

#define WHAT_IF_TEXT 1400 /* two names of 253 bytes, a taint, words; longer is cut */

struct refused {
    node_ix node;
    struct str name;
    struct verdict v;
};
struct what_if {
    struct engine *e;
    struct cluster *c;
    const struct ask *ask;
    const struct explain_base *base;
    struct explanation *x;
    const struct pod_class *cls; /* as asked */
    uint32_t max, tries;
    struct refused *refused; /* by name */
    uint32_t n_refused;
    uint32_t *seen;     /* refused nodes by reason */
    struct taint taint; /* the one that is being taken away */
};
/* Decides again with this class instead of the pod's own; tells the change when the answer is another one. */
int what_if_try(struct what_if *w, const struct pod_class *cls, const char *change,
                struct err *err) SP_MUST_CHECK;
/* "KEY=VALUE:EFFECT", without "=VALUE" where the value is empty. */
void what_if_taint_text(const struct what_if *w, const struct taint *t, char *out, size_t n);
/* A quantity: cpu with m, everything else plain. */
void what_if_amount_text(res_ix res, int64_t amount, char *out, size_t n);
/* what_if_pod.c */
int what_if_tolerate(struct what_if *w, const struct taint *t, struct err *err) SP_MUST_CHECK;
int what_if_request(struct what_if *w, res_ix res, int64_t amount, struct err *err) SP_MUST_CHECK;
int what_if_pod(struct what_if *w, struct err *err) SP_MUST_CHECK;
int what_if_fleet(struct what_if *w, struct err *err) SP_MUST_CHECK;
