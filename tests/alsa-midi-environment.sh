# Sourced: the virtual environment with the wheel of python/alsa_midi, which is built if its sources
# have changed. Sets `venv`; needs CONSORT_VENV, the environment of the peers.

make_alsa_midi_environment() {
    root=$PWD
    venv=$root/target/venv-alsa-midi
    : "${CONSORT_VENV:=$root/target/venv}"
    export CONSORT_VENV
    export CARGO_TARGET_DIR=$root/target/python
    if [ ! -x "$venv/bin/python" ]; then
        /usr/bin/python3 -m venv "$venv"
    fi
    local requirements=python/alsa_midi/requirements-test.txt
    if ! cmp -s "$requirements" "$venv/.installed"; then
        "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
        cp "$requirements" "$venv/.installed"
    fi
    local wheels=$root/target/python/wheels
    rm -rf "$wheels"
    "$venv/bin/maturin" build --quiet --release --locked \
        --manifest-path python/alsa_midi/Cargo.toml --out "$wheels"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps \
        "$wheels"/*.whl
}
