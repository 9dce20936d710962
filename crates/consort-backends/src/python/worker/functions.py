"""The module `midimonster` of a worker."""

import sys
from _thread import get_ident
from time import monotonic, monotonic_ns

from .checks import encode_text
from .link import MAX_PENDING_BYTES
from .protocol import MAX_NAME_BYTES, NO_ROOT, VALUE, text_frame, unmatched_frame
from .script import Script

pack_value = VALUE.pack


class WorkerScript(Script):
    """A script whose outputs go to the instance."""

    def __init__(self, link, epoch):
        super().__init__()
        self.link = link
        # The reading of the monotonic clock at the start of the show, in nanoseconds.
        self.epoch = epoch

    def now(self):
        return monotonic() * 1000

    def current(self):
        channel = self.link.channel
        return channel.name if channel is not None and get_ident() == self.link.busy else None

    def timestamp(self):
        return (monotonic_ns() - self.epoch) // 1_000_000

    def send(self, channel, value):
        if channel.number < 0:
            self.send_unknown(channel.name, value)
            return
        root = self.link.current_root()
        if isinstance(value, str):
            self.link.add(text_frame(channel.number, root, encode_text(value)))
        else:
            self.link.add(VALUE.pack(channel.number, root, value))

    def send_unknown(self, name, value):
        """Sends an output that no mapping uses, for the views that show unmatched input."""
        name = name.encode("utf-8", "replace")
        if len(name) <= MAX_NAME_BYTES:
            value = encode_text(value) if isinstance(value, str) else value
            self.link.add(unmatched_frame(name, value))

    def warn(self, text):
        self.link.warn(text)

    def wake(self):
        """Makes the main thread return from `poll`: it serves the intervals and sockets."""
        if get_ident() != self.link.main_thread and not self.importing:
            self.link.send_wake_request()


def make_output(script):
    """Makes the function `output` with a fast path for numbers on mapped channels."""
    # Each variable that the function shares with this one costs time in every call.
    link = script.link
    channels = script.channels
    extend_pending = link.pending.extend
    link.output = script.output

    def output(name, value):
        """Output a number from 0.0 to 1.0, or a text, on a channel of this instance."""
        if value.__class__ is not float:
            if isinstance(value, (str, bytes, bytearray)):
                return link.output(name, value)
            value = float(value)
        if not 0.0 <= value <= 1.0:
            value = 1.0 if value > 1.0 else 0.0
        try:
            channel = channels[name]
        except KeyError:
            return link.output(name, value)
        number = channel.number
        if number < 0:
            return link.output(name, value)
        channel.output = value
        if get_ident() != link.busy:
            extend_pending(pack_value(number, NO_ROOT, value))
            link.flush()
            return
        extend_pending(pack_value(number, link.root, value))
        if not link.armed:
            link.arm()
        elif len(link.pending) > MAX_PENDING_BYTES:
            link.flush()

    return output


def make_module(script):
    """Creates the module `midimonster`."""

    def inputvalue(name):
        """The last number that arrived on a channel, None if there is no such channel."""
        return script.inputvalue(name)

    def outputvalue(name):
        """The last number output on a channel, None if there is no such channel."""
        return script.outputvalue(name)

    def current():
        """The channel whose handler is running, otherwise None."""
        return script.current()

    def timestamp():
        """Milliseconds since the show started; the same clock in all instances."""
        return script.timestamp()

    def channels():
        """The names of the channels: those that imports created, then the mapped ones."""
        return script.channel_names()

    def interval(function, milliseconds):
        """Call a function periodically, in steps of 10 milliseconds; 0 cancels."""
        script.interval(function, milliseconds)

    def manage(function, socket):
        """Call function(socket) whenever the socket is readable; None as function cancels."""
        script.manage(function, socket)

    def cleanup_handler(function):
        """Call a function when the show ends; returns the previous one."""
        return script.cleanup_handler(function)

    module = type(sys)("midimonster", "The interface of a script to the show.")
    for function in (
        make_output(script),
        inputvalue,
        outputvalue,
        current,
        timestamp,
        interval,
        manage,
        channels,
        cleanup_handler,
    ):
        function.__module__ = "midimonster"
        function.__qualname__ = function.__name__
        setattr(module, function.__name__, function)
    sys.modules["midimonster"] = module
