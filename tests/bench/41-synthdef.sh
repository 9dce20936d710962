#!/usr/bin/env bash
# SynthDefs compared with Supriya: at least 100 times as fast. Rendering compared with the bare
# server: at most 5 % slower.
set -euo pipefail
cargo bench --quiet -p consort-synthdef --bench synthdef
cargo bench --quiet -p consort-sc --bench rendering
