/* Comma-separated values with a header, read strictly: RFC 4180 quotes, LF or CRLF, an optional byte-order mark.
 *
 * Blank lines and lines that begin with # are skipped. Errors carry file:line:column. Pure; a field points into the
 * input, or into the reader's own small buffer when it had doubled quotes (valid until the next row).
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#define CSV_FIELDS_MAX    64
#define CSV_UNQUOTE_BYTES 8192

struct csv_field {
    struct str text;
    uint32_t column; /* 1-based byte */
};
struct csv {
    const char *file;
    struct str rest;
    uint32_t line; /* of the row that csv_next gave last */
    uint32_t next_line;
    uint64_t rows;
    struct csv_field f[CSV_FIELDS_MAX];
    uint32_t n;
    char unquoted[CSV_UNQUOTE_BYTES];
    size_t n_unquoted;
};

void csv_init(struct csv *c, const char *file, struct str bytes);
/* 1 = a row in c->f[0 .. n-1], 0 = end, negative = error. */
int csv_next(struct csv *c, struct err *err) SP_MUST_CHECK;
/* An error at a field of the current row. Returns err->code. */
int csv_fail(const struct csv *c, uint32_t field, struct err *err);
