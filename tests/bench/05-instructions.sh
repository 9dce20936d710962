#!/usr/bin/env bash
# Instructions of the pure paths, counted by callgrind, beside the reference in
# tests/instructions/reference.txt. The counts depend on the compiler, not on other load.
#
#     tests/bench/05-instructions.sh [--strict]   # exits with 1 if a path needs 2 % more
#     tests/bench/05-instructions.sh --update     # writes the reference; explain it in the commit
#
# With another compiler than the reference's, the limit is 10 %.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

mode=${1:-}
case $mode in
    '' | --strict | --update) ;;
    *) echo "error: unknown option '$mode': expected --strict or --update" >&2; exit 2 ;;
esac
if ! command -v valgrind >/dev/null; then
    echo "SKIPPED: instruction counts: valgrind is not installed" >&2
    exit "$([[ $mode == --strict && ${CI:-} == true ]] && echo 1 || echo 0)"
fi
cargo build --quiet --profile instructions -p consort-instructions
export PROGRAM=${CARGO_TARGET_DIR:-target}/instructions/consort-instructions
reference=tests/instructions/reference.txt
counted=$(mktemp)
trap 'rm -f "$counted"' EXIT

# Prints PATH and the instructions of one repetition: the difference between two runs leaves out
# the start of the program.
count_path() {
    local path=$1 count=20000 few many
    case $path in
        synthdef-compile | osc-decode-bundle | osc-encode-bundle) count=200 ;;
    esac
    instructions() {
        valgrind --tool=callgrind --callgrind-out-file=/dev/null "$PROGRAM" "$path" "$1" 2>&1 |
            sed -n 's/^==[0-9]*== Collected : \([0-9]*\).*/\1/p'
    }
    few=$(instructions "$count")
    many=$(instructions $((3 * count)))
    awk -v path="$path" -v a="$few" -v b="$many" -v n="$count" \
        'BEGIN { printf "%s\t%.2f\n", path, (b - a) / (2 * n) }'
}
export -f count_path

compiler=$(rustc --version)
"$PROGRAM" | cut -f 1 | xargs -P "$(nproc)" -I {} bash -c 'count_path {}' >"$counted"
limit=2
counted_with=$(sed -n 's/^# counted with //p' "$reference" 2>/dev/null || true)
if [[ $counted_with != "$compiler" ]]; then
    limit=10
    echo "the reference was counted with ${counted_with:-an unknown compiler}, this is $compiler:" \
        "the limit is $limit %"
fi

status=0
printf '%-20s %12s %12s %8s  %s\n' path instructions reference change 'one repetition'
while IFS=$'\t' read -r path unit; do
    ours=$(awk -F'\t' -v path="$path" '$1 == path { print $2 }' "$counted")
    before=$(awk -F'\t' -v path="$path" '$1 == path { print $2 }' "$reference" 2>/dev/null || true)
    change=$(awk -v now="$ours" -v was="${before:-0}" \
        'BEGIN { if (was > 0) printf "%+.1f%%", 100 * (now / was - 1); else printf "new" }')
    mark=
    if awk -v now="$ours" -v was="${before:-0}" -v limit="$limit" \
        'BEGIN { exit !(was > 0 && now > was * (1 + limit / 100)) }'; then
        mark="  MORE THAN $limit %"
        status=1
    fi
    printf '%-20s %12s %12s %8s  %s%s\n' "$path" "$ours" "${before:--}" "$change" "$unit" "$mark"
    if [[ -n ${CONSORT_BENCH_RESULTS:-} ]]; then
        # The reference is the floor.
        tests/bench/record "instructions: $path" instructions "$ours" ${before:+--floor "$before"} \
            --at-most-floor "1.$(printf '%02d' "$limit")"
    fi
done < <("$PROGRAM")
if [[ $mode == --update ]]; then
    # In the order of the program.
    {
        echo "# counted with $compiler"
        "$PROGRAM" | cut -f 1 | while read -r path; do awk -F'\t' -v path="$path" '$1 == path' "$counted"; done
    } >"$reference"
    echo "wrote $reference"
    exit 0
fi
[[ $mode != --strict ]] || exit $status
