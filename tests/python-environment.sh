# Sourced: builds and installs the Python packages of this repository for their tests. Needs the
# repository as the current folder.

# make_python_environment PACKAGE: makes a virtual environment with what the tests of
# python/PACKAGE need and with its wheel, built from the current sources. Sets `root`, `venv`,
# CONSORT_VENV (the environment of the peers) and CARGO_TARGET_DIR.
make_python_environment() {
    root=$PWD
    venv=$root/target/venv-${1//_/-}
    : "${CONSORT_VENV:=$root/target/venv}"
    export CONSORT_VENV
    export CARGO_TARGET_DIR=$root/target/python
    if [ ! -x "$venv/bin/python" ]; then
        /usr/bin/python3 -m venv "$venv"
    fi
    local requirements=python/$1/requirements-test.txt
    if ! cmp -s "$requirements" "$venv/.installed"; then
        "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
        cp "$requirements" "$venv/.installed"
    fi
    local wheels=$root/target/python/wheels-${1//_/-}
    rm -rf "$wheels"
    "$venv/bin/maturin" build --quiet --release --locked \
        --manifest-path "python/$1/Cargo.toml" --out "$wheels"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps \
        "$wheels"/*.whl
}

# install_source_distribution PACKAGE FOLDER: builds a source distribution of python/PACKAGE in an
# empty folder, and a wheel from it there, which FOLDER/venv has installed.
install_source_distribution() {
    "$venv/bin/maturin" sdist --manifest-path "python/$1/Cargo.toml" --out "$2" &>"$2/log" ||
        { cat "$2/log"; return 1; }
    tar -xzf "$2"/*.tar.gz -C "$2"
    "$venv/bin/python" -m venv "$2/venv"
    "$2/venv/bin/pip" install --quiet --disable-pip-version-check "$2"/consort_*-*/
}
