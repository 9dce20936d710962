"""Queues."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from alsa_midi import _core
from alsa_midi.event import EventType, RealTime
from alsa_midi.exceptions import StateError

if TYPE_CHECKING:
    from alsa_midi.client import SequencerClientBase

__all__ = ["Queue", "QueueInfo", "QueueStatus", "QueueTempo", "QueueTimer", "QueueTimerType"]


@dataclass(repr=False)
class QueueInfo:
    """A queue: number, name, owner, and whether only the owner may control it."""

    queue_id: int = 0
    name: str = ""
    owner: int = 0
    locked: bool = False
    flags: int = 0

    def __repr__(self) -> str:
        return f"<QueueInfo #{self.queue_id} {self.name!r}>"


@dataclass
class QueueStatus:
    """What a queue is doing: its time, and how many events wait in it."""

    queue_id: int = 0
    events: int = 0
    tick_time: int = 0
    real_time: RealTime = field(default_factory=RealTime)
    status: int = 0

    @property
    def running(self) -> bool:
        """Whether the queue runs."""
        return bool(self.status & 1)


@dataclass
class QueueTempo:
    """Tempo (microseconds per quarter note) and resolution (ticks per quarter note)."""

    tempo: int = 500000
    ppq: int = 96
    skew: int | None = None
    skew_base: int | None = None

    @property
    def bpm(self) -> float:
        """Quarter notes per minute."""
        return 60000000.0 / self.tempo


class QueueTimerType(IntEnum):
    """What drives a queue."""

    ALSA = 0
    MIDI_CLOCK = 1
    MIDI_TICK = 2


class TimerId(NamedTuple):
    """A timer of ALSA's."""

    dev_class: int
    dev_sclass: int
    card: int
    device: int
    subdevice: int


@dataclass
class QueueTimer:
    """What drives a queue, and its resolution in Hz (0: the default)."""

    id: TimerId = TimerId(0, 0, 0, 0, 0)
    queue_id: int = 0
    type: QueueTimerType = QueueTimerType.ALSA
    resolution: int = 0


class Queue(_core.QueueHandle):
    """A queue that a client uses, as ``create_queue`` and ``get_queue`` make it.

    A queue of the client's own is freed by ``close``, or when this object goes; another's is
    released then. ``Queue(client, number)`` makes one more object of a queue, which it does not
    own. ``start``, ``stop`` and ``continue_`` go into the client's output buffer and act when it is
    drained.
    """

    client: SequencerClientBase | None
    queue_id: int | None
    _own: bool | None

    def __init__(
        self, client: SequencerClientBase, queue_id: int, *, _own: bool | None = None
    ) -> None:
        self.client = client
        self.queue_id, _ = self._use(client, queue_id)
        self._own = _own

    def _open_client(self) -> SequencerClientBase:
        client = self.client
        if client is None or client._closed:
            raise StateError("Already closed: the queue")
        return client

    def close(self) -> None:
        """Free the queue, or release it if it is another client's. Closing twice does nothing."""
        client = self.client
        if client is not None and self.queue_id is not None:
            client._forget_queue(self)
        self.client = None
        self.queue_id = None
        own, self._own = self._own, False
        if own:
            self._close()
        else:
            self._leave()

    def control(self, event_type: EventType, value: int = 0) -> None:
        """Put a control event for the queue into the output buffer."""
        client = self._open_client()
        client._queue_control(self.queue_id, event_type, value)

    def start(self) -> None:
        """Start the queue from the beginning, when the output is drained."""
        self.control(EventType.START)

    def stop(self) -> None:
        """Stop the queue, when the output is drained."""
        self.control(EventType.STOP)

    def continue_(self) -> None:
        """Go on where the queue was stopped, when the output is drained."""
        self.control(EventType.CONTINUE)

    def get_info(self) -> QueueInfo:
        """Name, owner and locking."""
        return self._open_client().get_queue_info(self._number())

    def set_info(self, info: QueueInfo) -> None:
        """Change owner and locking (and on some kernels the name)."""
        self._open_client().set_queue_info(self._number(), info)

    def get_status(self) -> QueueStatus:
        """Time, state and number of waiting events."""
        return self._open_client().get_queue_status(self._number())

    def _number(self) -> int:
        if self.queue_id is None:
            raise StateError("Already closed: the queue")
        return self.queue_id

    def get_tempo(self) -> QueueTempo:
        """Tempo and resolution."""
        self._open_client()
        return QueueTempo(*self._tempo())

    def set_tempo(
        self,
        tempo: int | QueueTempo | None = None,
        ppq: int | None = None,
        skew: int | None = None,
        skew_base: int | None = None,
        bpm: float | None = None,
    ) -> None:
        """Set the tempo, at once.

        ``tempo`` in microseconds per quarter note (or a ``QueueTempo``), or ``bpm`` in quarter
        notes per minute; ``ppq`` ticks per quarter note, 96 unless given.
        """
        self._open_client()
        if (tempo is None) == (bpm is None):
            raise ValueError("one of 'tempo' and 'bpm' must be given, not both")
        microseconds: Any
        if bpm is not None:
            if bpm == 0:
                raise ZeroDivisionError("bpm is 0; expected above 0")
            microseconds = int(60000000 // bpm)
        elif isinstance(tempo, QueueTempo):
            microseconds = tempo.tempo
            ppq = tempo.ppq if ppq is None else ppq
            skew = tempo.skew if skew is None else skew
            skew_base = tempo.skew_base if skew_base is None else skew_base
        else:
            microseconds = tempo
        # A skew of 0 would hold the queue for ever; it means none, as a base of 0 does.
        self._set_tempo(microseconds, 96 if ppq is None else ppq, skew or None, skew_base or None)

    def get_timer(self) -> QueueTimer:
        """What drives the queue."""
        self._open_client()
        kind, timer, resolution, queue_id = self._timer()
        return QueueTimer(TimerId(*timer), queue_id, QueueTimerType(kind), resolution)

    def set_timer(self, timer: QueueTimer) -> QueueTimer:
        """Set what drives the queue."""
        self._open_client()
        self._set_timer(timer.type, tuple(timer.id), timer.resolution)
        return timer

    def get_usage(self) -> bool:
        """Whether the client uses the queue."""
        self._open_client()
        return self._usage()

    def set_usage(self, usage: bool) -> None:
        """Set whether the client uses the queue; it must, to send events through it."""
        self._open_client()
        self._set_usage(bool(usage))
