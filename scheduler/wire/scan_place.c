/* Where a fault stands, as people count. See scan.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "wire/scan.h"

void scan_place(const char *begin, const char *at, uint32_t *ret_line, uint32_t *ret_column)
{
    uint32_t line = 1;
    const char *line_start = begin;
    while (line_start < at) {
        const char *nl = memchr(line_start, '\n', (size_t)(at - line_start));
        if (nl == NULL) {
            break;
        }
        line++;
        line_start = nl + 1;
    }
    *ret_line = line;
    *ret_column = (uint32_t)(at - line_start) + 1;
}

int scan_error(const struct scan *s, const char *file, struct err *err)
{
    uint32_t line, column;
    scan_place(s->begin, s->error_at != NULL ? s->error_at : s->p, &line, &column);
    err_set(err, -EINVAL, "%s", s->error != NULL ? s->error : "not valid JSON");
    return err_at(err, file, line, column);
}
