"""Threads, signals and waiting."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from alsa_midi import NoteOnEvent, PortSubscribedEvent, StateError


def test_waiting_lets_other_threads_run(client):
    thread = threading.Thread(target=client.event_input, kwargs={"timeout": 0.5})
    start = time.monotonic()
    thread.start()
    count = 0
    while time.monotonic() - start < 0.2:
        count += 1
    assert count > 1000 and thread.is_alive()
    thread.join()


def test_waiting_uses_no_processor_time(client):
    start = time.process_time()
    assert client.event_input(timeout=0.5) is None
    assert time.process_time() - start < 0.1


def test_one_thread_reads_while_another_writes(pair):
    ticks = []

    def read():
        while len(ticks) < 5000:
            ticks.append(pair.receiver.event_input(timeout=10).tick)

    pair.receiver.set_client_pool_input(2000)
    thread = threading.Thread(target=read)
    thread.start()
    for tick in range(5000):
        pair.sender.event_output(NoteOnEvent(1, tick=tick), port=pair.out)
        if tick % 100 == 99:
            pair.sender.drain_output()
            deadline = time.monotonic() + 10
            while len(ticks) < tick - 500 and time.monotonic() < deadline:
                time.sleep(0.0005)
    pair.sender.drain_output()
    thread.join(20)
    assert ticks == list(range(5000))


def test_many_threads_share_a_client(pair):
    notes, lock = [], threading.Lock()

    def read():
        while True:
            event = pair.receiver.event_input(timeout=10)
            with lock:
                notes.append((event.channel, event.note))
            if event.note == 127:
                return

    def write(channel):
        for note in range(100):
            pair.sender.event_output_direct(NoteOnEvent(note, channel), port=pair.out)

    pair.receiver.set_client_pool_input(2000)
    readers = [threading.Thread(target=read) for _ in range(3)]
    writers = [threading.Thread(target=write, args=(channel,)) for channel in range(4)]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join(20)
    for _ in readers:
        pair.sender.event_output_direct(NoteOnEvent(127), port=pair.out)
    for thread in readers:
        thread.join(20)
    assert sorted(pair for pair in notes if pair[1] != 127) == [
        (channel, note) for channel in range(4) for note in range(100)
    ]


def test_close_ends_the_wait_of_other_threads(client):
    caught = []

    def wait():
        try:
            client.event_input()
        except StateError as error:
            caught.append(error)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    client.close()
    for thread in threads:
        thread.join(5)
    assert len(caught) == 3


def test_an_exception_in_a_signal_handler_ends_a_wait(client):
    class Alarm(Exception):
        pass

    def handler(number, frame):
        raise Alarm

    previous = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(Alarm):
            client.event_input()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def test_a_handled_signal_does_not_end_a_wait(client):
    alarms = []
    previous = signal.signal(signal.SIGALRM, lambda *_: alarms.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        start = time.monotonic()
        assert client.event_input(timeout=0.2) is None
        assert alarms and time.monotonic() - start >= 0.19
    finally:
        signal.signal(signal.SIGALRM, previous)


def test_a_program_exits_while_a_thread_waits(on_kernel):
    engine = "kernel" if on_kernel else "embedded"
    program = (
        "import threading, alsa_midi\n"
        f"client = alsa_midi.SequencerClient('x', engine={engine!r})\n"
        "threading.Thread(target=client.event_input, daemon=True).start()\n"
        "print('end')\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, "end\n", "")


def test_the_error_without_a_sequencer_gives_a_remedy(on_kernel):
    if on_kernel or os.path.exists("/dev/snd/seq"):
        pytest.skip("this machine has a sequencer")
    environment = {k: v for k, v in os.environ.items() if k != "CONSORT_SEQ"}
    program = (
        "import alsa_midi\n"
        "try: alsa_midi.SequencerClient('x')\n"
        "except alsa_midi.ALSAError as error: print(error.errnum, error)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        env=environment,
    )
    assert process.stdout.startswith("-2 ") and "modprobe snd-seq" in process.stdout
    for value, words in (("embedded", "128"), ("nonsense", "CONSORT_SEQ")):
        process = subprocess.run(
            [
                sys.executable,
                "-c",
                "import alsa_midi\n"
                "try: print(alsa_midi.SequencerClient('x').client_id)\n"
                "except alsa_midi.ALSAError as error: print(error)\n",
            ],
            capture_output=True,
            text=True,
            timeout=30,
            env={**environment, "CONSORT_SEQ": value},
        )
        assert words in process.stdout


def test_threads_may_read_the_same_event():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    errors, deadline = [], time.monotonic() + 1

    def repeat(read):
        try:
            while time.monotonic() < deadline and not errors:
                read()
        except BaseException as error:
            errors.append(error)

    event = PortSubscribedEvent((1, 2), (3, 4))
    reads = (lambda: repr(event), lambda: event.connect_dest, lambda: event.type)
    threads = [threading.Thread(target=repeat, args=(read,)) for read in reads]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    finally:
        sys.setswitchinterval(interval)
    assert not errors


#: Creating an exception runs Python code, during which another thread may run.
PROGRAM = """
import threading
from alsa_midi import EmbeddedEngine, ALSAError, MidiBytesEvent, SequencerClient, StateError

client = SequencerClient("errors", engine=EmbeddedEngine())
port = client.create_port("out")
queue = client.create_queue()
queue.close()
calls = []


def run_in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()
    calls.append(function)


def output():
    client.event_output(MidiBytesEvent(b"\\x90\\x01\\x02"), port=port)


def use_closed_queue():
    try:
        queue._tempo()
    except StateError:
        pass


# Runs a function in another thread while the next exception of a class is created.
def call_while_created(error, function):
    def init(self, *arguments):
        error.__init__ = original
        original(self, *arguments)
        run_in_thread(function)

    original, error.__init__ = error.__init__, init


call_while_created(ALSAError, output)
try:
    client.event_output_direct(MidiBytesEvent(b"\\x90\\x01\\x02"), port=port, dest=(99, 0))
except ALSAError:
    call_while_created(StateError, use_closed_queue)
    use_closed_queue()
assert calls == [output, use_closed_queue]
"""


def test_other_threads_can_use_the_objects_of_an_error():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=20)
