/* Descriptions as text. See desc_dump.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support/desc_dump.h"

static void text(struct buf *o, const char *key, struct str s)
{
    if (s.n > 0) {
        buf_printf(o, "%s ", key);
        buf_json_str(o, s);
        buf_char(o, '\n');
    }
}

static void number(struct buf *o, const char *key, int64_t v)
{
    if (v != 0) {
        buf_printf(o, "%s %lld\n", key, (long long)v);
    }
}

static void kvs(struct buf *o, const char *key, kv_list l)
{
    for (uint32_t i = 0; i < l.n; i++) {
        buf_printf(o, "%s ", key);
        buf_json_str(o, l.p[i].key);
        buf_lit(o, " = ");
        buf_json_str(o, l.p[i].val);
        buf_char(o, '\n');
    }
}

static void qtys(struct buf *o, const char *key, qty_list l)
{
    for (uint32_t i = 0; i < l.n; i++) {
        buf_printf(o, "%s %.*s %lld milli\n", key, STR_ARG(l.p[i].name),
                   (long long)quantity_milli(l.p[i].value));
    }
}

static void exprs(struct buf *o, const char *key, expr_list l)
{
    for (uint32_t i = 0; i < l.n; i++) {
        buf_printf(o, "%s %.*s %.*s", key, STR_ARG(l.p[i].key), STR_ARG(l.p[i].op));
        for (uint32_t k = 0; k < l.p[i].values.n; k++) {
            buf_char(o, ' ');
            buf_json_str(o, l.p[i].values.p[k]);
        }
        buf_char(o, '\n');
    }
}

static void selector(struct buf *o, const char *key, const struct selector_desc *s)
{
    buf_printf(o, "%s %s\n", key, s->given ? "given" : "nil");
    kvs(o, "    label", s->match_labels);
    exprs(o, "    expr", s->match_expressions);
}

static void meta(struct buf *o, const struct meta_desc *m)
{
    text(o, "name", m->name);
    text(o, "namespace", m->ns);
    text(o, "uid", m->uid);
    text(o, "generateName", m->generate_name);
    text(o, "resourceVersion", m->resource_version);
    number(o, "created", m->created_ms);
    number(o, "deleting", m->deleting);
    kvs(o, "label", m->labels);
    kvs(o, "annotation", m->annotations);
    for (uint32_t i = 0; i < m->owners.n; i++) {
        const struct owner_desc *w = &m->owners.p[i];
        buf_printf(o, "owner %.*s %.*s %.*s %.*s%s\n", STR_ARG(w->api_version), STR_ARG(w->kind),
                   STR_ARG(w->name), STR_ARG(w->uid), w->controller ? " controller" : "");
    }
}

static const char *const effects[] = {"", "NoSchedule", "PreferNoSchedule", "NoExecute", "?"};

void desc_dump_node(struct buf *o, const struct node_desc *n)
{
    meta(o, &n->meta);
    number(o, "unschedulable", n->unschedulable);
    text(o, "providerID", n->provider_id);
    for (uint32_t i = 0; i < n->taints.n; i++) {
        buf_printf(o, "taint %.*s=%.*s:%s\n", STR_ARG(n->taints.p[i].key),
                   STR_ARG(n->taints.p[i].val), effects[n->taints.p[i].effect]);
    }
    qtys(o, "allocatable", n->allocatable);
    qtys(o, "capacity", n->capacity);
    for (uint32_t i = 0; i < n->images.n; i++) {
        buf_printf(o, "image %.*s %lld\n", STR_ARG(n->images.p[i].name),
                   (long long)n->images.p[i].size_bytes);
    }
    for (uint32_t i = 0; i < n->conditions.n; i++) {
        const struct condition_desc *c = &n->conditions.p[i];
        buf_printf(o, "condition %.*s %.*s %.*s\n", STR_ARG(c->type), STR_ARG(c->status),
                   STR_ARG(c->reason));
    }
}

static void node_terms(struct buf *o, const char *key, node_term_list l)
{
    for (uint32_t i = 0; i < l.n; i++) {
        buf_printf(o, "%s weight %d\n", key, l.p[i].weight);
        exprs(o, "    expr", l.p[i].match_expressions);
        exprs(o, "    field", l.p[i].match_fields);
    }
}

static void pod_terms(struct buf *o, const char *key, pod_term_list l)
{
    for (uint32_t i = 0; i < l.n; i++) {
        const struct pod_term_desc *t = &l.p[i];
        buf_printf(o, "%s weight %d topology %.*s\n", key, t->weight, STR_ARG(t->topology_key));
        selector(o, "  selector", &t->selector);
        selector(o, "  namespaceSelector", &t->ns_selector);
        for (uint32_t k = 0; k < t->namespaces.n; k++) {
            text(o, "    namespace", t->namespaces.p[k]);
        }
    }
}

static void container(struct buf *o, const struct container_desc *c)
{
    buf_printf(o, "container %.*s image %.*s%s%s\n", STR_ARG(c->name), STR_ARG(c->image),
               c->init ? " init" : "", c->sidecar ? " sidecar" : "");
    qtys(o, "  request", c->requests);
    qtys(o, "  limit", c->limits);
    qtys(o, "  actuated", c->status_requests);
    qtys(o, "  allocated", c->status_allocated);
    for (uint32_t i = 0; i < c->ports.n; i++) {
        const struct port_desc *p = &c->ports.p[i];
        buf_printf(o, "  port %.*s %d host %.*s:%d\n", STR_ARG(p->protocol), p->container_port,
                   STR_ARG(p->host_ip), p->host_port);
    }
}

static void spread(struct buf *o, const struct spread_desc *s)
{
    buf_printf(o, "spread %.*s maxSkew %d minDomains %d%s%s%s\n", STR_ARG(s->topology_key),
               s->max_skew, s->min_domains, s->hard ? " hard" : " soft",
               s->affinity_ignore ? " affinity-ignored" : "",
               s->taints_honor ? " taints-honoured" : "");
    selector(o, "  selector", &s->selector);
    for (uint32_t k = 0; k < s->match_label_keys.n; k++) {
        text(o, "  matchLabelKey", s->match_label_keys.p[k]);
    }
}

static void pod_spec(struct buf *o, const struct pod_desc *p)
{
    static const char *const ops[] = {"Equal", "Exists", "Lt", "Gt", "?"};
    text(o, "node", p->node_name);
    text(o, "nominated", p->nominated_node);
    text(o, "scheduler", p->scheduler_name);
    text(o, "priorityClass", p->priority_class);
    if (p->has_priority) {
        buf_printf(o, "priority %d\n", p->priority);
    }
    number(o, "preemption", p->preemption);
    number(o, "hostNetwork", p->host_network);
    number(o, "gated", p->gated);
    number(o, "grace", p->grace_seconds);
    number(o, "claims", p->n_resource_claims);
    kvs(o, "nodeSelector", p->node_selector);
    node_terms(o, "nodeRequired", p->node_required);
    node_terms(o, "nodePreferred", p->node_preferred);
    pod_terms(o, "affinityRequired", p->affinity_required);
    pod_terms(o, "affinityPreferred", p->affinity_preferred);
    pod_terms(o, "antiRequired", p->anti_required);
    pod_terms(o, "antiPreferred", p->anti_preferred);
    for (uint32_t i = 0; i < p->tolerations.n; i++) {
        const struct toleration_desc *t = &p->tolerations.p[i];
        buf_printf(o, "toleration %.*s %s %.*s:%s\n", STR_ARG(t->key), ops[t->op], STR_ARG(t->val),
                   effects[t->effect]);
    }
    for (uint32_t i = 0; i < p->spread.n; i++) {
        spread(o, &p->spread.p[i]);
    }
}

void desc_dump_pod(struct buf *o, const struct pod_desc *p)
{
    static const char *const phases[] = {"Unknown", "Pending", "Running", "Succeeded", "Failed"};
    meta(o, &p->meta);
    pod_spec(o, p);
    for (uint32_t i = 0; i < p->containers.n; i++) {
        container(o, &p->containers.p[i]);
    }
    qtys(o, "podRequest", p->pod_requests);
    qtys(o, "overhead", p->overhead);
    for (uint32_t i = 0; i < p->volumes.n; i++) {
        const struct volume_desc *v = &p->volumes.p[i];
        buf_printf(o, "volume %.*s claim %.*s%s image %.*s %.*s %.*s%s\n", STR_ARG(v->name),
                   STR_ARG(v->claim), v->ephemeral ? " ephemeral" : "", STR_ARG(v->image),
                   STR_ARG(v->inline_kind), STR_ARG(v->inline_id),
                   v->read_only ? " read-only" : "");
    }
    buf_printf(o, "phase %s%s%s\n", phases[p->phase], p->ready ? " ready" : "",
               p->resize_infeasible ? " resize-infeasible" : "");
    number(o, "start", p->start_ms);
}
