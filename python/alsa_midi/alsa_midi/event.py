"""Events, which the sequencer delivers from port to port.

The classes that have attributes of their own are compiled, in ``alsa_midi._core``. The classes in
this module differ only in their event type.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Any

from alsa_midi import _core
from alsa_midi._core import (
    AddressEventBase,
    ConnectEventBase,
    ControlChangeEventBase,
    Event,
    ExternalDataEventBase,
    MidiBytesEventBase,
    NoteEventBase,
    ParamChangeEventBase,
    QueueControlEventBase,
    RealTime,
    ResultEventBase,
    TypeField,
)

__all__ = [
    "RealTime",
    "EventType",
    "EventFlags",
    "Event",
    "MidiBytesEvent",
    "NoteEventBase",
    "MIDI_BYTES_EVENTS",
    "SystemEvent",
    "ResultEvent",
    "NoteEvent",
    "NoteOnEvent",
    "NoteOffEvent",
    "KeyPressureEvent",
    "ControlChangeEvent",
    "ProgramChangeEvent",
    "ChannelPressureEvent",
    "PitchBendEvent",
    "Control14BitChangeEvent",
    "NonRegisteredParameterChangeEvent",
    "RegisteredParameterChangeEvent",
    "SongPositionPointerEvent",
    "SongSelectEvent",
    "TimeSignatureEvent",
    "KeySignatureEvent",
    "StartEvent",
    "ContinueEvent",
    "StopEvent",
    "SetQueuePositionTickEvent",
    "SetQueuePositionTimeEvent",
    "SetQueueTempoEvent",
    "ClockEvent",
    "TickEvent",
    "QueueSkewEvent",
    "SyncPositionChangedEvent",
    "TuneRequestEvent",
    "ResetEvent",
    "ActiveSensingEvent",
    "EchoEvent",
    "OSSEvent",
    "ClientStartEvent",
    "ClientExitEvent",
    "ClientChangeEvent",
    "PortStartEvent",
    "PortExitEvent",
    "PortChangeEvent",
    "PortSubscribedEvent",
    "PortUnsubscribedEvent",
    "SysExEvent",
    "BounceEvent",
    "UserVar0Event",
    "UserVar1Event",
    "UserVar2Event",
    "UserVar3Event",
    "UserVar4Event",
]


class EventType(IntEnum):
    """The type of an event. Numbers without a name become members ``UNKNOWN_n``."""

    SYSTEM = 0
    RESULT = 1
    NOTE = 5
    NOTEON = 6
    NOTEOFF = 7
    KEYPRESS = 8
    CONTROLLER = 10
    PGMCHANGE = 11
    CHANPRESS = 12
    PITCHBEND = 13
    CONTROL14 = 14
    NONREGPARAM = 15
    REGPARAM = 16
    SONGPOS = 20
    SONGSEL = 21
    QFRAME = 22
    TIMESIGN = 23
    KEYSIGN = 24
    START = 30
    CONTINUE = 31
    STOP = 32
    SETPOS_TICK = 33
    SETPOS_TIME = 34
    TEMPO = 35
    CLOCK = 36
    TICK = 37
    QUEUE_SKEW = 38
    SYNC_POS = 39
    TUNE_REQUEST = 40
    RESET = 41
    SENSING = 42
    ECHO = 50
    OSS = 51
    CLIENT_START = 60
    CLIENT_EXIT = 61
    CLIENT_CHANGE = 62
    PORT_START = 63
    PORT_EXIT = 64
    PORT_CHANGE = 65
    PORT_SUBSCRIBED = 66
    PORT_UNSUBSCRIBED = 67
    USR0 = 90
    USR1 = 91
    USR2 = 92
    USR3 = 93
    USR4 = 94
    USR5 = 95
    USR6 = 96
    USR7 = 97
    USR8 = 98
    USR9 = 99
    SYSEX = 130
    BOUNCE = 131
    USR_VAR0 = 135
    USR_VAR1 = 136
    USR_VAR2 = 137
    USR_VAR3 = 138
    USR_VAR4 = 139
    NONE = 255

    @classmethod
    def _missing_(cls, value: object) -> EventType:
        if not isinstance(value, (int, str, float)):
            raise TypeError(f"{value!r} is not an event type; expected a number")
        number = int(value)
        if number in cls._value2member_map_:
            return cls(number)
        member = int.__new__(cls, number)
        member._name_ = f"UNKNOWN_{number}"
        member._value_ = number
        return member

    def __reduce_ex__(self, protocol: object) -> tuple[type[EventType], tuple[int]]:
        # Some versions of Python pickle members by name, but unknown types have no stored name.
        return (EventType, (int(self),))


class EventFlags(IntFlag):
    """Flag bits of an event."""

    TIME_STAMP_TICK = 0
    TIME_STAMP_REAL = 1
    TIME_STAMP_MASK = 1
    TIME_MODE_ABS = 0
    TIME_MODE_REL = 2
    TIME_MODE_MASK = 2
    EVENT_LENGTH_FIXED = 0
    EVENT_LENGTH_VARIABLE = 4
    EVENT_LENGTH_VARUSR = 8
    EVENT_LENGTH_MASK = 12
    PRIORITY_NORMAL = 0
    PRIORITY_HIGH = 16
    PRIORITY_MASK = 16


def _init_subclass(cls: Any, /, **kwargs: Any) -> None:
    """``Event.__init_subclass__``: turns a type that a subclass sets into a ``TypeField``."""
    super(Event, cls).__init_subclass__(**kwargs)
    kind = cls.__dict__.get("type")
    if isinstance(kind, int):
        # Events of the class are sent with this type, and each event can still change it.
        cls.type = TypeField(kind)


_event: Any = Event
_event.__init_subclass__ = classmethod(_init_subclass)
_event.type = TypeField(None)


class MidiBytesEvent(MidiBytesEventBase):
    """Any event as MIDI bytes.

    On output, the bytes may contain several messages, or a part of a message: the client keeps an
    incomplete message until the rest follows. On input, they contain one event.
    """


class SystemEvent(ResultEventBase):
    """The status of the system."""

    type: Any = TypeField(EventType.SYSTEM)


class ResultEvent(ResultEventBase):
    """The result of an event."""

    type: Any = TypeField(EventType.RESULT)


class NoteEvent(_core.NoteWithDurationBase):
    """A note with a duration. It must be sent through a queue."""

    type: Any = TypeField(EventType.NOTE)


class NoteOnEvent(NoteEventBase):
    """A note on."""

    type: Any = TypeField(EventType.NOTEON)


class NoteOffEvent(NoteEventBase):
    """A note off."""

    type: Any = TypeField(EventType.NOTEOFF)


class KeyPressureEvent(NoteEventBase):
    """The pressure on one key (polyphonic aftertouch)."""

    type: Any = TypeField(EventType.KEYPRESS)


class ControlChangeEvent(ControlChangeEventBase):
    """A controller with a value of 7 bits."""

    type: Any = TypeField(EventType.CONTROLLER)


class ProgramChangeEvent(ParamChangeEventBase):
    """A program change."""

    type: Any = TypeField(EventType.PGMCHANGE)


class ChannelPressureEvent(ParamChangeEventBase):
    """The pressure on all keys of a channel (channel aftertouch)."""

    type: Any = TypeField(EventType.CHANPRESS)


class PitchBendEvent(ParamChangeEventBase):
    """The position of the pitch wheel, from -8192 to 8191."""

    type: Any = TypeField(EventType.PITCHBEND)


class Control14BitChangeEvent(ControlChangeEventBase):
    """A controller with a value of 14 bits."""

    type: Any = TypeField(EventType.CONTROL14)


class NonRegisteredParameterChangeEvent(ControlChangeEventBase):
    """A non-registered parameter (NRPN)."""

    type: Any = TypeField(EventType.NONREGPARAM)


class RegisteredParameterChangeEvent(ControlChangeEventBase):
    """A registered parameter (RPN)."""

    type: Any = TypeField(EventType.REGPARAM)


class SongPositionPointerEvent(ParamChangeEventBase):
    """The position in the song, in sixteenth notes."""

    type: Any = TypeField(EventType.SONGPOS)


class SongSelectEvent(ParamChangeEventBase):
    """The selection of a song."""

    type: Any = TypeField(EventType.SONGSEL)


class TimeSignatureEvent(ParamChangeEventBase):
    """The time signature of a MIDI file."""

    type: Any = TypeField(EventType.TIMESIGN)


class KeySignatureEvent(ParamChangeEventBase):
    """The key signature of a MIDI file."""

    type: Any = TypeField(EventType.KEYSIGN)


class StartEvent(QueueControlEventBase):
    """MIDI start. Sent to the system timer, it starts a queue."""

    type: Any = TypeField(EventType.START)


class ContinueEvent(QueueControlEventBase):
    """MIDI continue. Sent to the system timer, it continues a queue."""

    type: Any = TypeField(EventType.CONTINUE)


class StopEvent(QueueControlEventBase):
    """MIDI stop. Sent to the system timer, it stops a queue."""

    type: Any = TypeField(EventType.STOP)


class SetQueuePositionTickEvent(_core.SetPositionTickBase):
    """Sets a queue's position in ticks."""

    type: Any = TypeField(EventType.SETPOS_TICK)


class SetQueuePositionTimeEvent(_core.SetPositionTimeBase):
    """Sets a queue's position in real time."""

    type: Any = TypeField(EventType.SETPOS_TIME)


class SetQueueTempoEvent(_core.SetTempoBase):
    """Sets a queue's tempo."""

    type: Any = TypeField(EventType.TEMPO)

    @property
    def bpm(self) -> float:
        """Quarter notes per minute."""
        return 60000000.0 / self.midi_tempo


class ClockEvent(QueueControlEventBase):
    """MIDI clock, 24 times per quarter note."""

    type: Any = TypeField(EventType.CLOCK)


class TickEvent(QueueControlEventBase):
    """MIDI tick."""

    type: Any = TypeField(EventType.TICK)


class QueueSkewEvent(_core.SkewBase):
    """Changes the skew of a queue's tempo."""

    type: Any = TypeField(EventType.QUEUE_SKEW)


class SyncPositionChangedEvent(_core.SetPositionTickBase):
    """A queue's position has changed."""

    type: Any = TypeField(EventType.SYNC_POS)


class TuneRequestEvent(Event):
    """Requests that synthesizers tune their oscillators."""

    type: Any = TypeField(EventType.TUNE_REQUEST)


class ResetEvent(Event):
    """Resets all devices to their initial state."""

    type: Any = TypeField(EventType.RESET)


class ActiveSensingEvent(Event):
    """Active sensing: shows that the connection still exists."""

    type: Any = TypeField(EventType.SENSING)


class EchoEvent(Event):
    """An event with any twelve bytes, which a client sends to itself through a queue as a timer."""

    type: Any = TypeField(EventType.ECHO)


class OSSEvent(Event):
    """A raw event of the OSS emulation."""

    type: Any = TypeField(EventType.OSS)


class ClientStartEvent(AddressEventBase):
    """A client has started."""

    type: Any = TypeField(EventType.CLIENT_START)


class ClientExitEvent(AddressEventBase):
    """A client has exited."""

    type: Any = TypeField(EventType.CLIENT_EXIT)


class ClientChangeEvent(AddressEventBase):
    """A client has changed."""

    type: Any = TypeField(EventType.CLIENT_CHANGE)


class PortStartEvent(AddressEventBase):
    """A port has been created."""

    type: Any = TypeField(EventType.PORT_START)


class PortExitEvent(AddressEventBase):
    """A port has been deleted."""

    type: Any = TypeField(EventType.PORT_EXIT)


class PortChangeEvent(AddressEventBase):
    """A port has changed."""

    type: Any = TypeField(EventType.PORT_CHANGE)


class PortSubscribedEvent(ConnectEventBase):
    """Two ports have been connected."""

    type: Any = TypeField(EventType.PORT_SUBSCRIBED)


class PortUnsubscribedEvent(ConnectEventBase):
    """Two ports have been disconnected."""

    type: Any = TypeField(EventType.PORT_UNSUBSCRIBED)


class SysExEvent(ExternalDataEventBase):
    """A system exclusive message, or a part of one."""

    type: Any = TypeField(EventType.SYSEX)


class BounceEvent(ExternalDataEventBase):
    """An event that could not be delivered."""

    type: Any = TypeField(EventType.BOUNCE)


class UserVar0Event(ExternalDataEventBase):
    """A user-defined event with data of any length, number 0."""

    type: Any = TypeField(EventType.USR_VAR0)


class UserVar1Event(ExternalDataEventBase):
    """A user-defined event with data of any length, number 1."""

    type: Any = TypeField(EventType.USR_VAR1)


class UserVar2Event(ExternalDataEventBase):
    """A user-defined event with data of any length, number 2."""

    type: Any = TypeField(EventType.USR_VAR2)


class UserVar3Event(ExternalDataEventBase):
    """A user-defined event with data of any length, number 3."""

    type: Any = TypeField(EventType.USR_VAR3)


class UserVar4Event(ExternalDataEventBase):
    """A user-defined event with data of any length, number 4."""

    type: Any = TypeField(EventType.USR_VAR4)


#: The event types that have a form in MIDI bytes.
MIDI_BYTES_EVENTS: list[EventType] = [
    EventType.NOTEOFF,
    EventType.NOTEON,
    EventType.KEYPRESS,
    EventType.CONTROLLER,
    EventType.PGMCHANGE,
    EventType.CHANPRESS,
    EventType.PITCHBEND,
    EventType.SYSEX,
    EventType.QFRAME,
    EventType.SONGPOS,
    EventType.SONGSEL,
    EventType.TUNE_REQUEST,
    EventType.CLOCK,
    EventType.START,
    EventType.CONTINUE,
    EventType.STOP,
    EventType.SENSING,
    EventType.RESET,
    EventType.CONTROL14,
    EventType.NONREGPARAM,
    EventType.REGPARAM,
]

#: The class of each event type.
_EVENT_CLASSES: dict[EventType, type[Event]] = {
    EventType.SYSTEM: SystemEvent,
    EventType.RESULT: ResultEvent,
    EventType.NOTE: NoteEvent,
    EventType.NOTEON: NoteOnEvent,
    EventType.NOTEOFF: NoteOffEvent,
    EventType.KEYPRESS: KeyPressureEvent,
    EventType.CONTROLLER: ControlChangeEvent,
    EventType.PGMCHANGE: ProgramChangeEvent,
    EventType.CHANPRESS: ChannelPressureEvent,
    EventType.PITCHBEND: PitchBendEvent,
    EventType.CONTROL14: Control14BitChangeEvent,
    EventType.NONREGPARAM: NonRegisteredParameterChangeEvent,
    EventType.REGPARAM: RegisteredParameterChangeEvent,
    EventType.SONGPOS: SongPositionPointerEvent,
    EventType.SONGSEL: SongSelectEvent,
    EventType.TIMESIGN: TimeSignatureEvent,
    EventType.KEYSIGN: KeySignatureEvent,
    EventType.START: StartEvent,
    EventType.CONTINUE: ContinueEvent,
    EventType.STOP: StopEvent,
    EventType.SETPOS_TICK: SetQueuePositionTickEvent,
    EventType.SETPOS_TIME: SetQueuePositionTimeEvent,
    EventType.TEMPO: SetQueueTempoEvent,
    EventType.CLOCK: ClockEvent,
    EventType.TICK: TickEvent,
    EventType.QUEUE_SKEW: QueueSkewEvent,
    EventType.SYNC_POS: SyncPositionChangedEvent,
    EventType.TUNE_REQUEST: TuneRequestEvent,
    EventType.RESET: ResetEvent,
    EventType.SENSING: ActiveSensingEvent,
    EventType.ECHO: EchoEvent,
    EventType.OSS: OSSEvent,
    EventType.CLIENT_START: ClientStartEvent,
    EventType.CLIENT_EXIT: ClientExitEvent,
    EventType.CLIENT_CHANGE: ClientChangeEvent,
    EventType.PORT_START: PortStartEvent,
    EventType.PORT_EXIT: PortExitEvent,
    EventType.PORT_CHANGE: PortChangeEvent,
    EventType.PORT_SUBSCRIBED: PortSubscribedEvent,
    EventType.PORT_UNSUBSCRIBED: PortUnsubscribedEvent,
    EventType.SYSEX: SysExEvent,
    EventType.BOUNCE: BounceEvent,
    EventType.USR_VAR0: UserVar0Event,
    EventType.USR_VAR1: UserVar1Event,
    EventType.USR_VAR2: UserVar2Event,
    EventType.USR_VAR3: UserVar3Event,
    EventType.USR_VAR4: UserVar4Event,
}
