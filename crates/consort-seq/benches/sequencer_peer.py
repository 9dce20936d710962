"""python-alsa-midi's share of the benchmark `sequencer`: prints one line a measurement."""

import sys
import time

from alsa_midi import READ_PORT, WRITE_PORT, NoteOnEvent, SequencerClient, SysExEvent


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
    for number in range(count):
        client.event_output(note(), port=out)
    client.drain_output()
    start = time.perf_counter_ns()
    for number in range(count):
        receiver.event_input()
    print(f"input, event by event\t{(time.perf_counter_ns() - start) / count}")

    lister = SequencerClient("lister")
    many = [lister.create_port(f"port {number}") for number in range(60)]
    start = time.perf_counter_ns()
    for number in range(20):
        assert len(lister.list_ports()) >= len(many)
    print(f"list_ports, 60 ports\t{(time.perf_counter_ns() - start) / 20}")


if __name__ == "__main__":
    sys.exit(main())
