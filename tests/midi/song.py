"""Writes the file that tests/suites/26-midi-command.sh plays. It has format 1, tempo changes, two
tracks of notes, controllers, pitch bends and program changes, and a track of system exclusive
messages, one of which is split into parts.

    python3 song.py OUT.mid
"""

import random
import struct
import sys


def number(value: int) -> bytes:
    """Encodes a number of variable length."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.insert(0, 0x80 | value & 0x7F)
    return bytes(groups)


def track(events: list[tuple[int, bytes]]) -> bytes:
    """Encodes a track of events with their ticks."""
    data, previous = b"", 0
    for tick, event in events:
        data += number(tick - previous) + event
        previous = tick
    data += b"\x00\xff\x2f\x00"
    return b"MTrk" + struct.pack(">I", len(data)) + data


def notes(channel: int, generator: random.Random) -> list[tuple[int, bytes]]:
    """Two bars for one channel: a program change, then an event every few ticks."""
    events = [(0, bytes([0xC0 | channel, generator.randrange(128)]))]
    for tick in range(10, 1900, 35):
        key = generator.randrange(20, 110)
        events.append((tick, bytes([0x90 | channel, key, generator.randrange(1, 128)])))
        events.append((tick + 15, bytes([0xB0 | channel, 7, generator.randrange(128)])))
        bend = generator.randrange(1 << 14)
        events.append((tick + 20, bytes([0xE0 | channel, bend & 0x7F, bend >> 7])))
        events.append((tick + 30, bytes([0x80 | channel, key, 64])))
    return events


def main() -> None:
    generator = random.Random(26)
    tempo = [
        (tick, b"\xff\x51\x03" + struct.pack(">I", generator.randrange(300_000, 700_000))[1:])
        for tick in range(0, 1900, 240)
    ]
    exclusive = [
        (100, b"\xf0\x05\x7e\x7f\x09\x01\xf7"),
        (400, b"\xf0\x03\x43\x12\x00"),
        (420, b"\xf7\x03\x01\x02\xf7"),
    ]
    tracks = [
        track(tempo),
        track(exclusive),
        track(notes(0, generator)),
        track(notes(9, generator)),
    ]
    header = b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), 480)
    with open(sys.argv[1], "wb") as file:
        file.write(header + b"".join(tracks))


if __name__ == "__main__":
    main()
