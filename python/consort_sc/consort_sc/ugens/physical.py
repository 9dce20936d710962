"""Physical models."""

from ._classes import define

define(globals())
