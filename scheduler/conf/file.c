/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define FIRST_BYTES 65536u

int conf_read_file(const char *path, size_t max, char **ret, size_t *ret_n, struct err *err)
{
    FILE *f = fopen(path, "rb");
    size_t n = 0, cap = FIRST_BYTES;
    int rc = 0;
    if (f == NULL) {
        rc = -errno;
        return err_set(err, rc, "%s: %s", path, strerror(-rc));
    }
    char *p = mem_alloc(cap + 1);
    if (p == NULL) {
        rc = err_nomem(err);
    }
    while (rc == 0) {
        size_t got = fread(p + n, 1, cap - n, f);
        n += got;
        if (n < cap) {
            if (ferror(f)) {
                int code = errno != 0 ? -errno : -EIO;
                rc = err_set(err, code, "%s: %s", path, strerror(-code));
            }
            break;
        }
        if (cap > max) {
            rc = err_set(err, -EFBIG, "%s: larger than %zu bytes", path, max);
            break;
        }
        char *more = mem_realloc(p, cap * 2 + 1);
        if (more == NULL) {
            rc = err_nomem(err);
            break;
        }
        p = more;
        cap *= 2;
    }
    fclose(f);
    if (rc == 0 && n > max) {
        rc = err_set(err, -EFBIG, "%s: larger than %zu bytes", path, max);
    }
    if (rc != 0) {
        mem_free(p);
        return rc;
    }
    p[n] = '\0';
    *ret = p;
    *ret_n = n;
    return 0;
}

const char *conf_folder(const char *path, char *out, size_t n)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (len >= n) {
        len = n - 1;
    }
    memcpy(out, path, len);
    out[len] = '\0';
    return out;
}
