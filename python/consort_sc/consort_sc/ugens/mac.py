"""Mouse and keyboard."""

from ._classes import define

define(globals())
