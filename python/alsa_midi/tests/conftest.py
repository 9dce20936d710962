"""Fixtures: clients on the engine that CONSORT_TEST_ENGINE names (`embedded` or `kernel`)."""

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
    """An embedded sequencer of the test's own, or the kernel's."""
    return "kernel" if ENGINE == "kernel" else EmbeddedEngine()


@pytest.fixture
def make_client(engine: object) -> Iterator[Callable[..., SequencerClient]]:
    made = []

    def make(name: str = "test", kind: type = SequencerClient, **kwargs: object):
        client = kind(name, engine=engine, **kwargs)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_client: Callable[..., SequencerClient]) -> SequencerClient:
    return make_client("test client")


class Pair:
    """Two clients, the first one's port connected to the second's; notices are dropped."""

    def __init__(self, make: Callable[..., SequencerClient]) -> None:
        self.sender = make("sender")
        self.receiver = make("receiver")
        self.out = self.sender.create_port("out", alsa_midi.READ_PORT)
        self.into = self.receiver.create_port("in", alsa_midi.WRITE_PORT)
        self.out.connect_to(self.into)
        self.receiver.drop_input()

    def pass_through(self, event: alsa_midi.Event, **kwargs: object) -> alsa_midi.Event:
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
    """Waits for a condition; fails when the time is over."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never became true"
        time.sleep(0.002)
