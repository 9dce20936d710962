"""Supriya's patterns, which play on this package's servers and scores. They need Supriya, which the
extra `patterns` installs."""

from .._supriya import load

load(globals(), "patterns")
