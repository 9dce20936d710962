#!/usr/bin/env bash
# An hour's file (or CONSORT_MIDI_SECONDS) played into a recording on the kernel's sequencer.
set -euo pipefail
export CONSORT_MIDI_SECONDS=${CONSORT_MIDI_SECONDS:-3600}
exec "$(dirname "${BASH_SOURCE[0]}")/../bench/26-midi-file.sh"
