#!/usr/bin/env bash
# Compares the package alsa_midi with python-alsa-midi from PyPI: alternating runs in one boot of
# the virtual machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/python-environment.sh
make_python_environment alsa_midi

results=$(mktemp)
trap 'rm -f "$results"' EXIT
status=0
PYTHONDONTWRITEBYTECODE=1 CONSORT_SEQ=kernel tests/vm/run --timeout 400 bash -c '
    for round in 1 2 3; do
        echo "subject python-alsa-midi"; "$1" -P "$3"
        echo "subject alsa_midi"; "$2" -P "$3"
    done' bench "$CONSORT_VENV/bin/python" "$venv/bin/python" python/alsa_midi/bench.py \
    >"$results" || status=$?
if ((status == 77)); then
    echo "SKIPPED: the benchmark of alsa_midi: no virtual machine is available"
    [[ -z ${CI:-} ]] || exit 1
    exit 0
fi
((status == 0)) || { cat "$results"; exit 1; }
PYTHONPATH=tests/bench "$venv/bin/python" python/alsa_midi/bench_report.py "$results"
