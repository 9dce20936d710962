"""Prints the public interface of this interpreter's `alsa_midi` as JSON: a flat map from names to
properties. test_completeness.py runs it for python-alsa-midi and for this package."""

import enum
import importlib
import inspect
import json
import sys

MODULES = ["", ".address", ".client", ".event", ".exceptions", ".mido_backend", ".port", ".queue"]
MODULES += [".util"]
#: Values for the required parameters of constructors.
SAMPLES = {
    "addr": (1, 2),
    "connect_sender": (1, 2),
    "connect_dest": (3, 4),
    "data": b"x",
    "midi_bytes": b"\x90\x3c\x7f",
    "midi_tempo": 500000,
}


def default(value):
    """A parameter's default as text."""
    if value is inspect.Parameter.empty:
        return "required"
    if type(value).__name__ == "_HAS_DEFAULT_FACTORY_CLASS":
        return "<factory>"
    if isinstance(value, int):
        return repr(int(value))
    return repr(value)


def signature(properties, function):
    """Adds the parameters of a function."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return
    for parameter in parameters:
        name = parameter.name
        if name.startswith("_") or name in ("self", "cls"):
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            properties[f"({name})"] = "any number"
        else:
            by_name = parameter.kind is parameter.KEYWORD_ONLY
            value = "None" if default(parameter.default) == "[]" else default(parameter.default)
            properties[f"({name})"] = ("by name, " if by_name else "") + value


def instance(cls):
    """An object of a class, created with sample arguments."""
    arguments = {}
    for name, parameter in inspect.signature(cls).parameters.items():
        simple = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if simple and (parameter.default is parameter.empty or name == "midi_tempo"):
            arguments[name] = SAMPLES.get(name, 1)
    return cls(**arguments)


def members(cls):
    """The members of a class: methods with their parameters, attributes and enumeration members."""
    properties = {}
    if issubclass(cls, enum.Enum):
        for name, member in cls.__members__.items():
            properties[f".{name}"] = int(member)
        properties[" kind"] = "IntFlag" if issubclass(cls, enum.IntFlag) else "IntEnum"
        return properties
    for name in dir(cls):
        if name.startswith("_"):
            continue
        value = inspect.getattr_static(cls, name)
        if isinstance(value, (staticmethod, classmethod)):
            value = value.__func__
        if callable(value) and not isinstance(value, type):
            function = getattr(cls, name)
            kind = "coroutine" if inspect.iscoroutinefunction(function) else "method"
            properties[f".{name}"] = kind
            signature_of = {}
            signature(signature_of, function)
            properties.update({f".{name}{key}": value for key, value in signature_of.items()})
    signature(properties, cls)
    event_class = sys.modules["alsa_midi"].Event
    has_attributes = issubclass(cls, event_class) or "__dataclass_fields__" in vars(cls)
    if has_attributes or cls.__name__ in ("RealTime", "Address", "TimerId", "ALSAError"):
        try:
            sample = cls("m", -1) if cls.__name__ == "ALSAError" else instance(cls)
        except (TypeError, AssertionError):
            return properties
        for name in dir(sample):
            if not name.startswith("_") and f".{name}" not in properties:
                value = getattr(sample, name)
                if not callable(value):
                    properties[f".{name}"] = "attribute"
        if issubclass(cls, event_class) and cls.__name__ != "Event":
            properties[" text"] = repr(sample)
    return properties


def main():
    surface = {}
    for suffix in MODULES:
        name = "alsa_midi" + suffix
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        surface[name] = "module"
        public = getattr(module, "__all__", None) or [
            n for n in vars(module) if not n.startswith("_")
        ]
        own = [
            n
            for n, value in vars(module).items()
            if getattr(value, "__module__", None) == name and not n.startswith("_")
        ]
        raw = {"alsa", "ffi"} if not suffix else set()
        for member in sorted({*public, *own, *raw}):
            if member in ("alsa", "ffi") and suffix:
                continue
            try:
                value = getattr(module, member)
            except AttributeError:
                continue
            key = f"{name}.{member}"
            if inspect.ismodule(value) and member != "alsa":
                continue
            if member == "ffi":
                surface[key] = "ffi"
            elif member == "alsa":
                surface[key] = "libasound"
                for symbol in dir(value):
                    surface[f"{key}.{symbol}"] = "function"
                    if symbol.isupper():
                        try:
                            surface[f"{key}.{symbol}"] = getattr(value, symbol)
                        except Exception:
                            # python-alsa-midi declares one name with a wrong number.
                            surface[f"{key}.{symbol}"] = "unreadable"
            elif inspect.isclass(value):
                if value.__module__.split(".")[0] != "alsa_midi":
                    continue
                surface[key] = "class"
                for base in value.__mro__[1:]:
                    is_listed = base.__name__.endswith("Base") or base.__name__ == "Event"
                    if base.__module__.startswith("alsa_midi") and is_listed:
                        surface[f"{key} is {base.__name__}"] = True
                surface.update({key + rest: value for rest, value in members(value).items()})
            elif callable(value) and getattr(value, "__module__", "") == name:
                surface[key] = "function"
                properties = {}
                signature(properties, value)
                surface.update({key + rest: value for rest, value in properties.items()})
            elif member in public and not callable(value):
                surface[key] = repr(int(value)) if isinstance(value, int) else repr(value)
    json.dump(surface, sys.stdout, indent=1, sort_keys=True, default=str)


main()
