#!/usr/bin/env bash
# The backends visca and maweb with cameras and consoles that foreign clients check first: killed and
# started again CONSORT_REPLUGS times (100).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

export CONSORT_REPLUGS=${CONSORT_REPLUGS:-100}
exec cargo test --quiet -p consort-backends --test visca_cameras --test maweb_consoles
