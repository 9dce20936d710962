"""Listening to, drawing and rendering sounds: `play`, `plot`, `render` and `graph`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from .typing import SupportsRenderMemo

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from os import PathLike
    from pathlib import Path

__all__ = ["Player", "Plotter", "graph", "play", "plot", "render"]

#: Programs that open a file with what the user prefers, or that play sounds.
_OPENERS = ("xdg-open", "open")
_PLAYERS = ("mpv", "ffplay", "pw-play", "aplay")


def _output_folder() -> Path:
    """The folder for results."""
    import consort_sc

    folder: Path = consort_sc.output_path
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _open(path: Path, programs: tuple[str, ...]) -> None:
    """Opens a file with the first of these programs that is installed."""
    import shutil
    import subprocess

    for program in programs:
        if shutil.which(program):
            subprocess.Popen(
                [program, str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            return
    raise RuntimeError(f"cannot open {path}: install one of {', '.join(programs)}")


@dataclasses.dataclass(frozen=True)
class PlayMemo:
    """The contents of a sound file, which can be rendered when their source is gone."""

    contents: bytes
    suffix: str

    def __render__(
        self,
        output_file_path: PathLike[str] | None = None,
        render_directory_path: PathLike[str] | None = None,
        **kwargs: Any,
    ) -> Coroutine[None, None, tuple[Path | None, int]]:
        return self._write(output_file_path, render_directory_path)

    async def _write(
        self,
        output_file_path: PathLike[str] | None,
        render_directory_path: PathLike[str] | None,
    ) -> tuple[Path | None, int]:
        import hashlib
        from pathlib import Path

        if output_file_path is None:
            name = f"audio-{hashlib.sha256(self.contents).hexdigest()}{self.suffix}"
            path = Path(render_directory_path or _output_folder()) / name
        else:
            path = Path(output_file_path)
        path.write_bytes(self.contents)
        return path, 0

    @classmethod
    def from_path(cls, path: Path) -> PlayMemo:
        """The contents of a sound file."""
        return cls(contents=path.read_bytes(), suffix=path.suffix)


class Player:
    """Renders something and plays the file."""

    def __init__(self, renderable: Any, **kwargs: Any) -> None:
        self.renderable = renderable
        self.render_kwargs = kwargs

    def __call__(self) -> tuple[Path | None, int]:
        path, exit_code = self.render()
        if path:
            self.open_output_path(path)
        return path, exit_code

    def open_output_path(self, output_path: Path) -> None:
        """Plays a file."""
        _open(output_path, (*_OPENERS, *_PLAYERS))

    def render(self) -> tuple[Path | None, int]:
        """Renders: the path of the file, and the exit code."""
        return render(self.renderable, **self.render_kwargs)


class Plotter:
    """Draws the samples of something and shows the picture. Needs numpy and matplotlib."""

    def __init__(self, plottable: Any, **kwargs: Any) -> None:
        self.plottable = plottable
        self.plot_kwargs = kwargs

    def __call__(self) -> Path:
        path = self.render()
        self.open_output_path(path)
        return path

    def open_output_path(self, output_path: Path) -> None:
        """Shows a picture."""
        _open(output_path, _OPENERS)

    def render(self) -> Path:
        """Draws the picture and returns its path."""
        import datetime

        import numpy
        from matplotlib import pyplot

        samples, sample_rate = self.plottable.__plot__()
        figure, axes = pyplot.subplots()
        for channel in numpy.atleast_2d(samples):
            axes.plot(numpy.arange(len(channel)) / sample_rate, channel)
        axes.set_xlabel("seconds")
        stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%S%f")
        path = _output_folder() / f"{stamp}.{self.plot_kwargs.get('format_', 'png')}"
        figure.savefig(path)
        pyplot.close(figure)
        return path


def graph(graphable: Any, format_: str = "pdf", layout: str = "dot") -> Path:
    """Draws the graph of a SynthDef or a signal with Graphviz and returns the path of the picture,
    in the folder for temporary files. `layout` is the program of Graphviz. Blocks until it exits.

    Raises `RuntimeError` if Graphviz is not installed or fails.
    """
    import shutil
    import subprocess
    import tempfile
    from pathlib import Path

    program = shutil.which(layout)
    if program is None:
        raise RuntimeError(f"cannot draw the graph: `{layout}` is not a program; install Graphviz")
    description = format(graphable.__graph__(), "graphviz")
    path = Path(tempfile.mkdtemp(prefix="consort-sc-")) / f"graph.{format_}"
    result = subprocess.run(
        [program, f"-T{format_}", "-o", str(path)],
        input=description,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise RuntimeError(f"{layout} cannot draw the graph: {result.stderr.strip()}")
    return path


def play(renderable: Any, **kwargs: Any) -> tuple[Path | None, int]:
    """Renders something and plays the file. The path of the file, and the exit code."""
    return Player(renderable, **kwargs)()


def plot(plottable: Any, format_: str = "png", **kwargs: Any) -> Path:
    """Draws the samples of something and shows the picture. Its path."""
    return Plotter(plottable, format_=format_, **kwargs)()


def render(
    renderable: Any,
    output_file_path: PathLike[str] | None = None,
    render_directory_path: PathLike[str] | None = None,
    **kwargs: Any,
) -> tuple[Path | None, int]:
    """Renders something into a sound file: the path of the file, and the exit code."""
    import asyncio

    if isinstance(renderable, SupportsRenderMemo):
        renderable = renderable.__render_memo__()
    result: tuple[Path | None, int] = asyncio.run(
        renderable.__render__(
            output_file_path=output_file_path,
            render_directory_path=render_directory_path,
            **kwargs,
        )
    )
    return result
