#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The offline verbs from outside, byte for byte: what they print on the generated world, what they answer to bad input, and
that the examples of docs/cli.md run.

    run_golden.py            compares with tests/golden/sim/*.out
    run_golden.py --update   writes them anew (look at the difference before you commit it)

Environment: SPAWNPOINT_PROGRAM, the built program. Runs in the root of the tree. Timing is blanked before comparing.
"""
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import unittest
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.abspath(os.environ.get("SPAWNPOINT_PROGRAM", os.path.join(ROOT, "build/release/spawnpoint")))
GOLDEN = os.path.join(ROOT, "tests/golden/sim")
WORLD = os.path.join(GOLDEN, "world")
UPDATE = "--update" in sys.argv

# Name of the file, arguments; run in the world's folder.
CASES = [
    ("simulate.json", "simulate --cluster cluster.json --policy spawnpoint.yaml --placements -o json"),
    ("simulate-repack.jsonl", "simulate --cluster cluster.json --config spawnpoint.yaml --policy most-allocated "
                              "--policy random --seed 1 --seed 2 --repack -o jsonl"),
    ("simulate.csv", "simulate --cluster cluster.json --config spawnpoint.yaml --policy least-allocated -o csv"),
    ("simulate.txt", "simulate --cluster cluster.json --policy spawnpoint.yaml"),
    ("compare.txt", "compare --cluster cluster.json --config spawnpoint.yaml --policy spawnpoint "
                    "--policy least-allocated --repack"),
    ("compare.json", "compare --cluster cluster.json --config spawnpoint.yaml --policy least-allocated --policy random "
                     "--seed 1 --seed 2 --seed 3 --repack -o json"),
    ("explain.json", "explain --cluster cluster.json --policy spawnpoint.yaml --pod games/arena-27 -o json"),
    ("explain.txt", "explain --cluster cluster.json --policy spawnpoint.yaml --pod games/realm-11 --pod games/skyline-7"),
    ("explain-bound.json", "explain --cluster cluster.json --policy spawnpoint.yaml --pod games/realm-0 -o json"),
    ("help-simulate.txt", "simulate --help"),
    ("help-compare.txt", "compare --help"),
    ("help-explain.txt", "explain --help"),
    ("help-demo.txt", "demo --help"),
]


def run(args, cwd=WORLD, stdin=None, env=None):
    full = {"PATH": os.environ["PATH"], "LC_ALL": "C", **{k: v for k, v in os.environ.items() if "SAN_OPTIONS" in k},
            **(env or {})}
    words = shlex.split(args) if isinstance(args, str) else args
    return subprocess.run([PROGRAM, *words], cwd=cwd, env=full, input=stdin, capture_output=True, timeout=120)


def still(text):
    """The same bytes without the clock."""
    return re.sub(rb'"timing":\{[^}]*\}', b'"timing":{}', text)


def scrub(report):
    for r in report["runs"]:
        del r["timing"]
    return report


class Golden(unittest.TestCase):
    maxDiff = 4000

    def test_outputs(self):
        for name, args in CASES:
            with self.subTest(name):
                p = run(args)
                self.assertEqual((p.returncode, p.stderr), (0, b""), args)
                got, path = still(p.stdout), os.path.join(GOLDEN, name + ".out")
                if UPDATE:
                    with open(path, "wb") as f:
                        f.write(got)
                with open(path, "rb") as f:
                    self.assertEqual(got.decode(), f.read().decode(), "differs from tests/golden/sim/%s.out" % name)

    def test_twice_the_same(self):
        for _, args in CASES[:6]:
            self.assertEqual(still(run(args).stdout), still(run(args).stdout), args)

    def test_lines_are_short(self):
        for name, args in CASES:
            if name.endswith(".txt"):
                for line in run(args).stdout.decode().splitlines():
                    if "reproduce:" not in line and not line.lstrip().startswith(("kubectl", "spawnpoint", "usage")):
                        self.assertLessEqual(len(line), 110, "%s: %s" % (name, line))


class Runs(unittest.TestCase):
    def report(self, args, code=0, **kw):
        p = run(args + " -o json", **kw)
        self.assertEqual(p.returncode, code, p.stderr)
        return json.loads(p.stdout)

    def test_the_counts_add_up(self):
        for extra in ("", " --repack"):
            for policy in ("spawnpoint", "least-allocated", "most-allocated", "random"):
                p = self.report("simulate --cluster cluster.json --policy " + policy + extra)["runs"][0]["pods"]
                self.assertEqual(p["placed"] + p["pending"] + p["failed"], p["arrived"])
                self.assertEqual(p["bound"] + p["arrived"], 92)

    def test_repack_leaves_daemons(self):
        r = self.report("simulate --cluster cluster.json --repack --placements")["runs"][0]
        self.assertEqual((r["pods"]["bound"], r["pods"]["arrived"]), (35, 57))
        self.assertFalse([p for p in r["placements"] if p["pod"].startswith("kube-system/")])

    def test_runs_do_not_see_each_other(self):
        base = "simulate --cluster cluster.json --config spawnpoint.yaml --repack"
        alone = {p: self.report(base + " --policy " + p)["runs"][0]["hash"]
                 for p in ("spawnpoint", "least-allocated", "random")}
        for order in (("spawnpoint", "least-allocated", "random"), ("random", "spawnpoint", "least-allocated")):
            runs = self.report(base + "".join(" --policy " + p for p in order))["runs"]
            self.assertEqual({r["policy"]: r["hash"] for r in runs}, alone)

    def test_no_node_is_overcommitted(self):
        with open(os.path.join(WORLD, "cluster.json")) as f:
            items = json.load(f)["items"]
        cpu = {i["metadata"]["name"]: int(i["status"]["allocatable"]["cpu"]) * 1000 for i in items if i["kind"] == "Node"}
        need = {"%s/%s" % (i["metadata"]["namespace"], i["metadata"]["name"]):
                int(i["spec"]["containers"][0]["resources"]["requests"]["cpu"][:-1]) for i in items if i["kind"] == "Pod"}
        for policy in ("spawnpoint.yaml", "least-allocated", "most-allocated", "random"):
            run1 = self.report("simulate --cluster cluster.json --repack --placements --policy " + policy)["runs"][0]
            left = {n: c - 100 for n, c in cpu.items()}
            for p in run1["placements"]:
                if p["node"] is not None:
                    left[p["node"]] -= need[p["pod"]]
            self.assertGreaterEqual(min(left.values()), 0, policy)
            self.assertEqual(run1["nodes"]["used"], len({p["node"] for p in run1["placements"] if p["node"]}))

    def test_standard_input_for_every_run(self):
        with open(os.path.join(WORLD, "cluster.json"), "rb") as f:
            dump = f.read()
        r = self.report("compare --cluster - --policy spawnpoint --policy random --seed 3 --seed 4", stdin=dump)
        self.assertEqual([x["pods"]["arrived"] for x in r["runs"]], [14] * 4)
        same = self.report("simulate --cluster cluster.json")
        self.assertEqual(same["inputs"][0]["sha256"], r["inputs"][0]["sha256"])
        self.assertEqual(same["runs"][0]["hash"], r["runs"][0]["hash"])

    def test_one_seed_is_a_point_and_several_an_interval(self):
        base = "compare --cluster cluster.json --repack --policy least-allocated --policy random"
        for c in self.report(base)["comparison"]:
            self.assertEqual(c["interval"], [c["difference"]] * 2)
            self.assertEqual(c["policies"], ["least-allocated", "random"])
        several = self.report(base + " --seed 1 --seed 2 --seed 3 --seed 4")
        used = [c for c in several["comparison"] if c["metric"] == "nodes.used"][0]
        mean = sum(r["nodes"]["used"] for r in several["runs"][4:]) / 4 - several["runs"][0]["nodes"]["used"]
        self.assertAlmostEqual(used["difference"], mean)
        self.assertLess(used["interval"][0], used["difference"])

    def test_expectations(self):
        base = "simulate --cluster cluster.json --policy spawnpoint.yaml --expect "
        for expr, code in (("'pods.failed == 1'", 0), ("'pods.failed != 1'", 3), ("'latency.p90Ms<60'", 0),
                           ("'latency.byFleet.arena.p95Ms <= 1'", 3), ("'sessions.started >= 0'", 3),
                           ("'cost.byCapacityType.spot < 1e3'", 0), ("'cost.byFleet.realm > 0'", 0),
                           ("'latency.p9Ms < 60'", 2), ("'latency.p90Ms = 60'", 2), ("'latency.p90Ms < x'", 2),
                           ("''", 2), ("'< 3'", 2), ("'latency.byFleet.nobody.p90Ms < 3'", 2)):
            p = run(base + expr)
            self.assertEqual(p.returncode, code, (expr, p.stderr))
            self.assertEqual(bool(p.stdout), code != 2, expr)

    def test_csv_is_a_table(self):
        import csv
        rows = list(csv.DictReader(run("simulate --cluster cluster.json --placements -o csv").stdout.decode().splitlines()))
        self.assertEqual(len(rows), 14)
        self.assertEqual(sum(r["node"] == "" for r in rows), 1)

    def test_no_time_no_players_is_null(self):
        r = self.report("simulate --cluster -", stdin=b'{"apiVersion":"v1","kind":"List","items":[]}')["runs"][0]
        self.assertEqual((r["latency"], r["spot"], r["sessions"], r["pendingSeconds"], r["nodes"]["hours"]), (None,) * 5)
        self.assertIsNone(r["cost"]["perPlayerHour"])
        self.assertEqual(r["pods"], dict.fromkeys(("bound", "arrived", "placed", "pending", "failed", "preempted"), 0))

    def test_colour_only_when_wanted(self):
        for args in ("simulate --cluster cluster.json", "explain --cluster cluster.json --pod games/arena-27"):
            self.assertNotIn(b"\033", run(args).stdout)
            self.assertIn(b"\033", run(args + " --color always").stdout)
            self.assertNotIn(b"\033", run(args + " --color never").stdout)


class Bad(unittest.TestCase):
    def refused(self, args, code, *parts, **kw):
        p = run(args, **kw)
        err = p.stderr.decode()
        self.assertEqual((p.returncode, p.stdout), (code, b""), (args, err))
        for part in parts:
            self.assertIn(part, err, args)
        self.assertNotIn("runtime error", err)

    def test_usage(self):
        for args, part in (("simulate", "--cluster"), ("simulate --cluster cluster.json --polcy x", '"--policy"'),
                           ("simulate --cluster", "needs a value"), ("simulate --cluster=", "needs a value"),
                           ("simulate --cluster cluster.json --scenario x", "unknown option"),
                           ("simulate --cluster cluster.json --report x", "unknown option"),
                           ("simulate --cluster cluster.json --shard 1/2", "unknown option"),
                           ("simulate --cluster cluster.json --until 1h", "unknown option"),
                           ("simulate --cluster cluster.json --pol spawnpoint", "unknown option"),
                           ("simulate --cluster cluster.json --seed -1", "--seed"),
                           ("simulate --cluster cluster.json --seed 1.5", "--seed"),
                           ("simulate --cluster cluster.json --repack=yes", "no value"),
                           ("simulate --cluster cluster.json -o xml", "table, json, jsonl, csv"),
                           ("simulate cluster.json", "unexpected argument"),
                           ("simulate --cluster east=cluster.json", "NAME=PATH"),
                           ("simulate --cluster cluster.json --policy kube-1.37",
                            "spawnpoint, least-allocated, most-allocated, random"),
                           ("compare --cluster cluster.json --policy random", "two"),
                           ("explain --cluster cluster.json", "--pending"),
                           ("explain --cluster cluster.json --pod a --pending", "exclude"),
                           ("explain --server http://127.0.0.1:1 --cluster cluster.json --pod a", "--server"),
                           ("explain --cluster cluster.json --pod a --policy no-such", "there is"),
                           ("demo now", "unexpected argument")):
            self.refused(args, 2, part)

    def test_files(self):
        with tempfile.TemporaryDirectory() as d:
            for name, text in (("cut.json", '{"apiVersion":"v1","kind":"List",\n "items":[{"kind":"Node",}]}'),
                               ("bad.yaml", "apiVersion: v1\nkind: Node\nmetadata: {name: [\n"), ("empty.json", ""),
                               ("quantity.json", '{"apiVersion":"v1","kind":"Node","metadata":{"name":"a"},\n'
                                '"status":{"allocatable":{"cpu":"four"}}}'),
                               ("ksc.yaml", "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"),
                               ("config.yaml", "apiVersion: spawnpoint.dev/v1alpha1\nkind: SpawnpointConfiguration\n"
                                "curency: EUR\n"), ("rtt.csv", "from,to,rtt_ms\nDE,eu-central-1,fast\n")):
                with open(os.path.join(d, name), "w") as f:
                    f.write(text)
            path = lambda n: os.path.join(d, n)
            self.refused("simulate --cluster " + path("cut.json"), 1, "cut.json:2:")
            self.refused("simulate --cluster " + path("bad.yaml"), 1, "bad.yaml:")
            self.refused("simulate --cluster " + path("empty.json"), 1, "empty.json")
            self.refused("simulate --cluster " + path("absent.json"), 1, "absent.json")
            self.refused("simulate --cluster " + path("quantity.json"), 1, "quantity.json:", "cpu")
            self.refused("simulate --cluster cluster.json --policy " + path("ksc.yaml"), 2, "ksc.yaml:2:",
                         "KubeSchedulerConfiguration")
            self.refused("simulate --cluster cluster.json --policy " + path("config.yaml"), 1, "config.yaml:3:", "currency")
            self.refused("simulate --cluster cluster.json --policy " + path("absent.yaml"), 1, "absent.yaml")
            self.refused("simulate --cluster cluster.json --latency " + path("rtt.csv"), 1, "rtt.csv:2:")
            self.refused("simulate --cluster cluster.json --prices " + path("absent.csv"), 1, "absent.csv")

    def test_empty_cluster_and_no_pods(self):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}}
        r = json.loads(run("simulate --cluster - -o json", stdin=json.dumps(pod).encode()).stdout)["runs"][0]
        self.assertEqual((r["pods"]["pending"], r["nodes"]["total"]), (1, 0))
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}
        r = json.loads(run("simulate --cluster - -o json", stdin=json.dumps(node).encode()).stdout)["runs"][0]
        self.assertEqual((r["pods"]["arrived"], r["nodes"]["empty"]), (0, 1))
        with tempfile.TemporaryDirectory() as d:
            p = run("simulate --cluster " + d)
            self.assertEqual(p.returncode, 0)
            self.assertIn(b"warning: ", p.stderr)

    def test_hostile_names_reach_no_terminal(self):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a\033[31mb\u009b"}, "spec": {}}
        p = run("simulate --cluster - --placements", stdin=json.dumps(pod).encode(), env={"LC_ALL": "C.UTF-8"})
        self.assertNotIn(b"\033", p.stdout + p.stderr)
        self.assertNotIn("\u009b".encode(), p.stdout)

    def test_explain(self):
        self.refused("explain --cluster cluster.json --pod games/arena-2x", 1, 'did you mean "games/arena-2')
        self.refused("explain --cluster cluster.json --pod arena-27", 1, '"arena-27"')
        self.refused("explain --server http://127.0.0.1:9 --pod games/a -o json", 1, "127.0.0.1")
        self.refused("explain --server file:///etc/passwd --pod games/a -o json", 1, "file")

    def test_gated_pods_wait_for_their_gate(self):
        items = [{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"},
                  "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "10"}}},
                 {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "x"},
                  "spec": {"schedulingGates": [{"name": "g"}], "containers": [{"name": "c"}]}}]
        dump = json.dumps({"apiVersion": "v1", "kind": "List", "items": items}).encode()
        x = json.loads(run("explain --cluster - --pod x/p -o json", stdin=dump).stdout)
        self.assertIsNone(x["chosen"])
        self.assertEqual(x["best"], [])
        self.assertEqual(x["nodes"][0]["rejectedBy"]["plugin"], "SchedulingGates")
        self.assertEqual(json.loads(run("explain --cluster - --pending -o json", stdin=dump).stdout)["items"], [])


class Live(unittest.TestCase):
    """With a server of this very program on loopback."""

    def test_demo(self):
        with tempfile.TemporaryDirectory() as d:
            p = run("demo", env={"TMPDIR": d, "LC_ALL": "C.UTF-8"})
            self.assertEqual((p.returncode, p.stderr), (0, b""))
            self.assertEqual(os.listdir(d), [])
        lines = p.stdout.decode().splitlines()
        self.assertLess(len(lines), 60)
        self.assertLessEqual(max(map(len, lines)), 100)
        self.assertEqual(len([x for x in lines if "one out" in x and "no node" not in x]), 3)
        self.assertNotIn("\033", p.stdout.decode())
        self.assertIn(b"\033", run("demo --color always").stdout)

    def test_explain_asks_a_server(self):
        p = subprocess.Popen([PROGRAM, "serve", "--snapshot", "cluster.json", "--config", "spawnpoint.yaml", "--listen",
                              "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"], cwd=WORLD, stderr=subprocess.PIPE)
        try:
            for line in p.stderr:
                ready = re.search(rb"ready extender=(\S+) admin=(\S+)", line)
                if ready:
                    break
            extender, admin = (x.decode() for x in ready.groups())
            with open(os.path.join(WORLD, "cluster.json")) as f:
                items = json.load(f)["items"]
            pod = [i for i in items if i["kind"] == "Pod" and i["metadata"]["name"] == "realm-11"][0]
            names = [i["metadata"]["name"] for i in items if i["kind"] == "Node"]
            req = urllib.request.Request("http://%s/filter" % extender, json.dumps({"Pod": pod, "NodeNames": names}).encode(),
                                         {"Content-Type": "application/json"})
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(req, timeout=30) as reply:
                answer = json.load(reply)
            q = run("explain --server http://%s/ --pod games/realm-11 -o json" % admin)
            self.assertEqual((q.returncode, q.stderr), (0, b""))
            x = json.loads(q.stdout)
            self.assertEqual((x["pod"], [x["chosen"]]), ("games/realm-11", answer["NodeNames"]))
            q = run("explain --server http://%s --pod games/never-seen -o json" % admin)
            self.assertEqual((q.returncode, q.stdout), (1, b""))
            self.assertIn(b"games/never-seen", q.stderr)
        finally:
            p.terminate()
            p.stderr.read()
            p.stderr.close()
            p.wait(timeout=30)


class Docs(unittest.TestCase):
    """Lines that begin with "spawnpoint " in ```sh blocks of docs/cli.md and docs/simulator.md run in the world's folder and
    exit 0, or as "# exit N" behind them says."""

    def test_examples(self):
        n = 0
        for name in ("docs/cli.md", "docs/simulator.md"):
            with open(os.path.join(ROOT, name)) as f:
                blocks = re.findall(r"```sh\n(.*?)```", f.read(), re.S)
            for line in "".join(blocks).replace("\\\n", " ").splitlines():
                want = re.search(r"# exit (\d+)\s*$", line)
                line = line.split("  #")[0]
                if line.startswith("spawnpoint ") and not re.match(r"spawnpoint (serve|demo|explain --server)", line):
                    n += 1
                    words = shlex.split(line)[1:]
                    stdin = None
                    if "<" in words:
                        at = words.index("<")
                        with open(os.path.join(WORLD, words[at + 1]), "rb") as f:
                            stdin = f.read()
                        words = words[:at]
                    p = run(words, stdin=stdin)
                    self.assertEqual(p.returncode, int(want.group(1)) if want else 0, (line, p.stderr))
        self.assertGreater(n, 8)


class Data(unittest.TestCase):
    """Real dumps: they load, and what was to be placed is accounted for."""
    DATA = os.environ.get("SPAWNPOINT_TEST_DATA", os.path.join(ROOT, "../shared/data"))

    def setUp(self):
        if not os.path.isdir(os.path.join(self.DATA, "snapshots")):
            self.skipTest("SPAWNPOINT_TEST_DATA is not there")

    def check(self, args, nodes, arrived=None):
        p = run("simulate " + args + " -o json", cwd=self.DATA)
        self.assertEqual(p.returncode, 0, p.stderr)
        r = json.loads(p.stdout)["runs"][0]
        self.assertEqual(r["nodes"]["total"], nodes, args)
        self.assertEqual(r["pods"]["placed"] + r["pods"]["pending"] + r["pods"]["failed"], r["pods"]["arrived"])
        if arrived is not None:
            self.assertEqual(r["pods"]["arrived"], arrived, args)
        return r

    def test_snapshots(self):
        self.check("--cluster snapshots/troubleshoot-k3s-bundle --repack", 1)
        self.check("--cluster snapshots/troubleshoot-nodes-7.json", 7, 0)
        self.check("--cluster snapshots/cloudability-podlist.json", 0, 0)
        self.check("--cluster snapshots/fgd-quickstart/test-cluster", 2, 3)
        self.check("--cluster snapshots/openshift-insights/config --repack", 2)
        self.check("--cluster snapshots/open-simulator/cluster", 6)

    def test_openb(self):
        self.check("--cluster openb/node_yaml/openb_node_list_gpu_node.yaml", 1213, 0)
        r = self.check("--cluster openb:openb/csv/openb_node_list_gpu_node.csv "
                       "--workload openb:openb/csv/openb_pod_list_default.csv --policy least-allocated", 1213, 8152)
        self.assertEqual(r["gpu"]["capacityMilli"], 6212000)
        self.assertEqual(r["pods"]["failed"], 0)
        self.assertGreater(r["gpu"]["allocatedMilli"], 0.9 * 6212000)
        self.assertLessEqual(r["gpu"]["allocatedMilli"], r["gpu"]["arrivedMilli"])


if __name__ == "__main__":
    if UPDATE:
        sys.argv.remove("--update")
    unittest.main(verbosity=1)
