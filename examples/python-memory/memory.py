"""Stores the positions of faders and restores them at the next start of the show."""

import json
import os

import midimonster

# The folder of this file: handlers run in the folder where consort was started.
PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "positions.json")

positions = {}


def moved(value):
    positions[midimonster.current()] = value


def restore():
    try:
        with open(PATH) as file:
            stored = json.load(file)
    except FileNotFoundError:
        return
    except ValueError as error:
        print("cannot read the stored positions:", error)
        return
    for name, value in stored.items():
        positions[name] = value
        midimonster.output(name, value)


def save():
    """Writes a new file and renames it, so that a crash leaves the old positions intact."""
    with open(PATH + ".new", "w") as file:
        json.dump(positions, file, indent=1, sort_keys=True)
    os.replace(PATH + ".new", PATH)


restore()
midimonster.cleanup_handler(save)
