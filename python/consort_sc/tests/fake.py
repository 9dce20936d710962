"""A UDP peer that answers like a SuperCollider server, and records what it gets. It uses no
package, so that it can test any."""

from __future__ import annotations

import socket
import struct
import threading


def text(value: str) -> bytes:
    """An OSC string."""
    data = value.encode() + b"\0"
    return data + b"\0" * (-len(data) % 4)


def message(address: str, *values: float | int | str) -> bytes:
    """An OSC message."""
    tags, data = ",", b""
    for value in values:
        if isinstance(value, str):
            tags, data = tags + "s", data + text(value)
        elif isinstance(value, int):
            tags, data = tags + "i", data + struct.pack(">i", value)
        else:
            tags, data = tags + "f", data + struct.pack(">f", value)
    return text(address) + text(tags) + data


def elements(packet: bytes) -> list[bytes]:
    """The messages of a packet."""
    if not packet.startswith(b"#bundle\0"):
        return [packet]
    result, offset = [], 16
    while offset < len(packet):
        (size,) = struct.unpack_from(">i", packet, offset)
        result += elements(packet[offset + 4 : offset + 4 + size])
        offset += 4 + size
    return result


def address_of(data: bytes) -> str:
    """The address of a message."""
    return data[: data.index(b"\0")].decode()


def first_int(data: bytes) -> int:
    """The first value of a message, which is a number."""
    start = (data.index(b"\0") + 4) & ~3
    start += (data[start:].index(b"\0") + 4) & ~3
    value: int = struct.unpack_from(">i", data, start)[0]
    return value


class FakeServer:
    """Answers on a thread until it is closed."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self.client: tuple[str, int] | None = None
        #: Whether requests are answered.
        self.answers = True
        #: What is answered to messages with an address, in addition.
        self.replies: dict[str, bytes] = {}
        self._packets: list[bytes] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"close", ("127.0.0.1", self.port))
        self._thread.join(30)
        self.socket.close()

    def take(self) -> list[bytes]:
        """The packets since the last call, without those of the connection itself."""
        with self._lock:
            packets, self._packets = self._packets, []
        return [packet for packet in packets if not self._is_internal(packet)]

    @staticmethod
    def _is_internal(packet: bytes) -> bool:
        messages = elements(packet)
        addresses = {address_of(data) for data in messages}
        if addresses == {"/sync"}:
            return first_int(messages[0]) < 0
        return addresses <= {"/status", "/notify", "/quit"}

    def send(self, data: bytes) -> None:
        """Sends a packet to the client."""
        assert self.client is not None
        self.socket.sendto(data, self.client)

    def _run(self) -> None:
        while True:
            packet, client = self.socket.recvfrom(1 << 17)
            if packet == b"close":
                return
            self.client = client
            with self._lock:
                self._packets.append(packet)
            if self.answers:
                for data in elements(packet):
                    for reply in self._answer(data):
                        self.socket.sendto(reply, client)

    def _answer(self, data: bytes) -> list[bytes]:
        address = address_of(data)
        replies = [self.replies[address]] if address in self.replies else []
        if address == "/status":
            replies.append(
                text("/status.reply")
                + text(",iiiiiffdd")
                + struct.pack(">5i2f2d", 1, 0, 0, 2, 0, 0.5, 1.5, 48000.0, 48000.5)
            )
        elif address == "/notify":
            replies.append(message("/done", "/notify", 0, 1))
        elif address == "/sync":
            replies.append(message("/synced", first_int(data)))
        elif address == "/g_queryTree" and "/g_queryTree" not in self.replies:
            replies.append(message("/g_queryTree.reply", 0, 0, 1, 1, 0))
        elif address == "/quit":
            replies.append(message("/done", "/quit"))
        return replies
