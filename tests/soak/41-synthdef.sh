#!/usr/bin/env bash
# Ten thousand random graphs compared with Supriya. The seed depends on the day and is printed.
set -euo pipefail
CONSORT_SEED=${CONSORT_SEED:-$((10#$(date +%j) * 100000))} CONSORT_GRAPHS=${CONSORT_GRAPHS:-10000} \
    cargo test --quiet -p consort-synthdef --test supriya random -- --nocapture
