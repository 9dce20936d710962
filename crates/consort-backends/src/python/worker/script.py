"""The channels of a script and their values: what the functions of `midimonster` do."""

from _thread import RLock

from .checks import as_value, check_cleanup, check_name
from .intervals import Intervals
from .sockets import Sockets


class Channel:
    """A channel of the instance, created by an output during the imports or by a mapping."""

    __slots__ = ("created", "handler", "input", "name", "number", "output", "usage")

    def __init__(self, name, created=False):
        self.name = name
        # The channel's number in the protocol; -1 while no mapping uses it.
        self.number = -1
        # Bit 0: a source of mappings, bit 1: a target.
        self.usage = 0
        # An output during the imports created it: it exists also without a mapping.
        self.created = created
        # The last numbers in both directions. Texts are not stored: a script that computes with
        # the last value can rely on a number.
        self.input = 0.0
        self.output = 0.0
        self.handler = None


class Script:
    """The state of a script. A subclass adds the clock and what becomes of outputs."""

    def __init__(self):
        # Reentrant: a signal handler or the garbage collector can run on a thread that holds it,
        # and call a function that takes it again.
        self.lock = RLock()
        self.importing = True
        # The last output of each channel that modules created, until the imports are finished.
        self.early = {}
        # The channels by name, first those that were created during the imports; empty until
        # they are finished. This very dictionary is used by `output`.
        self.channels = {}
        self.intervals = Intervals(self.lock)
        self.sockets = Sockets(self.warn)
        self.cleanup = None

    # ---- what a subclass provides ----

    def now(self):
        """The time in milliseconds."""
        raise NotImplementedError

    def current(self):
        """The name of the channel whose handler is running, otherwise None."""
        raise NotImplementedError

    def send(self, channel, value):
        """Sends an output, a number or a text, on a channel that may be unmapped."""
        raise NotImplementedError

    def send_unknown(self, name, value):
        """Takes an output on a channel that does not exist."""

    def warn(self, text):
        """Reports a warning."""
        raise NotImplementedError

    def wake(self):
        """Called when a thread may have changed intervals or sockets."""

    # ---- the functions of the module ----

    def output(self, name, value):
        value = as_value(value)
        check_name(name)
        channel = self.channels.get(name)
        if channel is None:
            with self.lock:
                if self.importing:
                    self.early[name] = value
                    return
            channel = self.channels.get(name)
        if channel is None:
            self.send_unknown(name, value)
        else:
            self.emit(channel, value)

    def emit(self, channel, value):
        """Stores and sends the output of a channel."""
        if not isinstance(value, str):
            channel.output = value
        self.send(channel, value)

    def inputvalue(self, name):
        check_name(name)
        if self.importing:
            return 0.0 if name in self.early else None
        channel = self.channels.get(name)
        return None if channel is None else channel.input

    def outputvalue(self, name):
        check_name(name)
        if self.importing:
            value = self.early.get(name)
            return 0.0 if isinstance(value, str) else value
        channel = self.channels.get(name)
        return None if channel is None else channel.output

    def channel_names(self):
        return list(self.early if self.importing else self.channels)

    def interval(self, function, milliseconds):
        self.intervals.set(function, milliseconds, self.now())
        self.wake()

    def manage(self, function, socket):
        self.sockets.manage(function, socket)
        self.wake()

    def cleanup_handler(self, function):
        check_cleanup(function)
        previous, self.cleanup = self.cleanup, function
        return previous

    # ---- channels ----

    def finish_imports(self, mapped):
        """Adds the mapped channels and sends what the imports output; later outputs are sent at
        once. Returns the mapped channels in order."""
        with self.lock:
            known = {name: Channel(name, created=True) for name in self.early}
            for name in mapped:
                if name not in known:
                    known[name] = Channel(name)
            for number, name in enumerate(mapped):
                known[name].number = number
            for name, value in list(self.early.items()):
                self.emit(known[name], value)
            self.channels.update(known)
            self.importing = False
        return [known[name] for name in mapped]

    def map_channel(self, name, number, usage):
        """Adds a mapped channel, or changes how it is mapped; returns it."""
        channel = self.channels.get(name)
        if channel is None:
            channel = Channel(name)
        channel.number = number
        channel.usage = usage
        self.channels[name] = channel
        return channel

    def unmap_channel(self, channel):
        """Removes a channel that no mapping uses any more. One that was created during the
        imports stays, without a number."""
        channel.number = -1
        channel.usage = 0
        channel.handler = None
        if not channel.created and self.channels.get(channel.name) is channel:
            del self.channels[channel.name]
