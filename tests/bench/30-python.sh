#!/usr/bin/env bash
# Values through Python and Lua handlers: batching, latency, the effect on other instances, 16
# instances.
set -euo pipefail
cargo bench --quiet -p consort-backends --bench python
