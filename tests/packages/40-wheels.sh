#!/usr/bin/env bash
# The wheels in an empty environment: installed without their sources, imported, used.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
/usr/bin/python3 -m venv "$folder/venv"
for wheel in target/dist/*.whl; do
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "$wheel"
done
cd "$folder"
CONSORT_SEQ=embedded venv/bin/python -c '
import alsa_midi
client = alsa_midi.SequencerClient("wheel")
port = client.create_port("port")
print("alsa_midi", alsa_midi.__version__, client.get_engine_name(), port)
'
echo "wheels: passed"
