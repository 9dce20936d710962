"""A show with a page, its peers, and browsers for it."""

import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

#: An address that is not loopback for a browser. `run_in_namespace` adds it to a private loopback
#: interface.
ADDRESS = "10.213.9.1"
PORT = 8088
TABLET, LAMP, DESK = 9000, 9001, 9002
DEADLINE = int(os.environ.get("CONSORT_PAGE_DEADLINE", "60"))

PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
DESKTOP = {"viewport": {"width": 1280, "height": 800}}

CONFIGURATION = f"""\
; Tablet at front of house, two lamps.
[osc tablet]
bind = {ADDRESS} {TABLET}

[osc lamp]
destination = 127.0.0.1 {LAMP}

[osc desk]
transport = tcp
destination = 127.0.0.1 {DESK}

[map]
tablet./1/fader1 > lamp./dim
tablet./1/fader3 > desk./level
"""

#: A show with layers, a mapping of several channels, and one on two steps.
LAYERS = f"""\
[osc tablet]
bind = {ADDRESS} {TABLET}

[osc lamp]
destination = 127.0.0.1 {LAMP}

[loopback bus]

[map]
tablet./1/fader{{1..4}} > lamp./dim{{1..4}}
tablet./1/y > bus.y
bus.y > lamp./y

[map red]
group = colours
select = tablet./red
tablet./1/x > lamp./red

[map blue]
group = colours
select = tablet./blue
tablet./1/x > lamp./blue
"""


def run_in_namespace():
    """Runs this program again in a network namespace of its own, where `ADDRESS` exists."""
    if os.environ.get("CONSORT_PAGE_NAMESPACE"):
        return
    own = (
        ["unshare", "--net"]
        if os.geteuid() == 0
        else ["unshare", "--user", "--map-root-user", "--net"]
    )
    setup = f'ip link set lo up && ip address add {ADDRESS}/24 dev lo && exec "$@"'
    environment = dict(os.environ, CONSORT_PAGE_NAMESPACE="1")
    command = [*own, "sh", "-c", setup, "sh", sys.executable, *sys.argv]
    os.execvpe(command[0], command, environment)


def osc(address, *arguments):
    """An OSC message; floats and integers as arguments."""

    def padded(text):
        return text.encode() + b"\0" * (4 - len(text) % 4)

    types = "".join("i" if isinstance(argument, int) else "f" for argument in arguments)
    values = b"".join(
        struct.pack(">" + letter, argument) for letter, argument in zip(types, arguments)
    )
    return padded(address) + padded("," + types) + values


def until(what, condition, deadline=DEADLINE):
    """Waits until `condition()` returns something true, and returns that."""
    end = time.monotonic() + deadline
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline} s: {what}")
        time.sleep(0.02)


class Show:
    """`consort run --web` with a folder, a lamp that records what it gets, and a desk."""

    def __init__(self, consort, folder, configuration=CONFIGURATION, arguments=("--web-control",)):
        self.consort, self.folder, self.arguments = consort, Path(folder), arguments
        self.file = self.folder / "show.cfg"
        self.file.write_text(configuration)
        self.environment = dict(
            os.environ, XDG_RUNTIME_DIR=str(folder), XDG_STATE_HOME=str(folder), NO_COLOR="1"
        )
        self.log = (self.folder / "log").open("ab")
        self.lamp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.lamp.bind(("127.0.0.1", LAMP))
        self.lamp.setblocking(False)
        self.output = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.desk = self.desk_connection = None
        self.process = None

    def start(self, has_page=True):
        page = [f"--web={ADDRESS}:{PORT}", *self.arguments] if has_page else []
        self.process = subprocess.Popen(
            [self.consort, "run", *page, "show.cfg"],
            cwd=self.folder,
            env=self.environment,
            stdout=self.log,
            stderr=self.log,
        )
        if has_page:
            until("the page is served", self.is_served)

    def is_served(self):
        if self.process.poll() is not None:
            raise AssertionError("the show ended:\n" + self.log_text())
        with contextlib.suppress(OSError), socket.create_connection((ADDRESS, PORT), 1):
            return True
        return False

    def log_text(self):
        return (self.folder / "log").read_text(errors="replace")

    def token(self, role):
        lines = (self.folder / "consort/page-tokens").read_text().splitlines()
        return dict(line.split() for line in lines)[role]

    def link(self, role="control"):
        return f"http://{ADDRESS}:{PORT}/#{self.token(role)}"

    def send(self, address, *arguments):
        self.output.sendto(osc(address, *arguments), (ADDRESS, TABLET))

    def lamp_received(self):
        with contextlib.suppress(BlockingIOError):
            return self.lamp.recv(2048)
        return None

    def lamp_receives(self, address):
        """Waits for a message with this address, and returns the addresses before it."""
        before = []

        def has_arrived():
            message = self.lamp_received()
            if message:
                before.append(message.split(b"\0")[0].decode())
            return address in before

        until(f"the lamp gets {address}", has_arrived)
        return before[:-1]

    @contextlib.contextmanager
    def configured(self, configuration):
        """Runs with another configuration for a while."""
        before = self.file.read_text()
        self.stop()
        self.file.write_text(configuration)
        self.start()
        try:
            yield
        finally:
            self.stop()
            self.file.write_text(before)
            self.start()

    def open_desk(self):
        """Accepts the show's connection to the desk."""
        self.desk = socket.socket()
        self.desk.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.desk.bind(("127.0.0.1", DESK))
        self.desk.listen()
        self.desk.settimeout(DEADLINE)
        self.desk_connection, _ = self.desk.accept()

    def close_desk(self):
        for end in (self.desk, self.desk_connection):
            if end:
                end.close()
        self.desk = self.desk_connection = None

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode if self.process else None

    def close(self):
        self.stop()
        self.lamp.close()
        self.output.close()
        self.close_desk()


def launch(playwright):
    """Debian's Chromium."""
    # Root needs to run it without the sandbox; the page is the project's own.
    return playwright.chromium.launch(
        executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
    )
