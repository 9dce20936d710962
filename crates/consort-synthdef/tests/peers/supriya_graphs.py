"""Build graphs from their JSON description with Supriya and write the compiled bytes.

Usage: supriya_graphs.py DESCRIPTIONS RESULTS

DESCRIPTIONS has one graph per line. For each graph, the script writes a big-endian 32-bit length
and the bytes of the compiled SynthDef to RESULTS; if Supriya raises an exception, a length with the
highest bit set and the exception as text.
"""

import json
import struct
import sys

from supriya import CalculationRate, Envelope
from supriya import ugens as peer
from supriya.enums import EnvelopeShape
from supriya.ugens.core import _compute_binary_op, _compute_unary_op

RATES = {
    "ar": CalculationRate.AUDIO,
    "kr": CalculationRate.CONTROL,
    "ir": CalculationRate.SCALAR,
    "dr": CalculationRate.DEMAND,
}
CONTROL_RATES = {"ir": "SCALAR", "tr": "TRIGGER", "ar": "AUDIO", "kr": "CONTROL"}

# UGens whose constructor takes the inputs in another order than the server.
ARGUMENTS = {
    "SendReply": ["trigger", "reply_id", "command_name", "source"],
    "SendPeakRMS": ["reply_rate", "peak_lag", "reply_id", "source", "command_name"],
    "Poll": ["trigger", "source", "trigger_id", "label"],
    "Dwrand": ["repeats", "weights", "sequence"],
}
SHAPES = [shape for shape in EnvelopeShape if shape is not EnvelopeShape.CUSTOM]


def resolve(value, results):
    if isinstance(value, dict):
        if "text" in value:
            return value["text"]
        signal = results[value["node"]]
        channel = value.get("channel")
        return signal if channel is None else signal[channel]
    if isinstance(value, list):
        return [resolve(item, results) for item in value]
    return float(value)


def build_ugen(step, results):
    name = step["name"]
    class_ = getattr(peer, name)
    keys = ARGUMENTS.get(name, class_._ordered_keys)
    arguments = {keys[i]: resolve(value, results) for i, value in step["inputs"]}
    if step.get("channels"):
        arguments["channel_count"] = step["channels"]
    if name == "Klank":
        return class_._new_expanded(
            calculation_rate=CalculationRate.AUDIO,
            **{
                "frequency_scale": 1.0,
                "frequency_offset": 0.0,
                "decay_scale": 1.0,
                **arguments,
            },
        )
    return getattr(class_, step["rate"])(**arguments)


def build_envelope(step, results):
    curves = [
        resolve(curve["bend"], results) if "bend" in curve else SHAPES[curve["shape"]]
        for curve in step["curves"]
    ]
    return Envelope(
        amplitudes=[resolve(x, results) for x in step["levels"]],
        durations=[resolve(x, results) for x in step["durations"]],
        curves=curves,
        release_node=step["release"],
        loop_node=step["loop"],
    )


def build_binary(step, results):
    left, right = resolve(step["left"], results), resolve(step["right"], results)
    operator = step["operator"]
    if operator in (0, 1, 2, 4):
        if isinstance(left, list):
            left = peer.UGenVector(*left)
        if isinstance(right, list):
            right = peer.UGenVector(*right)
        return {
            0: lambda: left + right,
            1: lambda: left - right,
            2: lambda: left * right,
            4: lambda: left / right,
        }[operator]()
    return _compute_binary_op(left=left, right=right, special_index=operator)


def single(signal):
    """Return the output of a UGen that has exactly one.

    Sums and MulAdd are returned as the UGen itself. Inside a list, Supriya would treat it as a
    nested list and expand the reader into several UGens.
    """
    if isinstance(signal, peer.UGen) and len(signal) == 1:
        return signal[0]
    if isinstance(signal, peer.UGenVector):
        return peer.UGenVector(*(single(item) for item in signal))
    return signal


def build_step(step, results):
    kind = step["step"]
    if kind == "ugen":
        return build_ugen(step, results)
    if kind == "envelope":
        inputs = {"envelope": build_envelope(step, results)}
        for key, value in step["inputs"].items():
            inputs[key] = resolve(value, results)
        return getattr(peer.EnvGen, step["rate"])(**inputs)
    if kind == "unary":
        return _compute_unary_op(
            source=resolve(step["source"], results), special_index=step["operator"]
        )
    if kind == "binary":
        return build_binary(step, results)
    inputs = [resolve(value, results) for value in step["inputs"]]
    if kind == "muladd":
        return peer.MulAdd.new(source=inputs[0], multiplier=inputs[1], addend=inputs[2])
    if kind == "sum3":
        return peer.Sum3.new(input_one=inputs[0], input_two=inputs[1], input_three=inputs[2])
    if kind == "sum4":
        return peer.Sum4.new(
            input_one=inputs[0],
            input_two=inputs[1],
            input_three=inputs[2],
            input_four=inputs[3],
        )
    if kind == "mix":
        return peer.Mix.new(peer.UGenVector(*inputs))
    if kind == "splay":
        return getattr(peer.Splay, step["rate"])(source=inputs)
    if kind == "linlin":
        return peer.LinLin.ar(
            source=inputs[0],
            input_minimum=inputs[1],
            input_maximum=inputs[2],
            output_minimum=inputs[3],
            output_maximum=inputs[4],
        )
    if kind == "changed":
        return getattr(peer.Changed, step["rate"])(source=inputs[0], threshold=inputs[1])
    if kind == "compander":
        return peer.CompanderD.ar(source=inputs[0], clamp_time=inputs[1])
    if kind == "hilbert":
        return peer.HilbertFIR.ar(source=inputs[0], buffer_id=inputs[1])
    raise ValueError(kind)


def build(description):
    builder = peer.SynthDefBuilder()
    results = []
    for control in description["controls"]:
        values = control["values"]
        results.append(
            builder.add_parameter(
                name=control["name"],
                value=values if len(values) > 1 else values[0],
                rate=CONTROL_RATES[control["rate"]],
                lag=control["lag"] or None,
            )
        )
    with builder:
        for step in description["steps"]:
            results.append(single(build_step(step, results)))
    return builder.build(name=description["name"], optimize=description["optimize"]).compile()


def main():
    with open(sys.argv[1]) as descriptions, open(sys.argv[2], "wb") as output:
        for line in descriptions:
            try:
                result = build(json.loads(line))
                head = len(result)
            except Exception as error:  # noqa: BLE001
                result = f"{type(error).__name__}: {error}".encode()
                head = len(result) | 1 << 31
            output.write(struct.pack(">I", head) + result)


if __name__ == "__main__":
    main()
