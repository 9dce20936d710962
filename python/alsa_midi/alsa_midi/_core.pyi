"""The types of the compiled part of alsa_midi."""

from collections.abc import Iterable
from typing import Any, SupportsInt, TypeAlias, final

from typing_extensions import Buffer, Self, disjoint_base

from alsa_midi._base import SequencerClientBase
from alsa_midi._info import ClientTuple, ConnectionTuple
from alsa_midi.address import Address
from alsa_midi.event import EventFlags, EventType
from alsa_midi.port import Port, PortInfo
from alsa_midi.queue import Queue

__all__ = [
    "__version__",
    "AddressEventBase",
    "Client",
    "ConnectEventBase",
    "ControlChangeEventBase",
    "EmbeddedEngine",
    "Event",
    "ExternalDataEventBase",
    "MidiBytesEventBase",
    "NoteEventBase",
    "NoteWithDurationBase",
    "ParamChangeEventBase",
    "PendingOutput",
    "PortHandle",
    "QueueControlEventBase",
    "QueueHandle",
    "RealTime",
    "ResultEventBase",
    "SetPositionTickBase",
    "SetPositionTimeBase",
    "SetTempoBase",
    "SkewBase",
    "TypeField",
    "address_pair",
    "setup",
]

__version__: str

_AddressLike: TypeAlias = (
    Address | Port | PortInfo | SequencerClientBase | tuple[int, int] | str | int
)
_Bytes: TypeAlias = Buffer | Iterable[int]

def address_pair(address: Any, port: Any = None, /) -> tuple[int, int]: ...
def setup(
    *,
    address: Any,
    event_type: Any,
    event_flags: Any,
    port_caps: Any,
    port_type: Any,
    port_info: Any,
    events: Any,
    midi_bytes_event: Any,
) -> None: ...

@disjoint_base
class RealTime:
    seconds: int
    nanoseconds: int
    def __new__(cls, seconds: float | str | RealTime = 0, nanoseconds: int = 0) -> Self: ...
    def __int__(self) -> int: ...
    def __float__(self) -> float: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __lt__(self, other: RealTime | float | str, /) -> bool: ...
    def __le__(self, other: RealTime | float | str, /) -> bool: ...
    def __gt__(self, other: RealTime | float | str, /) -> bool: ...
    def __ge__(self, other: RealTime | float | str, /) -> bool: ...

@final
class TypeField:
    def __new__(cls, kind: EventType | int | None) -> Self: ...
    def __get__(self, instance: object, owner: object = None, /) -> Any: ...
    def __set__(self, instance: object, value: Any, /) -> None: ...

@disjoint_base
class Event:
    type: EventType | None
    flags: EventFlags
    tag: int
    queue_id: int | None
    time: RealTime | None
    tick: int | None
    relative: bool | None
    source: Address | None
    dest: Address | None
    raw_data: bytes | None
    def __init__(
        self,
        type: EventType | int | None = None,
        *,
        flags: EventFlags | int | None = 0,
        tag: int = 0,
        queue_id: int | None = None,
        time: RealTime | float | str | None = None,
        tick: int | None = None,
        source: _AddressLike | None = None,
        dest: _AddressLike | None = None,
        relative: bool | None = None,
        raw_data: bytes | None = None,
    ) -> None: ...
    def length(self) -> int: ...

class NoteEventBase(Event):
    note: int
    channel: int
    velocity: int
    def __init__(
        self,
        note: SupportsInt | str,
        channel: int = 0,
        velocity: int = 127,
        **kwargs: Any,
    ) -> None: ...

class NoteWithDurationBase(NoteEventBase):
    duration: int
    off_velocity: int
    def __init__(
        self,
        note: SupportsInt | str,
        channel: int = 0,
        velocity: int = 127,
        duration: int = 0,
        off_velocity: int = 0,
        **kwargs: Any,
    ) -> None: ...

class ControlChangeEventBase(Event):
    channel: int
    param: int
    value: int
    def __init__(
        self,
        channel: int,
        param: int,
        value: int,
        **kwargs: Any,
    ) -> None: ...

class ParamChangeEventBase(Event):
    channel: int
    value: int
    def __init__(
        self,
        channel: int,
        value: int,
        **kwargs: Any,
    ) -> None: ...

class QueueControlEventBase(Event):
    control_queue: int | None
    def __init__(
        self,
        control_queue: Queue | int | None = None,
        **kwargs: Any,
    ) -> None: ...

class SetPositionTickBase(QueueControlEventBase):
    position: int
    def __init__(
        self,
        position: int,
        *args: Any,
        **kwargs: Any,
    ) -> None: ...

class SetPositionTimeBase(QueueControlEventBase):
    position: RealTime
    def __init__(
        self,
        position: RealTime | float | str,
        *args: Any,
        **kwargs: Any,
    ) -> None: ...

class SetTempoBase(QueueControlEventBase):
    midi_tempo: int
    def __init__(
        self,
        midi_tempo: int | None = None,
        *,
        bpm: float | None = None,
        **kwargs: Any,
    ) -> None: ...

class SkewBase(QueueControlEventBase):
    value: int
    base: int
    def __init__(
        self,
        value: int,
        base: int,
        *args: Any,
        **kwargs: Any,
    ) -> None: ...

class ResultEventBase(Event):
    event: int
    result: int
    def __init__(
        self,
        event: int,
        result: int,
        **kwargs: Any,
    ) -> None: ...

class AddressEventBase(Event):
    addr: Address
    def __init__(
        self,
        addr: _AddressLike,
        **kwargs: Any,
    ) -> None: ...

class ConnectEventBase(Event):
    connect_sender: Address
    connect_dest: Address
    def __init__(
        self,
        connect_sender: _AddressLike,
        connect_dest: _AddressLike,
        **kwargs: Any,
    ) -> None: ...

class ExternalDataEventBase(Event):
    data: bytes
    def __init__(
        self,
        data: _Bytes,
        **kwargs: Any,
    ) -> None: ...

class MidiBytesEventBase(Event):
    midi_bytes: bytes
    def __init__(
        self,
        midi_bytes: _Bytes,
        **kwargs: Any,
    ) -> None: ...

@final
class EmbeddedEngine:
    def __new__(cls, clock: str = "real") -> Self: ...
    @staticmethod
    def process_wide() -> EmbeddedEngine: ...
    @property
    def clock(self) -> str: ...
    @property
    def now(self) -> float: ...
    @property
    def next_due(self) -> float | None: ...
    def advance(self, duration: float) -> None: ...
    def advance_to_next(self) -> float | None: ...
    def run_until_idle(self) -> float: ...
    def clients_listing(self) -> str: ...
    def queues_listing(self) -> str: ...

@disjoint_base
class PortHandle:
    def __new__(cls, *_arguments: Any, **_keywords: Any) -> Self: ...
    def _create(
        self,
        client: Client,
        name: str,
        caps: int,
        type: int,
        port_id: int | None,
        midi_channels: int,
        midi_voices: int,
        synth_voices: int,
        timestamping: bool,
        timestamp_real: bool,
        timestamp_queue: int,
    ) -> tuple[int, int]: ...
    def _adopt(self, client: Client, port: int) -> tuple[int, int]: ...
    def _close(self) -> None: ...

@disjoint_base
class QueueHandle:
    def __new__(cls, *_arguments: Any, **_keywords: Any) -> Self: ...
    def _create(self, client: Client, name: str, locked: bool, flags: int) -> tuple[int, bool]: ...
    def _use(self, client: Client, queue_id: int) -> tuple[int, bool]: ...
    def _close(self) -> None: ...
    def _leave(self) -> None: ...
    def _tempo(self) -> tuple[int, int, int, int]: ...
    def _set_tempo(self, tempo: int, ppq: int, skew: int | None, skew_base: int | None) -> None: ...
    def _timer(self) -> tuple[int, tuple[int, int, int, int, int], int, int]: ...
    def _set_timer(self, kind: int, id: tuple[int, ...], resolution: int) -> None: ...
    def _usage(self) -> bool: ...
    def _set_usage(self, usage: bool) -> None: ...

@final
class PendingOutput: ...

@disjoint_base
class Client:
    def __new__(cls, *_arguments: Any, **_keywords: Any) -> Self: ...
    def _open(self, name: str, streams: int, engine: Any, may_block: bool) -> int: ...
    def _close(self) -> None: ...
    @property
    def _closed(self) -> bool: ...
    def _descriptor(self) -> int: ...
    def event_input(
        self, prefer_bytes: bool = False, timeout: float | None = None
    ) -> Event | None: ...
    def _try_event_input(self, prefer_bytes: bool) -> Event | None: ...
    def _as_bytes(self, event: Event) -> Event: ...
    def event_input_pending(self, fetch_sequencer: bool = False) -> int: ...
    def event_output(
        self,
        event: Event,
        queue: Queue | int | None = None,
        port: Port | int | None = None,
        dest: _AddressLike | None = None,
    ) -> int: ...
    def event_output_buffer(
        self,
        event: Event,
        queue: Queue | int | None = None,
        port: Port | int | None = None,
        dest: _AddressLike | None = None,
    ) -> int: ...
    def event_output_direct(
        self,
        event: Event,
        queue: Queue | int | None = None,
        port: Port | int | None = None,
        dest: _AddressLike | None = None,
    ) -> int: ...
    def _start_output(
        self,
        event: Event,
        queue: Queue | int | None,
        port: Port | int | None,
        dest: _AddressLike | None,
        direct: bool,
        must_wait: bool,
    ) -> int | PendingOutput: ...
    def _continue_output(self, output: PendingOutput) -> int | None: ...
    def drain_output(self) -> int: ...
    def _try_drain_output(self) -> int: ...
    def event_output_pending(self) -> int: ...
    def extract_output(self) -> Event: ...
    def drop_output_buffer(self) -> None: ...
    def drop_output(self) -> None: ...
    def drop_input_buffer(self) -> None: ...
    def drop_input(self) -> None: ...
    def sync_output_queue(self) -> None: ...
    def _queue_control(self, queue: int, kind: int, value: int) -> None: ...
    def _list_ports(
        self,
        input: bool,
        output: bool,
        type: int,
        include_system: bool,
        include_midi_through: bool,
        include_no_export: bool,
        only_connectable: bool,
        by_usefulness: bool,
    ) -> list[PortInfo]: ...
    def _engine_name(self) -> str: ...
    def _sequencer_type(self) -> int: ...
    def _system_info(self) -> tuple[int, int, int, int, int, int]: ...
    def _client_info(self, client_id: int | None) -> ClientTuple: ...
    def _set_client_info(
        self,
        client_id: int,
        name: str,
        broadcast_filter: bool,
        error_bounce: bool,
        event_lost: int,
        event_filter: list[EventType] | None,
    ) -> None: ...
    def _set_client_event_filter(self, event_type: EventType) -> None: ...
    def _query_next_client(self, previous: int | None) -> ClientTuple | None: ...
    def _client_pool(self) -> tuple[int, int, int, int, int, int]: ...
    def _set_client_pool(
        self, output_pool: int | None, input_pool: int | None, output_room: int | None
    ) -> None: ...
    def get_output_buffer_size(self) -> int: ...
    def set_output_buffer_size(self, size: int) -> None: ...
    def get_input_buffer_size(self) -> int: ...
    def set_input_buffer_size(self, size: int) -> None: ...
    def get_port_info(self, port: int | _AddressLike) -> PortInfo: ...
    def _set_port_info(self, port: int, info: PortInfo) -> None: ...
    def _query_next_port(self, client_id: int, previous: int | None) -> PortInfo | None: ...
    def _subscribe_port(
        self,
        sender: _AddressLike,
        dest: _AddressLike,
        queue: int | None,
        exclusive: bool,
        time_update: bool,
        time_real: bool,
    ) -> None: ...
    def unsubscribe_port(self, sender: _AddressLike, dest: _AddressLike) -> None: ...
    def _query_port_subscribers(
        self, root: _AddressLike, type: int, index: int
    ) -> ConnectionTuple: ...
    def _list_port_subscribers(
        self, port: _AddressLike, type: int | None
    ) -> list[ConnectionTuple]: ...
    def _query_named_queue(self, name: str) -> int: ...
    def _queue_info(self, queue_id: int) -> tuple[int, str, int, bool, int]: ...
    def _set_queue_info(
        self, queue_id: int, name: str, owner: int, locked: bool, flags: int
    ) -> None: ...
    def _queue_status(self, queue_id: int) -> tuple[int, int, int, tuple[int, int], int]: ...
    def _remove_events(
        self,
        condition: int,
        queue_id: int,
        time: RealTime | int,
        dest: _AddressLike,
        channel: int,
        event_type: int,
        tag: int,
    ) -> None: ...
