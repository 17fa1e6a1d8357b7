/* Pods: any bytes give a description or a placed error.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/limits.h"
#include "wire/k8s.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct pod_desc pod;
    struct err err = ERR_NONE;
    struct str bytes = {(const char *)data, size};
    arena_init(&a, LIMIT_ITEM_ARENA);
    int rc = k8s_decode_pod(bytes, &a, &pod, &err);
    if (rc != 0 && (err.text[0] == 0 || err.line == 0)) {
        abort();
    }
    if (rc == 0 && k8s_validate_pod(&pod, &err) != 0 && err.text[0] == 0) {
        abort();
    }
    arena_done(&a);
    return 0;
}
