#!/usr/bin/env python3
"""Makes the n-th system call of a running show fail, and checks that the show continues.

    tests/injection.py CONSORT [COUNT]

A show with OSC and light instances starts under `strace -f -e inject`, so that the n-th call of
one kind fails with one error, in each thread. Afterwards the show must route values, or have ended
with a message that says what failed; it must neither panic nor hang. COUNT (default 3) is the
number of values of n for each call. Exits with 77 if strace cannot trace here.
"""

import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

# The calls that a running show makes, and the errors that the kernel has for them.
CALLS = {
    "recvmmsg": ["ENOMEM", "EINTR"],
    "sendmmsg": ["ENOBUFS", "EAGAIN", "EPERM"],
    "epoll_wait": ["EINTR"],
    "epoll_ctl": ["ENOMEM", "ENOSPC"],
    "socket": ["EMFILE", "EACCES"],
    "bind": ["EADDRINUSE", "EACCES"],
    "setsockopt": ["ENOBUFS"],
    "getsockopt": ["ENOBUFS"],
    "openat": ["EMFILE", "EIO"],
    "read": ["EIO"],
    "write": ["EIO", "ENOSPC"],
    "clone3": ["EAGAIN"],
    "eventfd2": ["EMFILE"],
    "listen": ["EADDRINUSE"],
}

DEADLINE = 30  # seconds; an instance that failed to open tries again after 0.5 s


def message(address: str, value: float) -> bytes:
    text = address.encode()
    return text + b"\0" * (4 - len(text) % 4) + b",f\0\0" + struct.pack(">f", value)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def attempt(consort: str, folder: str, call: str, error: str, number: int) -> str:
    """One run; returns `routes` or `ended`, or raises AssertionError."""
    output = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    output.bind(("127.0.0.1", 0))
    output.settimeout(0.02)
    ports = [free_port() for _ in range(3)]
    with open(f"{folder}/show.cfg", "w") as file:
        file.write(
            f"[osc in]\nbind = 127.0.0.1 {ports[0]}\n"
            f"[osc out]\ndestination = 127.0.0.1 {output.getsockname()[1]}\n"
            f"[backend artnet]\nbind = 127.0.0.1 {ports[1]}\n"
            f"[artnet light]\ndestination = 127.0.0.1 {ports[2]}\n"
            "[map]\nin./a > out./b\nin./a > light.1\n"
        )
    inject = f"inject={call}:error={error}:when={number}"
    command = ["strace", "-f", "-qq", "-o", f"{folder}/trace", "-e", f"trace={call}", "-e", inject]
    with open(f"{folder}/log", "w") as log:
        show = subprocess.Popen(
            [*command, consort, "run", f"{folder}/show.cfg"],
            stderr=log,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "XDG_RUNTIME_DIR": folder},
            start_new_session=True,
        )
    try:
        end, value, result = time.monotonic() + DEADLINE, 0, ""
        while not result and time.monotonic() < end:
            value = value % 1000 + 1
            output.sendto(message("/a", value / 1024), ("127.0.0.1", ports[0]))
            try:
                # Under strace a value takes longer than one round.
                if output.recv(64).startswith(b"/b\0"):
                    result = "routes"
            except TimeoutError:
                pass
            if show.poll() is not None:
                result = "ended"
        with open(f"{folder}/log") as log:
            text = log.read()
        where = f"{call} {error}, call {number}:\n{text}"
        assert "panicked" not in text, f"panic: {where}"
        assert result, f"neither routes nor ends: {where}"
        # A program that cannot even load its libraries is ended by the loader.
        is_explained = re.search(r"error|cannot|ERROR", text)
        assert result == "routes" or is_explained, f"ended without a reason: {where}"
        return result
    finally:
        if show.poll() is None:
            os.killpg(show.pid, signal.SIGKILL)
        show.wait()
        output.close()


def main() -> int:
    consort = os.path.abspath(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    trial = ["strace", "-qq", "-o", "/dev/null", "true"]
    if not shutil.which("strace") or subprocess.run(trial, stderr=subprocess.DEVNULL).returncode:
        print("SKIPPED: injected failures: strace is missing or not allowed", file=sys.stderr)
        return 77
    results = {"routes": 0, "ended": 0}
    with tempfile.TemporaryDirectory() as folder:
        for call, errors in CALLS.items():
            for error in errors:
                for number in range(1, count + 1):
                    results[attempt(consort, folder, call, error, number)] += 1
    print(
        f"{sum(results.values())} injected failures of {len(CALLS)} system calls: the show routed "
        f"after {results['routes']}, ended with a message after {results['ended']}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
