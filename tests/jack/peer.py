"""A client of JACK for the tests, in a process of its own, because a server that ends takes its
clients along. Reads commands from standard input and prints JSON lines.

    peer.py CLIENT [PORT:TYPE:DIRECTION …]      TYPE is midi or cv, DIRECTION is in or out

Commands: `midi PORT HEX`, `level PORT NUMBER`, `samples PORT COUNT`, `connect A B`,
`disconnect A B`, `connections`, `transport`, `roll 0|1`, `freewheel 0|1`, `blocksize N`.
Received messages are printed with the frame at which they arrived.
"""

import array
import collections
import json
import sys
import threading

import jack

name, *specifications = sys.argv[1:]
client = jack.Client(name, no_start_server=True)
ports = {}
for specification in specifications:
    port, kind, direction = specification.split(":")
    register = {
        ("midi", "in"): client.midi_inports.register,
        ("midi", "out"): client.midi_outports.register,
        ("cv", "in"): client.inports.register,
        ("cv", "out"): client.outports.register,
    }[kind, direction]
    ports[port] = (kind, direction, register(port))

received = collections.deque()
outgoing = {port: collections.deque() for port in ports}
levels = dict.fromkeys(ports, 0.0)
recording = {}
lock = threading.Lock()


@client.set_process_callback
def process(frames):
    start = client.last_frame_time
    for port_name, (kind, direction, port) in ports.items():
        if (kind, direction) == ("midi", "in"):
            for offset, data in port.incoming_midi_events():
                received.append((port_name, start + offset, bytes(data)))
        elif (kind, direction) == ("midi", "out"):
            port.clear_buffer()
            queue = outgoing[port_name]
            if queue:
                for offset, data in enumerate(queue.popleft()):
                    port.write_midi_event(min(offset, frames - 1), data)
        elif (kind, direction) == ("cv", "in"):
            if port_name in recording and len(recording[port_name]) < recording_size[port_name]:
                samples = array.array("f")
                samples.frombytes(bytes(port.get_buffer()))
                recording[port_name].extend(samples)
        else:
            block = array.array("f", [levels[port_name]]) * frames
            port.get_buffer()[:] = block.tobytes()


recording_size = {}


def report(**values):
    # Two threads report; their lines must not be mixed.
    with lock:
        print(json.dumps(values), flush=True)


@client.set_shutdown_callback
def shutdown(status, reason):
    report(shutdown=reason)


def print_received():
    while True:
        while received:
            port, frame, data = received.popleft()
            report(midi=port, frame=frame, bytes=data.hex())
        stop.wait(0.005)
        if stop.is_set():
            return


stop = threading.Event()
client.activate()
threading.Thread(target=print_received, daemon=True).start()
report(ready=client.name, rate=client.samplerate, frames=client.blocksize)
for line in sys.stdin:
    command, *words = line.split()
    try:
        if command == "midi":
            outgoing[words[0]].append([bytes.fromhex(word) for word in words[1:]])
        elif command == "level":
            levels[words[0]] = float(words[1])
        elif command == "samples":
            recording_size[words[0]] = int(words[1])
            recording[words[0]] = array.array("f")
            while len(recording[words[0]]) < int(words[1]):
                stop.wait(0.005)
            report(samples=[float(sample) for sample in recording.pop(words[0])])
        elif command == "connect":
            client.connect(words[0], words[1])
            report(done=command)
        elif command == "disconnect":
            client.disconnect(words[0], words[1])
            report(done=command)
        elif command == "connections":
            report(
                connections={
                    port_name: [other.name for other in client.get_all_connections(port)]
                    for port_name, (_, _, port) in ports.items()
                }
            )
        elif command == "transport":
            state, position = client.transport_query()
            report(rolling=state == jack.ROLLING, tempo=position.get("beats_per_minute"))
        elif command == "roll":
            (client.transport_start if words[0] == "1" else client.transport_stop)()
            report(done=command)
        elif command == "freewheel":
            client.set_freewheel(words[0] == "1")
            report(done=command)
        elif command == "blocksize":
            client.blocksize = int(words[0])
            report(done=command)
    except Exception as error:  # the test decides what a failure means
        report(error=str(error), command=line.strip())
stop.set()
client.deactivate()
client.close()
