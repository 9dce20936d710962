"""Plays the notes of a held chord one by one, over several octaves, up and down."""

import midimonster

SLOWEST, FASTEST = 800, 50  # milliseconds per note

velocities = {}  # of the notes in the chord
pressed = set()  # the keys that are down; with the pedal, the chord may have more notes
settings = {"period": 200, "octaves": 1, "hold": False}
state = {"position": 0, "sounding": None}


def key(value):
    """Handles any key: the channel's name has its number, the value is the velocity."""
    number = int(midimonster.current()[len("key") :])
    if value > 0:
        if not velocities:
            state["position"] = 0
            midimonster.interval(step, settings["period"])
        velocities[number] = value
        pressed.add(number)
    else:
        pressed.discard(number)
        if not settings["hold"]:
            velocities.pop(number, None)


def speed(value):
    """Sets the speed, from 0 (slowest) to 1 (fastest)."""
    settings["period"] = round(SLOWEST + value * (FASTEST - SLOWEST))
    if velocities:
        midimonster.interval(step, settings["period"])


def octaves(value):
    """Sets the number of octaves, from 1 to 4."""
    settings["octaves"] = 1 + round(3 * value)


def pedal(value):
    settings["hold"] = value >= 0.5
    if not settings["hold"]:
        for number in set(velocities) - pressed:
            del velocities[number]


def pattern():
    """Returns the notes in the order in which they are played, each with its velocity."""
    upwards = [
        (number + 12 * octave, velocities[number])
        for octave in range(settings["octaves"])
        for number in sorted(velocities)
        if number + 12 * octave < 128
    ]
    return upwards + upwards[-2:0:-1]


def release():
    if state["sounding"] is not None:
        midimonster.output(f"note{state['sounding']}", 0.0)
        state["sounding"] = None


def step():
    release()
    notes = pattern()
    if not notes:
        midimonster.interval(step, 0)
        return
    note, velocity = notes[state["position"] % len(notes)]
    state["position"] += 1
    state["sounding"] = note
    midimonster.output(f"note{note}", velocity)


# Ends the note that sounds when the show ends.
midimonster.cleanup_handler(release)
