"""Print how many seconds Supriya takes to build and compile each of two SynthDefs."""

import timeit

from supriya import Envelope
from supriya.ugens import (
    LPF,
    EnvGen,
    Mix,
    Out,
    Pan2,
    Saw,
    SinOsc,
    SynthDefBuilder,
)


def small():
    with SynthDefBuilder(frequency=440, amplitude=0.1, out=0) as builder:
        source = SinOsc.ar(frequency=builder["frequency"]) * builder["amplitude"]
        Out.ar(bus=builder["out"], source=[source, source])
    return builder.build(name="small").compile()


def voice():
    with SynthDefBuilder(frequency=440, amplitude=0.1, out=0, gate=1) as builder:
        saws = Saw.ar(frequency=[builder["frequency"] * x for x in (0.99, 1.0, 1.01, 2.0)])
        envelope = EnvGen.kr(envelope=Envelope.adsr(), gate=builder["gate"], done_action=2)
        source = LPF.ar(source=Mix.new(saws), frequency=builder["frequency"] * 4)
        Out.ar(
            bus=builder["out"],
            source=Pan2.ar(source=source * envelope * builder["amplitude"]),
        )
    return builder.build(name="voice").compile()


if __name__ == "__main__":
    for function in (small, voice):
        function()
        best = min(timeit.repeat(function, number=100, repeat=7)) / 100
        print(f"{function.__name__} {best:.9f} {function().hex()}")
