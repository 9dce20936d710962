#!/usr/bin/env bash
# What looking at a running show costs its router.
set -euo pipefail
env -u CONSORT_SOAK_SECONDS cargo bench --quiet -p consort --bench stage
