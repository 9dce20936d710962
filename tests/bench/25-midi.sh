#!/usr/bin/env bash
# MIDI in, router, MIDI out, compared with a bare loop over consort-seq: a million events without
# loss, and the latency that the router adds; on the kernel's sequencer in the virtual machine,
# then on the embedded one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

executable=$(cargo bench --quiet -p consort-backends --bench midi --no-run \
    --message-format=json 2>/dev/null | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
[[ -x $executable ]] || { echo "cannot build the benchmark midi of consort-backends" >&2; exit 1; }

status=0
tests/bench/on-kernel 600 "$executable" "$@" || status=$?
if ((status == 77)); then
    echo "SKIPPED: the benchmark of MIDI on the kernel: the virtual machine is not available"
elif ((status != 0)); then
    exit 1
fi
CONSORT_SEQ=embedded "$executable" "$@"
