#!/usr/bin/env bash
# consort-seq on the real kernel sequencer: one boot of the small virtual machine a kernel.
# The conformance suite runs with CONSORT_SEQ=kernel; the differential test runs the same random
# programs on the kernel and on the embedded engine and compares every answer.
# Debian's kernel always; a newer one (CONSORT_VM_NEWER, default sid) where it can be fetched.
# First the same suite on the embedded engine, so that the closing lines stand beside each other.
#
#   tests/suites/20-kernel.sh --show
#
# runs instead what there is to look at: the deliberate faults with the facts that notice them, and
# on Debian's kernel what aseqdump prints of the scale and what we record of aplaymidi.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/vm/kernels.sh

binary() { # test name → its executable
    cargo test --quiet -p consort-seq --features tokio,faults --test "$1" --no-run \
        --message-format=json 2>/dev/null |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1
}

tests=()
for name in conformance differential; do
    [[ -f crates/consort-seq/tests/$name.rs || -d crates/consort-seq/tests/$name ]] || continue
    executable=$(binary "$name")
    [[ -x $executable ]] || { echo "cannot build the test $name of consort-seq" >&2; exit 1; }
    tests+=("$executable")
done

if [[ ${1:-} == --show ]]; then
    CONSORT_SEQ=embedded "${tests[0]}" every_fault_is_detected --nocapture
    CONSORT_SEQ=kernel tests/vm/run --timeout 120 "${tests[0]}" foreign:: --nocapture \
        --test-threads=1
    exit
fi

echo "embedded engine"
CONSORT_SEQ=embedded "${tests[0]}" --quiet

run_on() { # Debian suite or nothing
    CONSORT_VM_SUITE=$1 CONSORT_SEQ=kernel tests/vm/run --timeout 420 bash -c '
        echo "kernel $(uname -r)"
        failed=0
        # The kernel has no deliberate faults to notice.
        for test in "$@"; do
            "$test" --test-threads=1 --skip every_fault_is_detected || failed=1
        done
        exit $failed' kernel-suite "${tests[@]}"
}

on_every_kernel "consort-seq"
