"""The asynchronous client."""

import asyncio
import errno
import gc
import threading
import time
import weakref

import pytest
from alsa_midi import (
    WRITE_PORT,
    ALSAError,
    AsyncSequencerClient,
    MidiBytesEvent,
    NoteOnEvent,
    StateError,
)


@pytest.fixture
def make_async(make_client):
    return lambda name="async": make_client(name, AsyncSequencerClient)


@pytest.fixture
def loop_pair(make_async):
    class LoopPair:
        sender, receiver = make_async("sender"), make_async("receiver")
        out, into = sender.create_port("out"), receiver.create_port("in", WRITE_PORT)

        def send(self, note, **kwargs):
            return self.sender.event_output_direct(
                NoteOnEvent(note, **kwargs), port=self.out, dest=self.into
            )

    return LoopPair()


def run(coroutine):
    async def bounded():
        return await asyncio.wait_for(coroutine, 20)

    return asyncio.run(bounded())


def test_events_are_received_in_order_as_objects_or_bytes(loop_pair):
    async def main():
        client, port = loop_pair.sender, loop_pair.out
        assert await client.event_output(NoteOnEvent(1), port=port, dest=loop_pair.into) == 28
        assert await client.drain_output() == 0
        assert await loop_pair.send(2) == 28
        first = await loop_pair.receiver.event_input()
        second = await loop_pair.receiver.event_input(prefer_bytes=True)
        assert first.note == 1
        assert isinstance(second, MidiBytesEvent) and second.midi_bytes == b"\x90\x02\x7f"

    run(main())


def test_waiting_methods_are_coroutines(loop_pair):
    import inspect

    for name in ("event_input", "event_output", "event_output_direct", "drain_output", "aclose"):
        assert inspect.iscoroutinefunction(getattr(AsyncSequencerClient, name))


def test_input_waits_for_an_event(loop_pair):
    async def main():
        waiting = asyncio.ensure_future(loop_pair.receiver.event_input(prefer_bytes=True))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        await loop_pair.send(5)
        assert (await waiting).midi_bytes == b"\x90\x05\x7f"

    run(main())


def test_input_ends_after_its_timeout(loop_pair):
    async def main():
        for timeout in (0, -1, 0.05):
            start = time.monotonic()
            assert await loop_pair.receiver.event_input(timeout=timeout) is None
            assert time.monotonic() - start >= max(timeout, 0) - 0.005
        await loop_pair.send(1)
        assert (await loop_pair.receiver.event_input(timeout=5)).note == 1

    run(main())


def test_waiting_tasks_are_served_in_order(loop_pair):
    async def main():
        order = []

        async def wait(number):
            event = await loop_pair.receiver.event_input()
            order.append((number, event.note))

        tasks = [asyncio.ensure_future(wait(number)) for number in range(50)]
        await asyncio.sleep(0)
        for note in range(50):
            await loop_pair.send(note)
        await asyncio.gather(*tasks)
        assert order == [(number, number) for number in range(50)]

    run(main())


def test_two_concurrent_calls_both_return(loop_pair):
    async def main():
        calls = [asyncio.ensure_future(loop_pair.receiver.event_input(timeout=5)) for _ in range(2)]
        await asyncio.sleep(0.01)
        await loop_pair.send(1)
        await loop_pair.send(2)
        assert [event.note for event in await asyncio.gather(*calls)] == [1, 2]

    run(main())


def test_a_cancelled_task_loses_no_event(loop_pair):
    async def main():
        receiver = loop_pair.receiver
        first = asyncio.ensure_future(receiver.event_input())
        second = asyncio.ensure_future(receiver.event_input())
        await asyncio.sleep(0.01)
        await loop_pair.send(1)
        # Let the loop assign the event to the first task, and cancel it before it runs.
        while (
            not (receiver._readers and receiver._readers[0].done()) and len(receiver._readers) > 1
        ):
            await asyncio.sleep(0)
            if len(receiver._readers) < 2:
                break
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        if not second.done():
            done, _ = await asyncio.wait([second], timeout=0.2)
            notes = [task.result().note for task in done]
        else:
            notes = [second.result().note]
        if not notes:
            second.cancel()
        assert notes == [1]

    run(main())


def test_the_event_of_a_cancelled_task_comes_first(loop_pair):
    async def main():
        receiver = loop_pair.receiver
        task = asyncio.ensure_future(receiver.event_input())
        await asyncio.sleep(0)
        await loop_pair.send(1)
        await loop_pair.send(2)
        receiver._serve_input()  # the loop calls it when the descriptor is readable
        task.cancel()  # the task has the event, but has not run
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [(await receiver.event_input()).note for _ in range(2)] == [1, 2]

    run(main())


def test_the_event_of_a_cancelled_task_can_be_dropped(loop_pair):
    async def cancel_with_event(note):
        receiver = loop_pair.receiver
        task = asyncio.ensure_future(receiver.event_input())
        await asyncio.sleep(0)
        await loop_pair.send(note)
        receiver._serve_input()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def main():
        receiver = loop_pair.receiver
        for drop in (receiver.drop_input, receiver.drop_input_buffer):
            await cancel_with_event(1)
            drop()
            assert await receiver.event_input(timeout=0) is None
        await cancel_with_event(2)
        receiver.close()
        with pytest.raises(StateError):
            await receiver.event_input()

    run(main())


def test_many_tasks_and_clients(make_async):
    async def main():
        hub = make_async("hub")
        into = hub.create_port("in", WRITE_PORT)
        clients = [make_async(f"c{number}") for number in range(10)]

        async def play(number, client):
            port = client.create_port("out")
            for note in range(100):
                await client.event_output(NoteOnEvent(note, channel=number), port=port, dest=into)
                if note % 7 == 0:
                    await client.drain_output()
                    await asyncio.sleep(0)
            await client.drain_output()

        async def listen(events):
            while len(events) < 1000:
                events.append(await hub.event_input())

        hub.set_client_pool_input(2000)
        events = []
        listeners = [asyncio.ensure_future(listen(events))]
        await asyncio.gather(*(play(number, client) for number, client in enumerate(clients)))
        await asyncio.gather(*listeners)
        for number in range(10):
            assert [event.note for event in events if event.channel == number] == list(range(100))

    run(main())


def test_output_waits_for_room(make_async):
    async def main():
        client = make_async()
        port = client.create_port("p")
        queue = client.create_queue()
        queue.set_tempo(bpm=6000)
        client.set_output_buffer_size(280)
        client.set_client_pool_output(20)

        async def put(number):
            # The queue holds the events, so that the pool of 20 cells fills up.
            event = NoteOnEvent(number % 128, tick=1 + number // 4)
            await client.event_output(event, queue=queue, port=port, dest=port)
            return number

        tasks = [asyncio.ensure_future(put(number)) for number in range(100)]
        await asyncio.sleep(0.02)
        assert not all(task.done() for task in tasks)
        await asyncio.sleep(0.02)
        assert not all(task.done() for task in tasks)  # no progress: the queue has not started
        starter = threading.Thread(target=_start_queue, args=(client, queue.queue_id))
        starter.start()
        await asyncio.gather(*tasks)
        await client.drain_output()
        starter.join()
        notes = []
        while len(notes) < 100:
            event = await client.event_input(timeout=5)
            assert event is not None
            notes.append(event.note)
        assert notes == list(range(100))

    run(main())


def _start_queue(client, queue_id):
    """Starts a queue through another client, because this client's buffer and pool are full."""
    from alsa_midi import ContinueEvent, QueueInfo, SequencerClient

    client.set_queue_info(queue_id, QueueInfo(locked=False))
    engine = client._engine_argument
    with SequencerClient("starter", engine=engine) as other:
        other.get_queue(queue_id)
        port = other.create_port("p")
        # A start event would remove the events in the queue.
        other.event_output_direct(ContinueEvent(queue_id), port=port, dest=(0, 0))


def test_an_error_is_raised_in_the_task_that_caused_it(loop_pair):
    async def main():
        client, port = loop_pair.sender, loop_pair.out
        with pytest.raises(ALSAError) as caught:
            await client.event_output_direct(NoteOnEvent(1), port=port, dest=(99, 9))
        assert caught.value.errnum == -errno.ENOENT
        with pytest.raises(OverflowError):
            await client.event_output(NoteOnEvent(1, tag=300), port=port)
        assert await loop_pair.send(1) == 28

    run(main())


def test_close_ends_all_waits(loop_pair):
    async def main():
        receiver = loop_pair.receiver
        waiting = [asyncio.ensure_future(receiver.event_input()) for _ in range(3)]
        await asyncio.sleep(0.01)
        await receiver.aclose()
        for task in waiting:
            with pytest.raises(StateError):
                await task
        for use in (receiver.event_input, receiver.drain_output):
            with pytest.raises(StateError):
                await use()
        with pytest.raises(StateError):
            await receiver.event_input(timeout=0)
        await receiver.aclose()

    run(main())


def test_close_from_another_thread(loop_pair):
    async def main():
        receiver = loop_pair.receiver
        waiting = asyncio.ensure_future(receiver.event_input())
        await asyncio.sleep(0.01)
        thread = threading.Thread(target=receiver.close)
        thread.start()
        with pytest.raises(StateError):
            await waiting
        thread.join()

    run(main())


def test_a_client_can_be_used_with_one_loop_after_another(loop_pair):
    async def main(note):
        waiting = asyncio.ensure_future(loop_pair.receiver.event_input())
        await asyncio.sleep(0.01)
        await loop_pair.send(note)
        return (await waiting).note

    assert [run(main(note)) for note in (1, 2, 3)] == [1, 2, 3]


def test_an_idle_loop_sleeps(loop_pair):
    async def main():
        # An event for which no task waits wakes the loop only once.
        task = asyncio.ensure_future(loop_pair.receiver.event_input())
        await asyncio.sleep(0.01)
        await loop_pair.send(1)
        await task
        await loop_pair.send(2)
        start = time.process_time()
        await asyncio.sleep(0.3)
        assert time.process_time() - start < 0.15
        assert (await loop_pair.receiver.event_input()).note == 2

    run(main())


def test_a_dropped_client_is_freed(engine):
    async def main():
        client = AsyncSequencerClient("dropped", engine=engine)
        assert await client.event_input(timeout=0.01) is None
        reference = weakref.ref(client)
        del client
        gc.collect()
        assert reference() is None

    run(main())


def test_queue_control_does_not_block_the_loop(make_async):
    async def main():
        client = make_async()
        queue = client.create_queue()
        client.set_output_buffer_size(56)
        queue.start()
        await client.drain_output()
        assert queue.get_status().running

    run(main())
