"""Queues of the sequencer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from alsa_midi import _core
from alsa_midi.event import EventType, RealTime
from alsa_midi.exceptions import StateError

if TYPE_CHECKING:
    from alsa_midi._base import SequencerClientBase

__all__ = ["Queue", "QueueInfo", "QueueStatus", "QueueTempo", "QueueTimer", "QueueTimerType"]


@dataclass(repr=False)
class QueueInfo:
    """A queue: its number, name and owner, and whether only the owner may control it."""

    queue_id: int = 0
    name: str = ""
    owner: int = 0
    locked: bool = False
    flags: int = 0

    def __repr__(self) -> str:
        return f"<QueueInfo #{self.queue_id} {self.name!r}>"


@dataclass
class QueueStatus:
    """The state of a queue: its time, and the number of events that are waiting in it."""

    queue_id: int = 0
    events: int = 0
    tick_time: int = 0
    real_time: RealTime = field(default_factory=RealTime)
    status: int = 0

    @property
    def running(self) -> bool:
        """Whether the queue is running."""
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
    """The type of the timer that drives a queue."""

    ALSA = 0
    MIDI_CLOCK = 1
    MIDI_TICK = 2


class TimerId(NamedTuple):
    """The identifier of an ALSA timer."""

    dev_class: int
    dev_sclass: int
    card: int
    device: int
    subdevice: int


@dataclass
class QueueTimer:
    """The timer that drives a queue, and its resolution in Hz (0 for the default)."""

    id: TimerId = TimerId(0, 0, 0, 0, 0)
    queue_id: int = 0
    type: QueueTimerType = QueueTimerType.ALSA
    resolution: int = 0


class Queue(_core.QueueHandle):
    """A queue that a client uses, as ``create_queue`` and ``get_queue`` return it.

    ``close`` frees a queue that belongs to the client, and stops using the queue of another client.
    The end of this object has the same effect. ``Queue(client, number)`` creates a further object
    for a queue, which does not own it. ``start``, ``stop`` and ``continue_`` put events into the
    client's output buffer and take effect when it is drained.
    """

    client: SequencerClientBase | None
    queue_id: int | None
    #: Whether the queue belongs to the client; the name is python-alsa-midi's.
    _own: bool | None

    def __init__(
        self, client: SequencerClientBase, queue_id: int, *, _own: bool | None = None
    ) -> None:
        self.client = client
        self.queue_id, _ = self._use(client, queue_id)
        self._own = _own

    def _open_client(self) -> SequencerClientBase:
        """The client, unless the queue or the client is closed."""
        client = self.client
        if client is None or client._closed:
            raise StateError("Already closed: the queue")
        return client

    def close(self) -> None:
        """Free the queue, or stop using it if another client owns it.

        Closing twice does nothing.
        """
        client = self.client
        if client is not None and self.queue_id is not None:
            client._forget_queue(self)
        self.client = None
        self.queue_id = None
        is_own, self._own = self._own, False
        if is_own:
            self._close()
        else:
            self._leave()

    def control(self, event_type: EventType, value: int = 0) -> None:
        """Put a control event for the queue into the output buffer."""
        self._open_client()._queue_control(self._number(), event_type, value)

    def start(self) -> None:
        """Start the queue from the beginning. Takes effect when the output is drained."""
        self.control(EventType.START)

    def stop(self) -> None:
        """Stop the queue. Takes effect when the output is drained."""
        self.control(EventType.STOP)

    def continue_(self) -> None:
        """Continue from where the queue stopped. Takes effect when the output is drained."""
        self.control(EventType.CONTINUE)

    def get_info(self) -> QueueInfo:
        """Name, owner and locking of the queue."""
        return self._open_client().get_queue_info(self._number())

    def set_info(self, info: QueueInfo) -> None:
        """Change owner and locking of the queue, and on some kernels its name."""
        self._open_client().set_queue_info(self._number(), info)

    def get_status(self) -> QueueStatus:
        """Time, state and number of waiting events of the queue."""
        return self._open_client().get_queue_status(self._number())

    def _number(self) -> int:
        """The number of the queue, unless it is closed."""
        if self.queue_id is None:
            raise StateError("Already closed: the queue")
        return self.queue_id

    def get_tempo(self) -> QueueTempo:
        """Tempo and resolution of the queue."""
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
        """Set the tempo. Takes effect immediately.

        The tempo is given by ``tempo`` (microseconds per quarter note, or a ``QueueTempo``) or by
        ``bpm`` (quarter notes per minute). ``ppq`` is the number of ticks per quarter note, by
        default 96.
        """
        self._open_client()
        if tempo is None and bpm is None:
            raise ValueError("expected 'tempo' or 'bpm'")
        if tempo is not None and bpm is not None:
            raise ValueError("expected 'tempo' or 'bpm', but both are given")
        microseconds: Any
        if bpm is not None:
            if bpm == 0:
                raise ZeroDivisionError("bpm is 0; expected more than 0")
            microseconds = int(60000000 // bpm)
        elif isinstance(tempo, QueueTempo):
            microseconds = tempo.tempo
            ppq = tempo.ppq if ppq is None else ppq
            skew = tempo.skew if skew is None else skew
            skew_base = tempo.skew_base if skew_base is None else skew_base
        else:
            microseconds = tempo
        # A skew of 0 would stop the queue, so 0 stands for no skew, as a base of 0 does.
        self._set_tempo(microseconds, 96 if ppq is None else ppq, skew or None, skew_base or None)

    def get_timer(self) -> QueueTimer:
        """The timer that drives the queue."""
        self._open_client()
        number, timer_id, resolution, queue_id = self._timer()
        return QueueTimer(TimerId(*timer_id), queue_id, QueueTimerType(number), resolution)

    def set_timer(self, timer: QueueTimer) -> QueueTimer:
        """Set the timer that drives the queue."""
        self._open_client()
        self._set_timer(timer.type, tuple(timer.id), timer.resolution)
        return timer

    def get_usage(self) -> bool:
        """Whether the client uses the queue."""
        self._open_client()
        return self._usage()

    def set_usage(self, usage: bool) -> None:
        """Set whether the client uses the queue, as it must to send events through the queue."""
        self._open_client()
        self._set_usage(bool(usage))
