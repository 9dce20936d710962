#!/usr/bin/env bash
# Devices on the desk: breaks of a DMX line beside those of a bare thread with the same sleeps, four
# adapters at 44 frames/s, and, in the virtual machine, an input device to OSC beside a bare reader.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

executable=$(cargo bench --quiet -p consort-backends --bench devices --no-run \
    --message-format=json 2>/dev/null | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
[[ -x $executable ]] || { echo "cannot build the benchmark devices of consort-backends" >&2; exit 1; }

"$executable"
status=0
tests/bench/on-kernel 300 "$executable" --input || status=$?
if ((status == 77)); then
    echo "SKIPPED: the benchmark of input devices: the virtual machine is not available"
elif ((status != 0)); then
    exit 1
fi
