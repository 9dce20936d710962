"""Runs every Python script in the book: imports modules in the harness, and calls tests."""

import importlib.util
import os
import re
from pathlib import Path

import pytest
from midimonster.harness import Show

DOCS = Path(__file__).parents[3] / "docs"
BLOCK = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def has_scripts(page):
    """Whether a page has scripts for a `python` instance, not programs of their own."""
    return any("midimonster" in text for _, text in BLOCK.findall(page.read_text()))


PAGES = [page for page in sorted(DOCS.glob("*.md")) if has_scripts(page)]


def test_pages_are_found():
    assert len(PAGES) >= 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_scripts(page, tmp_path, monkeypatch):
    scripts = BLOCK.findall(page.read_text())
    for name, text in scripts:
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    for name, _ in scripts:
        if not name.startswith("test_"):
            with Show(name, folder=str(tmp_path)):
                print(f"{page.name}: {name} imported")
            continue
        spec = importlib.util.spec_from_file_location(name[:-3], os.path.join(tmp_path, name))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        tests = [member for member in vars(module) if member.startswith("test_")]
        assert tests
        for test in tests:
            getattr(module, test)()
            print(f"{page.name}: {name}: {test} passed")
