// SPDX-License-Identifier: Apache-2.0
//
// GPUs: what a fleet asks of them, how much of them a placement makes unusable for what is typically asked (the
// fragmentation gradient of FGD, USENIX ATC'23), and CPU-only pods kept off GPU nodes. docs/policies/gpu.md
#include "model/conventions.h"
#include "policies/fleet_rules.h"
#include "policies/row_watch.h"

/* The mix of typical requests holds this many shapes, the most frequent first. */
#define MIX_MAX         16
#define WHOLE_GPU_MILLI 1000
/* A whole GPU is cut into at most seven slices (NVIDIA's MIG user guide). */
#define MIG_SLICES      7

struct shape { /* one typical request */
    res_ix res;
    int64_t amount, cpu, mem;
    uint64_t refs; /* pods that ask so */
};
struct gpu_class {
    struct arena *arena;
    uint32_t seen_classes, seen_res;
    uint32_t *asking; /* classes with CLASS_GPU, ascending */
    uint32_t n_asking, cap_asking;
    uint32_t *accelerators; /* resources, ascending */
    int64_t *milli;         /* of a GPU per unit, by position in accelerators */
    uint32_t n_acc, cap_acc, cap_milli;
};
struct gpu_state {
    const struct gpu_class *k;
    struct shape mix[MIX_MAX];
    uint32_t n_mix;
    uint64_t mix_refs;
    int64_t cpu, mem; /* what this class takes */
    bool asks, keep_off;
};

static int gpu_class_begin(struct policy_ctx *ctx, struct arena *arena, void **ret, struct err *err)
{
    (void)ctx;
    struct gpu_class *k = arena_calloc(arena, 1, sizeof *k);
    if (!k) {
        return err_nomem(err);
    }
    k->arena = arena;
    *ret = k;
    return 0;
}

/* "nvidia.com/mig-2g.10gb" or "nvidia.com/mig2g.10gb": two sevenths of a GPU; anything else: a whole one. */
static int64_t milli_per_unit(struct str name)
{
    for (size_t i = 0; i + 4 < name.n; i++) {
        if (memcmp(name.p + i, "mig", 3) == 0) {
            size_t at = i + 3 + (name.p[i + 3] == '-');
            bool cut =
                at + 1 < name.n && name.p[at] >= '1' && name.p[at] <= '7' && name.p[at + 1] == 'g';
            return cut ? WHOLE_GPU_MILLI * (name.p[at] - '0') / MIG_SLICES : WHOLE_GPU_MILLI;
        }
    }
    return WHOLE_GPU_MILLI;
}

/* Resources and classes are only ever added, so each is looked at once. */
static int gpu_sync(const struct policy_ctx *ctx, struct gpu_class *k)
{
    const struct cluster *c = ctx->c;
    for (; k->seen_res < c->n_res; k->seen_res++) {
        struct str name = sym_str(c->syms, c->res_name[k->seen_res]);
        if (!conventions_is_accelerator(name)) {
            continue;
        }
        if (row_array_grow(k->arena, &k->accelerators, &k->cap_acc, k->n_acc + 1,
                           sizeof *k->accelerators) ||
            row_array_grow(k->arena, &k->milli, &k->cap_milli, k->n_acc + 1, sizeof *k->milli)) {
            return -1;
        }
        k->accelerators[k->n_acc] = k->seen_res;
        k->milli[k->n_acc++] = milli_per_unit(name);
    }
    for (; k->seen_classes < c->n_classes; k->seen_classes++) {
        if (c->classes[k->seen_classes]->flags & CLASS_GPU) {
            if (row_array_grow(k->arena, &k->asking, &k->cap_asking, k->n_asking + 1,
                               sizeof *k->asking)) {
                return -1;
            }
            k->asking[k->n_asking++] = k->seen_classes;
        }
    }
    return 0;
}

static int64_t need_of(const struct pod_class *cls, res_ix res)
{
    for (uint32_t i = 0; i < cls->n_needs; i++) {
        if (cls->needs[i].res.v == res.v) {
            return cls->needs[i].amount;
        }
    }
    return 0;
}

/* Whether a comes before b: the more frequent, then the larger; by content, so that no order of input shows. */
static bool shape_before(const struct shape *a, const struct shape *b)
{
    if (a->refs != b->refs) {
        return a->refs > b->refs;
    }
    if (a->amount != b->amount) {
        return a->amount > b->amount;
    }
    return a->cpu != b->cpu ? a->cpu > b->cpu : a->mem > b->mem;
}

/* Keeps the MIX_MAX most frequent shapes, in order. */
static void mix_add(struct gpu_state *st, struct shape s)
{
    for (uint32_t i = 0; i < st->n_mix; i++) {
        struct shape *m = &st->mix[i];
        if (m->res.v == s.res.v && m->amount == s.amount && m->cpu == s.cpu && m->mem == s.mem) {
            s.refs += m->refs; /* equal templates: taken out and put back at its new place */
            memmove(m, m + 1, (st->n_mix - i - 1) * sizeof *m);
            st->n_mix--;
            break;
        }
    }
    uint32_t at = st->n_mix;
    while (at > 0 && shape_before(&s, &st->mix[at - 1])) {
        at--;
    }
    if (at >= MIX_MAX) {
        return;
    }
    uint32_t last = st->n_mix < MIX_MAX ? st->n_mix : MIX_MAX - 1;
    memmove(&st->mix[at + 1], &st->mix[at], (last - at) * sizeof s);
    st->mix[at] = s;
    st->n_mix = last + 1;
}

/* What is typically asked: the GPU requests of the pods in the cluster and of this one. */
static void make_mix(const struct policy_ctx *ctx, struct gpu_state *st)
{
    const struct gpu_class *k = st->k;
    for (uint32_t a = 0; a < k->n_asking; a++) {
        const struct pod_class *cls = ctx->c->classes[k->asking[a]];
        uint64_t refs = cls->refs + (cls->ix.v == ctx->cls->ix.v);
        if (refs == 0) {
            continue;
        }
        for (uint32_t i = 0; i < k->n_acc; i++) {
            res_ix res = {k->accelerators[i]};
            int64_t amount = need_of(cls, res);
            if (amount > 0) {
                mix_add(st, (struct shape){res, amount, need_of(cls, (res_ix){RES_CPU}),
                                           need_of(cls, (res_ix){RES_MEMORY}), refs});
            }
        }
    }
    for (uint32_t i = 0; i < st->n_mix; i++) {
        st->mix_refs += st->mix[i].refs;
    }
}

static int gpu_prepare(struct policy_ctx *ctx, struct err *err)
{
    struct gpu_class *k = ctx->class_state;
    if (ctx->cls->flags & (CLASS_DAEMON | CLASS_MIRROR)) {
        return POLICY_SKIP;
    }
    if (gpu_sync(ctx, k) != 0) {
        return err_nomem(err);
    }
    if (k->n_acc == 0 && !(ctx->cls->flags & (CLASS_GPU | CLASS_DRA))) {
        return POLICY_SKIP; /* no accelerator anywhere */
    }
    struct gpu_state *st = arena_calloc(ctx->scratch, 1, sizeof *st);
    if (!st) {
        return err_nomem(err);
    }
    st->k = k;
    st->asks = (ctx->cls->flags & CLASS_GPU) != 0;
    st->keep_off = !st->asks && !(ctx->cls->flags & CLASS_DRA);
    st->cpu = need_of(ctx->cls, (res_ix){RES_CPU});
    st->mem = need_of(ctx->cls, (res_ix){RES_MEMORY});
    make_mix(ctx, st);
    ctx->state = st;
    return 0;
}

/* The node's product without what sharing and MIG hang on to it. */
static struct str bare_product(struct str s)
{
    static const char *const tails[] = {"-SHARED", "-MIG-"};
    for (size_t t = 0; t < SP_COUNTOF(tails); t++) {
        struct str tail = str_c(tails[t]);
        for (size_t i = 0; i + tail.n <= s.n; i++) {
            if (memcmp(s.p + i, tail.p, tail.n) == 0) {
                s.n = i;
            }
        }
    }
    return s;
}

/* "A100" names "NVIDIA-A100-SXM4-40GB": equal without case, or whole parts between dashes. */
static bool product_matches(struct str product, struct str want)
{
    struct str p = bare_product(product);
    for (size_t i = 0; want.n > 0 && i + want.n <= p.n; i++) {
        bool starts = i == 0 || p.p[i - 1] == '-' || p.p[i - 1] == ' ';
        bool ends = i + want.n == p.n || p.p[i + want.n] == '-' || p.p[i + want.n] == ' ';
        if (starts && ends && str_eq_nocase((struct str){p.p + i, want.n}, want)) {
            return true;
        }
    }
    return false;
}

/* What the fleet asks for must be known to be there. */
static enum reason gpu_refusal(const struct policy_ctx *ctx, node_ix node)
{
    const struct fleet_settings *s = ctx->game->settings;
    const struct node_facts *f = &ctx->c->facts[node.v];
    if (s->gpu.products.n > 0) {
        struct str product = sym_str(ctx->c->syms, f->gpu_product);
        bool found = false;
        for (uint32_t i = 0; i < s->gpu.products.n && !found; i++) {
            found = product_matches(product, s->gpu.products.p[i]);
        }
        if (!found) {
            return REASON_GPU_PRODUCT;
        }
    }
    if (s->gpu.min_memory_mib > 0 && f->gpu_memory_mib < s->gpu.min_memory_mib) {
        return REASON_GPU_MEMORY;
    }
    if (s->gpu.min_compute_major > 0 && f->gpu_compute_major < s->gpu.min_compute_major) {
        return REASON_GPU_COMPUTE;
    }
    if (s->gpu.display && !(ctx->c->flags[node.v] & NODE_GPU_DISPLAY)) {
        return REASON_GPU_DISPLAY;
    }
    return REASON_NONE;
}

/* A pod that names the shared resource itself ("nvidia.com/gpu.shared") has said that it will share. */
static bool names_shared(const struct policy_ctx *ctx)
{
    for (uint32_t i = 0; i < ctx->cls->n_needs; i++) {
        struct str name = sym_str(ctx->c->syms, ctx->c->res_name[ctx->cls->needs[i].res.v]);
        if (str_ends(name, STR(".shared"))) {
            return true;
        }
    }
    return false;
}

static void gpu_filter(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n,
                       struct verdict *ret)
{
    if (!(ctx->cls->flags & CLASS_GPU) || !ctx->game->is_game) {
        return;
    }
    bool share = ctx->game->settings->gpu.allow_shared || names_shared(ctx);
    for (uint32_t i = 0; i < n; i++) {
        if (ret[i].reason != REASON_NONE) {
            continue;
        }
        enum reason r = gpu_refusal(ctx, nodes[i]);
        if (r == REASON_NONE && !share && (ctx->c->flags[nodes[i].v] & NODE_GPU_SHARED)) {
            r = REASON_GPU_SHARED;
        }
        ret[i].reason = (uint16_t)r;
        ret[i].unresolvable = r != REASON_NONE && reason_unresolvable(r);
    }
}

/* GPU-milli on the node that the typical request cannot use, with this pod on it or without. */
static double stranded_milli(const struct policy_ctx *ctx, const struct gpu_state *st, node_ix node,
                             bool with_pod)
{
    const struct cluster *c = ctx->c;
    int64_t cpu = node_left(c, (res_ix){RES_CPU}, node) - (with_pod ? st->cpu : 0);
    int64_t mem = node_left(c, (res_ix){RES_MEMORY}, node) - (with_pod ? st->mem : 0);
    double sum = 0;
    for (uint32_t a = 0; a < st->k->n_acc; a++) {
        res_ix res = {st->k->accelerators[a]};
        int64_t left = node_left(c, res, node);
        left -= with_pod && st->asks ? need_of(ctx->cls, res) : 0;
        if (left <= 0) {
            continue;
        }
        uint64_t unusable = 0;
        for (uint32_t i = 0; i < st->n_mix; i++) {
            const struct shape *m = &st->mix[i];
            bool fits = m->res.v != res.v || (m->amount <= left && m->cpu <= cpu && m->mem <= mem);
            unusable += fits ? 0 : m->refs;
        }
        sum += (double)unusable / (double)st->mix_refs * (double)left * (double)st->k->milli[a];
    }
    return sum;
}

static double added_milli(const struct policy_ctx *ctx, const struct gpu_state *st, node_ix node)
{
    if (st->n_mix == 0) {
        return 0;
    }
    return stranded_milli(ctx, st, node, true) - stranded_milli(ctx, st, node, false);
}

static void gpu_cost(const struct policy_ctx *ctx, const node_ix *nodes, uint32_t n, int64_t *cost)
{
    const struct gpu_state *st = ctx->state;
    if (!st->asks && !st->keep_off) {
        return;
    }
    double hours = (double)session_ms(ctx) / (double)HOUR_MS;
    double per_milli = (double)ctx->settings->rates.gpu_hour_stranded * hours / WHOLE_GPU_MILLI;
    for (uint32_t i = 0; i < n; i++) {
        if (ctx->c->flags[nodes[i].v] & NODE_GPU) {
            cost_add(&cost[i], cost_clamp(added_milli(ctx, st, nodes[i]) * per_milli));
            cost_add(&cost[i], st->keep_off ? OUT_OF_REACH_NANO : 0);
        }
    }
}

static void gpu_explain(const struct policy_ctx *ctx, node_ix node, struct policy_term *ret)
{
    const struct gpu_state *st = ctx->state;
    if (!st->asks && !st->keep_off) {
        note_add(ret, "GPU fit decided by the in-tree DynamicResources plugin");
        return;
    }
    if (!(ctx->c->flags[node.v] & NODE_GPU)) {
        return;
    }
    ret->value = added_milli(ctx, st, node);
    if (st->keep_off) {
        note_add(ret, "CPU-only pod on a GPU node: only if nothing else fits");
    }
    if (st->n_mix == 0) {
        note_add(ret, "no GPU request known: fragmentation cannot be judged");
    } else {
        note_add(ret, "unusable GPU of the node %.0f to %.0f milli, judged by %u request shape(s)",
                 stranded_milli(ctx, st, node, false), stranded_milli(ctx, st, node, true),
                 (unsigned)st->n_mix);
    }
}

const struct policy policy_gpu = {
    .name = "gpu",
    .unit = "GPU-milli",
    .filter_dep = DEP_STATIC,
    .cost_dep = DEP_LIVE, /* the mix follows what runs in the cluster; few nodes have a GPU */
    .judged_live = true,
    .judged_snapshot = true,
    .class_begin = gpu_class_begin,
    .prepare = gpu_prepare,
    .filter = gpu_filter,
    .cost = gpu_cost,
    .explain = gpu_explain,
};
