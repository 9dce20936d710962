"""The harness behaves as a show does."""

import socket
import sys

import midimonster
import pytest
from midimonster.harness import Show

SOURCE = """
import midimonster

seen = []


def in1(value):
    seen.append((value, midimonster.inputvalue("my_handlers.in1"), midimonster.current()))
    midimonster.output("out1", 1 - value)


def default(value):
    midimonster.output("out2", value)


def ping():
    midimonster.output("out1", midimonster.timestamp() / 10_000)


def clean():
    midimonster.output("out1", 0)


midimonster.output("out1", 0.5)
midimonster.output("out2", 2)
midimonster.output("out1", 0.25)
midimonster.interval(ping, 1000)
midimonster.cleanup_handler(clean)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "my_handlers.py").write_text(SOURCE)
    return str(tmp_path)


@pytest.mark.parametrize("module", ["my_handlers", "my_handlers.py"])
def test_inputs_call_handlers_and_outputs_are_recorded(folder, module):
    with Show(module, folder=folder) as show:
        assert show.take() == [("out1", 0.25), ("out2", 1.0)]
        show.input("my_handlers.in1", 0.75)
        show.input("my_handlers.in1", 1)
        assert show.take() == [("out1", 0.25), ("out1", 0.0)]
        seen = show.module("my_handlers").seen
        name = "my_handlers.in1"
        assert seen == [(0.75, 0.0, name), (1.0, 0.75, name)]
        assert midimonster.inputvalue(name) == 1.0
        assert midimonster.outputvalue("out1") == 0.0
        assert midimonster.current() is None
    assert show.outputs == [("out1", 0.0)], "the cleanup handler"


def test_every_show_imports_its_modules_anew(folder):
    for _ in range(2):
        with Show("my_handlers", folder=folder) as show:
            show.input("my_handlers.in1", 1)
            assert len(show.module("my_handlers").seen) == 1


def test_time_advances_only_on_request(folder):
    with Show("my_handlers", folder=folder) as show:
        show.take()
        show.advance(0.999)
        assert show.outputs == []
        show.advance(0.001)
        assert show.take() == [("out1", 0.1)]
        show.advance(2)
        assert show.take() == [("out1", 0.2), ("out1", 0.3)]
        assert (midimonster.timestamp(), show.time) == (3000, 3.0)


def test_the_default_handler_handles_mapped_channels(folder):
    show = Show(
        "my_handlers", folder=folder, channels=["fader"], default_handler="my_handlers.default"
    )
    with show:
        assert midimonster.channels() == ["out1", "out2", "fader"]
        show.take()
        show.input("fader", 0.5)
        assert show.take() == [("out2", 0.5)]
        midimonster.output("nobody", 1)
        assert show.take() == []


def test_texts_are_sent_to_handlers_and_output(tmp_path):
    (tmp_path / "shout.py").write_text(
        "import midimonster\n"
        "midimonster.output('label', 'ready')\n"
        "def go(value):\n"
        "    if isinstance(value, str):\n"
        "        midimonster.output('label', value.upper())\n"
    )
    with Show("shout", folder=str(tmp_path)) as show:
        show.input("shout.go", "hello")
        show.input("shout.go", 0.5)
        assert show.take() == [("label", "ready"), ("label", "HELLO")]
        assert midimonster.inputvalue("shout.go") == 0.5
        assert midimonster.outputvalue("label") == 0.0


def test_a_source_hides_a_module_of_the_test(tmp_path):
    (tmp_path / "json.py").write_text("def go(value): pass\n")
    import json

    with Show("json.py", folder=str(tmp_path)) as show:
        assert show.module("json") is not json
    assert sys.modules["json"] is json


def test_a_socket_that_is_closed_while_managed_is_reported():
    left, right = socket.socketpair()
    with Show() as show, right:
        midimonster.manage(print, left)
        left.close()
        with pytest.warns(RuntimeWarning, match="closed while it was managed"):
            assert show.poll(timeout=0) == 0


def test_the_package_ships_the_modules_of_the_worker():
    import midimonster._worker.loop as loop

    assert "RECORD_BYTES" in vars(loop), "the same files as in a running show"


def test_invalid_arguments_raise(folder):
    with Show("my_handlers", folder=folder) as show:
        for value in (b"0.5", None, [1]):
            with pytest.raises(TypeError):
                midimonster.output("out1", value)
        with pytest.raises(ValueError):
            midimonster.output("out1", "x" * 1025)
        with pytest.raises(TypeError):
            midimonster.output(5, 0.5)
        with pytest.raises(TypeError):
            midimonster.interval(print, 1.5)
        with pytest.raises(ValueError):
            midimonster.interval(print, -10)
        with pytest.raises(TypeError):
            midimonster.cleanup_handler(5)
        with pytest.raises(TypeError):
            midimonster.manage(print, 5)
        with pytest.raises(LookupError):
            show.input("elsewhere.handler", 1)
        with pytest.raises(AttributeError):
            show.input("my_handlers.nobody", 1)


def test_exceptions_in_handlers_are_raised_in_the_test(tmp_path):
    (tmp_path / "bad.py").write_text("def go(value):\n    raise KeyError(value)\n")
    with Show("bad", folder=str(tmp_path)) as show, pytest.raises(KeyError):
        show.input("bad.go", 1)


def test_poll_calls_the_handlers_of_readable_sockets(folder):
    left, right = socket.socketpair()
    received = []
    with Show(folder=folder) as show, left, right:
        midimonster.manage(lambda sock: received.append(sock.recv(10)), left)
        assert show.poll(timeout=0) == 0
        right.send(b"hello")
        assert show.poll() == 1
        assert received == [b"hello"]
        midimonster.manage(None, left)
        assert show.poll(timeout=0) == 0
        midimonster.manage(None, left)
        with socket.socket(fileno=socket.dup(left.fileno())) as other:
            right.send(b"unread")
            midimonster.manage(print, other)
            midimonster.manage(None, Wrapper(other))
            assert show.poll(timeout=0) == 0


class Wrapper:
    """Another object with the same descriptor."""

    def __init__(self, inner):
        self.inner = inner

    def fileno(self):
        return self.inner.fileno()


def test_a_wrapper_without_its_socket_is_rejected():
    with Show(), pytest.raises(TypeError):
        midimonster.manage(print, Wrapper(None))


def test_interval_functions_are_compared_by_value(folder):
    ticks = []

    class Clock:
        def tick(self):
            ticks.append(midimonster.timestamp())
            if len(ticks) == 3:
                midimonster.interval(self.tick, 0)

    with Show(folder=folder) as show:
        clock = Clock()
        midimonster.interval(clock.tick, 400)
        midimonster.interval(clock.tick, 14)
        show.advance(1)
    assert ticks == [10, 20, 30]


def test_the_module_can_be_imported_without_a_show():
    assert midimonster.channels() == []
    assert midimonster.inputvalue("anything") is None


def test_files_in_one_folder_can_import_each_other(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "first.py").write_text(
        "import second\nimport helper\ndef go(value): second.put(value / helper.two)\n"
    )
    (tmp_path / "scripts" / "second.py").write_text(
        "import midimonster\n"
        "count = 0\n"
        "def put(value):\n"
        "    global count\n"
        "    count += 1\n"
        "    midimonster.output('out', value)\n"
    )
    (tmp_path / "scripts" / "helper.py").write_text("two = 2\n")
    (tmp_path / "scripts" / "a.dot.py").write_text("from second import put as go\n")
    before = list(sys.path)
    modules = ("scripts/first.py", "scripts/second.py", "scripts/a.dot.py")
    with Show(*modules, folder=str(tmp_path), channels=["out"]) as show:
        show.input("first.go", 1.0)
        show.input("a.dot.go", 0.25)
        assert show.take() == [("out", 0.5), ("out", 0.25)]
        assert show.module("second").count == 2
    assert sys.path == before
