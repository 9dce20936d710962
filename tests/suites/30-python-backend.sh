#!/usr/bin/env bash
# The unit tests of the python backend's worker, and the tests of the stub package `midimonster`, its
# harness and the scripts under examples/. Then the Rust tests of the python backend with further
# interpreters, if there are any: CONSORT_TEST_PYTHONS lists them, separated by spaces; by default
# these are the oldest and the newest that are found.
set -euo pipefail

worker_tests=crates/consort-backends/tests/python_worker

if [ -n "${CONSORT_VENV:-}" ]; then
    "$CONSORT_VENV/bin/python" -m pytest -q -p no:cacheprovider python/midimonster "$worker_tests"
else
    echo "SKIPPED: tests of the midimonster package and the worker (no virtual environment with pytest)" >&2
    [ "${CI:-}" != true ] || exit 1
fi
# With the interpreter that runs the workers, if it has pytest.
if python3 -c 'import pytest' 2>/dev/null; then
    python3 -m pytest -q -p no:cacheprovider "$worker_tests"
fi

version() { "$1" -c 'import sys; print("%d.%02d" % sys.version_info[:2])' 2>/dev/null || true; }

# Prints `version path` of every CPython from 3.8 on, oldest first, one of each version.
candidates() {
    local path found
    for path in /usr/bin/python3.[0-9]* /usr/local/bin/python3.[0-9]* \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python3; do
        [ -x "$path" ] && [[ $path != *-config ]] || continue
        found=$(version "$path")
        [[ $found > 3.07 ]] && echo "$found $path"
    done | sort -u -k1,1
}

read -r -a pythons <<<"${CONSORT_TEST_PYTHONS:-}"
if [ ${#pythons[@]} -eq 0 ]; then
    # `cargo test` uses the python3 of PATH, so it is left out here.
    default=$(version python3)
    mapfile -t pythons < <(candidates | awk -v default_version="$default" '$1 != default_version { print $2 }' | sed -n '1p;$p' | uniq)
fi
if [ ${#pythons[@]} -eq 0 ]; then
    echo "no second Python interpreter found; all tests ran with $(python3 --version)"
fi
for python in "${pythons[@]}"; do
    echo "== python backend on $("$python" --version) ($python)"
    CONSORT_TEST_PYTHON=$python cargo test --quiet -p consort-backends \
        --test python_calls --test python_modules --test python_sockets \
        --test python_faults --test python_lifecycle --test python_descriptors --test python_unusual_scripts \
        --test python_reload
done
