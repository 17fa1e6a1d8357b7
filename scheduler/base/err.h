/* The error value: what went wrong, where, and what would be right.
 *
 * A fallible function returns 0, or a negative errno and fills `err` (its last argument). On success it does
 * not touch `err`. Context is added on the way up, like a path; the leaf says what was expected and what
 * was found. An error needs no memory and owns none, so it can be made while memory is short.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

#define ERR_TEXT_MAX 480

struct err {
    int code;              /* negative errno; 0 = no error */
    uint32_t line, column; /* 1-based place in `file`; 0 = unknown */
    char file[160];        /* "" = unknown; shortened in front when longer */
    char text[ERR_TEXT_MAX];
};

#define ERR_NONE ((struct err){0})

/* Fills `err` and returns `code` (a negative errno). Text is cut at ERR_TEXT_MAX; control bytes become '?'. */
int err_set(struct err *err, int code, const char *fmt, ...) SP_PRINTF(3, 4);
/* Puts "FMT: " in front of what is there. Returns err->code. */
int err_context(struct err *err, const char *fmt, ...) SP_PRINTF(2, 3);
/* Sets file, line and column where they are still unknown. Returns err->code. */
int err_at(struct err *err, const char *file, uint32_t line, uint32_t column);
/* Writes "file:line:column: text" (parts that are known) as a C string, at most n bytes with the NUL.
 * Returns `out`. */
const char *err_format(const struct err *err, char *out, size_t n);
/* -ENOMEM with the standard text. */
int err_nomem(struct err *err);

/* Programming errors: stays on in release builds, prints the place and aborts. Never for outside input. */
#define check(cond)             (SP_LIKELY(cond) ? (void)0 : check_failed(__FILE__, __LINE__, #cond))
#define check_unreachable(what) check_failed(__FILE__, __LINE__, what)
_Noreturn void check_failed(const char *file, int line, const char *what);
/* Costly walks: debug builds only. */
#ifdef SP_DEBUG
#define check_slow(cond) check(cond)
#else
#define check_slow(cond) ((void)sizeof(cond))
#endif

/* The analyzer sees one file at a time: that no error is 0 has to be told. */
#ifdef __clang_analyzer__
#define err_set(err, code, ...)         ((void)err_set(err, code, __VA_ARGS__), (code))
#define err_context(err, ...)           ((void)err_context(err, __VA_ARGS__), -1)
#define err_at(err, file, line, column) ((void)err_at(err, file, line, column), -1)
#define err_nomem(err)                  ((void)err_nomem(err), -1)
#endif
