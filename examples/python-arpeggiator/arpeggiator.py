"""Plays the held keys one after the other, in ascending order."""

import midimonster

SLOWEST, FASTEST = 1000, 60  # milliseconds per note

held = {}
period = 250
length = 0.5
sounding = None
previous = 0


def key(value):
    """Handles any key: the channel's name has its number, the value is the velocity."""
    number = int(midimonster.current()[len("key") :])
    if value > 0:
        if not held:
            midimonster.interval(step, period)
        held[number] = value
    else:
        held.pop(number, None)


def speed(value):
    """Sets the speed, from 0 (slowest) to 1 (fastest)."""
    global period
    period = int(SLOWEST + value * (FASTEST - SLOWEST))
    if held:
        midimonster.interval(step, period)


def gate(value):
    """Sets the length of a note as a part of its step."""
    global length
    length = max(0.1, min(value, 0.9))


def release():
    global sounding
    midimonster.interval(release, 0)
    if sounding is not None:
        midimonster.output(f"note{sounding}", 0.0)
        sounding = None


def step():
    global sounding, previous
    release()
    if not held:
        midimonster.interval(step, 0)
        return
    higher = [number for number in held if number > previous]
    sounding = previous = min(higher or held)
    midimonster.output(f"note{sounding}", held[sounding])
    midimonster.interval(release, max(10, int(period * length)))


def silence():
    """Releases the note that sounds when the show ends."""
    release()


midimonster.cleanup_handler(silence)
