"""Noise and random numbers."""

from ._classes import define

define(globals())
