#!/usr/bin/env bash
# Ten thousand random graphs beside Supriya, from a seed of the day that is printed.
set -euo pipefail
CONSORT_SEED=${CONSORT_SEED:-$((10#$(date +%j) * 100000))} CONSORT_GRAPHS=${CONSORT_GRAPHS:-10000} \
    cargo test --quiet -p consort-sc --test synthdef_supriya random -- --nocapture
