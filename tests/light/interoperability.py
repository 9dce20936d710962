"""Art-Net and sACN between `consort run` and foreign programs: tshark decodes the packets of
Consort, and the packages `stupidArtnet` and `sacn` receive from it and send to it, on loopback
addresses. Tests in network namespaces remove and restore interfaces and addresses.

    interoperability.py PATH_TO_CONSORT
"""

import os
import random
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

DEADLINE = 20
ours = f"127.77.{random.randint(1, 250)}.{random.randint(1, 250)}"
peer = f"127.78.{random.randint(1, 250)}.{random.randint(1, 250)}"
failures = []


def check(what, passed, detail=""):
    print(f"{'ok' if passed else 'FAILED'}: {what}{': ' if detail else ''}{detail}")
    if not passed:
        failures.append(what)


def skip(what):
    print(f"SKIPPED: {what}", file=sys.stderr)
    if os.environ.get("CI") == "true":
        failures.append(f"skipped in CI: {what}")


def until(what, condition):
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    check(f"waited for {what}", False)
    return None


def osc(address, value):
    def text(string):
        return string.encode() + b"\0" * (4 - len(string) % 4)

    return text(address) + text(",f") + struct.pack(">f", value)


def osc_value(packet):
    address = packet[: packet.index(b"\0")].decode()
    return address, struct.unpack(">f", packet[-4:])[0]


class Consort:
    def __init__(self, binary, configuration):
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "show.cfg"
        path.write_text(configuration)
        self.process = subprocess.Popen([binary, "run", str(path)])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(DEADLINE)
        self.folder.cleanup()
        return status


class Capture:
    """Receives on several addresses and keeps all datagrams with their senders."""

    def __init__(self):
        self.packets = []
        self.sockets = []

    def listen(self, address, port, group=None):
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        receiver.bind((group or address, port))
        if group:
            member = socket.inet_aton(group) + socket.inet_aton(address)
            receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        self.sockets.append(receiver)
        to = (group or address, port)
        threading.Thread(target=self._run, args=(receiver, to), daemon=True).start()
        return receiver

    def _run(self, receiver, to):
        while True:
            data, sender = receiver.recvfrom(65536)
            self.packets.append((time.time(), sender, to, data))

    def find(self, test):
        return next((data for _, _, _, data in list(self.packets) if test(data)), None)

    def write(self, path):
        """Writes a capture of raw IP packets."""
        with open(path, "wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
            for when, sender, to, data in list(self.packets):
                udp = struct.pack(">HHHH", sender[1], to[1], 8 + len(data), 0) + data
                head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
                head += socket.inet_aton(sender[0]) + socket.inet_aton(to[0])
                words = struct.unpack(">10H", head)
                total = sum(words)
                total = (total & 0xFFFF) + (total >> 16)
                head = head[:10] + struct.pack(">H", ~(total + (total >> 16)) & 0xFFFF) + head[12:]
                packet = head + udp
                seconds, fraction = int(when), int(when % 1 * 1e6)
                file.write(struct.pack("<IIII", seconds, fraction, len(packet), len(packet)))
                file.write(packet)


CONFIGURATION = """
[backend artnet]
bind = {ours} 6454

[backend sacn]
bind = {ours} 5568 local
name = Consort test

[osc control]
bind = {ours} 8000
destination = {peer} 9000

[artnet anet]
net = 1
universe = 0x23
destination = {peer} {artnet_port}

[artnet anetin]
universe = 4

[sacn unicast]
universe = 7
priority = 120
destination = {peer} {sacn_port}

[sacn multicast]
universe = 8
priority = 100

[sacn sacnin]
universe = 9

[map]
control./level > anet.1
control./wide > anet.2+3
control./level > unicast.1
control./wide > unicast.2+3
control./level > multicast.1
anetin.1 > control./artnet
anetin.2+3 > control./artnetwide
sacnin.1 > control./sacn
sacnin.2+3 > control./sacnwide
"""


def is_artnet(code):
    return lambda data: data[:10] == b"Art-Net\0" + struct.pack("<H", code)


def is_sacn(vector, framing, options=None):
    def test(data):
        found = data[4:13] == b"ASC-E1.17" and struct.unpack(">I", data[18:22])[0] == vector
        found = found and struct.unpack(">I", data[40:44])[0] == framing
        return found and (options is None or data[112] == options)

    return test


def decode(binary):
    """Checks that tshark decodes the packets of Consort."""
    capture = Capture()
    artnet = capture.listen(peer, 6454)
    capture.listen(peer, 5568)
    capture.listen(ours, 5568, "239.255.0.8")
    capture.listen(ours, 5568, "239.255.250.214")
    control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    control.bind((peer, 9000))
    text = CONFIGURATION.format(ours=ours, peer=peer, artnet_port=6454, sacn_port=5568)
    consort = Consort(binary, text)

    def sent():
        control.sendto(osc("/level", 1.0), (ours, 8000))
        control.sendto(osc("/wide", 0.5), (ours, 8000))
        return capture.find(is_artnet(0x5000)) and capture.find(is_sacn(4, 2, 0))

    until("frames", sent)
    artnet.sendto(b"Art-Net\0" + struct.pack("<H", 0x2000) + b"\0\x0e\0\0", (ours, 6454))
    until("an ArtPollReply", lambda: capture.find(is_artnet(0x2100)))
    until("universe discovery", lambda: capture.find(is_sacn(8, 2)))
    groups = {to[0] for _, _, to, _ in capture.packets}
    check("sACN arrives by multicast", "239.255.0.8" in groups)
    check("stops with status 0", consort.stop() == 0)
    until("stream terminated", lambda: capture.find(is_sacn(4, 2, 0x40)))

    tshark = shutil.which("tshark")
    if not tshark:
        return skip("tshark is not installed")
    path = Path(tempfile.gettempdir()) / f"consort-light-{os.getpid()}.pcap"
    capture.write(path)

    def run(*arguments):
        # The ACN dissector is off by default, and so is DMX within it.
        options = ["-n", "--enable-heuristic", "acn", "-o", "acn.dmx_enable:TRUE"]
        command = [tshark, *options, "-r", str(path), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout

    malformed = run("-Y", "_ws.malformed || _ws.expert.severity >= 0x600000 || _ws.unreassembled")
    check("tshark decodes everything without warnings", malformed == "", malformed)
    # The ACN dissector of this tshark does not support universe discovery (root vector 8), which
    # a test of the backend decodes with the crate `sacn`.
    other = run("-Y", "!artnet && !acn && ip.dst != 239.255.250.214")
    check("tshark recognises all packets as Art-Net or sACN", other == "", other)
    kinds = [
        ("ArtDmx", "artnet.header.opcode == 0x5000", "Universe|Sequence|Length|Opcode"),
        ("ArtPollReply", "artnet.header.opcode == 0x2100", "Name|NetSwitch|Port Type|Swout|SwOut"),
        (
            "sACN data",
            "acn.dmx.priority == 120 && acn.dmx.option_s == 0",
            "Universe|Priority|Source",
        ),
        ("sACN terminated", "acn.dmx.option_s == 1", "Terminat|Universe"),
    ]
    for kind, test, words in kinds:
        try:
            text = run("-Y", test, "-V", "-c", "10000")
        except subprocess.CalledProcessError as error:
            text = error.stderr
            check(f"tshark decodes {kind}", False, text)
            continue
        first = text.split("\nFrame ")[0]
        check(f"tshark finds {kind}", "Frame" in first)
        layer = first[max(first.find("Art-Net"), first.find("Architecture for Control")) :]
        keep = [line for line in layer.splitlines() if any(w in line for w in words.split("|"))]
        print("\n".join(f"    {line.strip()}" for line in keep[:8]))
    if not os.environ.get("KEEP"):
        path.unlink()


def exchange(binary):
    """Exchanges values with foreign packages."""
    try:
        import sacn
        from stupidArtnet import StupidArtnet, StupidArtnetServer
    except ImportError as error:
        return skip(f"the packages sacn and stupidArtnet: {error}")
    artnet_port = 20000 + os.getpid() % 10000
    control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    control.bind((peer, 9000))
    control.settimeout(0.2)
    text = CONFIGURATION.format(ours=ours, peer=peer, artnet_port=artnet_port, sacn_port=5569)
    server = StupidArtnetServer(port=artnet_port)
    listener = server.register_listener(universe=3, sub=2, net=1, is_simplified=False)
    received_frames = []
    receiver = sacn.sACNreceiver(bind_address=peer, bind_port=5569)
    receiver.register_listener("universe", received_frames.append, universe=7)
    receiver.start()
    consort = Consort(binary, text)

    def arrived():
        control.sendto(osc("/level", 0.2), (ours, 8000))
        control.sendto(osc("/wide", 258 / 65535), (ours, 8000))
        buffer = server.get_buffer(listener)
        got_sacn = received_frames and tuple(received_frames[-1].dmxData[:4]) == (51, 1, 2, 0)
        return bool(buffer) and list(buffer[:4]) == [51, 1, 2, 0] and bool(got_sacn)

    check("stupidArtnet and sacn receive our values", bool(until("our values", arrived)))
    if received_frames:
        packet = received_frames[-1]
        detail = f"{packet.sourceName!r}, priority {packet.priority}, {packet.dmxData[:4]}"
        check("sacn receives our name and priority", packet.priority == 120, detail)
        print(f"    stupidArtnet received {list(server.get_buffer(listener)[:4])}")

    sender = sacn.sACNsender(bind_address=peer, bind_port=5570, universeDiscovery=False)
    sender.start()
    sender.activate_output(9)
    sender[9].destination = ours
    sender[9].dmx_data = (102, 3, 4)
    artnet = StupidArtnet(ours, 4, 512, port=6454)
    artnet.set_single_value(1, 153)
    artnet.set_single_value(2, 5)
    artnet.set_single_value(3, 6)
    values = {}

    def received():
        artnet.show()
        try:
            address, value = osc_value(control.recv(2048))
            values[address] = round(value * (65535 if address.endswith("wide") else 255))
        except TimeoutError:
            pass
        return len(values) == 4

    until("values of foreign packages", received)
    expected = {"/artnet": 153, "/artnetwide": 5 * 256 + 6, "/sacn": 102, "/sacnwide": 3 * 256 + 4}
    check("our router receives the values of foreign packages", values == expected, str(values))
    sender.stop()
    receiver.stop()
    artnet.close()
    server.close()
    check("stops with status 0", consort.stop() == 0)


class Link:
    """A veth pair between two network namespaces, `here` and `there`."""

    NAMES = ("consort0", "consort1")

    def __init__(self, *addresses):
        self.here, self.there = (f"consort-{end}{os.getpid()}" for end in "ab")
        self.addresses = addresses

    @classmethod
    def create(cls, *addresses):
        """Creates the namespaces; returns None where that is not possible."""
        link = cls(*addresses)
        if os.geteuid() != 0 or not shutil.which("ip"):
            return None
        if link.ip("netns", "add", link.here, check=False).returncode:
            return None
        link.ip("netns", "add", link.there)
        return link

    def ip(self, *arguments, check=True):
        return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=check)

    def inside(self, space, *command):
        """The command line that runs a command in a namespace."""
        return ["ip", "netns", "exec", space, *command]

    def connect(self):
        near, far = self.NAMES
        pair = ["link", "add", near, "type", "veth", "peer", "name", far, "netns", self.there]
        self.ip("-n", self.here, *pair)
        for space, name, address in zip((self.here, self.there), self.NAMES, self.addresses):
            self.ip("-n", space, "address", "add", f"{address}/24", "dev", name)
            self.ip("-n", space, "link", "set", name, "up")

    def delete(self):
        for space in (self.here, self.there):
            self.ip("netns", "delete", space, check=False)


def interface_returns(binary):
    """Multicast continues when a network interface is removed and added again: two namespaces with
    a veth pair between them."""
    link = Link.create("10.9.8.1", "10.9.8.2")
    if not link:
        return skip("network namespaces (root and iproute2 are needed)")

    def connect():
        link.connect()
        link.ip("-n", link.here, "route", "add", "239.0.0.0/8", "dev", link.NAMES[0])

    consort = None
    try:
        link.ip("-n", link.here, "link", "set", "lo", "up")
        connect()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "show.cfg"
            log = Path(folder) / "log"
            path.write_text(
                "[backend sacn]\nbind = 10.9.8.1\n\n[sacn in]\nuniverse = 9\n\n"
                "[lua print]\ncode = function show(value) "
                'io.stderr:write("value ", math.floor(value * 255 + 0.5), "\\n") end\n\n'
                "[map]\nin.1 > print.show\n"
            )
            sender = (
                "import socket,struct,sys\n"
                "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
                "s.setsockopt(0,socket.IP_MULTICAST_IF,socket.inet_aton('10.9.8.2'))\n"
                "f=lambda n:struct.pack('>H',0x7000|n)\n"
                "p=b'\\0\\x10\\0\\0ASC-E1.17\\0\\0\\0'+f(111)+b'\\0\\0\\0\\4'+bytes(range(16))+f(89)"
                "+b'\\0\\0\\0\\2'+bytes(64)+bytes([100,0,0,0,0,0,9])+f(12)"
                "+b'\\2\\xa1\\0\\0\\0\\1\\0\\2\\0'+bytes([int(sys.argv[1])])\n"
                "s.sendto(p,('239.255.0.9',5568))\n"
            )
            with open(log, "w") as file:
                command = link.inside(link.here, binary, "run", str(path))
                consort = subprocess.Popen(command, stderr=file)

            def logs(words, value=None):
                def test():
                    if value is not None:
                        command = link.inside(link.there, sys.executable, "-c", sender, str(value))
                        subprocess.run(command, capture_output=True, text=True, check=True)
                    return words in log.read_text()

                return bool(until(words, test))

            check("multicast arrives over a veth", logs("value 51", 51))
            link.ip("-n", link.here, "link", "delete", link.NAMES[0])
            check("the removed interface is reported", logs("waiting"))
            connect()
            check("multicast arrives again when the interface has returned", logs("value 102", 102))
            consort.send_signal(signal.SIGTERM)
            check("stops with status 0", consort.wait(DEADLINE) == 0)
    finally:
        if consort and consort.poll() is None:
            consort.kill()
        link.delete()


def address_changes(binary):
    """OSC continues when the address of the machine changes: two namespaces with a veth pair
    between them, one with the show and one with the receiver."""
    link = Link.create("10.9.7.1", "10.9.7.2")
    if not link:
        return skip("network namespaces (root and iproute2 are needed)")
    listen = (
        "import socket\n"
        "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
        "s.bind(('10.9.7.2',9000))\n"
        "while True: print('from',s.recvfrom(99)[1][0],flush=True)\n"
    )
    running = []
    try:
        link.connect()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "show.cfg"
            log = Path(folder) / "log"
            path.write_text(
                "[lua clock]\ncode = n = 0\n"
                "code = interval(function() n = 1 - n output('tick', n) end, 20)\n"
                "[osc out]\ndestination = 10.9.7.2 9000\n\n[map]\nclock.tick > out./tick\n"
            )
            with open(log, "w") as file:
                for space, command in (
                    (link.there, [sys.executable, "-c", listen]),
                    (link.here, [binary, "run", str(path)]),
                ):
                    running.append(subprocess.Popen(link.inside(space, *command), stdout=file))

            def logs(words):
                return bool(until(words, lambda: words in log.read_text()))

            check("OSC is sent over a veth", logs("from 10.9.7.1"))
            own = ("dev", link.NAMES[0])
            link.ip("-n", link.here, "address", "delete", "10.9.7.1/24", *own)
            link.ip("-n", link.here, "address", "add", "10.9.7.5/24", *own)
            check("OSC is sent from the new address", logs("from 10.9.7.5"))
            running[1].send_signal(signal.SIGTERM)
            check("stops with status 0", running[1].wait(DEADLINE) == 0)
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()
        link.delete()


def main():
    binary = sys.argv[1]
    decode(binary)
    exchange(binary)
    interface_returns(binary)
    address_changes(binary)
    if failures:
        print(f"light: {len(failures)} failed: {', '.join(failures)}")
        return 1
    print("light: all passed")
    return 0


if __name__ == "__main__":
    # Not sys.exit: threads of the foreign packages may still be in a blocking call.
    status = main()
    sys.stdout.flush()
    os._exit(status)
