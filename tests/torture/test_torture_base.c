/* Short memory in the base layer: every allocation of a mixed scenario fails once.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/vec.h"
#include "support/torture.h"

struct entry {
    int key;
    bool oom;
    UT_hash_handle hh;
};

/* Counts, writes, pushes and maps; whatever fails, what it took is given back. */
static bool mixed_scenario(void *ctx)
{
    (void)ctx;
    bool ok = true;
    struct arena arena;
    struct buf buf;
    VEC(int) vec = {0};
    struct entry *map = NULL;
    torture_begin();
    arena_init(&arena, 1u << 20);
    buf_init(&buf, 1u << 20);
    for (int i = 0; i < 200 && ok; i++) {
        struct entry *entry = arena_calloc(&arena, 1, sizeof *entry);
        if (entry == NULL) {
            ok = false;
            break;
        }
        entry->key = i;
        HASH_ADD_INT(map, key, entry);
        ok = !entry->oom && VEC_PUSH(&vec, i, 1000) == 0;
        buf_printf(&buf, "%0*d", 10 * i, i);
    }
    torture_end();
    ok = ok && !buf.broken && vec.n == 200 && HASH_COUNT(map) == 200;
    HASH_CLEAR(hh, map);
    VEC_DONE(&vec);
    buf_done(&buf);
    arena_done(&arena);
    return ok;
}

static void base_survives_every_failing_allocation(void **state)
{
    (void)state;
    struct torture_result result = torture("base", mixed_scenario, NULL, 1);
    assert_true(result.allocations > 20);
    assert_true(result.refused > 0);
    assert_int_equal(result.unharmed, 0); /* none of these allocations is optional */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests_name("torture base", tests, NULL, NULL);
}
