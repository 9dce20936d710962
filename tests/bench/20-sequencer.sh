#!/usr/bin/env bash
# The costs of the client library: on the kernel's sequencer in the virtual machine, compared with
# the floor and the available peers, then on the embedded engine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

features=()
if pkg-config --exists alsa 2>/dev/null; then
    features=(--features peer-alsa)
else
    echo "SKIPPED: the alsa crate: libasound2-dev is not installed"
fi
executable=$(cargo bench --quiet -p consort-seq --bench sequencer "${features[@]}" --no-run \
    --message-format=json 2>/dev/null | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
[[ -x $executable ]] || { echo "cannot build the benchmark sequencer of consort-seq" >&2; exit 1; }

status=0
tests/bench/on-kernel 600 "$executable" || status=$?
if ((status == 77)); then
    echo "SKIPPED: the sequencer's benchmark on the kernel: the virtual machine is not available"
elif ((status != 0)); then
    exit 1
fi
CONSORT_SEQ=embedded "$executable"
cargo bench --quiet -p consort-seq --bench embedded
