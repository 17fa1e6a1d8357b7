/* --expect expressions: accepted or refused with words.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "sim/expect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct expect e;
    struct err err = ERR_NONE;
    if (expectation_parse((struct str){(const char *)data, size}, &e, &err) != 0) {
        if (err.text[0] == 0) {
            abort();
        }
        return 0;
    }
    if (e.path.n == 0 || e.number != e.number) {
        abort();
    }
    return 0;
}
