"""Delay lines, comb and all-pass filters."""

from ._classes import define

define(globals())
