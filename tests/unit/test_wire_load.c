/* Loading: forms of input, faults with their places, controllers into pods, and the real dumps.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/settings.h"
#include "wire/load.h"

static struct settings settings;
static struct cluster *c;
static struct loaded l;
static struct err err;

static void open_all(void)
{
    err = ERR_NONE;
    assert_int_equal(settings_default(&settings, &err), 0);
    assert_int_equal(cluster_new(&c, &settings, &err), 0);
    assert_int_equal(loaded_init(&l, c, &err), 0);
}

static void close_all(void)
{
    loaded_done(&l);
    cluster_free(c);
    settings_done(&settings);
}

static int load(const char *text, bool workload)
{
    int rc = load_bytes(&l, "in", str_c(text), workload, &err);
    return rc == 0 ? load_finish(&l, &err) : rc;
}

static bool has(const char *ns, const char *name)
{
    return cluster_find_pod(c, str_c(ns), str_c(name)).v != IX_NONE;
}

static uint64_t noted(const char *what)
{
    for (size_t i = 0; i < l.not_modelled.n; i++) {
        if (strcmp(l.not_modelled.p[i].what, what) == 0) {
            return l.not_modelled.p[i].count;
        }
    }
    return 0;
}

#define NODE(name) "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"" name "\"}}"
#define POD(name, spec)                                                             \
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"" name "\"}," \
    "\"spec\":{" spec "}}"

static void test_forms(void **state)
{
    static const struct {
        const char *text;
        uint32_t nodes, pods;
    } cases[] = {
        {"{\"apiVersion\":\"v1\",\"items\":[" POD("p", "") "," NODE("n") "],\"kind\":\"List\"}", 1,
         1},
        {"{\"kind\":\"NodeList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[{\"metadata\":{"
         "\"name\":\"a\"}},"
         "{\"metadata\":{\"name\":\"b\"}}]}",
         2, 0},
        {"{\"apiVersion\":\"v1\",\"items\":[{\"metadata\":{\"name\":\"a\"},\"spec\":{"
         "\"containers\":[]}}],"
         "\"kind\":\"PodList\"}",
         0, 1},
        {NODE("n") "\n" NODE("n") POD("p", "\"nodeName\":\"n\""), 1, 1},
        {"[" NODE("n") "]", 1, 0},
        {"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Node\n  metadata: {name: "
         "n}\n",
         1, 0},
        {"---\napiVersion: v1\nkind: Node\nmetadata: {name: n}\n---\n---\napiVersion: v1\nkind: "
         "Pod\nmetadata: "
         "{name: p}\n",
         1, 1},
        {"\xef\xbb\xbf" NODE("n"), 1, 0},
        {"{\"kind\":\"NodeList\",\"apiVersion\":\"v1\",\"items\":null}", 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < SP_COUNTOF(cases); i++) {
        open_all();
        if (load(cases[i].text, false) != 0 || c->n_nodes != cases[i].nodes ||
            c->n_pods_live != cases[i].pods) {
            fail_msg("%zu: %s; %u nodes, %u pods", i, err.text, c->n_nodes, c->n_pods_live);
        }
        close_all();
    }
}

static void test_faults(void **state)
{
    static const struct {
        const char *text;
        uint32_t line, column;
        const char *part;
    } cases[] = {
        {"{\"a\":1}", 1, 1, "not a Kubernetes object"},
        {"", 1, 1, "an empty file"},
        {"{\"apiVersion\":\"v1\",\"items\":[\n" NODE("n") ",\n  {\"kind\":5]", 3, 12, "expected"},
        {"[\n " POD("p", "\"containers\":[{\"resources\":{\"requests\":{\"cpu\":\"1x\"}}}]") "]", 2,
         112, "spec.containers[0].resources.requests.cpu"},
        {"apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: a}\nvalue: "
         "2000000000\n",
         4, 8, "1000000000"},
        {"apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: "
         "system-x}\nvalue: "
         "2\n",
         3, 18, "reserved"},
        {"apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  topologySpreadConstraints:\n  - "
         "maxSkew: 0\n    "
         "topologyKey: z\n",
         6, 14, "maxSkew"},
        {"apiVersion: agones.dev/v1\nkind: Fleet\nmetadata: {name: f}\nspec:\n  template:\n    "
         "spec:\n      "
         "container: {name: x}\n",
         7, 18, "containers"},
        {"a: [1\nb: 2\n", 2, 2, "flow sequence"},
        {"\xff\xfe{", 1, 1, "UTF-16"},
    };
    (void)state;
    for (size_t i = 0; i < SP_COUNTOF(cases); i++) {
        open_all();
        int rc = load(cases[i].text, false);
        if (rc != -22 || err.line != cases[i].line || err.column != cases[i].column ||
            !strstr(err.text, cases[i].part)) {
            fail_msg("%zu: %d %u:%u %s", i, rc, err.line, err.column, err.text);
        }
        close_all();
    }
}

static void test_waiting(void **state)
{
    (void)state;
    open_all();
    assert_int_equal(
        load(
            POD("b", "") POD("gone", "\"nodeName\":\"x\"")
                POD("gated", "\"schedulingGates\":[{\"name\":\"g\"}]") POD(
                    "a",
                    "") "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"end\"},"
                        "\"status\":{\"phase\":\"Failed\"}}"
                        "{\"apiVersion\":\"mysql.oracle.com/v2\",\"kind\":\"InnoDBCluster\","
                        "\"metadata\":{\"name\":\"m\"}}"
                        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"m\"}}",
            false),
        0);
    assert_int_equal(l.waiting.n, 2);
    assert_true(l.waiting.p[0].v == cluster_find_pod(c, STR("default"), STR("b")).v);
    assert_int_equal(noted("pod bound to a node that is not in the input"), 1);
    assert_int_equal(noted("kind InnoDBCluster.mysql.oracle.com"), 1);
    assert_int_equal(l.not_modelled.n, 2);
    assert_false(has("default", "end"));
    close_all();
}

#define TEMPLATE \
    "template: {metadata: {labels: {app: x}}, spec: {containers: [{name: c, image: i}]}}"

static void test_controllers(void **state)
{
    static const struct {
        const char *kind, *spec;
        uint32_t pods;
        const char *one;
    } cases[] = {
        {"apps/v1\nkind: Deployment", "replicas: 3, " TEMPLATE, 3, "w-2"},
        {"apps/v1\nkind: ReplicaSet", TEMPLATE, 1, "w-0"},
        {"v1\nkind: ReplicationController", "replicas: 2, selector: {app: x}, " TEMPLATE, 2, "w-1"},
        {"apps/v1\nkind: StatefulSet", "replicas: 2, ordinals: {start: 5}, " TEMPLATE, 2, "w-6"},
        {"apps/v1\nkind: DaemonSet", TEMPLATE, 2, "w-1"},
        {"batch/v1\nkind: Job", "parallelism: 4, completions: 3, " TEMPLATE, 3, "w-2"},
        {"batch/v1\nkind: Job", "suspend: true, " TEMPLATE, 0, NULL},
        {"batch/v1\nkind: CronJob", "jobTemplate: {spec: {" TEMPLATE "}}", 1, "w-0"},
        {"agones.dev/v1\nkind: Fleet",
         "replicas: 2, template: {spec: {ports: [{containerPort: 7}],"
         " " TEMPLATE "}}",
         2, "w-1"},
        {"agones.dev/v1\nkind: GameServer", TEMPLATE, 1, "w-0"},
        {"game.kruise.io/v1alpha1\nkind: GameServerSet",
         "replicas: 2, reserveGameServerIds: [0], "
         "gameServerT"
         "emplate: {spec: {containers: [{name: c}]}}",
         2, "w-2"},
    };
    (void)state;
    for (size_t i = 0; i < SP_COUNTOF(cases); i++) {
        char text[1200];
        snprintf(
            text, sizeof text,
            "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n---\napiVersion: v1\nkind: "
            "Node\nmetadata: {name: n2}\n---\n"
            "apiVersion: v1\nkind: Node\nmetadata: {name: n3}\nspec: {taints: [{key: t, effect: "
            "NoSchedule}]}\n---\n"
            "apiVersion: %s\nmetadata: {name: w, namespace: g}\nspec: {%s}\n",
            cases[i].kind, cases[i].spec);
        open_all();
        if (load(text, false) != 0 || l.waiting.n != cases[i].pods ||
            (cases[i].one != NULL && !has("g", cases[i].one))) {
            fail_msg("%s: %zu pods, %s", cases[i].kind, l.waiting.n, err.text);
        }
        assert_int_equal(cluster_verify(c, &err), 0);
        close_all();
    }
}

/* What exists is taken off in a cluster, and not in a workload. */
static void test_lacking(void **state)
{
    static const char text[] =
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: w}\nspec: {replicas: 3, " TEMPLATE
        "}\n---\n"
        "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: w-77, uid: u1, ownerReferences: "
        "[{kind: Deployment,"
        " name: w, controller: true}]}\n"
        "spec: {replicas: 3, " TEMPLATE "}\n---\n"
        "apiVersion: v1\nkind: Pod\nmetadata: {name: w-77-abc, ownerReferences: [{kind: "
        "ReplicaSet, name: w-77, "
        "uid: u1, controller: true}]}\nspec: {nodeName: n}\n";
    (void)state;
    open_all();
    assert_int_equal(load(text, false), 0);
    assert_int_equal(l.waiting.n, 2);
    close_all();
    open_all();
    assert_int_equal(load(text, true), 0);
    assert_int_equal(l.waiting.n, 3);
    close_all();
}

static void test_static_port(void **state)
{
    (void)state;
    open_all();
    assert_int_equal(
        load("apiVersion: agones.dev/v1\nkind: Fleet\nmetadata: {name: f}\nspec: {replicas: 1, "
             "template: {spec: {ports: [{containerPort: 27015, portPolicy: Static}], " TEMPLATE
             "}}}\n",
             false),
        0);
    assert_int_equal(l.warnings.n, 1);
    assert_non_null(strstr(l.warnings.p[0].text, "in:4:"));
    const struct pod_row *p = &c->pod[l.waiting.p[0].v];
    assert_int_equal(p->req.n_ports, 1);
    assert_int_equal(p->req.ports[0].port, 27015);
    close_all();
}

/* Skips the test when it is not there: call it before anything is opened. */
static const char *data(const char *path)
{
    static char full[4096];
    const char *root = getenv("SPAWNPOINT_TEST_DATA");
    snprintf(full, sizeof full, "%s/%s", root != NULL ? root : "../shared/data", path);
    FILE *f = fopen(full, "rb");
    if (f == NULL) {
        print_message("skipped: %s is not there\n", full);
        skip();
    }
    fclose(f);
    return full;
}

static void test_openb(void **state)
{
    (void)state;
    char csv[4200];
    snprintf(csv, sizeof csv, "openb:%s", data("openb/csv/openb_pod_list_gpuspec33.csv"));
    const char *nodes = data("openb/node_yaml/openb_node_list_gpu_node.yaml");
    open_all();
    assert_int_equal(load_path(&l, nodes, false, &err), 0);
    assert_int_equal(load_path(&l, csv, false, &err), 0);
    assert_int_equal(load_finish(&l, &err), 0);
    assert_int_equal(c->n_nodes, 1213);
    assert_int_equal(l.waiting.n, 8152);
    close_all();
}

static void test_snapshots(void **state)
{
    static const struct {
        const char *path;
        uint32_t nodes, pods;
    } cases[] = {{"snapshots/troubleshoot-nodes-7.json", 7, 0},
                 {"snapshots/cloudability-podlist.json", 0, 6},
                 {"snapshots/openshift-insights", 2, 33},
                 {"snapshots/troubleshoot-k3s-bundle", 1, 6},
                 {"snapshots/fgd-quickstart/test-cluster", 2, 3}};
    (void)state;
    for (size_t i = 0; i < SP_COUNTOF(cases); i++) {
        const char *path = data(cases[i].path);
        open_all();
        if (load_path(&l, path, false, &err) != 0 || load_finish(&l, &err) != 0 ||
            c->n_nodes != cases[i].nodes || c->n_pods_live != cases[i].pods) {
            fail_msg("%s: %u nodes, %u pods: %s", cases[i].path, c->n_nodes, c->n_pods_live,
                     err.text);
        }
        assert_int_equal(cluster_verify(c, &err), 0);
        close_all();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),   cmocka_unit_test(test_faults),
        cmocka_unit_test(test_waiting), cmocka_unit_test(test_controllers),
        cmocka_unit_test(test_lacking), cmocka_unit_test(test_static_port),
        cmocka_unit_test(test_openb),   cmocka_unit_test(test_snapshots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
