#!/usr/bin/env bash
# Tests the midi backend on the kernel's sequencer, with one boot of the virtual machine per kernel:
# its own tests (one of them disconnects a device during a note and connects it again with another
# number, 100 times), the shows with MIDI in examples/, and a show between programs of alsa-utils.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/vm/kernels.sh

binary() { # ARGUMENTS of cargo test: prints the path of the executable
    cargo test --quiet -p consort-backends "$@" --no-run --message-format=json 2>/dev/null |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1
}

backend=$(binary --lib)
examples=$(binary --test midi_examples)
cargo build --quiet -p consort
[[ -x $backend && -x $examples ]] || { echo "error: cannot build the tests of consort-backends" >&2; exit 1; }

run_on() { # SUITE: a Debian suite, or empty for this machine's suite
    CONSORT_VM_SUITE=$1 CONSORT_SEQ=kernel tests/vm/run --timeout 420 bash -c '
        echo "kernel $(uname -r)"
        failed=0
        "$1" midi:: --skip rtpmidi:: --test-threads=1 --show-output || failed=1
        "$2" --test-threads=1 --show-output || failed=1
        tests/midi/interoperability.sh "$PWD/target/debug/consort" || failed=1
        exit $failed' midi-kernel "$backend" "$examples"
}

# Announcements and client information differ between kernels.
on_every_kernel "the midi backend"
