"""A running show, and OSC messages from and to it, for tests in the virtual machine."""

import os
import re
import signal
import socket
import struct
import subprocess
import tempfile
import time

DEADLINE = 60 * int(os.environ.get("CONSORT_TIME_SCALE", "1"))


def wait_until(what, condition):
    """Waits until the condition returns something true, and returns it."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.005)
    raise AssertionError(f"waited {DEADLINE} s for {what}")


def padded(data):
    return data + bytes(4 - len(data) % 4)


class Osc:
    """Receives values from the show and sends values to it."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(DEADLINE)
        self.port = self.socket.getsockname()[1]

    def receive(self):
        """The next message as `(address, value)`."""
        data = self.socket.recv(4096)
        address = data[: data.index(0)].decode()
        return address, round(struct.unpack(">f", data[-4:])[0], 4)

    def expect(self, *messages):
        received = [self.receive() for _ in messages]
        assert received == list(messages), f"{received} instead of {list(messages)}"

    def send(self, port, address, value):
        data = padded(address.encode()) + padded(b",f") + struct.pack(">f", value)
        self.socket.sendto(data, ("127.0.0.1", port))


class Show:
    """A running show."""

    def __init__(self, consort, text):
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "show.cfg")
        with open(path, "w") as file:
            file.write(text)
        self.log = os.path.join(self.folder.name, "log")
        environment = dict(os.environ, XDG_RUNTIME_DIR=self.folder.name)
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([consort, "run", path], stderr=log, env=environment)

    def text(self):
        with open(self.log) as log:
            return log.read()

    def until_logged(self, pattern, count=1):
        def is_logged():
            assert self.process.poll() is None, self.text()
            return len(re.findall(pattern, self.text())) >= count

        try:
            wait_until(f"{pattern!r}, {count} times", is_logged)
        except AssertionError:
            print(self.text())
            raise

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(DEADLINE) == 0, self.text()
        text = self.text()
        self.folder.cleanup()
        return text


def run_tests(functions):
    """Runs the functions whose names begin with `test_`."""
    for name, test in list(functions.items()):
        if name.startswith("test_"):
            started = time.monotonic()
            test()
            print(f"{name}: passed in {time.monotonic() - started:.1f} s", flush=True)
