"""Checks, intervals, sockets and the look-up of handlers."""

import os
import socket
import sys
from _thread import RLock

import pytest
from worker.checks import as_value, period_of
from worker.intervals import Intervals
from worker.loader import FunctionMissing, Loader, ModuleMissing, NotCallable
from worker.sockets import Sockets, descriptor_of


def test_values_are_numbers_or_texts():
    values = [0.5, 2, -1, True, float("inf"), "text", ""]
    assert [as_value(value) for value in values] == [0.5, 1.0, 0.0, 1.0, 1.0, "text", ""]
    assert as_value(float("nan")) == 0.0
    for value in (b"0.5", bytearray(b"1"), None, [1]):
        with pytest.raises(TypeError):
            as_value(value)
    with pytest.raises(ValueError):
        as_value("ü" * 513)


def test_periods_are_rounded_to_ten_milliseconds():
    periods = [period_of(print, milliseconds) for milliseconds in (0, 4, 5, 14, 15, 1000)]
    assert periods == [0, 0, 10, 10, 20, 1000]


class Calls:
    """Intervals whose calls are recorded."""

    def __init__(self):
        self.intervals = Intervals(RLock())
        self.calls = []

    def run(self, now):
        self.calls.clear()
        self.intervals.run_due(now, lambda function: self.calls.append(function()))
        return list(self.calls)


def test_intervals_are_called_at_their_times():
    test = Calls()
    one, two = (lambda: 1), (lambda: 2)
    test.intervals.set(one, 100, 0)
    test.intervals.set(two, 50, 0)
    assert test.intervals.next_due == 50
    assert [test.run(now) for now in (49, 50, 99, 100)] == [[], [2], [], [1, 2]]
    # Missed calls count once, and the times stay multiples of the period.
    assert test.run(475) == [1, 2]
    assert test.intervals.next_due == 500
    test.intervals.set(one, 0, 475)
    assert test.run(500) == [2]
    test.intervals.set(two, 200, 500)
    assert test.intervals.next_due == 700
    test.intervals.set(two, 200, 600)
    assert test.intervals.next_due == 700, "the same interval changes nothing"


def test_an_interval_can_be_cancelled_while_others_are_called():
    test = Calls()

    def first():
        test.intervals.set(second, 0, 10)
        return "first"

    def second():
        return "second"

    test.intervals.set(first, 10, 0)
    test.intervals.set(second, 10, 0)
    assert test.run(10) == ["first"]


def test_managed_sockets_are_found_by_object_and_descriptor():
    warnings = []
    sockets = Sockets(warnings.append)
    left, right = socket.socketpair()
    with left, right:
        sockets.manage(print, left)
        assert sockets.open_descriptors() == {left.fileno()}
        entry = sockets.entries[left.fileno()]
        sockets.manage(repr, left)
        assert not sockets.is_current(left.fileno(), entry)
        sockets.manage(None, left)
        sockets.manage(None, left)
        assert sockets.entries == {} and warnings == []
        sockets.manage(print, right)
        right.close()
        assert sockets.open_descriptors() == set()
        assert "was closed while it was managed" in warnings[0]


def test_a_descriptor_that_is_used_again_is_another_file():
    warnings = []
    sockets = Sockets(warnings.append)
    read, write = os.pipe()

    class Raw:
        def fileno(self):
            return read

    sockets.manage(print, Raw())
    os.dup2(os.open(os.devnull, os.O_RDONLY), read)
    assert sockets.open_descriptors() == set() and len(warnings) == 1
    os.close(read)
    os.close(write)


def test_descriptors():
    with pytest.raises(TypeError):
        descriptor_of(5)
    closed = socket.socket()
    closed.close()
    assert descriptor_of(closed) == -1


@pytest.fixture
def loader(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "handlers_for_test.py").write_text(
        "number = 5\ndef go(value): pass\nclass Inner:\n    def go(value): pass\n"
    )
    (tmp_path / "unused.py").write_text("")
    loader = Loader(str(tmp_path))
    loader.load("handlers_for_test", "")
    yield loader
    for name in ("handlers_for_test", "given_for_test"):
        sys.modules.pop(name, None)


def test_handlers_are_found_by_dotted_names(loader):
    module = loader.loaded["handlers_for_test"]
    assert loader.find_handler("handlers_for_test.go") is module.go
    assert loader.find_handler("handlers_for_test.Inner.go") is module.Inner.go
    for name, error in {
        "elsewhere.go": ModuleMissing,
        "handlers_for_test.missing": FunctionMissing,
        "handlers_for_test.Inner.missing": FunctionMissing,
        "handlers_for_test.number": NotCallable,
    }.items():
        with pytest.raises(error):
            loader.find_handler(name)


def test_files_of_the_folder_and_given_sources_are_listed(loader, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "given_for_test.py"
    other.write_text("")
    loader.load("given_for_test", str(other))
    files = [os.path.basename(file) for file in loader.files()]
    assert sorted(files) == ["given_for_test.py", "handlers_for_test.py"]
