#!/usr/bin/env bash
# The Python package consort_sc: builds the wheel and runs its tests. Compares interface, results and
# compiled bytes with PyPI's supriya, checks types, stubs and style, measures the speed, and builds a
# wheel from the source distribution in an empty folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/python-environment.sh
make_python_environment consort_sc
export PYTHONDONTWRITEBYTECODE=1
package=python/consort_sc
# Supriya is pinned, because the tests compare every name with it. It needs Python 3.11.
peer=$root/target/venv-supriya-26.10b1

if [ ! -x "$peer/bin/python" ]; then
    /usr/bin/python3 -m venv "$peer"
fi
if ! "$peer/bin/python" -c 'import supriya' 2>/dev/null; then
    "$peer/bin/pip" install --quiet --disable-pip-version-check supriya==26.10b1
fi

echo "consort_sc: clippy and formatting"
cargo fmt --manifest-path python/Cargo.toml -p consort-sc-python --check
cargo clippy --quiet --release --locked --manifest-path python/Cargo.toml \
    -p consort-sc-python -- -D warnings

echo "consort_sc: types and style"
(cd "$package" && "$venv/bin/mypy" --no-error-summary --cache-dir "$root/target/python/mypy-sc")
"$venv/bin/ruff" check --quiet "$package"
"$venv/bin/ruff" format --check --quiet "$package"

echo "consort_sc: tests"
CONSORT_SUPRIYA=$peer/bin/python "$venv/bin/python" -P -m pytest -p no:cacheprovider \
    -o faulthandler_timeout=600 "$package/tests" -rs -s

echo "consort_sc: speed"
# Figures of a loaded machine prove nothing, so that they do not fail the suite.
"$venv/bin/python" "$package/bench.py" "$peer/bin/python" || true

echo "consort_sc from its source distribution"
source_folder=$(mktemp -d)
trap 'rm -rf "$source_folder"' EXIT
install_source_distribution consort_sc "$source_folder"
(cd "$source_folder" && venv/bin/python -c \
    'import consort_sc; print("installed:", repr(consort_sc.ugens.default))')
echo "consort_sc: passed"
