/* Strict JSON documents: what is read is written again and reads as the same.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/limits.h"
#include "wire/jdoc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = {(const char *)data, size};
    struct arena arena;
    struct yaml_node *tree = NULL;
    struct err err = ERR_NONE;
    arena_init(&arena, LIMIT_ITEM_ARENA);
    int rc = jdoc_parse("input", s, &arena, &tree, &err);
    if (rc != 0 && err.text[0] == 0) {
        abort();
    }
    if (rc == 0) {
        CLEANUP_BUF struct buf once;
        CLEANUP_BUF struct buf twice;
        buf_init(&once, LIMIT_REPLY_BYTES);
        buf_init(&twice, LIMIT_REPLY_BYTES);
        if (jdoc_pretty(s, &once, &err) == 0 && (jdoc_pretty(buf_view(&once), &twice, &err) != 0 ||
                                                 !str_eq(buf_view(&once), buf_view(&twice)))) {
            abort();
        }
    }
    arena_done(&arena);
    return 0;
}
