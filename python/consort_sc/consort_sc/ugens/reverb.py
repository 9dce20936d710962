"""Reverberation."""

from ._classes import define

define(globals())
