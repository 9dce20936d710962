"""The measurements of the peer python-alsa-midi in the benchmark `sequencer`.

Reads the name of a measurement per line, runs one round of it, and answers with the nanoseconds
per step, or for latencies with those of every step.
"""

import subprocess
import sys
import time

from alsa_midi import (
    READ_PORT,
    RW_PORT,
    WRITE_PORT,
    Address,
    EventType,
    NoteOnEvent,
    RealTime,
    SequencerClient,
    SysExEvent,
)


def echo(address: str) -> None:
    """Echo events to `address`; send a first event when connected."""
    client = SequencerClient("echo")
    port = client.create_port("echo", RW_PORT)
    port.connect_from(Address(address))
    port.connect_to(Address(address))
    while True:
        client.event_output(NoteOnEvent(note=60), port=port)
        client.drain_output()
        while client.event_input().type != EventType.NOTEON:
            pass


class Output:
    """Output to a port without subscribers."""

    def __init__(self) -> None:
        self.client = SequencerClient("peer")
        self.out = self.client.create_port("out", READ_PORT)

    def notes(self, reuse: bool, every: int) -> float:
        return self.run(lambda: NoteOnEvent(note=60), reuse, every, 500)

    def sysex(self) -> float:
        data = b"\xf0" + b"\x01" * 1022 + b"\xf7"
        return self.run(lambda: SysExEvent(data), False, 1, 100)

    def run(self, make, reuse: bool, every: int, count: int) -> float:
        event = make()
        start = time.perf_counter_ns()
        for number in range(1, count + 1):
            self.client.event_output(event if reuse else make(), port=self.out)
            if number % every == 0:
                self.client.drain_output()
        self.client.drain_output()
        return (time.perf_counter_ns() - start) / count


class Pair:
    """A sender and a receiver that is connected to it."""

    def __init__(self) -> None:
        self.sender, self.receiver = SequencerClient("sender"), SequencerClient("receiver")
        self.out = self.sender.create_port("out", READ_PORT)
        # The attribute keeps the port: it is deleted with its object.
        self.into = self.receiver.create_port("in", WRITE_PORT)
        self.receiver.set_client_pool_input(2000)
        self.into.connect_from(self.out)
        while self.receiver.event_input(timeout=0.05) is not None:
            pass

    def input(self) -> float:
        count = 500
        for _number in range(count):
            self.sender.event_output(NoteOnEvent(note=60), port=self.out)
        self.sender.drain_output()
        start = time.perf_counter_ns()
        for _number in range(count):
            self.receiver.event_input()
        return (time.perf_counter_ns() - start) / count

    def jitter(self) -> list[int]:
        count = 200
        queue = self.sender.create_queue("jitter")
        queue.set_tempo(500_000, 96)
        queue.start()
        self.sender.drain_output()
        for number in range(1, count + 1):
            # The offset of 200 ms is longer than Python takes to write the events.
            time_stamp = RealTime(0, number * 5_000_000 + 200_000_000)
            event = NoteOnEvent(note=60, queue_id=queue.queue_id, time=time_stamp)
            self.sender.event_output(event, port=self.out)
        self.sender.drain_output()
        arrivals = []
        while len(arrivals) < count:
            self.receiver.event_input()
            arrivals.append(time.perf_counter_ns())
        queue.close()
        return arrivals


def list_ports(client: SequencerClient) -> float:
    count = 3
    start = time.perf_counter_ns()
    for _number in range(count):
        assert len(client.list_ports()) >= 60
    return (time.perf_counter_ns() - start) / count


def round_trips() -> list[int]:
    client = SequencerClient("round trip")
    port = client.create_port("round trip", RW_PORT)
    address = f"{client.client_id}:{port.port_id}"
    echo_process = subprocess.Popen([sys.executable, __file__, address])
    try:
        while client.event_input().type != EventType.NOTEON:
            pass
        times = []
        for _ in range(300):
            start = time.perf_counter_ns()
            client.event_output(NoteOnEvent(note=60), port=port)
            client.drain_output()
            client.event_input()
            times.append(time.perf_counter_ns() - start)
    finally:
        echo_process.kill()
        echo_process.wait()
        client.close()
    return times


def main() -> None:
    output, pair = Output(), Pair()
    measures = {
        f"output {'reused' if reuse else 'new'}, drain every {every}": (
            lambda reuse=reuse, every=every: [output.notes(reuse, every)]
        )
        for reuse in (False, True)
        for every in (1, 16, 500)
    }
    measures["SysEx 1 KiB"] = lambda: [output.sysex()]
    measures["input"] = lambda: [pair.input()]
    measures["list_ports"] = lambda: [list_ports(output.client)]
    measures["round trip"] = round_trips
    measures["jitter"] = pair.jitter
    print("ready", flush=True)
    for line in sys.stdin:
        print(*measures[line.strip()](), flush=True)


if __name__ == "__main__":
    sys.exit(echo(sys.argv[1]) if len(sys.argv) == 2 else main())
