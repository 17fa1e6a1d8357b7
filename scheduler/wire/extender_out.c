/* Replies to kube-scheduler, written directly. See extender.h.
 *
 * Names mostly hold nothing that needs an escape; then they are copied as they are.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "wire/extender.h"

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\') {
            return false;
        }
    }
    return true;
}

static void put_name(struct buf *out, struct str s)
{
    if (SP_LIKELY(is_plain(s) && out->cap - out->n > s.n + 2 && !out->broken)) {
        char *p = out->p + out->n;
        p[0] = '"';
        if (s.n > 0) {
            memcpy(p + 1, s.p, s.n);
        }
        p[s.n + 1] = '"';
        out->n += s.n + 2;
    } else {
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

static void write_rejects(struct buf *out, const struct extender_reject *rejects, uint32_t n, bool unresolvable)
{
    bool any = false;
    for (uint32_t i = 0; i < n; i++) {
        if (rejects[i].unresolvable != unresolvable) {
            continue;
        }
        buf_lit(out, any ? "," : unresolvable ? ",\"FailedAndUnresolvableNodes\":{" : ",\"FailedNodes\":{");
        any = true;
        put_name(out, rejects[i].name);
        buf_char(out, ':');
        buf_json_str(out, str_c(rejects[i].reason));
    }
    if (any) {
        buf_char(out, '}');
    }
}

static void write_kept(struct buf *out, const struct extender_args *args, const uint32_t *keep, uint32_t n_keep)
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

void extender_write_filter(struct buf *out, const struct extender_args *args, const uint32_t *keep, uint32_t n_keep,
                           const struct extender_reject *rejects, uint32_t n_rejects)
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
    buf_char(out, '[');
    for (uint32_t i = 0; i < n; i++) {
        buf_lit(out, i > 0 ? ",{\"Host\":" : "{\"Host\":");
        put_name(out, scores[i].host);
        buf_lit(out, ",\"Score\":");
        buf_i64(out, scores[i].score);
        buf_char(out, '}');
    }
    buf_char(out, ']');
}
