# Sourced: the virtual environment with the wheel of python/, built if its sources have changed.
# Sets `venv`; needs CONSORT_VENV, the environment of the peers.

make_alsa_midi_environment() {
    root=$PWD
    venv=$root/target/venv-alsa-midi
    : "${CONSORT_VENV:=$root/target/venv}"
    export CONSORT_VENV
    export CARGO_TARGET_DIR=$root/target/python
    if [ ! -x "$venv/bin/python" ]; then
        /usr/bin/python3 -m venv "$venv"
    fi
    if ! cmp -s python/requirements-test.txt "$venv/.installed"; then
        "$venv/bin/pip" install --quiet --disable-pip-version-check -r python/requirements-test.txt
        cp python/requirements-test.txt "$venv/.installed"
    fi
    local wheels=$root/target/python/wheels
    rm -rf "$wheels"
    "$venv/bin/maturin" build --quiet --release --locked --manifest-path python/Cargo.toml --out "$wheels"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps \
        "$wheels"/*.whl
}
