/* Growable typed arrays. See vec.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/vec.h"

#include <stdint.h>

int vec_grow(void **p, size_t *cap, size_t want, size_t size, size_t max)
{
    if (want <= *cap) {
        return 0;
    }
    if (want > max) {
        return -E2BIG;
    }
    size_t room = *cap < 8 ? 8 : *cap;
    while (room < want) {
        room += room / 2;
    }
    if (room > max) {
        room = max;
    }
    size_t bytes;
    if (__builtin_mul_overflow(room, size, &bytes)) {
        return -ENOMEM;
    }
    void *grown = mem_realloc(*p, bytes);
    if (grown == NULL) {
        return -ENOMEM;
    }
    *p = grown;
    *cap = room;
    return 0;
}
