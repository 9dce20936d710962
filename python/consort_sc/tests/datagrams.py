"""Makes the same calls on a server of a package and on a score, and prints the datagrams as JSON:
a map from labels to lists. test_comparison.py runs it for Supriya and for this package.

Usage: datagrams.py PACKAGE
"""

import asyncio
import importlib
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from fake import FakeServer, address_of, elements  # noqa: E402

PACKAGE = sys.argv[1]
package = importlib.import_module(PACKAGE)
ugens = importlib.import_module(f"{PACKAGE}.ugens")
requests = importlib.import_module(f"{PACKAGE}.contexts.requests")
default = package.default
#: The server allocates buffers from 0, and nodes from 1000, in the order of the calls.
CALLS = """
add_synthdefs(default)
add_synthdefs(default, test)
add_group()
add_group(add_action="ADD_TO_TAIL", target_node=0)
add_group(parallel=True)
add_group(permanent=True)
add_synth(default)
add_synth(default, frequency=443, amplitude=0.1)
add_synth(default, pan=0.25, amplitude=0.5, frequency=333.3)
add_synth(default, frequency="c3", amplitude="a12")
add_synth(test, freqs=[1, 2])
add_synth(test, freqs=(220.0, 440.0))
add_synth(test, freqs=["c0", 3])
add_synth(default, add_action="ADD_AFTER", target_node=g.add_group())
root_node.add_group(add_action="ADD_TO_TAIL")
set_node(s, frequency=1, amplitude=2)
set_node(s, (2, 0.5), (1, 0.25), gate=0)
set_node(s, frequency=[1, 2, 3])
set_node_range(s, (3, (1, 2)), frequency=(4, 5))
map_node(s, frequency="c1", amplitude="a3", pan=None)
map_node(s, frequency=bus)
map_node_range(s, frequency=group, amplitude=("a4", 2), pan=None)
free_node(s)
free_node(s, force=True)
free_node(g)
free_group_children(g)
free_group_children(g, synths_only=True)
move_node(s, "ADD_BEFORE", g)
move_node(s, "ADD_AFTER", g)
move_node(s, "ADD_TO_HEAD", g)
move_node(s, "ADD_TO_TAIL", g)
order_nodes(g, s, s, add_action="ADD_BEFORE")
order_nodes(g, s)
pause_node(s)
unpause_node(s)
add_buffer(channel_count=2, frame_count=512)
add_buffer(frame_count=16)
add_buffer(file_path="a.wav")
add_buffer(file_path="a.wav", starting_frame=3, frame_count=4)
add_buffer(file_path="a.wav", channel_indices=[0, 2])
add_buffer(frame_count=8, on_completion=lambda c: c.free_node(s))
add_buffer_group(channel_count=1, frame_count=4, count=3)
close_buffer(b)
copy_buffer(source_buffer=b, target_buffer=b, **frames)
fill_buffer(b, 1, 2, 0.5)
free_buffer(b)
free_buffer(b, on_completion=lambda c: c.do_nothing())
generate_buffer(b, "sine1", [1, 0.5], as_wavetable=True)
generate_buffer(b, "sine2", [1, 0.5], frequencies=[2, 3], should_normalize=True)
generate_buffer(b, "sine3", [1], frequencies=[2], phases=[0.5], should_clear_first=True)
generate_buffer(b, "cheby", [1, 2, 3])
normalize_buffer(b)
normalize_buffer(b, new_maximum=0.5, as_wavetable=True)
read_buffer(b, "a.wav")
read_buffer(b, "a.wav", buffer_starting_frame=1, frame_count=2, starting_frame=3, leave_open=True)
read_buffer(b, "a.wav", channel_indices=[1])
set_buffer(b, 1, 0.5)
set_buffer_range(b, 1, [0.25, 0.5])
write_buffer(b, "a.wav")
write_buffer(b, "a.wav", header_format="wav", sample_format="float", frame_count=4, leave_open=True)
zero_buffer(b)
set_bus(bus, 0.5)
set_bus_range(bus, [1, 2])
fill_bus_range(bus, 3, 0.25)
free_synthdefs(default)
free_all_synthdefs()
load_synthdefs("x.scsyndef")
load_synthdefs_directory("folder")
clear_schedule()
do_nothing()
""".strip().splitlines()
#: Statements inside of a moment, separated by `;`.
MOMENTS = """
add_group(); add_group(); add_group(parallel=True); add_synth(default)
set_bus(bus, 1); set_bus(bus, 2); set_bus_range(bus, [1]); set_bus_range(bus, [2])
set_buffer(b, 0, 1); set_buffer(b2, 1, 2); set_buffer(b, 3, 4); set_buffer_range(b2, 0, [1])
pause_node(s); unpause_node(s); pause_node(g)
fill_buffer(b2, 1, 2, 3); fill_buffer(b, 1, 2, 3)
fill_bus_range(bus, 1, 1); fill_bus_range(bus, 2, 2)
set_node(s, frequency=1); set_node(s, frequency=2)
add_synthdefs(default, on_completion=lambda c: c.add_synth(default))
add_buffer(frame_count=4, on_completion=lambda c: [c.set_buffer(b, 0, 1), c.set_buffer(b, 1, 2)])
free_buffer(b); add_group()
do_nothing()
""".strip().splitlines()
#: Statements about the server alone.
SERVER_CALLS = """
send(["/foo", 1, 2.5, "three"])
send("/bar")
send(package.OscMessage("/baz", [1, 2]))
get_buffer(b, 1, 2, sync=False)
get_buffer_range(b, 1, 2, sync=False)
get_bus(bus, sync=False)
get_bus_range(bus, 2, sync=False)
get_synth_controls(s, "frequency", 1, sync=False)
get_synth_control_range(s, "frequency", 2, sync=False)
query_buffer(b, sync=False)
query_node(s, sync=False)
query_status(sync=False)
query_tree(sync=False)
query_tree(g, include_controls=False, sync=False)
query_version(sync=False)
dump_tree(sync=False)
trace_node(s)
sync()
sync(sync_id=99)
send(requests.DumpOsc(1))
send(requests.ToggleErrorReporting(0))
send(requests.FillNode(1000, [("frequency", 2, 0.5)]))
send(requests.AutoReassignSynthID([1, 2]))
send(requests.RequestBundle([requests.DoNothing(), requests.QueryVersion()], timestamp=5.0))
""".strip().splitlines()


def make_test_synthdef():
    with ugens.SynthDefBuilder(freqs=(220, 440)) as builder:
        ugens.Out.ar(bus=0, source=ugens.SinOsc.ar(frequency=builder["freqs"]))
    return builder.build(name="test")


def objects(context):
    """What the calls are about."""
    entities = importlib.import_module(f"{PACKAGE}.contexts.entities")
    control = package.CalculationRate.CONTROL
    return {
        "package": package,
        "requests": requests,
        "default": default,
        "test": make_test_synthdef(),
        "context": context,
        "frames": {"source_starting_frame": 1, "target_starting_frame": 2, "frame_count": 3},
        "s": entities.Synth(context, 1500, default),
        "g": entities.Group(context, 1501),
        "b": entities.Buffer(context, 10),
        "b2": entities.Buffer(context, 5),
        "bus": entities.Bus(context, 7, control),
        "group": entities.BusGroup(context, 8, control, 3),
    }


def outcome(run):
    try:
        run()
    except Exception as error:
        return f"raises {type(error).__name__}"
    return ""


def server_datagrams(results):
    fake = FakeServer()
    server = package.Server(port=fake.port)
    server.connect()
    server.sync()
    fake.take()
    names = objects(server)

    def record(label, run):
        error = outcome(run)
        if not label.startswith("sync("):
            server.sync(sync_id=77)
        packets = [packet for packet in fake.take() if not is_marker(packet)]
        results[label] = [packet.hex() for packet in packets] + ([error] if error else [])

    for call in CALLS + SERVER_CALLS:
        record(call, lambda call=call: eval(f"context.{call}", names))
    for index, moment in enumerate(MOMENTS):
        for seconds in (None, 5.25):

            def run(moment=moment, seconds=seconds):
                with server.at(seconds):
                    for call in moment.split("; "):
                        eval(f"context.{call}", names)

            record(f"moment {index} at {seconds}", run)

    def completions():
        with server.at(3):
            with server.add_buffer(frame_count=32) as completion:
                server.add_group()
            with completion:
                server.add_group()
                with server.add_synthdefs(default):
                    server.add_synth(default)

    record("completions", completions)
    server.disconnect()
    fake.close()


def is_marker(packet):
    return [address_of(data) for data in elements(packet)] == ["/sync"] and packet.endswith(
        (77).to_bytes(4, "big")
    )


def score_datagrams(results):
    for index, moment in enumerate(MOMENTS):
        score = package.Score()
        names = objects(score)

        def run(score=score, names=names, moment=moment):
            for seconds in (1, 0, 1):
                with score.at(seconds):
                    for call in moment.split("; "):
                        eval(f"context.{call}", names)

        error = outcome(run)
        for until in (None, 0.5, 1, 3):
            packets = [packet.hex() for packet in score.iterate_datagrams(until=until)]
            results[f"score {index} until {until}"] = packets + ([error] if error else [])


async def asynchronous_datagrams(results):
    fake = FakeServer()
    server = package.AsyncServer(port=fake.port)
    await server.connect()
    await server.sync()
    fake.take()
    names = objects(server)
    for call in SERVER_CALLS:
        value = eval(f"context.{call}", names)
        if asyncio.iscoroutine(value):
            await value
        if not call.startswith("sync("):
            await server.sync(sync_id=77)
        packets = [packet for packet in fake.take() if not is_marker(packet)]
        results[f"async {call}"] = [packet.hex() for packet in packets]
    await server.disconnect()
    fake.close()


def main():
    results = {}
    server_datagrams(results)
    score_datagrams(results)
    asyncio.run(asynchronous_datagrams(results))
    json.dump(results, sys.stdout)
    sys.stdout.flush()
    # Threads of Supriya may still wait.
    os._exit(0)


main()
