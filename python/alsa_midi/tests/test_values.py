"""Addresses, times, enumerations and exceptions."""

import copy
import errno
import pickle
from enum import IntEnum, IntFlag

import alsa_midi
import pytest
from alsa_midi import (
    ALL_SUBSCRIBERS,
    SYSTEM_ANNOUNCE,
    SYSTEM_TIMER,
    Address,
    ALSAError,
    ClientType,
    Error,
    EventFlags,
    EventType,
    PortCaps,
    PortInfo,
    PortType,
    RealTime,
    StateError,
)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((128,), (128, 0)),
        ((128, 1), (128, 1)),
        (((128, 1),), (128, 1)),
        ((PortInfo(3, 4),), (3, 4)),
        ((Address(3, 4),), (3, 4)),
        (("128:1",), (128, 1)),
        (("128.1",), (128, 1)),
        (("128",), (128, 0)),
        ((" 128:1",), (128, 1)),
        (("0x10:1",), (16, 1)),
        (("010:010",), (8, 10)),
        (("'128':1",), (128, 1)),
        ((1.5,), (1, 0)),
        (((128, None),), (128, 0)),
        ((300, 400), (300, 400)),
    ],
)
def test_all_forms_of_addresses(arguments, expected):
    address = Address(*arguments)
    assert address == expected
    assert (address.client_id, address.port_id) == expected
    assert isinstance(address, tuple) and hash(address) == hash(expected)


@pytest.mark.parametrize("text", ["", "name", "1:-1", "-1:0", "'1:2'", "1 2", "300:0", "1:2:3"])
def test_texts_that_are_not_addresses(text):
    with pytest.raises(ALSAError) as caught:
        Address(text)
    assert caught.value.errnum == -errno.EINVAL
    assert "expected CLIENT:PORT" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "error"),
    [((1, 2, 3), ValueError), ((1,), ValueError), (None, TypeError), ([1, 2], TypeError)],
)
def test_values_that_are_not_addresses(value, error):
    with pytest.raises(error):
        Address(value)


def test_addresses_of_clients_and_ports(client):
    port = client.create_port("p")
    assert Address(client) == (client.client_id, 0)
    assert Address(client, 3) == (client.client_id, 3)
    assert Address(port) == (port.client_id, port.port_id)
    assert Address(port, 7) == Address(port)


def test_text_and_pickling_of_addresses():
    address = Address(128, 1)
    assert (str(address), repr(address)) == ("128:1", "Address(client_id=128, port_id=1)")
    assert pickle.loads(pickle.dumps(address)) == address
    assert address._replace(port_id=5) == (128, 5)
    assert (ALL_SUBSCRIBERS, SYSTEM_TIMER, SYSTEM_ANNOUNCE) == ((254, 0), (0, 0), (0, 1))


@pytest.mark.parametrize(
    ("arguments", "seconds", "nanoseconds"),
    [
        ((), 0, 0),
        ((1,), 1, 0),
        ((1.5,), 1, 500000000),
        (("1.5",), 1, 500000000),
        (("1.1234567891",), 1, 123456789),
        ((RealTime(1, 2), 3), 1, 5),
        ((1, 2500000000), 3, 500000000),
        ((5000000000,), 5000000000, 0),
        ((0.1,), 0, 100000000),
    ],
)
def test_all_forms_of_real_times(arguments, seconds, nanoseconds):
    time = RealTime(*arguments)
    assert (time.seconds, time.nanoseconds) == (seconds, nanoseconds)
    assert repr(time) == f"RealTime(seconds={seconds}, nanoseconds={nanoseconds})"
    assert str(time) == f"{seconds}.{nanoseconds:09}"
    assert int(time) == seconds
    assert float(time) == pytest.approx(seconds + nanoseconds / 1e9)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((-1,), ValueError),
        ((-0.5,), ValueError),
        (("-0.5",), ValueError),
        ((1, -1), ValueError),
        (("abc",), ValueError),
        (("",), ValueError),
        (("1e3",), ValueError),
        ((float("nan"),), ValueError),
        ((float("inf"),), OverflowError),
        ((None,), TypeError),
        (([],), TypeError),
        ((1, 1.5), ValueError),
        ((1, 2, 3), TypeError),
    ],
)
def test_values_that_are_not_real_times(arguments, error):
    with pytest.raises(error):
        RealTime(*arguments)


def test_real_time_compares_with_numbers_and_texts():
    time = RealTime(1.5)
    assert time == 1.5 and time == "1.5" and time == RealTime(1, 500000000)
    assert time != 1 and time != "a" and time != None  # noqa: E711
    assert RealTime(1) < time < 2 and time >= 1.5 and time <= "1.5"
    with pytest.raises(TypeError):
        time < None  # noqa: B015
    with pytest.raises(TypeError):
        hash(time)


def test_real_times_are_mutable_and_can_be_copied():
    time = RealTime(seconds=1, nanoseconds=2)
    time.seconds = 7
    assert time == RealTime(7, 2)
    assert pickle.loads(pickle.dumps(time)) == copy.copy(time) == copy.deepcopy(time) == time


def test_enumerations():
    assert issubclass(EventType, IntEnum) and issubclass(PortCaps, IntFlag)
    assert isinstance(PortCaps.READ | PortCaps.WRITE, PortCaps)
    assert alsa_midi.READ_PORT == PortCaps.READ | PortCaps.SUBS_READ == 33
    assert alsa_midi.WRITE_PORT == 66 and alsa_midi.RW_PORT == 99
    assert EventType.NOTEON == 6 and EventType(6) is EventType.NOTEON
    assert PortType.ANY == 0 and EventFlags.TIME_STAMP_MASK == 1
    with pytest.raises(ValueError):
        ClientType(9)


def test_unknown_event_types_have_a_name():
    unknown = EventType(77)
    assert (unknown.name, unknown.value, unknown) == ("UNKNOWN_77", 77, 77)
    assert repr(unknown) == "<EventType.UNKNOWN_77: 77>"
    assert "UNKNOWN_77" not in EventType.__members__
    with pytest.raises(ValueError):
        EventType("x")


def test_exceptions():
    error = ALSAError("text", -errno.EBUSY)
    assert (error.message, error.errnum, str(error)) == ("text", -errno.EBUSY, "text")
    assert error.args == ("text", -errno.EBUSY)
    again = pickle.loads(pickle.dumps(error))
    assert (again.message, again.errnum) == ("text", -errno.EBUSY)
    assert issubclass(ALSAError, Error) and issubclass(StateError, Error)
    assert not issubclass(StateError, ALSAError)


def test_real_times_of_texts_with_exponents_and_of_index_objects():
    class Number:
        def __index__(self):
            return 7

    assert RealTime("1.5e3") == RealTime(1500)
    assert RealTime("-0.0") == RealTime(0)
    assert RealTime(Number()) == RealTime(7)
    for text in ("1e3", "-1.5e3", "1.e400", "1.5e3x"):
        with pytest.raises((ValueError, OverflowError)):
            RealTime(text)


def test_port_info_without_a_port():
    assert PortInfo(1, 2, "n", port_specified=False).port_id is None
    assert PortInfo(1, 2, "n", port_specified=True).port_id == 2
    info = PortInfo(1, 2, "n")
    info.client_name = ""
    assert repr(info) == "<PortInfo 1:2 'n' @ ''>"
