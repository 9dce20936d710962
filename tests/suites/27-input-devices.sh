#!/usr/bin/env bash
# Tests the backends for devices on the desk on real kernels, with one boot of the virtual machine
# per kernel: evdev with evemu, uinput and evtest (plugging a device 100 times, lost events, lights
# and rumble), and dmxusb with USB serial adapters of QEMU, plugged CONSORT_REPLUGS times (20).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/vm/kernels.sh

for program in evtest evemu-device evemu-event; do
    if ! command -v "$program" >/dev/null; then
        echo "SKIPPED: devices on the desk: $program is missing (see tests/packages.debian)"
        [[ -z ${CI:-} ]] || exit 1
        exit 0
    fi
done
cargo build --quiet -p consort

run_on() { # SUITE: a Debian suite, or empty for this machine's suite
    CONSORT_VM_SUITE=$1 tests/vm/run --timeout 900 --usb-serial 2 bash -c '
        echo "kernel $(uname -r)"
        failed=0
        python3 tests/input/interoperability.py "$PWD/target/debug/consort" || failed=1
        python3 tests/input/dmxusb.py "$PWD/target/debug/consort" || failed=1
        exit $failed' devices
}

on_every_kernel "devices on the desk"
