"""UGens that Supriya does not have."""

from ._classes import create, further_names

__all__ = further_names()

for _name in __all__:
    globals()[_name] = create(_name, "further")
