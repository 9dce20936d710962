#!/usr/bin/env bash
# The OSC codec compared with rosc: decoding, encoding, matching.
set -euo pipefail
cargo bench --quiet -p consort-osc --bench osc
