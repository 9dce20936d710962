"""Exceptions of the script: their descriptions, and their reports to the instance."""

from _thread import get_ident

from .protocol import MAX_MESSAGE_CHARS, Message, frame

MAX_DISTINCT_ERRORS = 256
# Frames of these files are left out of tracebacks.
OWN_FILES = ("<consort>", "<string>", "<frozen importlib")


def as_text(error):
    try:
        return str(error)
    except Exception:
        return "(str() of this exception fails)"


def script_trace(error):
    """The part of an exception's traceback that lies in the script."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(OWN_FILES):
        trace = trace.tb_next
    return trace


def last_frame(trace):
    """The frame in which an exception was raised."""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame, trace.tb_lineno


def is_own(error):
    """Whether the worker itself raised an exception, not code of the script."""
    return last_frame(error.__traceback__)[0].f_code.co_filename.startswith("<consort>")


def describe(error, trace):
    try:
        import traceback

        return "".join(traceback.format_exception(type(error), error, trace))
    except BaseException:
        return f"{type(error).__name__}: {as_text(error)}"


class Faults:
    """The errors that were reported, with their numbers."""

    def __init__(self, link):
        self.link = link
        self.numbers = {}

    def report(self, where, error):
        """Reports an error to the instance: in full the first time, then only by its number."""
        trace = script_trace(error)
        if trace is None:
            key = (where, type(error), as_text(error)[:200])
        else:
            frame_object, line = last_frame(trace)
            key = (where, type(error), frame_object.f_code.co_filename, line)
        number = self.numbers.get(key)
        if number is None and len(self.numbers) >= MAX_DISTINCT_ERRORS:
            key = None
            number = self.numbers.get(key)
        if number is None:
            self.report_new(where, error, trace, key)
            return
        self.link.pending.extend(frame(Message.REPEAT, number))
        if get_ident() != self.link.busy:
            self.link.flush()

    def report_new(self, where, error, trace, key):
        number = self.numbers[key] = len(self.numbers)
        if key is not None:
            text = describe(error, trace)
        else:
            text = "too many different errors; further ones are counted together"
        text = f"{where[:MAX_MESSAGE_CHARS]}\n{text[-MAX_MESSAGE_CHARS:]}"
        self.link.send(Message.ERROR, number, text.encode("utf-8", "replace"))
