"""Compile the SynthDefs that Supriya itself needs.

Usage: supriya_system.py NAMES RESULTS

NAMES has one name per line. RESULTS has the format of supriya_graphs.py.
"""

import struct
import sys

from supriya.ugens import system


def main():
    # By name: the module defines some under the same attribute, so that all tables are merged.
    known = {
        **system.AMPLITUDE_SCOPE_SYNTHDEFS,
        **system.FREQUENCY_SCOPE_SYNTHDEFS,
        **system.SYSTEM_SYNTHDEFS,
        system.default.name: system.default,
    }
    with open(sys.argv[1]) as names, open(sys.argv[2], "wb") as output:
        for line in names:
            name = line.strip()
            if name.startswith("supriya:amp-scope") and name not in known:
                _, kind, channels = name.split(":")
                rate = system.CalculationRate.from_expr(kind[-2:].upper())
                known[name] = system._build_amplitude_scope_synthdef(int(channels), rate)
            result = known[name].compile()
            output.write(struct.pack(">I", len(result)) + result)


if __name__ == "__main__":
    main()
