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
    got = []

    def read():
        while len(got) < 5000:
            got.append(pair.receiver.event_input(timeout=10).tick)

    pair.receiver.set_client_pool_input(2000)
    thread = threading.Thread(target=read)
    thread.start()
    for tick in range(5000):
        pair.sender.event_output(NoteOnEvent(1, tick=tick), port=pair.out)
        if tick % 100 == 99:
            pair.sender.drain_output()
            end = time.monotonic() + 10
            while len(got) < tick - 500 and time.monotonic() < end:
                time.sleep(0.0005)
    pair.sender.drain_output()
    thread.join(20)
    assert got == list(range(5000))


def test_many_threads_share_a_client(pair):
    got, lock = [], threading.Lock()

    def read():
        while True:
            event = pair.receiver.event_input(timeout=10)
            with lock:
                got.append((event.channel, event.note))
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
    assert sorted(pair for pair in got if pair[1] != 127) == [
        (channel, note) for channel in range(4) for note in range(100)
    ]


def test_close_wakes_who_waits(client):
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


def test_signals_end_a_wait(client):
    class Rang(Exception):
        pass

    def ring(number, frame):
        raise Rang

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(Rang):
            client.event_input()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_handled_signal_does_not_end_a_wait(client):
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        start = time.monotonic()
        assert client.event_input(timeout=0.2) is None
        assert rung and time.monotonic() - start >= 0.19
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_program_ends_while_a_thread_waits(on_kernel):
    engine = "kernel" if on_kernel else "embedded"
    program = (
        "import threading, alsa_midi\n"
        f"client = alsa_midi.SequencerClient('x', engine={engine!r})\n"
        "threading.Thread(target=client.event_input, daemon=True).start()\n"
        "print('end')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_no_sequencer_is_said_plainly(on_kernel):
    if on_kernel or os.path.exists("/dev/snd/seq"):
        pytest.skip("there is a sequencer here")
    environment = {k: v for k, v in os.environ.items() if k != "CONSORT_SEQ"}
    program = (
        "import alsa_midi\n"
        "try: alsa_midi.SequencerClient('x')\n"
        "except alsa_midi.ALSAError as error: print(error.errnum, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        env=environment,
    )
    assert done.stdout.startswith("-2 ") and "modprobe snd-seq" in done.stdout
    for value, words in (("embedded", "128"), ("nonsense", "CONSORT_SEQ")):
        done = subprocess.run(
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
        assert words in done.stdout


def test_threads_may_look_at_the_same_event():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    wrong, end = [], time.monotonic() + 1

    def look(see):
        try:
            while time.monotonic() < end and not wrong:
                see()
        except BaseException as error:
            wrong.append(error)

    event = PortSubscribedEvent((1, 2), (3, 4))
    sees = (lambda: repr(event), lambda: event.connect_dest, lambda: event.type)
    threads = [threading.Thread(target=look, args=(see,)) for see in sees]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    finally:
        sys.setswitchinterval(interval)
    assert not wrong


#: What is made of an error is Python code, in which another thread may come to its turn.
TURNS = """
import threading
from alsa_midi import EmbeddedEngine, ALSAError, MidiBytesEvent, SequencerClient, StateError

client = SequencerClient("turns", engine=EmbeddedEngine())
port = client.create_port("out")
queue = client.create_queue()
queue.close()
turns = []


def turn(use):
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    turns.append(use)


def output():
    client.event_output(MidiBytesEvent(b"\\x90\\x01\\x02"), port=port)


def closed():
    try:
        queue._tempo()
    except StateError:
        pass


def taking_turns(kind, use):
    def init(self, *arguments):
        kind.__init__ = plain
        plain(self, *arguments)
        turn(use)

    plain, kind.__init__ = kind.__init__, init


taking_turns(ALSAError, output)
try:
    client.event_output_direct(MidiBytesEvent(b"\\x90\\x01\\x02"), port=port, dest=(99, 0))
except ALSAError:
    taking_turns(StateError, closed)
    closed()
assert turns == [output, closed]
"""


def test_an_error_lets_other_threads_use_the_same_things():
    subprocess.run([sys.executable, "-c", TURNS], check=True, timeout=20)
