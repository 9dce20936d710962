#!/usr/bin/env bash
# Makes system calls of a running show fail, one in each run; the show must continue, or end with a
# message.
set -euo pipefail
cargo build --quiet --release -p consort
status=0
python3 tests/injection.py target/release/consort 3 || status=$?
((status == 77)) || exit "$status"
[ "${CI:-}" != true ] || exit 1
