#!/usr/bin/env bash
# SynthDefs beside Supriya: at least 100 times as fast. Rendering beside the bare server: at most
# 5 % more.
set -euo pipefail
cargo bench --quiet -p consort-sc --bench synthdef
