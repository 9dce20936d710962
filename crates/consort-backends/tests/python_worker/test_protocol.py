"""Frames are encoded and decoded as protocol.rs describes."""

import math
import struct

import pytest
from worker.loop import READ_BYTES
from worker.protocol import (
    CONTROL,
    HEADER,
    MAX_COMMAND_BYTES,
    RECORD_BYTES,
    Message,
    frame,
    read_frame,
    text_frame,
    unmatched_frame,
)


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 1024])
def test_frames_are_whole_records(length):
    payload = bytes(range(256)) * 4
    data = frame(5, 7, payload[:length])
    assert len(data) % RECORD_BYTES == 0
    assert read_frame(data + b"more") == (5, 7, payload[:length], len(data))


def test_an_incomplete_frame_needs_more_bytes():
    data = frame(8, 1, b"root" + b"x" * 100)
    for size in range(RECORD_BYTES, len(data)):
        assert read_frame(memoryview(data)[:size]) is None


def test_the_largest_command_fits_the_buffer():
    assert len(frame(8, 0, b"root" + b"x" * 1024)) <= MAX_COMMAND_BYTES <= READ_BYTES


def test_texts_and_unmatched_outputs():
    data = text_frame(3, 9, "é".encode())
    assert data[:16] == HEADER.pack(CONTROL, Message.TEXT, 6, 3)
    assert data[16:32] == b"\x09\0\0\0\xc3\xa9" + bytes(10)
    kind, length, payload, _ = read_frame(unmatched_frame(b"fader", 0.5))
    assert (kind, length, payload[8:]) == (Message.UNMATCHED, 5, b"fader")
    _, length, payload, _ = read_frame(unmatched_frame(b"fader", b"text"))
    assert (length, payload[8:]) == (5, b"fadertext")
    assert math.isnan(struct.unpack("<d", payload[:8])[0])
