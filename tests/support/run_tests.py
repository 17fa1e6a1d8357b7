#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests that ctest knows and counts each cmocka test.

    run_tests.py BUILD_DIR [--label L]... [--jobs N] [--prefix COMMAND]

A cmocka program (it prints TAP) counts by test; any other program counts as one by its exit code (77 = skipped), or by a last
line of its own, `N passed, N failed, N skipped`. The last line of the output is that line for all of them.
"""
import argparse
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys
import time

TAP = re.compile(r"^(not ok|ok) (\d+)\s*(?:-\s*)?(.*)$", re.M)
PLAN = re.compile(r"^1\.\.(\d+)", re.M)
TOTAL = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")
UNITTEST = re.compile(r"^Ran (\d+) tests? in [\d.]+s\n\n(?:OK|FAILED)(?: \((.*)\))?$", re.M)
SKIP_CODE = 77


def list_tests(build):
    out = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], check=True, stdout=subprocess.PIPE).stdout
    for test in json.loads(out)["tests"]:
        props = {p["name"]: p["value"] for p in test.get("properties", [])}
        yield {
            "name": test["name"],
            "command": test.get("command"),
            "labels": props.get("LABELS", []),
            "env": dict(e.split("=", 1) for e in props.get("ENVIRONMENT", [])),
            "cwd": props.get("WORKING_DIRECTORY", build),
            "timeout": props.get("TIMEOUT", 600),
        }


def run_one(test, prefix):
    env = {**test["env"], **os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP"}
    started = time.monotonic()
    if not test["command"]:
        return test, None, "the program was not built", 0.0
    try:
        done = subprocess.run(prefix + test["command"], cwd=test["cwd"], env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=test["timeout"])
        code, text = done.returncode, done.stdout.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as late:
        code, text = None, (late.stdout or b"").decode("utf-8", "replace") + f"\nno end after {test['timeout']} s\n"
    except OSError as bad:
        code, text = None, str(bad)
    return test, code, text, time.monotonic() - started


def judge(code, text):
    """(passed, failed, skipped names, failed names) of one program."""
    passed, failed, skipped = 0, [], []
    rows = TAP.findall(text)
    for verdict, _, name in rows:
        if "# SKIP" in name:
            skipped.append(name.replace("# SKIP", "").strip())
        elif verdict == "ok":
            passed += 1
        else:
            failed.append(name)
    planned = sum(int(n) for n in PLAN.findall(text))
    last = TOTAL.match(text.rstrip("\n").rsplit("\n", 1)[-1])
    if not rows and last is not None:
        passed = int(last[1])
        failed = ["(see above)"] * int(last[2])
        skipped = ["(see above)"] * int(last[3])
    elif not rows and UNITTEST.search(text):
        ran, details = UNITTEST.findall(text)[-1]
        counts = dict(part.split("=") for part in details.split(", ") if "=" in part)
        skipped = ["(see its output)"] * int(counts.get("skipped", 0))
        failed = ["(see above)"] * (int(counts.get("failures", 0)) + int(counts.get("errors", 0)))
        passed = int(ran) - len(skipped) - len(failed)
    elif not rows and code == SKIP_CODE:
        skipped.append("whole program")
    elif not rows and code == 0:
        passed = 1
    if rows and planned > len(rows):
        failed.append(f"{planned - len(rows)} of {planned} tests did not run")
    if code not in (0, SKIP_CODE) and not failed:
        failed.append("no exit code" if code is None else f"exit code {code}")
    return passed, failed, skipped


def report(result, totals):
    """Prints one program's result; the totals with it."""
    test, code, text, seconds = result
    passed, failed, skipped = judge(code, text)
    word = "FAIL" if failed else "skip" if skipped and not passed else "ok"
    print(f"{word:4} {test['name']}: {passed} passed, {len(failed)} failed, {len(skipped)} skipped ({seconds:.1f} s)")
    for name in skipped:
        print(f"     skipped: {name}")
    if failed:
        print("\n".join("     | " + line for line in text.rstrip().split("\n")[-120:]))
        for name in failed:
            print(f"     failed: {name}")
    sys.stdout.flush()
    return [totals[0] + passed, totals[1] + len(failed), totals[2] + len(skipped)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--label", action="append", default=[])
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("--prefix", default="")
    args = parser.parse_args()
    tests = [t for t in list_tests(args.build) if not args.label or set(args.label) & set(t["labels"])]
    prefix = shlex.split(args.prefix)
    timed = [t for t in tests if "net" in t["labels"]]
    totals = [0, 0, 0]
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        waiting = [pool.submit(run_one, t, prefix) for t in tests if t not in timed]
        for done in concurrent.futures.as_completed(waiting):
            totals = report(done.result(), totals)
    for test in timed:  # they keep real deadlines: one at a time, and once more (it is said) on a machine that stalled
        result = run_one(test, prefix)
        if judge(*result[1:3])[1]:
            report(result, totals)
            print(f"     once more, alone: {test['name']}")
            result = run_one(test, prefix)
        totals = report(result, totals)
    print("%d passed, %d failed, %d skipped" % tuple(totals))
    return 1 if totals[1] or not totals[0] else 0


if __name__ == "__main__":
    sys.exit(main())
