/* The GPU study's CSV files: nodes (sn,cpu_milli,memory_mib,gpu,model) and pods
 * (name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,…), told apart by their header line.
 *
 * Resources and labels are those that the study's own simulator uses (alibabacloud.com/gpu-milli …). Every pod waits;
 * names that repeat get the row as a suffix.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "wire/load_impl.h"

#define MAX_COLUMNS 64
#define GPU_MILLI   "alibabacloud.com/gpu-milli"
#define GPU_COUNT   "alibabacloud.com/gpu-count"
#define GPU_MODEL   "alibabacloud.com/gpu-card-model"

struct csv {
    struct load_ctx *ctx;
    struct str rest;
    uint32_t line;
    struct str columns[MAX_COLUMNS], cells[MAX_COLUMNS];
    uint32_t n_columns, n_cells;
    const char *line_start;
};

static int fault(const struct csv *v, struct str cell, struct err *err)
{
    uint32_t column = cell.p != NULL ? (uint32_t)(cell.p - v->line_start) + 1 : 1;
    return err_at(err, v->ctx->file, v->line, column);
}

/* The next line that is not empty, cut at commas. */
static bool next_line(struct csv *v)
{
    while (v->rest.n > 0) {
        struct str line = str_cut(&v->rest, '\n');
        v->line++;
        if (line.n > 0 && line.p[line.n - 1] == '\r') {
            line.n--;
        }
        if (line.n == 0) {
            continue;
        }
        v->line_start = line.p;
        v->n_cells = 0;
        for (bool more = true; more && v->n_cells < MAX_COLUMNS;) {
            more = memchr(line.p, ',', line.n) != NULL;
            v->cells[v->n_cells++] = str_cut(&line, ',');
        }
        return true;
    }
    return false;
}

static struct str cell(const struct csv *v, const char *name)
{
    for (uint32_t i = 0; i < v->n_columns && i < v->n_cells; i++) {
        if (str_is(v->columns[i], name)) {
            return v->cells[i];
        }
    }
    return STR_NONE;
}

static int number(const struct csv *v, const char *name, int64_t *ret, struct err *err)
{
    struct str s = cell(v, name);
    if (s.n == 0) {
        *ret = 0;
        return 0;
    }
    if (!str_to_i64(s, ret) || *ret < 0 || *ret > INT64_MAX / 2000) {
        err_set(err, -EINVAL, "%s: \"%.*s\" is no whole number of 0 or more", name,
                s.n < 60 ? (int)s.n : 60, s.p);
        return fault(v, s, err);
    }
    return 0;
}

static struct quantity milli(int64_t v)
{
    return (struct quantity){(i128)v * 1000000};
}

static struct quantity units(int64_t v)
{
    return (struct quantity){(i128)v * 1000000000};
}

static int node_row(struct csv *v, struct err *err)
{
    int64_t cpu, mem, gpu;
    struct str name = cell(v, "sn"), model = cell(v, "model");
    int rc = number(v, "cpu_milli", &cpu, err);
    rc = rc != 0 ? rc : number(v, "memory_mib", &mem, err);
    rc = rc != 0 ? rc : number(v, "gpu", &gpu, err);
    if (rc == 0 && name.n == 0) {
        err_set(err, -EINVAL, "sn: the node's name is missing");
        rc = fault(v, STR_NONE, err);
    }
    if (rc != 0) {
        return rc;
    }
    const struct kv_desc labels[] = {
        {STR("beta.kubernetes.io/os"), STR("linux")},
        {STR("kubernetes.io/os"), STR("linux")},
        {STR("kubernetes.io/hostname"), name},
        {STR(GPU_MODEL), model},
    };
    const struct qty_desc amounts[] = {
        {STR("cpu"), milli(cpu)},
        {STR("memory"), units(mem << 20)},
        {STR("pods"), units(1001)},
        {STR(GPU_COUNT), units(gpu)},
        {STR(GPU_MILLI), units(gpu * 1000)},
    };
    struct node_desc node = {.meta = {.name = name}};
    node.meta.labels.p = labels;
    node.meta.labels.n = gpu > 0 && model.n > 0 ? 4 : 3;
    node.allocatable.p = node.capacity.p = amounts;
    node.allocatable.n = node.capacity.n = gpu > 0 ? 5 : 3;
    v->ctx->line = v->line;
    v->ctx->column = 1;
    return load_apply_node(v->ctx, &node, err);
}

static int unique_name(struct csv *v, struct str *name, struct err *err)
{
    struct load_impl *im = v->ctx->im;
    uint32_t i;
    bool fresh;
    char *p = arena_alloc(&im->arena, name->n + 32);
    if (p == NULL) {
        return err_nomem(err);
    }
    int n = snprintf(p, name->n + 32, "openb/%.*s", STR_ARG(*name));
    if (name_map_add(&im->openb_names, (struct str){p, (size_t)n}, &i, &fresh) != 0) {
        return err_nomem(err);
    }
    if (!fresh) {
        n = snprintf(p, name->n + 32, "%.*s-%u", STR_ARG(*name), v->line - 1);
        *name = (struct str){p, (size_t)n};
    }
    return 0;
}

/* "V100M16|V100M32": a required node affinity In these models. */
static int models_of(struct csv *v, struct str spec, struct pod_desc *pod, struct err *err)
{
    struct arena *a = &v->ctx->im->arena;
    struct str *values = arena_calloc(a, spec.n / 2 + 1, sizeof *values);
    struct expr_desc *expr = arena_calloc(a, 1, sizeof *expr);
    struct node_term_desc *term = arena_calloc(a, 1, sizeof *term);
    uint32_t n = 0;
    if (values == NULL || expr == NULL || term == NULL) {
        return err_nomem(err);
    }
    while (spec.n > 0) {
        struct str one = str_trim(str_cut(&spec, '|'));
        if (one.n > 0) {
            values[n++] = one;
        }
    }
    if (n == 0) {
        return 0;
    }
    *expr = (struct expr_desc){.key = STR(GPU_MODEL), .op = STR("In"), .values = {values, n}};
    term->match_expressions.p = expr;
    term->match_expressions.n = 1;
    pod->has_node_required = true;
    pod->node_required.p = term;
    pod->node_required.n = 1;
    return 0;
}

static int pod_row_of(struct csv *v, struct err *err)
{
    int64_t cpu, mem, n_gpu, gpu_milli;
    struct str name = cell(v, "name"), count = cell(v, "num_gpu"), each = cell(v, "gpu_milli");
    int rc = number(v, "cpu_milli", &cpu, err);
    rc = rc != 0 ? rc : number(v, "memory_mib", &mem, err);
    rc = rc != 0 ? rc : number(v, "num_gpu", &n_gpu, err);
    rc = rc != 0 ? rc : number(v, "gpu_milli", &gpu_milli, err);
    if (rc == 0 && (name.n == 0 || n_gpu > 1000000 || gpu_milli > 1000000)) {
        err_set(err, -EINVAL, "%s",
                name.n == 0 ? "name: missing" : "num_gpu, gpu_milli: out of range");
        rc = fault(v, STR_NONE, err);
    }
    if (rc == 0) {
        rc = unique_name(v, &name, err);
    }
    if (rc != 0) {
        return rc;
    }
    const struct qty_desc requests[] = {{STR("cpu"), milli(cpu)},
                                        {STR("memory"), units(mem << 20)},
                                        {STR(GPU_MILLI), units(n_gpu * gpu_milli)}};
    const struct kv_desc annotations[] = {{STR(GPU_COUNT), count}, {STR(GPU_MILLI), each}};
    struct container_desc main = {.name = STR("main")};
    struct pod_desc pod = {.meta = {.name = name, .ns = STR("default"), .uid = name},
                           .phase = PHASE_PENDING};
    main.requests.p = requests;
    main.requests.n = n_gpu > 0 && gpu_milli > 0 ? 3 : 2;
    if (n_gpu > 0) {
        pod.meta.annotations.p = annotations;
        pod.meta.annotations.n = 2;
    }
    pod.containers.p = &main;
    pod.containers.n = 1;
    rc = models_of(v, cell(v, "gpu_spec"), &pod, err);
    v->ctx->line = v->line;
    v->ctx->column = 1;
    return rc == 0 ? load_apply_pod(v->ctx, &pod, STR("{}"), err) : rc;
}

int load_openb(struct load_ctx *ctx, struct source *s, struct err *err)
{
    struct csv v = {.ctx = ctx};
    int rc = source_fill_all(s, LIMIT_YAML_BYTES, err);
    if (rc != 0) {
        return rc;
    }
    v.rest = (struct str){s->p, s->n};
    if (next_line(&v)) {
        memcpy(v.columns, v.cells, sizeof v.columns);
        v.n_columns = v.n_cells;
    }
    bool nodes = cell(&v, "sn").n > 0, pods = cell(&v, "name").n > 0;
    if (!nodes && !pods) {
        err_set(err, -EINVAL,
                "openb: a header line with sn (nodes) or name (pods) was expected, such as "
                "sn,cpu_milli,memory_mib,gpu,model");
        return err_at(err, ctx->file, 1, 1);
    }
    while (rc == 0 && next_line(&v)) {
        if (v.line > LIMIT_CSV_ROWS) {
            err_set(err, -E2BIG, "more than %d rows", LIMIT_CSV_ROWS);
            return err_at(err, ctx->file, v.line, 1);
        }
        arena_reset(&ctx->im->arena);
        ctx->l->n_objects++;
        rc = nodes ? node_row(&v, err) : pod_row_of(&v, err);
    }
    return rc;
}
