"""Scores: contexts that are rendered into sound files."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import shlex
import shutil
import struct
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ..enums import BootStatus, CalculationRate, HeaderFormat, SampleFormat
from ..exceptions import ContextError
from ..osc import OscBundle
from ..scsynth import Options
from ..typing import HeaderFormatLike, SampleFormatLike
from .core import Context, LocalIds
from .entities import ContextObject
from .requests import DoNothing, Request, Requestable, RequestBundle

if TYPE_CHECKING:
    from ..typing import SupportsOsc


class Score(Context):
    """Requests with times, which are rendered into a sound file. They can only be made in a moment,
    whose time counts from the start."""

    def __init__(self, options: Options | None = None, **kwargs: Any) -> None:
        super().__init__(options, **kwargs)
        self._boot_status = BootStatus.ONLINE
        self._ids = LocalIds(self._options)
        #: The requests by time, in seconds.
        self._requests: dict[float, list[Requestable]] = {}

    async def __render__(
        self,
        output_file_path: PathLike[str] | None = None,
        render_directory_path: PathLike[str] | None = None,
        **kwargs: Any,
    ) -> tuple[Path | None, int]:
        return await self.render(
            output_file_path, render_directory_path=render_directory_path, **kwargs
        )

    def __repr__(self) -> str:
        command = shlex.join(dataclasses.replace(self.options, realtime=False))
        return f"<{type(self).__name__} [{command} -N ...]>"

    def _allocate_id(
        self,
        type_: type[ContextObject],
        calculation_rate: CalculationRate | None = None,
        count: int = 1,
        permanent: bool = False,
    ) -> int:
        return self._ids.allocate(type_, calculation_rate, count, permanent)

    def _free_id(
        self,
        type_: type[ContextObject],
        id_: int,
        calculation_rate: CalculationRate | None = None,
    ) -> None:
        # Requests are not in the order of their times, so that no id is free again.
        pass

    def _resolve_node(self, node: Any) -> int:
        return 0 if node is None else int(node)

    def _validate_can_request(self) -> None:
        if self._get_moment() is None:
            raise ContextError("a score takes requests only inside a moment: `with score.at(0):`")

    def _validate_moment_timestamp(self, seconds: float | None) -> None:
        if seconds is None or not seconds >= 0:
            raise ContextError(
                f"invalid time {seconds}: expected seconds from the start, 0 or more"
            )

    def send(self, message: Sequence[Any] | SupportsOsc | str) -> None:
        """Adds requests at a time.

        Raises `ContextError` for anything but a `RequestBundle` with a time.
        """
        if not isinstance(message, RequestBundle) or message.timestamp is None:
            raise ContextError(f"expected a bundle with a time, found {message!r}")
        self._requests.setdefault(message.timestamp, []).extend(message.contents)

    def iterate_request_bundles(self, until: float | None = None) -> Iterator[RequestBundle]:
        """The requests in the order of their times; the last bundle is at `until`."""
        last = 0.0
        for timestamp in sorted(self._requests):
            requests = list(self._requests[timestamp])
            last = timestamp
            if until and timestamp >= until:
                rest = requests if timestamp == until else []
                yield RequestBundle(timestamp=until, contents=[*rest, DoNothing()])
                return
            if requests:
                yield RequestBundle(timestamp=timestamp, contents=requests)
        if until and until > last:
            yield RequestBundle(timestamp=until, contents=[DoNothing()])

    def iterate_osc_bundles(self, until: float | None = None) -> Iterator[OscBundle]:
        """The bundles in the order of their times."""
        for bundle in self.iterate_request_bundles(until=until):
            yield bundle.to_osc()

    def iterate_datagrams(self, until: float | None = None) -> Iterator[bytes]:
        """The bundles as they are in a score file."""
        for bundle in self.iterate_osc_bundles(until=until):
            yield bundle.to_datagram(realtime=False)

    async def render(
        self,
        output_file_path: PathLike[str] | None = None,
        *,
        duration: float | None = None,
        header_format: HeaderFormatLike = HeaderFormat.AIFF,
        input_file_path: PathLike[str] | None = None,
        options: Options | None = None,
        render_directory_path: PathLike[str] | None = None,
        sample_format: SampleFormatLike = SampleFormat.INT24,
        sample_rate: float = 44100,
        suppress_output: bool = False,
        on_progress: Callable[[float], Any] | None = None,
        **kwargs: Any,
    ) -> tuple[Path | None, int]:
        """Renders the score with the server's program, and returns the path of the sound file and
        the program's exit code.

        Without a path, the file is in the folder `consort_sc.output_path`, with a name by its
        content. With `suppress_output` there is none. Paths of the score are relative to
        `render_directory_path`. `on_progress` gets the rendered seconds a few times a second.

        Raises `RuntimeError` if the server's program is not found.
        """
        header = HeaderFormat.from_expr(header_format).name.lower()
        sample = SampleFormat.from_expr(sample_format).name.lower()
        base = dataclasses.replace(options or self._options, **kwargs, realtime=False)
        command = base.serialize()
        datagrams = list(self.iterate_datagrams(until=duration))
        content = b"".join(struct.pack(">i", len(data)) + data for data in datagrams)
        source = str(Path(input_file_path).resolve()) if input_file_path else "_"
        identity = (content, " ".join(command[1:]), source, str(sample_rate))
        digest = hashlib.sha256(
            b"".join(part if isinstance(part, bytes) else part.encode() for part in identity)
        ).hexdigest()
        with TemporaryDirectory(prefix="consort-sc-") as temporary:
            folder = Path(render_directory_path or temporary).resolve()
            name = "/dev/null" if suppress_output else f"score-{digest}.{header}"
            (folder / f"score-{digest}.osc").write_bytes(content)
            command += ["-N", f"score-{digest}.osc", source, name, str(sample_rate), header, sample]
            exit_code = await _run(command, folder, on_progress)
            if suppress_output:
                return None, exit_code
            target = Path(output_file_path) if output_file_path else _output_folder() / name
            if (folder / name).exists() and (folder / name) != target:
                shutil.copy(folder / name, target)
            return target, exit_code

    def setup_system_synthdefs(self) -> None:
        """Adds the SynthDefs that servers get when they boot, at the start."""
        from ..ugens import SYSTEM_SYNTHDEFS

        with self.at(0):
            self.add_synthdefs(*SYSTEM_SYNTHDEFS.values())


def _output_folder() -> Path:
    """The folder for rendered files."""
    import consort_sc

    folder: Path = consort_sc.output_path
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def _run(command: list[str], folder: Path, on_progress: Callable[[float], Any] | None) -> int:
    """Runs the server's program in a folder, and returns its exit code."""
    import re

    if not shutil.which(command[0]):
        raise RuntimeError(f"cannot render: `{command[0]}` is not a program")
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        assert process.stdout is not None
        async for line in process.stdout:
            # The server prints the time of each bundle.
            match = re.match(rb"nextOSCPacket ([0-9.]+)", line)
            if match and on_progress is not None:
                on_progress(float(match[1]))
        return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


__all__ = ["Request", "Score"]
