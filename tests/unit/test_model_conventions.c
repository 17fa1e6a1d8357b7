/* What nodes say about themselves, one line per key. The lists here are written apart from conventions.def.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "model/conventions.h"

struct fixture {
    struct settings settings;
    struct cluster *c;
};

static int set_up(void **state)
{
    static struct fixture f;
    struct err err = ERR_NONE;
    f = (struct fixture){0};
    assert_int_equal(settings_default(&f.settings, &err), 0);
    assert_int_equal(cluster_new(&f.c, &f.settings, &err), 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    cluster_free(f->c);
    settings_done(&f->settings);
    return 0;
}

static node_ix put(struct fixture *f, struct node_desc *d)
{
    struct err err = ERR_NONE;
    node_ix node = NODE_NONE;
    d->meta.name = STR("n");
    int rc = cluster_upsert_node(f->c, d, &node, &err);
    if (rc != 0) {
        fail_msg("%s", err.text);
    }
    return node;
}

static node_ix put_label(struct fixture *f, const char *key, const char *val)
{
    struct kv_desc kv = {str_c(key), str_c(val)};
    struct node_desc d = {.meta.labels = {&kv, 1}};
    return put(f, &d);
}

static node_ix put_taint(struct fixture *f, const char *key, const char *val,
                         enum taint_effect effect)
{
    struct taint_desc t = {str_c(key), str_c(val), effect};
    struct node_desc d = {.taints = {&t, 1}};
    return put(f, &d);
}

static void assert_sym(const struct fixture *f, sym s, const char *want, const char *key)
{
    struct str have = sym_str(f->c->syms, s);
    if (!str_is(have, want)) {
        fail_msg("%s: \"" STR_FMT "\" instead of \"%s\"", key, STR_ARG(have), want);
    }
}

static void test_capacity(void **state)
{
    static const struct {
        const char *key, *val;
        enum capacity_type want;
    } cases[] = {
        {"karpenter.sh/capacity-type", "spot", CAPACITY_SPOT},
        {"karpenter.sh/capacity-type", "on-demand", CAPACITY_ON_DEMAND},
        {"karpenter.sh/capacity-type", "reserved", CAPACITY_RESERVED},
        {"karpenter.sh/capacity-type", "SPOT", CAPACITY_SPOT},
        {"eks.amazonaws.com/capacityType", "SPOT", CAPACITY_SPOT},
        {"eks.amazonaws.com/capacityType", "Spot", CAPACITY_SPOT},
        {"eks.amazonaws.com/capacityType", "ON_DEMAND", CAPACITY_ON_DEMAND},
        {"eks.amazonaws.com/capacityType", "CAPACITY_BLOCK", CAPACITY_RESERVED},
        {"cloud.google.com/gke-spot", "true", CAPACITY_SPOT},
        {"cloud.google.com/gke-provisioning", "spot", CAPACITY_SPOT},
        {"cloud.google.com/gke-provisioning", "preemptible", CAPACITY_SPOT},
        {"cloud.google.com/gke-provisioning", "standard", CAPACITY_ON_DEMAND},
        {"cloud.google.com/gke-preemptible", "true", CAPACITY_SPOT},
        {"kubernetes.azure.com/priority", "spot", CAPACITY_SPOT},
        {"kubernetes.azure.com/priority", "regular", CAPACITY_ON_DEMAND},
        {"kubernetes.azure.com/scalesetpriority", "spot", CAPACITY_SPOT},
        {"node.kubernetes.io/instance-lifecycle", "spot", CAPACITY_SPOT},
        {"node.kubernetes.io/lifecycle", "spot", CAPACITY_SPOT},
        {"lifecycle", "Ec2Spot", CAPACITY_SPOT},
        {"node-type", "spot", CAPACITY_SPOT},
        {"node-type", "cpu-optimized", CAPACITY_UNKNOWN},
        {"karpenter.sh/capacity-type", "something-new", CAPACITY_UNKNOWN},
        {"unrelated", "spot", CAPACITY_UNKNOWN},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < SP_COUNTOF(cases); i++) {
        node_ix n = put_label(f, cases[i].key, cases[i].val);
        if (f->c->capacity[n.v] != cases[i].want) {
            fail_msg("%s=%s: %d instead of %d", cases[i].key, cases[i].val, f->c->capacity[n.v],
                     (int)cases[i].want);
        }
        const char *source = f->c->facts[n.v].capacity_source;
        assert_true((cases[i].want == CAPACITY_UNKNOWN) == (source == NULL));
        assert_true(source == NULL || strcmp(source, cases[i].key) == 0);
    }
}

static void test_text_facts(void **state)
{
    enum fact { REGION, ZONE, TYPE, ARCH, OS, POOL, PRODUCT, MIG, MODE, FAMILY };
    static const struct {
        const char *key, *val;
        enum fact fact;
        const char *want;
    } cases[] = {
        {"topology.kubernetes.io/region", "eu-central-1", REGION, "eu-central-1"},
        {"failure-domain.beta.kubernetes.io/region", "eu-west-1", REGION, "eu-west-1"},
        {"topology.kubernetes.io/zone", "eu-central-1a", ZONE, "eu-central-1a"},
        {"failure-domain.beta.kubernetes.io/zone", "eu-west-1b", ZONE, "eu-west-1b"},
        {"topology.gke.io/zone", "europe-west3-b", ZONE, "europe-west3-b"},
        {"topology.k8s.aws/zone-id", "use1-az1", ZONE, "use1-az1"},
        {"topology.kubernetes.io/zone", "eastus2-1", ZONE, "eastus2-1"},
        {"topology.kubernetes.io/zone", "0", ZONE, ""},
        {"topology.kubernetes.io/zone", "2", ZONE, ""},
        {"topology.kubernetes.io/zone", "", ZONE, ""},
        {"node.kubernetes.io/instance-type", "c6i.large", TYPE, "c6i.large"},
        {"beta.kubernetes.io/instance-type", "c5.large", TYPE, "c5.large"},
        {"kubernetes.io/arch", "arm64", ARCH, "arm64"},
        {"kubernetes.io/os", "linux", OS, "linux"},
        {"karpenter.sh/nodepool", "games", POOL, "games"},
        {"karpenter.sh/provisioner-name", "games", POOL, "games"},
        {"eks.amazonaws.com/nodegroup", "ng", POOL, "ng"},
        {"alpha.eksctl.io/nodegroup-name", "ng", POOL, "ng"},
        {"cloud.google.com/gke-nodepool", "np", POOL, "np"},
        {"kubernetes.azure.com/agentpool", "ap", POOL, "ap"},
        {"agentpool", "gameserver", POOL, "gameserver"},
        {"cost-optimization", "enabled", POOL, "enabled"},
        {"node-type", "cpu-optimized", POOL, "cpu-optimized"},
        {"nvidia.com/gpu.product", "Tesla-T4", PRODUCT, "Tesla-T4"},
        {"nvidia.com/gpu.product", "Tesla-T4-SHARED", PRODUCT, "Tesla-T4"},
        {"nvidia.com/gpu.product", "A100-SXM4-40GB-MIG-1g.5gb-SHARED", PRODUCT, "A100-SXM4-40GB"},
        {"cloud.google.com/gke-accelerator", "nvidia-l4", PRODUCT, "nvidia-l4"},
        {"k8s.amazonaws.com/accelerator", "nvidia-tesla-v100", PRODUCT, "nvidia-tesla-v100"},
        {"karpenter.k8s.aws/instance-gpu-name", "t4", PRODUCT, "t4"},
        {"karpenter.azure.com/sku-gpu-name", "A100", PRODUCT, "A100"},
        {"aliyun.accelerator/nvidia_name", "Tesla-P4", PRODUCT, "Tesla-P4"},
        {"gpu-type", "v100", PRODUCT, "v100"},
        {"nvidia.com/mig.strategy", "mixed", MIG, "mixed"},
        {"cloud.google.com/gke-gpu-partition-size", "1g.5gb", MIG, "1g.5gb"},
        {"nvidia.com/gpu.mode", "display", MODE, "display"},
        {"karpenter.k8s.aws/instance-family", "c7g", FAMILY, "c7g"},
        {"cloud.google.com/machine-family", "n2", FAMILY, "n2"},
        {"node.kubernetes.io/instance-type", "n2d-standard-4", FAMILY, "n2d"},
        {"node.kubernetes.io/instance-type", "Standard_D4s_v5", FAMILY, "Dsv5"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < SP_COUNTOF(cases); i++) {
        node_ix n = put_label(f, cases[i].key, cases[i].val);
        const struct node_facts *x = &f->c->facts[n.v];
        const sym got[] = {x->region,   x->zone,          x->instance_type, x->arch,
                           x->os,       x->provider_pool, x->gpu_product,   x->mig_strategy,
                           x->gpu_mode, x->family};
        assert_sym(f, got[cases[i].fact], cases[i].want, cases[i].key);
    }
}

static void test_first_key_wins_and_raw_zone_is_kept(void **state)
{
    struct fixture *f = *state;
    struct kv_desc kv[] = {{STR("failure-domain.beta.kubernetes.io/zone"), STR("old-a")},
                           {STR("topology.kubernetes.io/zone"), STR("new-a")},
                           {STR("eks.amazonaws.com/capacityType"), STR("ON_DEMAND")},
                           {STR("karpenter.sh/capacity-type"), STR("spot")}};
    struct node_desc d = {.meta.labels = {kv, 4}};
    node_ix n = put(f, &d);
    assert_sym(f, f->c->facts[n.v].zone, "new-a", "zone");
    assert_string_equal(f->c->facts[n.v].zone_source, "topology.kubernetes.io/zone");
    assert_int_equal(f->c->capacity[n.v], CAPACITY_SPOT);
    assert_string_equal(f->c->facts[n.v].capacity_source, "karpenter.sh/capacity-type");
    n = put_label(f, "topology.kubernetes.io/zone", "0");
    assert_sym(f, f->c->facts[n.v].zone_raw, "0", "raw zone");
    assert_int_equal(f->c->facts[n.v].zone.v, 0);
}

static void test_flags_of_labels(void **state)
{
    static const struct {
        const char *key, *val;
        uint32_t flag;
        bool want;
    } cases[] = {
        {"agones.dev/agones-system", "true", NODE_SYSTEM, true},
        {"agones.dev/agones-metrics", "true", NODE_SYSTEM, true},
        {"kubernetes.azure.com/mode", "system", NODE_SYSTEM, true},
        {"kubernetes.azure.com/mode", "user", NODE_SYSTEM, false},
        {"node-type", "system", NODE_SYSTEM, true},
        {"workload-type", "database", NODE_SYSTEM, true},
        {"workload-type", "cache", NODE_SYSTEM, true},
        {"workload-type", "monitoring", NODE_SYSTEM, true},
        {"workload-type", "game-server", NODE_SYSTEM, false},
        {"node-role.kubernetes.io/control-plane", "", NODE_SYSTEM, false},
        {"workload-type", "game-server", NODE_GAME_POOL, true},
        {"game-server", "true", NODE_GAME_POOL, true},
        {"game-server", "false", NODE_GAME_POOL, false},
        {"mps.playfab.com/gameservernode", "true", NODE_GAME_POOL, true},
        {"type", "virtual-kubelet", NODE_VIRTUAL, true},
        {"eks.amazonaws.com/compute-type", "fargate", NODE_VIRTUAL, true},
        {"eks.amazonaws.com/compute-type", "auto", NODE_VIRTUAL, false},
        {"node-type", "virtual", NODE_VIRTUAL, true},
        {"kubernetes.azure.com/scalesetpriority", "spot", NODE_SINGLE_FAULT_DOMAIN, true},
        {"kubernetes.azure.com/priority", "spot", NODE_SINGLE_FAULT_DOMAIN, true},
        {"kubernetes.azure.com/priority", "regular", NODE_SINGLE_FAULT_DOMAIN, false},
        {"node.kubernetes.io/instance-type", "t3.large", NODE_BURSTABLE, true},
        {"node.kubernetes.io/instance-type", "t4g.medium", NODE_BURSTABLE, true},
        {"node.kubernetes.io/instance-type", "e2-medium", NODE_BURSTABLE, true},
        {"node.kubernetes.io/instance-type", "e2-standard-4", NODE_BURSTABLE, false},
        {"node.kubernetes.io/instance-type", "Standard_B4ms", NODE_BURSTABLE, true},
        {"node.kubernetes.io/instance-type", "c6i.large", NODE_BURSTABLE, false},
        {"nvidia.com/gpu.product", "Tesla-T4", NODE_GPU, true},
        {"kubernetes.azure.com/accelerator", "nvidia", NODE_GPU, true},
        {"accelerator", "nvidia", NODE_GPU, true},
        {"node-type", "gpu-optimized", NODE_GPU, true},
        {"k8s.scw.cloud/gpu", "gpu1", NODE_GPU, true},
        {"node-type", "cpu-optimized", NODE_GPU, false},
        {"nvidia.com/gpu.replicas", "4", NODE_GPU_SHARED, true},
        {"nvidia.com/gpu.replicas", "1", NODE_GPU_SHARED, false},
        {"nvidia.com/gpu.product", "Tesla-T4-SHARED", NODE_GPU_SHARED, true},
        {"cloud.google.com/gke-gpu-sharing-strategy", "time-sharing", NODE_GPU_SHARED, true},
        {"cloud.google.com/gke-max-shared-clients-per-gpu", "8", NODE_GPU_SHARED, true},
        {"nvidia.com/gpu.mode", "display", NODE_GPU_DISPLAY, true},
        {"nvidia.com/gpu.mode", "compute", NODE_GPU_DISPLAY, false},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < SP_COUNTOF(cases); i++) {
        node_ix n = put_label(f, cases[i].key, cases[i].val);
        if (((f->c->flags[n.v] & cases[i].flag) != 0) != cases[i].want) {
            fail_msg("%s=%s: flags %x, flag %x", cases[i].key, cases[i].val, f->c->flags[n.v],
                     cases[i].flag);
        }
    }
}

static void test_flags_of_taints(void **state)
{
    static const struct {
        const char *key, *val;
        uint32_t flag;
        bool want;
    } cases[] = {
        {"ToBeDeletedByClusterAutoscaler", "1700000000", NODE_DOOMED, true},
        {"DeletionCandidateOfClusterAutoscaler", "1700000000", NODE_LEAVING_SOON, true},
        {"DeletionCandidateOfClusterAutoscaler", "1700000000", NODE_DOOMED, false},
        {"karpenter.sh/disrupted", "", NODE_DOOMED, true},
        {"karpenter.sh/disruption", "disrupting", NODE_DOOMED, true},
        {"karpenter.sh/unregistered", "", NODE_NOT_READY, true},
        {"aws-node-termination-handler/spot-itn", "ev-1", NODE_DOOMED, true},
        {"aws-node-termination-handler/scheduled-maintenance", "ev-1", NODE_DOOMED, true},
        {"aws-node-termination-handler/asg-lifecycle-termination", "ev-1", NODE_DOOMED, true},
        {"aws-node-termination-handler/rebalance-recommendation", "ev-1", NODE_LEAVING_SOON, true},
        {"aws-node-termination-handler/rebalance-recommendation", "ev-1", NODE_DOOMED, false},
        {"cloud.google.com/impending-node-termination", "", NODE_DOOMED, true},
        {"ignore-taint.cluster-autoscaler.kubernetes.io/oke-impending-node-termination", "",
         NODE_DOOMED, true},
        {"node.cloudprovider.kubernetes.io/shutdown", "", NODE_DOOMED, true},
        {"node.kubernetes.io/out-of-service", "nodeshutdown", NODE_DOOMED, true},
        {"node.kubernetes.io/not-ready", "", NODE_NOT_READY, true},
        {"node.kubernetes.io/unreachable", "", NODE_NOT_READY, true},
        {"node.cloudprovider.kubernetes.io/uninitialized", "true", NODE_NOT_READY, true},
        {"startup-taint.cluster-autoscaler.kubernetes.io/gpu", "", NODE_NOT_READY, true},
        {"CriticalAddonsOnly", "true", NODE_SYSTEM, true},
        {"agones.dev/agones-system", "true", NODE_SYSTEM, true},
        {"agones.dev/agones-metrics", "true", NODE_SYSTEM, true},
        {"node-role.kubernetes.io/control-plane", "", NODE_SYSTEM, true},
        {"node-role.kubernetes.io/master", "", NODE_SYSTEM, true},
        {"node-type", "system", NODE_SYSTEM, true},
        {"database", "true", NODE_SYSTEM, true},
        {"database-node", "true", NODE_SYSTEM, true},
        {"monitoring-node", "true", NODE_SYSTEM, true},
        {"workload-type", "data-processing", NODE_SYSTEM, true},
        {"workload-type", "cpu-intensive", NODE_SYSTEM, false},
        {"game-server", "true", NODE_GAME_POOL, true},
        {"game-server", "true", NODE_SYSTEM, false},
        {"workload-type", "game-server", NODE_GAME_POOL, true},
        {"virtual-kubelet.io/provider", "aws-fargate", NODE_VIRTUAL, true},
        {"eks.amazonaws.com/compute-type", "fargate", NODE_VIRTUAL, true},
        {"nvidia.com/gpu", "present", NODE_GPU, true},
        {"sku", "gpu", NODE_GPU, true},
        {"sku", "cpu", NODE_GPU, false},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < SP_COUNTOF(cases); i++) {
        node_ix n = put_taint(f, cases[i].key, cases[i].val, EFFECT_NO_SCHEDULE);
        if (((f->c->flags[n.v] & cases[i].flag) != 0) != cases[i].want) {
            fail_msg("taint %s=%s: flags %x, flag %x", cases[i].key, cases[i].val, f->c->flags[n.v],
                     cases[i].flag);
        }
    }
    assert_int_equal(f->c->capacity[put_taint(f, "node-type", "spot", EFFECT_NO_SCHEDULE).v],
                     CAPACITY_SPOT);
    assert_int_equal(
        f->c->capacity
            [put_taint(f, "kubernetes.azure.com/scalesetpriority", "spot", EFFECT_NO_SCHEDULE).v],
        CAPACITY_SPOT);
    assert_int_equal(
        f->c->capacity[put_taint(f, "cloud.google.com/gke-spot", "true", EFFECT_NO_SCHEDULE).v],
        CAPACITY_SPOT);
    node_ix n = put_taint(f, "workload-type", "cpu-intensive", EFFECT_NO_SCHEDULE);
    assert_sym(f, f->c->facts[n.v].provider_pool, "cpu-intensive", "pool by taint");
}

static void test_numbers(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(f->c->facts[put_label(f, "nvidia.com/gpu.memory", "15360").v].gpu_memory_mib,
                     15360);
    assert_int_equal(f->c->facts[put_label(f, "karpenter.k8s.aws/instance-gpu-memory", "22888").v]
                         .gpu_memory_mib,
                     22888);
    assert_int_equal(f->c->facts[put_label(f, "nvidia.com/gpu.memory", "lots").v].gpu_memory_mib,
                     0);
    assert_int_equal(
        f->c->facts[put_label(f, "nvidia.com/gpu.compute.major", "8").v].gpu_compute_major, 8);
    assert_int_equal(
        f->c->facts[put_label(f, "karpenter.k8s.aws/instance-cpu-sustained-clock-speed-mhz", "3500")
                        .v]
            .clock_mhz,
        3500);
    assert_int_equal(
        f->c->facts[put_label(f, "karpenter.k8s.aws/instance-generation", "7").v].generation, 7);
    assert_int_equal(
        f->c->facts[put_label(f, "eks.amazonaws.com/instance-generation", "6").v].generation, 6);
    assert_int_equal(
        f->c->facts[put_label(f, "karpenter.azure.com/sku-version", "v5").v].generation, 5);
    assert_int_equal(
        f->c->facts[put_label(f, "node.kubernetes.io/instance-type", "c7g.xlarge").v].generation,
        7);
    assert_int_equal(
        f->c->facts[put_label(f, "node.kubernetes.io/instance-type", "Standard_D4s_v5").v]
            .generation,
        5);
    assert_int_equal(
        f->c->facts[put_label(f, "node.kubernetes.io/instance-type", "n2-standard-4").v].generation,
        2);
    assert_int_equal(
        f->c->facts[put_label(f, "node.kubernetes.io/instance-type", "whatever9").v].generation, 0);
    assert_int_equal(
        f->c->facts[put_label(f, "node.kubernetes.io/instance-type", "c6i.2xlarge").v].clock_mhz,
        3500);
}

static void test_end_of_life(void **state)
{
    struct fixture *f = *state;
    struct kv_desc end = {STR("karpenter.sh/nodeclaim-termination-timestamp"),
                          STR("2026-01-02T00:00:00Z")};
    struct kv_desc preemptible = {STR("cloud.google.com/gke-preemptible"), STR("true")};
    struct node_desc d = {.meta.annotations = {&end, 1}};
    assert_int_equal(f->c->facts[put(f, &d).v].end_ms, INT64_C(1767312000000));
    d = (struct node_desc){.meta.labels = {&preemptible, 1}, .meta.created_ms = 1000};
    assert_int_equal(f->c->facts[put(f, &d).v].end_ms, 1000 + INT64_C(86400000));
    d.meta.created_ms = 0;
    assert_int_equal(f->c->facts[put(f, &d).v].end_ms, 0);
    end.val = STR("soon");
    d = (struct node_desc){.meta.annotations = {&end, 1}};
    assert_int_equal(f->c->facts[put(f, &d).v].end_ms, 0);
}

static void test_state(void **state)
{
    struct fixture *f = *state;
    struct condition_desc ready = {STR("Ready"), STR("Unknown"), STR("")};
    struct qty_desc gpu = {STR("nvidia.com/gpu"), {(i128)4 * 1000000000}};
    struct node_desc d = {.unschedulable = true, .conditions = {&ready, 1}};
    node_ix n = put(f, &d);
    assert_true(f->c->flags[n.v] & NODE_CORDONED);
    assert_true(f->c->flags[n.v] & NODE_NOT_READY);
    ready.status = STR("True");
    d.unschedulable = false;
    d.allocatable.p = &gpu;
    d.allocatable.n = 1;
    n = put(f, &d);
    assert_false(f->c->flags[n.v] & (NODE_NOT_READY | NODE_CORDONED));
    assert_true(f->c->flags[n.v] & NODE_GPU);
    gpu.value.nano = 0;
    assert_false(f->c->flags[put(f, &d).v] & NODE_GPU);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const yes[] = {
        "nvidia.com/gpu", "nvidia.com/gpu.shared", "nvidia.com/mig-1g.5gb", "nvidia.com/mig1g.5gb",
        "amd.com/gpu",    "aws.amazon.com/neuron", "gpu.intel.com/i915",    "google.com/tpu"};
    static const char *const no[] = {
        "cpu", "memory", "nvidia.com/other", "example.com/gpu", "smarter-devices/fuse", ""};
    static const char *const siblings[] = {"agones.dev/gameserver",
                                           "statefulset.kubernetes.io/pod-name",
                                           "apps.kubernetes.io/pod-index",
                                           "batch.kubernetes.io/job-completion-index",
                                           "controller-uid",
                                           "batch.kubernetes.io/controller-uid",
                                           "game.kruise.io/gs-state"};
    for (size_t i = 0; i < SP_COUNTOF(yes); i++) {
        assert_true(conventions_is_accelerator(str_c(yes[i])));
    }
    for (size_t i = 0; i < SP_COUNTOF(no); i++) {
        assert_false(conventions_is_accelerator(str_c(no[i])));
    }
    for (size_t i = 0; i < SP_COUNTOF(siblings); i++) {
        assert_true(conventions_is_sibling_label(str_c(siblings[i])));
    }
    assert_false(conventions_is_sibling_label(STR("app")));
    assert_false(conventions_is_sibling_label(STR("agones.dev/role")));
    assert_int_equal(
        conventions_taint_doom(STR("karpenter.sh/disrupted"), STR(""), EFFECT_NO_SCHEDULE), 2);
    assert_int_equal(conventions_taint_doom(STR("DeletionCandidateOfClusterAutoscaler"), STR("1"),
                                            EFFECT_PREFER_NO_SCHEDULE),
                     1);
    assert_int_equal(conventions_taint_doom(STR("game-server"), STR("true"), EFFECT_NO_SCHEDULE),
                     0);
}

static void test_configured_pools_win(void **state)
{
    struct fixture *f = *state;
    struct kv_desc metal = {STR("pool"), STR("metal")}, infra = {STR("pool"), STR("infra")};
    struct pool_settings pools[] = {{.name = STR("metal"),
                                     .match = {.given = true, .match_labels = {&metal, 1}},
                                     .price_nano_hour = 7},
                                    {.name = STR("infra"),
                                     .match = {.given = true, .match_labels = {&infra, 1}},
                                     .system = true,
                                     .price_nano_hour = -1}};
    struct settings s = f->settings;
    struct err err = ERR_NONE;
    s.pools.p = pools;
    s.pools.n = 2;
    node_ix n = put_label(f, "pool", "metal");
    assert_int_equal(f->c->facts[n.v].pool, -1);
    assert_int_equal(cluster_set_settings(f->c, &s, &err), 0);
    assert_int_equal(f->c->facts[n.v].pool, 0);
    assert_int_equal(f->c->price_nano_hour[n.v], 7);
    struct kv_desc both[] = {metal, {STR("workload-type"), STR("database")}};
    struct node_desc d = {.meta.labels = {both, 2}};
    n = put(f, &d);
    assert_false(f->c->flags[n.v] & NODE_SYSTEM);
    n = put_label(f, "pool", "infra");
    assert_true(f->c->flags[n.v] & NODE_SYSTEM);
    assert_int_equal(f->c->facts[n.v].pool, 1);
    assert_int_equal(cluster_set_settings(f->c, &f->settings, &err), 0);
    assert_int_equal(f->c->facts[n.v].pool, -1);
}

static void test_table_is_well_formed(void **state)
{
    size_t n = 0;
    const struct conv_row *rows = conventions_rows(&n);
    (void)state;
    assert_true(n > 120);
    for (size_t i = 0; i < n; i++) {
        assert_true(rows[i].key[0] != '\0' && rows[i].prose[0] != '\0' &&
                    rows[i].source[0] != '\0');
        for (size_t j = 0; j < i; j++) {
            if (rows[i].fact == rows[j].fact && strcmp(rows[i].key, rows[j].key) == 0 &&
                strcmp(rows[i].value, rows[j].value) == 0) {
                fail_msg("%s stands twice", rows[i].key);
            }
        }
    }
}

/* The reader of a fact stops at the first row behind it. */
static void test_rows_stand_in_the_order_of_the_facts(void **state)
{
    size_t n;
    const struct conv_row *rows = conventions_rows(&n);
    bool seen[CONV_FACTS] = {false};
    (void)state;
    for (size_t i = 0; i < n; i++) {
        assert_in_range(rows[i].fact, 0, CONV_FACTS - 1);
        seen[rows[i].fact] = true;
        if (i > 0 && rows[i].fact < rows[i - 1].fact) {
            fail_msg("row %zu (%s) stands behind a row of a later fact (%s)", i, rows[i].key,
                     rows[i - 1].key);
        }
    }
    for (size_t fact = 0; fact < CONV_FACTS; fact++) {
        if (!seen[fact]) {
            fail_msg("no row tells fact %zu", fact);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_capacity, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_text_facts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_first_key_wins_and_raw_zone_is_kept, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_flags_of_labels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flags_of_taints, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_end_of_life, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_state, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_configured_pools_win, set_up, tear_down),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_table_is_well_formed),
        cmocka_unit_test(test_rows_stand_in_the_order_of_the_facts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
