"""A chase over eight lamps: they light up in turn, and each fades while the next ones light up."""

import midimonster

LAMPS = 8
FADE = 0.6  # the part of a lamp's brightness that remains after each step

lamps = [0.0] * LAMPS
state = {"position": -1, "level": 1.0, "run": True}


def show():
    for lamp, brightness in enumerate(lamps, start=1):
        midimonster.output(f"lamp{lamp}", brightness * state["level"])


def step():
    if not state["run"]:
        return
    state["position"] = (state["position"] + 1) % LAMPS
    for lamp in range(LAMPS):
        lamps[lamp] *= FADE
    lamps[state["position"]] = 1.0
    show()


def speed(value):
    """Sets the speed, from 0 (2 steps per second) to 1 (20 steps per second)."""
    midimonster.interval(step, round(500 - 450 * value))


def level(value):
    state["level"] = value
    show()


def run(value):
    state["run"] = value >= 0.5


def lights_out():
    """Turns the lamps off when the show ends."""
    for lamp in range(1, LAMPS + 1):
        midimonster.output(f"lamp{lamp}", 0.0)


midimonster.cleanup_handler(lights_out)
midimonster.interval(step, 250)
