"""The calls of calls.py do the same with PyPI's alsa-midi and with this package on the kernel's
sequencer and on the embedded one, except as differences.toml lists."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent


def results(python: str, engine: str) -> list:
    process = subprocess.run(
        [python, "-P", str(HERE / "calls.py")],
        capture_output=True,
        text=True,
        timeout=300,
        cwd="/",
        env=os.environ | {"CONSORT_SEQ": engine},
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def test_no_call_waits_without_end_and_long_messages_leave_whole():
    embedded = dict(results(sys.executable, "embedded"))
    assert "waits without end" not in embedded.values()
    long = [result for call, result in embedded.items() if "len(b.event_input().data)" in call]
    assert long == ["13314"] * 3


def test_calls_do_the_same(on_kernel):
    if not on_kernel:
        pytest.skip("PyPI's alsa-midi needs the kernel's sequencer")
    if sys.version_info < (3, 11):
        pytest.skip("needs tomllib")
    import differences

    environment = os.environ.get("CONSORT_VENV", "")
    peer = os.path.join(environment, "bin", "python")
    if not environment or not os.path.exists(peer):
        assert not os.environ.get("CI"), "python-alsa-midi is missing"
        pytest.skip("CONSORT_VENV names no environment with python-alsa-midi")
    expected = results(peer, "")
    assert len(expected) >= 150
    listed = {call for entry in differences.load()["behaviour"] for call in entry.get("calls", [])}
    for engine in ("kernel", "embedded"):
        own = results(sys.executable, engine)
        assert [call for call, _ in own] == [call for call, _ in expected]
        pairs = zip(expected, own, strict=True)
        different = {call: (peer, ours) for (call, peer), (_, ours) in pairs if peer != ours}
        unlisted = {call: both for call, both in different.items() if call not in listed}
        assert not unlisted, f"{engine}: python-alsa-midi, then ours: {unlisted}"
        assert listed == set(different), f"{engine}: differences.toml lists calls that agree"
        print(f"{engine}: {len(own)} calls, {len(different)} with another result, which is listed")
