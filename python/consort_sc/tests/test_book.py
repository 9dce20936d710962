"""The programs on the page of the book that need no server run."""

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1]
PAGES = [PACKAGE.parents[1] / "docs" / "coming-from-supriya.md"]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = [
    (page.name, program)
    for page in PAGES
    for program in BLOCK.findall(page.read_text(encoding="utf-8"))
]


def test_programs_are_found():
    assert PROGRAMS


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_program(number):
    name, program = PROGRAMS[number]
    exec(compile(program, f"{name} {number}", "exec"), {})
