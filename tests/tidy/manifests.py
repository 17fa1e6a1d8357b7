#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What can be said about manifests/ without a cluster and without kustomize.

    manifests.py PROGRAM

Every SpawnpointConfiguration validates, a way's two configurations belong together, rendered.yaml holds what base/ holds, and
the examples are read by the simulator without a complaint. `./dev e2e` applies them to a real API server.
"""
import json
import os
import re
import subprocess
import sys
import unittest

PROGRAM = os.environ.get("SPAWNPOINT_PROGRAM", "build/release/spawnpoint")
WAYS = {"decisive": ("manifests/base/config", None), "shortlist": ("manifests/overlays/shortlist", 4),
        "cooperative": ("manifests/overlays/cooperative", 13)}


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def indented(text):
    return "".join(("    " + line if line.strip() else line) for line in text.splitlines(True))


class Manifests(unittest.TestCase):
    def test_configurations_validate(self):
        for folder, _ in WAYS.values():
            done = subprocess.run([PROGRAM, "config", "validate", folder + "/spawnpoint.yaml"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_ways_belong_together(self):
        for way, (folder, weight) in WAYS.items():
            self.assertRegex(read(folder + "/spawnpoint.yaml"), r"(?m)^decide: %s$" % way)
            scheduler = read(folder + "/scheduler.yaml")
            found = re.search(r"(?m)^  weight: (\d+)$", scheduler)
            self.assertEqual(int(found[1]) if found else None, weight, way)
            self.assertEqual("prioritizeVerb: prioritize" in scheduler, weight is not None, way)
            for line in ("  filterVerb: filter", "  nodeCacheCapable: true", "  ignorable: false", "  httpTimeout: 1s",
                         "- schedulerName: spawnpoint", "  resourceName: spawnpoint-scheduler"):
                self.assertIn(line + "\n", scheduler, way)

    def test_rendered_holds_the_base(self):
        rendered = read("manifests/rendered.yaml")
        for name in ("spawnpoint", "scheduler"):
            self.assertIn(indented(read(f"manifests/base/config/{name}.yaml")), rendered)
        for kind, name in re.findall(r"(?m)^kind: (\w+)\nmetadata:\n  name: (\S+)$", "".join(
                read("manifests/base/" + f) for f in ("namespace.yaml", "rbac.yaml", "deployment.yaml", "availability.yaml",
                                                      "network.yaml"))):
            self.assertRegex(rendered, r"(?ms)^kind: %s\nmetadata:.*?^  name: %s$" % (kind, re.escape(name)))

    def test_account_reads_no_secrets(self):
        self.assertNotRegex(read("manifests/rendered.yaml"), r"(?m)^  - (secrets|'\*'|\"\*\")$")

    def test_restricted(self):
        rendered = read("manifests/rendered.yaml")
        deployment = next(d for d in rendered.split("\n---\n") if "\nkind: Deployment\n" in d)
        self.assertEqual(deployment.count("allowPrivilegeEscalation: false"), 2)
        self.assertEqual(deployment.count("readOnlyRootFilesystem: true"), 2)
        self.assertEqual(deployment.count("- ALL\n"), 2)
        for line in ("runAsNonRoot: true", "type: RuntimeDefault", "automountServiceAccountToken: false", "restartPolicy: Always",
                     "- --listen=127.0.0.1:10270", "expirationSeconds: 3600"):
            self.assertIn(line, deployment)
        self.assertNotIn("hostNetwork", deployment)

    def test_examples_are_understood(self):
        done = subprocess.run([PROGRAM, "simulate", "--cluster", "manifests/examples", "-o", "json"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn(".yaml", done.stderr)
        self.assertEqual(json.loads(done.stdout)["runs"][0]["pods"]["arrived"], 6 + 12 + 8 + 4 + 6 + 2)

    def test_examples_name_the_scheduler(self):
        for name in sorted(os.listdir("manifests/examples")):
            text = read("manifests/examples/" + name)
            if name.endswith(".yaml"):
                self.assertEqual(len(re.findall(r"(?m)^ +containers:$", text)), text.count("schedulerName: spawnpoint\n"), name)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        PROGRAM = sys.argv.pop(1)
    unittest.main()
