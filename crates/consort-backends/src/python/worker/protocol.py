"""The frames on the pipes between a worker and its instance; protocol.rs describes them."""

from struct import Struct
from sys import byteorder

RECORD_BYTES = 16
# In place of a channel's number: the record is the header of a frame.
CONTROL = 0xFFFFFFFF
# In place of a root: the output results from no input.
NO_ROOT = 0xFFFFFFFF
# The longest text that a channel carries.
MAX_TEXT_BYTES = 1_024
# The longest name of a channel.
MAX_NAME_BYTES = 1_024
# The largest frame that an instance sends, a text with its root.
MAX_COMMAND_BYTES = RECORD_BYTES + 1_040
# The most characters of a message's text.
MAX_MESSAGE_CHARS = 16_000

# Little-endian without gaps. Where that is the machine's own layout, its codec is the faster one.
VALUE = Struct("@IId" if byteorder == "little" and Struct("@IId").size == 16 else "<IId")
HEADER = Struct("<IIII")
ROOT = Struct("<I")
NUMBER = Struct("<d")


class Command:
    """The kinds of frames from the instance."""

    STOP, PING, WAKE, CHANNEL, REMOVE, DEFAULT_HANDLER, GENERATION, TEXT, TIME_LIMIT = range(1, 10)


class Message:
    """The kinds of frames to the instance."""

    READY, ERROR, REPEAT, WARNING, FAILED, STOPPED, PONG, WAKE_REQUEST = range(2, 10)
    GENERATION, TEXT, FILE, UNMATCHED = range(10, 14)


def padding(length):
    """How many zero bytes follow a payload: all frames are a whole number of records."""
    return -length % RECORD_BYTES


def frame(kind, argument=0, payload=b""):
    """A message with a payload."""
    header = HEADER.pack(CONTROL, kind, len(payload), argument)
    return header + payload + bytes(padding(len(payload)))


def text_frame(number, root, text):
    """The output of a text, which is already encoded."""
    return frame(Message.TEXT, number, ROOT.pack(root) + text)


def unmatched_frame(name, value):
    """The output of a number or an encoded text on a channel that is not mapped."""
    is_text = isinstance(value, bytes)
    number = NUMBER.pack(float("nan") if is_text else value)
    return frame(Message.UNMATCHED, len(name), number + name + (value if is_text else b""))


def read_frame(data):
    """The frame at the beginning of some bytes: its kind, argument, payload and size in bytes.

    None if it is incomplete.
    """
    _, kind, length, argument = HEADER.unpack_from(data)
    size = RECORD_BYTES + length + padding(length)
    if len(data) < size:
        return None
    return kind, argument, bytes(data[RECORD_BYTES : RECORD_BYTES + length]), size
