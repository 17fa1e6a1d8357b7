/* How text for people is dressed: colour when wanted, line and block characters when the locale is UTF-8, and untrusted text
 * without control bytes. Meaning never hangs on colour alone.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buf.h"

struct style {
    bool color, utf8;
};
enum style_ink { INK_PLAIN = 0, INK_BOLD, INK_DIM, INK_GREEN, INK_RED, INK_YELLOW, INK_CYAN };

/* Whether LC_ALL, LC_CTYPE or LANG (the first that is set) names UTF-8. */
bool style_utf8_locale(void);
/* Text in `ink`, control bytes as '?'. */
void style_put(struct buf *out, const struct style *s, enum style_ink ink, struct str text);
void style_lit(struct buf *out, const struct style *s, enum style_ink ink, const char *text);
/* Text in a column of `width`: to the left, or to the right edge. Longer text loses its front ("..." stands for it). */
void style_left(struct buf *out, const struct style *s, enum style_ink ink, struct str text,
                size_t width);
void style_right(struct buf *out, const struct style *s, enum style_ink ink, struct str text,
                 size_t width);
void style_rule(struct buf *out, const struct style *s, size_t width); /* a line and a line end */
void style_bar(struct buf *out, const struct style *s, double share, size_t width); /* share 0..1 */
/* Words wrapped at `width`, every line behind `indent` spaces. */
void style_wrap(struct buf *out, const struct style *s, enum style_ink ink, struct str text,
                size_t indent, size_t width);
/* Characters, not bytes. */
size_t style_columns(struct str text);
