#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Gates by instruction counts, which repeat where seconds do not. usage: gates.sh BUILD-FOLDER
# Each line: what, measured, limit. Fails when a limit is missed. The last line counts them.
set -euo pipefail
build=$1
passed=0 failed=0

# instructions PROGRAM MODE: per call, start-up taken out by the difference of two runs
instructions() {
    local program=$1 mode=$2 few=10 many=60 a b
    a=$(count "$program" "$mode" "$few")
    b=$(count "$program" "$mode" "$many")
    echo $(((b - a) / (many - few)))
}

count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$build/tests/$1" "$2" "$3" 2>&1 >/dev/null |
        sed -n 's/.*Collected : *//p'
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

printf '%d passed, %d failed, 0 skipped\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
