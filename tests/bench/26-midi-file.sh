#!/usr/bin/env bash
# `consort midi play` into `consort midi record` on the kernel's sequencer, in the virtual machine:
# the events, p99 of their times, and the drift over CONSORT_MIDI_SECONDS (180).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

export CONSORT_MIDI_SECONDS=${CONSORT_MIDI_SECONDS:-180}
executable=$(cargo bench --quiet -p consort --bench midi_file --no-run \
    --message-format=json 2>/dev/null | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
[[ -x $executable ]] || { echo "cannot build the benchmark midi_file of consort" >&2; exit 1; }

status=0
tests/bench/on-kernel $((CONSORT_MIDI_SECONDS + 300)) "$executable" --bench || status=$?
if ((status == 77)); then
    echo "SKIPPED: the MIDI file benchmark: the virtual machine is not available"
elif ((status != 0)); then
    exit 1
fi
