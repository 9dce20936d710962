#!/usr/bin/env bash
# A million events through a handler: none lost, in order.
set -euo pipefail
CONSORT_SOAK=1 cargo test --release --quiet -p consort-backends --test python_lifecycle many_events
