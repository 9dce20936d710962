"""A line a value, over TCP, in both directions."""

import socket

import midimonster

ADDRESS = ("127.0.0.1", 7400)
LINE_LIMIT = 1000

clients = {}


def tell(value):
    """Something came in: everyone hears of it."""
    line = f"{midimonster.current()} {value:.4f}\n".encode()
    for client in list(clients):
        try:
            client.send(line)
        except BlockingIOError:
            # A client that does not read misses lines; nobody waits for it.
            continue
        except OSError:
            leave(client)


def accept(server):
    client, address = server.accept()
    client.setblocking(False)
    clients[client] = b""
    midimonster.manage(read, client)
    print("connected:", address)


def leave(client):
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
        take(client, line)
    if not data or len(rest) > LINE_LIMIT:
        leave(client)
    elif client in clients:
        clients[client] = rest


def take(client, line):
    try:
        name, value = line.decode().split()
        number = float(value)
    except ValueError:
        client.send(b"? write: name value\n")
        return
    midimonster.output(name, number)


def close():
    for client in list(clients):
        leave(client)


server = socket.create_server(ADDRESS)
midimonster.manage(accept, server)
midimonster.cleanup_handler(close)
