"""Sound files on disk."""

from ._classes import define

define(globals())
