/* What /filter and /prioritize answer: decides, reserves, records. No HTTP, no JSON of the reply.
 *
 * Takes the state's lock for the decision; what is handed back lies in the arena or in the arguments.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/state.h"
#include "wire/extender.h"

struct decided {
    enum metric_result result;
    bool fallback;
    enum stale_answer on_stale; /* of a fallback */
    const uint32_t *keep;       /* positions in the request's list */
    uint32_t n_keep;
    const struct extender_reject *rejects;
    uint32_t n_rejects;
    const struct extender_score *scores; /* prioritize */
    uint32_t n_scores;
};
/* 0, -ENOMEM (503), -EINVAL (400: a pod that cannot be understood). */
int decide_request(struct state *st, const struct extender_args *args, enum metric_verb verb,
                   struct arena *arena, struct decided *ret, struct err *err) SP_MUST_CHECK;
