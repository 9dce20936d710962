"""What this package does, without Supriya: limits, errors, threads, copies, and what is new."""

import contextlib
import copy
import enum
import math
import pickle
import struct
import subprocess
import sys
import threading

import pytest

import consort_sc
from consort_sc import Envelope, OscBundle, OscMessage, SynthDef, SynthDefBuilder, ugens
from consort_sc.osc import Capture, OscProtocol
from consort_sc.ugens import (
    DC,
    EnvGen,
    In,
    Klang,
    Out,
    Pan2,
    SinOsc,
    SuperColliderSynthDef,
    UGen,
    UGenVector,
    compile_synthdefs,
    decompile_synthdef,
    param,
    ugen,
)
from consort_sc.ugens.core import SynthDefError


def build(function, name="test", **parameters):
    with SynthDefBuilder(**parameters) as builder:
        function(builder)
    return builder.build(name=name)


def test_the_import_needs_no_other_package():
    code = (
        "import sys; before = set(sys.modules); import consort_sc; "
        "print([m for m in set(sys.modules) - before if m.split('.')[0] in "
        "('numpy', 'uqbar', 'supriya', 'inspect', 'subprocess', 'asyncio')])"
    )
    output = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert output.stdout.strip() in ("[]", "['inspect']"), output


def test_not_a_number_is_rejected_with_the_ugen_and_the_input():
    with pytest.raises(SynthDefError, match="input 0 of SinOsc is the number NaN"):
        build(lambda _: Out.ar(bus=0, source=SinOsc.ar(frequency=math.nan)))


@pytest.mark.parametrize("value", [1e39, -1e39])
def test_numbers_beyond_32_bits_overflow(value):
    with pytest.raises(OverflowError, match="fits into 32 bits"):
        build(lambda _: Out.ar(bus=0, source=SinOsc.ar(frequency=value)))
    with pytest.raises(OverflowError, match="the parameter `level`"):
        build(lambda _: Out.ar(bus=0, source=0), level=value)


def test_infinity_is_a_number():
    assert (
        build(lambda _: Out.ar(bus=0, source=SinOsc.ar(frequency=math.inf))).constants[0]
        == math.inf
    )


def test_a_builder_takes_65535_ugens():
    with SynthDefBuilder() as builder:
        source = DC.ar(source=1)
        for _ in range(65_534):
            source = source + source
        with pytest.raises(SynthDefError, match="at most 65535 UGens"):
            source + source
    del builder


def test_long_chains_outside_of_a_builder_are_built_and_dropped():
    signal = SinOsc.ar()
    for _ in range(200_000):
        signal = signal + 1.5
    assert repr(signal) == "<BinaryOpUGen.ar(ADDITION)[0]>"
    with pytest.raises(SynthDefError, match="at most 65535 UGens"):
        str(signal)
    del signal


def test_lists_are_bounded_in_depth():
    nested = [1.0]
    for _ in range(70):
        nested = [nested]
    with pytest.raises(ValueError, match="at most 64 deep"):
        SinOsc.ar(frequency=nested)
    endless = []
    endless.append(endless)
    with pytest.raises(ValueError, match="at most 64 deep"):
        SinOsc.ar(frequency=endless)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: SinOsc.ar(frequency="x"), TypeError, "`frequency`: expected a number, a UGen"),
        (lambda: SinOsc.ar(frequency=None), ValueError, "missing input `frequency`"),
        (lambda: SinOsc.ar(frequency=[]), ValueError, "found an empty sequence"),
        (lambda: SinOsc.ar(freq=1), TypeError, "its inputs are: frequency, phase"),
        (lambda: SinOsc.ar(1), TypeError, "give inputs by name"),
        (lambda: SinOsc(calculation_rate="demand"), ValueError, "it runs at kr, ar"),
        (lambda: In.ar(bus=0, channel_count=-1), ValueError, "from 0 to 65535"),
        (lambda: UGenVector("a"), TypeError, "found 'a'"),
        (lambda: UGenVector(1)[3], IndexError, "has 1 channels"),
        (lambda: Envelope([0], [1]), ValueError, "at least two amplitudes"),
        (lambda: consort_sc.AddAction.from_expr("head"), ValueError, "one of ADD_TO_HEAD"),
        (lambda: consort_sc.Options(audio_bus_channel_count=3), ValueError, "8 outputs"),
        (lambda: decompile_synthdef(b"x"), ValueError, "signature"),
        (lambda: OscMessage("/a", 2**31).to_datagram(), struct.error, "2147483648"),
        (lambda: OscMessage("/a", object()).to_datagram(), TypeError, "Cannot encode"),
        (lambda: OscBundle(math.nan, contents=[]).to_datagram(), ValueError, "NaN"),
    ],
)
def test_errors_say_the_value_and_what_was_expected(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_ugen_without_class_is_named():
    @ugen(ar=True)
    class Passing(UGen):
        source = param()

    data = build(lambda _: Out.ar(bus=0, source=Passing.ar(source=1))).compile()
    data = data.replace(b"\x07Passing", b"\x07Pa55ing")
    with pytest.raises(ValueError, match="no UGen class `Pa55ing`"):
        decompile_synthdef(data)


def test_every_prefix_of_a_file_is_an_error():
    data = ugens.default.compile()
    for length in range(len(data)):
        with pytest.raises(ValueError):
            decompile_synthdef(data[:length])


def test_every_prefix_of_a_datagram_is_read_or_is_an_error():
    bundle = OscBundle(1.5, contents=[OscMessage("/a", 1, "x", b"blob", [1.5])])
    for data in (bundle.to_datagram(), bundle.contents[0].to_datagram()):
        for length in range(len(data)):
            for cls in (OscMessage, OscBundle):
                with contextlib.suppress(ValueError, RuntimeError):
                    cls.from_datagram(data[:length])


def test_signals_of_another_builder_are_rejected():
    with SynthDefBuilder() as outer:
        signal = SinOsc.ar()
        with SynthDefBuilder(), pytest.raises(SynthDefError, match="different scope"):
            Out.ar(bus=0, source=signal)
        Out.ar(bus=0, source=signal)
    assert len(outer.build().ugens) == 2


def test_an_exception_leaves_the_builder():
    with pytest.raises(KeyError), SynthDefBuilder() as builder:
        builder["missing"]
    assert SinOsc.ar().ugen.inputs == (440.0, 0.0)
    with SynthDefBuilder() as other:
        Out.ar(bus=0, source=SinOsc.ar())
    assert len(other.build().ugens) == 2


def test_threads_have_builders_of_their_own():
    results = {}

    def work(number):
        for _ in range(20):
            synthdef = build(
                lambda b: Out.ar(bus=0, source=SinOsc.ar(frequency=[b["f"], number])), f=number
            )
        results[number] = len(synthdef.ugens)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == dict.fromkeys(range(4), 4)


def test_a_builder_can_be_built_twice():
    with SynthDefBuilder() as builder:
        Out.ar(bus=0, source=SinOsc.ar())
    assert builder.build(name="x") == builder.build(name="x")


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_objects_can_be_copied_and_pickled(duplicate):
    synthdef = ugens.default
    assert duplicate(synthdef) == synthdef
    assert list(duplicate(synthdef).parameters) == list(synthdef.parameters)
    assert [repr(x) for x in duplicate(synthdef.ugens)] == [repr(x) for x in synthdef.ugens]
    vector = Pan2.ar(source=SinOsc.ar()) * [2, 3]
    assert str(duplicate(vector)) == str(vector)
    message = OscMessage("/a", 1, [2.5, "x"])
    assert duplicate(message) == message
    bundle = OscBundle(2.5, contents=[message])
    assert duplicate(bundle) == bundle


def test_messages_and_entries_match_patterns():
    match OscMessage("/n_go", 1000, 1):
        case OscMessage(address="/n_go", contents=(node, parent)):
            assert (node, parent) == (1000, 1)
        case _:
            raise AssertionError
    capture = Capture(OscProtocol())
    capture.add_entry(1.0, "S", OscMessage("/a"))
    match capture[0]:
        case (time, "S", OscMessage(address=address), None):
            assert (time, address) == (1.0, "/a")
        case _:
            raise AssertionError


def test_callbacks_match_by_their_beginning_and_once():
    protocol = OscProtocol()
    short = protocol._register(["/a"], print)
    long = protocol._register(["/a", 1], print, once=True)
    failing = protocol._register(["/b"], print, failure_pattern=["/fail", "/b"])
    assert protocol._match_callbacks(OscMessage("/a", 1, [2])) == [short, long]
    assert protocol._match_callbacks(OscMessage("/a", 1)) == [short]
    assert protocol._match_callbacks(OscMessage("/a", [1])) == [short]
    assert protocol._match_callbacks(OscMessage("/fail", "/b", "x")) == [failing]
    protocol._unregister(failing)
    assert protocol._match_callbacks(OscMessage("/fail", "/b", "x")) == []


def test_ugens_that_supriya_lacks():
    assert len(Klang.ar.__signature__.parameters) >= 2
    assert ugens.Resonz.ar(source=SinOsc.ar(), frequency=400).ugen.frequency == 400.0


def test_a_synthdef_of_another_package_is_accepted():
    class Foreign:
        def compile(self):
            return ugens.default.compile()

    assert compile_synthdefs(Foreign()) == ugens.default.compile()
    with pytest.raises(TypeError, match="expected SynthDefs"):
        compile_synthdefs(3)


def test_members_of_other_enumerations_are_accepted():
    class DoneAction(enum.IntEnum):
        FREE_SYNTH = 2

    tone = EnvGen.kr(envelope=Envelope.percussive(), done_action=DoneAction.FREE_SYNTH)
    assert tone.ugen.done_action == 2.0


def test_sclang_is_named_if_it_is_missing():
    from consort_sc import sclang

    try:
        sclang.find()
    except RuntimeError:
        with pytest.raises(RuntimeError, match="Failed to locate sclang"):
            SuperColliderSynthDef("tone", "{ Out.ar(0, SinOsc.ar) }").compile()
    else:
        data = SuperColliderSynthDef("tone", "{ Out.ar(0, SinOsc.ar) }").compile()
        assert decompile_synthdef(data).name == "tone"


def test_the_graph_is_a_description_for_graphviz():
    text = format(ugens.default.__graph__(), "graphviz")
    assert text.startswith('digraph "synthdef_supriya:default" {') and "->" in text
    assert text.count("ugen_") > len(ugens.default.ugens)


def test_subclasses_may_change_inputs_and_outputs():
    @ugen(ar=True)
    class Spreading(UGen):
        source = param()
        count = param(2)

        def _postprocess_kwargs(self, *, calculation_rate, **kwargs):
            self._channel_count = int(kwargs["count"])
            kwargs["source"] = kwargs["source"] + 1
            return calculation_rate, kwargs

    created = Spreading.ar(source=1, count=3)
    assert len(created) == 3 and created.source == 2.0
    assert isinstance(SynthDef(ugens=[created]).ugens[0], Spreading)


def test_documentation_of_classes_names_inputs_and_defaults():
    for cls in (SinOsc, EnvGen, Klang):
        assert cls.__doc__ and "Inputs and their defaults" in cls.__doc__
    assert "`frequency` (440.0)" in SinOsc.__doc__
