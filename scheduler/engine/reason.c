// SPDX-License-Identifier: Apache-2.0
#include "engine/policy.h"

static const struct {
    const char *text;
    bool unresolvable;
} reasons[] = {
    [REASON_NONE] = {"", false},
#define REASON(id, unresolvable, text) [REASON_##id] = {text, unresolvable},
#include "engine/reasons.def"
#undef REASON
};

const char *reason_text(enum reason r)
{
    return (unsigned)r < REASON_COUNT ? reasons[r].text : "";
}

bool reason_unresolvable(enum reason r)
{
    return (unsigned)r < REASON_COUNT && reasons[r].unresolvable;
}
