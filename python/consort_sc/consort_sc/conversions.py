"""Conversions between units of pitch, loudness and musical time."""

import math

__all__ = [
    "amplitude_to_decibels",
    "decibels_to_amplitude",
    "measure_to_offset",
    "midi_note_number_to_frequency",
    "midi_velocity_to_amplitude",
    "midi_velocity_to_decibels",
    "offset_to_measure",
    "offset_to_measure_offset",
    "offset_to_seconds",
    "seconds_to_offset",
]


def amplitude_to_decibels(amplitude: float) -> float:
    """The level in decibels of a linear amplitude greater than zero."""
    return math.log10(amplitude) * 20


def decibels_to_amplitude(decibels: float) -> float:
    """The linear amplitude of a level in decibels."""
    return math.pow(10, decibels / 20)


def midi_note_number_to_frequency(midi_note_number: float) -> float:
    """The frequency in hertz of a MIDI note; 69 is 440 Hz."""
    return 440.0 * math.pow(2, (midi_note_number - 69) / 12)


def midi_velocity_to_amplitude(midi_velocity: float) -> float:
    """The linear amplitude of a MIDI velocity from 0 to 127."""
    return math.pow(midi_velocity / 127, 2)


def midi_velocity_to_decibels(midi_velocity: float) -> float:
    """The level in decibels of a MIDI velocity from 1 to 127, where 127 is 0 dB."""
    return 40 * math.log10(midi_velocity / 127)


def measure_to_offset(
    measure: int,
    time_signature: tuple[int, int],
    previous_measure: int,
    previous_time_signature_change_offset: float,
) -> float:
    """The offset in whole notes at which a measure begins."""
    numerator, denominator = time_signature
    measures = measure - previous_measure
    return previous_time_signature_change_offset + measures * (numerator / denominator)


def offset_to_measure(
    offset: float,
    time_signature: tuple[int, int],
    previous_measure: int,
    previous_time_signature_change_offset: float,
) -> int:
    """The measure at an offset in whole notes."""
    numerator, denominator = time_signature
    elapsed = offset - previous_time_signature_change_offset
    return previous_measure + math.floor(elapsed / (numerator / denominator))


def offset_to_measure_offset(
    offset: float,
    time_signature: tuple[int, int],
    previous_time_signature_change_offset: float,
) -> float:
    """The distance in whole notes from the beginning of the measure."""
    numerator, denominator = time_signature
    return (offset - previous_time_signature_change_offset) % (numerator / denominator)


def offset_to_seconds(
    beats_per_minute: float,
    current_offset: float,
    previous_offset: float,
    previous_seconds: float,
    beat_duration: float,
) -> float:
    """The time in seconds of an offset in whole notes; `beat_duration` is that of a beat."""
    beats = (current_offset - previous_offset) / beat_duration
    return previous_seconds + beats * (60 / beats_per_minute)


def seconds_to_offset(
    beats_per_minute: float,
    current_time: float,
    previous_offset: float,
    previous_seconds: float,
    beat_duration: float,
) -> float:
    """The offset in whole notes of a time in seconds; `beat_duration` is that of a beat."""
    beats = (current_time - previous_seconds) * (beats_per_minute / 60)
    return previous_offset + beats * beat_duration
