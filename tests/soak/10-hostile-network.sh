#!/usr/bin/env bash
# 64 MB of random packets to an osc instance: no crash, memory flat. The tests do a twentieth.
set -euo pipefail
CONSORT_SOAK=20 cargo test --release --quiet -p consort --test run -- --nocapture hostile
