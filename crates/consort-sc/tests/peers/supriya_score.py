"""Writes a small score with Supriya.

Usage: supriya_score.py OUTPUT

Supriya's last entry contains a message without effect, Consort's is empty. This script writes an
empty one, so that the files can be compared.
"""

import struct
import sys

from supriya import AddAction, Score
from supriya.ugens import system


def main():
    score = Score(output_bus_channel_count=2, input_bus_channel_count=2)
    with score.at(0):
        score.add_synthdefs(system.default)
        group = score.add_group()
        bus = score.add_bus("CONTROL")
        synth = group.add_synth(synthdef=system.default, frequency=443)
        bus.set(0.25)
    with score.at(0.3):
        group.add_synth(synthdef=system.default, add_action=AddAction.ADD_TO_TAIL)
        synth.set(amplitude=0.5, pan=-1)
    with score.at(1.7):
        synth.map(amplitude=bus)
        group.pause()
    with score.at(2.2):
        group.free(force=True)
    with open(sys.argv[1], "wb") as output:
        for datagram in score.iterate_datagrams():
            output.write(struct.pack(">i", len(datagram)) + datagram)
        closing = b"#bundle\0" + struct.pack(">Q", 3 << 32)
        output.write(struct.pack(">i", len(closing)) + closing)


if __name__ == "__main__":
    main()
