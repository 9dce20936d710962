#!/usr/bin/env bash
# Art-Net in, sACN out: 64 universes at 44 frames/s and 1,000 at 40, compared with a bare copying
# loop.
set -euo pipefail
cargo bench --quiet -p consort-backends --bench light
