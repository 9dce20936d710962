"""Shows on several machines: network namespaces on one bridge, mosquitto in one of them, and a
`consort run` in each of the others. Needs root; changes no interface outside of its namespaces.

    machines.py PATH_TO_CONSORT [--runs N] [--only NAME]
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DEADLINE = 60
BROKER = "10.213.7.1"
#: The queue limits of docs/several-machines.md, and limits that are too small.
LIMITS = "max_queued_messages 200000\nmax_inflight_messages 1000\nset_tcp_nodelay true\n"
SMALL_LIMITS = "max_queued_messages 500\nset_tcp_nodelay true\n"
failures = []


def check(what, passed, detail=""):
    print(f"{'ok' if passed else 'FAILED'}: {what}{': ' if detail else ''}{detail}", flush=True)
    if not passed:
        failures.append(what)


def skip(what):
    print(f"SKIPPED: {what}", file=sys.stderr)
    if os.environ.get("CI") == "true":
        failures.append(f"skipped in CI: {what}")


def until(what, condition, deadline=DEADLINE, pause=0.02):
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(pause)
    check(f"waited for {what}", False)
    return None


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


class Network:
    """A namespace with a bridge and the broker, and one for each machine."""

    def __init__(self, count):
        self.tag = f"cm{os.getpid()}"
        self.hub = f"{self.tag}h"
        self.spaces = [f"{self.tag}n{number}" for number in range(count)]

    def __enter__(self):
        made = run("ip", "netns", "add", self.hub)
        if made.returncode:
            raise PermissionError(made.stderr.strip())
        self.ip("-n", self.hub, "link", "add", "br0", "type", "bridge")
        self.ip("-n", self.hub, "addr", "add", f"{BROKER}/24", "dev", "br0")
        for device in ("br0", "lo"):
            self.ip("-n", self.hub, "link", "set", device, "up")
        for number, space in enumerate(self.spaces):
            self.ip("netns", "add", space)
            pair = ["-n", self.hub, "link", "add", f"v{number}", "type", "veth"]
            self.ip(*pair, "peer", "name", "eth0", "netns", space)
            self.ip("-n", self.hub, "link", "set", f"v{number}", "master", "br0", "up")
            address = f"10.213.7.{number + 2}/24"
            self.ip("-n", space, "addr", "add", address, "dev", "eth0")
            for device in ("eth0", "lo"):
                self.ip("-n", space, "link", "set", device, "up")
        return self

    def __exit__(self, *_):
        for space in [*self.spaces, self.hub]:
            run("ip", "netns", "delete", space)

    def ip(self, *arguments):
        done = run("ip", *arguments)
        if done.returncode:
            raise PermissionError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")

    def link(self, number, state):
        """Connects a machine's cable, or pulls it out."""
        self.ip("-n", self.hub, "link", "set", f"v{number}", state)

    def inside(self, space, command):
        return ["ip", "netns", "exec", space, *command]


class Broker:
    def __init__(self, network, folder, limits):
        path = Path(folder) / "mosquitto.conf"
        path.write_text(f"user root\nlistener 1883 {BROKER}\nallow_anonymous true\n{limits}")
        mosquitto = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.log = (Path(folder) / "mosquitto.log").open("w")
        command = network.inside(network.hub, [mosquitto, "-c", str(path)])
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)

    def stop(self):
        self.process.kill()
        self.process.wait(DEADLINE)
        self.log.close()


class Show:
    """A running show and its control socket."""

    def __init__(self, binary, network, number, folder, configuration):
        self.folder = Path(folder) / f"{number}-{time.monotonic_ns()}"
        self.folder.mkdir()
        path = self.folder / "show.cfg"
        path.write_text(configuration)
        self.log = (self.folder / "log").open("w")
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(self.folder)}
        space = network.spaces[number]
        self.process = subprocess.Popen(
            network.inside(space, [binary, "run", str(path)]),
            stdout=self.log,
            stderr=self.log,
            env=environment,
        )
        self.socket = None
        until("the control socket", self.connect)
        self.layout = self.ask("layout")["layout"]
        names = [instance["name"] for instance in self.layout["instances"]]
        self.bus = names.index("bus")
        self.channels = [c["name"] for c in self.layout["instances"][self.bus]["channels"]]
        before = self.layout["instances"][: self.bus]
        self.first = sum(len(instance["channels"]) for instance in before)

    def connect(self):
        found = [path for path in self.folder.glob("consort/*") if path.is_socket()]
        if not found:
            return False
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE)
        with contextlib.suppress(OSError):
            self.socket.connect(str(found[0]))
            self.lines = self.socket.makefile("rb")
            return True
        return False

    def ask(self, request):
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(self.lines.readline())

    def read(self):
        request = {"generation": self.layout["generation"], "log_from": 2**63}
        return self.ask({"read": request})["reading"]

    def instance(self):
        return self.read()["instances"][self.bus]

    def values(self):
        """The last value of each channel of the bus, and how many it had."""
        return self.read()["values"][self.first : self.first + len(self.channels)]

    def set(self, channel, value):
        request = {
            "generation": self.layout["generation"],
            "instance": self.bus,
            "channel": self.channels.index(channel),
            "content": {"value": value},
            "direction": "target",
        }
        return self.ask({"set": request})

    def details(self):
        return self.instance().get("details") or ""

    def is_up(self):
        return self.instance()["state"] == "up"

    def text(self):
        return (self.folder / "log").read_text()

    def signal(self, number):
        # `ip netns exec` replaces itself by the command.
        self.process.send_signal(number)

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            status = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait(DEADLINE)
        self.log.close()
        return status


def configuration(name, count=3, options="", script=""):
    mappings = "\n".join(f"bus.c{n} > out.c{n}\nin.c{n} > bus.c{n}" for n in range(1, count + 1))
    return f"""[mqtt bus]
host = mqtt://{BROKER}
share = on
prefix = test/bus
name = {name}
{options}
[loopback out]

[loopback in]
{script}
[map]
{mappings}
"""


@contextlib.contextmanager
def machines(binary, count, make, limits=LIMITS):
    """A network, a broker and a show on each machine."""
    with tempfile.TemporaryDirectory() as folder, Network(count) as network:
        broker = Broker(network, folder, limits)
        shows = []
        try:
            for number in range(count):
                shows.append(Show(binary, network, number, folder, make(number)))
            for show in shows:
                until("a connection", show.is_up)
            others = {f"m{number}" for number in range(count)}
            for number, show in enumerate(shows):
                names = others - {f"m{number}"}

                def is_present(show=show, names=names):
                    return all(name in show.details() for name in names)

                until("presence", is_present)
            yield network, shows, folder
        finally:
            for show in shows:
                show.stop()
            broker.stop()


def killed_and_cut(binary):
    """A killed show is noticed within a second, one whose link is cut within 1.5 × keep-alive."""
    keep_alive = 6
    options = f"keep-alive = {keep_alive}\non-loss = zero"
    with machines(binary, 3, lambda n: configuration(f"m{n}", options=options)) as setup:
        network, shows, folder = setup
        shows[1].set("c1", 0.5)
        shows[2].set("c2", 0.75)

        def equal():
            return shows[0].values()[0][0] == 0.5 and shows[0].values()[1][0] == 0.75

        until("the values", equal)
        start = time.monotonic()
        shows[1].signal(signal.SIGKILL)
        until("the release", lambda: "m1" not in shows[0].details(), pause=0.005)
        until("zero", lambda: shows[0].values()[0][0] == 0, pause=0.005)
        took = time.monotonic() - start
        check("a killed show is noticed within 1 s", took <= 1, f"{took * 1000:.0f} ms")
        start = time.monotonic()
        network.link(2, "down")
        until("the release", lambda: "m2" not in shows[0].details())
        took = time.monotonic() - start
        limit = 1.5 * keep_alive
        what = f"a show whose link is cut is noticed within {limit} s"
        check(what, took <= limit, f"{took:.2f} s")
        until("zero", lambda: shows[0].values()[1][0] == 0)
        until("the other side to notice", lambda: not shows[2].is_up())
        shows[2].set("c3", 0.25)
        network.link(2, "up")
        until("the return", shows[2].is_up)

        def returned():
            return [value for value, _ in shows[0].values()][1:] == [0.75, 0.25]

        check("its values return with it", bool(until("its values", returned)))
        for number in (0, 2):
            print(f"--- log of m{number}")
            print(shows[number].text(), end="")


def received_bytes(network, number):
    path = "/sys/class/net/eth0/statistics/rx_bytes"
    return int(run(*network.inside(network.spaces[number], ["cat", path])).stdout)


def stopped(binary, qos, limits=LIMITS):
    """At 20,000 values a second, one of two shows is stopped for 4 s."""
    place = f"QoS {qos}" if limits == LIMITS else f"QoS {qos}, small queues"
    count, seconds = 100, 9
    outputs = f'for n = 1, {count} do output("c" .. n, (k % 1000) / 1000) end'
    code = f"local k = 0\nlocal limit = {seconds * 200}\nfunction go() start = true end\n"
    code += "local turn = function() if not start or k >= limit then return end "
    code += f"for step = 1, 2 do k = k + 1 {outputs} end end\ninterval(turn, 10)\n"
    with tempfile.TemporaryDirectory() as scripts:
        script = Path(scripts) / "load.lua"
        script.write_text(code)

        def make(number):
            options = f"qos = {qos}"
            text = configuration(f"m{number}", count, options)
            if number == 0:
                lines = "\n".join(f"load.c{n} > bus.c{n}" for n in range(1, count + 1))
                text = text.replace(
                    "[loopback in]", f"[lua load]\nscript = {script}\n[loopback in]"
                )
                text += f"{lines}\nin.go > load.go\n"
            return text

        with machines(binary, 2, make, limits) as (network, shows, _folder):
            sender, receiver = shows
            names = [instance["name"] for instance in sender.layout["instances"]]
            number = names.index("in")
            channels = [c["name"] for c in sender.layout["instances"][number]["channels"]]
            before = receiver.instance()
            request = {
                "generation": sender.layout["generation"],
                "instance": number,
                "channel": channels.index("go"),
                "content": {"value": 1.0},
                "direction": "source",
            }
            bytes_before = received_bytes(network, 1)
            start = time.monotonic()
            sender.ask({"set": request})
            time.sleep(2)
            receiver.signal(signal.SIGSTOP)
            time.sleep(4)
            receiver.signal(signal.SIGCONT)
            total = seconds * 200 * count

            def sent():
                return sender.instance()["outgoing"] >= total

            until("the load", sent)
            elapsed = time.monotonic() - start
            last = [value for value, _ in sender.values()]
            until("the last values", lambda: [value for value, _ in receiver.values()] == last)
            ours, theirs = sender.instance(), receiver.instance()
            published = ours["outgoing"] - ours["dropped"]
            arrived = theirs["incoming"] - before["incoming"]
            counted = theirs["dropped"] - before["dropped"]
            rate = total / elapsed
            detail = (
                f"{published} sent at {rate:.0f}/s, {arrived} received, {counted} counted as "
                f"missing, {ours['dropped']} replaced before they were sent"
            )
            has_last = [value for value, _ in receiver.values()] == last
            check(f"{place}: every channel has its last value", has_last)
            check(f"{place}: sent = received + counted", published == arrived + counted, detail)
            check(f"{place}: nothing is reordered", theirs["errors"] == before["errors"])
            size = (received_bytes(network, 1) - bytes_before) / max(arrived, 1)
            print(f"{size:.0f} bytes a value, with TCP, IP and Ethernet")
            if limits != LIMITS:
                check(
                    f"{place}: the receiver reports the loss", "did not arrive" in receiver.text()
                )
            elif qos == 1:
                check(f"{place}: nothing is missing", counted == 0)


def partitions(binary, runs):
    """Random values and partitions: all shows end with the same values."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    options = "keep-alive = 2"
    with machines(binary, 3, lambda n: configuration(f"m{n}", options=options)) as setup:
        network, shows, _ = setup
        equal = 0
        for index in range(runs):
            cut = chance.sample(range(3), chance.choice([1, 1, 2]))
            # Shorter than the keep-alive time, or long enough for the loss to be noticed.
            duration = chance.choice([0.1, 0.3, 0.6, 3.5])
            for number in cut:
                network.link(number, "down")
            end = time.monotonic() + duration
            while time.monotonic() < end:
                show = chance.choice(shows)
                show.set(f"c{chance.randint(1, 3)}", chance.randint(0, 1000) / 1000)
                time.sleep(chance.random() * duration / 10)
            for number in cut:
                network.link(number, "up")
            for show in shows:
                show.set(f"c{chance.randint(1, 3)}", chance.randint(0, 1000) / 1000)

            def same():
                if not all(show.is_up() for show in shows):
                    return False
                values = [[value for value, _ in show.values()] for show in shows]
                return values[0] == values[1] == values[2]

            # Equal, and still equal a moment later.
            if until(f"equal values in run {index} of seed {seed}", same):
                time.sleep(0.2)
                equal += bool(until("equal values", same))
        check(f"{equal} of {runs} runs end equal", equal == runs, f"seed {seed}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("consort")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only")
    arguments = parser.parse_args()
    binary = os.path.abspath(arguments.consort)
    if not (shutil.which("mosquitto") or Path("/usr/sbin/mosquitto").exists()):
        skip("mosquitto is not installed")
        return 1 if failures else 0
    tests = {
        "lost": lambda: killed_and_cut(binary),
        "qos1": lambda: stopped(binary, 1),
        "qos0": lambda: stopped(binary, 0),
        "small1": lambda: stopped(binary, 1, SMALL_LIMITS),
        "small0": lambda: stopped(binary, 0, SMALL_LIMITS),
        "partitions": lambda: partitions(binary, arguments.runs),
    }
    try:
        for name, test in tests.items():
            if arguments.only in (None, name):
                print(f"== {name}", flush=True)
                test()
    except PermissionError as error:
        skip(f"no network namespaces: {error}")
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
