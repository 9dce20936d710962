"""Servers against a peer that answers like one, and scores: moments, completions, callbacks, ids,
failures, deadlines and lifetimes. No SuperCollider is needed."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
import warnings
import weakref

import pytest
from fake import FakeServer, address_of, elements, message

import consort_sc
from consort_sc import AsyncServer, Buffer, Score, Server, default
from consort_sc.contexts import FailWarning
from consort_sc.exceptions import (
    CannotConnect,
    ContextError,
    MomentClosed,
    RequestFailed,
    ServerOffline,
)
from consort_sc.osc import OscMessage

#: Seconds that a condition may take on a busy machine.
DEADLINE = 60.0


@pytest.fixture
def fake():
    peer = FakeServer()
    yield peer
    peer.close()


@pytest.fixture
def server(fake):
    server = Server(port=fake.port).connect()
    server.sync(timeout=DEADLINE)
    fake.take()
    yield server
    if server.boot_status == consort_sc.BootStatus.ONLINE:
        server.disconnect()


def wait_for(condition):
    """Waits until a condition holds."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.005)


def sent(server, fake):
    """The addresses of what was sent, one list for each packet."""
    server.sync(timeout=DEADLINE)
    packets = [[address_of(data) for data in elements(packet)] for packet in fake.take()]
    assert packets.pop() == ["/sync"]
    return packets


def test_a_moment_sends_one_bundle_and_nothing_after_an_exception(server, fake):
    with server.at():
        server.add_group()
        server.add_synth(default)
    assert sent(server, fake) == [["/g_new", "/s_new"]]
    with pytest.raises(ZeroDivisionError), server.at(5):
        group = server.add_group(permanent=True)
        buffer = server.add_buffer(frame_count=4)
        raise ZeroDivisionError
    assert sent(server, fake) == []
    # The ids are free again.
    assert server.add_group(permanent=True).id_ == group.id_
    assert server.add_buffer(frame_count=4).id_ == buffer.id_


def test_nested_moments_are_independent(server, fake):
    with server.at() as outer:
        server.add_group()
        with server.at(1):
            server.do_nothing()
            server.add_synth(default)
        server.add_group()
        assert len(outer.requests) == 2
    addresses = sent(server, fake)
    assert [len(packet) for packet in addresses] == [2, 1]
    with pytest.raises(MomentClosed):
        outer.__enter__()


def test_interleaved_moments_of_tasks_and_threads_lose_nothing(fake):
    async def play(server, count):
        async def one(index):
            with server.at(index):
                for _ in range(5):
                    server.add_synth(default)
                    await asyncio.sleep(0)

        await asyncio.gather(*(one(index) for index in range(count)))

    async def main():
        server = await AsyncServer(port=fake.port).connect()
        await server.sync(timeout=DEADLINE)
        fake.take()
        await play(server, 20)
        await server.sync(timeout=DEADLINE)
        packets = [len(elements(packet)) for packet in fake.take()]
        await server.disconnect()
        return packets

    assert asyncio.run(main()) == [5] * 20 + [1]


def test_threads_have_their_own_moments(server, fake):
    def work():
        for _ in range(50):
            with server.at():
                server.add_group()
                server.add_synth(default)

    threads = [threading.Thread(target=work) for _ in range(4)]
    with server.at():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        server.do_nothing()
    packets = sent(server, fake)
    assert packets == [["/g_new", "/s_new"]] * 200 + [[""]]


def test_a_completion_is_opened_twice_and_not_after_its_moment(server, fake):
    with server.at():
        with server.add_buffer(frame_count=4) as completion:
            server.add_group()
        with completion:
            server.do_nothing()
        with pytest.raises(ZeroDivisionError), completion:
            server.add_synth(default)
            raise ZeroDivisionError
        assert len(completion.requests) == 2
    assert sent(server, fake) == [["/b_alloc"]]
    with pytest.raises(MomentClosed), completion:
        pass
    late = server.add_synthdefs(default)
    server.disconnect()
    with pytest.raises(MomentClosed), late:
        pass
    with pytest.raises(ServerOffline):
        server.add_synthdefs(default)


def test_moments_and_requests_above_a_datagram_are_divided(server, fake):
    with server.at(1):
        for _ in range(3_000):
            server.add_synth(default, frequency=[1.5, 2.5])
    packets = sent(server, fake)
    assert len(packets) > 1 and sum(map(len, packets)) == 3_000
    server.set_buffer_range(Buffer(server, 1), 0, [0.5] * 40_000)
    packets = sent(server, fake)
    assert len(packets) > 2 and all(packet == ["/b_setn"] for packet in packets)


def test_a_failure_is_a_warning_and_ends_the_request_that_waits(server, fake):
    fake.replies["/n_free"] = message("/fail", "/n_free", "Node 9 not found")
    with pytest.warns(FailWarning, match="/n_free Node 9 not found"):
        server.free_node(server.add_group(), force=True)
        server.sync(timeout=DEADLINE)
    fake.replies["/b_get"] = message("/fail", "/b_get", "index out of range")
    start = time.monotonic()
    with pytest.warns(FailWarning), pytest.raises(RequestFailed, match="index out of range"):
        server.get_buffer(Buffer(server, 1), 0)
    assert issubclass(RequestFailed, TimeoutError) and issubclass(RequestFailed, ContextError)
    assert time.monotonic() - start < DEADLINE


def test_a_server_that_does_not_answer_is_a_timeout(server, fake):
    with pytest.raises(TimeoutError):
        server.get_bus(server.add_bus())
    fake.answers = False
    with pytest.raises(TimeoutError):
        server.sync(timeout=0.05)
    fake.answers = True
    server.sync(timeout=DEADLINE)


def test_a_dead_port_is_an_error():
    port = consort_sc.find_free_port()
    with pytest.raises(CannotConnect, match=str(port)):
        Server().connect(port=port)
    with pytest.raises(ServerOffline):
        asyncio.run(AsyncServer(port=port).connect())


def test_invalid_options_say_what_was_expected():
    with pytest.raises(ValueError, match="port = 99999"):
        Server().connect(port=99999)
    with pytest.raises(ValueError, match="expected udp or tcp"):
        Server().connect(protocol="ipx")
    with pytest.raises(consort_sc.exceptions.ServerCannotBoot, match="/no/such/program"):
        Server().boot(executable="/no/such/program")


def test_unknown_controls_are_a_warning(server):
    with pytest.warns(UserWarning, match="no control `frequenzy`; it has: amplitude"):
        server.add_synth(default, frequenzy=3)
    with pytest.raises(ValueError, match="invalid bus 'x3'"):
        server.add_synth(default, frequency="x3")


def test_a_callback_may_raise_and_may_wait_for_the_server(server, fake, monkeypatch):
    reported = []
    monkeypatch.setattr(sys, "unraisablehook", lambda entry: reported.append(entry.exc_value))
    got = []

    def wait(message):
        server.sync(timeout=DEADLINE)
        got.append(message)

    server.register_osc_callback(["/tr", 1], lambda message: 1 / 0)
    callback = server.register_osc_callback(["/tr", 1], wait)
    server.register_osc_callback("/tr", got.append, once=True)
    fake.send(message("/tr", 2, 3, 0.5))
    fake.send(message("/tr", 1, 2, 0.5))
    wait_for(lambda: len(got) == 2)
    assert got == [OscMessage("/tr", 2, 3, 0.5), OscMessage("/tr", 1, 2, 0.5)]
    assert [type(error) for error in reported] == [ZeroDivisionError]
    callback.unregister()
    fake.send(message("/tr", 1, 2, 0.5))
    wait_for(lambda: len(reported) == 2)
    assert len(got) == 2


def test_callbacks_of_messages_before_a_reply_have_run_when_it_is_returned(server):
    got = []
    server.register_osc_callback("/synced", got.append)
    for number in range(20):
        server.sync(sync_id=number, timeout=DEADLINE)
        assert [entry.contents for entry in got] == [(index,) for index in range(number + 1)]


def test_coroutines_are_callbacks_of_an_asynchronous_server(fake):
    async def main():
        got, events = [], []
        server = AsyncServer(port=fake.port)

        async def on_event(event, name):
            await server_or_nothing(server)
            events.append((event.name, name))

        server.register_lifecycle_callback(["CONNECTED", "DISCONNECTED"], on_event, args=("first",))
        await server.connect()
        assert events == [("CONNECTED", "first")]

        async def on_message(message):
            await server.sync(timeout=DEADLINE)
            got.append(message)

        server.register_osc_callback("/tr", on_message)
        fake.send(message("/tr", 1, 2, 0.5))
        for _ in range(int(DEADLINE / 0.01)):
            if got:
                break
            await asyncio.sleep(0.01)
        await server.disconnect()
        assert await server.boot_future and await server.exit_future
        return got, events

    async def server_or_nothing(server):
        if server.boot_status == consort_sc.BootStatus.ONLINE:
            await server.sync(timeout=DEADLINE)

    got, events = asyncio.run(main())
    assert got == [OscMessage("/tr", 1, 2, 0.5)]
    assert [name for name, _ in events] == ["CONNECTED", "DISCONNECTED"]


def test_a_large_reply_is_complete(server, fake):
    fake.replies["/b_getn"] = message("/b_setn", 3, 0, 5_000, *[0.5] * 5_000)
    assert server.get_buffer_range(Buffer(server, 3), 0, 5_000) == (0.5,) * 5_000


def test_the_mirror_follows_notifications_and_large_trees_are_queried_in_parts(server, fake):
    group = server.add_group()
    fake.send(message("/n_go", group.id_, 1, -1, -1, 1, -1, -1))
    fake.send(message("/n_go", 2000, group.id_, -1, -1, 0))
    fake.send(message("/n_off", 2000, group.id_, -1, -1, 0))
    wait_for(lambda: group.children and not group.children[0].active)
    synth = group.children[0]
    assert group.allocated and synth.parent == consort_sc.contexts.Group(server, group.id_)
    assert [node.id_ for node in synth.parentage] == [2000, group.id_, 1, 0]
    fake.send(message("/n_end", 2000, group.id_, -1, -1, 0))
    wait_for(lambda: not group.children)
    bus = server.add_bus()
    assert bus.allocated
    assert not consort_sc.Bus(server, 16_384, consort_sc.CalculationRate.CONTROL).allocated


def test_freeing_the_first_buffer_of_a_group_frees_one_id(server, fake):
    group = server.add_buffer_group(channel_count=1, frame_count=4, count=3)
    fake.send(message("/done", "/b_free", group.id_))
    server.sync(timeout=DEADLINE)
    assert server.add_buffer(frame_count=4).id_ == group.id_
    assert server.add_buffer(frame_count=4).id_ == group.id_ + 3


def test_entities_of_scores_have_no_server():
    score = Score()
    with pytest.raises(ContextError, match="only inside a moment"):
        score.add_group()
    with pytest.raises(ContextError, match="invalid time -1"):
        score.at(-1)
    with score.at(0):
        buffer = score.add_buffer(frame_count=4)
    with pytest.raises(ContextError, match="expected a server"):
        buffer.get(0)
    assert list(score.iterate_datagrams(until=2))[-1].endswith(b"\0\0\0\0,\0\0\0")


def test_waiting_lets_other_threads_run_and_ends_at_a_signal():
    script = """
import os, signal, sys, threading, time
sys.path.insert(0, sys.argv[1])
from fake import FakeServer
from consort_sc import Server
peer = FakeServer()
server = Server(port=peer.port).connect()
peer.answers = False
ticks = []
def tick():
    for _ in range(20):
        ticks.append(time.monotonic())
        time.sleep(0.005)
    os.kill(os.getpid(), signal.SIGINT)
thread = threading.Thread(target=tick)
thread.start()
try:
    server.sync(timeout=300)
except KeyboardInterrupt:
    print("interrupted", len(ticks), flush=True)
"""
    process = subprocess.run(
        [sys.executable, "-P", "-c", script, os.path.dirname(__file__)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert process.stdout == "interrupted 20\n", process.stderr


def test_a_forked_child_gets_an_error_and_leaves_the_server_alone(server, fake):
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python warns of forks in programs with threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            server.sync()
        except RuntimeError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert b"create a new one after the fork" in os.read(reading, 1000)
    os.close(reading)
    os.close(writing)
    server.sync(timeout=DEADLINE)


def test_servers_in_cycles_are_collected(fake):
    def make():
        server = Server(port=fake.port).connect()
        server.register_osc_callback("/tr", lambda message: server)
        server.register_lifecycle_callback("QUIT", lambda event: server)
        server.group = server.add_group()
        server.disconnect()
        return weakref.ref(server)

    references = [make() for _ in range(5)]
    wait_for(lambda: gc.collect() >= 0 and not any(reference() for reference in references))


def count_descriptors():
    return len(os.listdir("/proc/self/fd"))


def test_many_servers_and_synths_leak_nothing(fake):
    def threads():
        return len(os.listdir("/proc/self/task"))

    def work(count):
        for _ in range(count):
            Server(port=fake.port, name="short")
            server = Server(port=fake.port).connect()
            server.disconnect()
        gc.collect()

    work(3)
    before = count_descriptors(), threads()
    work(30)
    wait_for(lambda: gc.collect() >= 0 and count_descriptors() <= before[0] + 2)
    wait_for(lambda: threads() <= before[1] + 2)


def test_the_interpreter_ends_while_a_server_is_online():
    script = """
import sys
sys.path.insert(0, sys.argv[1])
from fake import FakeServer
from consort_sc import Server
peer = FakeServer()
server = Server(port=peer.port).connect()
server.register_osc_callback("/tr", print)
print("end", flush=True)
"""
    process = subprocess.run(
        [sys.executable, "-P", "-c", script, os.path.dirname(__file__)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, "end\n", "")


def test_messages_are_formatted_as_lists():
    bundle = consort_sc.OscBundle(
        2.0, contents=[OscMessage("/d_recv", default.compile()), OscMessage("/a", 1, b"x")]
    )
    text = consort_sc.osc.format_messages([bundle, OscMessage("/b", [1, 2])])
    assert text == (
        "- [2.0, [['/d_recv', <SynthDef: supriya:default>], ['/a', 1, b'x']]]\n- ['/b', [1, 2]]"
    )


def test_system_synthdefs_have_names():
    from consort_sc.ugens import system

    assert system.system_link_control_3.effective_name == "supriya:link-kr:3"
    assert system.frequency_scope_log_shm_2.effective_name == "supriya:freq-scope-log-shm:2"
    with pytest.raises(AttributeError):
        _ = system.system_link_audio_17
