# The first words to an interpreter, in a Python that every version understands: say which
# version this is, take the program and its settings from the pipe that stands in for standard
# input, and run it. The argument is the descriptor of the pipe to the core. The first statement
# is one at which a shell stops.
(lambda: None)()
import sys  # noqa: E402

if sys.path and sys.path[0] == "":
    # Nothing in the working directory may stand in for the standard library.
    del sys.path[0]
import os  # noqa: E402
import struct  # noqa: E402


def read(count):
    data = b""
    while len(data) < count:
        more = os.read(0, min(count - len(data), 1 << 20))
        if not more:
            os._exit(1)
        data += more
    return data


def boot():
    version = sys.version_info[0] << 8 | sys.version_info[1]
    sink = int(sys.argv[1])
    try:
        os.write(sink, struct.pack("<III", 0xFFFFFFFF, 1, version))
    except OSError:
        text = "descriptor %d is closed: what starts this interpreter must leave it open\n"
        os.write(2, (text % sink).encode())
        os._exit(1)
    if sys.version_info < (3, 8):  # noqa: UP036
        os._exit(1)
    (size,) = struct.unpack("<I", read(4))
    data, fields, at = read(size), [], 0
    while at < size:
        (length,) = struct.unpack_from("<I", data, at)
        fields.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    program = {"__name__": "<consort>", "__builtins__": __builtins__}
    exec(compile(fields[0], "<consort>", "exec"), program)
    program["main"](sink, fields[1:])


boot()
