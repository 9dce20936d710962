"""The classes of the UGens, created from the table of UGens of the core.

The table has the names, rates, inputs, defaults and properties of all UGens. This module adds what
only Python needs: in which module a class is, and which inputs have another name there.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from .._core import ClassSpec, RateMethod, UGen, ugen_table
from ..enums import SignalRange
from ..typing import DEFAULT, MISSING

if TYPE_CHECKING:
    import inspect

#: All UGen classes by name.
CLASSES: dict[str, type[UGen]] = {}

#: Bits of the properties of a class, as in the core's table.
PURE, WIDTH_FIRST, DONE, INPUT, OUTPUT, PV_CHAIN = 1, 2, 4, 8, 16, 32

#: The UGens of each module. Those of the table that are in none are in `further`.
MODULES = {
    "basic": """
        MulAdd Sum3 Sum4
    """,
    "beq": """
        BAllPass BBandPass BBandStop BHiPass BHiShelf BLowPass BLowShelf BPeakEQ
    """,
    "bufio": """
        BufRd BufWr ClearBuf LocalBuf MaxLocalBufs PlayBuf RecordBuf ScopeOut ScopeOut2
    """,
    "chaos": """
        CuspL CuspN FBSineC FBSineL FBSineN GbmanL GbmanN HenonC HenonL HenonN LatoocarfianC
        LatoocarfianL LatoocarfianN LinCongC LinCongL LinCongN LorenzL QuadC QuadL QuadN
        StandardL StandardN
    """,
    "convolution": """
        Convolution Convolution2 Convolution2L Convolution3
    """,
    "delay": """
        AllpassC AllpassL AllpassN BufAllpassC BufAllpassL BufAllpassN BufCombC BufCombL
        BufCombN BufDelayC BufDelayL BufDelayN CombC CombL CombN DelTapRd DelTapWr Delay1 Delay2
        DelayC DelayL DelayN
    """,
    "demand": """
        Dbrown Dbufrd Dbufwr Demand DemandEnvGen Dgeom Dibrown Diwhite Drand Dreset Dseq Dser
        Dseries Dshuf Dstutter Dswitch Dswitch1 Dunique Duty Dwhite Dwrand Dxrand
    """,
    "diskio": """
        DiskIn DiskOut VDiskIn
    """,
    "dynamics": """
        Amplitude Compander Limiter Normalizer
    """,
    "envelopes": """
        Done EnvGen Free FreeSelf FreeSelfWhenDone Linen Pause PauseSelf PauseSelfWhenDone
    """,
    "ffsinosc": """
        Blip FSinOsc Klank Pulse Saw
    """,
    "filters": """
        APF BPF BPZ2 BRF BRZ2 Decay Decay2 DetectSilence FOS Formlet HPF HPZ1 HPZ2 Integrator
        LPF LPZ1 LPZ2 Lag Lag2 Lag2UD Lag3 Lag3UD LagUD LeakDC Median MidEQ MoogFF OnePole
        OneZero RHPF RLPF Ramp Ringz SOS Slew Slope TwoPole TwoZero
    """,
    "gendyn": """
        Gendy1 Gendy2 Gendy3
    """,
    "granular": """
        GrainBuf GrainIn PitchShift Warp1
    """,
    "hilbert": """
        FreqShift Hilbert
    """,
    "info": """
        BlockSize BufChannels BufDur BufFrames BufRateScale BufSampleRate BufSamples ControlDur
        ControlRate NodeID NumAudioBuses NumBuffers NumControlBuses NumInputBuses NumOutputBuses
        NumRunningSynths RadiansPerSample SampleDur SampleRate SubsampleOffset
    """,
    "inout": """
        In InFeedback LocalIn LocalOut OffsetOut Out ReplaceOut XOut
    """,
    "lines": """
        A2K AmpComp AmpCompA DC K2A LinExp Line XLine
    """,
    "mac": """
        KeyState MouseButton MouseX MouseY
    """,
    "ml": """
        BeatTrack BeatTrack2 KeyTrack Loudness MFCC Onsets Pitch SpecCentroid SpecFlatness
        SpecPcile
    """,
    "noise": """
        BrownNoise ClipNoise CoinGate Crackle Dust Dust2 ExpRand GrayNoise Hasher IRand
        LFClipNoise LFDClipNoise LFDNoise0 LFDNoise1 LFDNoise3 LFNoise0 LFNoise1 LFNoise2
        LinRand Logistic MantissaMask NRand PinkNoise Rand RandID RandSeed TExpRand TIRand TRand
        TWindex WhiteNoise
    """,
    "osc": """
        COsc DegreeToKey Impulse Index LFCub LFGauss LFPar LFPulse LFSaw LFTri Osc OscN Select
        SinOsc SyncSaw VOsc VOsc3 VarSaw Vibrato WrapIndex
    """,
    "panning": """
        Balance2 BiPanB2 DecodeB2 Pan2 Pan4 PanAz PanB PanB2 Rotate2 XFade2
    """,
    "physical": """
        Ball Pluck Spring TBall
    """,
    "pv": """
        FFT IFFT PV_Add PV_BinScramble PV_BinShift PV_BinWipe PV_BrickWall PV_ConformalMap
        PV_Conj PV_Copy PV_CopyPhase PV_Diffuser PV_Div PV_HainsworthFoote PV_JensenAndersen
        PV_LocalMax PV_MagAbove PV_MagBelow PV_MagClip PV_MagDiv PV_MagFreeze PV_MagMul
        PV_MagNoise PV_MagShift PV_MagSmear PV_MagSquared PV_Max PV_Min PV_Mul PV_PhaseShift
        PV_PhaseShift270 PV_PhaseShift90 PV_RandComb PV_RandWipe PV_RectComb PV_RectComb2
        RunningSum
    """,
    "reverb": """
        FreeVerb
    """,
    "safety": """
        CheckBadValues Sanitize
    """,
    "triggers": """
        Clip Fold Gate InRange Latch LeastChange MostChange Peak PeakFollower Phasor Poll
        RunningMax RunningMin Schmidt SendPeakRMS SendReply SendTrig Sweep TDelay ToggleFF Trig
        Trig1 Wrap ZeroCrossing
    """,
}

#: Inputs that have another name in Python than in the core's table.
RENAMED = {
    "": {"looping": "loop"},
    "Sum3": {"first": "input_one", "second": "input_two", "third": "input_three"},
    "Sum4": {
        "first": "input_one",
        "second": "input_two",
        "third": "input_three",
        "fourth": "input_four",
    },
    "HenonC": {"x0": "x_0", "x1": "x_1"},
    "HenonL": {"x0": "x_0", "x1": "x_1"},
    "HenonN": {"x0": "x_0", "x1": "x_1"},
    "Convolution": {"frame_size": "framesize"},
    "Convolution2": {"frame_size": "framesize"},
    "Convolution2L": {"frame_size": "framesize"},
    "Convolution3": {"frame_size": "framesize"},
    "Dswitch": {"index": "index_"},
    "Dswitch1": {"index": "index_"},
    "FOS": {"a0": "a_0", "a1": "a_1", "b1": "b_1"},
    "SOS": {"a0": "a_0", "a1": "a_1", "a2": "a_2", "b1": "b_1", "b2": "b_2"},
    "Gendy1": {
        "amplitude_distribution": "ampdist",
        "duration_distribution": "durdist",
        "amplitude_parameter": "adparam",
        "duration_parameter": "ddparam",
        "minimum_frequency": "minfrequency",
        "maximum_frequency": "maxfrequency",
        "amplitude_scale": "ampscale",
        "duration_scale": "durscale",
        "initial_control_points": "init_cps",
        "control_points": "knum",
    },
    "Gendy2": {
        "amplitude_distribution": "ampdist",
        "duration_distribution": "durdist",
        "amplitude_parameter": "adparam",
        "duration_parameter": "ddparam",
        "minimum_frequency": "minfrequency",
        "maximum_frequency": "maxfrequency",
        "amplitude_scale": "ampscale",
        "duration_scale": "durscale",
        "initial_control_points": "init_cps",
        "control_points": "knum",
    },
    "Gendy3": {
        "amplitude_distribution": "ampdist",
        "duration_distribution": "durdist",
        "amplitude_parameter": "adparam",
        "duration_parameter": "ddparam",
        "amplitude_scale": "ampscale",
        "duration_scale": "durscale",
        "initial_control_points": "init_cps",
        "control_points": "knum",
    },
    "Warp1": {"window_randomness": "window_rand_ratio"},
    "AmpComp": {"exponent": "exp"},
    "AmpCompA": {"minimum_amplitude": "min_amp", "root_amplitude": "root_amp"},
    "Loudness": {"spectral_mask": "smask", "temporal_mask": "tmask"},
    "MFCC": {"coefficient_count": "coeff_count"},
    "Onsets": {
        "detection_function": "odftype",
        "relax_time": "relaxtime",
        "floor": "floor_",
        "minimum_gap": "mingap",
        "median_span": "medianspan",
        "whitening_type": "whtype",
        "raw_detection": "rawodf",
    },
    "Pitch": {
        "minimum_frequency": "min_frequency",
        "maximum_frequency": "max_frequency",
        "execution_frequency": "exec_frequency",
        "maximum_bins_per_octave": "max_bins_per_octave",
    },
    "Osc": {"phase": "initial_phase"},
    "OscN": {"phase": "initial_phase"},
    "VOsc3": {"frequency_1": "freq_1", "frequency_2": "freq_2", "frequency_3": "freq_3"},
    "PV_HainsworthFoote": {
        "high_frequency_proportion": "proph",
        "foote_proportion": "propf",
        "wait_time": "waittime",
    },
    "PV_JensenAndersen": {
        "spectral_centroid_proportion": "propsc",
        "high_frequency_energy_proportion": "prophfe",
        "high_frequency_content_proportion": "prophfc",
        "spectral_flux_proportion": "propsf",
        "wait_time": "waittime",
    },
    "PV_RectComb": {"tooth_count": "num_teeth"},
    "PV_RectComb2": {"tooth_count": "num_teeth"},
    "Phasor": {"reset_position": "reset_pos"},
    "SendTrig": {"id": "id_"},
}

#: UGens whose inputs are not those of the table, because their methods take other arguments.
INPUTS: dict[str, list[tuple[str, Any, bool]]] = {
    "Dwrand": [
        ("repeats", 1.0, False),
        ("length", MISSING, False),
        ("weights", MISSING, True),
        ("sequence", MISSING, True),
    ],
    "Klank": [
        ("source", MISSING, False),
        ("frequency_scale", 1.0, False),
        ("frequency_offset", 0.0, False),
        ("decay_scale", 1.0, False),
        ("specifications", MISSING, True),
    ],
    "Poll": [
        ("trigger", MISSING, False),
        ("source", MISSING, False),
        ("trigger_id", -1.0, False),
        ("label", MISSING, True),
    ],
    "SendPeakRMS": [
        ("reply_rate", 20.0, False),
        ("peak_lag", 3.0, False),
        ("reply_id", -1.0, False),
        ("source_size", MISSING, False),
        ("source", MISSING, True),
        ("character_count", MISSING, False),
        ("character", MISSING, True),
    ],
    "SendReply": [
        ("trigger", MISSING, False),
        ("reply_id", -1.0, False),
        ("character_count", MISSING, False),
        ("character", MISSING, True),
        ("source", MISSING, True),
    ],
}

#: UGens whose values are from 0 to 1.
UNIPOLAR = frozenset({"Dust", "KeyState", "MouseButton", "MouseX", "MouseY"})

TOKENS = ("ir", "kr", "ar", "dr")

_ROWS: dict[str, dict[str, Any]] = {row["name"]: row for row in ugen_table()}
_PROPERTIES: dict[int, property] = {}


def input_property(position: int) -> property:
    """The property of the input at a position; all classes share it."""
    if position not in _PROPERTIES:
        getter = cast("Callable[[Any], Any]", operator.methodcaller("_input_at", position))
        _PROPERTIES[position] = property(getter)
    return _PROPERTIES[position]


def _keys(row: dict[str, Any]) -> list[tuple[str, Any, bool]]:
    """The inputs of a row: name, default, and whether it takes a list."""
    name = row["name"]
    if name in INPUTS:
        return INPUTS[name]
    renamed = RENAMED.get(name, {})
    defaults = {"required": MISSING, "automatic": DEFAULT}
    return [
        (
            renamed.get(key) or RENAMED[""].get(key, key),
            defaults[default] if isinstance(default, str) else default,
            is_list,
        )
        for key, default, is_list in row["parameters"]
    ]


def _documentation(row: dict[str, Any], keys: list[tuple[str, Any, bool]]) -> str:
    """The docstring of a class: what it does, and its inputs."""
    text: str = row["doc"]
    if keys:
        shown = []
        for name, default, _ in keys:
            if default is MISSING:
                shown.append(f"`{name}`")
            else:
                shown.append(f"`{name}` ({'automatic' if default is DEFAULT else default})")
        text += "\n\nInputs and their defaults: " + ", ".join(shown) + "."
    return text


def create(
    name: str,
    module: str,
    *,
    base: type[UGen] = UGen,
    methods: dict[str, Any] | None = None,
    rates: Iterable[int] | None = None,
) -> type[UGen]:
    """Creates the class of a row of the table."""
    row = _ROWS[name]
    keys = _keys(row)
    rates = row["rates"] if rates is None else list(rates)
    spec = ClassSpec(
        name,
        keys,
        rates,
        row["flags"],
        row["channel_count"],
        row["is_multichannel"],
    )
    namespace: dict[str, Any] = {
        "__doc__": _documentation(row, keys),
        "__module__": f"consort_sc.ugens.{module}",
        "_spec": spec,
    }
    if name in UNIPOLAR:
        namespace["_signal_range"] = SignalRange.UNIPOLAR
    for position, (key, _, _) in enumerate(keys):
        namespace[key] = input_property(position)
    for rate in rates:
        namespace[TOKENS[rate]] = RateMethod(spec, rate)
    if methods:
        namespace.update(methods)
    cls = type(name, (base,), namespace)
    spec.set_plain_owner(cls)
    CLASSES[name] = cls
    return cls


def define(namespace: dict[str, Any], *, skip: Iterable[str] = ()) -> None:
    """Creates the classes of a module in its namespace, and its `__all__`."""
    module = namespace["__name__"].rpartition(".")[2]
    for name in MODULES[module].split():
        if name not in skip:
            namespace[name] = create(name, module)
    names = [
        name
        for name, value in namespace.items()
        if isinstance(value, type)
        and value.__module__ == namespace["__name__"]
        and not name.startswith("_")
    ]
    namespace["__all__"] = sorted(names)


def further_names() -> list[str]:
    """The UGens of the table that Supriya does not have."""
    known = {name for names in MODULES.values() for name in names.split()}
    known |= {"BinaryOpUGen", "UnaryOpUGen"}
    known |= {"AudioControl", "Control", "LagControl", "TrigControl"}
    return sorted(set(_ROWS) - known)


def rate_signature(cls: type[UGen], spec: ClassSpec) -> inspect.Signature:
    """The parameters of a method such as `ar`, for `inspect.signature`."""
    return _signature(cls, spec, is_constructor=False)


def _signature(cls: type[UGen], spec: ClassSpec, *, is_constructor: bool) -> inspect.Signature:
    from inspect import Parameter, Signature

    parameters = []
    if is_constructor:
        parameters.append(Parameter("calculation_rate", Parameter.KEYWORD_ONLY))
    for name, default in spec.parameters():
        default = {"required": Parameter.empty, "automatic": DEFAULT}.get(default, default)
        parameters.append(Parameter(name, Parameter.KEYWORD_ONLY, default=default))
    if spec.is_multichannel:
        parameters.append(
            Parameter("channel_count", Parameter.KEYWORD_ONLY, default=spec.channel_count)
        )
    if is_constructor:
        parameters.append(Parameter("kwargs", Parameter.VAR_KEYWORD))
    return Signature(parameters)


def _control_signature() -> inspect.Signature:
    from inspect import Parameter, Signature

    kind = Parameter.KEYWORD_ONLY
    return Signature(
        [
            Parameter("parameters", kind),
            Parameter("calculation_rate", kind),
            Parameter("special_index", kind, default=0),
        ]
    )


class _ConstructorSignature:
    """The attribute `__signature__` of UGen classes, computed when it is read. It is `None` for
    classes with a constructor of their own, which `inspect` reads itself."""

    def __get__(self, instance: object, owner: type[UGen]) -> inspect.Signature | None:
        from .._core import Control

        if issubclass(owner, Control):
            return _control_signature() if owner.__init__ is Control.__init__ else None
        spec = owner.__dict__.get("_spec")
        if spec is None or owner.__init__ is not UGen.__init__ or owner is UGen:
            return None
        return _signature(owner, spec, is_constructor=True)
