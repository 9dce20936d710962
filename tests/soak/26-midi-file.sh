#!/usr/bin/env bash
# Plays a file of an hour (or CONSORT_MIDI_SECONDS) into a recording, on the kernel's sequencer.
set -euo pipefail
export CONSORT_MIDI_SECONDS=${CONSORT_MIDI_SECONDS:-3600}
exec "$(dirname "${BASH_SOURCE[0]}")/../bench/26-midi-file.sh"
