"""Equalisers: second-order sections."""

from ._classes import define

define(globals())
