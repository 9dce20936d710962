#!/usr/bin/env bash
# OSC in, OSC out: `consort run` compared with a bare forwarder.
set -euo pipefail
cargo build --release -p consort
cargo bench -p consort-backends --bench osc_forward
