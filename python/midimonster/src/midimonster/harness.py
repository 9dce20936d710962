"""Run a script's handlers in a test: send values, read outputs, advance the time."""

from __future__ import annotations

import importlib
import importlib.util
import os
import select
import sys
from types import ModuleType, TracebackType
from typing import Any, Callable, Sequence

from . import _state

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
        self._state = _state.State()
        self._loaded: dict[str, ModuleType] = {}
        self._modules_before: dict[str, ModuleType] = {}
        self._added_folders: list[str] = []

    def __enter__(self) -> Show:
        self._modules_before = dict(sys.modules)
        _state.push(self._state)
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
        self._state.finish_importing()
        for name in self._channels:
            self._state.add_channel(name)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._state.cleanup is not None and kind is None:
                self._state.cleanup()
        finally:
            self._leave()

    def _leave(self) -> None:
        _state.pop(self._state)
        for folder in (self._folder, *self._added_folders):
            if folder in sys.path:
                sys.path.remove(folder)
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if self._modules_before.get(name) is not module and file and self._is_in_folder(file):
                del sys.modules[name]
                if name in self._modules_before:
                    sys.modules[name] = self._modules_before[name]

    def _is_in_folder(self, file: str) -> bool:
        return os.path.abspath(file).startswith(self._folder + os.sep)

    def _load(self, name: str) -> None:
        if "/" not in name and not name.endswith(".py"):
            # A module that an earlier show has imported is imported anew.
            for title in [title for title in sys.modules if title.split(".")[0] == name]:
                if self._is_in_folder(getattr(sys.modules[title], "__file__", None) or ""):
                    del sys.modules[title]
            importlib.invalidate_caches()
            importlib.import_module(name)
            top_name = name.partition(".")[0]
            self._loaded[top_name] = sys.modules[top_name]
            return
        path = os.path.join(self._folder, name)
        if os.path.isdir(path):
            path = os.path.join(path, "__init__.py")
        elif not path.endswith(".py"):
            path += ".py"
        folder, file = os.path.split(path)
        is_package = file == "__init__.py"
        title = os.path.basename(folder) if is_package else file[:-3]
        locations = [folder] if is_package else None
        if not is_package and folder not in sys.path:
            sys.path.append(folder)
            self._added_folders.append(folder)
        loaded = sys.modules.get(title)
        if loaded is not None and loaded is not self._modules_before.get(title):
            # Another module of this show has imported it.
            self._loaded[title] = loaded
            return
        spec = importlib.util.spec_from_file_location(
            title, path, submodule_search_locations=locations
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is not a Python source file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[title] = module
        spec.loader.exec_module(module)
        self._loaded[title] = module

    def module(self, name: str) -> Any:
        """A module of the show, for access to its globals."""
        return self._loaded[name]

    def handler(self, channel: str) -> Callable[[float], Any] | None:
        """The function that handles the values of a channel, if there is one."""
        if "." not in channel:
            return self._resolve(self._default) if self._default else None
        return self._resolve(channel)

    def _resolve(self, name: str) -> Callable[[float], Any]:
        path = name.rpartition(".")[0]
        while path not in self._loaded:
            path = path.rpartition(".")[0]
            if not path:
                raise LookupError(
                    f"this show has no module for the handler `{name}`; "
                    f"its modules are: {', '.join(self._loaded)}"
                )
        target: Any = self._loaded[path]
        for part in name[len(path) + 1 :].split("."):
            target = getattr(target, part)
        if not callable(target):
            raise TypeError(f"`{name}` is not a function: its type is `{type(target).__name__}`")
        return target  # type: ignore[no-any-return]

    @property
    def outputs(self) -> list[tuple[str, float]]:
        """All outputs on channels of the show so far, in order."""
        return self._state.outputs

    def take(self) -> list[tuple[str, float]]:
        """Returns the outputs so far and clears them."""
        taken = list(self._state.outputs)
        self._state.outputs.clear()
        return taken

    @property
    def time(self) -> float:
        """Seconds since the show started."""
        return self._state.milliseconds / 1000

    def add_channel(self, *names: str) -> None:
        """Adds channels, as mappings in the configuration do."""
        for name in names:
            self._state.add_channel(name)

    def input(self, channel: str, value: float) -> None:
        """Sends a value to a channel: calls the channel's handler, if it has one."""
        number = _state.clamp(value)
        self._state.add_channel(channel)
        handler = self.handler(channel)
        self._state.current = channel
        try:
            if handler is not None:
                handler(number)
        finally:
            self._state.current = None
            self._state.last_inputs[channel] = number

    def advance(self, seconds: float) -> None:
        """Advances the time and calls interval functions at their times, in order."""
        end = self._state.milliseconds + round(seconds * 1000)
        while True:
            due = [entry for entry in self._state.intervals if entry.due <= end]
            if not due:
                break
            entry = min(due, key=lambda entry: entry.due)
            self._state.milliseconds = max(self._state.milliseconds, entry.due)
            entry.due += entry.period
            entry.function()
        self._state.milliseconds = end

    def poll(self, timeout: float = 1.0) -> int:
        """Calls the handlers of readable sockets; returns how many were called.

        Waits up to `timeout` seconds of real time until a socket is readable.
        """
        sockets = [socket for socket, _ in self._state.managed]
        readable, _, _ = select.select(sockets, [], [], timeout)
        called = 0
        for socket, function in list(self._state.managed):
            if any(socket is other for other in readable):
                function(socket)
                called += 1
        return called
