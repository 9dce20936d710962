#!/usr/bin/env bash
# A hundred partitions between shows on several machines.
set -euo pipefail
cargo build --release --quiet -p consort
exec python3 tests/mqtt/machines.py target/release/consort --only partitions --runs 100
