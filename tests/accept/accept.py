#!/usr/bin/env python3
"""The public interface, asked of the built program from outside: commands, flags, fields, exit codes.

SPDX-License-Identifier: Apache-2.0

Needs only the program (environment SPAWNPOINT_BIN) and Python's standard library. Everything it feeds in is made here.
"""
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

BIN = os.environ.get("SPAWNPOINT_BIN", os.path.join(os.path.dirname(__file__), "../../build/release/spawnpoint"))


def node(name, zone="eu-central-1a", region="eu-central-1", cpu="8", mem="32Gi", pods="110", labels=None,
         taints=None, alloc=None, unschedulable=False, itype=None):
    lab = {"kubernetes.io/hostname": name}
    if zone:
        lab["topology.kubernetes.io/zone"] = zone
    if region:
        lab["topology.kubernetes.io/region"] = region
    if itype:
        lab["node.kubernetes.io/instance-type"] = itype
    lab.update(labels or {})
    a = {"cpu": cpu, "memory": mem, "pods": pods}
    a.update(alloc or {})
    spec = {}
    if taints:
        spec["taints"] = taints
    if unschedulable:
        spec["unschedulable"] = True
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": lab}, "spec": spec,
            "status": {"allocatable": a, "capacity": a, "conditions": [{"type": "Ready", "status": "True"}]}}


def pod(name, ns="games", cpu="1", mem="1Gi", on=None, labels=None, ann=None, uid=None, phase=None, **spec):
    req = {}
    if cpu:
        req["cpu"] = cpu
    if mem:
        req["memory"] = mem
    c = {"name": "server", "image": "registry.example/game:v1", "resources": {"requests": req}}
    c.update(spec.pop("container", {}))
    s = {"containers": [c], "schedulerName": "spawnpoint"}
    s.update(spec)
    if on:
        s["nodeName"] = on
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": ns, "uid": uid or "uid-" + ns + "-" + name,
                         "labels": labels or {}, "annotations": ann or {},
                         "creationTimestamp": "2026-11-21T07:00:00Z"},
            "spec": s, "status": {"phase": phase or ("Running" if on else "Pending")}}


class Base(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory()
        self.addCleanup(self.tmp.cleanup)

    def file(self, name, content):
        path = os.path.join(self.tmp.name, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(content if isinstance(content, str) else json.dumps(content))
        return path

    def cluster(self, *items, name="cluster.json"):
        return self.file(name, {"apiVersion": "v1", "kind": "List", "items": list(items)})

    def run_ok(self, *args, code=0, stdin=None):
        p = subprocess.run([BIN, *args], capture_output=True, text=True, timeout=60, input=stdin)
        self.assertEqual(p.returncode, code, "%s\nstdout: %s\nstderr: %s" % (args, p.stdout[:2000], p.stderr[:2000]))
        return p

    def explain(self, cluster, name, *args, ns="games"):
        p = self.run_ok("explain", "--cluster", cluster, "--pod", ns + "/" + name, *args, "-o", "json")
        return json.loads(p.stdout)

    def simulate(self, *args, code=0):
        return json.loads(self.run_ok("simulate", *args, "-o", "json", code=code).stdout)

    def by_name(self, ex):
        return {n["name"]: n for n in ex["nodes"]}


class Explain(Base):
    FIELDS = ["kind", "pod", "policy", "dialect", "chosen", "best", "message", "decidedBy", "margin", "unit", "runnerUp",
              "whatIf", "inputs", "preemption", "notModelled", "nodes"]

    def test_shape_and_in_tree_reasons(self):
        c = self.cluster(node("good"), node("cordoned", unschedulable=True),
                         node("tainted", taints=[{"key": "dedicated", "value": "db", "effect": "NoSchedule"}]),
                         node("small", cpu="500m"), pod("p"))
        ex = self.explain(c, "p")
        for f in self.FIELDS:
            self.assertIn(f, ex)
        self.assertEqual(ex["kind"], "Explanation")
        self.assertEqual(ex["pod"], "games/p")
        self.assertEqual(ex["policy"], "spawnpoint")
        self.assertIsNone(ex["dialect"])
        self.assertEqual(ex["chosen"], "good")
        self.assertEqual(ex["best"], ["good"])
        self.assertEqual([n["name"] for n in ex["nodes"]], ["cordoned", "good", "small", "tainted"])
        n = self.by_name(ex)
        self.assertTrue(n["good"]["feasible"])
        self.assertIsNone(n["good"]["rejectedBy"])
        self.assertEqual(n["cordoned"]["rejectedBy"], {"plugin": "NodeUnschedulable",
                         "reasons": ["node(s) were unschedulable"], "unresolvable": True})
        self.assertEqual(n["tainted"]["rejectedBy"]["plugin"], "TaintToleration")
        self.assertEqual(n["tainted"]["rejectedBy"]["reasons"], ["node(s) had untolerated taint(s)"])
        self.assertEqual(n["small"]["rejectedBy"]["plugin"], "NodeResourcesFit")
        self.assertEqual(n["small"]["rejectedBy"]["reasons"], ["Insufficient cpu"])
        self.assertTrue(n["small"]["rejectedBy"]["unresolvable"])
        for t in n["good"]["terms"]:
            self.assertIn(t["policy"], ["zone-spread", "node-pool", "gpu", "spot", "latency", "packing", "soft-wishes"])
            for f in ("value", "unit", "cost", "note"):
                self.assertIn(f, t)

    def test_message_when_nothing_fits(self):
        c = self.cluster(node("a", cpu="500m"), node("b", cpu="500m"), node("c", unschedulable=True), pod("p"))
        ex = self.explain(c, "p")
        self.assertIsNone(ex["chosen"])
        self.assertEqual(ex["best"], [])
        self.assertTrue(ex["message"].startswith(
            "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu."), ex["message"])

    def test_bound_pod_is_lifted(self):
        c = self.cluster(node("a", cpu="1"), pod("p", on="a"))
        self.assertEqual(self.explain(c, "p")["chosen"], "a")

    def test_several_and_pending(self):
        c = self.cluster(node("a"), pod("p"), pod("q"), pod("r", on="a"))
        p = self.run_ok("explain", "--cluster", c, "--pod", "games/p", "--pod", "games/q", "-o", "json")
        d = json.loads(p.stdout)
        self.assertEqual(d["kind"], "ExplanationList")
        self.assertEqual([i["pod"] for i in d["items"]], ["games/p", "games/q"])
        p = self.run_ok("explain", "--cluster", c, "--pending", "-o", "jsonl")
        lines = [json.loads(x) for x in p.stdout.splitlines()]
        self.assertEqual(sorted(x["pod"] for x in lines), ["games/p", "games/q"])

    def test_ties_go_to_the_smaller_name(self):
        c = self.cluster(node("n-b"), node("n-c"), node("n-a"), pod("p"))
        ex = self.explain(c, "p")
        self.assertEqual(ex["chosen"], "n-a")
        self.assertEqual(ex["decidedBy"], "name")
        self.assertEqual(ex["best"], ["n-a", "n-b", "n-c"])
        self.assertEqual(ex["runnerUp"]["node"], "n-b")

    def test_node_affinity_spread_ports_and_anti_affinity(self):
        hard = dict(topologySpreadConstraints=[{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone",
                    "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "x"}}}])
        c = self.cluster(node("a", zone="z1"), node("b", zone="z2"), node("nolabel", zone=None),
                         pod("e1", on="a", labels={"app": "x"}), pod("p", labels={"app": "x"}, **hard))
        n = self.by_name(self.explain(c, "p"))
        self.assertEqual(n["a"]["rejectedBy"]["plugin"], "PodTopologySpread")
        self.assertFalse(n["a"]["rejectedBy"]["unresolvable"])
        self.assertEqual(n["nolabel"]["rejectedBy"]["reasons"],
                         ["node(s) didn't match pod topology spread constraints (missing required label)"])
        self.assertTrue(n["b"]["feasible"])
        port = {"ports": [{"containerPort": 7777, "hostPort": 7777, "protocol": "UDP"}]}
        anti = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"labelSelector": {"matchLabels": {"app": "lonely"}}, "topologyKey": "kubernetes.io/hostname"}]}}
        c = self.cluster(node("a"), node("b"), node("c"), node("d"),
                         pod("e1", on="a", container=port), pod("e2", on="b", labels={"app": "lonely"}),
                         pod("e3", on="c", affinity={"podAntiAffinity": {
                             "requiredDuringSchedulingIgnoredDuringExecution": [
                                 {"labelSelector": {"matchLabels": {"app": "lonely"}},
                                  "topologyKey": "kubernetes.io/hostname"}]}}),
                         pod("p", labels={"app": "lonely"}, container=port, affinity=anti))
        n = self.by_name(self.explain(c, "p"))
        self.assertEqual(n["a"]["rejectedBy"]["plugin"], "NodePorts")
        self.assertEqual(n["b"]["rejectedBy"]["reasons"], ["node(s) didn't match pod anti-affinity rules"])
        self.assertEqual(n["c"]["rejectedBy"]["reasons"], ["node(s) didn't satisfy existing pods anti-affinity rules"])
        self.assertTrue(n["d"]["feasible"])

    def test_preferred_affinity_alone_decides(self):
        for pref in ({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "preference": {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["fast"]}]}}]}},
                {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 100, "podAffinityTerm": {"labelSelector": {"matchLabels": {"app": "hub"}},
                                                        "topologyKey": "kubernetes.io/hostname"}}]}}):
            c = self.cluster(node("a"), node("b", labels={"tier": "fast"}),
                             pod("hub", on="b", cpu=None, mem=None, labels={"app": "hub"}),
                             pod("other", on="a", cpu=None, mem=None, labels={"app": "other"}),
                             pod("p", affinity=pref))
            ex = self.explain(c, "p")
            self.assertEqual(ex["chosen"], "b")
            self.assertEqual(ex["decidedBy"], "soft-wishes")

    def test_bound_volume_pins_to_its_zone(self):
        pv = {"apiVersion": "v1", "kind": "PersistentVolume",
              "metadata": {"name": "pv1", "labels": {"topology.kubernetes.io/zone": "z2"}},
              "spec": {"capacity": {"storage": "10Gi"}, "storageClassName": "ssd",
                       "claimRef": {"namespace": "games", "name": "world"},
                       "accessModes": ["ReadWriteOnce"],
                       "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                           {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["z2"]}]}]}}},
              "status": {"phase": "Bound"}}
        pvc = {"apiVersion": "v1", "kind": "PersistentVolumeClaim",
               "metadata": {"name": "world", "namespace": "games",
                            "annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
               "spec": {"volumeName": "pv1", "storageClassName": "ssd", "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": "10Gi"}}}, "status": {"phase": "Bound"}}
        c = self.cluster(node("a", zone="z1"), node("b", zone="z2"), pv, pvc,
                         pod("p", volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "world"}}]))
        ex = self.explain(c, "p")
        self.assertEqual(ex["chosen"], "b")
        self.assertIn(self.by_name(ex)["a"]["rejectedBy"]["plugin"], ("VolumeBinding", "VolumeZone"))

    def test_what_ifs_say_what_would_help(self):
        c = self.cluster(node("a", unschedulable=True), pod("p"))
        ex = self.explain(c, "p")
        self.assertIsNone(ex["chosen"])
        self.assertTrue(any(w["chosen"] == "a" for w in ex["whatIf"]), ex["whatIf"])

    def test_unknown_pod_and_bad_usage(self):
        c = self.cluster(node("a"), pod("p"))
        self.assertIn("games/", self.run_ok("explain", "--cluster", c, "--pod", "games/zz", code=1).stderr)
        self.run_ok("explain", "--cluster", c, code=2)
        self.run_ok("explain", "--claster", c, "--pod", "games/p", code=2)
        p = self.run_ok("simulate", "--cluster", c, "--policy", "no-such", code=2)
        for name in ("spawnpoint", "least-allocated", "most-allocated", "random"):
            self.assertIn(name, p.stderr)
        self.assertNotIn("kube-1.37", p.stdout)


class Policies(Base):
    def config(self, **fleet):
        base = {"name": "arena", "match": {"matchLabels": {"app": "arena"}}, "players": 64}
        top = {k: fleet.pop(k) for k in ("pools", "latency", "prices", "rates") if k in fleet and k != "pools"}
        base.update(fleet)
        d = {"apiVersion": "spawnpoint.dev/v1alpha1", "kind": "SpawnpointConfiguration", "fleets": [base]}
        d.update(top)
        return self.file("config.json", d)

    def test_zone_share_cap(self):
        z = {"topologyKey": "topology.kubernetes.io/zone", "maxSkew": 5, "maxPlayerShare": 0.5}
        cfg = self.config(zoneSpread=z)
        c = self.cluster(node("a", zone="z1"), node("b", zone="z2"),
                         *[pod("e%d" % i, on="a", labels={"app": "arena"}) for i in range(2)],
                         pod("f0", on="b", labels={"app": "arena"}), pod("p", labels={"app": "arena"}))
        # after it: z1 would hold 192 of 256 > max(128, 64)
        n = self.by_name(self.explain(c, "p", "--policy", cfg))
        self.assertEqual(n["a"]["rejectedBy"]["plugin"], "zone-spread")
        self.assertTrue(n["b"]["feasible"])

    def test_burst_keeps_the_cap_exactly(self):
        cfg = self.config(zoneSpread={"topologyKey": "topology.kubernetes.io/zone", "maxPlayerShare": 0.5})
        c = self.cluster(node("a", zone="z1", cpu="64"), node("b", zone="z2", cpu="64"), node("c", zone="z3", cpu="64"),
                         *[pod("p%02d" % i, labels={"app": "arena"}, cpu="100m") for i in range(40)])
        r = self.simulate("--cluster", c, "--policy", cfg, "--placements")
        zone = {"a": 0, "b": 0, "c": 0}
        for k, p in enumerate(r["runs"][0]["placements"]):
            zone[p["node"]] += 1
            self.assertLessEqual(zone[p["node"]], max((k + 1) * 0.5, 1))
        self.assertEqual(r["runs"][0]["pods"]["placed"], 40)

    def test_spot_wishes_and_floor(self):
        spot = {"karpenter.sh/capacity-type": "spot"}
        od = {"karpenter.sh/capacity-type": "on-demand"}
        nodes = [node("s", labels=spot, cpu="64"), node("o", labels=od, cpu="64")]
        for wish, want in (("never", "o"), ("required", "s"), ("preferred", "s")):
            c = self.cluster(*nodes, pod("p", ann={"spawnpoint.dev/spot": wish}))
            self.assertEqual(self.explain(c, "p")["chosen"], want, wish)
        cfg = self.config(spot={"policy": "preferred", "minOnDemandShare": 0.3})
        c = self.cluster(*nodes, *[pod("p%02d" % i, labels={"app": "arena"}, cpu="100m") for i in range(30)])
        r = self.simulate("--cluster", c, "--policy", cfg, "--placements")["runs"][0]
        s = 0
        for k, p in enumerate(r["placements"]):
            s += p["node"] == "s"
            self.assertLessEqual(s, 0.7 * (k + 1) + 1e-9)
        self.assertEqual(s, 21)
        self.assertAlmostEqual(r["spot"]["share"], 0.7, places=6)

    def latency(self):
        return self.file("rtt.csv", "from,to,rtt_ms,jitter_ms\n"
                         "DE,near,20,0\nFR,near,30,0\nPL,near,40,0\n"
                         "DE,mid,70,0\nFR,mid,75,0\nPL,mid,80,0\n"
                         "DE,mixed,10,0\nFR,mixed,10,0\nPL,mixed,140,0\n"
                         "DE,far,200,0\nFR,far,210,0\nPL,far,220,0\n")

    def test_latency_is_the_weighted_p90_with_stages_and_cutoff(self):
        rtt = self.latency()
        ann = {"spawnpoint.dev/demand": '{"DE":0.6,"FR":0.25,"PL":0.15}', "spawnpoint.dev/latency-class": "action"}
        c = self.cluster(*[node(x, zone=x, region="nowhere") for x in ("near", "mid", "mixed", "far")], pod("p", ann=ann))
        ex = self.explain(c, "p", "--latency", rtt)
        n = self.by_name(ex)
        self.assertEqual(ex["chosen"], "near")
        self.assertEqual(ex["decidedBy"], "latency")
        self.assertEqual([n[x]["stage"] for x in ("near", "mid", "mixed")], [0, 1, 2])
        lat = {x: [t for t in n[x]["terms"] if t["policy"] == "latency"][0] for x in ("near", "mid", "mixed")}
        self.assertEqual((lat["mixed"]["value"], lat["mixed"]["unit"]), (140, "ms"))
        self.assertEqual(n["far"]["rejectedBy"]["plugin"], "latency")
        # a mean would call mixed (29.5 ms) good
        c = self.cluster(node("mid", zone="mid", region="nowhere"), node("mixed", zone="mixed", region="nowhere"), pod("p", ann=ann))
        self.assertEqual(self.explain(c, "p", "--latency", rtt)["chosen"], "mid")

    def test_regions(self):
        c = self.cluster(node("a", region="eu-central-1"), node("b", region="us-east-1", zone="us-east-1a"),
                         pod("p", ann={"spawnpoint.dev/regions": "us-east-1"}))
        self.assertEqual(self.explain(c, "p")["chosen"], "b")
        cfg = self.config(regions={"disabled": ["eu-central-1"]})
        c = self.cluster(node("a", region="eu-central-1"), node("b", region="us-east-1", zone="us-east-1a"),
                         pod("p", labels={"app": "arena"}))
        self.assertEqual(self.explain(c, "p", "--policy", cfg)["chosen"], "b")

    def test_pools_in_order_and_cpu_pods_stay_off_gpu_nodes(self):
        cfg = self.file("c.yaml", """apiVersion: spawnpoint.dev/v1alpha1
kind: SpawnpointConfiguration
fleets:
- {name: arena, match: {matchLabels: {app: arena}}, pools: [metal, ondemand]}
pools:
- {name: metal, match: {matchLabels: {pool: metal}}}
- {name: ondemand, match: {matchLabels: {pool: ondemand}}}
""")
        c = self.cluster(node("a-od", labels={"pool": "ondemand"}), node("b-metal", labels={"pool": "metal"}),
                         pod("p", labels={"app": "arena"}))
        self.assertEqual(self.explain(c, "p", "--policy", cfg)["chosen"], "b-metal")
        c = self.cluster(node("a-gpu", alloc={"nvidia.com/gpu": "1"}), node("b-cpu"), pod("p"))
        self.assertEqual(self.explain(c, "p")["chosen"], "b-cpu")
        zero = {"resources": {"requests": {"cpu": "1", "nvidia.com/gpu": "0"}}}
        c = self.cluster(node("a-gpu", alloc={"nvidia.com/gpu": "1"}), node("b-cpu"), pod("p", container=zero))
        self.assertEqual(self.explain(c, "p")["chosen"], "b-cpu")
        one = {"resources": {"requests": {"cpu": "1", "nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "1"}}}
        c = self.cluster(node("a8", alloc={"nvidia.com/gpu": "8"}), node("b1", alloc={"nvidia.com/gpu": "1"}),
                         pod("p", container=one))
        self.assertEqual(self.explain(c, "p")["chosen"], "b1")

    def test_a_leaving_node_takes_no_new_session(self):
        c = self.cluster(node("a", taints=[{"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}]), node("b"), pod("p"))
        self.assertEqual(self.explain(c, "p")["chosen"], "b")
        gs = dict(labels={"agones.dev/role": "gameserver"}, tolerations=[{"operator": "Exists"}])
        c = self.cluster(node("a", taints=[{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]), node("b"), pod("p", **gs))
        self.assertEqual(self.explain(c, "p")["chosen"], "b")


class Simulate(Base):
    def test_counts_order_and_shape(self):
        c = self.cluster(node("a", cpu="2"), pod("low", cpu="1500m", priority=1), pod("high", cpu="1500m", priority=9),
                         pod("never", cpu="64"), pod("done", phase="Succeeded"), pod("old", on="a", cpu="100m"),
                         pod("ghost", on="gone"), pod("gated", schedulingGates=[{"name": "x"}]))
        r = self.simulate("--cluster", c, "--placements")
        run = r["runs"][0]
        self.assertEqual(r["kind"], "SimulationReport")
        self.assertEqual(r["apiVersion"], "spawnpoint.dev/v1alpha1")
        p = run["pods"]
        self.assertEqual((p["arrived"], p["placed"], p["pending"], p["failed"]), (3, 1, 1, 1))
        self.assertEqual(p["bound"], 2)
        got = {x["pod"]: x["node"] for x in run["placements"]}
        self.assertEqual(got, {"games/high": "a", "games/low": None, "games/never": None})
        self.assertTrue(any("not in the input" in x["what"] for x in r["notModelled"]), r["notModelled"])
        for f in ("policy", "seed", "hash", "pods", "gpu", "cpu", "memory", "nodes", "cost", "latency", "zones", "spot",
                  "sessions", "pendingSeconds", "timing"):
            self.assertIn(f, run)
        self.assertEqual(run["cpu"], {"capacityMilli": 2000, "allocatedMilli": 1600})
        self.assertIsNone(run["sessions"])

    def test_same_bytes_but_timing_and_any_input_order(self):
        items = [node("n%d" % i, zone="z%d" % (i % 3)) for i in range(9)] + [pod("p%02d" % i) for i in range(30)]
        a, b = self.cluster(*items), self.cluster(*items, name="b/cluster.json")
        ra, rb = (self.simulate("--cluster", a, "--placements") for _ in range(2))
        for r in (ra, rb):
            for run in r["runs"]:
                del run["timing"]
        self.assertEqual(ra, rb)
        shuffled = self.cluster(*reversed(items[:9]), *items[9:], name="c.json")
        self.assertEqual(self.simulate("--cluster", shuffled)["runs"][0]["hash"], ra["runs"][0]["hash"])

    def test_repack_lifts_all_but_daemons(self):
        own = [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": True}]
        d = pod("d-1", on="a", cpu="100m")
        d["metadata"]["ownerReferences"] = own
        c = self.cluster(node("a"), node("b"), d, pod("x", on="a"), pod("y", on="b"), pod("z"))
        p = self.simulate("--cluster", c, "--repack")["runs"][0]["pods"]
        self.assertEqual((p["bound"], p["arrived"], p["placed"]), (1, 3, 3))

    def test_controllers_make_what_they_lack(self):
        tmpl = {"metadata": {"labels": {"app": "w"}}, "spec": {"containers": [
            {"name": "c", "image": "i", "resources": {"requests": {"cpu": "100m"}}}]}}
        dep = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "games", "uid": "d1"},
               "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "w"}}, "template": tmpl}}
        have = pod("web-abc", on="a", labels={"app": "w"})
        rs = {"apiVersion": "apps/v1", "kind": "ReplicaSet",
              "metadata": {"name": "web-6d", "namespace": "games", "uid": "r1", "ownerReferences": [
                  {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d1", "controller": True}]},
              "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "w"}}, "template": tmpl}}
        have["metadata"]["ownerReferences"] = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-6d", "uid": "r1",
                                                "controller": True}]
        c = self.cluster(node("a"), dep, rs, have)
        run = self.simulate("--cluster", c, "--placements")["runs"][0]
        self.assertEqual((run["pods"]["bound"], run["pods"]["arrived"]), (1, 2))
        w = self.file("w/dep.yaml", json.dumps(dep))
        run = self.simulate("--cluster", self.cluster(node("a"), name="n.json"), "--workload", w, "--placements")["runs"][0]
        self.assertEqual(sorted(x["pod"] for x in run["placements"]), ["games/web-0", "games/web-1", "games/web-2"])

    def test_inputs_of_every_form(self):
        import yaml_free
        n, p = node("a"), pod("p")
        docs = self.file("multi.yaml", yaml_free.dump(n) + "\n---\n" + yaml_free.dump(p))
        typed = self.file("t/nodes.json", {"apiVersion": "v1", "kind": "NodeList", "items": [
            {k: v for k, v in n.items() if k not in ("kind", "apiVersion")}]})
        self.file("t/sub/pods.json", {"apiVersion": "v1", "kind": "PodList", "items": [
            {k: v for k, v in p.items() if k not in ("kind", "apiVersion")}]})
        self.file("t/readme.txt", "not ours")
        self.file("t/notes.yaml", "just: notes\n")
        for args, stdin in ((("--cluster", docs), None), (("--cluster", os.path.dirname(typed)), None),
                            (("--cluster", "-"), json.dumps(n) + "\n" + json.dumps(p))):
            out = self.run_ok("simulate", *args, "-o", "json", stdin=stdin).stdout
            self.assertEqual(json.loads(out)["runs"][0]["pods"]["placed"], 1, args)

    def test_expect_sets_the_exit_code(self):
        c = self.cluster(node("a"), pod("p"))
        r = self.simulate("--cluster", c, "--expect", "pods.placed >= 1")
        self.assertEqual(r["expectations"][0]["ok"], True)
        r = self.simulate("--cluster", c, "--expect", "pods.placed > 1", code=3)
        self.assertEqual((r["expectations"][0]["ok"], r["expectations"][0]["value"]), (False, 1))
        self.simulate("--cluster", c, "--expect", "sessions.started > 1", code=3)
        self.run_ok("simulate", "--cluster", c, "--expect", "pods.plaiced > 1", code=2)
        self.run_ok("simulate", "--cluster", c, "--expect", "pods.placed >", code=2)

    def test_compare(self):
        c = self.cluster(*[node("n%d" % i, cpu="4") for i in range(4)], *[pod("p%d" % i) for i in range(4)])
        p = self.run_ok("compare", "--cluster", c, "--policy", "spawnpoint", "--policy", "least-allocated", "-o", "json")
        r = json.loads(p.stdout)
        self.assertEqual([x["policy"] for x in r["runs"]], ["spawnpoint", "least-allocated"])
        used = [x for x in r["comparison"] if x["metric"] == "nodes.used"][0]
        self.assertEqual(used["policies"], ["spawnpoint", "least-allocated"])
        self.assertIn(used["better"], ("a", "b", "none"))
        self.assertTrue(r["verdict"])
        self.assertEqual([x["nodes"]["used"] for x in r["runs"]], [1, 4])
        self.run_ok("compare", "--cluster", c, "--policy", "spawnpoint", code=2)
        self.assertIn("least-allocated", self.run_ok("compare", "--cluster", c, "--policy", "spawnpoint", "--policy",
                                                     "least-allocated").stdout)

    def test_random_goes_by_seed(self):
        c = self.cluster(*[node("n%d" % i) for i in range(8)], *[pod("p%d" % i) for i in range(8)])
        r = self.simulate("--cluster", c, "--policy", "random", "--seed", "1", "--seed", "2", "--seed", "1")
        h = [x["hash"] for x in r["runs"]]
        self.assertEqual(h[0], h[2])
        self.assertNotEqual(h[0], h[1])

    def test_bad_files_are_placed(self):
        bad = self.file("bad.json", '{"kind":"List",\n "items": [}\n')
        self.assertRegex(self.run_ok("simulate", "--cluster", bad, code=1).stderr, r"bad\.json:2:\d+")
        bad = self.file("bad.yaml", "kind: Pod\n  name: [\n")
        self.assertRegex(self.run_ok("simulate", "--cluster", bad, code=1).stderr, r"bad\.yaml:\d+:\d+")
        q = pod("p")
        q["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "1x"
        err = self.run_ok("simulate", "--cluster", self.cluster(node("a"), q), code=1).stderr
        self.assertIn("1x", err)
        self.assertRegex(err, r"cpu")
        self.run_ok("simulate", "--cluster", os.path.join(self.tmp.name, "absent.json"), code=1)
        r = self.simulate("--cluster", self.cluster(pod("p")))
        self.assertEqual(r["runs"][0]["pods"]["placed"], 0)
        self.simulate("--cluster", self.cluster(node("a")))


class Config(Base):
    def test_default_validates_and_typos_are_placed(self):
        d = self.run_ok("config", "default").stdout
        self.run_ok("config", "validate", self.file("d.yaml", d))
        e = self.run_ok("config", "validate", self.file("e.yaml", "apiVersion: spawnpoint.dev/v1alpha1\n"
                        "kind: SpawnpointConfiguration\ndecied: decisive\n"), code=1).stderr
        self.assertRegex(e, r"e\.yaml:3:1")
        self.assertIn("decide", e)
        self.assertIn("decisionBudget", self.run_ok("config", "explain").stdout)

    def test_the_documented_example(self):
        self.file("rtt.csv", "from,to,rtt_ms\nDE,eu-central-1,10\n")
        self.file("prices.csv", "instance_type,region,capacity_type,price_per_hour\nc5.large,eu-central-1,spot,0.04\n")
        text = open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "example.yaml")).read()
        self.run_ok("config", "validate", self.file("x.yaml", text))


class Serve(Base):
    def start(self, *args, snapshot):
        p = subprocess.Popen([BIN, "serve", "--snapshot", snapshot, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
                              *args], stderr=subprocess.PIPE, text=True)

        def stop():
            if p.poll() is None:
                p.send_signal(signal.SIGKILL)
            p.wait()
            p.stderr.close()
        self.addCleanup(stop)
        for line in p.stderr:
            m = re.match(r"ready extender=(\S+) admin=(\S+)", line)
            if m:
                self.proc = p
                return m.group(1), m.group(2)
        self.fail("serve did not become ready")

    def call(self, addr, method, path, body=None, code=200):
        h = http.client.HTTPConnection(addr, timeout=10)
        h.request(method, path, body=None if body is None else (body if isinstance(body, (str, bytes)) else json.dumps(body)),
                  headers={"Content-Type": "application/json"})
        r = h.getresponse()
        data = r.read()
        self.assertEqual(r.status, code, data[:500])
        self.assertIsNotNone(r.getheader("Content-Length"))
        h.close()
        try:
            return json.loads(data)
        except ValueError:
            return data.decode()

    def args(self, p, names):
        q = {k: v for k, v in p.items() if k not in ("kind", "apiVersion")}
        return {"Pod": q, "Nodes": None, "NodeNames": names}

    def test_decisive_and_reservations(self):
        cfg = self.file("c.yaml", "apiVersion: spawnpoint.dev/v1alpha1\nkind: SpawnpointConfiguration\nfleets:\n"
                        "- {name: arena, match: {matchLabels: {app: arena}}, players: 10, zoneSpread: {topologyKey: "
                        "topology.kubernetes.io/zone, maxPlayerShare: 0.5}}\n")
        snap = self.cluster(*[node(x, zone="z" + x, cpu="64") for x in "abc"])
        ext, adm = self.start("--config", cfg, snapshot=snap)
        count = {}
        for i in range(30):
            r = self.call(ext, "POST", "/filter", self.args(pod("p%d" % i, labels={"app": "arena"}, cpu="100m"), ["a", "b", "c"]))
            self.assertEqual(len(r["NodeNames"]), 1)
            n = r["NodeNames"][0]
            count[n] = count.get(n, 0) + 1
            self.assertLessEqual(count[n], max(0.5 * (i + 1), 1))
        ex = self.call(adm, "GET", "/v1/explain?pod=games/p29")
        self.assertEqual(ex["chosen"], n)
        self.assertEqual([x["name"] for x in ex["nodes"]], ["a", "b", "c"])
        self.call(adm, "GET", "/v1/explain?pod=games/never-seen", code=404)
        self.assertIn("spawnpoint_", self.call(adm, "GET", "/metrics"))
        for path in ("/livez", "/readyz", "/healthz", "/version", "/configz", "/openapi.json", "/v1/decisions", "/"):
            self.call(adm, "GET", path)
        self.call(ext, "POST", "/preempt", {}, code=404)
        self.call(ext, "GET", "/filter", code=405)
        self.call(ext, "POST", "/filter", "{", code=400)
        self.call(ext, "POST", "/metrics", {}, code=404)

    def test_no_node_cooperative_shortlist_unknown(self):
        snap = self.cluster(node("a", unschedulable=True), node("b", cpu="1", alloc={}), node("c"), node("d"))
        ext, adm = self.start(snapshot=snap)
        r = self.call(ext, "POST", "/filter", self.args(pod("x", cpu="4"), ["a", "b"]))
        self.assertEqual(r["NodeNames"], [])
        failed = dict(r.get("FailedNodes") or {}, **(r.get("FailedAndUnresolvableNodes") or {}))
        self.assertEqual(sorted(failed), ["a", "b"])
        self.assertEqual(self.call(ext, "POST", "/filter", self.args(pod("y"), ["ghost"]))["NodeNames"], ["ghost"])
        self.assertEqual(self.call(ext, "POST", "/filter", self.args(pod("z"), ["ghost", "c"]))["NodeNames"], ["c"])
        low = json.loads(json.dumps(self.args(pod("low"), ["d"])).replace('"Pod"', '"pod"').replace("NodeNames", "nodenames"))
        self.assertEqual(self.call(ext, "POST", "/filter", low)["NodeNames"], ["d"])
        ext, adm = self.start("--decide", "cooperative", snapshot=snap)
        r = self.call(ext, "POST", "/filter", self.args(pod("q"), ["a", "c", "d"]))
        self.assertEqual(sorted(r["NodeNames"]), ["c", "d"])
        self.assertEqual(list(r["FailedAndUnresolvableNodes"]), ["a"])
        s = self.call(ext, "POST", "/prioritize", self.args(pod("q"), ["c", "d"]))
        self.assertEqual(sorted(x["Score"] for x in s)[-1], 10)
        self.assertEqual(sum(x["Score"] == 10 for x in s), 1)
        self.assertTrue(all(isinstance(x["Score"], int) and 0 < x["Score"] <= 10 for x in s))
        ext, adm = self.start("--decide", "shortlist", snapshot=snap)
        r = self.call(ext, "POST", "/filter", self.args(pod("q"), ["a", "c", "d"]))
        self.assertEqual(sorted(r["NodeNames"]), ["c", "d"])

    def test_whole_nodes_go_back_unchanged(self):
        snap = self.cluster(node("a"))
        ext, adm = self.start(snapshot=snap)
        n = {k: v for k, v in node("fresh").items() if k not in ("kind", "apiVersion")}
        n["metadata"]["annotations"] = {"odd": "é \u2028 <&> \\u0041"}
        r = self.call(ext, "POST", "/filter", {"Pod": pod("p"), "Nodes": {"metadata": {}, "items": [n]}, "NodeNames": None})
        self.assertEqual(r["Nodes"]["items"], [n])

    def test_place_keeps_nothing(self):
        snap = self.cluster(node("a", cpu="1"))
        ext, adm = self.start(snapshot=snap)
        body = {"pods": [pod("p1"), pod("p2"), pod("p3")], "nodes": [node("new", cpu="1")], "explain": True}
        for _ in range(2):
            r = self.call(adm, "POST", "/v1/place", body)
            self.assertEqual([x["pod"] for x in r["placements"]], ["games/p1", "games/p2", "games/p3"])
            self.assertEqual(sorted(x["node"] for x in r["placements"][:2]), ["a", "new"])
            self.assertIsNone(r["placements"][2]["node"])
            self.assertTrue(r["placements"][2]["message"].startswith("0/2 nodes are available"))
            self.assertEqual(len(r["explanations"]), 3)
        r = self.call(adm, "POST", "/v1/place", {"pods": [pod("p1")], "nodes": [node("new", cpu="2")], "replaceNodes": True})
        self.assertEqual(r["placements"][0]["node"], "new")

    def test_stops_gracefully(self):
        ext, adm = self.start("--shutdown-delay", "1s", snapshot=self.cluster(node("a")))
        self.proc.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        self.call(adm, "GET", "/readyz", code=503)
        self.call(ext, "POST", "/filter", self.args(pod("p"), ["a"]))
        self.assertEqual(self.proc.wait(timeout=10), 0)

    def test_no_cluster_is_usage(self):
        self.run_ok("serve", code=2)


DATA = os.environ.get("SPAWNPOINT_TEST_DATA", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/data"))


@unittest.skipUnless(os.path.isdir(DATA), "no real inputs in SPAWNPOINT_TEST_DATA (%s)" % DATA)
class RealData(Base):
    """Dumps of real clusters and recorded answers of a real API server load and schedule."""

    def report(self, *paths, **want):
        r = self.simulate(*[x for p in paths for x in ("--cluster", p)])
        run = r["runs"][0]
        p = run["pods"]
        self.assertEqual(p["placed"] + p["pending"] + p["failed"], p["arrived"])
        got = dict(p, nodes=run["nodes"]["total"])
        self.assertEqual({k: got[k] for k in want}, want, paths)
        return r

    def test_dumps_of_other_clusters(self):
        s = os.path.join(DATA, "snapshots")
        self.report(os.path.join(s, "troubleshoot-k3s-bundle"), nodes=1, bound=6, arrived=0)
        self.report(os.path.join(s, "troubleshoot-nodes-7.json"), nodes=7)
        self.report(os.path.join(s, "cloudability-podlist.json"), nodes=0, bound=6)
        r = self.report(os.path.join(s, "openshift-insights"), nodes=2)
        self.assertTrue(any("not in the input" in x["what"] for x in r["notModelled"]))
        self.report(os.path.join(s, "open-simulator/cluster/demo_1"), nodes=4)
        self.report(os.path.join(s, "open-simulator/cluster/gpushare"), nodes=2)
        self.report(os.path.join(s, "fgd-quickstart/test-cluster"), nodes=2, arrived=3)
        demo = os.path.join(s, "open-simulator/cluster/demo_1")
        for app in ("simple", "complicate", "more_pods"):
            r = self.simulate("--cluster", demo, "--workload", os.path.join(s, "open-simulator/application", app))
            self.assertGreater(r["runs"][0]["pods"]["arrived"], 3, app)

    def test_lists_of_a_real_api_server(self):
        paths = []
        for name in ("nodes.list", "nodes.list-rv0", "pods-with-conditions.list", "pods.list-field-selector"):
            with open(os.path.join(DATA, "captures/apiserver", name + ".response"), "rb") as f:
                body = re.split(rb"\r?\n\r?\n", f.read(), maxsplit=1)[1]
            paths.append(self.file(name + ".json", body.decode()))
        self.report(paths[0], nodes=51)
        self.report(paths[1], nodes=1)
        r = self.report(paths[0], paths[2], nodes=51)
        self.assertGreater(r["runs"][0]["pods"]["bound"], 5)
        self.report(paths[0], paths[3], nodes=51)

    def test_the_gpu_study_cluster(self):
        nodes = os.path.join(DATA, "openb/node_yaml/openb_node_list_gpu_node.yaml")
        self.report(nodes, nodes=1213)
        pods = "openb:" + os.path.join(DATA, "openb/csv/openb_pod_list_default.csv")
        r = self.report(nodes, pods, nodes=1213, arrived=8152)
        self.assertGreater(r["runs"][0]["pods"]["placed"], 7000)


if __name__ == "__main__":
    unittest.main(verbosity=2)
