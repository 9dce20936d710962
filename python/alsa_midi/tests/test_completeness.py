"""Everything public of PyPI's alsa-midi is here, but for what differences.toml lists."""

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
    done = subprocess.run(
        [python, "-P", str(HERE / "surface.py")],
        capture_output=True,
        text=True,
        timeout=120,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def surfaces():
    if sys.version_info < (3, 11):
        pytest.skip("needs tomllib")
    peers = os.environ.get("CONSORT_VENV", "")
    peer = os.path.join(peers, "bin", "python")
    if not peers or not os.path.exists(peer):
        assert not os.environ.get("CI"), "python-alsa-midi is missing"
        print("SKIPPED: completeness: CONSORT_VENV has no python-alsa-midi")
        pytest.skip("CONSORT_VENV names no environment with python-alsa-midi")
    return surface(peer), surface(sys.executable)


def test_everything_is_here(surfaces):
    import differences

    theirs, ours = surfaces
    assert len(theirs) > 3000 and "alsa_midi.SequencerClient.event_input(timeout)" in theirs
    different = [name for name, what in theirs.items() if ours.get(name) != what]
    patterns = [p for entry in differences.load()["surface"] for p in entry["names"]]
    unlisted = [n for n in different if not any(fnmatch.fnmatchcase(n, p) for p in patterns)]
    assert not unlisted, {n: (theirs[n], ours.get(n, "missing")) for n in unlisted[:20]}
    stale = [p for p in patterns if not fnmatch.filter(different, p)]
    assert not stale, f"differences.toml lists what does not differ any more: {stale}"
    print(f"{len(theirs)} names, parameters, defaults and members; {len(different)} differ")


def test_the_page_is_fresh():
    if sys.version_info < (3, 11):
        pytest.skip("needs tomllib")
    import differences

    assert differences.PAGE.read_text(encoding="utf-8") == differences.page(), (
        "run python/tests/differences.py"
    )


def test_the_example_of_the_page_runs():
    if sys.version_info < (3, 11):
        pytest.skip("needs tomllib")
    import differences

    [example] = re.findall(r"```python\n(.*?)```", differences.page(), re.S)
    exec(compile(example, "example", "exec"), {})
