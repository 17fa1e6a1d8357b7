// SPDX-License-Identifier: Apache-2.0
#include "policies/policy_table.h"

static const struct policy *const table[] = {
#define POLICY(symbol) &(symbol),
#include "policies/policies.def"
#undef POLICY
};

const struct policy *policy_find(struct str name)
{
    for (size_t i = 0; i < SP_COUNTOF(table); i++) {
        if (str_is(name, table[i]->name)) {
            return table[i];
        }
    }
    return NULL;
}
