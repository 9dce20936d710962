"""Writes the file that tests/suites/26-midi-command.sh plays: format 1, tempo changes, two tracks
of notes, controllers, bends, programs and system exclusive messages, one of them in parts.

    python3 song.py OUT.mid
"""

import random
import struct
import sys


def number(value: int) -> bytes:
    """A number of variable length."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.insert(0, 0x80 | value & 0x7F)
    return bytes(groups)


def track(events: list[tuple[int, bytes]]) -> bytes:
    """A track of events with their ticks."""
    data, before = b"", 0
    for tick, event in events:
        data += number(tick - before) + event
        before = tick
    data += b"\x00\xff\x2f\x00"
    return b"MTrk" + struct.pack(">I", len(data)) + data


def notes(channel: int, chance: random.Random) -> list[tuple[int, bytes]]:
    """Two bars for one channel: a program, then a note or a change at every few ticks."""
    events = [(0, bytes([0xC0 | channel, chance.randrange(128)]))]
    for tick in range(10, 1900, 35):
        key = chance.randrange(20, 110)
        events.append((tick, bytes([0x90 | channel, key, chance.randrange(1, 128)])))
        events.append((tick + 15, bytes([0xB0 | channel, 7, chance.randrange(128)])))
        bend = chance.randrange(1 << 14)
        events.append((tick + 20, bytes([0xE0 | channel, bend & 0x7F, bend >> 7])))
        events.append((tick + 30, bytes([0x80 | channel, key, 64])))
    return events


def main() -> None:
    chance = random.Random(26)
    tempo = [
        (tick, b"\xff\x51\x03" + struct.pack(">I", chance.randrange(300_000, 700_000))[1:])
        for tick in range(0, 1900, 240)
    ]
    exclusive = [
        (100, b"\xf0\x05\x7e\x7f\x09\x01\xf7"),
        (400, b"\xf0\x03\x43\x12\x00"),
        (420, b"\xf7\x03\x01\x02\xf7"),
    ]
    tracks = [track(tempo), track(exclusive), track(notes(0, chance)), track(notes(9, chance))]
    header = b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), 480)
    with open(sys.argv[1], "wb") as file:
        file.write(header + b"".join(tracks))


if __name__ == "__main__":
    main()
