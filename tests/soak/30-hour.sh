#!/usr/bin/env bash
# An hour (or CONSORT_SOAK_SECONDS) at 10,000 events/s, without and with --realtime: memory must
# not grow; prints p99.9 and the maximum.
set -euo pipefail
export CONSORT_SOAK_SECONDS=${CONSORT_SOAK_SECONDS:-3600}
cargo bench --quiet -p consort --bench view
