# The first program of a worker, passed with `-c`. It reports the version of the interpreter,
# reads the worker's package and its settings from the pipe that is its standard input, loads the
# package from memory and runs it. The argument is the descriptor of the pipe to the instance. The
# code is valid in every version of Python, so that old ones can report theirs; the first statement
# is a syntax error for a shell, which stops there.
(lambda: None)()
import sys  # noqa: E402

if sys.path and sys.path[0] == "":
    # A file in the working directory must not replace a module of the standard library.
    del sys.path[0]
import os  # noqa: E402
import struct  # noqa: E402


def read(count):
    data = b""
    while len(data) < count:
        chunk = os.read(0, min(count - len(data), 1 << 20))
        if not chunk:
            os._exit(1)
        data += chunk
    return data


def boot():
    version = sys.version_info[0] << 8 | sys.version_info[1]
    sink = int(sys.argv[1])
    try:
        os.write(sink, struct.pack("<IIII", 0xFFFFFFFF, 1, 0, version))
    except OSError:
        text = "descriptor %d is closed; what starts this interpreter must leave it open\n"
        os.write(2, (text % sink).encode())
        os._exit(1)
    if sys.version_info < (3, 8):  # noqa: UP036
        os._exit(1)
    (size,) = struct.unpack("<I", read(4))
    data, fields, offset = read(size), [], 0
    while offset < size:
        (length,) = struct.unpack_from("<I", data, offset)
        fields.append(data[offset + 4 : offset + 4 + length])
        offset += 4 + length
    sources = fields[0].decode("utf-8").split("\0")
    make_package("_consort", sources[::2], sources[1::2]).main(sink, fields[1:])


def make_package(package, names, sources):
    """Loads the modules of a package from their sources, each after those that it imports;
    returns the last one."""
    spec_type, module_type = type(sys.__spec__), type(sys)
    module = sys.modules[package] = module_type(package)
    module.__spec__ = spec_type(package, None, is_package=True)
    module.__path__ = []
    for name, source in zip(names, sources):
        file = "<consort>/" + name + ".py"
        module = module_type(package + "." + name)
        module.__package__ = package
        module.__spec__ = spec_type(module.__name__, None)
        sys.modules[module.__name__] = module
        exec(compile(source, file, "exec"), module.__dict__)
    return module


boot()
