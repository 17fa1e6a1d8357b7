#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""soak.py PROGRAM [--minutes N]: requests without a pause against `serve`, good and broken, seeded.

Fails when an answer is not HTTP with JSON, when a decision names a node that was not asked, when the program ends or reports through
a sanitizer, or when its memory still grows after the first third. Last line: N passed, N failed, N skipped.
"""
import argparse
import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

ZONES = ("a", "b", "c")


def make_node(i):
    return {"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": f"node-{i:03}", "uid": f"node-uid-{i}",
                         "labels": {"kubernetes.io/hostname": f"node-{i:03}", "topology.kubernetes.io/region": "eu-central-1",
                                    "topology.kubernetes.io/zone": "eu-central-1" + ZONES[i % 3]}},
            "spec": {}, "status": {"allocatable": {"cpu": "32", "memory": "128Gi", "pods": "110"},
                                   "capacity": {"cpu": "32", "memory": "128Gi", "pods": "110"},
                                   "conditions": [{"type": "Ready", "status": "True"}]}}


def make_pod(i):
    return {"metadata": {"name": f"game-{i}", "namespace": "games", "uid": f"uid-{i}", "labels": {"app": f"app-{i % 5}"}},
            "spec": {"schedulerName": "spawnpoint", "containers": [
                {"name": "server", "image": "game", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}]}}


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


def ask(port, path, body):
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        link.request("POST", path, body, {"Content-Type": "application/json"})
        reply = link.getresponse()
        return reply.status, reply.read()
    finally:
        link.close()


def one_round(rng, port, number, names):
    """One request; a text when the answer is wrong."""
    asked = rng.sample(names, rng.randint(1, len(names)))
    body = json.dumps({"Pod": make_pod(number % 5000), "NodeNames": asked}).encode()
    path = rng.choice(["/filter", "/filter", "/prioritize"])
    broken = rng.random() < 0.1
    if broken:
        cut = rng.randrange(len(body))
        body = body[:cut] if rng.random() < 0.5 else body[:cut] + bytes([rng.randrange(256)]) + body[cut + 1:]
    status, text = ask(port, path, body)
    answer = json.loads(text)
    if broken:
        return None if status in (200, 400) else f"{status} for broken input"
    if status != 200:
        return f"{status}: {text[:200]!r}"
    if path == "/filter":
        chosen = answer.get("NodeNames") or []
        if not set(chosen) <= set(asked):
            return f"a node that was not asked: {chosen}"
    elif not {row["Host"] for row in answer} <= set(asked):
        return "a host that was not asked"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng, failures, count = random.Random(args.seed), [], 0
    with tempfile.TemporaryDirectory() as folder:
        dump, log = os.path.join(folder, "cluster.json"), os.path.join(folder, "log")
        nodes = [make_node(i) for i in range(60)]
        with open(dump, "w", encoding="utf-8") as f:
            json.dump({"apiVersion": "v1", "kind": "List", "items": nodes}, f)
        with open(log, "w+", encoding="utf-8") as err:
            serve = subprocess.Popen([args.program, "serve", "--snapshot", dump, "--listen", "127.0.0.1:0",
                                      "--admin-listen", "127.0.0.1:0"], stdout=subprocess.DEVNULL, stderr=err)
        try:
            port, deadline = None, time.monotonic() + 20
            while port is None and time.monotonic() < deadline and serve.poll() is None:
                with open(log, encoding="utf-8") as f:
                    found = re.search(r"ready extender=\S*:(\d+)", f.read())
                port = int(found[1]) if found else time.sleep(0.05)
            if port is None:
                raise RuntimeError("serve did not get ready")
            names = [n["metadata"]["name"] for n in nodes]
            started, memory = time.monotonic(), []
            while time.monotonic() - started < args.minutes * 60 and len(failures) < 10:
                wrong = one_round(rng, port, count, names)
                count += 1
                failures += [wrong] if wrong else []
                if count % 500 == 0:
                    memory.append(resident_kib(serve.pid))
            third = memory[len(memory) // 3:]
            if len(third) > 10 and third[-1] > third[0] * 1.2 + 8192:
                failures.append(f"memory grew from {third[0]} to {third[-1]} KiB")
            print(f"{count} requests, resident {memory[0] if memory else '?'} to {memory[-1] if memory else '?'} KiB")
        except (OSError, ValueError, RuntimeError, KeyError, http.client.HTTPException) as bad:
            failures.append(f"after {count} requests: {type(bad).__name__}: {bad}")
        if serve.poll() is None:
            serve.send_signal(signal.SIGTERM)
        try:
            code = serve.wait(30)
        except subprocess.TimeoutExpired:
            serve.kill()
            code = "none within 30 s of SIGTERM"
        if code != 0:
            failures.append(f"exit code {code}")
        if failures:
            with open(log, encoding="utf-8", errors="replace") as f:
                print(f.read()[-4000:])
    for line in failures:
        print("FAIL", line)
    print(f"{0 if failures else 1} passed, {1 if failures else 0} failed, 0 skipped")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
