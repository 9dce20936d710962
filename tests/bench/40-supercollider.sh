#!/usr/bin/env bash
# Real-time servers compared with raw sockets, the bare process and Supriya in the same run.
set -euo pipefail
cargo bench -p consort-sc --bench server
