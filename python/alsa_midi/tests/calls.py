"""Makes calls of the public interface in this interpreter's `alsa_midi` and prints what each does
as JSON: a list of pairs, the call and its result. test_calls.py runs it for python-alsa-midi and
for this package."""
# A line is a call, and the calls use what is imported.
# ruff: noqa: E501, F401, F403

import enum
import errno
import json
import signal
import sys

import alsa_midi
from alsa_midi import *
from alsa_midi.client import (
    RemoveCondition,
    SequencerClientBase,
    SubscriptionQuery,
    SubscriptionQueryType,
)
from alsa_midi.queue import QueueTempo

#: A call that takes longer waits without end.
DEADLINE = 5

#: The calls, which run in this order with the same objects. An assignment is not compared. Calls
#: that end a program in libasound (a buffer of 0 bytes) or depend on the kernel are left out.
CALLS = """
a.get_sequencer_name()
int(a.get_sequencer_type())
a.get_output_buffer_size()
a.get_input_buffer_size()
a.set_output_buffer_size(4096)
a.get_output_buffer_size()
a.set_input_buffer_size(65536)
a.get_input_buffer_size()
a.set_output_buffer_size("x")
a.set_output_buffer_size(16384)
a.get_client_info().name
int(a.get_client_info().type)
a.get_client_info().broadcast_filter
a.get_client_info().error_bounce
a.get_client_info().num_ports
a.get_client_info().event_lost
a.get_client_info(0).name
a.get_client_info(b.client_id).name
a.get_client_info(191)
a.get_system_info().queues
a.get_system_info().clients
a.get_system_info().ports
a.get_system_info().channels
a.query_next_client().name
a.query_next_client(a.client_id).name
a.query_next_client(b.client_id)
a.query_next_port(0).name
a.query_next_port(0, 1)
a.query_next_port(191)
p = a.create_port("out", READ_PORT)
q = a.create_port("both", RW_PORT, PortType.MIDI_GENERIC)
r = b.create_port("in", WRITE_PORT)
p.get_info().name
int(p.get_info().capability)
int(p.get_info().type)
p.get_info().midi_channels
p.get_info().read_use
p.port_id
q.port_id
a.create_port(5)
n = a.create_port("numbered", port_id=9, midi_channels=4, midi_voices=2, synth_voices=1)
n.port_id
n.get_info().midi_channels
n.get_info().midi_voices
n.get_info().synth_voices
n.close()
n.close()
n.get_info()
a.get_port_info(p).name
a.get_port_info((b.client_id, 0)).name
a.get_port_info((b.client_id, 7))
a.get_port_info((191, 0))
a.get_port_info(77)
i = p.get_info()
i.name = "renamed"
p.set_info(i)
p.get_info().name
p.connect_to(r)
p.connect_to(r)
p.get_info().read_use
r.get_info().write_use
p.connect_from(r)
p.connect_to((191, 0))
p.connect_to((b.client_id, 7))
p.connect_to("nowhere")
[(int(s.type), int(s.exclusive), int(s.time_update)) for s in p.list_subscribers()]
len(r.list_subscribers())
len(r.list_subscribers(SubscriptionQueryType.WRITE))
len(a.list_port_subscribers(p))
a.query_port_subscribers(SubscriptionQuery(root=(a.client_id, 0), type=SubscriptionQueryType.READ, index=5))
a.unsubscribe_port(p, (191, 0))
a.subscribe_port(q, r, exclusive=True)
a.subscribe_port(q, r, queue=31, time_update=True)
a.unsubscribe_port(q, r)
b.drop_input()
a.event_output(NoteOnEvent(60, 1, 100), port=p)
a.event_output_pending()
a.drain_output()
a.event_output_pending()
b.event_input_pending(True) > 0
b.event_input()
b.event_input(timeout=0.01)
SequencerClientBase.event_input(b)
a.event_output_direct(NoteOffEvent(60, 1, 5), port=p); a.drain_output(); b.event_input()
a.event_output(ControlChangeEvent(3, 7, 64), port=p); a.drain_output(); b.event_input()
a.event_output(PitchBendEvent(2, -8192), port=p); a.drain_output(); b.event_input()
a.event_output(ProgramChangeEvent(2, 99), port=p); a.drain_output(); b.event_input()
a.event_output(ChannelPressureEvent(2, 99), port=p); a.drain_output(); b.event_input()
a.event_output(KeyPressureEvent(61, 2, 99), port=p); a.drain_output(); b.event_input()
a.event_output(SongPositionPointerEvent(0, 99), port=p); a.drain_output(); b.event_input()
a.event_output(ClockEvent(), port=p); a.drain_output(); b.event_input()
a.event_output(StartEvent(), port=p); a.drain_output(); b.event_input()
a.event_output(SysExEvent(b"\\xf0\\x01\\xf7"), port=p); a.drain_output(); b.event_input()
a.event_output(SysExEvent(b""), port=p); a.drain_output()
b.event_input(timeout=0.01)
a.event_output(MidiBytesEvent([0x90, 60, 100]), port=p); a.drain_output(); b.event_input()
a.event_output(MidiBytesEvent([0x90, 60, 100, 61, 100]), port=p); a.drain_output(); (b.event_input(), b.event_input())
a.event_output(NoteOnEvent(60), port=p); a.drain_output(); b.event_input(prefer_bytes=True)
a.event_output(NoteOnEvent(60), port=p, dest=r); a.drain_output(); b.event_input().dest == Address(r)
a.event_output(NoteOnEvent(60), dest=(191, 0)); a.drain_output()
a.drop_output_buffer()
a.event_output(NoteOnEvent(60), port=250); a.drain_output()
a.drop_output_buffer()
a.event_output(NoteOnEvent(60), queue=31); a.drain_output()
a.drop_output_buffer()
a.event_output("text")
a.event_output(NoteOnEvent(60), port="text")
a.event_output(NoteEvent(60, 0, 100, duration=5), port=p); a.drain_output()
a.drop_output_buffer()
a.event_output_buffer(NoteOnEvent(60), port=p)
a.extract_output()
a.extract_output()
a.event_output(SysExEvent(big), port=p); a.drain_output(); len(b.event_input().data)
a.event_output_direct(SysExEvent(big), port=p); a.drain_output(); len(b.event_input().data)
a.event_output_buffer(SysExEvent(big), port=p); a.drain_output(); len(b.event_input().data)
a.event_output_pending()
a.event_output(SysExEvent(bytes(70000)), port=p)
a.drop_output_buffer()
a.get_client_pool().output_pool
a.get_client_pool().input_pool
a.get_client_pool().output_free
a.set_client_pool_output(1000)
a.get_client_pool().output_pool
a.set_client_pool_output(5000)
a.set_client_pool_input(300)
a.get_client_pool().input_pool
a.set_client_pool_output_room(5)
a.get_client_pool().output_room
a.set_client_pool_output_room(50000)
u = a.create_queue("tempo")
a.get_queue_info(u.queue_id).name
a.get_queue_info(u.queue_id).locked
a.get_queue_info(30)
a.query_named_queue("tempo") == u.queue_id
a.query_named_queue("missing")
a.get_named_queue("missing")
a.get_queue(30)
u.get_usage()
u.get_tempo().tempo
u.get_tempo().ppq
u.set_tempo(bpm=100)
u.get_tempo().tempo
u.set_tempo(400000, 48)
u.get_tempo().ppq
u.set_tempo(QueueTempo(tempo=0, ppq=96))
u.set_tempo(0)
u.get_status().running
u.start(); a.drain_output()
u.get_status().running
u.get_status().events
a.event_output(NoteOnEvent(60, tick=1000000), queue=u, port=p); a.drain_output()
u.get_status().events
(a.remove_events(RemoveCondition.OUTPUT, queue=u), None)[1]
u.get_status().events
a.event_output(NoteOnEvent(62, tick=1), queue=u, port=p); a.drain_output(); b.event_input()
a.event_output(NoteOnEvent(63, time=0.01, relative=True), queue=u, port=p); a.drain_output(); b.event_input().note
a.drop_output()
u.stop(); a.drain_output()
u.get_status().running
u.continue_(); a.drain_output()
int(u.get_timer().type)
u.control(EventType.TEMPO, 300000); a.drain_output(); u.get_tempo().tempo
j = u.get_info()
j.name = "other"
u.set_info(j)
u.get_info().name
u.set_usage(False)
u.close()
u.get_status()
u.close()
[port.name for port in a.list_ports() if port.client_id in own]
[port.name for port in a.list_ports(input=True) if port.client_id in own]
[port.name for port in a.list_ports(output=True) if port.client_id in own]
[port.name for port in a.list_ports(include_system=True, only_connectable=False) if port.client_id == 0]
a.set_client_event_filter(EventType.NOTEON)
Address("129:3")
Address(129, 3)
Address((129, 3))
Address("x")
Address(p) == Address(a.client_id, 0)
int(EventType.NOTEON)
p.disconnect_to(r)
p.disconnect_to(r)
p.disconnect_from(r)
b.close()
b.close()
b.get_client_info()
b.event_input(timeout=0.01)
p.connect_to((250, 0))
a.close()
p.close()
a.create_port("late")
""".strip().splitlines()


class Overdue(BaseException):
    """A call has not returned."""


def described(value, depth=0):
    """A result as text that has no client's number and no address of an object."""
    if isinstance(value, alsa_midi.Event):
        attributes = ("note", "velocity", "channel", "param", "value", "data", "midi_bytes", "tick")
        found = [(name, getattr(value, name, None)) for name in attributes]
        return f"{type(value).__name__}{[pair for pair in found if pair[1] is not None]}"
    if isinstance(value, enum.Enum):
        return str(int(value))
    if isinstance(value, (bool, int, str, bytes, float, type(None))):
        return repr(value)
    if isinstance(value, (list, tuple)) and depth < 3:
        return "[" + ", ".join(described(item, depth + 1) for item in value) + "]"
    return type(value).__name__


def failure(error):
    """An exception as text: its class, and its number if it is one of the system."""
    number = getattr(error, "errnum", None)
    if isinstance(number, int) and number:
        return f"{type(error).__name__} {errno.errorcode.get(-number, number)}"
    # Subclasses of an exception are as good as the exception.
    builtin = next(
        base
        for base in type(error).__mro__
        if base.__module__ in ("builtins", "alsa_midi.exceptions")
    )
    return builtin.__name__


def overdue(*_):
    raise Overdue


def main():
    signal.signal(signal.SIGALRM, overdue)
    names = dict(globals())
    names["a"] = alsa_midi.SequencerClient("caller")
    names["b"] = alsa_midi.SequencerClient("partner")
    # Kernels have different other ports.
    names["own"] = [names["a"].client_id, names["b"].client_id]
    # 13 kB of system exclusive, and room for them at the receiver.
    names["big"] = bytes([0xF0]) + bytes(13 * 1024) + bytes([0xF7])
    names["b"].set_client_pool_input(1000)
    names["b"].set_input_buffer_size(65536)
    results = []
    for call in CALLS:
        name, _, expression = call.partition(" = ")
        signal.alarm(DEADLINE)
        try:
            if expression and "(" not in name:
                exec(call, names)
                continue
            *before, last = call.split("; ")
            for statement in before:
                exec(statement, names)
            result = described(eval(last, names))
        except Overdue:
            result = "waits without end"
        except Exception as error:  # noqa: BLE001
            result = failure(error)
        finally:
            signal.alarm(0)
        results.append((call, result))
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
