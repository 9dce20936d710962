"""The exceptions of this package."""

__all__ = ["Error", "StateError", "ALSAError"]


class Error(Exception):
    """Base class of all exceptions of this package."""


class StateError(Error):
    """The client, port or queue has been closed."""


class ALSAError(Error):
    """The sequencer rejected a request.

    ``message`` contains the request, the reason and a remedy. ``errnum`` is the negative error
    number of the system, such as ``-errno.ENOENT``.
    """

    message: str
    errnum: int

    def __init__(self, message: str, errnum: int) -> None:
        super().__init__(message, errnum)
        self.message = message
        self.errnum = errnum

    def __str__(self) -> str:
        return self.message
