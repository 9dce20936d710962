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
venv/bin/python -c '
import consort_sc
from consort_sc.ugens import Out, SinOsc, SynthDefBuilder
with SynthDefBuilder(frequency=440.0) as builder:
    Out.ar(bus=0, source=SinOsc.ar(frequency=builder["frequency"]))
print("consort_sc", len(builder.build("tone").compile()), "bytes")
'
echo "wheels: passed"
