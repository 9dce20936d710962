"""Supriya's clocks. They need Supriya, which the extra `patterns` installs."""

from ._supriya import load

load(globals(), "clocks")
