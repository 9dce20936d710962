"""The scripts under examples/ work as documented."""

import json
import shutil
import socket
from pathlib import Path

import pytest
from midimonster.harness import Show

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_arpeggiator():
    folder = str(EXAMPLES / "python-arpeggiator")
    channels = [f"note{number}" for number in range(1, 13)]
    show = Show("arpeggiator", folder=folder, channels=channels, default_handler="arpeggiator.key")
    with show:
        show.input("key3", 0.5)
        show.input("key1", 1.0)
        assert show.take() == []
        show.advance(1.0)
        on = [(name, value) for name, value in show.outputs if value > 0]
        assert on == [("note1", 1.0), ("note3", 0.5), ("note1", 1.0), ("note3", 0.5)]
        show.input("arpeggiator.speed", 1.0)
        show.take()
        show.advance(0.6)
        assert len([value for _, value in show.take() if value > 0]) == 10
        show.input("key1", 0.0)
        show.input("key3", 0.0)
        show.advance(1.0)
        show.take()
        show.advance(10.0)
        assert show.take() == []
        show.input("key5", 1.0)
        show.advance(0.06)
        assert show.take() == [("note5", 1.0)]
    assert show.take() == [("note5", 0.0)], "no note is left on"


def test_midi_arpeggiator():
    folder = str(EXAMPLES / "midi-arpeggiator")
    channels = [f"note{number}" for number in range(128)]
    show = Show("arpeggiator", folder=folder, channels=channels, default_handler="arpeggiator.key")

    def notes_within(seconds):
        show.advance(seconds)
        return [name for name, value in show.take() if value > 0]

    with show:
        for number in (64, 60, 67):
            show.input(f"key{number}", 0.5)
        assert notes_within(1.2) == ["note60", "note64", "note67", "note64", "note60", "note64"]
        show.input("arpeggiator.octaves", 1 / 3)
        for number in (64, 67):
            show.input(f"key{number}", 0.0)
        assert sorted(set(notes_within(1.0))) == ["note60", "note72"]
        show.input("arpeggiator.pedal", 1.0)
        show.input("key60", 0.0)
        assert "note72" in notes_within(1.0), "the pedal holds the note"
        show.input("arpeggiator.speed", 1.0)
        assert len(notes_within(0.5)) == 10
        show.input("arpeggiator.pedal", 0.0)
        assert notes_within(1.0) == []
        assert notes_within(10.0) == []
        show.input("key127", 1.0)
        assert set(notes_within(1.0)) == {"note127"}, "no note is above it"
    assert show.take()[-1] == ("note127", 0.0), "no note is left on"


def test_lfo():
    channels = ["sine", "triangle", "square"]
    with Show("lfo.py", folder=str(EXAMPLES / "python-lfo"), channels=channels) as show:
        show.input("lfo.rate", 0.5)  # half a period a second
        show.advance(2.0)
        outputs = show.take()
        for name in channels:
            values = [value for channel, value in outputs if channel == name]
            assert len(values) == 100
            assert min(values) < 0.01 and max(values) > 0.99
            assert abs(sum(values) / len(values) - 0.5) < 0.02
        show.input("lfo.depth", 0.0)
        show.advance(0.1)
        assert {value for _, value in show.take()} == {0.5}


def test_drums():
    channels = ["kick", "snare", "hat", *(f"bass{note}" for note in range(28, 53))]
    with Show("drums", folder=str(EXAMPLES / "sc-drums"), channels=channels) as show:
        show.input("drums.busy", 0.0)
        show.input("drums.tempo", 1.0)  # 180 beats a minute: a step in 80 ms
        show.take()
        show.advance(16 * 0.08)
        strokes = [name for name, value in show.take() if value > 0]
        assert [strokes.count(name) for name in ("kick", "snare", "hat")] == [4, 3, 8]
        bass = [name for name in strokes if name.startswith("bass")]
        assert len(bass) == 7
        show.input("drums.play", 0.0)
        assert show.take() == [(bass[-1], 0.0)], "no note is left on"
        show.advance(1.0)
        assert show.take() == []


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_socket_bridge(tmp_path):
    port = free_port()
    text = (EXAMPLES / "python-socket-bridge/bridge.py").read_text()
    assert "7400" in text
    (tmp_path / "bridge.py").write_text(text.replace("7400", str(port)))
    show = Show(
        "bridge", folder=str(tmp_path), channels=["fader"], default_handler="bridge.forward"
    )
    with show, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        assert show.poll() == 1
        client.sendall(b"fader 0.5\nfader 0.")
        show.poll()
        assert show.take() == [("fader", 0.5)]
        client.sendall(b"25\nnonsense\n")
        while not show.outputs:
            show.poll()
        assert show.take() == [("fader", 0.25)]
        assert client.recv(100) == b"error: expected NAME VALUE\n"
        show.input("lamp", 0.75)
        assert client.recv(100) == b"lamp 0.7500\n"
        client.shutdown(socket.SHUT_WR)
        show.poll()
        assert show.module("bridge").clients == {}
        show.module("bridge").server.close()


def test_memory(tmp_path):
    shutil.copy(str(EXAMPLES / "python-memory/memory.py"), str(tmp_path))
    show = dict(folder=str(tmp_path), default_handler="memory.moved")
    with Show("memory", **show) as first:
        assert first.outputs == []
        first.input("fader1", 0.25)
        first.input("fader2", 1.0)
    stored = json.loads((tmp_path / "positions.json").read_text())
    assert stored == {"fader1": 0.25, "fader2": 1.0}
    with Show("memory", **show) as second:
        assert second.take() == [("fader1", 0.25), ("fader2", 1.0)]
    (tmp_path / "positions.json").write_text("{ not json")
    with Show("memory", **show) as third:
        assert third.outputs == []


@pytest.mark.parametrize("name", ["arpeggiator", "lfo", "socket-bridge", "memory"])
def test_every_example_has_a_show(name):
    text = (EXAMPLES / f"python-{name}" / "show.cfg").read_text()
    assert "[python " in text and "[map]" in text
