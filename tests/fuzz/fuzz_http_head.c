/* Request heads: lines "key:value" and a target, judged as the daemon judges them; only defined answers come out.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/http_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = 0;
    int target = http_target_judge(text);
    struct http_head head = {0};
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next) {
            *next++ = 0;
        }
        if (line[0] == 0) {
            continue;
        }
        char *colon = strchr(line, ':');
        if (colon) {
            *colon = 0;
        }
        http_head_field(&head, line, colon ? colon + 1 : "");
    }
    int judged = http_head_judge(&head, "HTTP/1.1");
    free(text);
    if ((target != 0 && target != 400 && target != 414) ||
        (judged != 0 && judged != 400 && judged != 431)) {
        abort();
    }
    return 0;
}
