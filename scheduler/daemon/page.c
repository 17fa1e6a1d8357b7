/* The admin port's page: the last decisions, escaped, without scripts.
 * SPDX-License-Identifier: Apache-2.0 */
#include "daemon/admin_json.h"

#include "spawnpoint_version.h"

#define PAGE_ROWS 200

static const char style[] =
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 "
    "1rem;color:#1b1f24;background:#fff}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem "
    ".6rem;border-bottom:1px solid #d8dee4}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}a{color:#0a58ca}"
    "@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}th,td{border-color:#"
    "30363d}a{color:#6ea8fe}}";

static void put_link(struct buf *out, struct str ns, struct str name)
{
    static const char hex[] = "0123456789ABCDEF";
    struct str parts[] = {ns, STR("/"), name};
    buf_lit(out, "<a href=\"/v1/explain?pod=");
    for (size_t k = 0; k < SP_COUNTOF(parts); k++) {
        for (size_t i = 0; i < parts[k].n; i++) {
            unsigned char c = (unsigned char)parts[k].p[i];
            if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                c == '-' || c == '.' || c == '/') {
                buf_char(out, (char)c);
            } else {
                buf_char(out, '%');
                buf_char(out, hex[c >> 4]);
                buf_char(out, hex[c & 15]);
            }
        }
    }
    buf_lit(out, "\">");
    buf_html(out, ns);
    buf_char(out, '/');
    buf_html(out, name);
    buf_lit(out, "</a>");
}

static void put_row(struct buf *out, const struct decision_record *r)
{
    char when[40];
    buf_lit(out, "<tr><td>");
    buf_put(out, when, str_from_time_ms(when, r->wall_ms));
    buf_printf(out, "</td><td>%s</td><td>", admin_verb_name(r->verb));
    put_link(out, r->ns, r->name);
    buf_lit(out, "</td><td>");
    buf_html(out, r->chosen.n > 0 ? r->chosen : STR("none"));
    buf_lit(out, "</td><td>");
    buf_html(out, r->runner_up);
    buf_printf(out, "</td><td class=\"n\">%u / %u</td><td>%s</td><td class=\"n\">%.3f</td></tr>\n",
               r->n_feasible, r->n_asked, admin_result_name(r->result), (double)r->took_ns / 1e6);
}

void page_write(struct state *st, struct buf *out)
{
    buf_lit(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
        "content=\"width=device-width\"><title>Spawnpoint</title><style>");
    buf_lit(out, style);
    buf_lit(out, "</style></head><body><h1>Spawnpoint</h1>\n<p>Version " SPAWNPOINT_VERSION
                 ". <a href=\"/metrics\">metrics</a> <a href=\"/readyz?verbose\">readiness</a> <a "
                 "href=\"/configz\">"
                 "configuration</a> <a href=\"/v1/decisions\">decisions</a> <a "
                 "href=\"/openapi.json\">API</a></p>\n"
                 "<h2>Last decisions</h2>\n");
    (void)state_lock(st, 0);
    const struct decisions *d = &st->decisions;
    if (d->next == d->first) {
        buf_lit(out, "<p>No pod was asked about yet.</p>\n");
    } else {
        buf_lit(out, "<table><thead><tr><th>time</th><th>verb</th><th>pod</th><th>chosen</"
                     "th><th>runner-up</th>"
                     "<th>fit / asked</th><th>result</th><th>ms</th></tr></thead><tbody>\n");
        for (uint64_t seq = d->next, n = 0; seq > d->first && n < PAGE_ROWS; seq--, n++) {
            put_row(out, &d->p[(seq - 1) % DECISIONS_MAX]);
        }
        buf_lit(out, "</tbody></table>\n");
    }
    state_unlock(st);
    buf_lit(out, "</body></html>\n");
}
