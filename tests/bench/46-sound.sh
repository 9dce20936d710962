#!/usr/bin/env bash
# From a key to the sound server: latency, 1,000 notes per second, and the server killed under load.
set -euo pipefail
cargo bench --quiet -p consort-backends --bench sc
