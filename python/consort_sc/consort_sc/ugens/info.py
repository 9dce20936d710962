"""Properties of the server, of buffers and of the synth."""

from ._classes import define

define(globals())
