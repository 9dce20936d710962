#!/usr/bin/env bash
# The real-time contexts beside raw sockets, the bare process, and Supriya in the same run.
set -euo pipefail
cargo bench -p consort-sc --bench server
