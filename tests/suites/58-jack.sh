#!/usr/bin/env bash
# The backend jack with servers and programs of others: jackd2 with its dummy driver, which is killed
# and started again CONSORT_REPLUGS times (20), and PipeWire with WirePlumber and a null sink, where
# they are installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

skip() {
    echo "SKIPPED: $* (see tests/packages.debian and tests/packages.pypi)" >&2
    [[ -z ${CI:-} ]] || exit 1
}

python=${CONSORT_VENV:-target/venv}/bin/python
for program in jackd jack_lsp jack_midi_dump "$python"; do
    if ! command -v "$program" >/dev/null; then
        skip "JACK: $program is missing"
        exit 0
    fi
done
if ! "$python" -c 'import jack' 2>/dev/null; then
    skip "JACK: the package JACK-Client is missing"
    exit 0
fi
cargo build --quiet -p consort
timeout 900 "$python" tests/jack/interoperability.py "$PWD/target/debug/consort" jackd

libraries=$(find /usr/lib /usr/lib64 -path '*/pipewire-0.3/jack/libjack.so.0' 2>/dev/null || true)
for program in dbus-daemon pipewire wireplumber; do
    command -v "$program" >/dev/null || libraries=
done
if [[ -z $libraries ]]; then
    skip "JACK: PipeWire, WirePlumber or PipeWire's libjack is missing"
    exit 0
fi
timeout 900 "$python" tests/jack/interoperability.py "$PWD/target/debug/consort" pipewire
