"""The modules of the worker as a package `worker`, and a worker that is connected to a test."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "src" / "python"))

from worker.functions import WorkerScript  # noqa: E402
from worker.link import Link  # noqa: E402
from worker.loader import Loader  # noqa: E402
from worker.loop import Worker  # noqa: E402
from worker.protocol import CONTROL, HEADER, RECORD_BYTES, VALUE, frame, padding  # noqa: E402


class Peer:
    """A worker whose instance is the test: nothing runs by itself."""

    def __init__(self, folder):
        self.output, sink = os.pipe()
        os.set_blocking(self.output, False)
        self.link = Link(-1, sink)
        self.script = WorkerScript(self.link, 0)
        self.loader = Loader(str(folder))
        self.worker = Worker(self.link, self.script, self.loader, "")

    def start(self, names=(), usage=None, inputs=()):
        values = b"".join(VALUE.pack(number, 0, value) for number, value in inputs)
        self.worker.finish_imports(list(names), bytes(usage or [3] * len(names)), values)
        self.link.busy = self.link.main_thread
        self.link.armed = True  # No timer in tests.

    def feed(self, *parts):
        """Hands bytes to the worker as one read of the pipe would."""
        data = b"".join(parts)
        rest = self.worker.end
        self.worker.buffer[rest : rest + len(data)] = data
        self.worker.end = rest + len(data)
        return self.worker.handle_input()

    def sent(self):
        """What the worker has sent since the last call: values and frames as tuples."""
        self.link.flush()
        try:
            data = os.read(self.output, 1 << 20)
        except BlockingIOError:
            return []
        items = []
        while data:
            number, kind, length, argument = HEADER.unpack_from(data)
            if number == CONTROL:
                items.append((kind, argument, data[RECORD_BYTES : RECORD_BYTES + length]))
                data = data[RECORD_BYTES + length + padding(length) :]
            else:
                items.append(VALUE.unpack_from(data))
                data = data[RECORD_BYTES:]
        return items

    def close(self):
        os.close(self.output)
        os.close(self.link.sink)


@pytest.fixture
def peer(tmp_path):
    peer = Peer(tmp_path)
    yield peer
    peer.close()


@pytest.fixture
def command():
    """Encodes a frame to the worker, which looks like one from it."""
    return frame
