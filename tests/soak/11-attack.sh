#!/usr/bin/env bash
# Ten million mutated packets of OSC, Art-Net and sACN against a running show, with a probe for stalls
# beside a bare receive loop; then ten minutes at 50,000 datagrams/s, all of which must be received
# or counted. The ordinary tests run a twentieth of the first and three seconds of the second.
set -euo pipefail
CONSORT_SOAK=20 cargo test --release --quiet -p consort --test attack -- --nocapture --test-threads 1
