"""Fixtures: clients on the engine that CONSORT_TEST_ENGINE selects (`embedded` or `kernel`)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import alsa_midi
import pytest
from alsa_midi import EmbeddedEngine, SequencerClient

ENGINE = os.environ.get("CONSORT_TEST_ENGINE", "embedded")


def pytest_report_header() -> str:
    return f"engine: {ENGINE}"


@pytest.fixture
def on_kernel() -> bool:
    return ENGINE == "kernel"


@pytest.fixture
def engine() -> object:
    """A new embedded sequencer, or the kernel's sequencer."""
    return "kernel" if ENGINE == "kernel" else EmbeddedEngine()


@pytest.fixture
def make_client(engine: object) -> Iterator[Callable[..., SequencerClient]]:
    """A function that opens clients, which are closed after the test."""
    clients = []

    def make(name: str = "test", kind: type = SequencerClient, **kwargs: object):
        client = kind(name, engine=engine, **kwargs)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(make_client: Callable[..., SequencerClient]) -> SequencerClient:
    return make_client("test client")


class Pair:
    """Two clients with connected ports. The announcement of the connection is dropped."""

    def __init__(self, make: Callable[..., SequencerClient]) -> None:
        self.sender = make("sender")
        self.receiver = make("receiver")
        self.out = self.sender.create_port("out", alsa_midi.READ_PORT)
        self.into = self.receiver.create_port("in", alsa_midi.WRITE_PORT)
        self.out.connect_to(self.into)
        self.receiver.drop_input()

    def pass_through(self, event: alsa_midi.Event, **kwargs: object) -> alsa_midi.Event:
        """Sends an event and returns the event that arrives."""
        kwargs.setdefault("port", self.out)
        self.sender.event_output(event, **kwargs)
        self.sender.drain_output()
        received = self.receiver.event_input(timeout=5)
        assert received is not None
        return received


@pytest.fixture
def pair(make_client: Callable[..., SequencerClient]) -> Pair:
    return Pair(make_client)


def wait_until(condition: Callable[[], bool], seconds: float = 5) -> None:
    """Waits until a condition is true, and fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never became true"
        time.sleep(0.002)
