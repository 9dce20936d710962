"""Chaotic maps."""

from ._classes import define

define(globals())
