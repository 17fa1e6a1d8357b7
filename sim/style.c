/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/style.h"

#include <stdlib.h>

bool style_utf8_locale(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < SP_COUNTOF(names); i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != '\0') {
            const char *dot = strchr(value, '.');
            struct str set = str_c(dot != NULL ? dot + 1 : "");
            return str_eq_nocase(set, STR("utf-8")) || str_eq_nocase(set, STR("utf8"));
        }
    }
    return false;
}

static void put_clean(struct buf *out, struct str text)
{
    size_t len;
    for (size_t i = 0; i < text.n; i += len) {
        bool fit = str_printable((struct str){text.p + i, text.n - i}, &len);
        buf_put(out, fit ? text.p + i : "?", fit ? len : 1);
    }
}

void style_put(struct buf *out, const struct style *s, enum style_ink ink, struct str text)
{
    static const char *const codes[] = {"",         "\033[1m",  "\033[2m", "\033[32m",
                                        "\033[31m", "\033[33m", "\033[36m"};
    bool dressed = s->color && ink != INK_PLAIN && text.n > 0;
    buf_lit(out, dressed ? codes[ink] : "");
    put_clean(out, text);
    buf_lit(out, dressed ? "\033[0m" : "");
}

void style_lit(struct buf *out, const struct style *s, enum style_ink ink, const char *text)
{
    style_put(out, s, ink, str_c(text));
}

size_t style_columns(struct str text)
{
    if (!str_utf8_ok(text)) {
        return text.n;
    }
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        n += ((unsigned char)text.p[i] & 0xc0) != 0x80;
    }
    return n;
}

static void put_spaces(struct buf *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_char(out, ' ');
    }
}

/* The last `width` columns of a text that is too long. */
static struct str cut_front(struct str text, size_t width, bool *ret_cut)
{
    size_t columns = style_columns(text);
    *ret_cut = columns > width && width > 3;
    if (!*ret_cut) {
        return text;
    }
    size_t drop = columns - (width - 3);
    while (drop > 0 && text.n > 0) {
        do {
            text.p++;
            text.n--;
        } while (text.n > 0 && ((unsigned char)text.p[0] & 0xc0) == 0x80);
        drop--;
    }
    return text;
}

static void put_cell(struct buf *out, const struct style *s, enum style_ink ink, struct str text,
                     size_t width, bool right)
{
    bool cut;
    struct str shown = cut_front(text, width, &cut);
    size_t columns = style_columns(shown) + (cut ? 3 : 0),
           pad = columns < width ? width - columns : 0;
    put_spaces(out, right ? pad : 0);
    buf_lit(out, cut ? "..." : "");
    style_put(out, s, ink, shown);
    put_spaces(out, right ? 0 : pad);
}

void style_left(struct buf *out, const struct style *s, enum style_ink ink, struct str text,
                size_t width)
{
    put_cell(out, s, ink, text, width, false);
}

void style_right(struct buf *out, const struct style *s, enum style_ink ink, struct str text,
                 size_t width)
{
    put_cell(out, s, ink, text, width, true);
}

void style_rule(struct buf *out, const struct style *s, size_t width)
{
    buf_lit(out, s->color ? "\033[2m" : "");
    for (size_t i = 0; i < width; i++) {
        buf_lit(out, s->utf8 ? "\xe2\x94\x80" : "-");
    }
    buf_lit(out, s->color ? "\033[0m\n" : "\n");
}

void style_bar(struct buf *out, const struct style *s, double share, size_t width)
{
    double clamped = share > 1 ? 1 : share > 0 ? share : 0;
    size_t full = (size_t)(clamped * (double)width + 0.5);
    for (size_t i = 0; i < width; i++) {
        buf_lit(out, i < full ? (s->utf8 ? "\xe2\x96\x88" : "#") : (s->utf8 ? "\xc2\xb7" : "."));
    }
}

void style_wrap(struct buf *out, const struct style *s, enum style_ink ink, struct str text,
                size_t indent, size_t width)
{
    size_t column = 0;
    while (text.n > 0) {
        struct str word = str_cut(&text, ' ');
        size_t n = style_columns(word);
        if (n == 0) {
            continue;
        }
        if (column > 0 && column + 1 + n > width) {
            buf_char(out, '\n');
            column = 0;
        }
        if (column == 0) {
            put_spaces(out, indent);
            column = indent;
        } else {
            buf_char(out, ' ');
            column++;
        }
        style_put(out, s, ink, word);
        column += n;
    }
    buf_lit(out, column > 0 ? "\n" : "");
}
