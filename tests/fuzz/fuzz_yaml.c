/* YAML to a tree to JSON: what was read as YAML is valid JSON afterwards.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/limits.h"
#include "wire/scan.h"
#include "wire/yaml_doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct yaml_docs docs;
    struct err err = ERR_NONE;
    arena_init(&a, LIMIT_ITEM_ARENA);
    int rc = yaml_parse("input", (struct str){(const char *)data, size}, &a, &docs, &err);
    if (rc != 0 && err.text[0] == 0) {
        abort();
    }
    for (uint32_t i = 0; rc == 0 && i < docs.n; i++) {
        struct buf out;
        struct yaml_marks marks = {0};
        struct scan s;
        buf_init(&out, LIMIT_REPLY_BYTES);
        if (yaml_to_json(docs.docs[i], &out, &marks, &err) == 0) {
            scan_init(&s, buf_view(&out));
            if (!scan_skip(&s, NULL) || !scan_end(&s) || marks.n == 0) {
                abort();
            }
        }
        yaml_marks_done(&marks);
        buf_done(&out);
    }
    arena_done(&a);
    return 0;
}
