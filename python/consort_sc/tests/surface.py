"""Prints the public interface of a package as JSON: a flat map from names to properties.
test_comparison.py runs it for Supriya and for this package.

Usage: surface.py PACKAGE
"""

import enum
import importlib
import inspect
import json
import sys

PACKAGE = sys.argv[1]
MODULES = [
    "",
    *[
        "contexts",
        "contexts.allocators",
        "contexts.core",
        "contexts.entities",
        "contexts.nonrealtime",
        "contexts.realtime",
        "contexts.requests",
        "contexts.responses",
        "contexts.scopes",
        "conversions",
        "enums",
        "exceptions",
        "io",
        "osc",
        "sclang",
        "scsynth",
        "typing",
        "ugens",
        "utils",
        "ugens.basic",
        "ugens.beq",
        "ugens.bufio",
        "ugens.chaos",
        "ugens.convolution",
        "ugens.core",
        "ugens.delay",
        "ugens.demand",
        "ugens.diskio",
        "ugens.dynamics",
        "ugens.envelopes",
        "ugens.factories",
        "ugens.ffsinosc",
        "ugens.filters",
        "ugens.gendyn",
        "ugens.granular",
        "ugens.hilbert",
        "ugens.info",
        "ugens.inout",
        "ugens.lines",
        "ugens.mac",
        "ugens.ml",
        "ugens.noise",
        "ugens.osc",
        "ugens.panning",
        "ugens.physical",
        "ugens.pv",
        "ugens.reverb",
        "ugens.safety",
        "ugens.system",
        "ugens.triggers",
    ],
]
#: Special methods that objects of all classes have.
COMMON = {name for name in dir(type("Plain", (), {})) if name not in ("__eq__", "__hash__")}
COMMON |= {"__abstractmethods__", "__annotations__", "__parameters__", "__orig_bases__"}
COMMON |= {"__slotnames__", "__slots__", "__protocol_attrs__", "__non_callable_proto_members__"}
COMMON |= {"__static_attributes__", "__firstlineno__", "__annotate_func__", "__set_name__"}
COMMON |= {"__annotations_cache__", "__dict__", "__weakref__", "__doc__", "__module__"}
#: Private methods that subclasses override.
HOOKS = {"_new_expanded", "_new_single", "_postprocess_kwargs"}


def default(value):
    """A parameter's default as text; equal numbers have the same text."""
    if value is inspect.Parameter.empty:
        return "required"
    if isinstance(value, enum.Enum) and not isinstance(value, int):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, (bool, int, float)):
        return repr(float(value))
    if isinstance(value, tuple):
        return "(" + ", ".join(default(item) for item in value) + ")"
    if type(value).__name__ in ("Default", "Missing", "Inherit"):
        return type(value).__name__
    return repr(value)


def parameters(function):
    """The parameters of a function by name."""
    result = {}
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return result
    for parameter in signature.parameters.values():
        name = parameter.name
        if name in ("self", "cls"):
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            result[f"({'*' if parameter.kind is parameter.VAR_POSITIONAL else '**'})"] = (
                "any number"
            )
        else:
            by_name = "by name, " if parameter.kind is parameter.KEYWORD_ONLY else ""
            result[f"({name})"] = by_name + default(parameter.default)
    return result


def is_special(name):
    return name.startswith("__") and name.endswith("__")


def members(cls):
    """The members of a class, its own and inherited ones."""
    result = {}
    if issubclass(cls, enum.Enum):
        for name, member in cls.__members__.items():
            result[f".{name}"] = repr(member.value)
    for name in dir(cls):
        if name.startswith("_") and not is_special(name) and name not in HOOKS:
            continue
        if name in COMMON or (issubclass(cls, enum.Enum) and is_special(name)):
            continue
        if issubclass(cls, enum.Enum) and hasattr(int, name):
            continue
        if issubclass(cls, BaseException) and hasattr(Exception, name):
            continue
        value = getattr(cls, name, None)
        static = inspect.getattr_static(cls, name, None)
        if value is None and static is None:
            continue
        if inspect.isclass(value):
            result[f".{name}"] = "class"
        elif isinstance(static, property) or inspect.isdatadescriptor(static):
            result[f".{name}"] = "property"
        elif callable(value):
            result[f".{name}"] = "method"
            if not is_special(name):
                for key, text in parameters(value).items():
                    result[f".{name}{key}"] = text
        else:
            result.setdefault(f".{name}", "attribute")
    if not issubclass(cls, enum.Enum):
        result.update(parameters(cls))
    return result


def main():
    surface = {}
    for suffix in MODULES:
        name = f"{PACKAGE}.{suffix}" if suffix else PACKAGE
        key = suffix or "package"
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        surface[key] = "module"
        names = set(getattr(module, "__all__", ()))
        names |= {
            n
            for n, value in vars(module).items()
            if not n.startswith("_")
            and getattr(value, "__module__", name) == name
            and not inspect.ismodule(value)
            and not (isinstance(value, type) and value.__module__ != name)
        }
        for member in sorted(names):
            try:
                value = getattr(module, member)
            except AttributeError:
                continue
            if inspect.ismodule(value) or member == "TYPE_CHECKING":
                continue
            full = f"{key}.{member}"
            if inspect.isclass(value):
                surface[full] = "class"
                if suffix in ("", "contexts", "ugens"):
                    # The class is described in the module that defines it.
                    continue
                for base in value.__mro__[1:]:
                    is_shown = base.__module__.startswith((PACKAGE, "builtins"))
                    if is_shown and base.__name__ not in ("object", "ReprEnum"):
                        surface[f"{full} is {base.__name__}"] = True
                surface.update({full + rest: text for rest, text in members(value).items()})
            elif callable(value) and hasattr(value, "__name__"):
                surface[full] = "function"
                surface.update({full + rest: text for rest, text in parameters(value).items()})
            else:
                surface[full] = "value"
    json.dump(surface, sys.stdout, indent=0, sort_keys=True)


main()
