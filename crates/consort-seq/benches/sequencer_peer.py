"""python-alsa-midi's share of the benchmark `sequencer`: prints one line a measurement."""

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


def echo(address):
    """The other end of the round trips; sends a first event when it is connected."""
    client = SequencerClient("echo")
    port = client.create_port("echo", RW_PORT)
    port.connect_from(Address(address))
    port.connect_to(Address(address))
    while True:
        client.event_output(NoteOnEvent(note=60), port=port)
        client.drain_output()
        while client.event_input().type != EventType.NOTEON:
            pass


def percentiles(what, times):
    times.sort()
    print(f"{what}, p50\t{times[len(times) // 2]}")
    print(f"{what}, p99\t{times[len(times) * 99 // 100]}")


def round_trips(count):
    client = SequencerClient("round trip")
    port = client.create_port("round trip", RW_PORT)
    address = f"{client.client_id}:{port.port_id}"
    other = subprocess.Popen([sys.executable, __file__, address])
    try:
        while client.event_input().type != EventType.NOTEON:
            pass
        times = []
        for _ in range(count):
            start = time.perf_counter_ns()
            client.event_output(NoteOnEvent(note=60), port=port)
            client.drain_output()
            client.event_input()
            times.append(time.perf_counter_ns() - start)
    finally:
        other.kill()
        other.wait()
    percentiles("round trip, two processes", times)


def jitter(count):
    sender, receiver = SequencerClient("sender"), SequencerClient("receiver")
    out = sender.create_port("out", READ_PORT)
    into = receiver.create_port("in", WRITE_PORT)
    into.connect_from(out)
    while receiver.event_input(timeout=0.05) is not None:
        pass
    queue = sender.create_queue("jitter")
    queue.set_tempo(500_000, 96)
    queue.start()
    sender.drain_output()
    for number in range(1, count + 1):
        # Writing the events takes Python longer than the first few of them would wait.
        at = RealTime(0, number * 5_000_000 + 200_000_000)
        sender.event_output(NoteOnEvent(note=60, queue_id=queue.queue_id, time=at), port=out)
    sender.drain_output()
    arrivals = []
    while len(arrivals) < count:
        receiver.event_input()
        arrivals.append(time.perf_counter_ns())
    first = arrivals[0]
    late = [abs(at - first - 5_000_000 * index) for index, at in enumerate(arrivals)]
    percentiles("jitter", late)


def main() -> None:
    client = SequencerClient("peer")
    out = client.create_port("out", READ_PORT)

    def output(make, every, count):
        event = make()
        for reuse in (False, True):
            start = time.perf_counter_ns()
            for number in range(1, count + 1):
                client.event_output(event if reuse else make(), port=out)
                if number % every == 0:
                    client.drain_output()
            client.drain_output()
            yield (time.perf_counter_ns() - start) / count

    def note():
        return NoteOnEvent(note=60)

    def sysex():
        return SysExEvent(b"\xf0" + b"\x01" * 1022 + b"\xf7")

    for every in (1, 16, 500):
        new, reused = output(note, every, 2000)
        print(f"output new, drain every {every}\t{new}")
        print(f"output reused, drain every {every}\t{reused}")
    new, _ = output(sysex, 1, 500)
    print(f"SysEx 1 KiB, drain every 1\t{new}")

    receiver = SequencerClient("receiver")
    into = receiver.create_port("in", WRITE_PORT)
    receiver.set_client_pool_input(2000)
    into.connect_from(out)
    count = 1500
    for _number in range(count):
        client.event_output(note(), port=out)
    client.drain_output()
    start = time.perf_counter_ns()
    for _number in range(count):
        receiver.event_input()
    print(f"input, event by event\t{(time.perf_counter_ns() - start) / count}")

    lister = SequencerClient("lister")
    many = [lister.create_port(f"port {number}") for number in range(60)]
    start = time.perf_counter_ns()
    for _number in range(20):
        assert len(lister.list_ports()) >= len(many)
    print(f"list_ports, 60 ports\t{(time.perf_counter_ns() - start) / 20}")

    round_trips(300)
    jitter(200)


if __name__ == "__main__":
    sys.exit(echo(sys.argv[1]) if len(sys.argv) == 2 else main())
