#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""include_paths.py BUILD_DIR: an include against the arrows does not compile.

Takes the compiler's real command of one file of each layer from compile_commands.json and compiles a probe with it that
includes one header of every other layer: what tidy.py allows must be found, what it forbids must not.
"""
import json
import os
import shlex
import subprocess
import sys

from tidy import ARROWS, LAYER_DIRS


def probe(command, header):
    words = shlex.split(command["command"])
    words = [w for i, w in enumerate(words) if w not in ("-c", "-o", "-MD", "-MT", "-MF") and
             words[i - 1] not in ("-o", "-MT", "-MF") and not w.endswith(".c")]
    done = subprocess.run(words + ["-w", "-M", "-x", "c", "-"], input=f'#include "{header}"\n'.encode(),
                          cwd=command["directory"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return done.returncode == 0, done.stderr.decode("utf-8", "replace")


def main():
    build = sys.argv[1]
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        commands = json.load(f)
    by_dir = {os.path.relpath(os.path.dirname(c["file"]), root): c for c in commands}
    headers = {layer: f"{layer}/{name}" for path, layer in LAYER_DIRS.items()
               for name in sorted(os.listdir(os.path.join(root, path)), reverse=True) if name.endswith(".h")}
    bad = tried = 0
    for path, layer in LAYER_DIRS.items():
        if path not in by_dir:
            continue
        for other, header in headers.items():
            found, text = probe(by_dir[path], header)
            missing_itself = f"{header}: No such file" in text or f"'{header}' file not found" in text
            tried += 1
            if other in ARROWS[layer] and not found:
                print(f"{layer} cannot include {header}, which its arrow allows:\n{text}")
                bad += 1
            elif other not in ARROWS[layer] and not missing_itself:
                print(f"{layer} can include {header}, against the arrows")
                bad += 1
    print(f"{tried} includes tried, {bad} wrong")
    return 1 if bad or not tried else 0


if __name__ == "__main__":
    sys.exit(main())
