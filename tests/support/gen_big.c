// SPDX-License-Identifier: Apache-2.0
#include "support/gen_big.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "conf/config.h"
#include "wire/k8s.h"

static const char *const regions[] = {"eu-central-1", "eu-west-1", "us-east-1"};
static const char *const types[][5] = {
    /* instance type, pool, capacity type, cores, GiB */
    {"m7i.metal-24xl", "metal", "on-demand", "96", "384"},
    {"c7i.8xlarge", "ondemand", "on-demand", "32", "64"},
    {"m7i.4xlarge", "ondemand", "on-demand", "16", "64"},
    {"c7i.4xlarge", "spot", "spot", "16", "32"},
    {"c6i.8xlarge", "spot", "spot", "32", "64"},
    {"c6a.4xlarge", "spot", "spot", "16", "32"},
    {"m6i.4xlarge", "ondemand", "on-demand", "16", "64"},
    {"g6.4xlarge", "gpu", "on-demand", "16", "64"},
};
static const char *const fleets[GEN_BIG_FLEETS] = {"arena",    "duel",  "royale",  "raid",
                                                   "kart",     "chess", "survive", "stadium",
                                                   "dogfight", "tower", "village", "lobby"};
static const char *const classes[GEN_BIG_FLEETS] = {
    "action",       "competitive", "action",      "third-person", "action",       "turn-based",
    "third-person", "action",      "competitive", "strategy",     "third-person", "strategy"};
static const char *const countries[] = {"DE", "FR", "PL", "GB", "ES", "IT", "NL", "SE", "NO", "FI",
                                        "DK", "CZ", "AT", "CH", "PT", "IE", "BE", "RO", "HU", "GR",
                                        "US", "CA", "MX", "BR", "AR", "TR", "UA", "IL", "MA", "EG"};
enum { N_COUNTRIES = SP_COUNTOF(countries), SLOTS_DAEMON = 2 };

static uint32_t mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ (x >> 16);
}

static const char *node_region(uint32_t node)
{
    return regions[mix(node) % 3];
}

static char node_zone(uint32_t node)
{
    return (char)('a' + mix(node + 7) % 3);
}

static const char *const *node_type(uint32_t node)
{
    return types[mix(node + 13) % SP_COUNTOF(types)];
}

void gen_big_node_name(struct buf *out, uint32_t node)
{
    buf_printf(out, "ip-10-%u-%u-%u.%s.compute.internal", 16 + node / 62500, node / 250 % 250,
               node % 250 + 2, node_region(node));
}

static void put_labels(struct buf *out, uint32_t node)
{
    const char *const *t = node_type(node);
    const char *region = node_region(node);
    char zone = node_zone(node);
    buf_printf(out,
               "{\"beta.kubernetes.io/arch\":\"amd64\",\"beta.kubernetes.io/"
               "os\":\"linux\",\"eks.amazonaws.com/nodegroup\":\"%s-%c\","
               "\"eks.amazonaws.com/capacityType\":\"%s\",\"failure-domain.beta.kubernetes.io/"
               "region\":\"%s\","
               "\"failure-domain.beta.kubernetes.io/zone\":\"%s%c\",\"game.example/pool\":\"%s\","
               "\"k8s.io/cloud-provider-aws\":\"0b6a7ed6d1b2e1a2d3c4f5a6b7c8d9e0\",\"kubernetes.io/"
               "arch\":\"amd64\",\"kubernetes.io/hostname\":\"",
               t[1], zone, t[2][0] == 's' ? "SPOT" : "ON_DEMAND", region, region, zone, t[1]);
    gen_big_node_name(out, node);
    buf_printf(out,
               "\",\"kubernetes.io/os\":\"linux\",\"node.kubernetes.io/"
               "instance-type\":\"%s\",\"topology.ebs.csi.aws.com/zone\":\"%s%c\","
               "\"topology.kubernetes.io/region\":\"%s\",\"topology.kubernetes.io/zone\":\"%s%c\"}",
               t[0], region, zone, region, region, zone);
}

static void put_resources(struct buf *out, uint32_t node, bool allocatable)
{
    const char *const *t = node_type(node);
    int64_t mem_kib = strtoll(t[4], NULL, 10) * 1048576 - (allocatable ? 1153024 : 524288);
    buf_printf(out,
               "{\"cpu\":\"%s%s\",\"ephemeral-storage\":\"%s\",\"hugepages-1Gi\":\"0\",\"hugepages-"
               "2Mi\":\"0\",\"memory\":\"%lldKi\",",
               t[3], allocatable ? "000m" : "", allocatable ? "95551679124" : "104845292Ki",
               (long long)mem_kib);
    if (t[1][0] == 'g') {
        buf_lit(out, "\"nvidia.com/gpu\":\"1\",");
    }
    buf_lit(out, "\"pods\":\"110\"}");
}

static void put_condition(struct buf *out, const char *type, const char *status, const char *reason,
                          const char *message)
{
    buf_printf(out,
               "{\"lastHeartbeatTime\":\"2026-11-20T18:22:31Z\",\"lastTransitionTime\":\"2026-11-"
               "18T06:10:02Z\",\"message\":\"%s\","
               "\"reason\":\"%s\",\"status\":\"%s\",\"type\":\"%s\"}",
               message, reason, status, type);
}

static void put_node_status(struct buf *out, uint32_t node)
{
    buf_printf(out,
               "\"status\":{\"addresses\":[{\"address\":\"10.%u.%u.%u\",\"type\":\"InternalIP\"},{"
               "\"address\":\"",
               16 + node / 62500, node / 250 % 250, node % 250 + 2);
    gen_big_node_name(out, node);
    buf_lit(out, "\",\"type\":\"Hostname\"}],\"allocatable\":");
    put_resources(out, node, true);
    buf_lit(out, ",\"capacity\":");
    put_resources(out, node, false);
    buf_lit(out, ",\"conditions\":[");
    put_condition(out, "MemoryPressure", "False", "KubeletHasSufficientMemory",
                  "kubelet has sufficient memory available");
    buf_char(out, ',');
    put_condition(out, "DiskPressure", "False", "KubeletHasNoDiskPressure",
                  "kubelet has no disk pressure");
    buf_char(out, ',');
    put_condition(out, "PIDPressure", "False", "KubeletHasSufficientPID",
                  "kubelet has sufficient PID available");
    buf_char(out, ',');
    put_condition(out, "Ready", "True", "KubeletReady", "kubelet is posting ready status");
    buf_lit(out, "],\"daemonEndpoints\":{\"kubeletEndpoint\":{\"Port\":10250}},\"images\":[");
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t v = mix(node / 40 + i) % 9;
        buf_printf(out,
                   "%s{\"names\":[\"registry.example/game/"
                   "%s@sha256:%08x%08x%08x%08x%08x%08x%08x%08x\",\"registry.example/game/%s:v%u\"],"
                   "\"sizeBytes\":%u}",
                   i ? "," : "", fleets[i], mix(i), mix(v), mix(i + 9), mix(i + v), mix(i * 31),
                   mix(v * 17), mix(i + 77), mix(v + 5), fleets[i], v,
                   180000000u + mix(i + v) % 900000000u);
    }
    buf_printf(out,
               "],\"nodeInfo\":{\"architecture\":\"amd64\",\"bootID\":\"%08x-41c5-4b0e-9d58-"
               "5ed2a7ad1f6c\","
               "\"containerRuntimeVersion\":\"containerd://"
               "2.1.4\",\"kernelVersion\":\"6.12.48-59.amzn2023.x86_64\",\"kubeProxyVersion\":"
               "\"v1.36.1\",\"kubeletVersion\":\"v1.36.1\",\"machineID\":\"ec2%"
               "08x5d3c7f1e0b9a8c7d6e5f\",\"operatingSystem\":\"linux\","
               "\"osImage\":\"Amazon Linux "
               "2023\",\"systemUUID\":\"ec2%08x-5d3c-7f1e-0b9a-8c7d6e5f4a3b\"}}",
               mix(node), mix(node), mix(node));
}

void gen_big_node(struct buf *out, uint32_t node)
{
    const char *const *t = node_type(node);
    buf_printf(out,
               "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"annotations\":{\"alpha."
               "kubernetes.io/provided-node-ip\":\"10.%u.%u.%u\","
               "\"csi.volume.kubernetes.io/"
               "nodeid\":\"{\\\"ebs.csi.aws.com\\\":\\\"i-0%08x%08x\\\"}\",\"node.alpha.kubernetes."
               "io/ttl\":\"0\","
               "\"volumes.kubernetes.io/"
               "controller-managed-attach-detach\":\"true\"},\"creationTimestamp\":\"2026-11-18T06:"
               "09:40Z\",\"labels\":",
               16 + node / 62500, node / 250 % 250, node % 250 + 2, mix(node), mix(node + 1));
    put_labels(out, node);
    buf_lit(out, ",\"name\":\"");
    gen_big_node_name(out, node);
    buf_printf(out,
               "\",\"resourceVersion\":\"%u\",\"uid\":\"%08x-7a51-4a9f-8a52-%012x\"},\"spec\":{"
               "\"providerID\":\"aws:///%s%c/i-0%08x%08x\"",
               40000000 + node, mix(node), node, node_region(node), node_zone(node), mix(node),
               mix(node + 1));
    if (t[1][0] == 's') {
        buf_lit(out, ",\"taints\":[{\"effect\":\"NoSchedule\",\"key\":\"game.example/"
                     "spot\",\"value\":\"true\"}]");
    } else if (t[1][0] == 'g') {
        buf_lit(out, ",\"taints\":[{\"effect\":\"NoSchedule\",\"key\":\"nvidia.com/"
                     "gpu\",\"value\":\"present\"}]");
    }
    buf_lit(out, "},");
    put_node_status(out, node);
    buf_char(out, '}');
}

/* Five letters as Kubernetes makes them for generated names; the same number gives the same ones, another number others. */
static void generated(char ret[6], uint32_t number)
{
    static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
    uint32_t x = number * 9973u % 14348907u; /* 27^5; 9973 has no common divisor with it */
    for (int i = 0; i < 5; i++) {
        ret[i] = alphabet[x % 27];
        x /= 27;
    }
    ret[5] = '\0';
}

/* name, uid and the end of metadata of a game server's pod. */
static void put_game_meta(struct buf *out, uint32_t fleet, uint32_t serial)
{
    const char *f = fleets[fleet];
    char set[6], own[6], name[64];
    uint32_t b = mix(serial + fleet * 100003u);
    generated(set, 77 + fleet);
    generated(own, serial);
    snprintf(name, sizeof name, "%s-%s-%s", f, set, own);
    buf_printf(
        out,
        "\"metadata\":{\"annotations\":{\"agones.dev/container\":\"server\",\"agones.dev/"
        "ready-container-id\":\"\",\"agones.dev/sdk-version\":"
        "\"1.54.0\",\"cluster-autoscaler.kubernetes.io/"
        "safe-to-evict\":\"false\"},\"creationTimestamp\":\"2026-11-20T%02u:%02u:%02uZ\","
        "\"labels\":{\"agones.dev/fleet\":\"%s\",\"agones.dev/gameserver\":\"%s\",\"agones.dev/"
        "role\":\"gameserver\","
        "\"agones.dev/"
        "safe-to-evict\":\"Never\",\"app\":\"%s\"},\"name\":\"%s\",\"namespace\":\"games\","
        "\"ownerReferences\":["
        "{\"apiVersion\":\"agones.dev/"
        "v1\",\"blockOwnerDeletion\":true,\"controller\":true,\"kind\":\"GameServer\",\"name\":"
        "\"%s\",\"uid\":\"%08x-1c1b-4c55-9a7e-%012x\"}],\"resourceVersion\":\"%u\",\"uid\":\"%08x-"
        "5c2e-4b6f-9c01-%012x\"}",
        b % 24, b / 24 % 60, b / 1440 % 60, f, name, f, name, name, b, serial, 41000000 + serial,
        b ^ 0x5a5a5a5au, serial);
}

static void put_game_spec(struct buf *out, uint32_t fleet, uint32_t port)
{
    const char *f = fleets[fleet];
    buf_printf(
        out,
        "\"affinity\":{\"podAffinity\":{\"preferredDuringSchedulingIgnoredDuringExecution\":[{"
        "\"podAffinityTerm\":{\"labelSelector\":"
        "{\"matchLabels\":{\"agones.dev/role\":\"gameserver\"}},\"topologyKey\":\"kubernetes.io/"
        "hostname\"},\"weight\":100}]}},"
        "\"containers\":[{\"env\":[{\"name\":\"AGONES_SDK_GRPC_PORT\",\"value\":\"9357\"},{"
        "\"name\":\"AGONES_SDK_HTTP_PORT\",\"value\":"
        "\"9358\"},{\"name\":\"POD_NAME\",\"valueFrom\":{\"fieldRef\":{\"apiVersion\":\"v1\","
        "\"fieldPath\":\"metadata.name\"}}},"
        "{\"name\":\"MODE\",\"value\":\"%s-ranked\"}],\"image\":\"registry.example/game/"
        "%s:v%u\",\"imagePullPolicy\":\"IfNotPresent\","
        "\"livenessProbe\":{\"failureThreshold\":3,\"httpGet\":{\"path\":\"/"
        "gshealthz\",\"port\":8080,\"scheme\":\"HTTP\"},"
        "\"initialDelaySeconds\":5,\"periodSeconds\":5,\"successThreshold\":1,\"timeoutSeconds\":1}"
        ",\"name\":\"server\",\"ports\":["
        "{\"containerPort\":7654,\"hostPort\":%u,\"name\":\"default\",\"protocol\":\"UDP\"}],"
        "\"resources\":{\"limits\":{\"memory\":"
        "\"%uMi\"},\"requests\":{\"cpu\":\"%um\",\"memory\":\"%uMi\"}},\"terminationMessagePath\":"
        "\"/dev/termination-log\","
        "\"terminationMessagePolicy\":\"File\",\"volumeMounts\":[{\"mountPath\":\"/var/run/secrets/"
        "kubernetes.io/serviceaccount\","
        "\"name\":\"empty\",\"readOnly\":true}]},",
        f, f, fleet % 9, port, 2048 + fleet * 128, 500 + fleet % 5 * 250, 1024 + fleet * 128);
    buf_lit(out, "{\"args\":[\"--grpc-port=9357\",\"--http-port=9358\"],\"env\":[{\"name\":"
                 "\"GAMESERVER_NAME\",\"valueFrom\":{\"fieldRef\":"
                 "{\"apiVersion\":\"v1\",\"fieldPath\":\"metadata.name\"}}},{\"name\":\"FEATURE_"
                 "GATES\",\"value\":\"AutopilotPassthroughPort=true\"}],"
                 "\"image\":\"registry.example/agones/"
                 "agones-sdk:1.54.0\",\"imagePullPolicy\":\"IfNotPresent\",\"name\":\"agones-"
                 "gameserver-sidecar\","
                 "\"resources\":{\"requests\":{\"cpu\":\"30m\"}},\"terminationMessagePath\":\"/dev/"
                 "termination-log\",\"terminationMessagePolicy\":"
                 "\"File\",\"volumeMounts\":[{\"mountPath\":\"/var/run/secrets/kubernetes.io/"
                 "serviceaccount\",\"name\":\"kube-api-access-x2v9q\","
                 "\"readOnly\":true}]}],\"dnsPolicy\":\"ClusterFirst\",\"enableServiceLinks\":true,"
                 "\"preemptionPolicy\":\"PreemptLowerPriority\","
                 "\"priority\":0,\"restartPolicy\":\"Never\",\"schedulerName\":\"spawnpoint\","
                 "\"securityContext\":{},\"serviceAccount\":\"agones-sdk\","
                 "\"serviceAccountName\":\"agones-sdk\",\"terminationGracePeriodSeconds\":30,"
                 "\"tolerations\":[{\"effect\":\"NoSchedule\",\"key\":"
                 "\"game.example/"
                 "spot\",\"operator\":\"Exists\"},{\"effect\":\"NoExecute\",\"key\":\"node."
                 "kubernetes.io/not-ready\",\"operator\":"
                 "\"Exists\",\"tolerationSeconds\":300},{\"effect\":\"NoExecute\",\"key\":\"node."
                 "kubernetes.io/unreachable\",\"operator\":"
                 "\"Exists\",\"tolerationSeconds\":300}],\"volumes\":[{\"emptyDir\":{},\"name\":"
                 "\"empty\"},{\"name\":\"kube-api-access-x2v9q\","
                 "\"projected\":{\"defaultMode\":420,\"sources\":[{\"serviceAccountToken\":{"
                 "\"expirationSeconds\":3607,\"path\":\"token\"}},"
                 "{\"configMap\":{\"items\":[{\"key\":\"ca.crt\",\"path\":\"ca.crt\"}],\"name\":"
                 "\"kube-root-ca.crt\"}}]}}]");
}

static void put_pod_status(struct buf *out, uint32_t node, uint32_t pod)
{
    buf_lit(out, "\"status\":{\"conditions\":[");
    static const char *const types_of[] = {"PodReadyToStartContainers", "Initialized", "Ready",
                                           "ContainersReady", "PodScheduled"};
    for (size_t i = 0; i < SP_COUNTOF(types_of); i++) {
        buf_printf(out,
                   "%s{\"lastProbeTime\":null,\"lastTransitionTime\":\"2026-11-20T12:00:0%zuZ\","
                   "\"status\":\"True\",\"type\":\"%s\"}",
                   i ? "," : "", i, types_of[i]);
    }
    buf_printf(out,
               "],\"containerStatuses\":[{\"containerID\":\"containerd://"
               "%08x%08x%08x%08x%08x%08x%08x%08x\",\"image\":\"registry.example/game:v1\","
               "\"imageID\":\"registry.example/"
               "game@sha256:%08x%08x%08x%08x%08x%08x%08x%08x\",\"lastState\":{},\"name\":"
               "\"server\",\"ready\":true,"
               "\"restartCount\":0,\"started\":true,\"state\":{\"running\":{\"startedAt\":\"2026-"
               "11-20T12:00:05Z\"}}}],\"hostIP\":\"10.%u.%u.%u\","
               "\"phase\":\"Running\",\"podIP\":\"10.%u.%u.%u\",\"podIPs\":[{\"ip\":\"10.%u.%u.%"
               "u\"}],\"qosClass\":\"Burstable\",\"startTime\":"
               "\"2026-11-20T12:00:01Z\"}",
               mix(pod), mix(pod + 1), mix(pod + 2), mix(pod + 3), mix(pod + 4), mix(pod + 5),
               mix(pod + 6), mix(pod + 7), mix(1), mix(2), mix(3), mix(4), mix(5), mix(6), mix(7),
               mix(8), 16 + node / 62500, node / 250 % 250, node % 250 + 2, 100 + pod / 62500,
               pod / 250 % 250, pod % 250, 100 + pod / 62500, pod / 250 % 250, pod % 250);
}

static void put_daemon_pod(struct buf *out, uint32_t node, uint32_t slot, uint32_t pod)
{
    const char *name = slot == 0 ? "kube-proxy" : "node-agent";
    buf_printf(out,
               "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"creationTimestamp\":\"2026-"
               "11-18T06:09:44Z\",\"generateName\":\"%s-\","
               "\"labels\":{\"controller-revision-hash\":\"6b7f9c8d54\",\"k8s-app\":\"%s\",\"pod-"
               "template-generation\":\"3\"},\"name\":\"%s-%05x\","
               "\"namespace\":\"kube-system\",\"ownerReferences\":[{\"apiVersion\":\"apps/"
               "v1\",\"blockOwnerDeletion\":true,\"controller\":true,"
               "\"kind\":\"DaemonSet\",\"name\":\"%s\",\"uid\":\"8d1c3c52-90a4-4a65-b14e-"
               "00000000000%u\"}],\"resourceVersion\":\"%u\",\"uid\":"
               "\"%08x-2f1e-4d3c-8b7a-%012x\"},\"spec\":{\"affinity\":{\"nodeAffinity\":{"
               "\"requiredDuringSchedulingIgnoredDuringExecution\":"
               "{\"nodeSelectorTerms\":[{\"matchFields\":[{\"key\":\"metadata.name\",\"operator\":"
               "\"In\",\"values\":[\"",
               name, name, name, pod, name, slot, 42000000 + pod, mix(pod), pod);
    gen_big_node_name(out, node);
    buf_printf(
        out,
        "\"]}]}]}}},\"containers\":[{\"image\":\"registry.example/system/"
        "%s:v1.36.1\",\"imagePullPolicy\":\"IfNotPresent\",\"name\":\"%s\","
        "\"resources\":{\"requests\":{\"cpu\":\"100m\",\"memory\":\"64Mi\"}},\"securityContext\":{"
        "\"privileged\":true},"
        "\"terminationMessagePath\":\"/dev/"
        "termination-log\",\"terminationMessagePolicy\":\"File\"}],\"dnsPolicy\":\"ClusterFirst\","
        "\"hostNetwork\":true,\"nodeName\":\"",
        name, name);
    gen_big_node_name(out, node);
    buf_lit(out, "\",\"priority\":2000001000,\"priorityClassName\":\"system-node-critical\","
                 "\"restartPolicy\":\"Always\",\"schedulerName\":"
                 "\"default-scheduler\",\"tolerations\":[{\"operator\":\"Exists\"},{\"effect\":"
                 "\"NoSchedule\",\"key\":"
                 "\"node.kubernetes.io/unschedulable\",\"operator\":\"Exists\"}]},");
    put_pod_status(out, node, pod);
    buf_char(out, '}');
}

void gen_big_pod(struct buf *out, const struct gen_big *g, uint32_t pod)
{
    uint32_t node = pod % g->nodes, slot = pod / g->nodes;
    if (slot < SLOTS_DAEMON) {
        put_daemon_pod(out, node, slot, pod);
        return;
    }
    uint32_t fleet = mix(pod) % GEN_BIG_FLEETS;
    buf_lit(out, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",");
    put_game_meta(out, fleet, pod);
    buf_lit(out, ",\"spec\":{");
    put_game_spec(out, fleet, 7000 + slot * 10 + mix(pod) % 10);
    buf_lit(out, ",\"nodeName\":\"");
    gen_big_node_name(out, node);
    buf_lit(out, "\"},");
    put_pod_status(out, node, pod);
    buf_char(out, '}');
}

void gen_big_pending(struct buf *out, uint32_t fleet, uint32_t serial)
{
    buf_lit(out, "{");
    put_game_meta(out, fleet, 10000000 + serial);
    buf_lit(out, ",\"spec\":{");
    put_game_spec(out, fleet, 7500 + serial % 1000);
    buf_lit(out, "},\"status\":{\"phase\":\"Pending\",\"qosClass\":\"Burstable\"}}");
}

static void newline(struct buf *out, int depth)
{
    buf_char(out, '\n');
    for (int i = 0; i < depth; i++) {
        buf_lit(out, "    ");
    }
}

/* Compact JSON as kubectl prints it. */
static void indent_json(struct buf *out, struct str json, int depth)
{
    bool text = false;
    for (size_t i = 0; i < json.n; i++) {
        char c = json.p[i];
        if (text) {
            buf_char(out, c);
            if (c == '\\') {
                buf_char(out, json.p[++i]);
            } else if (c == '"') {
                text = false;
            }
        } else if (c == '{' || c == '[') {
            buf_char(out, c);
            if (json.p[i + 1] == '}' || json.p[i + 1] == ']') {
                buf_char(out, json.p[++i]);
            } else {
                newline(out, ++depth);
            }
        } else if (c == '}' || c == ']') {
            newline(out, --depth);
            buf_char(out, c);
        } else if (c == ',') {
            buf_char(out, c);
            newline(out, depth);
        } else if (c == ':') {
            buf_lit(out, ": ");
        } else {
            buf_char(out, c);
            text = c == '"';
        }
    }
}

void gen_big_dump(struct buf *out, const struct gen_big *g,
                  void (*flush)(void *arg, struct buf *out), void *arg)
{
    struct buf one;
    buf_init(&one, LIMIT_ITEM_BYTES);
    buf_lit(out, "{\n    \"apiVersion\": \"v1\",\n    \"items\": [");
    for (uint32_t i = 0; i < g->nodes + g->pods; i++) {
        buf_clear(&one);
        if (i < g->nodes) {
            gen_big_node(&one, i);
        } else {
            gen_big_pod(&one, g, i - g->nodes);
        }
        buf_lit(out, i ? ",\n        " : "\n        ");
        indent_json(out, buf_view(&one), 2);
        if (flush && out->n >= 1u << 20) {
            flush(arg, out);
        }
    }
    buf_lit(out, "\n    ],\n    \"kind\": \"List\",\n    \"metadata\": {\n        "
                 "\"resourceVersion\": \"\"\n    }\n}\n");
    if (flush) {
        flush(arg, out);
    }
    buf_done(&one);
}

void gen_big_config(struct buf *out, bool files)
{
    buf_lit(out,
            "apiVersion: spawnpoint.dev/v1alpha1\nkind: SpawnpointConfiguration\ncurrency: EUR\n");
    if (files) {
        buf_lit(out, "latency: {file: rtt.csv}\nprices: {file: prices.csv}\n");
    }
    buf_lit(out, "pools:\n");
    static const char *const pools[] = {"metal", "ondemand", "spot", "gpu"};
    for (size_t i = 0; i < SP_COUNTOF(pools); i++) {
        buf_printf(out, "- {name: %s, match: {matchLabels: {game.example/pool: %s}}}\n", pools[i],
                   pools[i]);
    }
    buf_lit(out, "fleets:\n");
    for (uint32_t f = 0; f < GEN_BIG_FLEETS; f++) {
        buf_printf(out,
                   "- name: %s\n  match: {matchLabels: {agones.dev/fleet: %s}}\n  players: %u\n  "
                   "latencyClass: %s\n  session: {p50: %um, p90: %um}\n"
                   "  zoneSpread: {topologyKey: topology.kubernetes.io/zone, maxPlayerShare: 0.5, "
                   "minDomains: 3}\n"
                   "  pools: [metal, ondemand, spot]\n  spot: {policy: allowed, minOnDemandShare: "
                   "0.3, maxPoolShare: 0.25}\n  demand: {",
                   fleets[f], fleets[f], 8 + f * 8, classes[f], 10 + f * 5, 20 + f * 10);
        for (uint32_t i = 0; i < 12; i++) {
            buf_printf(out, "%s%s: 0.%02u", i ? ", " : "",
                       countries[(f * 2 + i * 2 + i / 6) % N_COUNTRIES], 4 + (f + i) % 6);
        }
        buf_lit(out, "}\n");
    }
}

void gen_big_latency(struct buf *out)
{
    buf_lit(out, "from,to,rtt_ms,jitter_ms\n");
    for (uint32_t i = 0; i < N_COUNTRIES; i++) {
        for (uint32_t r = 0; r < SP_COUNTOF(regions); r++) {
            for (char z = 'a'; z <= 'c'; z++) {
                uint32_t far = i < 20 ? (r == 2 ? 85 : 12) : (i < 25 && r == 2 ? 30 : 70);
                buf_printf(out, "%s,%s%c,%u.%u,%u.%u\n", countries[i], regions[r], z,
                           far + mix(i * 9 + r) % 25, mix(i + r) % 10, 1 + mix(i) % 4,
                           mix(r + 3) % 10);
            }
        }
    }
}

void gen_big_prices(struct buf *out)
{
    buf_lit(out, "instance_type,region,capacity_type,price_per_hour\n");
    for (size_t t = 0; t < SP_COUNTOF(types); t++) {
        for (size_t r = 0; r < SP_COUNTOF(regions); r++) {
            unsigned cents = (unsigned)strtoul(types[t][3], NULL, 10) * 5;
            buf_printf(out, "%s,%s,on-demand,%u.%02u\n%s,%s,spot,%u.%02u\n", types[t][0],
                       regions[r], cents / 100, cents % 100, types[t][0], regions[r], cents / 300,
                       cents / 3 % 100);
        }
    }
}

void gen_big_order(struct gen_big *g)
{
    enum { ZONES = 9 };
    uint32_t next[ZONES] = {0}, n = 0;
    g->order = mem_alloc(g->nodes * sizeof *g->order);
    while (g->order && n < g->nodes) {
        for (uint32_t zone = 0; zone < ZONES; zone++) {
            while (next[zone] < g->nodes && (node_region(next[zone]) != regions[zone / 3] ||
                                             node_zone(next[zone]) != (char)('a' + zone % 3))) {
                next[zone]++;
            }
            if (next[zone] < g->nodes) {
                g->order[n++] = next[zone]++;
            }
        }
    }
}

void gen_big_done(struct gen_big *g)
{
    mem_free(g->order);
    g->order = NULL;
}

uint32_t gen_big_candidate(const struct gen_big *g, uint32_t first, uint32_t i)
{
    uint32_t at = (uint32_t)(((uint64_t)first + i) % g->nodes);
    return g->order ? g->order[at] : at;
}

void gen_big_request(struct buf *out, const struct gen_big *g, uint32_t fleet, uint32_t serial,
                     uint32_t n, uint32_t first, bool whole)
{
    buf_lit(out, "{\"Pod\":");
    gen_big_pending(out, fleet, serial);
    buf_lit(out,
            whole ? ",\"Nodes\":{\"metadata\":{},\"items\":[" : ",\"Nodes\":null,\"NodeNames\":[");
    for (uint32_t i = 0; i < n; i++) {
        uint32_t node = gen_big_candidate(g, first, i);
        buf_lit(out, i ? "," : "");
        if (whole) {
            gen_big_node(out, node);
        } else {
            buf_char(out, '"');
            gen_big_node_name(out, node);
            buf_char(out, '"');
        }
    }
    buf_lit(out, whole ? "]},\"NodeNames\":null}" : "]}");
}

static void give_up(const char *what, const struct err *err) __attribute__((noreturn));
static void give_up(const char *what, const struct err *err)
{
    fprintf(stderr, "gen_big: %s: %s\n", what, err->text);
    exit(1);
}

void gen_big_settings(struct settings *ret)
{
    struct err err = {0};
    struct buf b;
    buf_init(&b, LIMIT_ITEM_BYTES);
    gen_big_config(&b, false);
    if (config_load_bytes("generated", buf_view(&b), "", ret, &err) != 0) {
        give_up("configuration", &err);
    }
    buf_clear(&b);
    gen_big_latency(&b);
    if (config_read_latency_bytes(ret, "rtt.csv", buf_view(&b), &err) != 0) {
        give_up("latency", &err);
    }
    buf_clear(&b);
    gen_big_prices(&b);
    if (config_read_prices_bytes(ret, "prices.csv", buf_view(&b), &err) != 0) {
        give_up("prices", &err);
    }
    buf_done(&b);
}

void gen_big_cluster(const struct gen_big *g, const struct settings *s, struct cluster **ret)
{
    struct err err = {0};
    struct arena arena;
    struct buf b;
    arena_init(&arena, LIMIT_ITEM_ARENA);
    buf_init(&b, LIMIT_ITEM_BYTES);
    if (cluster_new(ret, s, &err) != 0) {
        give_up("cluster", &err);
    }
    for (uint32_t i = 0; i < g->nodes + g->pods; i++) {
        struct node_desc node;
        struct pod_desc pod;
        node_ix row;
        buf_clear(&b);
        arena_reset(&arena);
        bool is_node = i < g->nodes;
        if (is_node) {
            gen_big_node(&b, i);
        } else {
            gen_big_pod(&b, g, i - g->nodes);
        }
        int r = is_node ? k8s_decode_node(buf_view(&b), &arena, &node, &err)
                        : k8s_decode_pod(buf_view(&b), &arena, &pod, &err);
        if (r == 0) {
            r = is_node ? cluster_upsert_node(*ret, &node, &row, &err)
                        : cluster_upsert_pod(*ret, &pod, NULL, &err);
        }
        if (r != 0) {
            give_up(is_node ? "node" : "pod", &err);
        }
    }
    buf_done(&b);
    arena_done(&arena);
}
