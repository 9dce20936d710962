"""Options of SuperCollider servers, and finding and ending their processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "DEFAULT_IP_ADDRESS",
    "DEFAULT_PORT",
    "ENVAR_SERVER_EXECUTABLE",
    "Options",
    "find",
    "kill",
]

DEFAULT_IP_ADDRESS = "127.0.0.1"
DEFAULT_PORT = 57110
#: The environment variable that names the server's program.
ENVAR_SERVER_EXECUTABLE = "SUPRIYA_SERVER_EXECUTABLE"

#: Where installers put the program.
_STANDARD_FOLDERS = (
    "/Applications/SuperCollider.app/Contents/Resources",
    "/Applications/SuperCollider/SuperCollider.app/Contents/Resources",
    "/usr/local/bin",
    "/usr/bin",
)

#: Options with a flag that is given if the value differs from the default.
_FLAGS = (
    ("audio_bus_channel_count", "-a"),
    ("block_size", "-z"),
    ("buffer_count", "-b"),
    ("control_bus_channel_count", "-c"),
    ("hardware_buffer_size", "-Z"),
    ("input_bus_channel_count", "-i"),
    ("input_stream_mask", "-I"),
    ("maximum_node_count", "-n"),
    ("maximum_synthdef_count", "-d"),
    ("memory_size", "-m"),
    ("output_bus_channel_count", "-o"),
    ("output_stream_mask", "-O"),
    ("random_number_generator_count", "-r"),
    ("restricted_path", "-P"),
    ("safety_clip", "-s"),
    ("ugen_plugins_path", "-U"),
    ("wire_buffer_count", "-w"),
)
#: The same, for servers that run in real time.
_REALTIME_FLAGS = (
    ("ip_address", "-B"),
    ("password", "-p"),
    ("sample_rate", "-S"),
)


@dataclass(frozen=True)
class Options:
    """Options of a server.

    Counts are numbers of channels, buffers, nodes and so on; `memory_size` is in KiB,
    `sample_rate` in hertz, `block_size` and `hardware_buffer_size` in samples. `None` leaves the
    choice to the server.
    """

    audio_bus_channel_count: int = 1024
    block_size: int = 64
    buffer_count: int = 1024
    control_bus_channel_count: int = 16384
    executable: str | None = None
    hardware_buffer_size: int | None = None
    initial_node_id: int = 1000
    input_bus_channel_count: int = 8
    input_device: str | None = None
    input_stream_mask: str = ""
    ip_address: str = DEFAULT_IP_ADDRESS
    load_synthdefs: bool = True
    maximum_logins: int = 1
    maximum_node_count: int = 1024
    maximum_synthdef_count: int = 1024
    memory_locking: bool = False
    memory_size: int = 8192
    output_bus_channel_count: int = 8
    output_device: str | None = None
    output_stream_mask: str = ""
    password: str | None = None
    port: int = DEFAULT_PORT
    protocol: str = "udp"
    random_number_generator_count: int = 64
    realtime: bool = True
    restricted_path: str | None = None
    safety_clip: int | str | None = None
    sample_rate: int | None = None
    threads: int | None = 6
    ugen_plugins_path: str | None = None
    verbosity: int = 0
    wire_buffer_count: int = 64
    zero_configuration: bool = False

    def __post_init__(self) -> None:
        if self.audio_bus_channel_count < self.first_private_bus_id:
            raise ValueError(
                f"Insufficient audio buses: {self.audio_bus_channel_count} for "
                f"{self.output_bus_channel_count} outputs and {self.input_bus_channel_count} inputs"
            )

    def __iter__(self) -> Iterator[str]:
        return iter(self.serialize())

    def get_audio_bus_ids(self, client_id: int) -> tuple[int, int]:
        """The first private audio bus of a client, and the first beyond its last."""
        count = self.private_audio_bus_channel_count // self.maximum_logins
        first = self.first_private_bus_id + client_id * count
        return first, first + count

    def get_buffer_ids(self, client_id: int) -> tuple[int, int]:
        """The first buffer of a client, and the first beyond its last."""
        count = self.buffer_count // self.maximum_logins
        return client_id * count, (client_id + 1) * count

    def get_control_bus_ids(self, client_id: int) -> tuple[int, int]:
        """The first control bus of a client, and the first beyond its last."""
        count = self.control_bus_channel_count // self.maximum_logins
        return client_id * count, (client_id + 1) * count

    def get_sync_ids(self, client_id: int) -> tuple[int, int]:
        """The first number of a synchronisation of a client, and the first beyond its last."""
        return client_id << 26, (client_id + 1) << 26

    def serialize(self) -> list[str]:
        """The command line of the server: the program and its options, sorted by flag."""
        executable = self.executable or "scsynth"
        flags: dict[str, list[str]] = {}
        names = _FLAGS + _REALTIME_FLAGS if self.realtime else _FLAGS
        for name, flag in names:
            value = getattr(self, name)
            if value != type(self).__dataclass_fields__[name].default:
                flags[flag] = [str(value)]
        if not self.load_synthdefs:
            flags["-D"] = ["0"]
        if self.memory_locking:
            flags["-L"] = []
        if self.realtime:
            flags["-l"] = [str(self.maximum_logins)]
            flags["-t" if self.protocol == "tcp" else "-u"] = [str(self.port)]
            if not self.zero_configuration:
                flags["-R"] = ["0"]
            if self.input_device == self.output_device:
                if self.input_device:
                    flags["-H"] = [self.input_device]
            else:
                flags["-H"] = [self.input_device or "", self.output_device or ""]
            if self.verbosity > 0:
                flags["-v"] = [str(self.verbosity)]
            is_default = self.threads == type(self).__dataclass_fields__["threads"].default
            if os.path.basename(executable) == "supernova" and self.threads and not is_default:
                flags["-T"] = [str(self.threads)]
        arguments = [executable]
        for flag in sorted(flags):
            arguments += [flag, *flags[flag]]
        return arguments

    @property
    def first_private_bus_id(self) -> int:
        """The first audio bus that is neither an output nor an input."""
        return self.output_bus_channel_count + self.input_bus_channel_count

    @property
    def private_audio_bus_channel_count(self) -> int:
        """The number of audio buses that are neither outputs nor inputs."""
        return self.audio_bus_channel_count - self.first_private_bus_id


def find(scsynth_path: str | os.PathLike[str] | None = None) -> Path:
    """The path of the server's program: the argument, the environment variable
    `SUPRIYA_SERVER_EXECUTABLE`, or `scsynth` on `PATH` or in a standard folder.

    Raises `RuntimeError` if there is none.
    """
    import shutil
    from pathlib import Path

    path = scsynth_path or os.environ.get(ENVAR_SERVER_EXECUTABLE) or "scsynth"
    candidate = Path(path)
    if shutil.which(candidate):
        return candidate
    if candidate.parent == Path("."):
        for folder in _STANDARD_FOLDERS:
            if shutil.which(Path(folder) / candidate):
                return Path(folder) / candidate
    raise RuntimeError(
        f"Failed to locate executable: {path} is not a program; install SuperCollider's server, "
        f"or set {ENVAR_SERVER_EXECUTABLE}"
    )


def kill() -> None:
    """Ends all servers, `scsynth` and `supernova`, that this user runs on this machine. Processes
    of other users are left alone."""
    import signal
    from pathlib import Path

    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            name = (folder / "comm").read_text().strip()
            if name in ("scsynth", "supernova"):
                os.kill(int(folder.name), signal.SIGKILL)
        except (OSError, ValueError):
            # The process has exited, or belongs to another user.
            continue
