// SPDX-License-Identifier: Apache-2.0
#include "daemon/routes_extender.h"

#include <errno.h>

#include "daemon/decide_filter.h"
#include "daemon/log.h"

int routes_extender_route(void *state, struct http_exchange *x)
{
    static const struct {
        const char *path;
        enum metric_verb verb;
        bool served;
    } routes[] = {
        {"/filter", VERB_FILTER, true},
        {"/prioritize", VERB_PRIORITIZE, true},
        {"/preempt", VERB_PREEMPT, false},
        {"/bind", VERB_BIND, false},
    };
    (void)state;
    x->verb = VERB_OTHER;
    for (size_t i = 0; i < SP_COUNTOF(routes); i++) {
        if (strcmp(x->path, routes[i].path) == 0) {
            x->verb = (int)routes[i].verb;
            x->allow = "POST";
            if (!routes[i].served) {
                return 404;
            }
            return x->method == HTTP_POST ? 0 : 405;
        }
    }
    return 404;
}

static void refuse(struct http_exchange *x, const struct err *err)
{
    if (err->code == -ENOMEM) {
        http_error(x, 503, "out of memory, try again");
        return;
    }
    char text[ERR_TEXT_MAX + 256];
    http_error(x, 400, "%s", err_format(err, text, sizeof text));
}

void routes_extender_handle(void *state, struct http_exchange *x)
{
    struct state *st = state;
    struct extender_args args = {0};
    struct decided decided;
    struct err err = ERR_NONE;
    if (extender_decode_args(x->body, x->arena, &args, &err) != 0) {
        refuse(x, &err);
        return;
    }
    if (!args.has_names && !args.has_nodes) {
        http_error(x, 400, "neither NodeNames nor Nodes is given");
        return;
    }
    if (decide_request(st, &args, (enum metric_verb)x->verb, x->arena, &decided, &err) != 0) {
        refuse(x, &err);
        return;
    }
    if (x->verb == VERB_PRIORITIZE) {
        extender_write_priorities(x->reply, decided.scores, decided.n_scores);
        return;
    }
    /* A reply must stand in memory before its first byte: whole nodes go back as large as they came. */
    extender_write_filter(x->reply, &args, decided.keep, decided.n_keep, decided.rejects,
                          decided.n_rejects);
}
