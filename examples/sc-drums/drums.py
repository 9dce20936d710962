"""A drum machine of sixteen steps with a bass. The show maps its inputs and outputs."""

import random

import midimonster

KICK = "x...x...x...x..."
SNARE = "....x.......x..x"
HAT = "x.x.x.x.x.x.x.x."
BASS = [33, 0, 0, 33, 0, 0, 36, 0, 33, 0, 0, 40, 0, 38, 36, 0]

state = {"step": 0, "running": True, "step_ms": 140, "busy": 0.2, "bass": 0}


def step():
    if not state["running"]:
        return
    position = state["step"] % 16
    state["step"] += 1
    strike("kick", KICK[position] == "x", 1.0)
    strike("snare", SNARE[position] == "x", 0.8)
    extra = random.random() < state["busy"]
    strike("hat", HAT[position] == "x" or extra, 0.9 if position % 4 == 0 else 0.6)
    if BASS[position]:
        if state["bass"]:
            midimonster.output(f"bass{state['bass']}", 0)
        state["bass"] = BASS[position]
        midimonster.output(f"bass{BASS[position]}", 0.8)


def strike(name, is_on, velocity):
    # A drum ends by itself. The 0 releases the note, so that the next hit is a new one.
    if is_on:
        midimonster.output(name, velocity)
        midimonster.output(name, 0)


def play(value):
    state["running"] = value > 0
    if not state["running"] and state["bass"]:
        midimonster.output(f"bass{state['bass']}", 0)
        state["bass"] = 0


def tempo(value):
    # 60 to 180 beats a minute, four steps a beat.
    beats = 60 + 120 * value
    set_interval(60_000 / beats / 4)


def busy(value):
    state["busy"] = value


def set_interval(milliseconds):
    state["step_ms"] = max(10, round(milliseconds / 10) * 10)
    midimonster.interval(step, state["step_ms"])


midimonster.interval(step, state["step_ms"])
