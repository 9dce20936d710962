#!/usr/bin/env bash
# The Python module alsa_midi: the wheel is built, its tests run on the embedded engine and, in
# one boot of the virtual machine, on the kernel's sequencer with alsa-utils and mido as strangers;
# types, stubs and style are checked, and the surface is compared with PyPI's alsa-midi.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/alsa-midi-environment.sh
make_alsa_midi_environment
export PYTHONDONTWRITEBYTECODE=1
# The installed wheel is tested, not the sources beside the tests.
pytest=("$venv/bin/python" -P -m pytest -p no:cacheprovider -o faulthandler_timeout=120)

echo "alsa_midi: clippy and formatting"
cargo fmt --manifest-path python/Cargo.toml --check
cargo clippy --quiet --release --locked --manifest-path python/Cargo.toml -- -D warnings

echo "alsa_midi: types, stubs and style"
(cd python && "$venv/bin/mypy" --no-error-summary --cache-dir "$root/target/python/mypy")
(cd target && MYPYPATH= "$venv/bin/stubtest" alsa_midi._core \
    --mypy-config-file ../python/pyproject.toml)
"$venv/bin/ruff" check --quiet python
"$venv/bin/ruff" format --check --quiet python

echo "alsa_midi on the embedded engine"
"${pytest[@]}" python/tests -rs

echo "alsa_midi on the kernel"
status=0
CONSORT_TEST_ENGINE=kernel tests/vm/run --timeout 400 "${pytest[@]}" python/tests \
    --deselect python/tests/test_completeness.py || status=$?
if ((status == 77)); then
    echo "SKIPPED: alsa_midi on the kernel: the virtual machine cannot be had here"
    [[ -z ${CI:-} ]] || exit 1
elif ((status != 0)); then
    exit 1
fi
echo "alsa_midi: passed"
