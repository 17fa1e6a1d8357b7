/* SPDX-License-Identifier: Apache-2.0 */
#include "support/gen_docs.h"

#include "conf/config.h"
#include "model/conventions.h"

struct heading {
    enum conv_fact first;
    const char *title, *text;
};

static const struct heading headings[] = {
    {CONV_REGION, "Region", "Labels."},
    {CONV_ZONE, "Zone",
     "Labels. An empty value, `0` or a bare number is no zone: AKS writes these for machines "
     "outside of zones."},
    {CONV_INSTANCE_TYPE, "Instance type", "Labels."},
    {CONV_ARCH, "Architecture", "Labels."},
    {CONV_OS, "Operating system", "Labels."},
    {CONV_HOSTNAME, "Host name", "Labels."},
    {CONV_FAMILY, "Instance family", "Labels; without one, what the instance type's name tells."},
    {CONV_GENERATION, "Generation",
     "Labels; without one, what the instance type's name tells (7 of c7g, 5 of D4s_v5)."},
    {CONV_CLOCK, "Clock", "Labels; without one, the shipped table of instance types."},
    {CONV_BURSTABLE, "Burstable families", "Patterns over the instance type."},
    {CONV_CAPACITY, "Capacity type",
     "Labels. Unknown is a third state and not on-demand. The key that told it stands in "
     "explanations."},
    {CONV_CAPACITY_TAINT, "Capacity type by taint", "Only where no label told one."},
    {CONV_FAULT_DOMAIN, "Single fault domain", "Labels of pools whose nodes fail together."},
    {CONV_LIFE_24H, "Ends after 24 hours", "Labels."},
    {CONV_END_OF_LIFE, "End of life", "Annotations."},
    {CONV_POOL, "The provider's pool", "Labels."},
    {CONV_POOL_TAINT, "The pool by taint", "Only where no label told one."},
    {CONV_GPU_PRODUCT, "GPU product", "Labels."},
    {CONV_GPU_PRESENT, "Has a GPU", "Labels, beside a product and an allocatable accelerator."},
    {CONV_GPU_TAINT, "Kept for GPUs", "Taints."},
    {CONV_GPU_MEMORY, "GPU memory", "Labels."},
    {CONV_GPU_COMPUTE, "GPU compute capability", "Labels."},
    {CONV_GPU_MODE, "GPU mode", "Labels."},
    {CONV_MIG_STRATEGY, "MIG", "Labels."},
    {CONV_GPU_SHARED, "Shared GPUs", "Labels, beside the product's ending -SHARED."},
    {CONV_ACCELERATOR, "Accelerator resources",
     "Names of extended resources. A request of 0 is none."},
    {CONV_SYSTEM_LABEL, "No game servers: labels",
     "A pool of the configuration that matches the node has the last word."},
    {CONV_SYSTEM_TAINT, "No game servers: taints",
     "Whatever the pod tolerates. A pool of the configuration has the last word."},
    {CONV_GAME_LABEL, "For game servers: labels", ""},
    {CONV_GAME_TAINT, "For game servers: taints", ""},
    {CONV_VIRTUAL_LABEL, "Virtual nodes: labels",
     "No host ports and no UDP servers, unless the fleet allows them."},
    {CONV_VIRTUAL_TAINT, "Virtual nodes: taints", ""},
    {CONV_DOOM, "The node is leaving", "Taints, whatever their effect."},
    {CONV_NOT_READY_TAINT, "Not ready", "Taints, beside the condition Ready."},
    {CONV_SIBLING, "Labels that tell siblings apart",
     "Pod labels that differ between pods of one template; left out of a class."},
};

void gen_config_page(struct buf *out)
{
    config_print_docs(out);
}

static const char *meaning(const struct conv_row *row)
{
    static const char *const capacity[] = {"unknown", "on-demand", "spot", "reserved"};
    if (row->fact == CONV_CAPACITY || row->fact == CONV_CAPACITY_TAINT) {
        return capacity[row->meaning];
    }
    if (row->fact == CONV_DOOM) {
        return row->meaning == 2 ? "no new sessions" : "avoided";
    }
    return "";
}

void gen_conventions_page(struct buf *out)
{
    size_t n = 0;
    const struct conv_row *rows = conventions_rows(&n);
    buf_lit(
        out,
        "# Conventions\n\nWhat labels, taints, annotations and resource names tell without any "
        "configuration. "
        "This page is written from `scheduler/model/conventions.def`; a test keeps it in step.\n\n"
        "Several keys may tell one fact: the first of the table that "
        "is present wins. Values compare without regard to case. A `*` at the end stands for any "
        "ending, `>1` for a number above "
        "one; no value means any.\n");
    for (size_t h = 0; h < SP_COUNTOF(headings); h++) {
        buf_printf(out, "\n## %s\n\n", headings[h].title);
        if (headings[h].text[0] != '\0') {
            buf_printf(out, "%s\n\n", headings[h].text);
        }
        buf_lit(out, "| key | value | meaning | source |\n| --- | --- | --- | --- |\n");
        for (size_t i = 0; i < n; i++) {
            if (rows[i].fact != headings[h].first) {
                continue;
            }
            const char *more = meaning(&rows[i]);
            buf_printf(out, "| `%s` | ", rows[i].key);
            buf_printf(out, rows[i].value[0] != '\0' ? "`%s`" : "%s", rows[i].value);
            buf_printf(out, " | %s%s%s | %s |\n", rows[i].prose,
                       more[0] != '\0' && strcmp(more, rows[i].prose) != 0 ? ": " : "",
                       strcmp(more, rows[i].prose) != 0 ? more : "", rows[i].source);
        }
    }
}
