#!/usr/bin/env bash
# `consort midi` on the kernel's sequencer, in one boot of the virtual machine: ports, connect,
# disconnect and watch compared with aconnect; `play` received by aseqdump and `record` fed by
# aplaymidi, event by event; Ctrl-C, a receiver that disappears, and a user without permission.
set -Eeuo pipefail
trap 'echo "FAILED: line $LINENO: $BASH_COMMAND: status $?" >&2' ERR
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

consort=${CONSORT_BIN:-target/release/consort}
[[ -x $consort ]] || cargo build --release --quiet -p consort
results=target/vm/results/midi
rm -rf "$results"
mkdir -p "$results"
python3 tests/midi/song.py "$results/song.mid"
"$consort" midi play "$results/song.mid" --engine embedded --fast | grep -v '^played' \
    >"$results/song.txt"
events=$(grep -cE '^ *[0-9]+\.[0-9]{6}  ' "$results/song.txt")

status=0
CONSORT_VM_RESULTS=$results tests/vm/run --timeout 600 tests/midi/in-vm "$(realpath "$consort")" \
    "$(realpath "$results/song.mid")" "$events" || status=$?
if ((status == 77)); then
    echo "SKIPPED: consort midi on the kernel: the virtual machine is not available"
    [[ -z ${CI:-} ]] || exit 1
    exit 0
fi
if ((status != 0)); then
    echo "FAILED: the commands in the virtual machine ended with status $status" >&2
    exit 1
fi

"$consort" midi play "$results/recorded.mid" --engine embedded --fast >"$results/recorded.txt"
python3 tests/midi/compare.py "$results"
echo "consort midi: passed"
