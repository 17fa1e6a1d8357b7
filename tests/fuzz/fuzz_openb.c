/* The GPU study's CSV files, through the loader.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "model/settings.h"
#include "wire/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/fuzz-openb-%ld.csv", (long)getpid());
    FILE *f = fopen(path, "wb");
    if (!f) {
        abort();
    }
    (void)fwrite(data, 1, size, f);
    (void)fclose(f);
    char spec[80];
    snprintf(spec, sizeof spec, "openb:%s", path);
    struct settings settings;
    struct cluster *c = NULL;
    struct loaded l;
    struct err err = ERR_NONE;
    if (settings_default(&settings, &err) != 0 || cluster_new(&c, &settings, &err) != 0 ||
        loaded_init(&l, c, &err) != 0) {
        abort();
    }
    int rc = load_path(&l, spec, false, &err);
    if (rc == 0) {
        rc = load_finish(&l, &err);
    }
    if ((rc != 0 && err.text[0] == 0) || cluster_verify(c, &err) != 0) {
        abort();
    }
    loaded_done(&l);
    cluster_free(c);
    settings_done(&settings);
    (void)remove(path);
    return 0;
}
