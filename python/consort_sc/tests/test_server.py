"""Servers against a real scsynth on a JACK server without a sound card; rendering; programs that
were written for Supriya."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import wave

import pytest

import consort_sc
from consort_sc import AsyncServer, BootStatus, Score, Server, ServerLifecycleEvent, default

#: Seconds that a condition may take on a busy machine.
DEADLINE = 60.0
NAME = f"consort-py{os.getpid()}"
BOOT = ["BOOTING", "PROCESS_BOOTED", "CONNECTING", "OSC_CONNECTED", "CONNECTED", "BOOTED"]
QUIT = ["QUITTING", "DISCONNECTING", "OSC_DISCONNECTED", "DISCONNECTED", "PROCESS_QUIT", "QUIT"]
REPOSITORY = pathlib.Path(__file__).parents[3]


def missing(what):
    """Skips a test, or fails where everything has to be installed."""
    assert os.environ.get("CI") != "true", what
    print(f"SKIPPED: {what}")
    pytest.skip(what)


@pytest.fixture(scope="session")
def jack():
    """A JACK server without a sound card, on which scsynth boots: the one that CONSORT_TEST_JACK
    names, or one of its own."""
    running = os.environ.get("CONSORT_TEST_JACK")
    if running:
        os.environ["JACK_DEFAULT_SERVER"] = running
        yield
        return
    for program in ("scsynth", "jackd"):
        if not shutil.which(program):
            missing(f"{program} is not installed")
    folder = pathlib.Path.home() / ".local/share/SuperCollider/synthdefs"
    folder.mkdir(parents=True, exist_ok=True)
    command = ["jackd", "-n", NAME, "-r", "-d", "dummy", "-r", "48000", "-p", "512"]
    if shutil.which("setpriv"):
        # The kernel ends jackd if this process is killed.
        command = ["setpriv", "--pdeathsig", "TERM", *command]
    os.environ["JACK_DEFAULT_SERVER"] = NAME
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, **quiet)
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            Server(port=consort_sc.find_free_port()).boot().quit()
            break
        except consort_sc.exceptions.ServerCannotBoot as error:
            assert time.monotonic() < deadline, f"no server boots on jackd: {error}"
        if process.poll() is not None:
            # JACK has space for eight servers; others of this machine end in time.
            time.sleep(0.5)
            process = subprocess.Popen(command, **quiet)
    yield
    # A killed jackd would leave its entry in JACK's registry.
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture
def server(jack):
    server = Server(port=consort_sc.find_free_port(), name="test").boot()
    yield server
    server.quit()


def test_the_events_of_a_life(jack):
    events = []
    server = Server(port=consort_sc.find_free_port())
    server.register_lifecycle_callback(
        ServerLifecycleEvent, lambda event: events.append(event.name)
    )
    server.boot()
    assert events == BOOT and server.is_owner and server.boot_future.result(0)
    assert server.process_protocol.pid and server in Server._contexts
    with pytest.raises(consort_sc.exceptions.ServerOnline):
        server.boot()
    second = Server(port=server.options.port)
    with (
        pytest.warns(consort_sc.contexts.FailWarning),
        pytest.raises(consort_sc.exceptions.TooManyClients),
    ):
        second.connect()
    server.quit()
    assert events == BOOT + QUIT and server.exit_future.result(0)
    assert server.boot_status == BootStatus.OFFLINE and server not in Server._contexts


def test_a_process_that_dies_is_a_panic(jack):
    events = []
    server = Server(port=consort_sc.find_free_port()).boot()
    server.register_lifecycle_callback(
        ServerLifecycleEvent, lambda event: events.append(event.name)
    )
    os.kill(server.process_protocol.pid, signal.SIGKILL)
    assert server.exit_future.result(DEADLINE) is False
    assert events == ["PROCESS_PANICKED", "OSC_PANICKED", "DISCONNECTING", "DISCONNECTED", "QUIT"]


def test_an_asynchronous_life(jack):
    async def main():
        events = []

        async def on_event(event):
            await asyncio.sleep(0)
            events.append(event.name)

        server = AsyncServer(port=consort_sc.find_free_port())
        server.register_lifecycle_callback(ServerLifecycleEvent, on_event)
        await server.boot()
        with server.at(), server.add_synthdefs(default):
            synth = server.add_synth(default, frequency=330.0)
        await server.sync(timeout=DEADLINE)
        assert await synth.get("frequency") == {"frequency": 330.0}
        buffer = server.add_buffer(frame_count=16)
        await server.sync(timeout=DEADLINE)
        buffer.set_range(0, [0.5, 0.25])
        await server.sync(timeout=DEADLINE)
        assert await buffer.get_range(0, 3) == (0.5, 0.25, 0.0)
        assert "supriya:default" in str(await server.query_tree())
        await server.reset()
        assert "supriya:default" not in str(await server.query_tree())
        await server.quit()
        assert events == BOOT + QUIT and await server.exit_future

    asyncio.run(main())


def test_nodes_buses_buffers_and_scopes(server):
    server.add_synthdefs(default)
    server.sync(timeout=DEADLINE)
    group = server.add_group()
    synth = group.add_synth(default, amplitude=0.0)
    bus = server.add_bus()
    bus.set(0.25)
    synth.map(frequency=bus)
    server.sync(timeout=DEADLINE)
    assert synth.allocated and synth.active and group.children[0].id_ == synth.id_
    assert bus.get() == 0.25 == bus.get(use_shared_memory=True)
    bus.set(0.75, use_shared_memory=True)
    assert server.shared_memory[bus.id_] == 0.75
    # The synth reads the bus with its next period of control.
    time.sleep(0.1)
    tree = format(server.query_tree(), "unindexed")
    assert "... supriya:default\n" in tree and f"frequency: {bus.map_symbol()}" in tree
    assert server.query_node(synth).parent_id == group.id_
    assert server.query_version().program_name == "scsynth"
    buffer = server.add_buffer(frame_count=20_000)
    server.sync(timeout=DEADLINE)
    assert len(buffer.get_range(0, 20_000)) == 20_000 and buffer.allocated
    assert buffer.query().items[0].frame_count == 20_000
    scope = server.add_amplitude_scope(server.audio_output_bus_group)
    deadline = time.monotonic() + DEADLINE
    while not scope.read()[0]:
        assert time.monotonic() < deadline
    scope.stop()


def test_a_tree_that_does_not_fit_into_a_reply(server):
    server.add_synthdefs(default)
    server.sync(timeout=DEADLINE)
    with server.at():
        for index in range(800):
            server.add_synth(default, amplitude=0.0, frequency=float(index + 1))
    server.sync(timeout=DEADLINE)
    tree = server.query_tree()
    [group] = tree.children
    assert len(group.children) == 800
    frequencies = {
        control.value
        for synth in group.children
        for control in synth.controls
        if control.name_or_index == "frequency"
    }
    assert len(frequencies) == 800


def test_a_score_is_rendered(jack, tmp_path):
    score = Score(output_bus_channel_count=2)
    with score.at(0):
        score.add_synthdefs(default)
        synth = score.add_synth(default)
    with score.at(0.5):
        synth.free()
    progress = []
    target = tmp_path / "sound.wav"
    path, exit_code = consort_sc.render(
        score,
        target,
        duration=1,
        header_format="wav",
        sample_format="int16",
        on_progress=progress.append,
    )
    assert (path, exit_code) == (target, 0) and progress[-1] >= 0.5
    with wave.open(str(target)) as sound:
        assert sound.getframerate() == 44_100 and sound.getnchannels() == 2
        assert any(sound.readframes(20_000))


def test_the_examples_of_the_book_and_of_the_readme_run(jack, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    pages = [REPOSITORY / "docs/sc-python.md", REPOSITORY / "python/consort_sc/README.md"]
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    examples = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(examples) == 7
    for example in examples:
        if "patterns" in example and importlib.util.find_spec("supriya") is None:
            continue
        port = consort_sc.find_free_port()
        example = re.sub(r"(Server\()", rf"\1port={port}", example)
        exec(compile(example, "example", "exec"), {})
    assert "ping" in capsys.readouterr().out


PROGRAM = """
import sys, time
import supriya
from supriya.contexts.realtime import BaseServer
from supriya.ugens import Out, SinOsc
from supriya.patterns import (
    BusPattern, EventPattern, FxPattern, GroupPattern, ParallelPattern, SequencePattern
)
assert supriya.__name__ == "consort_sc", supriya.__name__
notes = EventPattern(duration=0.05, delta=0.05, frequency=SequencePattern([220, 330, 440, 550]))
endless = EventPattern(delta=0.05, frequency=SequencePattern([220, 330], iterations=None))
server = supriya.Server(port=supriya.find_free_port()).boot()
server.add_synthdefs(supriya.default)
server.sync()

def synths():
    return str(server.query_tree()).count("supriya:default")

clock = supriya.Clock()
clock.start()
for pattern in (notes, GroupPattern(notes), BusPattern(notes), ParallelPattern([notes, notes])):
    player = pattern.play(context=server, clock=clock)
    deadline = time.monotonic() + 60
    while not synths():
        assert time.monotonic() < deadline
    while synths():
        assert time.monotonic() < deadline
player = endless.play(context=server, clock=clock)
deadline = time.monotonic() + 30
while not synths():
    assert time.monotonic() < deadline
player.stop()
while synths():
    assert time.monotonic() < deadline + 30
clock.stop()
server.quit()
score = supriya.Score()
with score.at(0):
    score.add_synthdefs(supriya.default)
with supriya.OfflineClock().at() as clock:
    notes.play(context=score, clock=clock)
bundles = [bundle for bundle in score.iterate_osc_bundles()]
addresses = [message.address for bundle in bundles for message in bundle.contents]
assert addresses.count("/s_new") == 4, addresses
print("played and stopped", sys.argv[1:])
"""


def test_a_program_for_supriya_plays_and_stops_patterns(jack, tmp_path):
    if sys.version_info < (3, 11) or importlib.util.find_spec("supriya") is None:
        missing("supriya is not installed")
    script = tmp_path / "program.py"
    script.write_text(PROGRAM, encoding="utf-8")
    process = subprocess.run(
        [sys.executable, "-P", "-m", "consort_sc.compat", str(script), "argument"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert process.stdout == "played and stopped ['argument']\n", process.stderr


def test_compat_refuses_to_replace_a_package_that_is_in_use():
    script = "import sys, types; sys.modules['supriya'] = types.ModuleType('supriya')\n"
    script += "import consort_sc.compat; consort_sc.compat.install()"
    process = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, check=False
    )
    assert "Supriya was imported already" in process.stderr
