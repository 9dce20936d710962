#!/usr/bin/env bash
# examples/sc-keyboard-pad on the kernel's sequencer (in the virtual machine), played by
# `consort midi play`. Its score is rendered here, and the sound is measured.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

skip() {
    echo "SKIPPED: the keyboard show: $1" >&2
    [[ -z ${CI:-} ]] || exit 1
    exit 0
}

command -v scsynth >/dev/null || skip "no scsynth (Debian: apt install supercollider-server)"
consort=${CONSORT_BIN:-target/release/consort}
[[ -x $consort ]] || cargo build --release --quiet -p consort
results=target/vm/results/keyboard-show
rm -rf "$results"
mkdir -p "$results"
python3 tests/sound/keyboard.py song "$results/song.mid"

status=0
CONSORT_VM_RESULTS=$results tests/vm/run --timeout 240 tests/sound/in-vm "$(realpath "$consort")" \
    "$(realpath "$results/song.mid")" || status=$?
((status != 77)) || skip "the virtual machine is not available"
((status == 0)) || exit 1

"$consort" sc render --sample-format int16 "$results/take.osc" "$results/take.wav"
python3 tests/sound/keyboard.py measure "$results/take.wav"
echo "keyboard show: passed"
