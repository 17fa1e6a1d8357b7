// SPDX-License-Identifier: Apache-2.0
#include "daemon/decisions.h"

#include "base/mem.h"

int decisions_init(struct decisions *d, struct err *err)
{
    *d = (struct decisions){.first = 1, .next = 1};
    d->p = mem_calloc(DECISIONS_MAX, sizeof *d->p);
    d->bytes = mem_alloc(DECISIONS_BYTES);
    if (!d->p || !d->bytes) {
        decisions_done(d);
        return err_nomem(err);
    }
    /* Touched now: the process is as large at its start as after a day, and what does not fit shows at once. */
    memset(d->bytes, 0xff, DECISIONS_BYTES);
    memset(d->p, 0, DECISIONS_MAX * sizeof *d->p);
    return 0;
}

void decisions_done(struct decisions *d)
{
    mem_free(d->p);
    mem_free(d->bytes);
    *d = (struct decisions){0};
}

struct decision_record *decisions_get(struct decisions *d, uint64_t seq)
{
    return seq >= d->first && seq < d->next ? &d->p[seq % DECISIONS_MAX] : NULL;
}

const struct decision_record *decisions_find(const struct decisions *d, struct str ns,
                                             struct str name)
{
    for (uint64_t seq = d->next; seq > d->first; seq--) {
        const struct decision_record *r = &d->p[(seq - 1) % DECISIONS_MAX];
        if (str_eq(r->ns, ns) && str_eq(r->name, name)) {
            return r;
        }
    }
    return NULL;
}

static void evict(struct decisions *d, size_t from, size_t to)
{
    while (d->first < d->next) {
        const struct decision_record *r = &d->p[d->first % DECISIONS_MAX];
        bool overlaps = r->size > 0 && r->at < to && from < r->at + r->size;
        if (!overlaps && d->next - d->first < DECISIONS_MAX) {
            return;
        }
        d->first++;
    }
}

static char *room(struct decisions *d, size_t n)
{
    if (d->w + n > DECISIONS_BYTES) {
        evict(d, d->w, DECISIONS_BYTES);
        d->w = 0;
    }
    evict(d, d->w, d->w + n);
    char *p = d->bytes + d->w;
    d->w += (n + 15) & ~(size_t)15;
    return p;
}

static struct str keep(char **p, struct str s)
{
    struct str ret = {*p, s.n};
    if (s.n > 0) {
        memcpy(*p, s.p, s.n);
        *p += s.n;
    }
    return ret;
}

static const node_ix *keep_nodes(char **p, const node_ix *nodes, uint32_t n)
{
    node_ix *ret = (node_ix *)(void *)*p;
    if (n > 0) {
        memcpy(*p, nodes, n * sizeof *nodes);
        *p += n * sizeof *nodes;
    }
    return ret;
}

void decisions_add(struct decisions *d, const struct decision_record *r)
{
    check(r->seq == d->next);
    struct decision_record k = *r;
    if (k.pod_json.n > DECISION_POD_MAX) {
        k.pod_json = STR_NONE;
    }
    if (k.unknown.n > DECISION_POD_MAX) {
        k.unknown = STR_NONE;
    }
    if (k.n_nodes > DECISION_POD_MAX) {
        k.n_nodes = 0;
    }
    k.has_pod = k.pod_json.n > 0;
    k.size = (size_t)(k.n_nodes + k.n_last) * sizeof *k.nodes + k.ns.n + k.name.n + k.pod_json.n +
             k.chosen.n + k.runner_up.n + k.unknown.n;
    char *p = room(d, k.size);
    k.at = (size_t)(p - d->bytes);
    k.nodes = keep_nodes(&p, k.nodes, k.n_nodes);
    k.last = keep_nodes(&p, k.last, k.n_last);
    k.ns = keep(&p, k.ns);
    k.name = keep(&p, k.name);
    k.pod_json = keep(&p, k.pod_json);
    k.chosen = keep(&p, k.chosen);
    k.runner_up = keep(&p, k.runner_up);
    k.unknown = keep(&p, k.unknown);
    d->p[d->next % DECISIONS_MAX] = k;
    d->next++;
}

static void blank(const node_ix *nodes, uint32_t n, node_ix node)
{
    node_ix *p = (node_ix *)(uintptr_t)nodes; /* our own bytes */
    for (uint32_t i = 0; i < n; i++) {
        p[i] = p[i].v == node.v ? NODE_NONE : p[i];
    }
}

void decisions_forget_node(struct decisions *d, node_ix node, bool whole)
{
    for (uint64_t seq = d->first; seq < d->next; seq++) {
        const struct decision_record *r = &d->p[seq % DECISIONS_MAX];
        if (r->whole == whole) {
            blank(r->nodes, r->n_nodes, node);
            blank(r->last, r->n_last, node);
        }
    }
}
