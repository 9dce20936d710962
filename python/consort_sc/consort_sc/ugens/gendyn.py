"""Dynamic stochastic synthesis."""

from ._classes import define

define(globals())
