#!/usr/bin/env bash
# The Python package consort_sc: builds the wheel and runs its tests. Compares interface, results and
# compiled bytes with PyPI's supriya, checks types, stubs and style, measures the speed, and builds a
# wheel from the source distribution in an empty folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
: "${CONSORT_VENV:=$root/target/venv}"
export CARGO_TARGET_DIR=$root/target/python PYTHONDONTWRITEBYTECODE=1
package=python/consort_sc
venv=$root/target/venv-consort-sc
# Supriya is pinned, because the tests compare every name with it. It needs Python 3.11.
peer=$root/target/venv-supriya-26.10b1

if [ ! -x "$venv/bin/python" ]; then
    /usr/bin/python3 -m venv "$venv"
fi
requirements=$package/requirements-test.txt
if ! cmp -s "$requirements" "$venv/.installed"; then
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
    cp "$requirements" "$venv/.installed"
fi
if [ ! -x "$peer/bin/python" ]; then
    /usr/bin/python3 -m venv "$peer"
fi
if ! "$peer/bin/python" -c 'import supriya' 2>/dev/null; then
    "$peer/bin/pip" install --quiet --disable-pip-version-check supriya==26.10b1
fi
wheels=$root/target/python/wheels-consort-sc
rm -rf "$wheels"
"$venv/bin/maturin" build --quiet --release --locked \
    --manifest-path "$package/Cargo.toml" --out "$wheels"
"$venv/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps \
    "$wheels"/*.whl

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
"$venv/bin/maturin" sdist --manifest-path "$package/Cargo.toml" --out "$source_folder" \
    &>"$source_folder/log" || { cat "$source_folder/log"; exit 1; }
tar -xzf "$source_folder"/*.tar.gz -C "$source_folder"
"$venv/bin/python" -m venv "$source_folder/venv"
"$source_folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    "$source_folder"/consort_sc-*/
(cd "$source_folder" && venv/bin/python -c \
    'import consort_sc; print("installed:", repr(consort_sc.ugens.default))')
echo "consort_sc: passed"
