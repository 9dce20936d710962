"""Plays the keys that are held one after the other, upwards."""

import midimonster

SLOWEST, FASTEST = 1000, 60  # milliseconds a note

held = {}
period = 250
length = 0.5
sounding = None
previous = 0


def key(value):
    """Any key: its channel says which; the value is how hard it is pressed."""
    number = int(midimonster.current()[len("key") :])
    if value > 0:
        if not held:
            midimonster.interval(step, period)
        held[number] = value
    else:
        held.pop(number, None)


def speed(value):
    """0 is slowest, 1 is fastest."""
    global period
    period = int(SLOWEST + value * (FASTEST - SLOWEST))
    if held:
        midimonster.interval(step, period)


def gate(value):
    """How much of its time a note sounds."""
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
    """At the end of the show nothing keeps sounding."""
    release()


midimonster.cleanup_handler(silence)
