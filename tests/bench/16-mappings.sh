#!/usr/bin/env bash
# Stages and layers: the cost of stages and deliveries, loading, smooth mappings, switching layers.
set -euo pipefail
cargo bench --quiet -p consort-backends --bench mappings
