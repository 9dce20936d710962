"""Fixtures: the interpreter with Supriya."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

HERE = pathlib.Path(__file__).parent
#: The version of Supriya that this package is compared with.
SUPRIYA_VERSION = "26.10b1"


def run(python: str, script: str, *arguments: str) -> Any:
    """What a script of this folder prints, as data."""
    process = subprocess.run(
        [python, "-P", str(HERE / script), *arguments],
        capture_output=True,
        text=True,
        timeout=540,
        cwd="/",
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@pytest.fixture(scope="session")
def compare() -> Callable[..., tuple[Any, Any]]:
    """A function that runs a script with Supriya and with this package."""
    if sys.version_info < (3, 11):
        pytest.skip("needs Python 3.11")
    peer = os.environ.get("CONSORT_SUPRIYA", "")
    if not peer:
        assert not os.environ.get("CI"), "CONSORT_SUPRIYA is not set"
        print("SKIPPED: comparison with Supriya: CONSORT_SUPRIYA names no interpreter")
        pytest.skip("CONSORT_SUPRIYA names no interpreter with Supriya")
    version = subprocess.run(
        [peer, "-c", "import supriya; print(supriya.__version__)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert version == SUPRIYA_VERSION

    def both(script: str, *arguments: str) -> tuple[Any, Any]:
        return run(peer, script, "supriya", *arguments), run(
            sys.executable, script, "consort_sc", *arguments
        )

    return both
