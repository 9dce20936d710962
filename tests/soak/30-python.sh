#!/usr/bin/env bash
# Sends a million events through a handler: none may be lost, and they must stay in order.
set -euo pipefail
CONSORT_SOAK=1 cargo test --release --quiet -p consort-backends --test python_lifecycle many_events
