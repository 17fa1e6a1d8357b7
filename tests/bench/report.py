#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Puts what the benchmarks printed between the markers of docs/performance.md, with where and how it was measured.

usage: report.py BUILD-FOLDER OUTPUT...    OUTPUT: the standard output of one benchmark, named as it is
"""
import os
import pathlib
import subprocess
import sys

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "performance.md"


def field(path, key):
    try:
        for line in pathlib.Path(path).read_text().splitlines():
            if line.startswith(key):
                return line.split(":", 1)[-1].split("=", 1)[-1].strip().strip('"')
    except OSError:
        pass
    return "unknown"


def compiler(build):
    path = field(pathlib.Path(build) / "CMakeCache.txt", "CMAKE_C_COMPILER:")
    try:
        out = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return "unknown"
    return out.splitlines()[0] if out else "unknown"


def load():
    """What else ran meanwhile, from the kernel's one-minute average."""
    return f"{os.getloadavg()[0]:.1f}"


def block(build, outputs):
    memory = field("/proc/meminfo", "MemTotal").split()
    gib = f"{int(memory[0]) / 1048576:.0f} GiB" if memory and memory[0].isdigit() else "unknown"
    lines = [
        BEGIN,
        "",
        f"Machine: {field('/proc/cpuinfo', 'model name')}, {os.cpu_count()} logical processors, {gib}, "
        f"{field('/etc/os-release', 'PRETTY_NAME=')}, Linux {os.uname().release}; load average at the end {load()}.",
        f"Compiler: {compiler(build)}; preset `release`. Command: `./dev bench`.",
        "",
    ]
    for name in outputs:
        text = pathlib.Path(name).read_text().strip()
        lines += [f"### {pathlib.Path(name).stem.removeprefix('bench_')}", "", text, ""]
    return "\n".join(lines + [END])


def main():
    text = PAGE.read_text()
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    PAGE.write_text(before + block(sys.argv[1], sys.argv[2:]) + after)


if __name__ == "__main__":
    main()
