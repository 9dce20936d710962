"""Run a script's handlers in a test: values in, values out, time moved by hand."""

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
    `channels` are those that a configuration would map; handlers that get an `input` are added
    by themselves. `default_handler` is a function's name, as in the configuration.

    Use it as a context manager: it is started on entering; leaving calls the clean-up handler
    and forgets the modules.
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
        self._known: dict[str, ModuleType] = {}
        self._folders: list[str] = []

    def __enter__(self) -> Show:
        self._known = dict(sys.modules)
        _state.push(self._state)
        start = os.getcwd()
        os.chdir(self._folder)
        sys.path.insert(0, self._folder)
        try:
            for name in self._names:
                self._load(name)
        except BaseException:
            self._leave()
            raise
        finally:
            os.chdir(start)
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
        for folder in (self._folder, *self._folders):
            if folder in sys.path:
                sys.path.remove(folder)
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if self._known.get(name) is not module and file and self._is_ours(file):
                del sys.modules[name]
                if name in self._known:
                    sys.modules[name] = self._known[name]

    def _is_ours(self, file: str) -> bool:
        return os.path.abspath(file).startswith(self._folder + os.sep)

    def _load(self, name: str) -> None:
        if "/" not in name and not name.endswith(".py"):
            # The globals of an earlier show must not be seen again.
            for known in [known for known in sys.modules if known.split(".")[0] == name]:
                if self._is_ours(getattr(sys.modules[known], "__file__", None) or ""):
                    del sys.modules[known]
            importlib.invalidate_caches()
            importlib.import_module(name)
            head = name.partition(".")[0]
            self._loaded[head] = sys.modules[head]
            return
        path = os.path.join(self._folder, name)
        if os.path.isdir(path):
            path = os.path.join(path, "__init__.py")
        elif not path.endswith(".py"):
            path += ".py"
        folder, file = os.path.split(path)
        package = file == "__init__.py"
        title = os.path.basename(folder) if package else file[:-3]
        within = [folder] if package else None
        if not package and folder not in sys.path:
            sys.path.append(folder)
            self._folders.append(folder)
        loaded = sys.modules.get(title)
        if loaded is not None and loaded is not self._known.get(title):
            # One that was loaded before has imported it.
            self._loaded[title] = loaded
            return
        spec = importlib.util.spec_from_file_location(
            title, path, submodule_search_locations=within
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is no Python source")
        module = importlib.util.module_from_spec(spec)
        sys.modules[title] = module
        spec.loader.exec_module(module)
        self._loaded[title] = module

    def module(self, name: str) -> Any:
        """A module of the show, to look at its globals."""
        return self._loaded[name]

    def handler(self, channel: str) -> Callable[[float], Any] | None:
        """The function that takes the values of a channel, if there is one."""
        if "." not in channel:
            return self._resolve(self._default) if self._default else None
        return self._resolve(channel)

    def _resolve(self, name: str) -> Callable[[float], Any]:
        path = name.rpartition(".")[0]
        while path not in self._loaded:
            path = path.rpartition(".")[0]
            if not path:
                raise LookupError(f"no module of `{name}` in this show: {list(self._loaded)}")
        at: Any = self._loaded[path]
        for part in name[len(path) + 1 :].split("."):
            at = getattr(at, part)
        if not callable(at):
            raise TypeError(f"`{name}` is no function but {type(at).__name__}")
        return at  # type: ignore[no-any-return]

    @property
    def outputs(self) -> list[tuple[str, float]]:
        """Everything that was put out so far on channels of the show, in order."""
        return self._state.outputs

    def take(self) -> list[tuple[str, float]]:
        """What was put out since the last call."""
        taken = list(self._state.outputs)
        self._state.outputs.clear()
        return taken

    @property
    def time(self) -> float:
        """Seconds since the show started."""
        return self._state.milliseconds / 1000

    def add_channel(self, *names: str) -> None:
        """Channels that the configuration maps."""
        for name in names:
            self._state.add_channel(name)

    def input(self, channel: str, value: float) -> None:
        """A value comes in: calls the channel's handler, if it has one."""
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
        """Time passes: intervals are called at their times, in order."""
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
        """Calls the handlers of managed sockets that can be read; returns how many.

        Waits up to `timeout` seconds, of the real clock, for the first of them.
        """
        sockets = [socket for socket, _ in self._state.managed]
        readable, _, _ = select.select(sockets, [], [], timeout)
        called = 0
        for socket, function in list(self._state.managed):
            if any(socket is other for other in readable):
                function(socket)
                called += 1
        return called
