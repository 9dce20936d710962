#!/usr/bin/env bash
# The pure paths need at most 2 % more instructions than the reference of tests/instructions.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/../bench/05-instructions.sh" --strict
