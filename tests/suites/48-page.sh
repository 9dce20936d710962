#!/usr/bin/env bash
# The page: the committed files are what web/ builds, and Chromium shows them on a phone and a
# desktop, in a network namespace; control surfaces on two phones and a desktop.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

missing() {
    echo "SKIPPED: $*" >&2
    [ "${CI:-}" != true ] || exit 1
    exit 0
}

if command -v npm >/dev/null; then
    web/compare
else
    echo "SKIPPED: the comparison of the page with its sources (no npm)" >&2
fi
python=${CONSORT_VENV:-target/venv}/bin/python
command -v chromium >/dev/null || missing "the page in a browser (no chromium)"
"$python" -c 'import playwright' 2>/dev/null || missing "the page in a browser (no playwright)"
unshare --net true 2>/dev/null || unshare --user --map-root-user --net true 2>/dev/null ||
    missing "the page in a browser (network namespaces are not allowed)"
consort=target/release/consort
[[ -x $consort ]] || cargo build --release --quiet -p consort
timeout 900 "$python" tests/page/browser.py "$consort"
exec timeout 900 "$python" tests/page/surface.py "$consort"
