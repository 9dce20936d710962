"""Evaluates expressions and prints the results, or the classes of the exceptions, as JSON.
test_comparison.py runs it with Supriya and with this package.

Usage: behaviour.py PACKAGE
"""

import copy
import importlib
import inspect
import json
import pathlib
import pickle
import re
import sys

PACKAGE = sys.argv[1]


def load():
    """The names that the expressions use."""
    names = {"copy": copy, "inspect": inspect, "pickle": pickle}
    package = importlib.import_module(PACKAGE)
    for suffix in ("conversions", "enums", "exceptions", "osc", "scsynth", "ugens", "ugens.core"):
        module = importlib.import_module(f"{PACKAGE}.{suffix}")
        for name in dir(module):
            if not name.startswith("_") and name not in names:
                try:
                    names[name] = getattr(module, name)
                except AttributeError:
                    # Supriya lists names that do not exist.
                    continue
    names["Envelope"], names["supriya"] = package.Envelope, package
    builder = names["SynthDefBuilder"]

    def build(function, **parameters):
        with builder(**parameters) as b:
            function(b)
        return b.build(name="test")

    class Derived(names["SinOsc"]):
        pass

    @names["ugen"](ar=True, kr=True, is_pure=True)
    class Custom(names["UGen"]):
        source = names["param"]()
        factor = names["param"](3.0)
        required = names["param"](None)

    @names["ugen"](ar=True, is_multichannel=True, channel_count=3)
    class Multichannel(names["UGen"]):
        source = names["param"](unexpanded=True)

    @names["ugen"](kr=True)
    class Changing(names["UGen"]):
        source = names["param"]()
        count = names["param"](2)

        def _postprocess_kwargs(self, *, calculation_rate, **kwargs):
            kwargs["source"] = 5
            return calculation_rate, kwargs

    @names["synthdef"]("ar", ("kr", 0.5))
    def decorated(frequency=440, amplitude=0.1, levels=(1, 2)):
        names["Out"].ar(bus=0, source=names["SinOsc"].ar(frequency=frequency) * amplitude)

    names.update(build=build, Derived=Derived, Custom=Custom, Multichannel=Multichannel)
    names.update(Changing=Changing, decorated=decorated)
    return names


def shown(value, depth=0):
    """A result as text without addresses and module names."""
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple) and depth < 4:
        inner = ", ".join(shown(item, depth + 1) for item in value)
        return f"{type(value).__name__}({inner})"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, bool) or value is None:
        return repr(value)
    if type(value) in (int, float):
        return repr(round(float(value), 9))
    text = repr(value)
    return re.sub(r"0x[0-9a-f]+", "0x", text).replace(PACKAGE + ".", "PACKAGE.")


def main():
    names = load()
    expressions = pathlib.Path(__file__).with_name("expressions.txt").read_text(encoding="utf-8")
    results = {}
    for expression in expressions.splitlines():
        if not expression or expression.startswith("#"):
            continue
        try:
            results[expression] = shown(eval(expression, dict(names)))
        except Exception as error:
            results[expression] = f"raises {type(error).__name__}"
    json.dump(results, sys.stdout)


main()
