"""Run a script's handlers in a test: send values, read outputs, advance the time."""

from __future__ import annotations

import importlib
import os
import select
import sys
from types import ModuleType, TracebackType
from typing import Any, Callable, Sequence

from . import _active
from ._worker.checks import as_value
from ._worker.loader import Loader

__all__ = ["Show"]


class Show:
    """One `python` instance of a show, without the show.

    `modules` are names or paths of sources, relative to `folder`, as in the configuration.
    `channels` are those that a configuration would map; channels that get an `input` are added
    automatically. `default_handler` is the name of a function, as in the configuration.

    Use it as a context manager: entering imports the modules; leaving calls the cleanup handler
    and unloads the modules.
    """

    def __init__(
        self,
        *modules: str,
        folder: str = ".",
        channels: Sequence[str] = (),
        default_handler: str | None = None,
    ) -> None:
        self._names = modules
        self._folder = os.path.abspath(folder)
        self._channels = list(channels)
        self._default = default_handler
        self._script = _active.TestScript()
        self._loader = Loader(self._folder)
        self._modules_before: dict[str, ModuleType] = {}
        self._path_before: list[str] = []
        self._replaced: set[str] = set()

    def __enter__(self) -> Show:
        self._modules_before = dict(sys.modules)
        self._path_before = list(sys.path)
        _active.push(self._script)
        working_directory = os.getcwd()
        os.chdir(self._folder)
        sys.path.insert(0, self._folder)
        try:
            for name in self._names:
                self._load(name)
        except BaseException:
            self._leave()
            raise
        finally:
            os.chdir(working_directory)
        self._script.finish_imports(self._channels)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._script.cleanup is not None and kind is None:
                self._script.cleanup()
        finally:
            self._leave()

    def _leave(self) -> None:
        _active.pop(self._script)
        sys.path[:] = self._path_before
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if self._modules_before.get(name) is not module and file and self._is_in_folder(file):
                del sys.modules[name]
        for name, module in self._modules_before.items():
            if name not in sys.modules or name in self._replaced:
                sys.modules[name] = module

    def _is_in_folder(self, file: str) -> bool:
        return os.path.abspath(file).startswith(self._folder + os.sep)

    def _load(self, name: str) -> None:
        path = ""
        if "/" in name or name.endswith(".py"):
            path = os.path.join(self._folder, name)
            if os.path.isdir(path):
                path = os.path.join(path, "__init__.py")
            elif not path.endswith(".py"):
                path += ".py"
            folder, file = os.path.split(path)
            name = os.path.basename(folder) if file == "__init__.py" else file[:-3]
        # A module that was imported before this show is imported again; a source that is given
        # by its path replaces a module that the test itself has imported.
        top_name = name if path else name.partition(".")[0]
        for title in [title for title in sys.modules if title.split(".")[0] == top_name]:
            module = sys.modules[title]
            is_old = module is self._modules_before.get(title)
            if is_old and (path or self._is_in_folder(getattr(module, "__file__", None) or "")):
                del sys.modules[title]
                self._replaced.add(title)
        importlib.invalidate_caches()
        self._loader.load(name, path)

    def module(self, name: str) -> Any:
        """A module of the show, for access to its globals."""
        return self._loader.loaded[name]

    def handler(self, channel: str) -> Callable[[Any], Any] | None:
        """The function that handles the values of a channel, if there is one."""
        name = self._default if "." not in channel else channel
        return self._loader.find_handler(name) if name else None

    @property
    def outputs(self) -> list[tuple[str, float | str]]:
        """The outputs so far: channel, and number or text."""
        return self._script.outputs

    def take(self) -> list[tuple[str, float | str]]:
        """Returns the outputs so far and clears them."""
        taken = list(self._script.outputs)
        self._script.outputs.clear()
        return taken

    @property
    def time(self) -> float:
        """Seconds since the show started."""
        return self._script.milliseconds / 1000

    def add_channel(self, *names: str) -> None:
        """Adds channels, as mappings in the configuration do."""
        for name in names:
            self._script.add_channel(name)

    def input(self, channel: str, value: float | str) -> None:
        """Sends a number or a text to a channel: calls the channel's handler, if it has one."""
        value = as_value(value)
        self._script.add_channel(channel)
        handler = self.handler(channel)
        self._script.running = channel
        try:
            if handler is not None:
                handler(value)
        finally:
            self._script.running = None
            if not isinstance(value, str):
                self._script.channels[channel].input = value

    def advance(self, seconds: float) -> None:
        """Advances the time and calls interval functions at their times, in order."""
        script = self._script
        end = script.milliseconds + round(seconds * 1000)
        while script.intervals.entries and script.intervals.next_due <= end:
            script.milliseconds = max(script.milliseconds, script.intervals.next_due)
            script.intervals.run_due(script.milliseconds, lambda function: function())
        script.milliseconds = end

    def poll(self, timeout: float = 1.0) -> int:
        """Calls the handlers of readable sockets; returns how many were called.

        Waits up to `timeout` seconds of real time until a socket is readable.
        """
        sockets = self._script.sockets
        descriptors = sockets.open_descriptors()
        entries = {descriptor: sockets.entries[descriptor] for descriptor in descriptors}
        readable, _, _ = select.select(entries, [], [], timeout)
        called = 0
        for descriptor in readable:
            entry = entries[descriptor]
            if sockets.is_current(descriptor, entry):
                entry.function(entry.socket)
                called += 1
        return called
