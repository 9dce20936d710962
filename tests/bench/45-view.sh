#!/usr/bin/env bash
# The cost of views for the router of a running show.
set -euo pipefail
env -u CONSORT_SOAK_SECONDS cargo bench --quiet -p consort --bench view
