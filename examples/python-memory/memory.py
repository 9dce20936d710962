"""Keeps the positions of faders from one show to the next."""

import json
import os

import midimonster

# Beside this file: handlers and clean-up handlers run where consort was started.
PLACE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "positions.json")

positions = {}


def moved(value):
    positions[midimonster.current()] = value


def restore():
    try:
        with open(PLACE) as file:
            stored = json.load(file)
    except FileNotFoundError:
        return
    except ValueError as error:
        print("the stored positions cannot be read:", error)
        return
    for name, value in stored.items():
        positions[name] = value
        midimonster.output(name, value)


def save():
    """First beside, then in place: a crash leaves the old positions."""
    with open(PLACE + ".new", "w") as file:
        json.dump(positions, file, indent=1, sort_keys=True)
    os.replace(PLACE + ".new", PLACE)


restore()
midimonster.cleanup_handler(save)
