"""Runs programs that were written for Supriya, unchanged, on this package.

`python -m consort_sc.compat SCRIPT [ARGUMENT …]` and `python -m consort_sc.compat -m MODULE …` run
a program in which `import supriya` finds this package. A program can do the same with `install()`
before its first import of Supriya.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_PACKAGE = "consort_sc"
#: Modules of Supriya with other names here.
_NAMES = {"supriya_shm": f"{_PACKAGE}.shm"}


def _own_name(name: str) -> str | None:
    """The name of this package's module for one of Supriya."""
    if name == "supriya" or name.startswith("supriya."):
        return _PACKAGE + name[len("supriya") :]
    return _NAMES.get(name)


class _Loader:
    """Gives a module of this package another name."""

    def __init__(self, own_name: str) -> None:
        self._own_name = own_name

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module of this package."""
        module = importlib.import_module(self._own_name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to run."""
        module.__spec__ = self._spec


class _Finder:
    """Finds this package's modules by Supriya's names."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The specification of a module."""
        own_name = _own_name(fullname)
        if own_name is None:
            return None
        try:
            importlib.import_module(own_name)
        except ModuleNotFoundError as error:
            if error.name != own_name:
                raise
            return None
        loader: Any = _Loader(own_name)
        return importlib.machinery.ModuleSpec(fullname, loader)


def install() -> None:
    """Lets `import supriya` find this package from now on.

    Raises `ImportError` if Supriya was imported before.
    """
    if any(finder is _Finder for finder in sys.meta_path):
        return
    package = sys.modules[_PACKAGE]
    known = sys.modules.get("supriya")
    if known is not None and known is not package:
        raise ImportError(
            "Supriya was imported already; call `consort_sc.compat.install()` before the import",
            name="supriya",
        )
    sys.meta_path.insert(0, _Finder)
    sys.modules["supriya"] = package


def main(arguments: list[str]) -> None:
    """Runs a program."""
    import os
    import runpy

    if not arguments or arguments[0] in ("-h", "--help") or arguments == ["-m"]:
        print(__doc__)
        raise SystemExit(0 if arguments and arguments != ["-m"] else 2)
    install()
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path.insert(0, os.path.dirname(os.path.abspath(arguments[0])))
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    # The module that programs import is not the one that Python runs as a program.
    importlib.import_module(f"{_PACKAGE}.compat").main(sys.argv[1:])
