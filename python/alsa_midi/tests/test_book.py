"""The programs on the page of the book run."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "coming-from-python-alsa-midi.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = BLOCK.findall(PAGE.read_text(encoding="utf-8"))


def test_programs_are_found():
    assert PROGRAMS


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_program(number):
    exec(compile(PROGRAMS[number], f"{PAGE.name} {number}", "exec"), {})
    print(f"{PAGE.name}: program {number + 1} ran")
