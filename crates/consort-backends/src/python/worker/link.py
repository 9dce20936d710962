"""The pipes to and from the instance, and output that is not written yet.

Outputs are collected while handlers run and written together, so that one system call serves a
batch of values.
"""

import os
from _signal import (
    ITIMER_REAL,
    SIG_BLOCK,
    SIG_SETMASK,
    SIGALRM,
    getitimer,
    getsignal,
    pthread_sigmask,
    setitimer,
    signal,
    valid_signals,
)
from _thread import RLock, get_ident
from errno import EBADF, EPIPE
from select import PIPE_BUF

from .protocol import MAX_MESSAGE_CHARS, NO_ROOT, Message, frame

write = os.write

# How much output is buffered while handlers run.
MAX_PENDING_BYTES = 16 * 4096
# The maximum time for which output is held back while a handler runs, in seconds.
FLUSH_DELAY = 0.01


class Link:
    """The connection to the instance, and the state of the handlers whose output it collects."""

    __slots__ = (
        "armed",
        "busy",
        "channel",
        "ending",
        "is_child",
        "lock",
        "main_thread",
        "output",
        "pending",
        "root",
        "sending",
        "sink",
        "source",
    )

    def __init__(self, source, sink):
        # The descriptors of the pipes from the instance and to it.
        self.source = source
        self.sink = sink
        self.main_thread = get_ident()
        # Reentrant: a signal handler or the garbage collector can run on a thread that holds it,
        # and call a function that takes it again.
        self.lock = RLock()
        self.sending = False
        # Bytes to be written. Never replaced, because `output` uses this object.
        self.pending = bytearray()
        # The identifier of the main thread while it runs handlers: its output is held back until
        # the end of the batch.
        self.busy = 0
        # The channel whose handler runs on the main thread, and the root of the value that it
        # handles.
        self.channel = None
        self.root = NO_ROOT
        # Whether the timer that calls `on_alarm` is running.
        self.armed = False
        # What `output` calls for texts and channels that are not mapped.
        self.output = None
        # Whether this is a forked process, which is not connected.
        self.is_child = False
        # Whether the cleanup handler has been called.
        self.ending = False

    def install(self):
        """Installs the signal handler of the timer and the function for forked processes."""
        signal(SIGALRM, self.on_alarm)
        os.register_at_fork(after_in_child=self.after_fork)

    def flush(self):
        """Writes what is pending."""
        pending = self.pending
        if self.is_child:
            pending.clear()
            return
        while pending:
            with self.lock:
                if self.sending:
                    # A signal handler or the garbage collector interrupted this very thread in
                    # the lines below; it continues there and writes what is pending.
                    return
                try:
                    self.sending = True
                    if len(pending) > PIPE_BUF:
                        self.write_large()
                    else:
                        del pending[: write(self.sink, bytes(pending))]
                except OSError as error:
                    exit_if_disconnected(error)
                    raise
                finally:
                    self.sending = False

    def write_large(self):
        """Writes more than PIPE_BUF bytes with all signals blocked.

        Up to PIPE_BUF bytes are written as a whole or not at all. A larger write can be
        interrupted by a signal, and a signal handler that raises would leave part of a record in
        the pipe.
        """
        mask = pthread_sigmask(SIG_BLOCK, ())
        try:
            pthread_sigmask(SIG_BLOCK, valid_signals())
            del self.pending[: write(self.sink, bytes(self.pending))]
        finally:
            pthread_sigmask(SIG_SETMASK, mask)

    def on_alarm(self, _number, _frame):
        """Writes the pending output while a handler is still running."""
        self.armed = False
        if self.pending and self.lock.acquire(False):
            self.lock.release()
            self.flush()

    def arm(self):
        """Starts the timer that calls `on_alarm`, unless the script uses that signal itself; then
        output is written when enough is pending.

        The timer is not stopped when the handlers have finished: starting it costs more than a
        batch of values, so a running timer is used for all batches until it expires.
        """
        if getsignal(SIGALRM) == self.on_alarm:
            self.armed = True
            setitimer(ITIMER_REAL, FLUSH_DELAY)
        elif len(self.pending) > MAX_PENDING_BYTES:
            self.flush()

    def check_timer(self):
        """Clears `armed` if a script has cancelled the timer, which then never calls `on_alarm`."""
        self.armed = self.armed and getitimer(ITIMER_REAL)[0] > 0

    def add(self, data):
        """Adds records or a frame; written at the end of the batch, or at once when another
        thread or an import outputs it."""
        self.pending.extend(data)
        if get_ident() != self.busy or len(self.pending) > MAX_PENDING_BYTES:
            self.flush()
        elif not self.armed:
            self.arm()

    def current_root(self):
        """The root of outputs of this thread."""
        return self.root if get_ident() == self.busy else NO_ROOT

    def send(self, kind, argument=0, payload=b""):
        """Sends a message at once."""
        self.pending.extend(frame(kind, argument, payload))
        self.flush()

    def send_text(self, kind, text, argument=0):
        """Sends a message with a text at once."""
        self.send(kind, argument, text[:MAX_MESSAGE_CHARS].encode("utf-8", "replace"))

    def warn(self, text):
        self.send_text(Message.WARNING, text)

    def send_wake_request(self):
        self.send(Message.WAKE_REQUEST)

    def after_fork(self):
        """Disconnects a forked process from the instance."""
        self.is_child = True
        self.pending.clear()
        # A process that the forked one forks has files of its own under these numbers.
        for descriptor in (self.source, self.sink):
            if descriptor >= 0:
                os.close(descriptor)
        self.source = self.sink = -1


def exit_if_disconnected(error):
    """Ends the process if an error means that the pipe to the instance is closed."""
    if error.errno == EBADF:
        os.write(2, b"the script closed the pipe that connects it to consort\n")
    if error.errno in (EBADF, EPIPE):
        os._exit(1)
