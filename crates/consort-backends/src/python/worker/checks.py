"""Which arguments the functions of `midimonster` accept, and what they make of them."""

from .protocol import MAX_TEXT_BYTES


def as_value(value):
    """What `output` sends for a value: a number from 0.0 to 1.0, or a text."""
    if isinstance(value, str):
        encode_text(value)
        return value
    if isinstance(value, (bytes, bytearray)):
        kind = type(value).__name__
        raise TypeError(f"the value of an output must be a number or a text, not {kind}")
    value = float(value)
    if 0.0 <= value <= 1.0:
        return value
    return 1.0 if value > 1.0 else 0.0


def encode_text(text):
    """A text as it is sent."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) > MAX_TEXT_BYTES:
        raise ValueError(
            f"a text must have at most {MAX_TEXT_BYTES} bytes in UTF-8, this one has {len(encoded)}"
        )
    return encoded


def check_name(name):
    if not isinstance(name, str):
        raise TypeError(f"a channel's name must be a string, not {type(name).__name__}")


def check_cleanup(function):
    if function is not None and not callable(function):
        raise TypeError("cleanup_handler() expects a function or None")


def period_of(function, milliseconds):
    """The period of an interval, in steps of 10 ms."""
    if not callable(function):
        raise TypeError("interval() expects a function")
    if not isinstance(milliseconds, int):
        raise TypeError("the interval must be an int, in milliseconds")
    if milliseconds < 0:
        raise ValueError("the interval must not be negative")
    return (milliseconds + 5) // 10 * 10


def name_of(function):
    """A function as messages name it."""
    return getattr(function, "__qualname__", None) or type(function).__name__
