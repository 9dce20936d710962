#!/usr/bin/env bash
# The OSC codec compared with rosc: decoding, encoding, matching.
set -euo pipefail
cargo bench -p consort-osc --bench osc -- --warm-up-time 0.3 --measurement-time 1 --noplot 2>/dev/null |
    grep -E '^[a-z]|time:'
