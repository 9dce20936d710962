"""Queues: scheduling, tempo, timers and ownership."""

import errno
import gc

import pytest
from alsa_midi import (
    WRITE_PORT,
    ALSAError,
    EmbeddedEngine,
    EventType,
    NoteEvent,
    NoteOffEvent,
    NoteOnEvent,
    Queue,
    QueueInfo,
    QueueTempo,
    QueueTimer,
    QueueTimerType,
    RealTime,
    SequencerClient,
    StartEvent,
    StateError,
)
from alsa_midi.queue import TimerId


def test_information(client):
    queue = client.create_queue("named")
    assert (queue.client, queue._own) == (client, True)
    info = queue.get_info()
    assert repr(info) == f"<QueueInfo #{queue.queue_id} 'named'>"
    assert (info.owner, info.locked) == (client.client_id, True)
    assert client.get_queue_info(queue.queue_id) == info
    status = queue.get_status()
    assert (status.events, status.tick_time, status.running) == (0, 0, False)
    assert status.real_time == RealTime()
    assert client.get_queue_status(queue.queue_id) == status
    assert queue.get_usage() is True
    queue.set_usage(False)
    assert queue.get_usage() is False


def test_names(client):
    queue = client.create_queue("named")
    assert client.query_named_queue("named") == queue.queue_id
    assert client.get_named_queue("named") is queue is client.get_queue(queue.queue_id)
    with pytest.raises(ALSAError) as caught:
        client.query_named_queue("none")
    assert caught.value.errnum == -errno.EINVAL
    unnamed = client.create_queue()
    assert unnamed.get_info().name == f"Queue-{unnamed.queue_id}"
    from_info = client.create_queue(info=QueueInfo(name="from info", locked=False))
    assert (from_info.get_info().name, from_info.get_info().locked) == ("from info", False)
    from_info.set_info(QueueInfo(name="again", locked=True))
    assert from_info.get_info().locked and from_info.get_info().owner == client.client_id
    with pytest.raises(ValueError):
        client.create_queue("a", QueueInfo())
    with pytest.raises(AttributeError):
        client.create_queue(5)


def test_tempo(client):
    queue = client.create_queue()
    assert queue.get_tempo() == QueueTempo(500000, 96, 65536, 65536)
    queue.set_tempo(400000)
    assert queue.get_tempo().tempo == 400000 and queue.get_tempo().bpm == 150
    queue.set_tempo(bpm=100, ppq=48)
    assert (queue.get_tempo().tempo, queue.get_tempo().ppq) == (600000, 48)
    queue.set_tempo(QueueTempo(300000, 24))
    assert (queue.get_tempo().tempo, queue.get_tempo().ppq) == (300000, 24)
    for arguments, error in (
        (dict(), ValueError),
        (dict(ppq=10), ValueError),
        (dict(tempo=500000, bpm=10), ValueError),
        (dict(tempo="x"), TypeError),
        (dict(tempo=-5), OverflowError),
        (dict(tempo=500000.5), TypeError),
        (dict(bpm=0), ZeroDivisionError),
        (dict(tempo=0), ALSAError),
        (dict(tempo=500000, ppq=0), ALSAError),
        (dict(tempo=500000, ppq=96, skew=1, skew_base=2), ALSAError),
    ):
        with pytest.raises(error):
            queue.set_tempo(**arguments)


def test_timer(client):
    queue = client.create_queue()
    timer = queue.get_timer()
    assert timer.type is QueueTimerType.ALSA and isinstance(timer.id, TimerId)
    assert timer.id.dev_class == 1
    assert queue.set_timer(timer) == timer
    with pytest.raises(ALSAError):
        queue.set_timer(QueueTimer(type=QueueTimerType.MIDI_CLOCK))


def test_control_events_go_through_the_output_buffer(client):
    queue = client.create_queue()
    queue.start()
    assert client.event_output_pending() == 28
    assert not queue.get_status().running
    client.drain_output()
    assert queue.get_status().running
    queue.stop()
    queue.continue_()
    queue.control(EventType.STOP)
    client.drain_output()
    assert not queue.get_status().running
    queue.control(EventType.TEMPO, 300000)
    client.drain_output()
    assert queue.get_tempo().tempo == 300000
    with pytest.raises(TypeError):
        queue.control("x")
    client.event_output(StartEvent(queue), dest=(0, 0))
    client.drain_output()
    assert queue.get_status().running


def test_scheduled_events(pair):
    client = pair.sender
    queue = client.create_queue()
    queue.set_tempo(bpm=6000)
    queue.start()  # comes first, because it removes the events in the queue
    for tick, note in ((200, 3), (100, 2), (0, 1)):
        client.event_output(NoteOnEvent(note, tick=tick), queue=queue, port=pair.out)
    client.event_output(NoteOnEvent(4, time=0.1), queue=queue, port=pair.out)
    client.drain_output()
    client.sync_output_queue()
    events = [pair.receiver.event_input(timeout=5) for _ in range(4)]
    # 200 ticks are 21 ms.
    assert [event.note for event in events] == [1, 2, 3, 4]
    assert all(event.queue_id == queue.queue_id for event in events)


def test_notes_with_duration(pair):
    client = pair.sender
    queue = client.create_queue()
    queue.set_tempo(bpm=6000)
    queue.start()
    client.event_output(
        NoteEvent(60, 1, 100, duration=20, off_velocity=9, tick=0), queue=queue, port=pair.out
    )
    client.drain_output()
    on, off = (pair.receiver.event_input(timeout=5) for _ in range(2))
    assert isinstance(on, NoteOnEvent) and (on.note, on.channel, on.velocity) == (60, 1, 100)
    assert isinstance(off, NoteOffEvent) and (off.note, off.velocity) == (60, 9)


def test_output_to_a_queue_that_does_not_exist_fails(pair):
    pair.sender.event_output(NoteOnEvent(60, tick=1), queue=31, port=pair.out)
    with pytest.raises(ALSAError) as caught:
        pair.sender.drain_output()
    assert caught.value.errnum == -errno.EINVAL


@pytest.mark.parametrize("real", [False, True])
def test_time_stamps_of_a_port(make_client, real):
    client = make_client()
    queue = client.create_queue()
    port = client.create_port(
        "in", WRITE_PORT, timestamping=True, timestamp_real=real, timestamp_queue=queue
    )
    out = client.create_port("out")
    queue.start()
    client.drain_output()
    client.event_output_direct(NoteOnEvent(60), port=out, dest=port)
    event = client.event_input(timeout=5)
    assert event.queue_id == queue.queue_id
    assert (event.time is not None) is real and (event.tick is None) is real


def test_a_closed_queue(client):
    queue = client.create_queue()
    number = queue.queue_id
    queue.close()
    queue.close()
    assert (queue.client, queue.queue_id, queue._own) == (None, None, False)
    for use in (queue.start, queue.get_info, queue.get_tempo, queue.get_usage):
        with pytest.raises(StateError):
            use()
    with pytest.raises(ALSAError) as caught:
        client.get_queue_info(number)
    assert caught.value.errnum == -errno.EINVAL


def test_a_dropped_queue_is_freed(client):
    queue = client.create_queue()
    number = queue.queue_id
    del queue
    with pytest.raises(ALSAError):
        client.get_queue_info(number)


def test_queues_of_other_clients(make_client):
    owner, user = make_client(), make_client()
    queue = owner.create_queue("shared")
    used = user.get_named_queue("shared")
    assert used._own is False and used is user.get_queue(queue.queue_id)
    assert used.get_usage() is True
    with pytest.raises(ALSAError) as caught:
        used.set_tempo(300000)
    assert caught.value.errnum == -errno.EPERM
    del used
    gc.collect()
    assert queue.get_info().name == "shared"  # the queue is released, not freed
    again = Queue(user, queue.queue_id)
    again.close()
    assert queue.get_info().name == "shared"


def test_creating_too_many_queues_fails(client):
    queues = []
    with pytest.raises(ALSAError) as caught:
        while len(queues) < 40:
            queues.append(client.create_queue())
    assert caught.value.errnum == -errno.ENOMEM


class TestVirtualTime:
    """The embedded engine's clock, advanced by the test."""

    @pytest.fixture
    def virtual(self, on_kernel):
        if on_kernel:
            pytest.skip("only the embedded engine has virtual time")
        return EmbeddedEngine(clock="virtual")

    def test_time_advances_only_on_request(self, virtual):
        assert (virtual.clock, virtual.now, virtual.next_due) == ("virtual", 0.0, None)
        client = SequencerClient("v", engine=virtual)
        port = client.create_port("p")
        queue = client.create_queue()
        queue.start()
        for tick in (96, 192):
            client.event_output(NoteOnEvent(60, tick=tick), queue=queue, port=port, dest=port)
        client.drain_output()
        assert client.event_input(timeout=0) is None
        assert virtual.next_due == pytest.approx(0.5, abs=0.002)
        virtual.advance(0.4)
        assert client.event_input(timeout=0) is None
        assert virtual.advance_to_next() == pytest.approx(0.1, abs=0.002)
        assert client.event_input(timeout=0).tick == 96
        assert virtual.run_until_idle() == pytest.approx(0.5, abs=0.002)
        assert client.event_input(timeout=0).tick == 192
        assert virtual.advance_to_next() is None

    def test_listings(self, virtual):
        client = SequencerClient("listed", engine=virtual)
        queue = client.create_queue("the queue")
        assert queue.queue_id == 0 and "listed" in virtual.clients_listing()
        assert "the queue" in virtual.queues_listing()

    def test_invalid_arguments(self, virtual):
        with pytest.raises(ValueError, match="clock"):
            EmbeddedEngine(clock="x")
        with pytest.raises(OverflowError):
            virtual.advance(-1)
        with pytest.raises(ValueError):
            virtual.advance(float("nan"))


def test_engines_are_separate_and_the_process_wide_one_is_shared(on_kernel):
    if on_kernel:
        pytest.skip("tests the embedded engine")
    one = SequencerClient("one", engine=EmbeddedEngine())
    two = SequencerClient("two", engine=EmbeddedEngine())
    assert one.client_id == two.client_id == 128
    shared = [SequencerClient("s", engine="embedded") for _ in range(2)]
    assert shared[0].client_id != shared[1].client_id
    inside = SequencerClient("i", engine=EmbeddedEngine.process_wide())
    assert inside.client_id not in {client.client_id for client in shared}
    assert one.get_engine_name() == "embedded"
    for client in (one, two, *shared, inside):
        client.close()


def test_a_skew_of_zero_leaves_the_speed_unchanged(client):
    queue = client.create_queue()
    queue.set_tempo(500000, skew=0)
    assert queue.get_tempo().skew == 0x10000
    queue.set_tempo(QueueTempo(skew=0, skew_base=0))
    assert queue.get_tempo().skew == 0x10000
    queue.set_tempo(500000, skew=0x8000, skew_base=0)
    assert queue.get_tempo().skew == 0x8000


def test_a_second_object_of_a_queue_does_not_own_it(client):
    queue = client.create_queue("one")
    second = Queue(client, queue.queue_id)
    assert second.get_info().name == "one"
    second.close()
    assert queue.get_info().name == "one"
    queue.close()
    with pytest.raises(ALSAError):
        client.query_named_queue("one")
