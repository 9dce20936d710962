#!/usr/bin/env bash
# The router alone, and the whole command.
set -euo pipefail
cargo bench --quiet -p consort-backends --bench router
cargo bench --quiet -p consort --bench show
