/* Replies to kube-scheduler, written directly. See extender.h.
 *
 * Names mostly hold nothing that needs an escape; then they are copied as they are.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "wire/extender.h"

/* Whether a byte of these eight needs care: a control, a quote, a backslash, or not ASCII. The usual word-at-a-time test
 * (Mycroft's haszero, Hacker's Delight 6-1); it may claim too much right behind a true hit, never too little. */
static uint64_t odd_bytes(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t quote = w ^ (ones * '"'), slash = w ^ (ones * '\\'), del = w ^ (ones * 0x7f);
    return (w | (w - ones * 0x20) | (quote - ones) | (slash - ones) | (del - ones)) & tops;
}

static bool is_plain(struct str s)
{
    uint64_t odd = 0, w;
    size_t i = 0;
    for (; i + sizeof w <= s.n; i += sizeof w) {
        memcpy(&w, s.p + i, sizeof w);
        odd |= odd_bytes(w);
    }
    if (i < s.n) {
        w = 0x2020202020202020u;
        memcpy(&w, s.p + i, s.n - i);
        odd |= odd_bytes(w);
    }
    return odd == 0;
}

/* Copies a name with its quotes; `more` bytes behind it are known to fit afterwards when it returns true. */
static bool put_plain(struct buf *out, struct str s, size_t more)
{
    if (SP_UNLIKELY(out->broken || out->cap - out->n < s.n + 2 + more || !is_plain(s))) {
        return false;
    }
    char *p = out->p + out->n;
    p[0] = '"';
    if (s.n > 0) {
        memcpy(p + 1, s.p, s.n);
    }
    p[s.n + 1] = '"';
    out->n += s.n + 2;
    return true;
}

static void put_name(struct buf *out, struct str s)
{
    if (!put_plain(out, s, 0)) {
        buf_json_str(out, s);
    }
}

static struct str name_at(const struct extender_args *args, uint32_t i)
{
    return args->has_names || !args->has_nodes ? args->names[i] : args->nodes[i].meta.name;
}

/* Whether this name was kept before: kube-scheduler would score it twice. The table stands in the request's arena. */
static bool seen_before(const struct extender_args *args, uint32_t i)
{
    struct str name = name_at(args, i);
    uint32_t mask = args->n_slots - 1;
    uint32_t at = (uint32_t)str_hash(name, 0x7370617776616c75u, 0x6e706f696e747321u) & mask;
    while (args->slots[at] != 0) {
        if (str_eq(name_at(args, args->slots[at] - 1), name)) {
            return true;
        }
        at = (at + 1) & mask;
    }
    args->slots[at] = i + 1;
    return false;
}

static void write_rejects(struct buf *out, const struct extender_reject *rejects, uint32_t n,
                          bool unresolvable)
{
    bool any = false;
    for (uint32_t i = 0; i < n; i++) {
        if (rejects[i].unresolvable != unresolvable) {
            continue;
        }
        buf_lit(out, any            ? ","
                     : unresolvable ? ",\"FailedAndUnresolvableNodes\":{"
                                    : ",\"FailedNodes\":{");
        any = true;
        put_name(out, rejects[i].name);
        buf_char(out, ':');
        buf_json_str(out, str_c(rejects[i].reason));
    }
    if (any) {
        buf_char(out, '}');
    }
}

static void write_kept(struct buf *out, const struct extender_args *args, const uint32_t *keep,
                       uint32_t n_keep)
{
    bool first = true, check = n_keep > 1 && args->slots != NULL;
    if (check) {
        memset(args->slots, 0, args->n_slots * sizeof *args->slots);
    }
    for (uint32_t i = 0; i < n_keep; i++) {
        if (check && seen_before(args, keep[i])) {
            continue;
        }
        if (!first) {
            buf_char(out, ',');
        }
        first = false;
        if (args->has_names || !args->has_nodes) {
            put_name(out, args->names[keep[i]]);
        } else {
            buf_str(out, args->nodes_json[keep[i]]);
        }
    }
}

void extender_write_filter(struct buf *out, const struct extender_args *args, const uint32_t *keep,
                           uint32_t n_keep, const struct extender_reject *rejects,
                           uint32_t n_rejects)
{
    if (args->has_names || !args->has_nodes) {
        buf_lit(out, "{\"Nodes\":null,\"NodeNames\":[");
        write_kept(out, args, keep, n_keep);
        buf_char(out, ']');
    } else {
        buf_lit(out, "{\"Nodes\":{\"metadata\":{},\"items\":[");
        write_kept(out, args, keep, n_keep);
        buf_lit(out, "]},\"NodeNames\":null");
    }
    if (rejects != NULL && n_rejects > 0) {
        write_rejects(out, rejects, n_rejects, false);
        write_rejects(out, rejects, n_rejects, true);
    }
    buf_lit(out, ",\"Error\":\"\"}");
}

void extender_write_filter_error(struct buf *out, struct str message)
{
    buf_lit(out, "{\"Nodes\":null,\"NodeNames\":null,\"Error\":");
    buf_json_str(out, message.n > 0 ? message : STR("unknown error"));
    buf_char(out, '}');
}

void extender_write_priorities(struct buf *out, const struct extender_score *scores, uint32_t n)
{
    static const char head[] = ",{\"Host\":", tail[] = ",\"Score\":";
    buf_char(out, '[');
    for (uint32_t i = 0; i < n; i++) {
        buf_put(out, i > 0 ? head : head + 1, i > 0 ? sizeof head - 1 : sizeof head - 2);
        bool short_form = scores[i].score >= 0 && scores[i].score <= 9;
        if (short_form && put_plain(out, scores[i].host, sizeof tail + 2)) {
            char *p = out->p + out->n;
            memcpy(p, tail, sizeof tail - 1);
            p[sizeof tail - 1] = (char)('0' + scores[i].score);
            p[sizeof tail] = '}';
            out->n += sizeof tail + 1;
            continue;
        }
        put_name(out, scores[i].host);
        buf_put(out, tail, sizeof tail - 1);
        buf_i64(out, scores[i].score);
        buf_char(out, '}');
    }
    buf_char(out, ']');
}
