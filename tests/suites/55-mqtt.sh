#!/usr/bin/env bash
# Shows on several machines: network namespaces, mosquitto, and `consort run` in each of them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

consort=target/release/consort
[[ -x $consort ]] || cargo build --release --quiet -p consort
exec timeout 300 python3 tests/mqtt/machines.py "$consort"
