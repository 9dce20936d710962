#!/usr/bin/env bash
# Reloading a running show: the pause, the gap of a socket, and what 10,000 reloads leave behind.
set -euo pipefail
cargo bench --quiet -p consort-backends --bench reload
