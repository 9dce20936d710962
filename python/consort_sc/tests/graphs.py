"""Prints the bytes of compiled SynthDefs as JSON: of every UGen at every rate, and of random
graphs. test_comparison.py runs it with Supriya and with this package.

Usage: graphs.py PACKAGE COUNT
"""

import importlib
import inspect
import json
import random
import sys

PACKAGE = sys.argv[1]
u = importlib.import_module(f"{PACKAGE}.ugens")
Builder, Parameter, Envelope = u.SynthDefBuilder, u.Parameter, u.Envelope
#: Classes whose objects are not created by a method named after a rate.
SKIPPED = {
    "MaxLocalBufs",
    "Control",
    "AudioControl",
    "LagControl",
    "TrigControl",
    "Parameter",
    "UGen",
}
#: Inputs that are lists, or whose kind matters.
SPECIAL = {
    "channel_count": 2,
    "command_name": "/reply",
    "envelope": None,
    "frequencies": [200.0, 301.0, 403.0],
    "label": "label",
    "length": 4,
    "sequence": [1.0, 2.0, 3.5],
    "weights": [0.25, 0.5, 0.25],
    "done_action": 2,
    "post_mode": 1,
    "coeff_count": 3,
}


def argument(name, parameter, number, rate):
    """An argument that is not the default."""
    if name == "envelope":
        return Envelope.adsr()
    if name in ("amplitudes", "decay_times"):
        return [0.5, 0.25, 0.125]
    if name == "normalize":
        return True
    if name in SPECIAL:
        return SPECIAL[name]
    if name == "default":
        return [0.5]
    if name.startswith("pv_chain"):
        return u.FFT.kr(buffer_id=number, source=u.WhiteNoise.ar())
    if name in ("source", "trigger", "sources", "input_one", "left"):
        return u.SinOsc.ar(frequency=100.0 + number) if rate == "ar" else u.SinOsc.kr()
    if name == "index_":
        return 1
    return float(number) + 0.5


def single_ugens():
    """Every class at every rate: with defaults where there are defaults, with other values, and
    with a list for the first input."""
    for name in sorted(dir(u)):
        cls = getattr(u, name)
        if not inspect.isclass(cls) or name in SKIPPED:
            continue
        for rate in ("ar", "kr", "ir", "dr", "new"):
            method = getattr(cls, rate, None)
            if method is None:
                continue
            parameters = inspect.signature(method).parameters
            for kind in ("defaults", "values", "lists"):
                try:
                    with Builder(out=0) as builder:
                        arguments = {}
                        positional = []
                        for number, (key, parameter) in enumerate(parameters.items(), start=1):
                            required = parameter.default is parameter.empty
                            if kind != "defaults" or required or key in ("trigger", "source"):
                                value = argument(key, parameter, number, rate)
                                is_first = number == 1 and kind == "lists"
                                if is_first and isinstance(value, float):
                                    value = [value, value + 1]
                                if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                                    positional.append(value)
                                else:
                                    arguments[key] = value
                        result = method(*positional, **arguments)
                        if rate == "dr":
                            result = u.Demand.kr(source=result)
                        is_output = name.endswith("Out") and name != "ScopeOut"
                        if (
                            not is_output
                            and not isinstance(result, (int, float))
                            and (isinstance(result, u.OutputProxy) or len(result))
                        ):
                            bus = u.Out.kr if rate in ("kr", "ir", "dr") else u.Out.ar
                            bus(bus=builder["out"], source=result)
                    yield f"{name}.{rate} {kind}", builder.build(name="x", optimize=False)
                except Exception as error:
                    yield f"{name}.{rate} {kind}", type(error).__name__


UNARY = [
    "acos",
    "amplitude_to_db",
    "asin",
    "atan",
    "bi_lin_rand",
    "bi_rand",
    "cos",
    "cosh",
    "cubed",
    "db_to_amplitude",
    "distort",
    "exponential",
    "fractional_part",
    "hanning_window",
    "hz_to_midi",
    "hz_to_octave",
    "lin_rand",
    "log",
    "log10",
    "log2",
    "midi_to_hz",
    "octave_to_hz",
    "rand",
    "ratio_to_semitones",
    "reciprocal",
    "rectangle_window",
    "s_curve",
    "semitones_to_ratio",
    "sign",
    "sin",
    "sinh",
    "softclip",
    "sqrt",
    "squared",
    "sum3_rand",
    "tan",
    "tanh",
    "through",
    "triangle_window",
    "welch_window",
    "__abs__",
    "__ceil__",
    "__floor__",
    "__invert__",
    "__neg__",
]
BINARY = [
    "absdiff",
    "am_clip",
    "atan2",
    "clip2",
    "difference_of_squares",
    "exceeds",
    "excess",
    "exponential_rand_range",
    "fill",
    "first_arg",
    "fold2",
    "hypot",
    "hypotx",
    "is_equal_to",
    "is_not_equal_to",
    "max",
    "min",
    "rand_range",
    "ring1",
    "ring2",
    "ring3",
    "ring4",
    "round",
    "round_up",
    "scale_negative",
    "square_of_difference",
    "square_of_sum",
    "sum_of_squares",
    "truncate",
    "unsigned_shift",
    "wrap2",
    "__add__",
    "__radd__",
    "__sub__",
    "__rsub__",
    "__mul__",
    "__rmul__",
    "__truediv__",
    "__rtruediv__",
    "__floordiv__",
    "__mod__",
    "__rmod__",
    "__pow__",
    "__rpow__",
    "__lt__",
    "__le__",
    "__gt__",
    "__ge__",
]
ON_SIGNALS = ["__and__", "__or__", "__xor__", "__lshift__", "__rshift__", "gcd", "lcm"]


class Graph:
    """A random graph, written with the idioms of Python."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.signals = []

    def number(self):
        choices = [0, 1, -1, 0.0, 1.0, -1.0, 2, 0.5, 440, 3.25, 0.1, 1 / 3, 1e6]
        return self.random.choice(choices)

    def signal(self):
        return self.random.choice(self.signals)

    def operand(self):
        kind = self.random.random()
        if kind < 0.5 and self.signals:
            return self.signal()
        if kind < 0.85 or not self.signals:
            return self.number()
        return [self.operand() for _ in range(self.random.randint(1, 3))]

    def step(self, builder):
        r = self.random
        kind = r.randint(0, 21)
        if kind <= 2 or not self.signals:
            cls = r.choice([u.SinOsc, u.LFSaw, u.LFPulse, u.Impulse, u.LFNoise0, u.LFTri])
            return getattr(cls, r.choice(["ar", "kr"]))(frequency=self.operand())
        if kind <= 5:
            return getattr(self.signal(), r.choice(UNARY))()
        if kind <= 9:
            return getattr(self.signal(), r.choice(BINARY))(self.operand())
        if kind == 10:
            return getattr(self.signal(), r.choice(ON_SIGNALS))(u.LFTri.kr())
        if kind == 11:
            return r.choice([u.LPF, u.HPF, u.RLPF]).ar(
                source=self.signal(), frequency=self.operand()
            )
        if kind == 12:
            return u.Mix.new([self.signal() for _ in range(r.randint(2, 9))])
        if kind == 13:
            envelope = r.choice(
                [Envelope.adsr, Envelope.asr, Envelope.percussive, Envelope.linen]
            )()
            gate = {"gate": builder["gate"]} if r.random() < 0.5 else {}
            return u.EnvGen.kr(envelope=envelope, done_action=r.choice([0, 2]), **gate)
        if kind == 14:
            return u.Pan2.ar(source=self.signal(), position=self.operand())
        if kind == 15:
            arguments = {"factor": r.choice([1, 2, 3])}
            if r.random() < 0.5:
                arguments["lag_time_down"] = 0.25
            return (self.signal() + u.LFTri.kr()).lagged(r.choice([0.1, 0.5]), **arguments)
        if kind == 16:
            arguments = [-1, 1, r.choice([0, 100]), 300]
            return (u.LFTri.kr() * 2).scale(*arguments)
        if kind == 17:
            chain = u.FFT.kr(buffer_id=u.LocalBuf.ir(frame_count=512), source=u.WhiteNoise.ar())
            first = u.PV_MagAbove.kr(pv_chain=chain, threshold=3)
            second = u.PV_BrickWall.kr(pv_chain=chain, wipe=0.5)
            return u.IFFT.ar(pv_chain=u.PV_Mul.kr(pv_chain_a=first, pv_chain_b=second))
        if kind == 18:
            return u.UGenVector(self.signal(), self.number(), self.signal())
        if kind == 19:
            vector = u.UGenVector(*[self.signal() for _ in range(r.randint(2, 5))])
            return r.choice([vector.mix, vector.sum, vector.flatten])()
        if kind == 20:
            return u.Splay.ar(source=[self.signal(), self.signal(), u.LFTri.ar()])
        sequence = u.Dseq.dr(repeats=2, sequence=[1, 2, self.number()])
        return u.Demand.kr(trigger=u.Impulse.kr(frequency=2), source=[sequence, u.Dwhite.dr()])

    def build(self):
        r = self.random
        parameters = {"gate": 1, "out": 0}
        for name in r.sample(["amplitude", "frequency", "levels", "z"], r.randint(0, 4)):
            value = [0.1, 0.2, 0.3] if name == "levels" else r.choice([1, 0.25, 440])
            if r.random() < 0.5:
                rate = r.choice(["ar", "kr", "ir", "tr"])
                lag = r.choice([None, 0.1]) if rate == "kr" else None
                value = Parameter(value=value, rate=rate, lag=lag)
            parameters[name] = value
        with Builder(**parameters) as builder:
            for name in parameters:
                self.signals.extend(builder[name])
            for _ in range(r.randint(1, 14)):
                result = self.step(builder)
                self.signals.append(result)
            for _ in range(r.randint(1, 2)):
                source = [self.signal() for _ in range(r.randint(1, 3))]
                r.choice([u.Out, u.ReplaceOut]).ar(bus=builder["out"], source=source)
        return builder.build(name=r.choice(["name", None]), optimize=r.random() < 0.8)


def main():
    results = {}
    for label, result in single_ugens():
        results[label] = result if isinstance(result, str) else result.compile().hex()
    for seed in range(int(sys.argv[2])):
        try:
            results[f"graph {seed}"] = Graph(seed).build().compile().hex()
        except Exception as error:
            results[f"graph {seed}"] = type(error).__name__
    json.dump(results, sys.stdout)


main()
