"""Granular synthesis."""

from ._classes import define

define(globals())
