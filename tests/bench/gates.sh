#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Gates by instruction counts, which repeat where seconds do not. usage: gates.sh BUILD-FOLDER
# Each line: what, measured, limit. Fails when a limit is missed. The last line counts them.
set -euo pipefail
build=$1
passed=0 failed=0

# callgrind OPTION... -- PROGRAM ARGUMENT...: instructions collected
callgrind() {
    local -a options=()
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    local program=$1
    shift
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "${options[@]}" "$build/tests/$program" "$@" 2>&1 >/dev/null |
        sed -n 's/.*Collected : *//p' | tail -n 1 # the last: a program's children end before it
}

# instructions PROGRAM MODE: per call, start-up taken out by the difference of two runs
instructions() {
    local program=$1 mode=$2 few=10 many=60 a b
    a=$(callgrind -- "$program" "$mode" "$few")
    b=$(callgrind -- "$program" "$mode" "$many")
    echo $(((b - a) / (many - few)))
}

# measured PROGRAM MODE CALLS: per call, of programs that mark what is to be counted
measured() {
    echo $(($(callgrind --toggle-collect=bench_measured -- "$1" "$2" "$3") / $3))
}

# at_least NAME LESS MORE FACTOR: MORE is at least FACTOR times LESS
at_least() {
    local name=$1 less=$2 more=$3 factor=$4 ratio
    ratio=$(awk -v a="$more" -v b="$less" 'BEGIN { printf "%.2f", a / b }')
    if awk -v r="$ratio" -v f="$factor" 'BEGIN { exit !(r >= f) }'; then
        printf 'ok   %s: %s and %s instructions, %s times (at least %s)\n' "$name" "$less" "$more" "$ratio" "$factor"
        passed=$((passed + 1))
    else
        printf 'FAIL %s: %s and %s instructions, %s times (at least %s)\n' "$name" "$less" "$more" "$ratio" "$factor"
        failed=$((failed + 1))
    fi
}

at_least "prioritize of 500 names, ours against cJSON" \
    "$(instructions bench_codec prioritize-ours)" "$(instructions bench_codec prioritize-cjson)" 8
at_least "decisive filter of 500 names, ours against cJSON" \
    "$(instructions bench_codec filter-ours)" "$(instructions bench_codec filter-cjson)" 3

# A smaller cluster than ./dev bench has: the setting-up runs under valgrind as well.
export BENCH_NODES=2000 BENCH_PODS=8000 BENCH_CANDIDATES=500 BENCH_MB=4
at_least "engine, one node changed against a class's first call, 500 candidates of 5,000" \
    "$(BENCH_NODES=5000 measured bench_engine changed 20)" "$(BENCH_NODES=5000 measured bench_engine first 3)" 10
at_least "loading a dump of 4 MB to a model, ours against bare cJSON" \
    "$(measured bench_load ours 1)" "$(measured bench_load cjson 1)" 2
at_least "a whole decisive call of 500 names against cJSON decoding the same request" \
    "$(measured bench_call filter 40)" "$(measured bench_call cjson 10)" 1.3

read -r own libraries < <("$build/tests/bench_call" heap 200)
if [ "$own" -eq 0 ]; then
    printf 'ok   heap allocations of our own in 200 decisive calls: 0 (libraries: %s)\n' "$libraries"
    passed=$((passed + 1))
else
    printf 'FAIL heap allocations of our own in 200 decisive calls: %s, not 0 (libraries: %s)\n' "$own" "$libraries"
    failed=$((failed + 1))
fi

printf '%d passed, %d failed, 0 skipped\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
