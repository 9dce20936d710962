"""OSCQuery read by a foreign client: the package `python-oscquery` from PyPI.

oscquery.py PATH_TO_CONSORT
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pythonoscquery.osc_query_client import OSCQueryClient
from zeroconf import ServiceInfo

DEADLINE = 60

CONFIGURATION = """\
[osc desk]
bind = 127.0.0.1 {port}
destination = 127.0.0.1 9
query = on
/ch/*/fader = i 0 127
/scene = s intro verse chorus

[map]
desk./ch/1/fader > desk./ch/2/fader
desk./meter > desk./scene
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, condition):
    end = time.monotonic() + DEADLINE
    while not (result := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.05)
    return result


def listing(node, lines):
    """The addresses below a node, with their types, values and access."""
    if node.type:
        lines.append(f"{node.full_path} {node.type} {node.value} {node.access}")
    for child in node.contents or []:
        listing(child, lines)
    return lines


def main():
    consort = Path(sys.argv[1]).resolve()
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "show.cfg").write_text(CONFIGURATION.format(port=port))
        environment = dict(os.environ, XDG_RUNTIME_DIR=folder, XDG_STATE_HOME=folder)
        show = subprocess.Popen([consort, "run", "show.cfg"], cwd=folder, env=environment)
        try:
            service = ServiceInfo(
                "_oscjson._tcp.local.",
                "desk._oscjson._tcp.local.",
                port,
                addresses=[socket.inet_aton("127.0.0.1")],
            )
            client = OSCQueryClient(service)
            info = until("the namespace is served", client.get_host_info)
            print(info)
            assert (info.name, info.osc_port, info.osc_transport) == ("desk", port, "UDP")
            message = b"/ch/1/fader\0,i\0\0" + (64).to_bytes(4, "big")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(message, ("127.0.0.1", port))
            fader = "/ch/1/fader"
            until("the value", lambda: list(client.query_node(fader).value or []) == [64])
            lines = listing(client.query_node("/"), [])
            print("\n".join(lines))
            assert [line.split()[0] for line in lines] == [
                "/ch/1/fader",
                "/ch/2/fader",
                "/meter",
                "/scene",
            ], lines
            assert client.query_node("/unknown") is None
        finally:
            show.send_signal(signal.SIGINT)
            show.wait(DEADLINE)
    print("oscquery: python-oscquery lists the namespace")


if __name__ == "__main__":
    main()
