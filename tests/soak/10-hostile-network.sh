#!/usr/bin/env bash
# Sends 64 MB of random packets to an osc instance: it must not crash, and its memory must not grow.
# The ordinary tests send a twentieth of that.
set -euo pipefail
CONSORT_SOAK=20 cargo test --release --quiet -p consort --test run -- --nocapture hostile
