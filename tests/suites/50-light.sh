#!/usr/bin/env bash
# Art-Net, sACN and Lua with the command: configurations are checked, tshark decodes the packets
# that it sends, and foreign packages receive from it and send to it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

consort=target/release/consort
[[ -x $consort ]] || cargo build --release --quiet -p consort
for configuration in tests/light/configurations/*.cfg; do
    case $configuration in
        */invalid.cfg)
            if "$consort" check "$configuration" >/dev/null 2>&1; then
                echo "FAILED: $configuration passes check" >&2
                exit 1
            fi
            ;;
        *) "$consort" check "$configuration" ;;
    esac
done
python=${CONSORT_VENV:+$CONSORT_VENV/bin/}python3
exec timeout 180 "$python" tests/light/interoperability.py "$consort"
