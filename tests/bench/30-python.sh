#!/usr/bin/env bash
# Values through Python handlers: batching, latency, the others meanwhile, 16 instances.
set -euo pipefail
cargo bench --quiet -p consort-backends --bench python
