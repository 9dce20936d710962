#!/usr/bin/env bash
# The midi backend on the kernel's sequencer, one boot of the virtual machine a kernel: its own tests
# (among them the device that vanishes mid-note and returns with another number, 100 times, with
# the log of one round), the shows with MIDI under examples/, and a show between alsa-utils.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/vm/kernels.sh

binary() { # arguments of cargo test → the executable
    cargo test --quiet -p consort-backends "$@" --no-run --message-format=json 2>/dev/null |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1
}

backend=$(binary --lib)
examples=$(binary --test midi_examples)
cargo build --quiet -p consort
[[ -x $backend && -x $examples ]] || { echo "cannot build the tests of consort-backends" >&2; exit 1; }

run_on() { # Debian suite or nothing
    CONSORT_VM_SUITE=$1 CONSORT_SEQ=kernel tests/vm/run --timeout 420 bash -c '
        echo "kernel $(uname -r)"
        failed=0
        "$1" midi:: --test-threads=1 --show-output || failed=1
        "$2" --test-threads=1 --show-output || failed=1
        tests/midi/foreign.sh "$PWD/target/debug/consort" || failed=1
        exit $failed' midi-kernel "$backend" "$examples"
}

# Announcements and information differ between kernels.
on_every_kernel "the midi backend"
