"""Run the nine lifecycle cases with Supriya and print the events of each, one case per line."""

import contextlib
import os
import signal
import sys
import time

import supriya
from supriya import Server
from supriya.enums import ServerLifecycleEvent

FIRST_PORT = int(sys.argv[1])
ports = iter(range(FIRST_PORT, FIRST_PORT + 40))


def record_events(server):
    events = []
    server.register_lifecycle_callback(
        list(ServerLifecycleEvent), lambda event: events.append(event.name)
    )
    return events


def report(case, events):
    print(case, " ".join(events), flush=True)


def wait_for(events, name, seconds):
    deadline = time.monotonic() + seconds
    while name not in events and time.monotonic() < deadline:
        time.sleep(0.05)


# boot, and quit by the owner
server = Server(port=next(ports), maximum_logins=8)
events = record_events(server)
server.boot()
report("boot", list(events))
events.clear()
server.quit()
report("quit", list(events))

# connect, disconnect, and quit by a client
port = next(ports)
owner = Server(port=port, maximum_logins=8).boot()
client = Server(port=port, maximum_logins=8)
events = record_events(client)
client.connect()
report("connect", list(events))
events.clear()
client.disconnect()
report("disconnect", list(events))
client = Server(port=port, maximum_logins=8).connect()
events = record_events(client)
client.quit(force=True)
report("forced_quit", list(events))
owner.process_protocol.process.wait(timeout=30)

# the process exits unexpectedly
server = Server(port=next(ports)).boot()
events = record_events(server)
server.process_protocol.process.kill()
wait_for(events, "QUIT", 5)
report("process_exits", list(events))

# cannot boot
server = Server(port=next(ports), executable="/bin/false")
events = record_events(server)
with contextlib.suppress(supriya.exceptions.ServerCannotBoot):
    server.boot()
report("cannot_boot", list(events))

# too many clients
port = next(ports)
owner = Server(port=port, maximum_logins=1).boot()
client = Server(port=port, maximum_logins=1)
events = record_events(client)
with contextlib.suppress(supriya.exceptions.TooManyClients):
    client.connect()
report("too_many_clients", list(events))
owner.quit()

# health checks are not answered
port = next(ports)
owner = Server(port=port, maximum_logins=2).boot()
client = Server(port=port, maximum_logins=2).connect()
events = record_events(client)
pid = owner.process_protocol.process.pid
os.kill(pid, signal.SIGSTOP)
wait_for(events, "DISCONNECTED", 25)
report("health_lost", list(events))
os.kill(pid, signal.SIGKILL)
os._exit(0)
