/* The error value. See err.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#ifdef __clang_analyzer__ /* the definitions themselves */
#undef err_set
#undef err_context
#undef err_at
#undef err_nomem
#endif

/* Cuts a half multi-byte character off the end; what may not reach a log or a terminal becomes a question mark. */
static void clean_text(char *text, bool was_cut)
{
    size_t n = strlen(text);
    if (was_cut) {
        size_t lead = n;
        while (lead > 0 && n - lead < 3 && ((unsigned char)text[lead - 1] & 0xc0u) == 0x80u) {
            lead--;
        }
        if (lead > 0 && (unsigned char)text[lead - 1] >= 0xc0u) {
            unsigned char c = (unsigned char)text[lead - 1];
            size_t want = c >= 0xf0u ? 4 : c >= 0xe0u ? 3 : 2;
            if (n - (lead - 1) < want) {
                text[lead - 1] = '\0';
            }
        }
    }
    size_t from = 0, to = 0, len;
    for (n = strlen(text); from < n; from += len) {
        if (str_printable((struct str){text + from, n - from}, &len)) {
            memmove(text + to, text + from, len);
            to += len;
        } else {
            text[to++] = '?';
        }
    }
    text[to] = '\0';
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
    va_list args;
    *err = ERR_NONE;
    err->code = code;
    va_start(args, fmt);
    int n = vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    clean_text(err->text, n >= (int)sizeof err->text);
    return code;
}

int err_context(struct err *err, const char *fmt, ...)
{
    char front[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(front, sizeof front - 2, fmt, args);
    va_end(args);
    if (n < 0) {
        return err->code;
    }
    clean_text(front, n >= (int)sizeof front - 2);
    size_t front_n = strlen(front);
    size_t old_n = strlen(err->text);
    if (old_n > 0) {
        memcpy(front + front_n, ": ", 2);
        front_n += 2;
    }
    size_t keep = sizeof err->text - 1 - front_n;
    bool cut = keep < old_n;
    if (!cut) {
        keep = old_n;
    }
    memmove(err->text + front_n, err->text, keep);
    memcpy(err->text, front, front_n);
    err->text[front_n + keep] = '\0';
    clean_text(err->text, cut);
    return err->code;
}

int err_at(struct err *err, const char *file, uint32_t line, uint32_t column)
{
    if (err->file[0] == '\0' && file != NULL) {
        size_t n = strlen(file);
        if (n < sizeof err->file) {
            memcpy(err->file, file, n + 1);
        } else {
            size_t keep = sizeof err->file - 4;
            memcpy(err->file, "...", 3);
            memcpy(err->file + 3, file + n - keep, keep + 1);
        }
        clean_text(err->file, false);
    }
    if (err->line == 0) {
        err->line = line;
        err->column = column;
    }
    return err->code;
}

const char *err_format(const struct err *err, char *out, size_t n)
{
    char place[224] = "";
    if (n == 0) {
        return out;
    }
    if (err->line > 0 && err->column > 0) {
        (void)snprintf(place, sizeof place, "%s%s%u:%u: ", err->file, err->file[0] ? ":" : "line ",
                       (unsigned)err->line, (unsigned)err->column);
    } else if (err->line > 0) {
        (void)snprintf(place, sizeof place, "%s%s%u: ", err->file, err->file[0] ? ":" : "line ",
                       (unsigned)err->line);
    } else if (err->file[0] != '\0') {
        (void)snprintf(place, sizeof place, "%s: ", err->file);
    }
    int len = snprintf(out, n, "%s%s", place, err->text);
    clean_text(out, len >= (int)n);
    return out;
}

int err_nomem(struct err *err)
{
    return err_set(err, -ENOMEM, "out of memory");
}

_Noreturn void check_failed(const char *file, int line, const char *what)
{
    (void)fprintf(stderr, "%s:%d: check failed: %s\n", file, line, what);
    (void)fflush(stderr);
    abort();
}
