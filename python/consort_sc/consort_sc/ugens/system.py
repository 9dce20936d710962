"""SynthDefs that contexts need: a default instrument, links between buses, and scopes. They are
built when they are first used."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from ._classes import CLASSES
from .core import Parameter, SynthDefBuilder
from .envelopes import Envelope

if TYPE_CHECKING:
    from .core import SynthDef

__all__ = [
    "AMPLITUDE_SCOPE_SYNTHDEFS",
    "FREQUENCY_SCOPE_SYNTHDEFS",
    "SYSTEM_SYNTHDEFS",
    "default",
]

if TYPE_CHECKING:
    AMPLITUDE_SCOPE_SYNTHDEFS: dict[str, SynthDef]
    FREQUENCY_SCOPE_SYNTHDEFS: dict[str, SynthDef]
    SYSTEM_SYNTHDEFS: dict[str, SynthDef]
    default: SynthDef

#: The number of channels of the largest link and scope.
_MAXIMUM_CHANNELS = 16


def _scalar(value: float) -> Parameter:
    return Parameter(value=value, rate="ir")


@functools.lru_cache(None)
def _default() -> SynthDef:
    Rand = CLASSES["Rand"]
    with SynthDefBuilder(amplitude=0.1, frequency=440, gate=1, out=_scalar(0), pan=0.5) as builder:
        low = Rand.ir(minimum=-0.4, maximum=0)
        high = Rand.ir(minimum=0, maximum=0.4)
        voices = CLASSES["VarSaw"].ar(frequency=builder["frequency"] + [0, low, high], width=0.3)
        mixed = CLASSES["Mix"].new(voices) * 0.3
        cutoff = CLASSES["XLine"].kr(
            start=Rand.ir(minimum=4000, maximum=5000),
            stop=Rand.ir(minimum=2500, maximum=3200),
        )
        filtered = CLASSES["LPF"].ar(source=mixed, frequency=cutoff)
        fade = CLASSES["Linen"].kr(
            gate=builder["gate"], sustain_level=0.7, release_time=0.3, done_action=2
        )
        panned = CLASSES["Pan2"].ar(
            source=filtered * fade * builder["amplitude"], position=builder["pan"]
        )
        CLASSES["OffsetOut"].ar(bus=builder["out"], source=panned)
    return builder.build(name="supriya:default")


def _link(rate: str, channel_count: int) -> SynthDef:
    with SynthDefBuilder(done_action=2, fade_time=0.02, gate=1, in_=16, out=0) as builder:
        fade_time = builder["fade_time"]
        envelope = Envelope(
            amplitudes=[fade_time <= 0, 1, 0],
            durations=[1, 1],
            curves=["sine" if rate == "ar" else "linear"],
            release_node=1,
        )
        fade = CLASSES["EnvGen"].kr(
            done_action=builder["done_action"],
            envelope=envelope,
            gate=builder["gate"],
            time_scale=fade_time,
        )
        reader = CLASSES["InFeedback"].ar if rate == "ar" else CLASSES["In"].kr
        source = reader(bus=builder["in_"], channel_count=channel_count)
        getattr(CLASSES["Out"], rate)(bus=builder["out"], source=source * fade)
    return builder.build(name=f"supriya:link-{rate}:{channel_count}")


def _amplitude_scope(rate: str, channel_count: int) -> SynthDef:
    with SynthDefBuilder(in_=0, max_frames=4096, scope_frames=4096, scope_id=0) as builder:
        source: Any = getattr(CLASSES["In"], rate)(bus=builder["in_"], channel_count=channel_count)
        if rate == "kr":
            source = CLASSES["K2A"].ar(source=source)
        CLASSES["ScopeOut2"].ar(
            scope_id=builder["scope_id"],
            max_frames=builder["max_frames"],
            scope_frames=builder["scope_frames"],
            source=source,
        )
    return builder.build(name=f"supriya:amp-scope-{rate}:{channel_count}")


def _frequency_scope(axis: str, is_shared: bool, channel_count: int) -> SynthDef:
    with SynthDefBuilder(
        fft_buffer_size=_scalar(2048), in_=0, rate=_scalar(4), scope_id=_scalar(0)
    ) as builder:
        size, rate = builder["fft_buffer_size"], builder["rate"]
        phase = 1 - rate * size.reciprocal()
        buffer_id = CLASSES["LocalBuf"].ir(channel_count=1, frame_count=size)
        half = CLASSES["BufSamples"].ir(buffer_id=buffer_id) * 0.5
        source = CLASSES["In"].ar(bus=builder["in_"], channel_count=1)
        chain = CLASSES["FFT"].kr(buffer_id=buffer_id, hop=0.75, source=source, window_type=1)
        CLASSES["PV_MagSmear"].kr(pv_chain=chain, bins=1)
        sawtooth = CLASSES["LFSaw"].ar(
            frequency=rate / CLASSES["BufDur"].ir(buffer_id=buffer_id), initial_phase=phase
        )
        unit = half if axis == "lin" else 0.5
        position = CLASSES["MulAdd"].new(source=sawtooth, multiplier=unit, addend=unit)[0]
        if axis == "log":
            position = half**position * 2
        bins = CLASSES["BufRd"].ar(
            buffer_id=buffer_id, interpolation=1, loop=1, phase=position.round(2)
        )
        levels = (bins / size).amplitude_to_db()
        if is_shared:
            CLASSES["ScopeOut2"].ar(
                scope_id=builder["scope_id"], max_frames=size / rate, source=levels
            )
        else:
            CLASSES["ScopeOut"].ar(buffer_id=builder["scope_id"], source=levels)
    suffix = "-shm" if is_shared else ""
    return builder.build(name=f"supriya:freq-scope-{axis}{suffix}:{channel_count}")


def _by_name(synthdefs: list[SynthDef]) -> dict[str, SynthDef]:
    return {synthdef.effective_name: synthdef for synthdef in synthdefs}


@functools.lru_cache(None)
def _dictionary(name: str) -> dict[str, SynthDef]:
    counts = range(1, _MAXIMUM_CHANNELS + 1)
    if name == "SYSTEM_SYNTHDEFS":
        return _by_name([_link(rate, count) for rate in ("ar", "kr") for count in counts])
    if name == "AMPLITUDE_SCOPE_SYNTHDEFS":
        return _by_name(
            [_amplitude_scope(rate, count) for rate in ("ar", "kr") for count in counts]
        )
    return _by_name(
        [
            _frequency_scope(axis, is_shared, count)
            for is_shared in (False, True)
            for axis in ("lin", "log")
            for count in (1, 2)
        ]
    )


#: Names of single SynthDefs, each with the dictionary and the name of the SynthDef.
_SINGLE = (
    (r"system_link_(audio|control)_(\d+)", "SYSTEM_SYNTHDEFS", "supriya:link-{}:{}"),
    (
        r"amplitude_scope_(audio|control)_(\d+)",
        "AMPLITUDE_SCOPE_SYNTHDEFS",
        "supriya:amp-scope-{}:{}",
    ),
    (r"frequency_scope_(lin|log)_(\d)", "FREQUENCY_SCOPE_SYNTHDEFS", "supriya:freq-scope-{}:{}"),
    (
        r"frequency_scope_(lin|log)_shm_(\d)",
        "FREQUENCY_SCOPE_SYNTHDEFS",
        "supriya:freq-scope-{}-shm:{}",
    ),
)


def __getattr__(name: str) -> Any:
    if name == "default":
        return _default()
    if name in __all__:
        return _dictionary(name)
    for pattern, dictionary, form in _SINGLE:
        match = re.fullmatch(pattern, name)
        if match:
            kind = {"audio": "ar", "control": "kr"}.get(match[1], match[1])
            synthdef = _dictionary(dictionary).get(form.format(kind, match[2]))
            if synthdef is not None:
                return synthdef
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
