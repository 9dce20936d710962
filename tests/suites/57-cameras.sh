#!/usr/bin/env bash
# The backend visca with a camera that a foreign client checks first: killed and started again
# CONSORT_REPLUGS times (100).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

export CONSORT_REPLUGS=${CONSORT_REPLUGS:-100}
exec cargo test --quiet -p consort-backends --test visca_cameras
