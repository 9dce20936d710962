#!/usr/bin/env bash
# Reads 500 damaged MIDI files with consort-seq and with timidity, and compares the notes that each
# finds and invents.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if ! command -v timidity >/dev/null; then
    echo "SKIPPED: damaged MIDI files: timidity is missing (see tests/packages.debian)"
    [[ -z ${CI:-} ]] || exit 1
    exit 0
fi
cargo test --quiet -p consort-seq --features midi-file --test damage -- --include-ignored --nocapture --test-threads=1
