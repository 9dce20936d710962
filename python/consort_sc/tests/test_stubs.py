"""The generated stubs are up to date, and the stub of the compiled part has all its members."""

import ast
import pathlib

import pytest
import stubs

from consort_sc import _core

TREE = ast.parse((pathlib.Path(_core.__file__).parent / "_core.pyi").read_text(encoding="utf-8"))
CLASSES = {node.name: node for node in TREE.body if isinstance(node, ast.ClassDef)}
FUNCTIONS = {node.name for node in TREE.body if isinstance(node, ast.FunctionDef)}


def names(node):
    """The names that a class defines in the stub."""
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef):
            yield statement.name
        elif isinstance(statement, ast.AnnAssign):
            yield statement.target.id


@pytest.mark.parametrize("file", sorted(stubs.stubs()))
def test_a_generated_stub_is_up_to_date(file):
    text = (stubs.FOLDER / file).read_text(encoding="utf-8")
    assert text == stubs.stubs()[file], "run python/consort_sc/tests/stubs.py"


def test_the_compiled_module_has_the_members_of_its_stub():
    compiled = {name for name in vars(_core) if not name.startswith("__")}
    assert compiled == set(CLASSES) | FUNCTIONS


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_the_compiled_classes_have_the_members_of_their_stubs(name):
    compiled = getattr(_core, name)
    own = {member for member in vars(compiled) if not member.startswith("_")}
    assert own <= set(names(CLASSES[name]))
    missing = [member for member in names(CLASSES[name]) if not hasattr(compiled, member)]
    assert missing in ([], ["__signature__"])
