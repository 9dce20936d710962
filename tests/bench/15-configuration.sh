#!/usr/bin/env bash
# Loading 100,000 mappings, compared with the least work that this takes.
set -euo pipefail
cargo bench --quiet -p consort-backends --bench configuration
