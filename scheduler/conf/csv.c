/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/csv.h"

#include <errno.h>

#include "base/limits.h"

void csv_init(struct csv *c, const char *file, struct str bytes)
{
    c->file = file;
    c->rest = bytes;
    c->line = 0;
    c->next_line = 1;
    c->rows = 0;
    c->n = 0;
    c->n_unquoted = 0;
    if (str_starts(c->rest, STR("\xef\xbb\xbf"))) {
        c->rest.p += 3;
        c->rest.n -= 3;
    }
}

static int fail_at(const struct csv *c, size_t column, struct err *err)
{
    return err_at(err, c->file, c->line, (uint32_t)column);
}

/* A field in quotes that begins at line.p[*at]; leaves *at behind the closing quote. */
static int quoted_field(struct csv *c, struct str line, size_t *at, struct csv_field *ret,
                        struct err *err)
{
    size_t i = *at + 1, start = c->n_unquoted;
    for (; i < line.n; i++) {
        if (line.p[i] == '"') {
            if (i + 1 < line.n && line.p[i + 1] == '"') {
                i++;
            } else {
                break;
            }
        }
        if (c->n_unquoted >= sizeof c->unquoted) {
            err_set(err, -E2BIG, "more than %d bytes of quoted text in one row", CSV_UNQUOTE_BYTES);
            return fail_at(c, *at + 1, err);
        }
        c->unquoted[c->n_unquoted++] = line.p[i];
    }
    if (i >= line.n) {
        err_set(err, -EINVAL, "the quote is never closed in this line");
        return fail_at(c, *at + 1, err);
    }
    ret->text = (struct str){c->unquoted + start, c->n_unquoted - start};
    *at = i + 1;
    if (*at < line.n && line.p[*at] != ',') {
        err_set(err, -EINVAL, "expected a comma after the closing quote");
        return fail_at(c, *at + 1, err);
    }
    return 0;
}

static int split(struct csv *c, struct str line, struct err *err)
{
    size_t at = 0;
    c->n = 0;
    c->n_unquoted = 0;
    for (;;) {
        struct csv_field field = {.column = (uint32_t)at + 1};
        if (c->n == CSV_FIELDS_MAX) {
            err_set(err, -E2BIG, "more than %d fields", CSV_FIELDS_MAX);
            return fail_at(c, at + 1, err);
        }
        if (at < line.n && line.p[at] == '"') {
            int rc = quoted_field(c, line, &at, &field, err);
            if (rc != 0) {
                return rc;
            }
        } else {
            size_t end = at;
            while (end < line.n && line.p[end] != ',') {
                end++;
            }
            field.text = str_trim((struct str){line.p + at, end - at});
            at = end;
        }
        c->f[c->n++] = field;
        if (at >= line.n) {
            return 0;
        }
        at++;
    }
}

int csv_next(struct csv *c, struct err *err)
{
    while (c->rest.n > 0) {
        struct str line = str_cut(&c->rest, '\n');
        c->line = c->next_line++;
        if (line.n > 0 && line.p[line.n - 1] == '\r') {
            line.n--;
        }
        if (str_trim(line).n == 0 || line.p[0] == '#') {
            continue;
        }
        if (!str_utf8_ok(line) || memchr(line.p, '\0', line.n) != NULL) {
            err_set(err, -EILSEQ, "the line is not UTF-8 text");
            return fail_at(c, 1, err);
        }
        if (++c->rows > LIMIT_CSV_ROWS) {
            err_set(err, -E2BIG, "more than %d rows", LIMIT_CSV_ROWS);
            return fail_at(c, 1, err);
        }
        int rc = split(c, line, err);
        return rc != 0 ? rc : 1;
    }
    return 0;
}

int csv_fail(const struct csv *c, uint32_t field, struct err *err)
{
    return fail_at(c, field < c->n ? c->f[field].column : 1, err);
}
