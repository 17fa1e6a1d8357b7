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

    def test_an_order_of_pools_beats_price_packing_and_wishes(self):
        cfg = self.file("c.yaml", """apiVersion: spawnpoint.dev/v1alpha1
kind: SpawnpointConfiguration
fleets:
- {name: arena, match: {matchLabels: {app: arena}}, players: 64, pools: [metal, ondemand, spot]}
pools:
- {name: metal, match: {matchLabels: {pool: metal}}}
- {name: ondemand, match: {matchLabels: {pool: ondemand}}}
- {name: spot, match: {matchLabels: {pool: spot}}}
""")
        arena = {"app": "arena"}
        # the first pool is empty and its machine is twelve times as large
        metal = node("metal", cpu="96", mem="384Gi", labels={"pool": "metal"})
        rest = [node("od", labels={"pool": "ondemand"}),
                node("spot", labels={"pool": "spot", "karpenter.sh/capacity-type": "spot"}),
                pod("e1", on="od", labels=arena), pod("e2", on="spot", labels=arena)]
        near = {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 100, "podAffinityTerm": {"labelSelector": {"matchLabels": arena}, "topologyKey": "kubernetes.io/hostname"}}]}}
        ex = self.explain(self.cluster(metal, *rest, pod("p", labels=arena, affinity=near)), "p", "--policy", cfg)
        self.assertEqual((ex["chosen"], ex["decidedBy"]), ("metal", "node-pool"))
        # full, it gives way to the second, not to the cheaper third
        small = node("metal", cpu="500m", labels={"pool": "metal"})
        self.assertEqual(self.explain(self.cluster(small, *rest, pod("p", labels=arena)), "p", "--policy", cfg)["chosen"], "od")

    def test_a_wish_of_full_weight_opens_an_empty_node(self):
        app = {"app": "arena"}
        term = {"labelSelector": {"matchLabels": app}, "topologyKey": "kubernetes.io/hostname"}
        apart = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]}}
        spread = [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
                   "labelSelector": {"matchLabels": app}}]
        for length in ("5m", "25m", "24h", None):
            ann = {"spawnpoint.dev/session-length": length} if length else {}
            for wish in ({"affinity": apart}, {"topologySpreadConstraints": spread}):
                c = self.cluster(node("a"), node("b"), pod("e", on="a", labels=app), pod("p", labels=app, ann=ann, **wish))
                ex = self.explain(c, "p")
                self.assertEqual((ex["chosen"], ex["decidedBy"]), ("b", "soft-wishes"), (length, wish))
        # long sessions do not make wishes cheap: nodes of another size cost hundreds more in 30 days
        ssd = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 100, "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}}]}}
        c = self.cluster(node("a"), node("b", cpu="16", labels={"disk": "ssd"}), pod("p", affinity=ssd))
        self.assertEqual(self.explain(c, "p")["chosen"], "b")
        c = self.cluster(node("a", taints=[{"key": "x", "effect": "PreferNoSchedule"}]), node("b", cpu="16"), pod("p"))
        self.assertEqual(self.explain(c, "p")["chosen"], "b")

    def test_without_configuration_fleets_worlds_and_services_stand_in_every_zone(self):
        def template(app):
            return {"metadata": {"labels": {"app": app}}, "spec": {"schedulerName": "spawnpoint", "containers": [
                {"name": "c", "image": "i", "resources": {"requests": {"cpu": "1", "memory": "2Gi"}}}]}}

        fleet = {"apiVersion": "agones.dev/v1", "kind": "Fleet", "metadata": {"name": "f", "namespace": "games"},
                 "spec": {"replicas": 12, "template": {"spec": {"ports": [{"name": "d", "containerPort": 7654}], "template": template("f")}}}}
        nodes = [node("%s%d" % (z, i), zone="z" + z, cpu="16", mem="64Gi") for z in "abc" for i in range(2)]
        kinds = [fleet] + [{"apiVersion": "apps/v1", "kind": k, "metadata": {"name": "w", "namespace": "games"},
                            "spec": {"replicas": 12, "selector": {"matchLabels": {"app": "w"}}, "template": template("w")}}
                           for k in ("StatefulSet", "Deployment")]
        for kind in kinds:
            r = self.simulate("--cluster", self.cluster(*nodes, kind), "--placements")["runs"][0]
            zone = [sum(p["node"][0] == z for p in r["placements"]) for z in "abc"]
            slack = kind["kind"] == "Deployment"  # a service's pods weigh less than players
            self.assertLessEqual(max(zone), 5 + slack, kind["kind"])
            self.assertGreaterEqual(min(zone), 3 - slack, kind["kind"])
            # inside a zone they stand together: a node for each zone, no more
            self.assertEqual(len({p["node"] for p in r["placements"]}), 3, kind["kind"])

    def test_caps_hold_at_every_prefix_with_servers_of_all_sizes(self):
        cfg = self.config(zoneSpread={"maxPlayerShare": 0.5, "maxSkew": 2},
                          spot={"policy": "allowed", "minOnDemandShare": 0.5, "maxPoolShare": 0.25})
        where = {}
        nodes = []
        for z in "123":
            for cap, itype in (("spot", "m5.large"), ("spot", "c5.large"), ("on-demand", "m5.large")):
                name = "%s-%s-%s" % (z, cap, itype[:2])
                where[name] = (z, cap, itype)
                nodes.append(node(name, zone="z" + z, cpu="64", itype=itype, labels={"karpenter.sh/capacity-type": cap}))
        sizes = [10, 64, 1, 64, 100, 0, 64, 7, 100, 64] * 6
        pods = [pod("p%02d" % i, labels={"app": "arena"}, cpu="50m", mem="10Mi", ann={"spawnpoint.dev/players": str(n)})
                for i, n in enumerate(sizes)]
        r = self.simulate("--cluster", self.cluster(*nodes, *pods), "--policy", cfg, "--placements")["runs"][0]
        zone, servers, pool, spot, total, placed = dict.fromkeys("123", 0), dict.fromkeys("123", 0), {}, 0, 0, 0

        def allowed(name, n):
            z, cap, itype = where[name]
            after = total + n
            ok = zone[z] + n <= max(0.5 * after, n) + 1e-6 and servers[z] + 1 - min(servers.values()) <= 2
            if cap == "spot":
                ok = ok and spot + n <= 0.5 * after + 1e-6 and pool.get((z, itype), 0) + n <= max(0.25 * after, n) + 1e-6
            return ok

        for p in r["placements"]:
            n = sizes[int(p["pod"][-2:])]
            if p["node"] is None:
                self.assertFalse([x for x in where if allowed(x, n)], p)
                continue
            self.assertTrue(allowed(p["node"], n), p)
            z, cap, itype = where[p["node"]]
            zone[z], servers[z], total, placed = zone[z] + n, servers[z] + 1, total + n, placed + 1
            if cap == "spot":
                spot, pool[z, itype] = spot + n, pool.get((z, itype), 0) + n
        self.assertGreater(placed, 30)

    def test_annotations_that_cannot_be_read_are_told(self):
        c = self.cluster(node("a"), pod("p", ann={"spawnpoint.dev/players": "many", "spawnpoint.dev/spot": "maybe"}))
        p = self.run_ok("explain", "--cluster", c, "--pod", "games/p", "-o", "json")
        self.assertIn('spawnpoint.dev/players: "many"', p.stderr)
        self.assertIn("must be a whole number", p.stderr)
        self.assertIn(2, [x["count"] for x in json.loads(p.stdout)["notModelled"] if "annotation" in x["what"]])

    def test_agones_order_decides_between_equals(self):
        def server(name, on, state):
            gs = {"apiVersion": "agones.dev/v1", "kind": "GameServer",
                  "metadata": {"name": name, "namespace": "games", "uid": "gs-" + name, "labels": {"agones.dev/fleet": "f"}},
                  "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}, "status": {"state": state, "nodeName": on}}
            return [gs, pod(name, on=on, cpu="100m", labels={"agones.dev/role": "gameserver", "agones.dev/gameserver": name})]

        waits = pod("p", labels={"agones.dev/role": "gameserver"}, cpu="100m")
        ready = server("g1", "a", "Ready") + server("g2", "a", "Ready") + server("g4", "c", "Ready")
        ex = self.explain(self.cluster(node("a"), node("b"), node("c"), *ready, *server("g3", "b", "Allocated"), waits), "p")
        self.assertEqual([ex[k] for k in ("chosen", "decidedBy", "unit", "margin")], ["b", "packing", "rank", 1])
        ex = self.explain(self.cluster(node("a"), node("b"), node("c"), *ready, waits), "p")
        self.assertEqual([ex[k] for k in ("chosen", "decidedBy", "unit", "margin")], ["a", "packing", "rank", 1])

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

    def test_a_game_server_of_a_stripped_dump_needs_no_template(self):
        gs = {"apiVersion": "agones.dev/v1", "kind": "GameServer", "metadata": {"name": "gs1", "namespace": "games"},
              "status": {"state": "Allocated", "nodeName": "a"}}
        r = self.simulate("--cluster", self.cluster(node("a"), gs, pod("gs1", on="a", labels={"agones.dev/role": "gameserver"})))
        self.assertEqual(r["runs"][0]["pods"]["bound"], 1)
        self.assertTrue(any("without a pod template" in x["what"] for x in r["notModelled"]))
        self.run_ok("simulate", "--cluster", self.cluster(node("a")), "--workload", self.file("w.json", gs), code=1)

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


class BadInput(Base):
    """Hostile bytes: a defined exit code, a place, and nothing that a terminal would obey."""
    NODE = "apiVersion: v1\nkind: Node\nmetadata: {name: a}\nstatus: {allocatable: {cpu: 4, memory: 8Gi, pods: 10}}\n"

    def raw(self, name, data):
        path = os.path.join(self.tmp.name, name)
        with open(path, "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        return path

    def bytes_of(self, *args, stdin=None):
        p = subprocess.run([BIN, *args], capture_output=True, timeout=60, input=stdin)
        for out in (p.stdout, p.stderr):
            self.assertNotRegex(out, rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]", args)
            out.decode()
        self.assertIn(p.returncode, (0, 1, 2), p.stderr)
        return p

    def refused(self, name, data, place, *words):
        p = self.bytes_of("simulate", "--cluster", self.raw(name, data))
        text = p.stderr.decode()
        self.assertEqual(p.returncode, 1, text)
        self.assertIn("%s:%s: " % (name, place), text)
        for word in words:
            self.assertIn(word, text)

    def test_broken_text_is_placed(self):
        self.refused("a.yaml", b'apiVersion: v1\nkind: Pod\nmetadata:\n  name: "\xff\xfe"\n', "4:10", "UTF-8")
        self.refused("b.yaml", b"apiVersion: v1\nkind: Pod\x00\n", "2:10", "control")
        self.refused("c.yaml", "apiVersion: v1\nkind: Node\nmetadata:\n\tname: n\n", "4:1", "tab", "spaces")
        self.refused("d.yaml", "kind: Node\nmetadata: {name: a}\nkind: Pod\n", "3:1", '"kind"', "twice")
        self.refused("k.json", '{"apiVersion":"v1","kind":"Node","metadata":{"name":"a"},"metadata":{"name":"b"}}', "1:58",
                     '"metadata"', "twice")
        self.refused("l.json", '{"apiVersion":"v1","kind":"Node","metadata":{"name":"a","labels":{"x":"1","x":"2"}}}', "1:75",
                     '"x"', "twice")
        self.refused("e.json", json.dumps(pod("p")).encode("utf-16"), "1:1", "UTF-16")
        self.refused("f.json", "[" * 100000, "1:128", "deep")
        self.refused("g.yaml", "a: " + "[" * 100000, "1:131", "deep")
        self.refused("h.yaml", "---\n---\n", "1:1", "empty file")
        self.refused("i.yaml", "a: *b\n", "1:4", "anchor")
        bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
            "%s: &%s [%s]\n" % (c, c, ",".join(["*" + chr(ord(c) - 1)] * 9)) for c in "bcdefghi")
        self.refused("j.yaml", bomb, "5:8", "aliases")

    def test_every_cut_of_a_list_is_an_error(self):
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [node("a"), pod("p")]})
        for at in range(0, len(text), 61):
            p = self.bytes_of("simulate", "--cluster", self.raw("cut.json", text[:at]))
            self.assertEqual(p.returncode, 1, text[:at])
            self.assertRegex(p.stderr.decode(), r"cut\.json:1:\d+: ")

    def test_good_text_of_odd_form(self):
        for name, data in (("a.yaml", b"\xef\xbb\xbf" + self.NODE.replace("\n", "\r\n").encode()),
                           ("b.yaml", "---\n---\n" + self.NODE + "---\n# nothing\n---\n"),
                           ("c.json", b"\xef\xbb\xbf" + json.dumps(node("a")).encode())):
            p = self.bytes_of("simulate", "--cluster", self.raw(name, data), "-o", "json")
            self.assertEqual(json.loads(p.stdout)["runs"][0]["nodes"]["total"], 1, name)

    def test_names_do_not_reach_the_terminal_raw(self):
        for evil in ("\x1b[31mred", "\x9b31m", "\u202eevil", "bell\x07"):
            c = self.cluster(node("n" + evil), pod("p" + evil), pod("q", cpu="99"), {
                "apiVersion": "x.example/v1", "kind": "K" + evil, "metadata": {"name": "o"}})
            for args in (("simulate", "--cluster", c), ("simulate", "--cluster", c, "-o", "csv", "--placements"),
                         ("simulate", "--cluster", c, "-o", "json", "--placements"), ("explain", "--cluster", c, "--pending"),
                         ("explain", "--cluster", c, "--pending", "-o", "json"),
                         ("explain", "--cluster", c, "--pod", "games/" + evil.replace("\x00", "")), ("sim" + evil,)):
                self.bytes_of(*args)
            bad = pod("p")
            bad["spec"]["containers"][0]["resources"]["requests"]["cpu"] = evil
            self.assertEqual(self.bytes_of("simulate", "--cluster", self.cluster(bad)).returncode, 1)

    def test_quantities(self):
        for q in ("NaN", "1x", "-1", "", "1e", "1.5.2", "1 Gi", True, [], {}):
            p = pod("p")
            p["spec"]["containers"][0]["resources"]["requests"]["cpu"] = q
            e = self.run_ok("simulate", "--cluster", self.cluster(node("a"), p), code=1).stderr
            self.assertRegex(e, r"cluster\.json:1:\d+: spec\.containers\[0\]\.resources\.requests\.cpu: ")
        for q in ("9223372036854775808", "99999999999999999999999999", "1e999", "16Ei"):
            c = self.cluster(node("a"), pod("p", cpu=q))
            self.assertEqual(self.simulate("--cluster", c)["runs"][0]["pods"]["failed"], 1, q)

    def test_numbers_of_pods(self):
        tmpl = {"metadata": {"labels": {"app": "w"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        for kind, version in (("Deployment", "apps/v1"), ("Fleet", "agones.dev/v1")):
            for n in (-1, 2 ** 31, 2 ** 63, 1.5, "3", [], 10 ** 7):
                d = {"apiVersion": version, "kind": kind, "metadata": {"name": "d"}, "spec": {
                    "replicas": n, "selector": {"matchLabels": {"app": "w"}},
                    "template": {"spec": {"template": tmpl}} if kind == "Fleet" else tmpl}}
                e = self.run_ok("simulate", "--cluster", self.cluster(node("a"), d), code=1).stderr
                self.assertRegex(e, r"cluster\.json:1:\d+: .*spec\.replicas: ", (kind, n))
        for ports in ([{"portPolicy": "Magic", "containerPort": 1}], [{"portPolicy": "Static", "hostPort": 99999}], [7]):
            d["spec"] = {"replicas": 1, "template": {"spec": {"ports": ports, "template": tmpl}}}
            e = self.run_ok("simulate", "--cluster", self.cluster(node("a"), d), code=1).stderr
            self.assertRegex(e, r"cluster\.json:1:\d+: .*spec\.ports")
        d["kind"], d["apiVersion"], d["spec"] = "Deployment", "apps/v1", {"replicas": 2}
        e = self.run_ok("simulate", "--cluster", self.cluster(node("a"), d), code=1).stderr
        self.assertIn("spec.template: missing", e)

    def test_owners_in_circles(self):
        tmpl = {"metadata": {"labels": {"app": "w"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}

        def ring(kind, owner):
            return {"apiVersion": "apps/v1", "kind": kind, "metadata": {
                "name": "d", "namespace": "games", "uid": kind, "ownerReferences": [
                    {"apiVersion": "apps/v1", "kind": owner, "name": "d", "uid": owner, "controller": True}]},
                "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "w"}}, "template": tmpl}}
        for a, b in (("Deployment", "ReplicaSet"), ("Deployment", "Deployment")):
            p = pod("p")
            p["metadata"]["ownerReferences"] = ring(a, b)["metadata"]["ownerReferences"]
            self.simulate("--cluster", self.cluster(node("a"), ring(a, b), ring(b, a), p))

    def test_paths_that_are_no_files(self):
        folder = os.path.join(self.tmp.name, "odd")
        os.mkdir(folder)
        os.symlink(".", os.path.join(folder, "loop"))
        os.symlink("self.json", os.path.join(folder, "self.json"))
        os.symlink("/nonexistent", os.path.join(folder, "dangling.json"))
        os.mkfifo(os.path.join(folder, "pipe.json"))
        os.mkdir(os.path.join(folder, "folder.json"))
        self.file("odd/n.json", node("a"))
        self.assertEqual(self.simulate("--cluster", folder)["runs"][0]["nodes"]["total"], 1)
        for bad in ("/dev/null", os.path.join(folder, "dangling.json"), os.path.join(folder, "self.json")):
            self.assertIn(bad, self.run_ok("simulate", "--cluster", bad, code=1).stderr)
        c = self.cluster(node("a"))
        for flag in ("--latency", "--prices", "--policy"):
            self.assertIn(folder, self.run_ok("simulate", "--cluster", c, flag, folder, code=1).stderr)
        self.run_ok("simulate", "--cluster", "-", "--workload", "-", code=2, stdin="{}")

    def test_usage(self):
        c = self.cluster(node("a"))
        for args in (("simulate",), ("simulate", "--cluster"), ("simulate", "--cluster", ""), ("simulate", c),
                     ("simulate", "--cluster", c, "--seed", "-1"), ("simulate", "--cluster", c, "--seed", "1x"),
                     ("simulate", "--cluster", c, "--seed", "18446744073709551616"),
                     ("simulate", "--cluster", c, "-o", "xml"), ("explain", "--cluster", c, "--pod", "a/b", "--pending"),
                     ("simulate", "--cluster", c, "--expect", "a" * 5000), ("frobnicate",), (), ("config",), ("version", "x")):
            p = self.run_ok(*args, code=2)
            self.assertTrue(p.stderr, args)
            self.assertFalse(p.stdout, args)
        many = [x for i in range(10000) for x in ("--pod", "games/p%d" % i)]
        self.assertIn("games/p0", self.run_ok("explain", "--cluster", c, *many, code=1).stderr)

    def test_lost_output_is_an_error(self):
        c = self.cluster(node("a"), node("b"), pod("p"))
        for args in (("simulate", "--cluster", c), ("simulate", "--cluster", c, "-o", "json"), ("explain", "--cluster", c, "--pending"),
                     ("config", "default"), ("config", "explain"), ("version",), ("--help",), ("simulate", "--help")):
            with open("/dev/full", "w") as full:
                p = subprocess.run([BIN, *args], stdout=full, stderr=subprocess.PIPE, timeout=60)
            self.assertEqual((p.returncode, bool(p.stderr)), (1, True), args)
            r, w = os.pipe()
            os.close(r)
            p = subprocess.run([BIN, *args], stdout=w, stderr=subprocess.PIPE, timeout=60)
            os.close(w)
            self.assertEqual((p.returncode, bool(p.stderr)), (1, True), args)

    def test_interrupted(self):
        p = subprocess.Popen([BIN, "simulate", "--cluster", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        time.sleep(0.5)
        p.send_signal(signal.SIGINT)
        self.assertEqual(p.wait(timeout=10), 130)
        p.communicate()

    def test_objects_without_a_kind(self):
        for name, item in (("node/a", node("a")), ("pod/p", pod("p", on="a")), ("pv/v", {
                "metadata": {"name": "v"}, "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
                                                    "persistentVolumeReclaimPolicy": "Retain"}})):
            self.file("kinds/%s.json" % name, {k: v for k, v in item.items() if k not in ("kind", "apiVersion")})
        r = self.simulate("--cluster", os.path.join(self.tmp.name, "kinds"))
        self.assertEqual((r["runs"][0]["nodes"]["total"], r["runs"][0]["pods"]["bound"]), (1, 1))
        self.assertEqual(r["runs"][0]["pods"]["arrived"], 0)

    def test_wrong_tables(self):
        c = self.cluster(node("a"), pod("p"))
        for text, place in (("", "1:1"), ("from,to\n", "1:1"), ("from;to;rtt_ms\n", "1:1"), ("from,to,rtt_ms\nDE,x\n", "2:1"),
                            ("from,to,rtt_ms\nDE,x,-1\n", "2:6"), ("from,to,rtt_ms\nDE,x,nan\n", "2:6"),
                            ("from,to,rtt_ms\nDE,x,1e999\n", "2:6"), ("from,to,rtt_ms\nDE,,1\n", "2:4"),
                            ("from,to,rtt_ms\nDE,x,1\nDE,x,2\n", "3:1"), ('from,to,rtt_ms\n"DE,x,1\n', "2:1")):
            e = self.run_ok("simulate", "--cluster", c, "--latency", self.file("t.csv", text), code=1).stderr
            self.assertIn("t.csv:%s: " % place, e)
        head = "instance_type,region,capacity_type,price_per_hour\n"
        for row, place in (("x,r,spotty,1", "2:5"), ("x,r,spot,-1", "2:10"), ("x,r,spot,$1", "2:10"), ("x,r,spot", "2:1")):
            e = self.run_ok("simulate", "--cluster", c, "--prices", self.file("t.csv", head + row + "\n"), code=1).stderr
            self.assertIn("t.csv:%s: " % place, e)

    def test_contradictory_configuration(self):
        head = "apiVersion: spawnpoint.dev/v1alpha1\nkind: SpawnpointConfiguration\n"
        for text, place, word in (
                ("fleets:\n- {name: a}\n- {name: a}\n", "5:3", "unique"), ("fleets:\n- {name: a, pools: [x]}\n", "4:20", "pools"),
                ("fleets:\n- {name: a, session: {p50: 40m, p90: 20m}}\n", "4:22", "p90"),
                ("fleets:\n- {name: a, regions: {allowed: [x], primary: y}}\n", "4:46", "allowed"),
                ("fleets:\n- {name: a, regions: {allowed: [x], disabled: [x]}}\n", "4:47", "disabled"),
                ("fleets:\n- {name: a, spot: {policy: required, minOnDemandShare: 1}}\n", "4:56", "required"),
                ("latency: {classes: {c: {goodMs: 90, okMs: 60, maxMs: 80}}}\n", "3:24", "grow"),
                ("decisionBudget: 20\n", "3:17", "unit"), ("decide: decisive\ndecide: shortlist\n", "4:1", "twice"),
                ("rates: {playerKickd: 1}\n", "3:9", "playerKicked"), ("\tdecide: decisive\n", "3:1", "tab")):
            e = self.run_ok("config", "validate", self.file("c.yaml", head + text), code=1).stderr
            self.assertIn("c.yaml:%s: " % place, e)
            self.assertIn(word, e)
        c = self.cluster(node("a"))
        old = self.file("k.yaml", "apiVersion: kubescheduler.config.k8s.io/v1beta3\nkind: KubeSchedulerConfiguration\n")
        self.assertIn("KubeSchedulerConfiguration", self.run_ok("simulate", "--cluster", c, "--policy", old, code=2).stderr)

    def test_wrong_manifests_that_people_copy(self):
        c = self.cluster(node("a"))
        spread = ("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  replicas: 1\n  selector: {matchLabels: "
                  "{a: b}}\n  template:\n    metadata: {labels: {a: b}}\n    spec:\n      containers: [{name: c, image: i}]\n"
                  "      topologySpreadConstraints:\n      - maxSkew: 0\n        topologyKey: zone\n"
                  "        whenUnsatisfiable: DoNotSchedule\n")
        fleet = ("apiVersion: agones.dev/v1\nkind: Fleet\nmetadata: {name: f}\nspec:\n  replicas: 1\n  template:\n    spec:\n"
                 "      container: {name: c, image: i}\n      template: {spec: {containers: [{name: c, image: i}]}}\n")
        for text, place, word in (
                (spread, "12:18", "1 or more"), (fleet, "8:7", "containers"),
                ("apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: system-x}\nvalue: 1\n", "3:18", "reserved"),
                ("apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: x}\nvalue: 2000000000\n", "4:8", "value")):
            e = self.run_ok("simulate", "--cluster", c, "--workload", self.file("w.yaml", text), code=1).stderr
            self.assertRegex(e, r"w\.yaml:%s: " % place.replace(place.split(":")[1], r"\d+"))
            self.assertIn(word, e)
        for text, word in (
                ("apiVersion: autoscaling/v2\nkind: VerticalPodAutoscaler\nmetadata: {name: v}\n", "autoscaling.k8s.io/v1"),
                ("apiVersion: kubescheduler.config.k8s.io/v1beta3\nkind: KubeSchedulerConfiguration\n", "config.k8s.io/v1"),
                ("apiVersion: karpenter.sh/v1\nkind: NodePool\nmetadata: {name: n}\nspec:\n  disruption:\n"
                 "    consolidationPolicy: WhenUntilized\n", "WhenEmptyOrUnderutilized")):
            e = self.run_ok("simulate", "--cluster", c, "--workload", self.file("w.yaml", text)).stderr
            self.assertRegex(e, r"w\.yaml:\d+:\d+: ")
            self.assertIn(word, e)


class KubernetesRules(Base):
    """kube-scheduler's own rules, asked of explain: which nodes pass, and which plugin refuses the others."""
    ZONE = "topology.kubernetes.io/zone"
    TWO = [node("a", zone="z1"), node("b", zone="z2")]

    def judge(self, items, want, name="p", ns="games"):
        n = self.by_name(self.explain(self.cluster(*items), name, ns=ns))
        got = {k: "ok" if v["feasible"] else v["rejectedBy"]["plugin"] + "!" * v["rejectedBy"]["unresolvable"]
               for k, v in n.items() if k in want}
        self.assertEqual(got, want)

    @staticmethod
    def c(cpu=None, **more):
        return dict({"name": "x", "image": "i", "resources": {"requests": {"cpu": cpu} if cpu else {}}}, **more)

    def needs(self, milli, containers, inits=(), **spec):
        p = pod("p", **spec)
        p["spec"]["containers"] = containers
        p["spec"]["initContainers"] = list(inits)
        self.judge([node("eq", cpu="%dm" % milli), node("less", cpu="%dm" % (milli - 1)), p],
                   {"eq": "ok", "less": "NodeResourcesFit!"})

    def test_requests(self):
        c, side = self.c, dict(restartPolicy="Always")
        self.needs(2000, [c("1"), c("500m")], [c("2")])
        self.needs(1700, [c("1")], [c("500m", **side), c("1200m")])
        self.needs(1500, [c("1")], [c("1400m"), c("500m", **side)])
        self.needs(1250, [c("1")], overhead={"cpu": "250m"})
        self.needs(3100, [c("1")], overhead={"cpu": "100m"}, resources={"requests": {"cpu": "3"}})
        self.needs(2000, [{"name": "x", "image": "i", "resources": {"limits": {"cpu": "2"}}}])
        self.needs(2, [c("0.1m"), c("0.1m"), c("1m")])

    def test_ports(self):
        def port(n, ip=None, proto=None):
            p = {"containerPort": n, "hostPort": n}
            p.update({"hostIP": ip} if ip else {})
            p.update({"protocol": proto} if proto else {})
            return {"ports": [p]}
        for there, here, ok in ((port(1), port(1), False), (port(1), port(1, proto="UDP"), True),
                                (port(1, "1.1.1.1"), port(1, "2.2.2.2"), True), (port(1, "1.1.1.1"), port(1), False),
                                (port(1, "::"), port(1, "1.1.1.1"), True)):
            self.judge([node("a"), pod("e", on="a", container=there), pod("p", container=here)],
                       {"a": "ok" if ok else "NodePorts"})
        own = {"ports": [{"containerPort": 7777}]}
        self.judge([node("a"), pod("e", on="a", container=own), pod("p", container=own)], {"a": "ok"})
        self.judge([node("a"), pod("e", on="a", container=own, hostNetwork=True), pod("p", container=own, hostNetwork=True)],
                   {"a": "NodePorts"})

    def test_topology_spread(self):
        def rule(**kw):
            d = {"maxSkew": 1, "topologyKey": self.ZONE, "whenUnsatisfiable": "DoNotSchedule",
                 "labelSelector": {"matchLabels": {"app": "x"}}}
            d.update(kw)
            return [d]
        x, s = {"app": "x"}, "PodTopologySpread"
        both = [pod("e1", on="a", labels=x), pod("e2", on="b", labels=x)]
        self.judge(self.TWO + both + [pod("p", labels=x, topologySpreadConstraints=rule(minDomains=3))], {"a": s, "b": s})
        self.judge(self.TWO + both + [pod("p", labels=x, topologySpreadConstraints=rule(minDomains=2))], {"a": "ok", "b": "ok"})
        third = [node("c", zone="z3", taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}])]
        self.judge(self.TWO + third + both + [pod("p", labels=x, topologySpreadConstraints=rule())], {"a": s, "b": s})
        self.judge(self.TWO + third + both + [pod("p", labels=x, topologySpreadConstraints=rule(nodeTaintsPolicy="Honor"))],
                   {"a": "ok", "b": "ok"})
        away = dict(nodeSelector={"q": "yes"})
        three = [node("a", zone="z1", labels={"q": "yes"}), node("b", zone="z2", labels={"q": "yes"}), node("c", zone="z3")]
        self.judge(three + both + [pod("p", labels=x, topologySpreadConstraints=rule(), **away)], {"a": "ok", "b": "ok"})
        self.judge(three + both + [pod("p", labels=x, topologySpreadConstraints=rule(nodeAffinityPolicy="Ignore"), **away)],
                   {"a": s, "b": s})
        for hash_here, want in (("1", s), ("2", "ok")):
            self.judge(self.TWO + [pod("e", on="a", labels={"app": "x", "h": "1"}),
                                   pod("p", labels={"app": "x", "h": hash_here},
                                       topologySpreadConstraints=rule(matchLabelKeys=["h"]))], {"a": want, "b": "ok"})

    def test_affinity_between_pods(self):
        def rule(kind, **kw):
            d = {"labelSelector": {"matchLabels": {"app": "x"}}, "topologyKey": self.ZONE}
            d.update(kw)
            return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [d]}}
        x, i = {"app": "x"}, "InterPodAffinity!"
        ns = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "o", "labels": {"team": "t"}}}
        other = pod("e", ns="o", on="a", labels=x)
        for kw, want in (({}, i), ({"namespaces": ["o"]}, "ok"), ({"namespaceSelector": {}}, "ok"),
                         ({"namespaceSelector": {"matchLabels": {"team": "t"}}}, "ok"),
                         ({"namespaceSelector": {"matchLabels": {"team": "u"}}}, i)):
            self.judge(self.TWO + [ns, other, pod("p", affinity=rule("podAffinity", **kw))], {"a": want, "b": i})
        self.judge(self.TWO + [pod("p", labels=x, affinity=rule("podAffinity"))], {"a": "ok", "b": "ok"})
        self.judge(self.TWO + [pod("p", affinity=rule("podAffinity"))], {"a": i, "b": i})
        self.judge(self.TWO + [pod("e", on="a", affinity=rule("podAntiAffinity")), pod("p", labels=x)],
                   {"a": "InterPodAffinity", "b": "ok"})

    def test_priorities(self):
        classes = [{"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": n}, "value": v,
                    "globalDefault": n == "usual"} for n, v in (("high", 1000), ("low", -5), ("usual", 100))]
        pods = [pod("low", cpu="1500m", priorityClassName="low"), pod("plain", cpu="1500m"),
                pod("high", cpu="1500m", priorityClassName="high"), pod("system", cpu="1500m", priorityClassName="system-node-critical")]
        for first in ("system", "high", "plain"):
            r = self.simulate("--cluster", self.cluster(node("a", cpu="2"), *classes, *pods), "--placements")
            self.assertEqual([x["pod"] for x in r["runs"][0]["placements"] if x["node"]], ["games/" + first])
            pods = [p for p in pods if p["metadata"]["name"] != first]

    def claim(self, name="q", size="10Gi", **ann):
        return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {
            "name": name, "namespace": "games", "annotations": ann}, "spec": {
                "accessModes": ["ReadWriteOnce"], "storageClassName": "s", "resources": {"requests": {"storage": size}}},
            "status": {"phase": "Pending"}}

    def volume(self, name="v", zone="z2", size="10Gi", phase="Available", claim=None, cls="s"):
        d = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": {
            "capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": cls,
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": self.ZONE, "operator": "In", "values": [zone]}]}]}}}, "status": {"phase": phase}}
        if claim:
            d["spec"]["claimRef"] = {"namespace": "games", "name": claim}
        return d

    def storage(self, provisioner="ebs.csi.aws.com", mode="WaitForFirstConsumer", **kw):
        return dict({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "s"},
                     "provisioner": provisioner, "volumeBindingMode": mode}, **kw)

    @staticmethod
    def mounts(*claims):
        return {"volumes": [{"name": "d%d" % k, "persistentVolumeClaim": {"claimName": c}} for k, c in enumerate(claims)]}

    def test_claims_that_wait(self):
        v, p = "VolumeBinding!", pod("p", **self.mounts("q"))
        local = self.storage("kubernetes.io/no-provisioner")
        zone = [{"matchLabelExpressions": [{"key": self.ZONE, "values": ["z2"]}]}]
        for more, a, b in (([self.storage()], "ok", "ok"), ([self.storage(mode="Immediate")], v, v),
                           ([self.storage(allowedTopologies=zone)], v, "ok"), ([local], v, v),
                           ([local, self.volume()], v, "ok"), ([local, self.volume(size="5Gi")], v, v),
                           ([local, self.volume(phase="Released")], v, v), ([local, self.volume(cls="t")], v, v),
                           ([local, self.volume(claim="other")], v, v),
                           ([local, self.volume(claim="q"), self.volume("w", "z1")], v, "ok")):
            self.judge(self.TWO + more + [self.claim(), p], {"a": a, "b": b})
        self.judge(self.TWO + [self.storage(), self.claim(**{"volume.kubernetes.io/selected-node": "b"}), p], {"a": v, "b": "ok"})
        self.judge(self.TWO + [local, self.claim("q"), self.claim("r", "5Gi"), self.volume("v"), self.volume("w", size="5Gi"),
                               self.volume("u", "z1"), pod("p", **self.mounts("q", "r"))], {"a": v, "b": "ok"})

    def test_one_volume_serves_one_claim(self):
        local = self.storage("kubernetes.io/no-provisioner")
        items = self.TWO + [local, self.claim("q"), self.claim("r"), pod("p", **self.mounts("q")), pod("o", **self.mounts("r"))]
        for volumes, placed in (([self.volume()], 1), ([self.volume(), self.volume("w", "z1")], 2)):
            r = self.simulate("--cluster", self.cluster(*items, *volumes))
            self.assertEqual(r["runs"][0]["pods"]["placed"], placed)

    def test_worlds_over_a_dump_without_storage_classes(self):
        claim = self.claim()
        del claim["spec"]["storageClassName"], claim["status"]
        world = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "w"}, "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "w"}}, "volumeClaimTemplates": [claim],
            "template": {"metadata": {"labels": {"app": "w"}}, "spec": {"containers": [self.c("100m")]}}}}
        r = self.simulate("--cluster", self.cluster(*self.TWO), "--workload", self.file("w.json", world))
        self.assertEqual(r["runs"][0]["pods"]["placed"], 2)
        self.assertTrue(any("storage class" in x["what"] for x in r["notModelled"]), r["notModelled"])
        r = self.simulate("--cluster", self.cluster(*self.TWO, self.storage()), "--workload", self.file("w.json", world))
        self.assertEqual(r["runs"][0]["pods"]["placed"], 0)


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
