"""Low frequency oscillators: sine, triangle and square, around 0.5."""

import math

import midimonster

SLOWEST, FASTEST = 0.05, 5.0  # periods per second
STEP = 20  # milliseconds

frequency = 0.5
amount = 1.0
phase = 0.0
last = midimonster.timestamp()


def rate(value):
    """Sets the frequency on an exponential scale, which matches perception."""
    global frequency
    frequency = SLOWEST * (FASTEST / SLOWEST) ** value


def depth(value):
    """Sets the amplitude."""
    global amount
    amount = value


def shapes(position):
    """The values of the three waveforms at a position in the period, each from -1 to 1."""
    return {
        "sine": math.sin(2 * math.pi * position),
        "triangle": 1 - 4 * abs((position + 0.25) % 1 - 0.5),
        "square": 1.0 if position < 0.5 else -1.0,
    }


def move():
    """Advances the phase by the clock, so that late calls do not change the frequency."""
    global phase, last
    now = midimonster.timestamp()
    phase = (phase + (now - last) / 1000 * frequency) % 1
    last = now
    for name, wave in shapes(phase).items():
        midimonster.output(name, 0.5 + 0.5 * amount * wave)


midimonster.interval(move, STEP)
