/* Extender requests: what is read can be answered, and the answer is valid JSON.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/limits.h"
#include "wire/extender.h"
#include "wire/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct extender_args args;
    struct err err = ERR_NONE;
    struct buf out;
    struct scan s;
    arena_init(&a, LIMIT_REQUEST_ARENA);
    buf_init(&out, LIMIT_REPLY_BYTES);
    int rc = extender_decode_args((struct str){(const char *)data, size}, &a, &args, &err);
    if (rc != 0 && err.text[0] == 0) {
        abort();
    }
    if (rc == 0) {
        uint32_t n = args.has_names ? args.n_names : args.n_nodes;
        uint32_t *keep = arena_calloc(&a, n + 1, sizeof *keep);
        for (uint32_t i = 0; keep != NULL && i < n; i++) {
            keep[i] = i;
        }
        extender_write_filter(&out, &args, keep, keep != NULL ? n : 0, NULL, 0);
        scan_init(&s, buf_view(&out));
        if (!out.broken && (!scan_skip(&s, NULL) || !scan_end(&s))) {
            abort();
        }
    }
    buf_done(&out);
    arena_done(&a);
    return 0;
}
