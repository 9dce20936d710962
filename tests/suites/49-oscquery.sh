#!/usr/bin/env bash
# OSCQuery: the package python-oscquery of PyPI reads the namespace of an OSC instance.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

python=${CONSORT_VENV:-target/venv}/bin/python
if ! "$python" -c 'import pythonoscquery' 2>/dev/null; then
    echo "SKIPPED: OSCQuery with a foreign client (no python-oscquery)" >&2
    exit 0
fi
consort=target/release/consort
[[ -x $consort ]] || cargo build --release --quiet -p consort
exec timeout 300 "$python" tests/osc/oscquery.py "$consort"
