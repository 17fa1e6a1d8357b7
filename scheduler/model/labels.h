/* Label sets and label selectors over interned text.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "model/ids.h"
#include "model/symtab.h"

struct label {
    sym key, val;
};
struct labelset { /* sorted by key number; keys are unique */
    const struct label *p;
    uint32_t n;
};

enum sel_op {
    SEL_IN = 0,
    SEL_NOT_IN, /* true also where the label is absent */
    SEL_EXISTS,
    SEL_NOT_EXISTS,
    SEL_GT, /* base-10 int64 on both sides; absent or unparsable: false */
    SEL_LT,
    SEL_NEVER /* an expression that Kubernetes would refuse: matches nothing */
};
struct requirement {
    sym key;
    enum sel_op op;
    const sym *vals;
    uint32_t n_vals;
    int64_t number; /* SEL_GT, SEL_LT */
};
struct selector { /* AND of the requirements */
    const struct requirement *p;
    uint32_t n;
    bool
        nothing; /* a selector that was not given (nil): matches nothing; n == 0 otherwise matches everything */
};

/* SYM_NONE and *ret_has = false when the key is absent (an empty value is a value). */
sym labels_get(struct labelset set, sym key, bool *ret_has);
bool requirement_matches(const struct requirement *r, struct labelset set, const struct symtab *t);
bool selector_matches(const struct selector *s, struct labelset set, const struct symtab *t);
/* Whether any requirement names this key. */
bool selector_names_key(const struct selector *s, sym key);
