"""A chase over eight lamps: each lights up in its turn and fades while the next ones run."""

import midimonster

LAMPS = 8
FADE = 0.6  # what is left of a lamp's light after each step

lamps = [0.0] * LAMPS
state = {"at": -1, "level": 1.0, "run": True}


def show():
    for lamp, light in enumerate(lamps, start=1):
        midimonster.output(f"lamp{lamp}", light * state["level"])


def step():
    if not state["run"]:
        return
    state["at"] = (state["at"] + 1) % LAMPS
    for lamp in range(LAMPS):
        lamps[lamp] *= FADE
    lamps[state["at"]] = 1.0
    show()


def speed(value):
    """From 0 (two steps a second) to 1 (twenty)."""
    midimonster.interval(step, round(500 - 450 * value))


def level(value):
    state["level"] = value
    show()


def run(value):
    state["run"] = value >= 0.5


def lights_out():
    """The lamps go out with the show."""
    for lamp in range(1, LAMPS + 1):
        midimonster.output(f"lamp{lamp}", 0.0)


midimonster.cleanup_handler(lights_out)
midimonster.interval(step, 250)
