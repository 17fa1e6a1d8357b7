#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rules of the house that a compiler does not know. Prints file:line for every violation.

    tidy.py [ROOT]        checks the tree (default: the repository this file is in)
    tidy.py --self-test   breaks every rule once in a scratch tree and demands that each is reported

Every rule is a function that yields (path, line, message). Exceptions stand in EXCEPTIONS with a reason; an
exception that is no longer needed is itself a violation.
"""
import os
import re
import subprocess
import sys
import tempfile

# Which layer may include which. The key of a layer is the first part of the include path.
ARROWS = {
    "base": {"base"},
    "model": {"model", "base"},
    "engine": {"engine", "model", "base"},
    "policies": {"policies", "engine", "model", "base"},
    "wire": {"wire", "model", "base"},
    "conf": {"conf", "wire", "model", "base"},
    "daemon": {"daemon", "policies", "conf", "wire", "engine", "model", "base"},
    "sim": {"sim", "policies", "conf", "wire", "engine", "model", "base"},
}
LAYER_DIRS = {
    "scheduler/base": "base", "scheduler/model": "model", "scheduler/engine": "engine", "policies": "policies",
    "scheduler/wire": "wire", "scheduler/conf": "conf", "scheduler/daemon": "daemon", "sim": "sim",
}
# Finer than the arrows: the only headers that may cross.
NARROW = {
    ("policies", "engine"): {"engine/policy.h"},
    ("conf", "wire"): {"wire/yaml_doc.h", "wire/jdoc.h"},
    ("daemon", "policies"): {"policies/presets.h"},  # a preset is asked for by name; no policy is
}
CORE = {"base", "model", "engine", "policies", "wire", "conf"}

# A third-party header is included by exactly one file outside tests.
THIRD_PARTY = [
    (re.compile(r"c[jJ][sS][oO][nN](/cJSON)?\.h|cJSON\.h"), "scheduler/wire/jsonc.c"),
    (re.compile(r"jansson\.h"), "scheduler/wire/jdoc.c"),
    (re.compile(r"yaml\.h"), "scheduler/wire/yaml_doc.c"),
    (re.compile(r"microhttpd\.h"), "scheduler/daemon/http_server.c"),
    (re.compile(r"curl/.*\.h"), "scheduler/wire/http_client.c"),
    (re.compile(r"ut(hash|list|array|string|ringbuffer)\.h"), "scheduler/base/map.h"),
]
STANDARD = set("""assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign
stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype
arpa/inet dirent dlfcn fcntl fnmatch getopt glob grp libgen net/if netdb netinet/in netinet/tcp netinet/ip poll
pthread pwd regex sched semaphore spawn strings syslog termios unistd sys/epoll sys/eventfd sys/inotify sys/ioctl
sys/mman sys/prctl sys/resource sys/select sys/signalfd sys/socket sys/stat sys/syscall sys/time sys/timerfd
sys/types sys/uio sys/un sys/utsname sys/wait sys/random immintrin emmintrin tmmintrin arm_neon malloc linux/filter
linux/seccomp linux/landlock linux/audit cpuid""".split())

EVERYWHERE_BANNED = {
    "strcpy": "a length is always known: memcpy", "strcat": "buf.h", "sprintf": "snprintf or buf.h",
    "vsprintf": "vsnprintf", "gets": "no", "strtok": "str_cut", "atoi": "str_to_i64", "atol": "str_to_i64",
    "atoll": "str_to_i64", "atof": "str_to_f64", "strncpy": "it does not terminate: memcpy or arena_str",
    "setlocale": "numbers are read and written in the C locale", "alloca": "no bound",
}
HEAP = {"malloc", "calloc", "realloc", "free", "strdup", "strndup", "reallocarray", "posix_memalign",
        "aligned_alloc", "asprintf", "vasprintf"}
CORE_BANNED = {
    **{f: "the core has no clock" for f in ("time", "clock_gettime", "gettimeofday", "clock", "localtime", "gmtime",
                                            "mktime", "localtime_r", "gmtime_r", "timespec_get")},
    **{f: "the core has no randomness but base/rng.h" for f in ("rand", "srand", "random", "drand48", "getrandom",
                                                                "rand_r", "arc4random")},
    **{f: "no libm in the core: base/fmath.h" for f in (
        "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "pow", "sqrt", "cbrt", "hypot", "sin", "cos", "tan",
        "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "floor", "ceil", "round", "lround", "llround",
        "trunc", "fmod", "rint", "nearbyint", "fma", "ldexp", "frexp", "modf", "erf", "lgamma", "tgamma", "fmin",
        "fmax")},
    **{f: "library code never logs or exits" for f in ("exit", "_exit", "abort", "printf", "puts", "putchar",
                                                       "perror", "fprintf", "fputs", "syslog")},
    **{f: "the core does not look at the environment" for f in ("getenv", "secure_getenv", "setenv", "system",
                                                                "popen", "fork")},
}
FUNCTION_LINES = 70
FILE_LINES = 800
COLUMNS = 140  # of anything; clang-format holds code to 100

# (rule, path) or (rule, path, detail) -> reason. Detail is a function name.
EXCEPTIONS = {
    ("core-banned", "scheduler/base/err.c"): "check_failed prints the place and aborts: that is its whole job",
    ("core-banned", "scheduler/conf/config_main.c"): "the verb `config`: a shell of one file that prints",
    ("arrows", "policies/presets.h"): "presets are sets of policies for the engine; the policies themselves see policy.h only",
}

CODE_DIRS = ("scheduler", "policies", "sim", "tests")
SKIP_PREFIXES = ("build", "tests/fuzz/corpus", "tests/fuzz/regression", "tests/golden/")


def list_files(root):
    if os.path.isdir(os.path.join(root, ".git")):
        out = subprocess.run(["git", "-C", root, "ls-files", "-z", "-co", "--exclude-standard"],
                             check=True, stdout=subprocess.PIPE).stdout
        names = [n for n in out.decode().split("\0") if n]
    else:
        names = [os.path.relpath(os.path.join(d, f), root) for d, _, fs in os.walk(root) for f in fs]
    return sorted(n for n in set(names) if os.path.isfile(os.path.join(root, n)))


def strip_c(text):
    """Comments and literals become blanks of the same shape, so that lines and columns stay."""
    out = []
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    pos = 0
    for m in pattern.finditer(text):
        out.append(text[pos:m.start()])
        blank = re.sub(r"[^\n]", " ", m.group(0))
        if m.group(0)[0] in "\"'":
            blank = m.group(0)[0] + blank[1:-1] + m.group(0)[0] if len(blank) > 1 else blank
        out.append(blank)
        pos = m.end()
    out.append(text[pos:])
    return "".join(out)


class Source:
    def __init__(self, root, path):
        self.path = path
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as f:
            self.text = f.read()
        self.lines = self.text.split("\n")
        if self.lines and self.lines[-1] == "":
            self.lines.pop()
        self.code = strip_c(self.text).split("\n") if path.endswith((".c", ".h", ".def")) else []

    @property
    def layer(self):
        return LAYER_DIRS.get(os.path.dirname(self.path)) or next(
            (v for k, v in LAYER_DIRS.items() if self.path.startswith(k + "/")), None)

    def includes(self):
        for n, line in enumerate(self.lines, 1):
            m = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
            if m:
                yield n, m.group(1), m.group(2)

    def calls(self):
        for n, line in enumerate(self.code, 1):
            for m in re.finditer(r"(?<![\w.>])(?:__builtin_)?([A-Za-z_]\w*)\s*\(", line):
                yield n, m.group(1), line


def rule_arrows(src):
    if src.layer is None:
        return
    for n, quote, name in src.includes():
        top = name.split("/")[0]
        if quote == '"' and "../" in name:
            yield "arrows", n, f'"{name}": include by layer root'
        if top in ARROWS and "/" in name:
            if top not in ARROWS[src.layer]:
                yield "arrows", n, f'{src.layer} may not include "{name}"'
            elif (src.layer, top) in NARROW and name not in NARROW[(src.layer, top)]:
                allowed = ", ".join(sorted(NARROW[(src.layer, top)]))
                yield "arrows", n, f'{src.layer} may include only {allowed} of {top}, not "{name}"'


def rule_third_party(src):
    if src.path.startswith("tests/"):
        return
    for n, quote, name in src.includes():
        owner = next((o for pattern, o in THIRD_PARTY if pattern.fullmatch(name)), None)
        if owner is not None and owner != src.path:
            yield "third-party", n, f"<{name}> belongs to {owner} alone"
        elif owner is None and quote == "<" and name[:-2] not in STANDARD:
            yield "third-party", n, f"<{name}> is no known system header; a new library needs an adapter of its own"


def rule_banned(src):
    in_tests = src.path.startswith("tests/")
    for n, name, line in src.calls():
        if name in EVERYWHERE_BANNED:
            yield "banned", n, f"{name}(): {EVERYWHERE_BANNED[name]}"
        if in_tests:
            continue
        if name in HEAP and src.path != "scheduler/base/mem.c" and not line.lstrip().startswith("#"):
            yield "heap", n, f"{name}(): the heap has one door, base/mem.h"
        if name in ("assert", "static_assert") and name == "assert":
            yield "assert", n, "assert() is for tests; check() of base/err.h stays on in release"
        if src.layer in CORE and name in CORE_BANNED and not (name == "sqrt" and "__builtin_sqrt" in line):
            yield "core-banned", n, f"{name}(): {CORE_BANNED[name]}"


def rule_lengths(src):
    limit = FILE_LINES
    if len(src.lines) > limit:
        yield "file-length", len(src.lines), f"{len(src.lines)} lines, at most {limit}"
    start = name = None
    previous = []
    for n, line in enumerate(src.code, 1):
        if line.startswith("{") and start is None:
            start = n
            joined = " ".join(previous[-6:])
            found = re.findall(r"([A-Za-z_]\w*)\s*\(", joined)
            name = found[0] if found else "?"
            signature = 0
            for back in reversed(previous):
                signature += 1
                if not back[:1].isspace():
                    break
            start -= signature
        elif line.startswith("}") and start is not None:
            if n - start + 1 > FUNCTION_LINES:
                yield "function-length", start, f"{name}: {n - start + 1} lines, at most {FUNCTION_LINES}", name
            start = None
        if line.strip():
            previous.append(line)
        else:
            previous = []


def rule_columns(src):
    if src.path.endswith(".def"):
        return
    for n, line in enumerate(src.lines, 1):
        if len(line) > COLUMNS:
            yield "columns", n, f"{len(line)} columns, at most {COLUMNS}"
        if line != line.rstrip() or "\t" in line:
            yield "blanks", n, "a tab or blanks at the end"


def rule_text(src):
    """For every text file, code or not."""
    code = src.path.endswith((".c", ".h", ".def", ".py", ".sh", ".cmake", "CMakeLists.txt")) or src.path in ("dev", ".ci/run")
    if code and not any("SPDX-License-Identifier: Apache-2.0" in l for l in src.lines[:20]):
        yield "spdx", 1, "no SPDX-License-Identifier: Apache-2.0 in the first 20 lines"
    if src.path == "tests/tidy/tidy.py" or src.path == "LICENSE":
        return
    for n, line in enumerate(src.lines, 1):
        if re.search(r"\b(TODO|FIXME|XXX)\b", line):
            yield "unfinished", n, "unfinished work belongs in an issue, not in the tree"
        if re.search(r"(?<![\w.])/(work|home/\w+|root)/", line):
            yield "machine-path", n, "a path of one machine"


C_RULES = (rule_arrows, rule_third_party, rule_banned, rule_lengths, rule_columns)


def is_text(path):
    return path.endswith((".c", ".h", ".def", ".py", ".sh", ".cmake", ".txt", ".md", ".yaml", ".yml", ".json",
                          ".html", ".css", ".js")) or os.path.basename(path) in ("dev", "run", ".clang-tidy")


def check_tree(root):
    """Every violation as (path, line, rule, message), and the exceptions that were used."""
    found, used = [], set()
    for path in list_files(root):
        if path.startswith(SKIP_PREFIXES) and not path.startswith("tests/golden/test_"):
            continue
        if not is_text(path):
            continue
        src = Source(root, path)
        rules = [rule_text]
        if path.endswith((".c", ".h", ".def")) and path.startswith(CODE_DIRS):
            rules += C_RULES
        for rule in rules:
            for item in rule(src):
                kind, line, message = item[:3]
                keys = [(kind, path)] + [(kind, path, detail) for detail in item[3:]]
                hit = next((k for k in keys if k in EXCEPTIONS), None)
                if hit is not None:
                    used.add(hit)
                else:
                    found.append((path, line, kind, message))
    return found, used


SELF_TEST = {
    # path: (content, the rules that must be reported with their lines)
    "scheduler/model/a.c": ('/* SPDX-License-Identifier: Apache-2.0 */\n#include "wire/x.h"\n', [("arrows", 2)]),
    "scheduler/engine/a.c": ('/* SPDX-License-Identifier: Apache-2.0 */\n#include "policies/x.h"\n', [("arrows", 2)]),
    "policies/a.c": ('/* SPDX-License-Identifier: Apache-2.0 */\n#include "engine/policy.h"\n'
                     '#include "engine/decide.h"\n#include "daemon/x.h"\n', [("arrows", 3), ("arrows", 4)]),
    "scheduler/conf/a.c": ('/* SPDX-License-Identifier: Apache-2.0 */\n#include "wire/yaml_doc.h"\n'
                           '#include "wire/scan.h"\n', [("arrows", 3)]),
    "scheduler/daemon/a.c": ('/* SPDX-License-Identifier: Apache-2.0 */\n#include "sim/x.h"\n'
                             '#include "policies/gpu.h"\n#include "policies/presets.h"\n',
                             [("arrows", 2), ("arrows", 3)]),
    "sim/a.c": ('/* SPDX-License-Identifier: Apache-2.0 */\n#include "daemon/x.h"\n#include "../sim/x.h"\n',
                [("arrows", 2), ("arrows", 3)]),
    "scheduler/wire/b.c": ('/* SPDX-License-Identifier: Apache-2.0 */\n#include <cjson/cJSON.h>\n#include <zlib.h>\n'
                           '#include <jansson.h>\n#include <yaml.h>\n',
                           [("third-party", 2), ("third-party", 3), ("third-party", 4), ("third-party", 5)]),
    "scheduler/base/b.c": ('/* SPDX-License-Identifier: Apache-2.0 */\nvoid f(void)\n{\n    strcpy(a, b);\n'
                           '    p = malloc(3);\n    assert(p);\n    t = time(NULL);\n    x = log(2.0);\n'
                           '    /* strcat(a, b) */ s = "sprintf(x)";\n    rand();\n    exit(1);\n}\n',
                           [("banned", 4), ("heap", 5), ("assert", 6), ("core-banned", 7), ("core-banned", 8),
                            ("core-banned", 10), ("core-banned", 11)]),
    "scheduler/daemon/long.c": ("/* SPDX-License-Identifier: Apache-2.0 */\nint f(void)\n{\n" + "    g();\n" * 68 + "}\n"
                                + "int h(void)\n{\n" + "    g();\n" * 67 + "}\n" + "\n" * 700,
                                [("function-length", 2), ("file-length", 842)]),
    "sim/text.c": ("int f;\n/* " + "TO" + "DO: later */\n/* /wo" + "rk/x */\nint g; \n" + "/* " + "x" * 150 + " */\n",
                   [("spdx", 1), ("unfinished", 2), ("machine-path", 3), ("blanks", 4), ("columns", 5)]),
    "sim/good.c": ('/* SPDX-License-Identifier: Apache-2.0 */\n#include "policies/x.h"\n#include <stdio.h>\n'
                   "int f(void)\n{\n    return strtoul_like(free_slot(1), x.free(1));\n}\n", []),
}


def self_test():
    with tempfile.TemporaryDirectory() as root:
        wanted = set()
        for path, (content, rules) in SELF_TEST.items():
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                f.write(content)
            wanted |= {(path, line, kind) for kind, line in rules}
        got = {(path, line, kind) for path, line, kind, _ in check_tree(root)[0]}
    for item in sorted(wanted - got):
        print("not ok: not reported: %s:%d %s" % item)
    for item in sorted(got - wanted):
        print("not ok: reported without cause: %s:%d %s" % item)
    print(f"{len(wanted)} violations planted, {len(wanted & got)} reported")
    return 0 if wanted == got else 1


def main():
    if "--self-test" in sys.argv[1:]:
        return self_test()
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    found, used = check_tree(os.path.normpath(root))
    for path, line, kind, message in sorted(found):
        print(f"{path}:{line}: [{kind}] {message}")
    for key in sorted(set(EXCEPTIONS) - used, key=str):
        print(f"tests/tidy/tidy.py:1: [exceptions] no longer needed: {key}")
        found.append(key)
    print(f"{len(found)} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
