"""Sockets, pipes and files whose handlers are called when they are readable."""

import os

from .checks import name_of


def descriptor_of(socket):
    """The descriptor of a socket, pipe or file; -1 if it is closed."""
    fileno = getattr(socket, "fileno", None)
    if fileno is None:
        kind = type(socket).__name__
        raise TypeError(f"manage() expects an object with a fileno() method, not {kind}")
    try:
        descriptor = fileno()
    except Exception:
        # Objects that wrap sockets raise various exceptions when they are closed.
        return -1
    return descriptor if isinstance(descriptor, int) else -1


def identity(descriptor):
    """What distinguishes an open file from a later one with the same descriptor."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


class Managed:
    """An object and its handler."""

    __slots__ = ("function", "identity", "socket")

    def __init__(self, socket, function, descriptor):
        self.socket = socket
        self.function = function
        self.identity = identity(descriptor)


class Sockets:
    """The objects that a script manages, by descriptor."""

    def __init__(self, warn):
        self.warn = warn
        self.entries = {}

    def manage(self, function, socket):
        """Adds an object, changes its handler or, with None as function, removes it."""
        if socket is None or (function is not None and not callable(function)):
            raise TypeError(
                "manage() expects a function or None, and an object with a fileno() method"
            )
        if function is None:
            for descriptor, entry in list(self.entries.items()):
                if entry.socket is socket:
                    del self.entries[descriptor]
                    return
        descriptor = descriptor_of(socket)
        if descriptor < 0:
            raise TypeError("manage() expects an open socket, pipe or file")
        if function is None:
            self.entries.pop(descriptor, None)
            return
        for other, entry in list(self.entries.items()):
            if entry.socket is socket and other != descriptor:
                del self.entries[other]
        entry = self.entries.get(descriptor)
        if (
            entry is not None
            and entry.socket is not socket
            and descriptor_of(entry.socket) != descriptor
        ):
            self.warn_closed(entry)
        self.entries[descriptor] = Managed(socket, function, descriptor)

    def open_descriptors(self):
        """The descriptors to wait for; removes objects that were closed, with a warning."""
        descriptors = set()
        for descriptor, entry in list(self.entries.items()):
            if descriptor_of(entry.socket) == descriptor and identity(descriptor) == entry.identity:
                descriptors.add(descriptor)
            else:
                self.remove_closed(descriptor, entry)
        return descriptors

    def remove_closed(self, descriptor, entry):
        """Removes an object that was closed, unless its descriptor is managed anew."""
        if self.is_current(descriptor, entry):
            del self.entries[descriptor]
        self.warn_closed(entry)

    def is_current(self, descriptor, entry):
        """Whether no handler has replaced or cancelled an entry since it was waited for."""
        return entry is not None and self.entries.get(descriptor) is entry

    def warn_closed(self, entry):
        """Warns of an object whose descriptor was closed or replaced while it was managed."""
        self.warn(
            f"a {type(entry.socket).__name__} was closed while it was managed; its handler "
            f"`{name_of(entry.function)}` was removed (call manage(None, socket) before closing it)"
        )
