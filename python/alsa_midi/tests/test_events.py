"""Every class of events: arguments, attributes, text and transport through the sequencer."""

import copy
import errno
import gc
import pickle

import alsa_midi
import pytest
from alsa_midi import *  # noqa: F403
from alsa_midi import event as module

E = alsa_midi

#: Events, created by a function, and their texts.
EVENTS = [
    (lambda: E.NoteOnEvent(60), "<NoteOnEvent channel=0 note=60 velocity=127>"),
    (lambda: E.NoteOffEvent(60, 1, 2), "<NoteOffEvent channel=1 note=60 velocity=2>"),
    (
        lambda: E.KeyPressureEvent(note=1, channel=15, velocity=0),
        "<KeyPressureEvent channel=15 note=1 velocity=0>",
    ),
    (
        lambda: E.ControlChangeEvent(0, 7, 100),
        "<ControlChangeEvent channel=0 param=7 value=100>",
    ),
    (
        lambda: E.Control14BitChangeEvent(1, 1, 16383),
        "<Control14BitChangeEvent channel=1 param=1 value=16383>",
    ),
    (
        lambda: E.NonRegisteredParameterChangeEvent(1, 2, 3),
        "<NonRegisteredParameterChangeEvent channel=1 param=2 value=3>",
    ),
    (
        lambda: E.RegisteredParameterChangeEvent(1, 2, 3),
        "<RegisteredParameterChangeEvent channel=1 param=2 value=3>",
    ),
    (lambda: E.ProgramChangeEvent(2, 5), "<ProgramChangeEvent channel=2 value=5>"),
    (lambda: E.ChannelPressureEvent(2, 5), "<ChannelPressureEvent channel=2 value=5>"),
    (lambda: E.PitchBendEvent(0, -8192), "<PitchBendEvent channel=0 value=-8192>"),
    (lambda: E.SongPositionPointerEvent(0, 9), "<SongPositionPointerEvent channel=0 value=9>"),
    (lambda: E.SongSelectEvent(0, 9), "<SongSelectEvent channel=0 value=9>"),
    (lambda: E.TimeSignatureEvent(0, 4), "<TimeSignatureEvent channel=0 value=4>"),
    (lambda: E.KeySignatureEvent(0, 1), "<KeySignatureEvent channel=0 value=1>"),
    (lambda: E.StartEvent(3), "<StartEvent queue=3>"),
    (lambda: E.ContinueEvent(3), "<ContinueEvent queue=3>"),
    (lambda: E.StopEvent(control_queue=3), "<StopEvent queue=3>"),
    (lambda: E.ClockEvent(0), "<ClockEvent queue=0>"),
    (lambda: E.TickEvent(0), "<TickEvent queue=0>"),
    (
        lambda: E.SetQueuePositionTickEvent(5, 3),
        "<SetQueuePositionTickEvent queue=3 position=5>",
    ),
    (
        lambda: E.SetQueuePositionTimeEvent(1.5, control_queue=3),
        "<SetQueuePositionTimeEvent queue=3 position=1.500000000>",
    ),
    (
        lambda: E.SetQueueTempoEvent(500000, control_queue=3),
        "<SetQueueTempoEvent queue=3 tempo=500000 (120.0 bpm)>",
    ),
    (lambda: E.QueueSkewEvent(1, 65536, 3), "<QueueSkewEvent queue=3 value=1 base=65536>"),
    (
        lambda: E.SyncPositionChangedEvent(7, 3),
        "<SyncPositionChangedEvent queue=3 position=7>",
    ),
    (lambda: E.TuneRequestEvent(), "<TuneRequestEvent>"),
    (lambda: E.ResetEvent(), "<ResetEvent>"),
    (lambda: E.ActiveSensingEvent(), "<ActiveSensingEvent>"),
    (lambda: E.EchoEvent(raw_data=b"0123456789ab"), "<EchoEvent data=b'0123456789ab'>"),
    (lambda: E.OSSEvent(raw_data=b"0123456789ab"), "<OSSEvent data=b'0123456789ab'>"),
    (lambda: E.ClientStartEvent((1, 2)), "<ClientStartEvent 1:2>"),
    (lambda: E.ClientExitEvent("1:2"), "<ClientExitEvent 1:2>"),
    (lambda: E.ClientChangeEvent(1), "<ClientChangeEvent 1:0>"),
    (lambda: E.PortStartEvent((1, 2)), "<PortStartEvent 1:2>"),
    (lambda: E.PortExitEvent((1, 2)), "<PortExitEvent 1:2>"),
    (lambda: E.PortChangeEvent((1, 2)), "<PortChangeEvent 1:2>"),
    (
        lambda: E.PortSubscribedEvent((1, 2), (3, 4)),
        "<PortSubscribedEvent from 1:2 to 3:4>",
    ),
    (
        lambda: E.PortUnsubscribedEvent((1, 2), (3, 4)),
        "<PortUnsubscribedEvent from 1:2 to 3:4>",
    ),
    (lambda: E.ResultEvent(5, -6), "<ResultEvent event=5 result=-6>"),
    (lambda: E.SystemEvent(5, 6), "<SystemEvent event=5 result=6>"),
    (lambda: E.SysExEvent(b"\xf0\x01\xf7"), r"<SysExEvent data=b'\xf0\x01\xf7'>"),
    (lambda: E.BounceEvent(b"x"), "<BounceEvent data=b'x'>"),
    (lambda: E.UserVar0Event([1, 2]), r"<UserVar0Event data=b'\x01\x02'>"),
    (lambda: E.UserVar1Event(b""), "<UserVar1Event data=b''>"),
    (lambda: E.UserVar2Event(bytearray(b"x")), "<UserVar2Event data=b'x'>"),
    (lambda: E.UserVar3Event(b"x" * 100), "<UserVar3Event data=<100 bytes>>"),
    (lambda: E.UserVar4Event(b"x"), "<UserVar4Event data=b'x'>"),
    (lambda: E.Event(E.EventType.USR3, raw_data=b"abc"), "<Event USR3>"),
    (lambda: E.Event(E.EventType(77)), "<Event UNKNOWN_77>"),
    (lambda: E.Event(E.EventType.QFRAME), "<Event QFRAME>"),
]
NAMES = [text.split()[0].strip("<>") for _, text in EVENTS]


@pytest.mark.parametrize(("make", "text"), EVENTS, ids=NAMES)
def test_text(make, text):
    assert repr(make()) == str(make()) == text


@pytest.mark.parametrize(("make", "text"), EVENTS, ids=NAMES)
def test_transport_through_the_sequencer(make, text, pair):
    sent = make()
    received = pair.pass_through(sent)
    assert repr(received) == text
    assert type(received) is type(sent)
    assert received.type == sent.type and isinstance(received.type, E.EventType)
    assert received.source == E.Address(pair.out) and received.dest == E.Address(pair.into)
    assert (received.queue_id, received.tag, received.relative) == (253, 0, False)
    assert (received.tick, received.time) == (0, None)
    assert isinstance(received.flags, E.EventFlags)
    assert len(received.raw_data) == 12
    # A received event can be sent again.
    received.dest = None
    assert repr(pair.pass_through(received)) == text


def test_every_class_is_covered():
    classes = {
        name
        for name, value in vars(alsa_midi).items()
        if isinstance(value, type) and issubclass(value, E.Event)
    }
    # MidiBytesEvent is tested below, NoteEvent in test_queues.py.
    assert classes - set(NAMES) == {"MidiBytesEvent", "NoteEvent"}
    assert set(module._EVENT_CLASSES) == {cls.type for cls in module._EVENT_CLASSES.values()}


@pytest.mark.parametrize(("make", "text"), EVENTS, ids=NAMES)
def test_copies_and_equality(make, text):
    event = make()
    event.tag = 5
    event.comment = "kept"
    for other in (copy.copy(event), pickle.loads(pickle.dumps(event))):
        assert type(other) is type(event) and repr(other) == text
        assert (other.tag, other.comment) == (5, "kept")
        assert other != event  # events are equal only to themselves
    assert event == event
    assert event in {event}


def test_defaults():
    event = E.NoteOnEvent(60)
    assert (event.note, event.channel, event.velocity) == (60, 0, 127)
    assert event.type is E.EventType.NOTEON is E.NoteOnEvent.type
    assert event.flags == 0 and isinstance(event.flags, E.EventFlags)
    assert event.tag == 0
    unset = ["queue_id", "time", "tick", "relative", "source", "dest", "raw_data"]
    assert all(getattr(event, name) is None for name in unset)
    note = E.NoteEvent(60)
    assert (note.duration, note.off_velocity) == (0, 0)
    assert E.Event().type is None and repr(E.Event()) == "<Event unknown>"
    assert E.StartEvent().control_queue is None and repr(E.StartEvent()) == "<StartEvent>"


def test_keywords_that_all_events_accept():
    event = E.NoteOnEvent(
        60,
        time=1.5,
        queue_id=1,
        relative=True,
        source=(128, 0),
        dest="14:0",
        tag=7,
        flags=16,
        raw_data=b"x",
    )
    assert event.time == E.RealTime(1.5) and isinstance(event.time, E.RealTime)
    assert event.time is event.time
    assert (event.queue_id, event.tag, event.relative, event.raw_data) == (1, 7, True, b"x")
    assert event.flags is E.EventFlags.PRIORITY_HIGH
    assert isinstance(event.source, E.Address) and event.source == (128, 0)
    assert isinstance(event.dest, E.Address) and event.dest == (14, 0)
    assert E.TuneRequestEvent(tick=5).tick == 5
    assert E.Event(type=E.EventType.ECHO, tick=3).tick == 3


def test_attributes_are_checked_on_output(pair):
    event = E.NoteOnEvent(60)
    for value in (200, "x", 5.5, None, [1]):
        event.note = value
        assert event.note == value
    with pytest.raises(TypeError, match=r"note is \[1\]; expected an integer from 0 to 255"):
        pair.sender.event_output(event, port=pair.out)
    event.note = 61
    event.dest = (pair.receiver.client_id, pair.into.port_id)
    event.type = E.EventType.NOTEOFF
    assert event.type is E.EventType.NOTEOFF and E.NoteOnEvent.type is E.EventType.NOTEON
    received = pair.pass_through(event)
    assert isinstance(received, E.NoteOffEvent) and received.note == 61


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: E.NoteOnEvent(128), ValueError, "note is 128; expected 0 to 127"),
        (lambda: E.NoteOnEvent(-1), ValueError, "note is -1; expected 0 to 127"),
        (lambda: E.NoteOnEvent(10**30), ValueError, "expected 0 to 127"),
        (lambda: E.NoteOnEvent(60, 16), ValueError, "channel is 16; expected 0 to 15"),
        (lambda: E.NoteOnEvent(60, 0, 128), ValueError, "velocity is 128"),
        (lambda: E.NoteOnEvent("sixty"), ValueError, ""),
        (lambda: E.NoteOnEvent(None), TypeError, ""),
        (lambda: E.NoteOnEvent(), TypeError, "note"),
        (lambda: E.NoteOnEvent(1, 2, 3, 4), TypeError, ""),
        (lambda: E.NoteOnEvent(60, foo=1), TypeError, "foo"),
        (lambda: E.NoteOnEvent(60, type=7), TypeError, "type"),
        (lambda: E.NoteEvent(60, off_velocity=200), ValueError, "off_velocity is 200"),
        (lambda: E.NoteOnEvent(60, time=1, tick=1), ValueError, "both"),
        (lambda: E.NoteOnEvent(60, time=-1), ValueError, "negative"),
        (lambda: E.NoteOnEvent(60, flags="x"), ValueError, ""),
        (lambda: E.NoteOnEvent(60, source="x"), E.ALSAError, "invalid address"),
        (lambda: E.NoteOnEvent(60, dest=(1, 2, 3)), TypeError, ""),
        (lambda: E.SysExEvent("text"), TypeError, ""),
        (lambda: E.SysExEvent([300]), ValueError, ""),
        (lambda: E.SysExEvent(), TypeError, "data"),
        (lambda: E.SysExEvent(1 << 40), OverflowError, "16777216"),
        (lambda: E.StartEvent("x"), AttributeError, "queue_id"),
        (lambda: E.ControlChangeEvent(1), TypeError, "param"),
        (lambda: E.SetQueueTempoEvent(), ValueError, "bpm"),
        (lambda: E.SetQueueTempoEvent(500000, bpm=120), ValueError, "bpm"),
        (lambda: E.SetQueueTempoEvent(500000, 3), TypeError, ""),
        (lambda: E.SetQueueTempoEvent(bpm=0), ZeroDivisionError, "bpm"),
        (lambda: E.SetQueuePositionTickEvent(1, 2, 3), TypeError, ""),
        (lambda: E.SetQueuePositionTickEvent(1, 2, control_queue=3), TypeError, "twice"),
        (lambda: E.PortSubscribedEvent((1, 2)), TypeError, "connect_dest"),
        (lambda: E.MidiBytesEvent("text"), TypeError, ""),
        (lambda: E.Event(6, None), TypeError, ""),
    ],
)
def test_invalid_arguments(make, error, words):
    with pytest.raises(error) as caught:
        make()
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: E.ControlChangeEvent(300, 0, 0),
            OverflowError,
            "channel is 300; expected 0 to 255",
        ),
        (lambda: E.ControlChangeEvent(0, 1 << 33, 0), OverflowError, "param is 8589934592"),
        (lambda: E.ControlChangeEvent(0, -1, 0), OverflowError, "param is -1"),
        (lambda: E.ControlChangeEvent(0, 0, 1 << 40), OverflowError, "value is 1099511627776"),
        (lambda: E.ControlChangeEvent(0, 0, 1 << 90), OverflowError, "value is"),
        (lambda: E.ControlChangeEvent("x", 0, 0), TypeError, "channel is 'x'"),
        (lambda: E.ControlChangeEvent(0, 1.5, 0), TypeError, "param is 1.5"),
        (lambda: E.ProgramChangeEvent(0, "x"), TypeError, "value is 'x'"),
        (lambda: E.NoteEvent(60, duration=-1), OverflowError, "duration is -1"),
        (lambda: E.NoteOnEvent(60, tag=300), OverflowError, "tag is 300; expected 0 to 255"),
        (lambda: E.NoteOnEvent(60, tag="x"), TypeError, "tag is 'x'"),
        (lambda: E.NoteOnEvent(60, queue_id=300), OverflowError, "queue_id is 300"),
        (lambda: E.NoteOnEvent(60, queue_id="x"), TypeError, "queue_id is 'x'"),
        (lambda: E.NoteOnEvent(60, tick=-1), OverflowError, "tick is -1; expected 0 to 4294967295"),
        (lambda: E.NoteOnEvent(60, tick="x"), TypeError, "tick is 'x'"),
        (lambda: E.NoteOnEvent(60, time=5000000000), OverflowError, "5000000000"),
        (lambda: E.NoteOnEvent(60, dest=(300, 1)), OverflowError, "client of dest is 300"),
        (lambda: E.ClientStartEvent((300, 2)), OverflowError, "client of addr is 300"),
        (lambda: E.StartEvent(300), OverflowError, "control_queue is 300"),
        (lambda: E.Event(E.EventType.SYSEX), E.ALSAError, "variable length"),
        (lambda: E.Event(300), OverflowError, "type is 300"),
        (lambda: "no event", AttributeError, "expected an alsa_midi.Event"),
        (lambda: None, AttributeError, "expected an alsa_midi.Event"),
    ],
)
def test_values_that_cannot_be_sent(make, error, words, client):
    port = client.create_port("p")
    with pytest.raises(error) as caught:
        client.event_output(make(), port=port)
    assert words in str(caught.value)
    assert client.event_output_pending() == 0


def test_time_stamps_and_their_flags(pair):
    flags = E.EventFlags
    cases = [
        (dict(tick=5), flags(0), 5, None, False),
        (dict(time=1.5), flags.TIME_STAMP_REAL, None, 1.5, False),
        (dict(time=1.5, relative=True), flags(3), None, 1.5, True),
        (dict(tick=5, flags=3), flags.TIME_MODE_REL, 5, None, True),
        (dict(time=5, relative=False, flags=3), flags.TIME_STAMP_REAL, None, 5, False),
        (dict(flags=16), flags.PRIORITY_HIGH, 0, None, False),
        (dict(relative=True), flags.TIME_MODE_REL, 0, None, True),
    ]
    for arguments, bits, tick, time, relative in cases:
        received = pair.pass_through(E.NoteOnEvent(60, **arguments))
        assert received.flags == bits, arguments
        assert (received.tick, received.time, received.relative) == (tick, time, relative)


def test_lengths():
    assert E.NoteOnEvent(60).length() == 28
    assert E.SysExEvent(b"abc").length() == 31
    assert E.MidiBytesEvent(b"\x90\x3c\x7f").length() == 28


def test_tempo_in_microseconds_and_bpm():
    assert E.SetQueueTempoEvent(bpm=120).midi_tempo == 500000
    assert E.SetQueueTempoEvent(bpm=123).midi_tempo == 487805
    assert E.SetQueueTempoEvent(500001).bpm == pytest.approx(119.99976)
    with pytest.raises(AttributeError):
        E.SetQueueTempoEvent(500000).bpm = 5


def test_a_program_can_subclass_events():
    class Mine(E.NoteOnEvent):
        def __init__(self, note, extra, **kwargs):
            super().__init__(note, **kwargs)
            self.extra = extra

    mine = Mine(60, "more", tick=3)
    assert repr(mine) == "<Mine channel=0 note=60 velocity=127>"
    assert (mine.extra, mine.tick, mine.type) == ("more", 3, E.EventType.NOTEON)
    assert isinstance(mine, (E.NoteOnEvent, module.NoteEventBase, E.Event))


def test_a_subclass_is_sent_as_its_base(pair):
    class Mine(E.NoteOnEvent):
        pass

    assert type(pair.pass_through(Mine(62))) is E.NoteOnEvent


def test_reference_cycles_through_events_are_collected():
    class Marker:
        pass

    import weakref

    event = E.NoteOnEvent(60)
    marker = Marker()
    event.raw_data, marker.event = marker, event
    reference = weakref.ref(marker)
    del event, marker
    gc.collect()
    assert reference() is None


class TestMidiBytes:
    def test_text(self):
        event = E.MidiBytesEvent([0x90, 60, 127])
        assert repr(event) == "<MidiBytesEvent 90 3C 7F>"
        assert (event.midi_bytes, event.type) == (b"\x90\x3c\x7f", None)

    def test_output(self, pair):
        sender, receiver, port = pair.sender, pair.receiver, pair.out

        def send(data):
            return sender.event_output(E.MidiBytesEvent(data), port=port)

        assert send(b"\x90\x3c\x7f\x80\x3c\x00") == 56  # two messages
        assert send(b"") == 56
        assert send(b"\x90\x3d") == 56  # one message in two parts
        assert send(b"\x7f") == 84
        assert send(b"\x3e\x01") == 112  # running status
        sender.drain_output()
        shown = [repr(receiver.event_input(timeout=5)) for _ in range(4)]
        assert shown == [
            "<NoteOnEvent channel=0 note=60 velocity=127>",
            "<NoteOffEvent channel=0 note=60 velocity=0>",
            "<NoteOnEvent channel=0 note=61 velocity=127>",
            "<NoteOnEvent channel=0 note=62 velocity=1>",
        ]

    def test_common_attributes_go_to_every_event(self, pair):
        event = E.MidiBytesEvent(b"\x90\x3c\x7f\x80\x3c\x00", tag=3, tick=9)
        pair.sender.event_output(event, port=pair.out)
        pair.sender.drain_output()
        for _ in range(2):
            received = pair.receiver.event_input(timeout=5)
            assert (received.tag, received.tick) == (3, 9)

    def test_long_system_exclusive(self, pair):
        data = bytes([0xF0, *(n % 128 for n in range(3000)), 0xF7])
        pair.sender.event_output(E.MidiBytesEvent(data), port=pair.out)
        pair.sender.drain_output()
        received = b""
        while not received.endswith(b"\xf7"):
            event = pair.receiver.event_input(timeout=5)
            assert isinstance(event, E.SysExEvent) and len(event.data) <= 1024
            received += event.data
        assert received == data

    @pytest.mark.parametrize(
        ("event", "data"),
        [
            (lambda: E.NoteOnEvent(61), b"\x90\x3d\x7f"),
            (lambda: E.PitchBendEvent(1, 0), b"\xe1\x00\x40"),
            (lambda: E.SysExEvent(b"\xf0\x01\xf7"), b"\xf0\x01\xf7"),
            (
                lambda: E.NonRegisteredParameterChangeEvent(0, 257, 258),
                bytes([0xB0, 99, 2, 0xB0, 98, 1, 0xB0, 6, 2, 0xB0, 38, 2]),
            ),
            (lambda: E.Control14BitChangeEvent(0, 1, 258), bytes([0xB0, 1, 2, 0xB0, 33, 2])),
            (lambda: E.ClockEvent(), b"\xf8"),
        ],
    )
    def test_input(self, pair, event, data):
        pair.sender.event_output(event(), port=pair.out)
        pair.sender.drain_output()
        received = pair.receiver.event_input(prefer_bytes=True, timeout=5)
        assert isinstance(received, E.MidiBytesEvent)
        assert received.midi_bytes == data
        assert received.source == E.Address(pair.out)
        assert received.type == event().type

    def test_events_without_midi_bytes_are_not_converted(self, pair):
        pair.sender.event_output(E.EchoEvent(raw_data=b"x"), port=pair.out)
        pair.sender.drain_output()
        received = pair.receiver.event_input(prefer_bytes=True, timeout=5)
        assert isinstance(received, E.EchoEvent)


def test_an_unknown_event_of_variable_length_keeps_its_data(pair):
    event = E.Event(E.EventType(132), flags=E.EventFlags.EVENT_LENGTH_VARIABLE, raw_data=b"a" * 40)
    received = pair.pass_through(event)
    assert received.raw_data == b"a" * 40 and received.type == 132


def test_a_note_with_a_duration_needs_a_queue(pair):
    with pytest.raises(E.ALSAError) as caught:
        pair.sender.event_output_direct(E.NoteEvent(60, duration=10), port=pair.out)
    assert caught.value.errnum == -errno.EINVAL
    assert "queue" in str(caught.value)


def test_a_subclass_can_set_its_own_type(pair):
    class Cue(E.Event):
        type = E.EventType.USR3

    class Pressure(E.NoteOnEvent):
        type = E.EventType.KEYPRESS

    class Louder(Cue):
        pass

    assert (Cue.type, Cue().type, Cue(E.EventType.USR4).type) == (90 + 3, 90 + 3, 90 + 4)
    for event, kind in (
        (Cue(raw_data=b"go"), E.EventType.USR3),
        (Louder(), E.EventType.USR3),
        (Pressure(60), E.EventType.KEYPRESS),
    ):
        assert pair.pass_through(event).type == kind
    event = Cue()
    event.type = E.EventType.USR5
    assert pair.pass_through(event).type == event.type == E.EventType.USR5


def test_events_can_be_combined_with_other_base_classes():
    words = []

    class Mixin:
        def __init_subclass__(cls, word, **kwargs):
            super().__init_subclass__(**kwargs)
            words.append(word)

    class Both(E.Event, Mixin, word="hello"):
        type = E.EventType.USR0

    assert words == ["hello"] and Both().type == E.EventType.USR0


def test_base_classes_have_no_type():
    assert E.Event.type is None and E.MidiBytesEvent.type is None
    assert E.NoteOnEvent.type == E.EventType.NOTEON


def test_argument_forms_of_python_alsa_midi():
    assert E.Event(dest=[128, 1], source=[1, 2]).dest == (128, 1)
    assert E.MidiBytesEvent(b"\x90\x01\x02", type=E.EventType.NOTEON).type == E.EventType.NOTEON
    with pytest.raises(TypeError):
        E.NoteOnEvent(60, type=E.EventType.NOTEON)


def test_the_text_of_long_data_shows_its_length():
    assert repr(E.SysExEvent(bytes(31))) == f"<SysExEvent data={bytes(31)!r}>"
    assert repr(E.SysExEvent(bytes(32))) == "<SysExEvent data=<32 bytes>>"
    event = E.SysExEvent(b"")
    event.data = 5
    assert repr(event) == "<SysExEvent data=5>"


def test_the_text_of_a_tempo_is_rounded_if_the_queue_is_set():
    assert repr(E.SetQueueTempoEvent(600001)) == (
        "<SetQueueTempoEvent tempo=600001 (99.99983333361111 bpm)>"
    )
    assert repr(E.SetQueueTempoEvent(600001, control_queue=1)) == (
        "<SetQueueTempoEvent queue=1 tempo=600001 (100.0 bpm)>"
    )


def test_values_may_access_their_event(pair):
    class Value:
        """Computes everything from its event."""

        def __init__(self, event):
            self.event = event

        def __str__(self):
            return f"as loud as {self.event.velocity}"

        def __index__(self):
            return self.event.velocity

        __int__ = __index__

        def __len__(self):
            return len(repr(self.event.tag))

        def __bytes__(self):
            return bytes([self.event.tag])

        def __del__(self):
            deleted.append(self.event.tag)

    deleted = []
    event = E.NoteOnEvent(1, velocity=9)
    event.note = Value(event)
    assert repr(event) == "<NoteOnEvent channel=0 note=as loud as 9 velocity=9>"
    assert pair.pass_through(event).note == 9
    event.note = 2
    assert deleted == [0]
    event.__init__(Value(event))
    assert (event.note, event.velocity) == (9, 127)
    event = E.SysExEvent(b"", tag=7)
    event.data = Value(event)
    assert event.length() == 29
    assert pair.pass_through(event).data == b"\x07"
    event.data = None
    assert deleted == [0, 0, 7]
