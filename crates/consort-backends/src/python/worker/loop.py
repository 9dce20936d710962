"""The process of a worker: imports the modules, runs the handlers, ends with the show.

The loop is written for speed: one system call reads up to a few hundred values, and the outputs
of all their handlers are written together.
"""

import os
import sys
from _operator import length_hint
from _signal import SIGINT, signal
from select import POLLIN, POLLNVAL
from select import poll as make_poll
from time import monotonic

from .checks import name_of
from .faults import Faults, as_text, is_own
from .functions import WorkerScript, make_module
from .link import Link, exit_if_disconnected
from .loader import HandlerError, Loader
from .protocol import (
    CONTROL,
    MAX_MESSAGE_CHARS,
    NO_ROOT,
    RECORD_BYTES,
    ROOT,
    VALUE,
    Command,
    Message,
    frame,
    read_frame,
)

# The realtime signal with which the instance interrupts a script that does not stop.
INTERRUPT_SIGNAL = 40
# How much is read at once; larger than the largest frame.
READ_BYTES = RECORD_BYTES * 512
# The longest wait in milliseconds: poll(2) takes 31 bits.
MAX_POLL_MILLISECONDS = 1e9
# How a channel is used: a target of mappings.
TARGET = 2

unpack_values = VALUE.iter_unpack


class ShowEnded(SystemExit):
    """Raised in a handler that is still running some time after the show was stopped."""

    __module__ = "builtins"


class Worker:
    """A script and the loop that serves it."""

    def __init__(self, link, script, loader, default_handler):
        self.link = link
        self.script = script
        self.loader = loader
        self.faults = Faults(link)
        # This list is never replaced by another one.
        self.intervals = script.intervals.entries
        # The channels by their numbers in the protocol; None for a number that is not in use.
        self.slots = []
        self.default_name = default_handler
        self.default_handler = None
        # Channels whose handlers are to be looked up when the change of channels is complete.
        self.changed = []
        # What was read: the bytes from `start` to `end` are not handled yet.
        self.buffer = bytearray(READ_BYTES)
        self.view = memoryview(self.buffer)
        self.start = 0
        self.end = 0
        self.poller = make_poll()
        self.watched = set()
        # The files that were reported.
        self.files = set()
        # Modules that could not be imported, and the exceptions.
        self.failed = []
        self.commands = {
            Command.STOP: lambda _argument, _payload: self.stop(),
            Command.PING: self.answer_ping,
            # It has no effect beyond its arrival.
            Command.WAKE: lambda _argument, _payload: None,
            Command.CHANNEL: self.set_channel,
            Command.REMOVE: self.remove_channel,
            Command.DEFAULT_HANDLER: self.set_default_handler,
            Command.GENERATION: self.finish_change,
            Command.TEXT: self.handle_text,
            # The instance supervises a limit.
            Command.TIME_LIMIT: lambda _argument, _payload: None,
        }

    # ---- imports and handlers ----

    def load_all(self, modules):
        """Imports the modules, with the configuration's folder as working directory."""
        start = None
        try:
            start = os.getcwd()
        except OSError as error:
            self.link.warn(f"cannot return to the working directory after the imports: {error}")
        os.chdir(self.loader.directory)
        for name, path in modules:
            try:
                self.loader.load(name, path)
            except SystemExit as error:
                reason = f"the module `{name}` called sys.exit during its import"
                if error.code is not None:
                    reason += f": {as_text(error.code)[:MAX_MESSAGE_CHARS]}"
                self.leave(Message.FAILED, reason.encode("utf-8", "replace"))
            except BaseException as error:
                self.faults.report(f"cannot import module `{name}`", error)
                self.failed.append((name, error))
            self.leave_if_child()
        if start is not None:
            os.chdir(start)

    def send_ready(self, modules):
        """Reports how much of the script is loaded; `modules` is how many modules it has."""
        if not self.failed:
            self.link.send(Message.READY)
            return
        name, error = self.failed[0]
        reason = f"cannot import module `{name}`: {type(error).__name__}: {as_text(error)}"
        others = len(self.failed) - 1
        if others:
            reason = f"{reason.splitlines()[0]}; and {others} more"
        extent = 2 if len(self.failed) == modules else 1
        self.failed.clear()
        self.link.send_text(Message.READY, reason, extent)

    def finish_imports(self, names, usage, inputs):
        """Adds the mapped channels, sends what the imports output and finds the handlers."""
        # The outputs are written together.
        self.link.busy = self.link.main_thread
        self.slots.extend(self.script.finish_imports(names))
        self.link.busy = 0
        for channel, bits in zip(self.slots, usage):
            channel.usage = bits
        for number, _root, value in VALUE.iter_unpack(inputs):
            self.slots[number].input = value
        self.find_default_handler()
        for channel in self.slots:
            self.find_handler(channel)
        self.send_files()

    def look_up(self, name):
        """The handler with a dotted name and None, or None and the reason."""
        try:
            return self.loader.find_handler(name), None
        except HandlerError as error:
            return None, str(error)
        except BaseException as error:
            self.faults.report(f"cannot look up the handler `{name}`", error)
            return None, "looking it up raised an exception"

    def find_default_handler(self):
        """Finds the handler of the channels without a dot."""
        name, self.default_handler = self.default_name, None
        if not name:
            return
        reason = f"expected `MODULE.{name}`"
        if "." in name:
            self.default_handler, reason = self.look_up(name)
        if self.default_handler is None:
            self.link.warn(f"cannot use the default handler `{name}`: {reason}")

    def find_handler(self, channel):
        """Finds the handler of a channel and warns if it is missing."""
        if "." not in channel.name:
            channel.handler = self.default_handler
        elif channel.usage & TARGET and channel.handler is None:
            channel.handler, reason = self.look_up(channel.name)
            if channel.handler is None:
                self.link.warn(f"cannot use the handler `{channel.name}`: {reason}")

    def send_files(self):
        """Reports the files that the script has loaded since the last report."""
        for file in self.loader.files():
            if file not in self.files:
                self.files.add(file)
                self.link.add(frame(Message.FILE, 0, os.fsencode(file)))

    # ---- frames from the instance ----

    def answer_ping(self, _argument, _payload):
        self.link.check_timer()
        self.link.send(Message.PONG)

    def set_channel(self, number, payload):
        """Adds a channel, or changes how it is mapped."""
        name = payload[1:].decode("utf-8")
        if number >= len(self.slots):
            self.slots.extend([None] * (number + 1 - len(self.slots)))
        channel = self.script.map_channel(name, number, payload[0])
        self.slots[number] = channel
        self.changed.append(channel)

    def remove_channel(self, number, _payload):
        channel, self.slots[number] = self.slots[number], None
        self.script.unmap_channel(channel)

    def set_default_handler(self, _argument, payload):
        self.default_name = payload.decode("utf-8")
        self.find_default_handler()
        self.changed.extend(
            channel for channel in self.slots if channel is not None and "." not in channel.name
        )

    def finish_change(self, generation, _payload):
        """Completes a change of channels: finds the handlers of what was added."""
        changed, self.changed = self.changed, []
        for channel in changed:
            self.find_handler(channel)
        self.send_files()
        self.link.send(Message.GENERATION, generation)

    def handle_text(self, number, payload):
        """Calls the handler of a channel with a text."""
        (root,) = ROOT.unpack_from(payload)
        channel = self.slots[number]
        if channel.handler is None:
            return
        self.link.channel, self.link.root = channel, root
        try:
            channel.handler(payload[ROOT.size :].decode("utf-8"))
        except BaseException as error:
            self.handle_failure(f"the handler of `{channel.name}`", error)
        finally:
            self.link.channel, self.link.root = None, NO_ROOT
        self.leave_if_child()
        self.run_due_intervals()

    # ---- the loop ----

    def handle_input(self):
        """Handles what was read. Keeps an incomplete frame or record at the beginning of the
        buffer and returns its length."""
        end = self.end
        return self.keep(self.dispatch(self.start, end - end % RECORD_BYTES), end)

    def keep(self, start, end):
        """Moves what is not handled yet to the beginning of the buffer; returns its length."""
        if start < end:
            self.buffer[: end - start] = self.buffer[start:end]
        self.start, self.end = 0, end - start
        return end - start

    def dispatch(self, start, end):
        """Runs the handlers of what the buffer holds from `start` to `end`, a whole number of
        records; returns where an incomplete frame begins, or `end`.

        An exception leaves `self.start` behind the record that was handled.
        """
        link, slots, intervals = self.link, self.slots, self.intervals
        while start < end:
            records = unpack_values(self.view[start:end])
            try:
                for number, root, value in records:
                    if number == CONTROL:
                        break
                    channel = slots[number]
                    handler = channel.handler
                    if handler is None:
                        channel.input = value
                        continue
                    link.channel = channel
                    link.root = root
                    try:
                        handler(value)
                    except BaseException as error:
                        self.handle_failure(f"the handler of `{channel.name}`", error)
                    channel.input = value
                    if link.is_child:
                        self.leave_child()
                    if intervals and monotonic() * 1000 >= self.script.intervals.next_due:
                        self.run_due_intervals()
                else:
                    return end
            except BaseException:
                self.start = end - length_hint(records) * RECORD_BYTES
                raise
            finally:
                link.channel = None
                link.root = NO_ROOT
            start = end - (length_hint(records) + 1) * RECORD_BYTES
            size = self.handle_frame(start, end)
            if not size:
                break
            start += size
        return start

    def handle_frame(self, start, end):
        """Handles the frame at `start`; returns its size, or 0 if it is incomplete."""
        content = read_frame(self.view[start:end])
        if content is None:
            return 0
        kind, argument, payload, size = content
        self.start = start + size
        self.commands[kind](argument, payload)
        return size

    def run_due_intervals(self):
        """Calls the interval functions that are due."""
        intervals = self.script.intervals
        if not intervals.entries:
            return
        now = self.script.now()
        if now >= intervals.next_due:
            self.link.channel, self.link.root = None, NO_ROOT
            intervals.run_due(now, self.call_interval)

    def call_interval(self, function):
        try:
            function()
        except BaseException as error:
            self.handle_failure(f"the interval function `{name_of(function)}`", error)
        self.leave_if_child()

    def poll_managed(self):
        """Waits for values, sockets or the next interval.

        Returns descriptor, events and entry of everything that is ready. The entry is the one
        that was waited for: a handler can replace it before the result is used.
        """
        sockets, intervals = self.script.sockets, self.script.intervals
        wanted = sockets.open_descriptors()
        wanted.add(self.link.source)
        for descriptor in self.watched - wanted:
            self.poller.unregister(descriptor)
        for descriptor in wanted - self.watched:
            self.poller.register(descriptor, POLLIN)
        self.watched = wanted
        timeout = None
        if intervals.entries:
            remaining = max(0.0, intervals.next_due - self.script.now())
            timeout = min(remaining, MAX_POLL_MILLISECONDS)
        return [
            (descriptor, events, sockets.entries.get(descriptor))
            for descriptor, events in self.poller.poll(timeout)
        ]

    def call_socket_handler(self, descriptor, events, entry):
        """Calls the handler of a readable socket, unless another handler has cancelled it."""
        sockets = self.script.sockets
        if not sockets.is_current(descriptor, entry):
            return
        if events & POLLNVAL:
            sockets.remove_closed(descriptor, entry)
            return
        try:
            entry.function(entry.socket)
        except BaseException as error:
            self.handle_failure(f"the socket handler `{name_of(entry.function)}`", error)
        self.leave_if_child()

    def run(self):
        """Serves the instance until it sends STOP or closes the pipe."""
        while True:
            try:
                self.serve()
            except BaseException as error:
                self.handle_loop_exception(error)

    def serve(self):
        """Reads and handles values, sockets and intervals; ends only by an exception."""
        link, view = self.link, self.view
        intervals, managed = self.intervals, self.script.sockets.entries
        source, whole, readv, main_thread = link.source, (view,), os.readv, link.main_thread
        pending, dispatch = link.pending, self.dispatch
        # What an exception left unhandled.
        link.busy = main_thread
        rest = self.handle_input()
        while True:
            if pending:
                link.flush()
            link.busy = 0
            readable = True
            ready = ()
            if managed or intervals:
                ready = self.poll_managed()
                readable = any(entry[0] == source for entry in ready)
            if readable:
                size = readv(source, (view[rest:],) if rest else whole)
                self.end = end = rest + size
                link.busy = main_thread
                if not size:
                    self.end_group()
                rest = self.keep(dispatch(0, end - end % RECORD_BYTES), end)
            else:
                link.busy = main_thread
            for descriptor, events, entry in ready:
                if descriptor != source:
                    self.call_socket_handler(descriptor, events, entry)
            if intervals:
                self.run_due_intervals()

    # ---- failures and the end ----

    def end_group(self):
        """Ends the process, with all processes that the script has started, since the instance
        has gone. A script may have moved its process into the group of another program."""
        if os.getpgrp() == os.getpid():
            os.killpg(0, 9)
        os._exit(1)

    def handle_failure(self, where, error):
        """Handles an exception that code of the script raised; `where` is its description."""
        if self.link.is_child:
            self.leave_child(error)
        if isinstance(error, ShowEnded):
            self.faults.report(f"{where} was interrupted", error)
            self.stop()
        self.faults.report(f"{where} failed", error)

    def handle_loop_exception(self, error):
        """Handles an exception outside of handlers.

        A signal handler of the script raised it, or the interrupt signal; it is reported. An
        exception of the worker itself is fatal.
        """
        if self.link.is_child:
            self.leave_child(error)
        if isinstance(error, ShowEnded):
            self.stop()
        if is_own(error):
            if isinstance(error, OSError):
                exit_if_disconnected(error)
            self.faults.report("internal error of the worker", error)
            os._exit(1)
        self.handle_failure("a signal handler", error)

    def leave_if_child(self):
        if self.link.is_child:
            self.leave_child()

    def leave_child(self, error=None):
        """Ends a forked process that has returned from its handler: it cannot serve the
        instance."""
        code = 1
        if isinstance(error, SystemExit):
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        else:
            text = "a process created by os.fork() returned from its handler and was ended\n"
            os.write(2, text.encode())
        flush_files()
        os._exit(code)

    def leave(self, kind, payload=b""):
        """Sends a last message and exits without waiting for threads."""
        import atexit

        try:
            atexit._run_exitfuncs()
        except BaseException as error:
            self.faults.report("an atexit function failed", error)
        flush_files()
        self.link.send(kind, 0, payload)
        os._exit(0)

    def stop(self):
        """Runs the cleanup handler and exits."""
        link, cleanup = self.link, self.script.cleanup
        link.ending = True
        link.channel, link.root = None, NO_ROOT
        if cleanup is not None:
            try:
                cleanup()
            except BaseException as error:
                self.handle_failure(f"the cleanup handler `{name_of(cleanup)}`", error)
        link.flush()
        self.leave(Message.STOPPED)

    def on_interrupt(self, _number, _frame):
        """Interrupts what the main thread is doing, so that the cleanup handler can run."""
        if not self.link.ending:
            raise ShowEnded("the show is stopping")


def flush_files():
    for file in (sys.stdout, sys.stderr):
        try:
            file.flush()
        except Exception:
            continue


def split(field):
    return field.decode("utf-8").split("\0") if field else []


def take_pipes(output):
    """Takes the pipes from the script's reach: its standard input becomes empty."""
    link = Link(os.dup(0), output)
    os.set_inheritable(output, False)
    empty_input = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty_input, 0)
    os.close(empty_input)
    return link


def main(output, fields):
    """Reads the settings (see `Setup::encode` in protocol.rs), imports the modules and runs."""
    # Remove the names that boot.py defined in the module `__main__`.
    boot_names = sys.modules["__main__"].__dict__
    for name in [name for name in boot_names if not name.startswith("__")]:
        del boot_names[name]
    epoch, directory, default_handler, _time_limit, modules, names, usage, inputs = fields
    link = take_pipes(output)
    script = WorkerScript(link, int(epoch))
    loader = Loader(os.fsdecode(directory))
    worker = Worker(link, script, loader, default_handler.decode("utf-8"))
    link.install()
    signal(INTERRUPT_SIGNAL, worker.on_interrupt)
    # The signal was ignored until now. Programs that a script starts would inherit that, but not
    # a handler.
    signal(SIGINT, lambda _number, _frame: None)
    sys.argv[:] = [""]
    sys.path.insert(0, loader.directory)
    for file in (sys.stdout, sys.stderr):
        file.reconfigure(line_buffering=True, errors="backslashreplace")
    make_module(script)
    module_fields = split(modules)
    module_list = list(zip(module_fields[::2], module_fields[1::2]))
    worker.load_all(module_list)
    worker.finish_imports(split(names), usage, inputs)
    worker.send_ready(len(module_list))
    worker.run()
