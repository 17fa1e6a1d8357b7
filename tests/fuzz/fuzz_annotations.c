/* The values of our annotations: sessions, players, demand, spot. What is accepted is in range and demand sums to one.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/limits.h"
#include "model/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand_is_whole(struct str s)
{
    struct arena arena;
    demand_list list = {0};
    arena_init(&arena, LIMIT_ITEM_ARENA);
    if (profile_read_demand(s, &arena, &list) == 0) {
        double sum = 0;
        for (uint32_t i = 0; i < list.n; i++) {
            if (!(list.p[i].share > 0) || list.p[i].share > 1 || list.p[i].location.n == 0) {
                abort();
            }
            sum += list.p[i].share;
        }
        if (list.n > 0 && (sum < 1 - 1e-6 || sum > 1 + 1e-6)) {
            abort();
        }
    }
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = {(const char *)data, size};
    int64_t p50 = 0, p90 = 0;
    int32_t players = 0;
    enum spot_wish wish = SPOT_UNSET;
    if (profile_read_session(s, &p50, &p90) && (p50 <= 0 || p90 < p50)) {
        abort();
    }
    if (profile_read_players(s, &players) && (players < 0 || players > 1000000)) {
        abort();
    }
    if (profile_read_spot(s, &wish) && (wish < SPOT_NEVER || wish > SPOT_REQUIRED)) {
        abort();
    }
    demand_is_whole(s);
    return 0;
}
