"""Checks for values that are not numbers."""

from ._classes import define

define(globals())
