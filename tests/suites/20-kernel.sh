#!/usr/bin/env bash
# Tests consort-seq on the kernel's sequencer, with one boot of the virtual machine per kernel.
# The conformance suite runs with CONSORT_SEQ=kernel; the differential test runs the same random
# programs on the kernel and on the embedded engine and compares all answers.
# Debian's kernel is always tested, a newer one (CONSORT_VM_NEWER, by default sid) if it can be
# fetched. The conformance suite runs on the embedded engine first, for comparison.
#
#   tests/suites/20-kernel.sh --show
#
# prints instead the deliberate faults with the tests that detect them and, on Debian's kernel, the
# output of aseqdump for a scale and our recording of aplaymidi.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/vm/kernels.sh

binary() { # TEST: prints the path of its executable
    cargo test --quiet -p consort-seq --features tokio,faults --test "$1" --no-run \
        --message-format=json 2>/dev/null |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1
}

tests=()
for name in conformance differential; do
    [[ -f crates/consort-seq/tests/$name.rs || -d crates/consort-seq/tests/$name ]] || continue
    executable=$(binary "$name")
    [[ -x $executable ]] || { echo "error: cannot build the test $name of consort-seq" >&2; exit 1; }
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

run_on() { # SUITE: a Debian suite, or empty for this machine's suite
    CONSORT_VM_SUITE=$1 CONSORT_SEQ=kernel tests/vm/run --timeout 420 bash -c '
        echo "kernel $(uname -r)"
        failed=0
        # The kernel has no deliberate faults to detect.
        for test in "$@"; do
            "$test" --test-threads=1 --skip every_fault_is_detected || failed=1
        done
        exit $failed' kernel-suite "${tests[@]}"
}

on_every_kernel "consort-seq"
