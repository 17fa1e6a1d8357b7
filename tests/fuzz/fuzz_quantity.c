/* Quantities: what is accepted adds and compares without surprise.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/limits.h"
#include "model/quantity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct quantity q, sum;
    struct err err = ERR_NONE;
    if (quantity_parse((struct str){(const char *)data, size}, &q, &err) != 0) {
        if (err.text[0] == 0) {
            abort();
        }
        return 0;
    }
    sum = quantity_add(q, QUANTITY_ZERO);
    if (quantity_cmp(sum, q) != 0 || (quantity_units(q) > 0) != (q.nano > 0)) {
        abort();
    }
    return 0;
}
