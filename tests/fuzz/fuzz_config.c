/* Any bytes as a configuration: refused with words and a place, or read, printed and read back as the same.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "conf/config.h"

#define BYTES_MAX (256u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "broken promise: %s\n", what);
        abort();
    }
}

/* The files that it may name are not there: a configuration with one is refused, which is fine. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings s, again;
    struct err err = ERR_NONE;
    struct buf out, twice;
    if (size > BYTES_MAX) {
        return 0;
    }
    if (config_load_bytes("fuzz", (struct str){(const char *)data, size}, "/nonexistent", &s,
                          &err) != 0) {
        require(err.code < 0 && err.text[0] != '\0', "an error has a code and words");
        return 0;
    }
    buf_init(&out, 16u << 20);
    buf_init(&twice, 16u << 20);
    config_print(&out, &s);
    if (!out.broken) {
        int rc = config_load_bytes("printed", buf_view(&out), "/nonexistent", &again, &err);
        if (rc != 0) {
            fprintf(stderr, "%s\n%.*s\n", err.text, (int)out.n, out.p);
        }
        require(rc == 0, "what is printed is accepted");
        config_print(&twice, &again);
        require(twice.broken || (out.n == twice.n && memcmp(out.p, twice.p, out.n) == 0),
                "what is printed reads back the same");
        settings_done(&again);
    }
    buf_done(&out);
    buf_done(&twice);
    settings_done(&s);
    return 0;
}
