/* Whole inputs: lists, streams, YAML, controllers, into a model that must still agree with itself.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/limits.h"
#include "model/settings.h"
#include "wire/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings s;
    struct cluster *c;
    struct loaded l;
    struct err err = ERR_NONE;
    if (settings_default(&s, &err) != 0 || cluster_new(&c, &s, &err) != 0 ||
        loaded_init(&l, c, &err) != 0) {
        abort();
    }
    int rc = load_bytes(&l, "input", (struct str){(const char *)data, size}, false, &err);
    if (rc == 0) {
        rc = load_finish(&l, &err);
    }
    if (rc != 0 && err.text[0] == 0) {
        abort();
    }
    if (cluster_verify(c, &err) != 0) {
        abort();
    }
    loaded_done(&l);
    cluster_free(c);
    settings_done(&s);
    return 0;
}
