#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The runner counts right: TAP, unittest, plain programs, programs that die."""
import run_tests as r

assert r.judge(0,"..s\n---\nRan 3 tests in 0.1s\n\nOK (skipped=1)\n")==(2,[],["(see its output)"])
assert r.judge(1,"..s\n---\nRan 5 tests in 0.1s\n\nFAILED (failures=1, errors=1)\n")[0]==3
assert r.judge(1,"1..3\nok 1 - a\nnot ok 2 - b\nnot ok 3 # SKIP c\n")==(1,["b"],["c"])
assert r.judge(-11,"1..3\nok 1 - a\n")[1]==["2 of 3 tests did not run"]
assert r.judge(0,"x")==(1,[],[]) and r.judge(1,"x")[1]==["exit code 1"] and r.judge(77,"")[2]
assert r.judge(1,"ok 1 - a\n1..1\nleak")[1]==["exit code 1"]
print("the runner counts right")
