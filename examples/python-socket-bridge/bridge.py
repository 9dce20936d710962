"""Sends and receives values over TCP, one per line."""

import socket

import midimonster

ADDRESS = ("127.0.0.1", 7400)
MAX_LINE_BYTES = 1000

clients = {}


def forward(value):
    """Sends a value that arrived to all clients."""
    line = f"{midimonster.current()} {value:.4f}\n".encode()
    for client in list(clients):
        try:
            client.send(line)
        except BlockingIOError:
            # A client that does not read misses lines and delays no other client.
            continue
        except OSError:
            disconnect(client)


def accept(server):
    client, address = server.accept()
    client.setblocking(False)
    clients[client] = b""
    midimonster.manage(read, client)
    print("connected:", address)


def disconnect(client):
    midimonster.manage(None, client)
    client.close()
    clients.pop(client, None)


def read(client):
    try:
        data = client.recv(4096)
    except BlockingIOError:
        return
    except OSError:
        data = b""
    lines = (clients[client] + data).split(b"\n")
    rest = lines.pop()
    for line in lines:
        handle_line(client, line)
    if not data or len(rest) > MAX_LINE_BYTES:
        disconnect(client)
    elif client in clients:
        clients[client] = rest


def handle_line(client, line):
    try:
        name, value = line.decode().split()
        number = float(value)
    except ValueError:
        client.send(b"error: expected NAME VALUE\n")
        return
    midimonster.output(name, number)


def close():
    for client in list(clients):
        disconnect(client)


server = socket.create_server(ADDRESS)
midimonster.manage(accept, server)
midimonster.cleanup_handler(close)
