"""Lifetimes of ports, clients and queues, and memory use."""

import errno
import gc
import resource
import weakref

import pytest
from alsa_midi import ALSAError, MidiBytesEvent, NoteOnEvent, SequencerClient, SysExEvent


def test_a_dropped_port_is_deleted_immediately(client):
    gc.disable()
    try:
        port = client.create_port("p")
        number = port.port_id
        assert client.get_port_info(number).name == "p"
        del port
        with pytest.raises(ALSAError) as caught:
            client.get_port_info(number)
        assert caught.value.errnum == -errno.ENOENT
    finally:
        gc.enable()


def test_a_dropped_client_is_closed_immediately(make_client, engine):
    watcher = make_client()
    gc.disable()
    try:
        client = SequencerClient("short", engine=engine)
        number, reference = client.client_id, weakref.ref(client)
        del client
        assert reference() is None
        with pytest.raises(ALSAError):
            watcher.get_client_info(number)
    finally:
        gc.enable()


def test_a_port_keeps_its_client_open(make_client, engine):
    watcher = make_client()
    port = SequencerClient("kept", engine=engine).create_port("p")
    assert watcher.get_client_info(port.client_id).name == "kept"
    number = port.client_id
    del port
    with pytest.raises(ALSAError):
        watcher.get_client_info(number)


def test_cycles_are_collected(make_client, engine):
    watcher = make_client()
    client = SequencerClient("cycle", engine=engine)
    number = client.client_id
    client.port = client.create_port("p")
    client.queue = client.create_queue()
    del client
    gc.collect()
    with pytest.raises(ALSAError):
        watcher.get_client_info(number)


def resident_bytes() -> int:
    """The memory that the process uses."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_memory_stays_constant_over_100000_events(pair):
    from alsa_midi import EventType

    pair.receiver.set_client_pool_input(2000)
    makers = [
        lambda n: NoteOnEvent(n % 128, tick=n, dest=pair.into),
        lambda n: NoteOnEvent(n % 128, time=n / 10, source=pair.out),
        lambda n: SysExEvent(bytes(50)),
        lambda n: MidiBytesEvent([0x90, n % 128, 1]),
    ]

    def round_trips(count):
        for start in range(0, count, 40):
            for n in range(start, start + 40):
                pair.sender.event_output(makers[n % 4](n), port=pair.out)
            pair.sender.drain_output()
            for n in range(40):
                event = pair.receiver.event_input(prefer_bytes=n % 2 == 0, timeout=10)
                assert event.type in (EventType.NOTEON, EventType.SYSEX)
                repr(event), event.source, event.dest, event.time, event.raw_data

    round_trips(4000)
    gc.collect()
    objects, before = len(gc.get_objects()), resident_bytes()
    round_trips(100_000)
    gc.collect()
    assert len(gc.get_objects()) - objects < 100
    assert resident_bytes() - before < 2_000_000


def test_memory_stays_constant_over_many_ports_and_queues(client):
    def create_and_close():
        port, queue = client.create_port("p"), client.create_queue()
        client.list_ports()
        port.close()
        queue.close()

    for _ in range(50):
        create_and_close()
    gc.collect()
    objects = len(gc.get_objects())
    for _ in range(500):
        create_and_close()
    gc.collect()
    assert len(gc.get_objects()) - objects < 50
