"""The stub file _core.pyi describes exactly the compiled module."""

import ast
import inspect
import pathlib

import alsa_midi
import pytest
from alsa_midi import _core

STUB = pathlib.Path(alsa_midi.__file__).with_name("_core.pyi")
TREE = ast.parse(STUB.read_text(encoding="utf-8"))
CLASSES = {node.name: node for node in TREE.body if isinstance(node, ast.ClassDef)}
FUNCTIONS = {node.name: node for node in TREE.body if isinstance(node, ast.FunctionDef)}
METHODS = {
    f"{name}.{statement.name}": statement
    for name, node in CLASSES.items()
    for statement in node.body
    if isinstance(statement, ast.FunctionDef)
}


def is_special(name):
    return name.startswith("__") and name.endswith("__")


def stub_members(node):
    """The names that a class defines in the stub."""
    names = set()
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef):
            names.add(statement.name)
        elif isinstance(statement, ast.AnnAssign):
            names.add(statement.target.id)
    return names


def parameters_in_stub(function):
    arguments = function.args
    names = [argument.arg for argument in arguments.posonlyargs + arguments.args]
    names += [argument.arg for argument in arguments.kwonlyargs]
    for argument in (arguments.vararg, arguments.kwarg):
        if argument is not None:
            names.append(argument.arg)
    return {name for name in names if name not in ("self", "cls")}


def parameters_of(function):
    names = inspect.signature(function).parameters
    return {name for name in names if name not in ("self", "cls")}


def test_module():
    compiled = {name for name in vars(_core) if not is_special(name)}
    assert compiled == set(CLASSES) | set(FUNCTIONS)


@pytest.mark.parametrize("name", CLASSES)
def test_members(name):
    # Special methods are inherited or created by PyO3, so only those in the stub are compared.
    compiled = vars(getattr(_core, name))
    # `Event.__init_subclass__` and `Event.type` are set in event.py.
    members = {member for member in compiled if not is_special(member)}
    stub = stub_members(CLASSES[name])
    assert members == {member for member in stub if not is_special(member)}
    assert {member for member in stub if is_special(member)} <= set(compiled)


@pytest.mark.parametrize("name", METHODS)
def test_parameters_of_methods(name):
    function = METHODS[name]
    class_name, method_name = name.split(".")
    member = inspect.getattr_static(getattr(_core, class_name), method_name)
    if isinstance(member, staticmethod):
        member = member.__func__
    if inspect.isdatadescriptor(member):
        assert any(decorator.id == "property" for decorator in function.decorator_list)
    elif method_name in ("__init__", "__new__"):
        # PyO3 writes the signature of constructors to the class.
        class_parameters = parameters_of(getattr(_core, class_name))
        assert parameters_in_stub(function) == class_parameters
    elif not is_special(method_name):
        assert parameters_in_stub(function) == parameters_of(member)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_parameters_of_functions(name):
    assert parameters_in_stub(FUNCTIONS[name]) == parameters_of(getattr(_core, name))
