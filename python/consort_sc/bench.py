"""Compares this package with Supriya: time per operation, and the factor between both.

Usage: bench.py PYTHON-WITH-SUPRIYA; fails if a figure is below its limit. Times are CPU times of
the process, the best of several runs.
"""

import json
import os
import subprocess
import sys

#: The smallest factors, and the longest import in milliseconds.
MINIMUM_SYNTHDEF, MINIMUM_OSC, MAXIMUM_IMPORT = 25.0, 5.0, 100.0

PART = """
import importlib, json, sys, time
package = sys.argv[1]
u = importlib.import_module(package + ".ugens")
osc = importlib.import_module(package + ".osc")

def seven():
    with u.SynthDefBuilder(frequency=440.0, amplitude=0.1, out=0.0) as builder:
        tone = u.SinOsc.ar(frequency=builder["frequency"])
        tone = u.LPF.ar(source=tone, frequency=1000)
        line = u.Line.kr(start=1, stop=0, duration=1, done_action=2)
        u.Out.ar(bus=builder["out"], source=u.Pan2.ar(source=tone * line))
    return builder.build(name="seven").compile()

def message():
    values = "default", 1000, 0, 1, "frequency", 440.0, "x", 0.5
    encoded = osc.OscMessage("/s_new", *values).to_datagram()
    decoded = osc.OscMessage.from_datagram(encoded)
    return decoded.address, [value for value in decoded.contents]

def best(function, count):
    function()
    times = []
    for _ in range(7):
        start = time.process_time()
        for _ in range(count):
            function()
        times.append((time.process_time() - start) / count)
    return min(times) * 1e6

assert len(u.decompile_synthdef(seven()).ugens) == 7
print(json.dumps([best(seven, 300), best(message, 3000)]))
"""


def figures(python: str, package: str) -> list[float]:
    result = subprocess.run(
        [python, "-P", "-c", PART, package], capture_output=True, text=True, check=True, cwd="/"
    )
    return json.loads(result.stdout)


def import_time(package: str) -> float:
    """Milliseconds of the processor for a process that imports the package, the best of several."""
    times = []
    for _ in range(15):
        before = os.times()
        subprocess.run([sys.executable, "-P", "-c", f"import {package}"], check=True, cwd="/")
        after = os.times()
        user = after.children_user - before.children_user
        times.append((user + after.children_system - before.children_system) * 1000)
    return min(times)


def main() -> int:
    peer, own = figures(sys.argv[1], "supriya"), figures(sys.executable, "consort_sc")
    rows = zip(("SynthDef of 7 UGens", "OSC encode, decode"), peer, own)
    factors = []
    print("operation              Supriya   consort_sc   factor")
    for name, left, right in rows:
        factors.append(left / right)
        print(f"{name:20} {left:8.2f} us {right:8.2f} us {left / right:8.1f}")
    duration = import_time("consort_sc")
    print(f"import, whole process            {duration:8.1f} ms")
    is_met = (
        factors[0] >= MINIMUM_SYNTHDEF and factors[1] >= MINIMUM_OSC and duration <= MAXIMUM_IMPORT
    )
    if not is_met:
        print("below the limits: factors 25 and 5, import 100 ms")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
