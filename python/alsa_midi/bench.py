"""Measures the `alsa_midi` of the interpreter that runs this file.

Prints lines of the form `name microseconds`. tests/bench/60-alsa-midi.sh runs it for both subjects
in turns, on the kernel's sequencer, and prints the results side by side.
"""

import asyncio
import statistics
import sys
import time

from alsa_midi import READ_PORT, WRITE_PORT, AsyncSequencerClient, NoteOnEvent, SequencerClient

#: Multiplies the number of repetitions.
FACTOR = int(sys.argv[1]) if len(sys.argv) > 1 else 1


def report(name: str, microseconds: float) -> None:
    print(f"{name} {microseconds:.3f}", flush=True)


def measure(function, count: int) -> float:
    """Microseconds per operation, the median of five runs of `count` operations."""
    runs = []
    for _ in range(5):
        start = time.perf_counter()
        function()
        runs.append((time.perf_counter() - start) / count * 1e6)
    return statistics.median(runs)


def output() -> None:
    client = SequencerClient("bench output")
    port = client.create_port("out", READ_PORT)
    event = NoteOnEvent(60)
    count = 300 * FACTOR

    def buffered() -> None:
        for _ in range(count):
            client.event_output(event, port=port)
        client.drain_output()

    def drained() -> None:
        for _ in range(count):
            client.event_output(event, port=port)
            client.drain_output()

    def new_events() -> None:
        for number in range(count):
            client.event_output(NoteOnEvent(note=number % 128, channel=1), port=port)
        client.drain_output()

    report("output_buffered", measure(buffered, count))
    report("output_drained_each", measure(drained, count))
    report("output_of_new_events", measure(new_events, count))
    client.close()


def input_() -> None:
    sender, receiver = SequencerClient("bench sender"), SequencerClient("bench receiver")
    out = sender.create_port("out", READ_PORT)
    dest = receiver.create_port("in", WRITE_PORT)
    receiver.set_client_pool_input(1000)
    out.connect_to(dest)
    receiver.drop_input()
    event = NoteOnEvent(60)
    count = 400
    for name, uses_event in (("input", False), ("input_and_use", True)):
        runs = []
        for _ in range(5):
            for _ in range(count):
                sender.event_output(event, port=out)
            sender.drain_output()
            start = time.perf_counter()
            for _ in range(count):
                received = receiver.event_input()
                if uses_event:
                    _ = received.note, received.channel, received.velocity, received.source
            runs.append((time.perf_counter() - start) / count * 1e6)
        report(name, statistics.median(runs))
    sender.close()
    receiver.close()


def list_ports() -> None:
    client = SequencerClient("bench ports")
    ports = [client.create_port(f"port {number}") for number in range(4)]
    count = 20 * FACTOR
    report("list_ports", measure(lambda: [client.list_ports() for _ in range(count)], count))
    assert len(client.list_ports()) >= len(ports)
    client.close()


def percentile(values: list, fraction: float) -> float:
    return sorted(values)[int(len(values) * fraction)]


def round_trip_asyncio() -> None:
    async def main() -> None:
        a, b = AsyncSequencerClient("bench a"), AsyncSequencerClient("bench b")
        port_a, port_b = a.create_port("a"), b.create_port("b")
        event = NoteOnEvent(60)

        async def echo() -> None:
            while True:
                received = await b.event_input()
                if received.type != 6:
                    continue
                await b.event_output(event, port=port_b, dest=port_a)
                await b.drain_output()

        task = asyncio.ensure_future(echo())
        times = []
        for _ in range(200 * FACTOR):
            start = time.perf_counter()
            await a.event_output(event, port=port_a, dest=port_b)
            await a.drain_output()
            await a.event_input()
            times.append((time.perf_counter() - start) * 1e6)
        task.cancel()
        report("asyncio_round_trip_p50", percentile(times, 0.5))
        report("asyncio_round_trip_p99", percentile(times, 0.99))

    asyncio.run(main())


def idle() -> None:
    client = SequencerClient("bench idle")
    start = time.process_time()
    client.event_input(timeout=1.0)
    report("idle_cpu_of_a_second", (time.process_time() - start) * 1e6)
    client.close()


output()
input_()
list_ports()
round_trip_asyncio()
idle()
