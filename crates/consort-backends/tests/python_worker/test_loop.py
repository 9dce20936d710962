"""Values, texts and changes of channels, from the bytes of the instance to those of the worker."""

import os
import sys
import threading

import pytest
from worker.functions import make_output
from worker.protocol import NO_ROOT, VALUE, Command, Message

SOURCE = """
calls = []
def go(value):
    calls.append(value)
    output("out", value)
def fail(value):
    raise KeyError(value)
def default(value):
    calls.append((current(), value))
"""


@pytest.fixture
def script(peer, tmp_path, monkeypatch):
    """The module of a script, loaded by the peer's worker under the name `script`."""
    path = tmp_path / "script.py"
    path.write_text(SOURCE)
    peer.loader.load("script", str(path))
    module = peer.loader.loaded["script"]
    module.output = make_output(peer.script)
    module.current = peer.script.current
    yield module
    del sys.modules["script"]


def values(*numbers):
    return b"".join(VALUE.pack(*record) for record in numbers)


def test_handlers_get_values_and_their_outputs_keep_the_root(peer, script):
    peer.start(["script.go", "out"])
    peer.sent()
    peer.feed(values((0, 7, 0.5), (0, 8, 0.25), (1, 9, 0.75)))
    assert script.calls == [0.5, 0.25]
    assert peer.sent() == [(1, 7, 0.5), (1, 8, 0.25)]
    assert peer.script.inputvalue("script.go") == 0.25
    assert peer.script.inputvalue("out") == 0.75
    script.output("out", 1)
    assert peer.sent() == [(1, NO_ROOT, 1.0)], "no handler runs"


def test_outputs_of_other_threads_start_a_root(peer, script):
    peer.start(["script.go", "out"])
    peer.sent()

    def go(value):
        thread = threading.Thread(target=script.output, args=("out", value))
        thread.start()
        thread.join()

    peer.worker.slots[0].handler = go
    peer.feed(values((0, 7, 0.5)))
    assert peer.sent() == [(1, NO_ROOT, 0.5)]


@pytest.mark.parametrize("size", [1, 7, 16, 17, 40])
def test_the_stream_can_be_cut_anywhere(peer, script, command, size):
    peer.start(["script.go", "out"])
    peer.sent()
    text = command(Command.TEXT, 0, b"\x05\0\0\0" + "größer".encode())
    data = values((0, 1, 0.5)) + text + values((0, 2, 0.25)) + command(Command.PING)
    for start in range(0, len(data), size):
        peer.feed(data[start : start + size])
    assert script.calls == [0.5, "größer", 0.25]
    assert peer.sent() == [
        (1, 1, 0.5),
        (Message.TEXT, 1, b"\x05\0\0\0" + "größer".encode()),
        (1, 2, 0.25),
        (Message.PONG, 0, b""),
    ]


def test_channels_come_and_go(peer, script, command):
    peer.start(["script.go", "out"])
    peer.sent()
    peer.feed(
        command(Command.REMOVE, 1),
        command(Command.CHANNEL, 3, b"\x02script.missing"),
        command(Command.CHANNEL, 2, b"\x01late"),
        command(Command.GENERATION, 5),
    )
    assert [channel and channel.name for channel in peer.worker.slots] == [
        "script.go",
        None,
        "late",
        "script.missing",
    ]
    assert list(peer.script.channels) == ["script.go", "script.missing", "late"]
    sent = peer.sent()
    assert sent[-1] == (Message.GENERATION, 5, b"")
    assert b"cannot use the handler `script.missing`" in sent[0][2]
    script.output("late", 0.5)
    script.output("out", 0.5)
    first, second = peer.sent()
    assert first == (2, NO_ROOT, 0.5)
    assert second[:2] == (Message.UNMATCHED, 3) and second[2].endswith(b"out")
    # The number of a channel that has gone can be given to another one.
    peer.feed(command(Command.CHANNEL, 1, b"\x01other"), command(Command.GENERATION, 6))
    script.output("other", 0.25)
    assert peer.sent() == [(Message.GENERATION, 6, b""), (1, NO_ROOT, 0.25)]


def test_a_channel_that_an_import_created_outlives_its_mapping(peer, script, command):
    script.output("out", 0.5)
    script.output("label", "ready")
    peer.start(["script.go", "out"])
    sent = peer.sent()
    assert sent[0] == (1, NO_ROOT, 0.5)
    assert sent[1][:2] == (Message.UNMATCHED, 5) and sent[1][2].endswith(b"labelready")
    peer.feed(command(Command.REMOVE, 1), command(Command.GENERATION, 1))
    assert peer.script.channel_names() == ["out", "label", "script.go"]
    assert peer.script.outputvalue("out") == 0.5
    peer.feed(command(Command.CHANNEL, 4, b"\x01label"), command(Command.GENERATION, 2))
    peer.sent()
    script.output("label", "again")
    assert peer.sent() == [(Message.TEXT, 4, b"\xff\xff\xff\xffagain")]


def test_the_default_handler_can_change(peer, script, command):
    peer.start(["plain"])
    peer.feed(
        values((0, 1, 0.5)),
        command(Command.DEFAULT_HANDLER, 0, b"script.default"),
        command(Command.GENERATION, 1),
        values((0, 2, 0.25)),
    )
    assert script.calls == [("plain", 0.25)]
    assert peer.script.inputvalue("plain") == 0.25


def test_inputs_are_restored(peer, script):
    peer.start(["script.go", "out"], inputs=[(1, 0.75)])
    assert peer.script.inputvalue("out") == 0.75
    assert script.calls == []


def test_an_error_is_sent_once_and_then_counted(peer, script):
    peer.start(["script.fail"])
    peer.sent()
    peer.feed(values((0, 1, 0.5), (0, 2, 0.25)))
    error, repeat = peer.sent()
    assert error[:2] == (Message.ERROR, 0)
    place, _, text = error[2].decode().partition("\n")
    assert place == "the handler of `script.fail` failed"
    assert text.endswith("KeyError: 0.5\n")
    assert repeat == (Message.REPEAT, 0, b"")


class Interrupted(BaseException):
    """What a signal handler of the script raises."""


def test_an_exception_between_handlers_loses_no_other_value(peer, script):
    peer.start(["script.go", "out"])
    peer.sent()

    class Channel:
        name = "hostile"
        input = 0.0

        @property
        def handler(self):
            raise Interrupted

    peer.worker.slots.append(Channel())
    with pytest.raises(Interrupted):
        peer.feed(values((0, 1, 0.5), (2, 2, 0.5), (0, 3, 0.25)), b"half")
    assert peer.worker.handle_input() == 4
    assert script.calls == [0.5, 0.25]
    assert bytes(peer.worker.buffer[:4]) == b"half"


def test_intervals_are_called_between_values(peer, script):
    peer.start(["script.go", "out"])
    ticks = []
    peer.script.intervals.set(lambda: ticks.append(peer.script.current()), 10, -1e9)
    peer.feed(values((0, 1, 0.5)))
    assert ticks == [None], "outside of the handler"
    assert peer.link.root == NO_ROOT


def test_a_forked_process_sends_nothing(peer, script):
    peer.start(["script.go", "out"])
    peer.sent()
    read, write = os.pipe()
    peer.link.source = write
    child = os.fork()
    if not child:
        peer.link.after_fork()
        script.output("out", 0.5)
        peer.link.flush()
        os._exit(0)
    os.close(write)
    assert os.waitpid(child, 0)[1] == 0
    assert os.read(read, 1) == b""
    os.close(read)
    assert peer.sent() == []
