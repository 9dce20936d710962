#!/usr/bin/env bash
# olad is killed and started again a hundred times while values pass through it in both directions,
# over `ola` and over Open Pixel Control. CONSORT_OLAD_RESTARTS sets how often.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if ! command -v olad >/dev/null; then
    echo "SKIPPED: olad is missing (see tests/packages.debian)"
    [[ -z ${CI:-} ]] || exit 1
    exit 0
fi
CONSORT_OLAD_RESTARTS=${CONSORT_OLAD_RESTARTS:-100} exec cargo test --quiet -p consort-backends \
    --test olad_interoperability -- --nocapture values_pass_through_olad
