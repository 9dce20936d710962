"""Reading, writing and recording of buffers."""

from ._classes import define

define(globals())
