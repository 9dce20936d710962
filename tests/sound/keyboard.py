"""Writes the file that tests/suites/47-keyboard-show.sh plays, and measures the rendered sound.

python3 keyboard.py song OUT.mid
python3 keyboard.py measure SOUND.wav
"""

import array
import math
import struct
import sys
import wave

NOTES = (57, 64, 69)


def number(value):
    """A variable-length quantity."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.insert(0, 0x80 | value & 0x7F)
    return bytes(groups)


def song(path):
    """Writes a chord: a second with the wheel down, a second with it up, then the note-offs."""
    # 480 ticks are half a second.
    events = [(0, bytes([0xB0, 1, 0]))]
    events += [(48, bytes([0x90, note, 100])) for note in NOTES]
    events += [(1008, bytes([0xB0, 1, 127]))]
    events += [(1968, bytes([0x80, note, 0])) for note in NOTES]
    data, before = b"", 0
    for tick, event in events:
        data += number(tick - before) + event
        before = tick
    data += b"\x00\xff\x2f\x00"
    with open(path, "wb") as file:
        file.write(b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480))
        file.write(b"MTrk" + struct.pack(">I", len(data)) + data)


def measure(path):
    """Finds the start of the sound and compares its parts."""
    with wave.open(path) as file:
        rate, channels = file.getframerate(), file.getnchannels()
        assert file.getsampwidth() == 2
        samples = array.array("h", file.readframes(file.getnframes()))[::channels]
    begin = next(index for index, value in enumerate(samples) if abs(value) > 100) / rate

    def part(start, end):
        values = samples[int((begin + start) * rate) : int((begin + end) * rate)]
        level = math.sqrt(sum(value * value for value in values) / len(values)) / 32768
        changes = (after - value for value, after in zip(values, values[1:]))
        change = math.sqrt(sum(value * value for value in changes) / len(values)) / 32768
        return level, change / max(level, 1e-9)

    parts = {"wheel down": part(0.5, 0.9), "wheel up": part(1.4, 1.9), "after": part(6.0, 6.8)}
    for name, (level, brightness) in parts.items():
        decibels = 20 * math.log10(max(level, 1e-6))
        print(f"{name:<12} {decibels:6.1f} dB   brightness {brightness:.3f}")
    assert parts["wheel down"][0] > 0.005, "the chord is silent"
    assert parts["wheel up"][1] > 1.5 * parts["wheel down"][1], "the wheel does not open the filter"
    assert parts["after"][0] < 0.01 * parts["wheel up"][0], "a note hangs"


if __name__ == "__main__":
    {"song": song, "measure": measure}[sys.argv[1]](sys.argv[2])
