"""The package has the public interface of PyPI's alsa-midi, except as differences.toml lists."""

import fnmatch
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent


def surface(python: str) -> dict:
    process = subprocess.run(
        [python, "-P", str(HERE / "surface.py")],
        capture_output=True,
        text=True,
        timeout=120,
        cwd="/",
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@pytest.fixture(scope="module")
def surfaces():
    if sys.version_info < (3, 11):
        pytest.skip("needs tomllib")
    environment = os.environ.get("CONSORT_VENV", "")
    peer = os.path.join(environment, "bin", "python")
    if not environment or not os.path.exists(peer):
        assert not os.environ.get("CI"), "python-alsa-midi is missing"
        print("SKIPPED: completeness: CONSORT_VENV has no python-alsa-midi")
        pytest.skip("CONSORT_VENV names no environment with python-alsa-midi")
    return surface(peer), surface(sys.executable)


def test_only_the_listed_names_differ(surfaces):
    import differences

    peer, own = surfaces
    assert len(peer) > 3000 and "alsa_midi.SequencerClient.event_input(timeout)" in peer
    different = [name for name, value in peer.items() if own.get(name) != value]
    patterns = [p for entry in differences.load()["surface"] for p in entry["names"]]
    unlisted = [n for n in different if not any(fnmatch.fnmatchcase(n, p) for p in patterns)]
    assert not unlisted, {n: (peer[n], own.get(n, "missing")) for n in unlisted[:20]}
    stale = [p for p in patterns if not fnmatch.filter(different, p)]
    assert not stale, f"differences.toml lists names that do not differ: {stale}"
    print(f"{len(peer)} names, parameters, defaults and members; {len(different)} differ")


def test_the_page_is_up_to_date():
    if sys.version_info < (3, 11):
        pytest.skip("needs tomllib")
    import differences

    assert differences.PAGE.read_text(encoding="utf-8") == differences.page(), (
        "run python/alsa_midi/tests/differences.py"
    )


def test_the_example_of_the_page_runs():
    if sys.version_info < (3, 11):
        pytest.skip("needs tomllib")
    import differences

    [example] = re.findall(r"```python\n(.*?)```", differences.page(), re.S)
    exec(compile(example, "example", "exec"), {})
