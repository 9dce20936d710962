"""Finding `sclang`, SuperCollider's own language."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["find"]

#: Where installers put the program.
_STANDARD_PATHS = (
    "/Applications/SuperCollider.app/Contents/MacOS/sclang",
    "/usr/local/bin/sclang",
    "/usr/bin/sclang",
    "/snap/bin/supercollider.sclang",
)


def find(sclang_path: str | os.PathLike[str] | None = None) -> Path:
    """The path of `sclang`: the argument, or the program of this name on `PATH` or in a standard
    folder.

    Raises `RuntimeError` if there is none.
    """
    import shutil
    from pathlib import Path

    candidates = [os.fspath(sclang_path)] if sclang_path else ["sclang", *_STANDARD_PATHS]
    for candidate in candidates:
        if shutil.which(candidate):
            return Path(candidate)
    raise RuntimeError(
        f"Failed to locate sclang: none of {', '.join(candidates)} is a program; "
        "install SuperCollider's language"
    )
