/* The scanner against jansson as the judge: the same bytes are valid to both or to neither.
 *
 * Where they differ on purpose: jansson takes a NUL byte behind the value for the end of the text (RFC 8259 does not: we
 * refuse); it refuses NUL in keys, lone surrogates (we read U+FFFD, as Go does), numbers that do not fit its types,
 * and nests 2048 deep (we LIMIT_DEPTH).
 * SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "wire/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool walk(struct scan *s, struct arena *a)
{
    bool first = true, escaped;
    struct str v, key;
    switch (scan_peek(s)) {
    case SCAN_OBJECT:
        if (!scan_object_begin(s)) {
            return false;
        }
        while (scan_member(s, &first, &key, &escaped)) {
            if ((escaped && !scan_unescape(s, key, a, &v)) || !walk(s, a)) {
                return false;
            }
        }
        return s->error == NULL;
    case SCAN_ARRAY:
        if (!scan_array_begin(s)) {
            return false;
        }
        while (scan_item(s, &first)) {
            if (!walk(s, a)) {
                return false;
            }
        }
        return s->error == NULL;
    case SCAN_STRING:
        return scan_string(s, a, &v) && (str_utf8_ok(v) || (abort(), false));
    case SCAN_NUMBER:
        return scan_number_raw(s, &v);
    default:
        return scan_skip(s, NULL);
    }
}

/* Differences that are meant. */
static bool excused(const json_error_t *e, const struct scan *s, bool ours)
{
    if (ours) {
        return strstr(e->text, "surrogate") || strstr(e->text, "Unicode") ||
               strstr(e->text, "overflow") || strstr(e->text, "too big") ||
               strstr(e->text, "too small") || strstr(e->text, "out of memory") ||
               strstr(e->text, "NUL byte in object key");
    }
    bool nul = s->error_at != NULL && s->error_at < s->end && *s->error_at == 0;
    return s->error != NULL && (nul || strcmp(s->error, "nested too deeply") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scan skip, full;
    struct arena a;
    json_error_t e = {0};
    struct str bytes = {(const char *)data, size};
    scan_init(&skip, bytes);
    bool ours = scan_skip(&skip, NULL) && scan_end(&skip);
    arena_init(&a, LIMIT_ITEM_ARENA);
    scan_init(&full, bytes);
    full.allow_nul = true;
    bool walked = walk(&full, &a) && scan_end(&full);
    if (walked != ours) {
        abort();
    }
    arena_done(&a);
    json_t *tree = json_loadb(bytes.p, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    if ((tree != NULL) != ours && !excused(&e, &skip, ours)) {
        abort();
    }
    json_decref(tree);
    return 0;
}
