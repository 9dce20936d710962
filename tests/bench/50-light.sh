#!/usr/bin/env bash
# Art-Net in, sACN out: 64 universes at 44 frames/s, compared with a bare copying loop.
set -euo pipefail
cargo bench --quiet -p consort-backends --bench light
