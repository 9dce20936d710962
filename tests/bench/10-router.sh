#!/usr/bin/env bash
# The router alone, and the command as a whole.
set -euo pipefail
cargo bench --quiet -p consort-backends --bench router
cargo bench --quiet -p consort --bench show
