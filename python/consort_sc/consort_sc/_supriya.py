"""Loads modules of the installed Supriya under this package, so that their imports find this
package: patterns and clocks, which are Python without input and output."""

from __future__ import annotations

import importlib.machinery
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

_PACKAGE = __name__.rpartition(".")[0]
#: Modules of Supriya that are loaded under this package, with the modules inside.
SHARED = ("clocks", "patterns", "ext")


def folder() -> str:
    """The folder of the installed Supriya.

    Raises `ImportError` if it is not installed.
    """
    path = [entry for entry in sys.path if entry != ""]
    spec = PathFinder.find_spec("supriya", path)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(
            "clocks and patterns are those of Supriya, which is not installed; run "
            "`pip install consort-sc[patterns]`",
            name="supriya",
        )
    return next(iter(spec.submodule_search_locations))


class _Loader(SourceFileLoader):
    """Loads a module of Supriya whose imports find this package."""

    def get_code(self, fullname: str) -> CodeType:
        """The compiled module. It is not cached beside that of Supriya."""
        path = self.get_filename(fullname)
        source = self.get_data(path).decode()
        for keyword in ("from", "import"):
            source = source.replace(f"\n{keyword} supriya", f"\n{keyword} {_PACKAGE}")
        code: CodeType = self.source_to_code(source.encode(), path)
        return code


class _Finder:
    """Finds the modules inside of shared packages."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The specification of such a module."""
        names = fullname.split(".")
        if len(names) != 3 or names[0] != _PACKAGE or names[1] not in SHARED:
            return None
        file = os.path.join(folder(), *names[1:]) + ".py"
        if not os.path.exists(file):
            return None
        return importlib.machinery.ModuleSpec(fullname, _Loader(fullname, file), origin=file)


def load(namespace: dict[str, Any], name: str) -> None:
    """Runs a module of Supriya in the namespace of a module of this package."""
    file = os.path.join(folder(), name)
    if os.path.isdir(file):
        namespace["__path__"] = []
        file = os.path.join(file, "__init__")
        if not any(finder is _Finder for finder in sys.meta_path):
            sys.meta_path.insert(0, _Finder)
    exec(_Loader(f"{_PACKAGE}.{name}", f"{file}.py").get_code(f"{_PACKAGE}.{name}"), namespace)
