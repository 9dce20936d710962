"""Low frequency oscillators around the middle."""

import math

import midimonster

SLOWEST, FASTEST = 0.05, 5.0  # periods a second
STEP = 20  # milliseconds

frequency = 0.5
amount = 1.0
phase = 0.0
last = midimonster.timestamp()


def rate(value):
    """Periods a second, exponentially, as the ear and the eye like it."""
    global frequency
    frequency = SLOWEST * (FASTEST / SLOWEST) ** value


def depth(value):
    global amount
    amount = value


def shapes(position):
    """The three waves at a position in their period, each from -1 to 1."""
    return {
        "sine": math.sin(2 * math.pi * position),
        "triangle": 1 - 4 * abs((position + 0.25) % 1 - 0.5),
        "square": 1.0 if position < 0.5 else -1.0,
    }


def move():
    """By the clock, not by counting calls: late calls leave no trace."""
    global phase, last
    now = midimonster.timestamp()
    phase = (phase + (now - last) / 1000 * frequency) % 1
    last = now
    for name, wave in shapes(phase).items():
        midimonster.output(name, 0.5 + 0.5 * amount * wave)


midimonster.interval(move, STEP)
