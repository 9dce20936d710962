"""Runs the benchmarks of server.rs with Supriya.

Usage: supriya_server.py PORT

Prints a line with the name and the seconds of each benchmark.
"""

import os
import statistics
import sys
import time

from supriya import Server, SynthDefBuilder
from supriya.ugens import Out, SinOsc

port = int(sys.argv[1])
with SynthDefBuilder(amplitude=0.1, frequency=440.0, out=0.0, gate=1.0) as builder:
    Out.ar(
        bus=builder["out"], source=SinOsc.ar(frequency=builder["frequency"]) * builder["amplitude"]
    )
tone = builder.build(name="tone")

boots = []
for _ in range(3):
    server = Server(port=port)
    start = time.perf_counter()
    server.boot()
    boots.append(time.perf_counter() - start)
    server.quit()
print("boot", statistics.median(boots))

server = Server(port=port, maximum_node_count=4096, memory_size=65536).boot()
server.add_synthdefs(tone)
server.sync()
synth = server.add_synth(tone)
server.sync()


def median_of(rounds, count, work):
    """The median over the rounds of the mean time of `count` calls, in seconds."""
    figures = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(count):
            work()
        figures.append((time.perf_counter() - start) / count)
        server.sync()
    return statistics.median(figures)


print("set_node", median_of(50, 100, lambda: synth.set(frequency=440.0)))


def moment():
    with server.at():
        for value in range(1000):
            synth.set(frequency=float(value))


print("moment", median_of(20, 1, moment) / 1000)
print("status", median_of(100, 1, server.query_status))
print("sync", median_of(100, 1, server.sync))
start = time.perf_counter()
for _ in range(500):
    server.add_synth(tone)
server.sync()
print("synths", time.perf_counter() - start)
for _ in range(500):
    server.add_synth(tone)
server.sync()
sys.stdout.flush()
try:
    start = time.perf_counter()
    if server.query_tree() is not None:
        print("tree", time.perf_counter() - start)
except Exception as error:
    print("the tree of 1,000 synths failed:", type(error).__name__, error, file=sys.stderr)
sys.stdout.flush()
server.process_protocol.process.kill()
os._exit(0)
