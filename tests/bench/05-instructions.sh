#!/usr/bin/env bash
# Instructions of the pure paths, counted by callgrind, beside the reference in
# tests/instructions/reference.txt. Exits with 1 when one needs 2 % more than there.
#
#   tests/bench/05-instructions.sh [--update]   # writes the reference anew; say why in the commit
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if ! command -v valgrind >/dev/null; then
    echo "SKIPPED: instruction counts: valgrind is not installed" >&2
    exit 0
fi
cargo build --quiet --profile instructions -p consort-instructions
program=target/instructions/consort-instructions
reference=tests/instructions/reference.txt
counted=$(mktemp)
trap 'rm -f "$counted" "$counted".out' EXIT

# Instructions of COUNT repetitions of a path.
instructions() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1 |
        sed -n 's/^==[0-9]*== Collected : \([0-9]*\).*/\1/p'
}

status=0
printf '%-20s %12s %12s %8s  %s\n' path instructions reference change 'one repetition'
while IFS=$'\t' read -r path unit; do
    count=20000
    [ "$path" = synthdef-compile ] && count=200
    few=$(instructions "$path" "$count")
    many=$(instructions "$path" $((3 * count)))
    ours=$(awk -v a="$few" -v b="$many" -v n="$count" 'BEGIN { printf "%.2f", (b - a) / (2 * n) }')
    printf '%s\t%s\n' "$path" "$ours" >>"$counted"
    before=$(awk -F'\t' -v path="$path" '$1 == path { print $2 }' "$reference" 2>/dev/null || true)
    change=$(awk -v now="$ours" -v was="${before:-0}" \
        'BEGIN { if (was > 0) printf "%+.1f%%", 100 * (now / was - 1); else printf "new" }')
    mark=
    if awk -v now="$ours" -v was="${before:-0}" 'BEGIN { exit !(was > 0 && now > was * 1.02) }'; then
        mark=' MORE THAN 2 %'
        status=1
    fi
    printf '%-20s %12s %12s %8s  %s%s\n' "$path" "$ours" "${before:--}" "$change" "$unit" "$mark"
done < <("$program")
if [ "${1:-}" = --update ]; then
    cp "$counted" "$reference"
    echo "wrote $reference"
    exit 0
fi
exit $status
