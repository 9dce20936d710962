"""A MIDO back-end for the ALSA sequencer: ``MIDO_BACKEND=alsa_midi.mido_backend``.

All ports of a process belong to one client, which is open while one of the ports is open. One
thread reads the input of all ports. The names of ports have the form ``client:port c:p``.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any
from weakref import WeakSet, WeakValueDictionary

from mido.messages import Message
from mido.parser import Parser
from mido.ports import BaseInput, BaseOutput

from alsa_midi import (
    READ_PORT,
    WRITE_PORT,
    Address,
    ALSAError,
    MidiBytesEvent,
    Port,
    PortCaps,
    PortInfo,
    PortType,
    SequencerClient,
    StateError,
)

__all__ = ["Input", "Output", "PortCommon", "get_devices"]

logger = logging.getLogger(__name__)

#: A function that receives each message.
_Callback = Callable[[Message], Any]


def _client_name() -> str:
    script = os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] else "python"
    return f"{script} MIDO"


class _Hub:
    """The client that all open ports share, and the thread that reads their input."""

    _lock = threading.RLock()
    _current: _Hub | None = None

    def __init__(self) -> None:
        self.client = SequencerClient(_client_name())
        self.inputs: WeakValueDictionary[int, PortCommon] = WeakValueDictionary()
        self.users = 0
        self.thread: threading.Thread | None = None

    @classmethod
    def acquire(cls) -> _Hub:
        """The hub; the first user opens it."""
        with cls._lock:
            if cls._current is None:
                cls._current = _Hub()
            cls._current.users += 1
            return cls._current

    def release(self) -> None:
        """Ends one use of the hub; the last user closes it."""
        with self._lock:
            self.users -= 1
            if self.users > 0:
                return
            if _Hub._current is self:
                _Hub._current = None
        # This ends the reading thread, which cannot be joined here: a callback in that thread may
        # be the caller.
        self.client.close()

    def start_reading(self) -> None:
        """Starts the reading thread, unless it is running."""
        with self._lock:
            if self.thread is None:
                self.thread = threading.Thread(
                    target=_read, args=(self.client, self.inputs), name="mido input", daemon=True
                )
                self.thread.start()
                _threads.add(self.thread)


#: First and last byte of a system exclusive message.
_SYSEX_BYTES = (0xF0, 0xF7)

#: Reading threads that may still be running.
_threads: WeakSet[threading.Thread] = WeakSet()


@atexit.register
def _end_reading() -> None:
    """Ends the reading threads before the interpreter exits."""
    hub = _Hub._current
    if hub is not None:
        hub.client.close()
    for thread in list(_threads):
        thread.join(1.0)


def _read(client: SequencerClient, inputs: WeakValueDictionary[int, PortCommon]) -> None:
    """The reading thread: passes events to the ports until the client is closed."""
    while True:
        try:
            event = client.event_input(prefer_bytes=True)
        except StateError:
            return
        except ALSAError as error:
            logger.warning("%s", error)
            continue
        if not isinstance(event, MidiBytesEvent) or event.dest is None:
            continue
        port = inputs.get(event.dest.port_id)
        if port is not None:
            port._receive_bytes(event.midi_bytes)
            # The thread must not keep the port open until the next event.
            del port


def _full_name(info: PortInfo) -> str:
    return f"{info.client_name}:{info.name} {info.client_id}:{info.port_id}"


def _find_port(ports: list[PortInfo], name: str) -> PortInfo:
    """The port with a name.

    The name may be the port's address, its full name, ``client:port``, the client's name or the
    port's name. They are compared in this order.
    """
    try:
        address = Address(name)
    except ALSAError:
        pass
    else:
        for info in ports:
            if (info.client_id, info.port_id) == address:
                return info
    for form in (
        _full_name,
        lambda info: f"{info.client_name}:{info.name}",
        lambda info: info.client_name,
        lambda info: info.name,
    ):
        for info in ports:
            if form(info) == name:
                return info
    names = ", ".join(repr(_full_name(info)) for info in ports[:12]) or "none"
    raise OSError(f"unknown port {name!r}; the ports are: {names}")


def get_devices(*args: Any, **kwargs: Any) -> list[dict[str, Any]]:
    """All ports that can be connected, for ``mido.get_input_names()`` and similar functions."""
    hub = _Hub.acquire()
    try:
        return [
            {
                "name": _full_name(info),
                "is_input": bool(info.capability & PortCaps.READ),
                "is_output": bool(info.capability & PortCaps.WRITE),
            }
            for info in hub.client.list_ports()
        ]
    finally:
        hub.release()


class PortCommon:
    """The attributes and methods that inputs and outputs share."""

    name: str | None
    closed: bool
    _for_input = False
    _for_output = False
    _virtual = False
    _port: Port | None = None
    _dest_port: PortInfo | None = None
    _hub: _Hub | None = None
    _name_prefix = "inout"
    _last_number = 0
    _callback: _Callback | None = None

    @classmethod
    def _next_name(cls) -> str:
        cls._last_number += 1
        return f"{cls._name_prefix}{cls._last_number}"

    def _open(self, virtual: bool = False, **kwargs: Any) -> None:
        self._arrived: deque[Message] = deque()
        self._ready = threading.Condition()
        self._own_parser = Parser()
        self._virtual = bool(virtual)
        self._device_type = "virtual AlsaMidi/seq" if virtual else "AlsaMidi/seq"
        self._callback = kwargs.get("callback")
        hub = _Hub.acquire()
        try:
            if virtual:
                caps = READ_PORT if self._for_output else WRITE_PORT
                port = self._create(hub, self.name or self._next_name(), caps, kwargs)
                self._register(hub, port)
            else:
                ports = hub.client.list_ports(input=self._for_input, output=self._for_output)
                if self.name:
                    info = _find_port(ports, self.name)
                elif ports:
                    info = ports[0]
                else:
                    raise OSError("no port found")
                # The port serves only this connection, so other clients cannot connect to it.
                caps = PortCaps.READ if self._for_output else PortCaps.WRITE
                port = self._create(hub, self._next_name(), caps, kwargs)
                self._register(hub, port)
                self._dest_port = info
                if self._for_output:
                    port.connect_to(info)
                else:
                    port.connect_from(info)
        except BaseException:
            self._port = None
            hub.release()
            raise
        self._hub = hub

    @staticmethod
    def _create(hub: _Hub, name: str, caps: PortCaps, options: dict[str, Any]) -> Port:
        return hub.client.create_port(
            name,
            options.get("alsa_capability", caps),
            options.get("alsa_type", PortType.MIDI_GENERIC),
        )

    def _register(self, hub: _Hub, port: Port) -> None:
        self._port = port
        if self._for_input:
            hub.inputs[port.port_id] = self
            hub.start_reading()

    def _close(self) -> None:
        port, self._port = self._port, None
        hub, self._hub = self._hub, None
        if port is not None:
            if hub is not None and hub.inputs.get(port.port_id) is self:
                del hub.inputs[port.port_id]
            port.close()
        if hub is not None:
            with self._ready:
                self.closed = True
                self._ready.notify_all()
            hub.release()

    def _receive_bytes(self, midi_bytes: bytes) -> None:
        """Parses bytes from the reading thread, and stores the messages or calls the callback."""
        if len(midi_bytes) <= 3 and midi_bytes[:1] >= b"\x80" and midi_bytes[0] not in _SYSEX_BYTES:
            try:
                messages = [Message.from_bytes(midi_bytes)]
            except ValueError:
                return
        else:
            # Parts of system exclusive messages, and events that consist of several messages.
            self._own_parser.feed(midi_bytes)
            messages = list(self._own_parser)
        with self._ready:
            callback = self._callback
            if callback is None:
                self._arrived.extend(messages)
                self._ready.notify_all()
                return
        self._call(callback, messages)

    def _call(self, callback: _Callback, messages: list[Message]) -> None:
        """Calls a callback with messages; an exception is logged and ends only that call."""
        for message in messages:
            try:
                callback(message)
            except Exception:
                logger.exception("the callback of %r failed", self.name)


class Input(PortCommon, BaseInput):  # type: ignore[misc]  # mido has no types
    """A port that receives. With ``virtual=True``, other clients can connect to it."""

    _for_input = True
    _name_prefix = "in"
    _last_number = 0

    @property
    def callback(self) -> _Callback | None:
        """The function that the reading thread calls with each message.

        With ``None``, messages are stored until they are received.
        """
        return self._callback

    @callback.setter
    def callback(self, function: _Callback | None) -> None:
        with self._ready:
            self._callback = function
            stored = list(self._arrived) if function is not None else []
            if stored:
                self._arrived.clear()
        if function is not None:
            self._call(function, stored)

    def receive(self, block: bool = True) -> Message | None:
        """Waits for the next message and returns it.

        With ``block=False``, returns ``None`` instead of waiting.
        """
        self._check_callback()
        with self._ready:
            if not self._arrived and self.closed:
                if block:
                    raise ValueError("receive() called on closed port")
                return None
            while not self._arrived:
                if not block:
                    return None
                self._ready.wait()
                if self.closed and not self._arrived:
                    raise OSError("port closed during receive()")
            return self._arrived.popleft()


class Output(PortCommon, BaseOutput):  # type: ignore[misc]  # mido has no types
    """A port that sends. With ``virtual=True``, other clients can connect to it."""

    _for_output = True
    _name_prefix = "out"
    _last_number = 0

    def _send(self, message: Message) -> None:
        hub, port = self._hub, self._port
        if hub is None or port is None:
            raise ValueError("send() called on closed port")
        hub.client.event_output_direct(MidiBytesEvent(message.bin()), port=port)
