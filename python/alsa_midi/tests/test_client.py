"""Clients: output, input, ports, connections and requests."""

import errno
import sys

import alsa_midi
import pytest
from alsa_midi import (
    READ_PORT,
    RW_PORT,
    WRITE_PORT,
    Address,
    ALSAError,
    ClientInfo,
    ClientPool,
    ClientType,
    EventType,
    MidiBytesEvent,
    NoteOffEvent,
    NoteOnEvent,
    Port,
    PortCaps,
    PortInfo,
    PortType,
    RealTime,
    RemoveCondition,
    RemoveEvents,
    SequencerClient,
    SequencerType,
    StateError,
    SubscriptionQuery,
    SubscriptionQueryType,
    SysExEvent,
)
from alsa_midi.client import OpenMode, SequencerClientBase, StreamOpenType


def raises(number):
    """Checks that the block raises an ALSAError with an errno."""

    class Check:
        def __enter__(self):
            return self

        def __exit__(self, kind, value, traceback):
            assert kind is ALSAError, f"{kind} instead of ALSAError"
            assert value.errnum == -number, value
            assert str(value)
            return True

    return Check()


# ---- opening and closing


def test_open_and_close(make_client):
    client = make_client("a name")
    assert isinstance(client, SequencerClientBase)
    assert client.client_id >= 128
    assert client.get_client_info().name == "a name"
    assert client.get_sequencer_name() == "default"
    assert client.get_sequencer_type() == SequencerType.HW
    client.close()
    client.close()
    assert client.client_id >= 128


def test_long_and_empty_names(make_client):
    assert make_client("n" * 100).get_client_info().name == "n" * 63
    unnamed = make_client("")
    assert unnamed.get_client_info().name == f"Client-{unnamed.client_id}"


def test_a_client_is_a_context(make_client):
    with make_client("x") as client:
        client.get_client_info()
    with pytest.raises(StateError):
        client.get_client_info()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (dict(), TypeError),
        (dict(client_name=5), AttributeError),
        (dict(client_name="x", foo=1), TypeError),
        (dict(client_name="x", streams=0), ValueError),
        (dict(client_name="x", streams=9), ValueError),
        (dict(client_name="x", engine="bogus"), ValueError),
        (dict(client_name="x", engine=5), TypeError),
    ],
)
def test_invalid_arguments_of_the_constructor(arguments, error):
    with pytest.raises(error):
        SequencerClient(**arguments)


def test_other_sequencer_names_are_rejected(engine):
    with raises(errno.ENOENT):
        SequencerClient("x", sequencer_name="bogus", engine=engine)
    client = SequencerClient("x", sequencer_name="hw", mode=OpenMode.NONBLOCK, engine=engine)
    assert client.get_sequencer_name() == "hw"
    client.close()


@pytest.mark.parametrize(
    "use",
    [
        lambda c: c.event_input(),
        lambda c: c.event_input(timeout=0),
        lambda c: c.event_input_pending(True),
        lambda c: c.drain_output(),
        lambda c: c.event_output(NoteOnEvent(60)),
        lambda c: c.event_output_buffer(NoteOnEvent(60)),
        lambda c: c.event_output_direct(NoteOnEvent(60)),
        lambda c: c.event_output_pending(),
        lambda c: c.extract_output(),
        lambda c: c.drop_output(),
        lambda c: c.drop_input(),
        lambda c: c.drop_output_buffer(),
        lambda c: c.drop_input_buffer(),
        lambda c: c.create_port("x"),
        lambda c: c.create_queue(),
        lambda c: c.list_ports(),
        lambda c: c.get_client_info(),
        lambda c: c.get_client_pool(),
        lambda c: c.get_output_buffer_size(),
        lambda c: c.get_input_buffer_size(),
        lambda c: c.get_system_info(),
        lambda c: c.get_sequencer_name(),
        lambda c: c.query_next_client(),
        lambda c: c.remove_events(),
        lambda c: c.sync_output_queue(),
        lambda c: c.subscribe_port((0, 1), (0, 0)),
        lambda c: c.fileno(),
    ],
)
def test_a_closed_client_raises_state_error(make_client, use):
    client = make_client()
    port = client.create_port("p")
    client.close()
    with pytest.raises(StateError):
        use(client)
    with pytest.raises(StateError):
        port.get_info()
    port.close()


def test_the_handle_raises_an_error_with_an_alternative(client):
    with pytest.raises(alsa_midi.Error, match="snd_seq_open"):
        client.handle  # noqa: B018
    assert not hasattr(client, "handle")


def test_directions(make_client):
    reader = make_client("r", streams=StreamOpenType.INPUT)
    writer = make_client("w", streams=StreamOpenType.OUTPUT)
    into = reader.create_port("in", WRITE_PORT)
    out = writer.create_port("out", READ_PORT)
    writer.event_output_direct(NoteOnEvent(60), port=out, dest=into)
    assert reader.event_input(timeout=5).note == 60
    with pytest.raises(ALSAError):
        reader.event_output_direct(NoteOnEvent(60), port=into, dest=out)
    with pytest.raises(ALSAError):
        writer.event_input(timeout=0)


# ---- output


def test_buffer_and_drain(pair):
    client, port = pair.sender, pair.out
    assert client.event_output(NoteOnEvent(60), port=port) == 28
    assert client.event_output_buffer(NoteOffEvent(60), port=port) == 56
    assert client.event_output_pending() == 56
    assert pair.receiver.event_input(timeout=0) is None
    assert client.drain_output() == 0
    assert client.event_output_pending() == 0
    assert isinstance(pair.receiver.event_input(timeout=5), NoteOnEvent)
    assert isinstance(pair.receiver.event_input(timeout=5), NoteOffEvent)


def test_direct_output_bypasses_the_buffer(pair):
    pair.sender.event_output(NoteOnEvent(1), port=pair.out)
    assert pair.sender.event_output_direct(NoteOnEvent(2), port=pair.out) == 28
    assert pair.sender.event_output_pending() == 28
    assert pair.receiver.event_input(timeout=5).note == 2


def test_a_full_buffer(pair):
    client = pair.sender
    client.set_output_buffer_size(64)
    for _ in range(2):
        client.event_output_buffer(NoteOnEvent(60), port=pair.out)
    with raises(errno.EAGAIN):
        client.event_output_buffer(NoteOnEvent(60), port=pair.out)
    assert client.event_output(NoteOnEvent(60), port=pair.out) == 28  # the buffer has been written
    with raises(errno.EINVAL):
        client.event_output(SysExEvent(bytes(100)), port=pair.out)


@pytest.mark.parametrize(
    "dest",
    [
        lambda into: into,
        lambda into: into.get_info(),
        lambda into: (into.client_id, into.port_id),
        lambda into: Address(into),
        lambda into: f"{into.client_id}:{into.port_id}",
        lambda into: into.client_id,
    ],
)
def test_all_forms_of_destinations(make_client, dest):
    sender, receiver = make_client(), make_client()
    into = receiver.create_port("in", WRITE_PORT)
    out = sender.create_port("out", READ_PORT)
    for arguments in ({"dest": dest(into)}, {}):
        event = NoteOnEvent(60) if arguments else NoteOnEvent(60, dest=dest(into))
        sender.event_output(event, port=out, **arguments)
        sender.drain_output()
        received = receiver.event_input(timeout=5)
        assert received.dest == Address(into) and received.source == Address(out)


def test_arguments_override_the_event(make_client):
    sender, receiver = make_client(), make_client()
    ports = [sender.create_port("a"), sender.create_port("b")]
    into = receiver.create_port("in", WRITE_PORT)
    event = NoteOnEvent(60, source=ports[0], dest=(77, 7), queue_id=99)
    sender.event_output(event, queue=253, port=ports[1], dest=into)
    sender.drain_output()
    received = receiver.event_input(timeout=5)
    assert received.source == Address(ports[1])
    event = NoteOnEvent(60, source=ports[1], dest=into)
    sender.event_output_direct(event)
    assert receiver.event_input(timeout=5).source == Address(ports[1])
    sender.event_output_direct(NoteOnEvent(60, dest=into), port=ports[1].port_id)
    assert receiver.event_input(timeout=5).source == Address(ports[1])


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (dict(queue="x"), AttributeError),
        (dict(port="x"), AttributeError),
        (dict(port=300), OverflowError),
        (dict(queue=300), OverflowError),
        (dict(dest="x"), ALSAError),
        (dict(dest=(1, 2, 3)), ValueError),
        (dict(dest=(300, 2)), OverflowError),
        (dict(foo=1), TypeError),
    ],
)
def test_invalid_arguments_of_output(client, arguments, error):
    port = client.create_port("p")
    with pytest.raises(error):
        client.event_output(NoteOnEvent(60), **{"port": port, **arguments})
    assert client.event_output_pending() == 0


def test_a_failing_event_stays_at_the_head_of_the_buffer(client):
    port = client.create_port("p")
    client.event_output(NoteOnEvent(1), port=port, dest=(99, 9))
    client.event_output(NoteOnEvent(2), port=port)
    for _ in range(2):
        with raises(errno.ENOENT):
            client.drain_output()
    assert client.extract_output().note == 1
    client.drain_output()
    with raises(errno.ENOENT):
        client.extract_output()


def test_extracting_and_dropping_output(client):
    port = client.create_port("p")
    for note in (1, 2):
        client.event_output(NoteOnEvent(note, tag=7), port=port, dest="14:0")
    first = client.extract_output()
    assert (first.note, first.tag, first.dest, first.queue_id) == (1, 7, (14, 0), 253)
    assert client.event_output_pending() == 28
    client.drop_output_buffer()
    assert client.event_output_pending() == 0
    client.event_output(NoteOnEvent(3), port=port)
    client.drop_output()
    assert client.event_output_pending() == 0


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (dict(condition=RemoveCondition.OUTPUT), []),
        (dict(condition=RemoveCondition.OUTPUT, tag=4), [1]),
        (dict(condition=RemoveCondition.OUTPUT, event_type=EventType.NOTEOFF), [1, 4]),
        (dict(condition=RemoveCondition.OUTPUT, channel=5), [1, 4]),
        (dict(condition=RemoveCondition.OUTPUT, time=11), [1]),
        (dict(condition=RemoveCondition.OUTPUT, time=11, before=True), [4]),
        (dict(condition=RemoveCondition.INPUT), [1, 4]),
        (dict(condition=RemoveEvents(RemoveCondition.OUTPUT)), []),
        (dict(tag=4), [1, 4]),
        (dict(), [1, 4]),
    ],
)
def test_remove_events(client, arguments, left):
    port = client.create_port("p")
    for tag in (1, 4):
        client.event_output(NoteOnEvent(60, tag=tag, tick=tag + 9), port=port)
    client.remove_events(**arguments)
    tags = [client.extract_output().tag for _ in range(client.event_output_pending() // 28)]
    assert tags == left


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (dict(condition="x"), TypeError),
        (dict(dest="x"), ALSAError),
        (dict(tag=300), OverflowError),
        (dict(time="x"), TypeError),
        (dict(time=RealTime(1 << 40)), OverflowError),
    ],
)
def test_invalid_arguments_of_remove_events(client, arguments, error):
    with pytest.raises(error):
        client.remove_events(**arguments)


# ---- input


def test_timeouts(client):
    import time

    for timeout, minimum, maximum in ((0, 0, 0.5), (-1, 0, 0.5), (0.1, 0.09, 2.0)):
        start = time.monotonic()
        assert client.event_input(timeout=timeout) is None
        assert minimum <= time.monotonic() - start < maximum
    for timeout, error in (("x", TypeError), (float("nan"), ValueError)):
        with pytest.raises(error):
            client.event_input(timeout=timeout)


def test_pending_input(pair):
    assert pair.receiver.event_input_pending() == 0
    assert pair.receiver.event_input_pending(True) == 0
    for note in (1, 2):
        pair.sender.event_output(NoteOnEvent(note), port=pair.out)
    pair.sender.drain_output()
    assert pair.receiver.event_input_pending() == 0
    assert pair.receiver.event_input_pending(True) == 2
    assert pair.receiver.event_input_pending() == 56
    assert pair.receiver.event_input().note == 1
    pair.receiver.drop_input_buffer()
    assert pair.receiver.event_input(timeout=0) is None
    pair.pass_through(NoteOnEvent(3))
    pair.sender.event_output_direct(NoteOnEvent(4), port=pair.out)
    pair.receiver.drop_input()
    assert pair.receiver.event_input(timeout=0) is None


def test_an_overrun_is_reported_once(pair):
    # The input pool holds 200 events; the next one is rejected.
    for _ in range(300):
        pair.sender.event_output_buffer(NoteOnEvent(60), port=pair.out)
        if pair.sender._try_drain_output():
            break
    else:
        pytest.fail("the receiver's pool did not fill up")
    pair.sender.drop_output_buffer()
    with raises(errno.ENOSPC):
        while pair.receiver.event_input(timeout=0) is not None:
            pass
    assert pair.receiver.event_input(timeout=0) is None
    assert pair.pass_through(NoteOnEvent(61)).note == 61


def test_event_filter(pair):
    pair.receiver.set_client_event_filter(EventType.NOTEON)
    assert pair.receiver.get_client_info().event_filter == {EventType.NOTEON}
    with raises(errno.ENOENT):  # the destination does not accept the event
        pair.sender.event_output_direct(NoteOffEvent(1), port=pair.out)
    pair.sender.event_output_direct(NoteOnEvent(2), port=pair.out)
    assert pair.receiver.event_input(timeout=5).note == 2
    with pytest.raises(ValueError):
        pair.receiver.set_client_event_filter("x")


# ---- buffers, pools and requests


def test_buffer_sizes(client):
    assert client.get_output_buffer_size() == 16384
    assert client.get_input_buffer_size() == 14000
    client.set_output_buffer_size(20000)
    client.set_input_buffer_size(28000)
    assert (client.get_output_buffer_size(), client.get_input_buffer_size()) == (20000, 28000)
    for change in (client.set_output_buffer_size, client.set_input_buffer_size):
        with raises(errno.EINVAL):
            change(10)
        with pytest.raises(TypeError):
            change("x")
        with pytest.raises(OverflowError):
            change(-1)
        with raises(errno.ENOMEM):
            change(sys.maxsize)


def test_a_client_opens_in_any_mode(engine):
    SequencerClient("x", mode=0, engine=engine).close()


def test_the_input_of_the_base_class_does_not_wait(client):
    with raises(errno.EAGAIN):
        SequencerClientBase.event_input(client)


def test_a_receiver_that_does_not_read_stops_nobody(engine):
    clients = [SequencerClient(name, engine=engine) for name in ("sender", "stuck", "healthy")]
    sender, stuck, healthy = clients
    out, full, port = (client.create_port("port") for client in clients)
    # The port that connects gets no announcement.
    full.connect_from(out)
    port.connect_from(out)
    notes = []
    for number in range(400):
        event = NoteOnEvent(number % 128, velocity=1 + number // 128)
        sender.event_output_direct(event, port=out)
        received = healthy.event_input(timeout=0)
        notes.append((received.note, received.velocity))
    assert notes == [(number % 128, 1 + number // 128) for number in range(400)]
    assert healthy.event_input(timeout=0) is None
    port.disconnect_from(out)
    with pytest.raises(ALSAError, match="stuck") as caught:
        sender.event_output_direct(NoteOnEvent(60), port=out)
    assert caught.value.errnum == -errno.EAGAIN
    for client in clients:
        client.close()


def test_pool(client):
    pool = client.get_client_pool()
    assert (pool.client_id, pool.output_pool, pool.input_pool) == (client.client_id, 500, 200)
    client.set_client_pool_output(100)
    client.set_client_pool_input(300)
    client.set_client_pool_output_room(50)
    pool = client.get_client_pool()
    assert (pool.output_pool, pool.input_pool, pool.output_room) == (100, 300, 50)
    client.set_client_pool(ClientPool(output_pool=200, input_pool=100, output_room=10))
    pool = client.get_client_pool()
    assert (pool.output_pool, pool.input_pool, pool.output_room) == (200, 100, 10)
    with pytest.raises(TypeError):
        client.set_client_pool_output("x")


def test_system_info(client):
    info = client.get_system_info()
    assert (info.queues, info.clients, info.ports, info.channels) == (32, 192, 254, 256)
    assert info.cur_clients >= 3


def test_client_info(client):
    info = client.get_client_info()
    assert info.client_id == client.client_id and info.type is ClientType.USER
    assert info.num_ports == 0 and info.event_filter is None
    system = client.get_client_info(0)
    assert (system.name, system.type) == ("System", ClientType.KERNEL)
    with raises(errno.ENOENT):
        client.get_client_info(77)
    with pytest.raises(TypeError):
        client.get_client_info("x")
    with raises(errno.ENOENT):
        client.get_client_info(300)
    changed = ClientInfo(
        client_id=client.client_id,
        name="renamed",
        broadcast_filter=True,
        error_bounce=True,
        event_filter={EventType.NOTEON},
    )
    client.set_client_info(changed)
    info = client.get_client_info()
    assert (info.name, info.broadcast_filter, info.error_bounce) == ("renamed", True, True)
    assert info.event_filter == {EventType.NOTEON}


def test_iterating_over_clients_and_ports(client):
    port = client.create_port("mine")
    names = []
    info = client.query_next_client()
    while info is not None:
        names.append(info.name)
        info = client.query_next_client(info)
    assert names[:2] == ["System", "Midi Through"] and "test client" in names
    assert client.query_next_client(-1).client_id == 0
    assert [
        client.query_next_port(0).name,
        client.query_next_port(0, client.query_next_port(0)).name,
        client.query_next_port(0, 1),
    ] == ["Timer", "Announce", None]
    assert client.query_next_port(client.client_id).port_id == port.port_id
    with raises(errno.ENXIO):
        client.query_next_port(77)


# ---- ports


def test_defaults_of_a_port(client):
    port = client.create_port("p")
    assert (port.client, port.client_id) == (client, client.client_id)
    info = port.get_info()
    assert vars(info) == dict(
        client_id=client.client_id,
        port_id=port.port_id,
        name="p",
        capability=RW_PORT,
        type=PortType.MIDI_GENERIC | PortType.SOFTWARE,
        midi_channels=16,
        midi_voices=64,
        synth_voices=0,
        read_use=0,
        write_use=0,
        timestamping=False,
        timestamp_real=False,
        timestamp_queue_id=0,
    )
    assert isinstance(info.capability, PortCaps) and isinstance(info.type, PortType)
    assert repr(info) == f"<PortInfo {client.client_id}:{port.port_id} 'p'>"


def test_all_options_of_a_port(client):
    queue = client.create_queue()
    port = client.create_port(
        "p",
        READ_PORT,
        PortType.SYNTH,
        port_id=9,
        midi_channels=3,
        midi_voices=4,
        synth_voices=5,
        timestamping=True,
        timestamp_real=True,
        timestamp_queue=queue,
    )
    info = client.get_port_info(9)
    assert port.port_id == 9 and (info.capability, info.type) == (READ_PORT, PortType.SYNTH)
    assert (info.midi_channels, info.midi_voices, info.synth_voices) == (3, 4, 5)
    assert (info.timestamping, info.timestamp_real) == (True, True)
    assert info.timestamp_queue_id == queue.queue_id


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (dict(), TypeError),
        (dict(name=5), AttributeError),
        (dict(name=None), AttributeError),
        (dict(name="a", timestamp_queue="x"), AttributeError),
        (dict(name="a", caps="x"), TypeError),
        (dict(name="a", port_id="x"), TypeError),
        (dict(name="a", port_id=300), OverflowError),
        (dict(name="a", midi_channels=-1), OverflowError),
    ],
)
def test_invalid_arguments_of_create_port(client, arguments, error):
    with pytest.raises(error):
        client.create_port(**arguments)


def test_names_of_ports_are_cut_off_after_63_bytes(client):
    assert client.create_port("x" * 100).get_info().name == "x" * 63


def test_port_information(client):
    port = client.create_port("p")
    for argument in (port, port.port_id, Address(port), f"{port.client_id}:0", port.get_info()):
        assert client.get_port_info(argument).name == "p"
    with raises(errno.ENXIO):
        client.get_port_info((77, 0))
    with raises(errno.ENOENT):
        client.get_port_info((14, 9))
    info = port.get_info()
    info.name = "new"
    port.set_info(info)
    assert port.get_info().name == "new"
    client.set_port_info(port.port_id, PortInfo(name="newer", capability=RW_PORT))
    assert port.get_info().name == "newer"


def test_a_closed_port(client):
    port = client.create_port("p")
    number = port.port_id
    port.close()
    port.close()
    assert port.client is None and port.port_id == number
    with pytest.raises(StateError):
        port.get_info()
    with pytest.raises(StateError):
        port.connect_to((14, 0))
    with raises(errno.ENOENT):
        client.get_port_info(number)


def test_adopting_a_port_by_number(client):
    port = client.create_port("p")
    other = Port(client, port.port_id)
    assert other.get_info().name == "p"
    other.close()
    with raises(errno.ENOENT):
        client.get_port_info(port.port_id)
    with raises(errno.ENOENT):
        Port(client, 200)


# ---- lists of ports


def test_list_ports(make_client):
    client, other = make_client("first"), make_client("second")
    both = client.create_port("both")
    others = [client.create_port("in", WRITE_PORT), other.create_port("out", READ_PORT)]
    synth = other.create_port(
        "synth",
        WRITE_PORT,
        PortType.MIDI_GENERIC | PortType.SYNTHESIZER | PortType.MIDI_GM,
    )
    others.append(other.create_port("specific", RW_PORT, PortType.SPECIFIC))
    others.append(other.create_port("hidden", RW_PORT | PortCaps.NO_EXPORT))
    others.append(other.create_port("unconnectable", PortCaps.READ | PortCaps.WRITE))

    def names(**arguments):
        own = (client.client_id, other.client_id, 0, 14)
        return [info.name for info in client.list_ports(**arguments) if info.client_id in own]

    through = "Midi Through Port-0"
    assert names() == ["both", "in", "out", "synth", "hidden", through]
    assert names(input=True) == ["both", "out", "hidden", through]
    assert names(output=True) == ["synth", "both", "in", "hidden", through]
    assert names(input=True, output=True) == ["both", "hidden", through]
    assert names(output=True, sort=False) == [through, "both", "in", "synth", "hidden"]
    assert names(include_midi_through=False) == ["both", "in", "out", "synth", "hidden"]
    assert "hidden" not in names(include_no_export=False)
    assert "unconnectable" in names(only_connectable=False)
    assert "specific" in names(type=PortType.ANY) and names(type=PortType.SYNTHESIZER) == ["synth"]
    assert "Announce" in names(type=PortType.ANY, include_system=True)
    assert names(sort=lambda info: info.name.lower()) == sorted(names(), key=str.lower)
    with pytest.raises(TypeError):
        client.list_ports(True)
    with pytest.raises(TypeError):
        client.list_ports(type="x")
    with pytest.raises(ZeroDivisionError):
        client.list_ports(sort=lambda info: 1 / 0)

    info = next(info for info in client.list_ports() if info.name == "both")
    assert info.client_name == "first"
    assert fields(info) == fields(both.get_info())
    assert repr(info) == f"<PortInfo {Address(both)} 'both' @ 'first'>"
    assert client.list_ports(output=True)[0].port_id == synth.port_id
    import dataclasses

    assert dataclasses.replace(info, name="z").name == "z"
    assert len(others) == 5  # keeps the ports, which would be deleted with their objects


def fields(info):
    return {name: value for name, value in vars(info).items() if name != "client_name"}


# ---- connections


def test_connections(make_client):
    client, other = make_client("a"), make_client("b")
    out, into = client.create_port("out"), other.create_port("in")
    out.connect_to(into)
    with raises(errno.EBUSY):
        out.connect_to(into)
    query = SubscriptionQuery(
        root=Address(out), type=SubscriptionQueryType.READ, num_subs=1, addr=Address(into)
    )
    assert out.list_subscribers() == [query]
    assert out.list_subscribers(SubscriptionQueryType.READ) == [query]
    assert out.list_subscribers(SubscriptionQueryType.WRITE) == []
    [connection] = into.list_subscribers()
    assert (connection.type, connection.addr) == (SubscriptionQueryType.WRITE, Address(out))
    assert client.query_port_subscribers(SubscriptionQuery(out)) == query
    assert (out.get_info().read_use, into.get_info().write_use) == (1, 1)
    out.disconnect_to(into)
    with raises(errno.ENOENT):
        out.disconnect_to(into)
    into.connect_from(out)
    into.disconnect_from(out)
    assert out.list_subscribers() == [] == client.list_port_subscribers((77, 1))
    with raises(errno.ENOENT):
        client.query_port_subscribers(SubscriptionQuery(out))
    with raises(errno.ENXIO):
        client.query_port_subscribers(SubscriptionQuery((77, 0)))


def test_connections_with_options(make_client):
    client = make_client()
    a, b = client.create_port("a"), client.create_port("b")
    queue = client.create_queue()
    client.subscribe_port(a, b, queue=queue, exclusive=True, time_update=True, time_real=True)
    [connection] = client.list_port_subscribers(a)
    assert connection.exclusive and connection.time_update and connection.time_real
    assert connection.queue_id == queue.queue_id
    client.unsubscribe_port(a, b)


@pytest.mark.parametrize(
    ("sender", "dest", "number"),
    [((77, 0), "14:0", errno.EINVAL), ("14:0", (77, 0), errno.EINVAL), ("x", "14:0", errno.EINVAL)],
)
def test_impossible_connections(client, sender, dest, number):
    with raises(number):
        client.subscribe_port(sender, dest)


def test_connecting_to_none(client):
    with pytest.raises(TypeError):
        client.create_port("p").connect_to(None)


def test_announcements(make_client):
    watcher, other = make_client("watcher"), None
    port = watcher.create_port("in", WRITE_PORT)
    port.connect_from(alsa_midi.SYSTEM_ANNOUNCE)
    watcher.drop_input()
    other = make_client("other")
    new = other.create_port("new")
    new.close()
    other.close()
    kinds = [alsa_midi.ClientStartEvent, alsa_midi.PortStartEvent]
    kinds += [alsa_midi.PortExitEvent, alsa_midi.ClientExitEvent]
    received = []
    while kinds:
        event = watcher.event_input(timeout=5)
        assert event is not None, kinds
        if type(event) is kinds[0] and event.addr.client_id == other.client_id:
            received.append(kinds.pop(0))
    assert len(received) == 4


def test_the_previous_port_must_belong_to_the_client(make_client):
    first, second = make_client("first"), make_client("second")
    info = first.get_port_info(first.create_port("p"))
    with pytest.raises(ValueError, match="client_id"):
        first.query_next_port(second.client_id, info)


def test_a_remove_events_object_excludes_other_arguments(client):
    condition = RemoveEvents(RemoveCondition.OUTPUT)
    with pytest.raises(TypeError, match="RemoveEvents"):
        client.remove_events(condition, channel=1)


def test_an_empty_event_filter_lets_all_events_in(pair):
    info = pair.receiver.get_client_info()
    info.event_filter = {EventType.ECHO}
    pair.receiver.set_client_info(info)
    info.event_filter = set()
    pair.receiver.set_client_info(info)
    assert pair.receiver.get_client_info().event_filter is None
    assert pair.pass_through(NoteOnEvent(60)).note == 60


def test_a_type_of_none_lists_ports_of_all_types(client):
    port = client.create_port("special", type=PortType.SPECIFIC)
    ports = client.list_ports(type=None)
    assert (port.client_id, port.port_id) in [(info.client_id, info.port_id) for info in ports]


def test_a_closed_client_returns_no_queue(make_client):
    client = make_client("closed")
    queue = client.create_queue()
    number = queue.queue_id
    client.close()
    with pytest.raises(StateError):
        client.get_queue(number)


def test_numbers_that_no_client_can_have(client):
    with raises(errno.ENOENT):
        client.get_client_info(1000)
    assert client.query_next_client(500) is None


def test_the_input_buffer_holds_whole_cells(client):
    client.set_input_buffer_size(1000)
    assert client.get_input_buffer_size() == 1008


def test_output_without_an_event_returns_the_bytes_in_the_buffer(client):
    port = client.create_port("p")
    assert client.event_output(NoteOnEvent(60), port=port) == 28
    assert client.event_output(MidiBytesEvent(b"\xf0\x01"), port=port) == 28
    assert client.event_output_buffer(alsa_midi.Event(EventType.NONE), port=port) == 28
    assert client.event_output_pending() == 28
