"""The backend jack with servers and programs of others: jackd2 with its dummy driver or PipeWire,
`jack_midi_dump`, `jack_lsp`, and PyPI's JACK-Client (peer.py).

    interoperability.py PATH_TO_CONSORT [jackd | pipewire]

CONSORT_REPLUGS is how often the server is killed and started again (20).
"""

import contextlib
import difflib
import json
import os
import queue
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

DEADLINE = 60
RESTARTS = int(os.environ.get("CONSORT_REPLUGS", "20"))
PERIOD = 1024
RATE = 48000
consort_binary = sys.argv[1]
kind = sys.argv[2] if len(sys.argv) > 2 else "jackd"
folder = Path(tempfile.mkdtemp(prefix="consort-jack-"))
server_name = f"consort-test-{os.getpid()}"
failures = []


def check(what, passed, detail=""):
    print(f"{'ok' if passed else 'FAILED'}: {what}{': ' if detail else ''}{detail}", flush=True)
    if not passed:
        failures.append(what)


def until(what, condition, deadline=DEADLINE):
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise TimeoutError(f"waited {deadline} s for {what}")


def osc(address, value):
    def text(string):
        return string.encode() + b"\0" * (4 - len(string) % 4)

    return text(address) + text(",f") + struct.pack(">f", value)


def osc_value(packet):
    return packet[: packet.index(b"\0")].decode(), struct.unpack(">f", packet[-4:])[0]


def spawn(name, command, environment):
    with open(folder / f"{name}.log", "ab") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def end(process, how=signal.SIGTERM):
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Jackd:
    """jackd2 with its dummy driver, under a name of its own."""

    can_change = True

    def __init__(self):
        self.environment = {
            **os.environ,
            "JACK_DEFAULT_SERVER": server_name,
            "JACK_NO_START_SERVER": "1",
            "XDG_RUNTIME_DIR": str(folder),
        }
        self.option = f"server = {server_name}"
        self.library = "auto"
        self.process = None

    def start(self):
        command = ["jackd", "--no-realtime", "-n", server_name, "-d", "dummy"]
        command += ["-r", str(RATE), "-p", str(PERIOD)]

        def attempt():
            if self.process is None or self.process.poll() is not None:
                self.process = spawn("jackd", command, self.environment)
            probe = subprocess.run(
                ["jack_lsp", "-s", server_name], env=self.environment, capture_output=True
            )
            return probe.returncode == 0

        until("jackd", attempt)

    def kill(self):
        end(self.process, signal.SIGKILL)

    def stop(self):
        end(self.process)
        for path in Path("/dev/shm").glob(f"jack_sem.*_{server_name}_*"):
            path.unlink(missing_ok=True)


class PipeWire:
    """PipeWire with WirePlumber and a null sink, in a folder of its own."""

    can_change = False

    def __init__(self):
        libraries = [
            path
            for path in Path("/usr/lib").glob("**/pipewire-0.3/jack/libjack.so.0")
            if path.exists()
        ]
        self.library = str(libraries[0])
        self.environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "XDG_STATE_HOME": str(folder),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder}/bus",
            "LD_LIBRARY_PATH": str(libraries[0].parent),
            "PIPEWIRE_LATENCY": f"{PERIOD}/{RATE}",
            "PIPEWIRE_QUANTUM": f"{PERIOD}/{RATE}",
        }
        self.option = ""
        self.processes = []
        configuration = folder / "pipewire" / "pipewire.conf.d"
        configuration.mkdir(parents=True)
        (configuration / "sink.conf").write_text(
            "context.objects = [ { factory = adapter args = { "
            "factory.name = support.null-audio-sink node.name = nullsink "
            "media.class = Audio/Sink audio.position = [ FL FR ] } } ]\n"
        )
        bus = ["dbus-daemon", "--session", "--nofork", f"--address=unix:path={folder}/bus"]
        self.bus = spawn("bus", bus, self.environment)
        until("the message bus", lambda: (folder / "bus").exists())

    def start(self):
        self.processes = [spawn("pipewire", ["pipewire"], self.environment)]
        until("PipeWire's socket", lambda: (folder / "pipewire-0").exists())
        self.processes.append(spawn("wireplumber", ["wireplumber"], self.environment))

        def has_sink():
            listing = subprocess.run(
                ["timeout", "5", "jack_lsp"],
                env=self.environment,
                capture_output=True,
                text=True,
            )
            return "nullsink:playback_FL" in listing.stdout

        until("the null sink", has_sink)

    def kill(self):
        for process in self.processes:
            end(process, signal.SIGKILL)
        for path in folder.glob("pipewire-0*"):
            path.unlink()

    def stop(self):
        for process in reversed([self.bus, *self.processes]):
            end(process)


class Peer:
    """JACK-Client in a process of its own; see peer.py."""

    def __init__(self, name, *ports):
        # A server that has just started may refuse a client, or not answer it.
        for _ in range(4):
            self.start(name, ports)
            with contextlib.suppress(queue.Empty):
                ready = self.answers.get(timeout=15)
                self.name = ready["ready"]
                self.frames = ready["frames"]
                return
            self.close()
        raise TimeoutError(f"the client {name} does not start")

    def start(self, name, ports):
        script = Path(__file__).with_name("peer.py")
        with open(folder / "peer.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(script), name, *ports],
                env=server.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.messages = []
        self.answers = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            if not line.startswith("{"):
                continue
            message = json.loads(line)
            if "midi" in message:
                self.messages.append((message["frame"], message["bytes"]))
            elif "shutdown" not in message:
                self.answers.put(message)

    def answer(self):
        return self.answers.get(timeout=DEADLINE)

    def send(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def ask(self, command):
        self.send(command)
        answer = self.answer()
        if "error" in answer:
            raise RuntimeError(f"{command}: {answer['error']}")
        return answer

    def bytes(self):
        return [data for _, data in self.messages]

    def connections(self, port):
        return self.ask("connections")["connections"][port]

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        end(self.process, signal.SIGKILL)


class Show:
    """`consort run` with an OSC instance that the test sends to and receives from."""

    def __init__(self, options, mappings, libraries=True):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.05)
        reserved = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        reserved.bind(("127.0.0.1", 0))
        self.port = reserved.getsockname()[1]
        reserved.close()
        path = folder / "show.cfg"
        path.write_text(
            f"[backend jack]\nlibrary = {server.library}\n[jack j]\n{server.option}\n{options}\n"
            f"[osc o]\nbind = 127.0.0.1 {self.port}\n"
            f"destination = 127.0.0.1 {self.socket.getsockname()[1]}\n[map]\n{mappings}\n"
        )
        self.log = folder / "consort.log"
        self.log.write_bytes(b"")
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}
        self.process = spawn("consort", [consort_binary, "run", str(path)], environment)
        self.values = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while True:
            try:
                self.values.append(osc_value(self.socket.recv(4096)))
            except TimeoutError:
                continue
            except OSError:
                return

    def send(self, address, value):
        self.socket.sendto(osc(address, value), ("127.0.0.1", self.port))

    def wait_for(self, text, count=1):
        return until(f"the log line `{text}`", lambda: self.log.read_text().count(text) >= count)

    def of(self, address):
        return [value for name, value in self.values if name == address]

    def stop(self, how=signal.SIGTERM):
        end(self.process, how)
        self.socket.close()
        return self.process.returncode


PORTS = """mo = midi out
mi = midi in
lfo = cv min 0 max 5 out ramp
step = cv out min -1 max 1
mean = cv in min 0 max 2
peak = peak cv in rate 50
gate = in cv gate rate 1000
"""

MAPPINGS = """o./nrpn > j.mo.ch1.nrpn900
o./note > j.mo.ch0.note60
o./cc > j.mo.channel2.cc7
o./pitch > j.mo.ch0.pitch
o./sysex > j.mo.sysex.F0 7D 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10 11 12 13 14 15 16 vv F7
o./clock > j.mo.tempo
o./lfo > j.lfo
o./step > j.step
j.mi.ch0.note60 > o./note60
j.mi.ch1.nrpn900 > o./nrpn900
j.mi.ch3.pitch > o./pitch3
j.mi.sysex.F0 7D 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10 11 12 13 14 15 16 vv F7 > o./sx
j.mean > o./mean
j.peak > o./peak
j.gate > o./gate
o./rolling > j.transport.rolling
o./tempo > j.transport.tempo
j.transport.rolling > o./isrolling
j.transport.tempo > o./istempo
"""

# PipeWire's library turns note-on messages of velocity 0 into note-off messages.
NOTE_OFF = "803c40" if kind == "pipewire" else "903c00"
SYSEX = "f07d0102030405060708090a0b0c0d0e0f101112131415162af7"


def connect(peer, *pairs):
    for source, target in pairs:
        peer.ask(f"connect {source} {target}")


def last_is(show, address, expected, tolerance=1e-4):
    def is_there():
        values = show.of(address)
        return values and abs(values[-1] - expected) <= tolerance

    return until(f"{address} = {expected}", is_there)


def dumped(text):
    """The bytes that jack_midi_dump prints: `   4096: b1 63 07  control change …`."""
    messages = []
    for line in text.splitlines():
        _, colon, rest = line.partition(":")
        words = []
        for word in rest.split():
            if len(word) == 2 and all(letter in "0123456789abcdef" for letter in word):
                words.append(word)
            else:
                break
        if colon and words:
            messages.append("".join(words))
    return messages


def test_values():
    """Bytes, frames and samples as foreign programs see them, both ways."""
    show = Show(PORTS, MAPPINGS)
    show.wait_for("j: up")
    peer = Peer("peer", "in:midi:in", "out:midi:out", "cvin:cv:in", "cvout:cv:out")
    connect(
        peer,
        ("MIDIMonster:mo", "peer:in"),
        ("peer:out", "MIDIMonster:mi"),
        ("MIDIMonster:lfo", "peer:cvin"),
        ("peer:cvout", "MIDIMonster:mean"),
        ("peer:cvout", "MIDIMonster:peak"),
        ("peer:cvout", "MIDIMonster:gate"),
    )
    listing = subprocess.run(
        ["jack_lsp", "-tp", *(["-s", server_name] if kind == "jackd" else [])],
        env=server.environment,
        capture_output=True,
        text=True,
    ).stdout
    lines = listing.splitlines()
    facts = {
        line: " ".join(part.strip() for part in lines[index + 1 : index + 3])
        for index, line in enumerate(lines)
        if not line.startswith((" ", "\t"))
    }
    check(
        "jack_lsp lists the ports",
        "8 bit raw midi" in facts.get("MIDIMonster:mo", "")
        and "output" in facts.get("MIDIMonster:mo", "")
        and "input" in facts.get("MIDIMonster:mi", "")
        and "32 bit float mono audio" in facts.get("MIDIMonster:lfo", ""),
        facts.get("MIDIMonster:mo", "no port"),
    )
    dump = subprocess.Popen(
        ["jack_midi_dump", "-a", "dump"],
        env=server.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    until(
        "jack_midi_dump",
        lambda: "error" not in _try_connect(peer, "MIDIMonster:mo", "dump:input"),
    )

    def receives(what, sends, expected):
        # A client that is late on a busy machine loses the messages of a period.
        for _ in range(5):
            before = len(peer.messages)
            for address, value in sends:
                show.send(address, value)
            with contextlib.suppress(TimeoutError):
                wanted = before + len(expected)
                until(what, lambda wanted=wanted: len(peer.messages) >= wanted, 10)
            got = peer.messages[before:]
            if [data for _, data in got] == expected:
                break
            time.sleep(1)
        check(f"{what}: bytes", [data for _, data in got] == expected, " ".join(d for _, d in got))
        return got

    nrpn = ["b16307", "b16204", "b1065f", "b1267f", "b1657f", "b1647f"]
    got = receives("nrpn900 = 0.75", [("/nrpn", 0.75)], nrpn)
    frames = [frame for frame, _ in got]
    check("the messages of one value have one frame", len(set(frames)) == 1, str(frames))
    receives("note on", [("/note", 1.0)], ["903c7f"])
    receives("note off", [("/note", 0.0)], [NOTE_OFF])
    receives("controller", [("/cc", 0.5)], ["b20740"])
    receives("pitch", [("/pitch", 1.0)], ["e07f7f"])
    receives("system exclusive", [("/sysex", 42 / 127)], [SYSEX])

    # A busy machine delays threads by more than a period; one quiet second is enough. If messages
    # were sent at the beginnings of periods, no distance would be that of the clocks.
    show.send("/clock", 0.4)  # 120 quarter notes per minute: a clock each 1000 frames

    def exact_clocks():
        before = len(peer.messages)
        until("50 clocks", lambda: len(peer.messages) >= before + 52)
        clocks = [frame for frame, data in peer.messages[before:] if data == "f8"]
        distances = [b - a for a, b in zip(clocks, clocks[1:])]
        exact = sum(abs(distance - 1000) <= 1 for distance in distances)
        return exact >= 0.5 * len(distances) > 0 and f"{exact} of {len(distances)}"

    exact = until("exact clocks", exact_clocks)
    show.send("/clock", 0.0)
    check("most clocks are 1000 frames apart, to one frame", bool(exact), exact)
    time.sleep(0.5)

    peer.send("midi out 903c64 e33f7f")
    last_is(show, "/note60", 100 / 127)
    last_is(show, "/pitch3", (127 * 128 + 63) / 16383)
    peer.send("midi out 803c40")
    last_is(show, "/note60", 0.0)
    peer.send("midi out b16307 b16204 b10660 b12600")
    last_is(show, "/nrpn900", 0x60 * 128 / 16383)
    peer.send(f"midi out {SYSEX}")
    last_is(show, "/sx", 42 / 127)
    check("messages arrive in the show", True, str(show.values[-3:]))
    held = len(show.of("/note60"))
    peer.send("midi out 903c64")
    until("a held note", lambda: len(show.of("/note60")) > held)

    # Control voltage.
    samples = peer.ask("samples cvin 2048")["samples"]
    check("before the first value, 0", set(samples) == {0.0}, str(set(samples)))
    peer.send("samples cvin 48000")
    time.sleep(0.2)
    show.send("/lfo", 1.0)
    samples = peer.answer()["samples"]
    rising = [sample for sample in samples if 0.0 < sample < 5.0]
    steps = [b - a for a, b in zip(rising, rising[1:])]
    check(
        "a ramp of one period",
        samples[-1] == 5.0 and len(rising) == peer.frames - 1 and max(steps) < 5.1 / peer.frames,
        f"{len(rising)} samples on the way, the largest step {max(steps, default=0):.6f}",
    )
    peer.ask("disconnect MIDIMonster:lfo peer:cvin")
    connect(peer, ("MIDIMonster:step", "peer:cvin"))
    show.send("/step", 0.75)
    time.sleep(0.2)
    until("a step", lambda: set(peer.ask("samples cvin 1024")["samples"]) == {0.5})
    for level, mean, peak, gate in [
        ("0.5", 0.25, 0.5, 1.0),
        ("-0.25", 0.0, 0.25, 0.0),
        ("1.5", 0.75, 1.0, 1.0),
        ("0", 0.0, 0.0, 0.0),
    ]:
        peer.send(f"level cvout {level}")
        passed = (
            last_is(show, "/mean", mean)
            and last_is(show, "/peak", peak)
            and last_is(show, "/gate", gate)
        )
        check(f"control voltage {level}: mean, peak, gate", bool(passed), f"{mean} {peak} {gate}")
    count = len(show.of("/mean"))
    peer.send("level cvout nan")
    time.sleep(0.3)
    check("NaN is not input", len(show.of("/mean")) == count)
    peer.send("level cvout -0.0")

    # Transport.
    show.send("/rolling", 1.0)
    until("a rolling transport", lambda: peer.ask("transport")["rolling"])
    last_is(show, "/isrolling", 1.0)
    show.send("/tempo", 0.3)
    tempo = until("a tempo", lambda: abs((peer.ask("transport")["tempo"] or 0.0) - 90.0) < 0.01)
    check("the show sets the tempo of the transport", bool(tempo), "90 per minute")
    last_is(show, "/istempo", 0.3)
    peer.ask("roll 0")
    last_is(show, "/isrolling", 0.0)
    check("the transport is a source and a target", True)

    if server.can_change:
        for frames in (256, PERIOD):
            peer.ask(f"blocksize {frames}")
            receives(
                f"{frames} frames: note", [("/note", 1.0), ("/note", 0.0)], ["903c7f", NOTE_OFF]
            )
        peer.ask("freewheel 1")
        receives("freewheeling: note", [("/note", 1.0), ("/note", 0.0)], ["903c7f", NOTE_OFF])
        peer.ask("freewheel 0")

    before = len(peer.messages)
    show.send("/note", 1.0)
    until("a note", lambda: len(peer.messages) > before)
    status = show.stop()
    until("the note's end", lambda: peer.bytes()[-1] == NOTE_OFF)
    check("the end of the show ends its notes", peer.bytes()[-1] == NOTE_OFF and status == 0)
    time.sleep(0.5)
    dump.terminate()
    output = dump.communicate()[0]
    expected = [data for data in peer.bytes()]
    got = dumped(output)
    # Each of both may have lost a period on a busy machine, and a new connection of PipeWire
    # carries messages only after some periods.
    matcher = difflib.SequenceMatcher(None, got, expected, autojunk=False)
    count = sum(block.size for block in matcher.get_matching_blocks())
    check(
        "jack_midi_dump prints the same messages",
        count > 30 and count >= 0.9 * len(got),
        f"{count} of {len(got)}: {' '.join(got[:9])} …",
    )
    peer.close()


def _try_connect(peer, source, target):
    peer.send(f"connect {source} {target}")
    return peer.answer()


def restart(show, peer, starts):
    """Kills the server while a note is held, and starts it and the peer again. Returns the peer."""
    until("messages", lambda: len(peer.messages) > 20)
    held = len(show.of("/note60"))
    peer.send("midi out 903c64")
    until("a held note", lambda: len(show.of("/note60")) > held)
    server.kill()
    last_is(show, "/note60", 0.0)
    peer.close()
    server.start()
    show.wait_for("j: up", starts)
    new = Peer("peer", "in:midi:in", "out:midi:out")
    until("the connection", lambda: new.connections("in") == ["MIDIMonster:mo"])
    until("the connection", lambda: new.connections("out") == ["MIDIMonster:mi"])
    return new


def test_restarts():
    """The server is killed and started again under load; connections return by name."""
    show = Show("mo = midi out\nmi = midi in\n", MAPPINGS_SHORT)
    show.wait_for("j: up")
    peer = Peer("peer", "in:midi:in", "out:midi:out")
    connect(peer, ("MIDIMonster:mo", "peer:in"), ("peer:out", "MIDIMonster:mi"))
    running = True

    def load():
        number = 0
        while running:
            number += 1
            show.send("/cc", (number % 128) / 127)
            time.sleep(0.0005)

    threading.Thread(target=load, daemon=True).start()
    for turn in range(RESTARTS):
        peer = restart(show, peer, turn + 2)
    running = False
    check(f"the server was killed {RESTARTS} times under load, and all connections returned", True)
    # The other program returns, too; a connection that somebody removes stays removed.
    peer.close()
    peer = Peer("peer", "in:midi:in", "out:midi:out")
    until("the connections", lambda: peer.connections("in") == ["MIDIMonster:mo"])
    peer.ask("disconnect MIDIMonster:mo peer:in")
    show.wait_for("`mo` was disconnected from `peer:in`")
    peer.close()
    peer = Peer("peer", "in:midi:in", "out:midi:out")
    until("the other connection", lambda: peer.connections("out") == ["MIDIMonster:mi"])
    time.sleep(0.5)
    check("a removed connection stays removed", peer.connections("in") == [])
    check("the show ends", show.stop() == 0)
    peer.close()


MAPPINGS_SHORT = "o./cc > j.mo.ch0.cc7\nj.mi.ch0.note60 > o./note60\n"


def test_connect():
    """`connect` connects ports that are there and that appear."""
    options = (
        "mo = midi out\nmi = midi in\nname = Rules\nconnect = mo > peer:i*\n"
        "connect = peer:out > mi\nconnect = late:*\n"
    )
    peer = Peer("peer", "in:midi:in", "out:midi:out", "cv:cv:in")
    show = Show(options, MAPPINGS_SHORT)
    until("the rules", lambda: peer.connections("in") == ["Rules:mo"])
    until("the rules", lambda: peer.connections("out") == ["Rules:mi"])
    check("`connect` connects what matches", peer.connections("cv") == [])
    show.wait_for("degraded: no port matches `late:*` of `connect`")
    late = Peer("late", "a:midi:in", "b:midi:out")
    until("the late port", lambda: late.connections("a") == ["Rules:mo"])
    until("the late port", lambda: late.connections("b") == ["Rules:mi"])
    check("`connect` connects what appears", True)
    check("the show ends", show.stop() == 0)
    late.close()
    peer.close()


def test_calls():
    """What strace sees of the thread with the callback: semaphores of libjack, and one write."""
    if not shutil.which("strace"):
        print("SKIPPED: the system calls of the callback: strace is missing", file=sys.stderr)
        return
    show = Show("mo = midi out\nmi = midi in\n", "o./cc > j.mo.ch0.cc7\nj.mi.ch0.cc7 > o./back\n")
    show.wait_for("j: up")
    subprocess.run(
        ["jack_connect", "-s", server_name, "MIDIMonster:mo", "MIDIMonster:mi"],
        env=server.environment,
        check=True,
        capture_output=True,
    )
    trace = folder / "trace.txt"
    strace = subprocess.Popen(
        ["strace", "-f", "-p", str(show.process.pid), "-o", str(trace)], stderr=subprocess.DEVNULL
    )
    until("strace", lambda: trace.exists() and trace.stat().st_size > 0)

    def has_passed():
        for number in range(20):
            show.send("/cc", number / 127)
        return len(show.of("/back")) > 2000

    until("messages", has_passed)
    end(strace, signal.SIGINT)
    calls = {}
    rings = {}
    for line in trace.read_text().splitlines():
        thread, _, call = line.partition(" ")
        name = call.strip().partition("(")[0]
        if not name.isidentifier():
            continue
        calls.setdefault(thread, {}).setdefault(name, 0)
        calls[thread][name] += 1
        if name == "write" and '"\\1\\0\\0\\0\\0\\0\\0\\0", 8' in call:
            rings[thread] = rings.get(thread, 0) + 1
    # The router's thread rings, too, but reads its sockets as well; that of the instance rings when
    # connections change, and polls.
    others = {"epoll_wait", "poll", "ppoll"}
    callbacks = [thread for thread in rings if not others & set(calls[thread])]
    # A thread of libjack rings, too, when connections change: rarely.
    callbacks = sorted(callbacks, key=rings.get)[-1:]
    counts = calls[callbacks[0]] if callbacks else {}
    check(
        "the callback's thread makes no other call than libjack's and one write",
        len(callbacks) == 1
        and set(counts) <= {"futex", "write", "restart_syscall"}
        and counts["write"] == rings[callbacks[0]],
        str(counts),
    )
    check("the show ends", show.stop() == 0)


def test_hang():
    """A server that is stopped stops nothing else."""
    show = Show("mo = midi out\nmi = midi in\n", MAPPINGS_SHORT + "o./a > o./b\n")
    show.wait_for("j: up")
    server.process.send_signal(signal.SIGSTOP)
    show.wait_for("the server does not run")
    show.send("/a", 0.5)
    last_is(show, "/b", 0.5)
    check("routes work while the server hangs", True)
    status = show.stop()
    check("the show ends while the server hangs", status == 0, str(status))
    server.process.send_signal(signal.SIGCONT)


server = Jackd() if kind == "jackd" else PipeWire()
try:
    server.start()
    wanted = sys.argv[3:] or ["values", "connect", "restarts", "calls", "hang"]
    if "values" in wanted:
        test_values()
    if "connect" in wanted:
        test_connect()
    if "restarts" in wanted:
        test_restarts()
    if "calls" in wanted and kind == "jackd":
        test_calls()
    if "hang" in wanted and kind == "jackd":
        test_hang()
except (RuntimeError, TimeoutError, queue.Empty) as error:
    check(repr(error), False)
finally:
    server.stop()
    if failures or os.environ.get("CONSORT_KEEP"):
        for log in sorted(folder.glob("*.log")):
            length = int(os.environ.get("CONSORT_KEEP", "3000"))
            print(f"--- {log.name}\n{log.read_text(errors='replace')[-length:]}")
    shutil.rmtree(folder, ignore_errors=True)
if failures:
    sys.exit(f"{len(failures)} failed: {', '.join(failures)}")
