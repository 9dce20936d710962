"""Foreign programs on the kernel's sequencer: aseqdump and aplaymidi of alsa-utils, and mido."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from alsa_midi import READ_PORT, WRITE_PORT, NoteOffEvent, NoteOnEvent, SysExEvent
from conftest import ENGINE, wait_until

if ENGINE != "kernel":
    pytest.skip("foreign programs use the kernel's sequencer", allow_module_level=True)


def program(name: str) -> str:
    """The path of a program; skips the test if it is not installed."""
    path = shutil.which(name)
    if path is None:
        assert not os.environ.get("CI"), f"{name} is missing"
        pytest.skip(f"{name} is not installed")
    return path


class Dump:
    """A running aseqdump and its port."""

    def __init__(self, client, *arguments: str) -> None:
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", program("aseqdump"), *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )
        ports = []

        def is_ready() -> bool:
            ports[:] = [
                info
                for info in client.list_ports(output=True, type=0)
                if info.client_name == "aseqdump"
            ]
            return bool(ports)

        wait_until(is_ready)
        self.port = ports[0]

    def lines(self, count: int) -> list[str]:
        """The next lines that show events, with single spaces between the columns."""
        lines = []
        while len(lines) < count:
            line = self.process.stdout.readline()
            assert line, "aseqdump has exited"
            if re.match(r"\s*\d+:\d+", line) and "Port " not in line:
                lines.append(" ".join(line.split()))
        return lines

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def dump(client):
    dump = Dump(client)
    yield dump
    dump.close()


def test_aseqdump_receives_events(client, dump):
    port = client.create_port("out", READ_PORT)
    port.connect_to(dump.port)
    client.event_output(NoteOnEvent(60, 1, 100), port=port)
    client.event_output(NoteOffEvent(60, 1, 5), port=port)
    client.event_output(SysExEvent(b"\xf0\x01\x02\xf7"), port=port)
    client.drain_output()
    lines = dump.lines(3)
    here = f"{client.client_id}:{port.port_id}"
    assert lines == [
        f"{here} Note on 1, note 60, velocity 100",
        f"{here} Note off 1, note 60, velocity 5",
        f"{here} System exclusive F0 01 02 F7",
    ]


def midi_file(path, notes: int):
    """Writes a Standard MIDI File with notes one tick apart, at a fast tempo."""
    track = b"\x00\xff\x51\x03\x00\x27\x10"  # 10 ms per quarter note
    for number in range(notes):
        track += bytes([1, 0x90, number % 128, 64, 1, 0x80, number % 128, 0])
    track += b"\x00\xff\x2f\x00"
    path.write_bytes(
        b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x60MTrk" + len(track).to_bytes(4, "big") + track
    )
    return path


def test_aplaymidi_plays_to_a_port(client, tmp_path):
    port = client.create_port("in", WRITE_PORT)
    client.set_client_pool_input(2000)
    path = midi_file(tmp_path / "song.mid", 40)
    process = subprocess.run(
        [program("aplaymidi"), "-d", "0", "-p", f"{client.client_id}:{port.port_id}", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 0, process.stderr
    played = []
    while (event := client.event_input(timeout=0.2)) is not None:
        if isinstance(event, (NoteOnEvent, NoteOffEvent)):
            played.append((type(event).__name__, event.note))
    expected = []
    for number in range(40):
        expected += [("NoteOnEvent", number), ("NoteOffEvent", number)]
    assert played == expected


PLAY = """
import sys, mido
mido.set_backend("alsa_midi.mido_backend")
with mido.open_output(sys.argv[1]) as out:
    for message in mido.MidiFile(sys.argv[2]).play():
        out.send(message)
"""


def test_mido_plays_a_file_into_aseqdump(dump, tmp_path):
    pytest.importorskip("mido")
    path = midi_file(tmp_path / "song.mid", 10)
    process = subprocess.run(
        [sys.executable, "-c", PLAY, f"{dump.port.client_id}:{dump.port.port_id}", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "CONSORT_SEQ": "kernel"},
    )
    assert process.returncode == 0, process.stderr
    lines = [line.split(" ", 1)[1] for line in dump.lines(20)]
    print("\n".join(["mido -> alsa_midi.mido_backend -> aseqdump:", *lines]))
    expected = []
    for number in range(10):
        expected += [
            f"Note on 0, note {number}, velocity 64",
            f"Note off 0, note {number}, velocity 0",
        ]
    assert lines == expected
