#!/usr/bin/env bash
# The Python package alsa_midi: builds the wheel and runs its tests, on the embedded engine and, in
# one boot of the virtual machine, on the kernel's sequencer together with alsa-utils and mido.
# Checks types, stubs and style, compares the public interface with PyPI's alsa-midi, and builds a
# wheel from the source distribution in an empty folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/python-environment.sh
make_python_environment alsa_midi
export PYTHONDONTWRITEBYTECODE=1
package=python/alsa_midi
# With -P, Python imports the installed wheel instead of the sources in the current folder.
pytest=("$venv/bin/python" -P -m pytest -p no:cacheprovider -o faulthandler_timeout=120)

echo "alsa_midi: clippy and formatting"
cargo fmt --manifest-path python/Cargo.toml -p consort-alsa-midi --check
cargo clippy --quiet --release --locked --manifest-path python/Cargo.toml \
    -p consort-alsa-midi -- -D warnings

echo "alsa_midi: types, stubs and style"
(cd "$package" && "$venv/bin/mypy" --no-error-summary --cache-dir "$root/target/python/mypy")
(cd target && MYPYPATH= "$venv/bin/stubtest" alsa_midi._core \
    --mypy-config-file "../$package/pyproject.toml")
"$venv/bin/ruff" check --quiet python
"$venv/bin/ruff" format --check --quiet python

echo "alsa_midi on the embedded engine"
"${pytest[@]}" "$package/tests" -rs

echo "alsa_midi from its source distribution"
source_folder=$(mktemp -d)
trap 'rm -rf "$source_folder"' EXIT
install_source_distribution alsa_midi "$source_folder"
(cd "$source_folder" && CONSORT_SEQ=embedded venv/bin/python -c \
    'import alsa_midi; print("installed:", alsa_midi.SequencerClient("sdist").get_engine_name())')

echo "alsa_midi on the kernel"
status=0
CONSORT_TEST_ENGINE=kernel tests/vm/run --timeout 400 "${pytest[@]}" "$package/tests" \
    --deselect "$package/tests/test_completeness.py" || status=$?
if ((status == 77)); then
    echo "SKIPPED: alsa_midi on the kernel: no virtual machine is available"
    [[ -z ${CI:-} ]] || exit 1
elif ((status != 0)); then
    exit 1
fi
echo "alsa_midi: passed"
