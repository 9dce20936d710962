"""The worker of one instance: the `midimonster` module and the loop that runs the handlers.

The worker is a process of its own and communicates with the instance over two pipes, in records
of twelve bytes: a channel's number and a value. Records with the number CONTROL are commands of
the instance, or messages to it with a kind, a length and a text. protocol.rs has the details.

The loop is written for speed: one system call reads up to a few hundred values, and the outputs
of all their handlers are written together. Imports are restricted to modules that are small or
already loaded, because every instance pays for their time and memory.
"""

import os
import sys
from _signal import (
    ITIMER_REAL,
    SIG_BLOCK,
    SIG_SETMASK,
    SIGALRM,
    SIGINT,
    getitimer,
    getsignal,
    pthread_sigmask,
    setitimer,
    signal,
    valid_signals,
)
from _thread import RLock, get_ident
from errno import EBADF, EPIPE
from select import PIPE_BUF, POLLIN, POLLNVAL
from select import poll as make_poll
from struct import Struct
from time import monotonic, monotonic_ns

CONTROL = 0xFFFFFFFF
STOP, PING, WAKE = 1.0, 2.0, 3.0
# The realtime signal with which the instance interrupts a script that does not stop.
INTERRUPT_SIGNAL = 40
READY, ERROR, REPEAT, WARNING, EXIT, STOPPED, PONG, WAKE_REQUEST = 2, 3, 4, 5, 6, 7, 8, 9

# How much is read at once, and how much output is buffered while handlers run.
READ_BYTES = 12 * 512
MAX_PENDING_BYTES = 12 * 4096
# How many seconds output is held back at most while a handler runs.
FLUSH_DELAY = 0.01
# The longest wait in seconds: poll(2) takes milliseconds in 31 bits.
MAX_POLL_SECONDS = 1e6
MAX_DISTINCT_ERRORS = 256
MAX_TEXT_CHARS = 16_000
# Frames of these files are left out of tracebacks.
OWN_FILES = ("<consort>", "<string>", "<frozen importlib")

RECORD = Struct("<Id")
HEADER = Struct("<III")
write = os.write
pack_record = RECORD.pack
unpack_records = RECORD.iter_unpack

main_thread = get_ident()
# The descriptors of the pipes from the instance and to it.
source = sink = -1
# The reading of the monotonic clock at the start of the show, in nanoseconds.
epoch = 0
# The locks are reentrant: a signal handler or the garbage collector can run on a thread that
# holds one, and call a function that takes it again.
send_lock = RLock()
sending = False
import_lock = RLock()

# A copy of the instance's state. `numbers` is empty until the imports are finished; until then,
# `early` collects the outputs of the modules.
early = {}
numbers = {}
names = []
order = []
mapped = 0
inputs = []
outputs = []
handlers = []
importing = True

pending = bytearray()
extend_pending = pending.extend
# The main thread while it runs handlers: its output is held back until the end of the batch.
busy = 0
# The timer that calls `on_alarm` is running.
armed = False
current_number = -1
intervals = []
next_tick = 0.0
managed = {}
cleanup = None
errors = {}
is_child = False
ending = False


# ---- sending to the instance ------------------------------------------------------------------


def flush():
    global sending
    if is_child:
        pending.clear()
        return
    while pending:
        with send_lock:
            if sending:
                # A signal handler or the garbage collector interrupted this very thread in the
                # lines below; it continues there and writes what is pending.
                return
            try:
                sending = True
                if len(pending) > PIPE_BUF:
                    write_large()
                else:
                    del pending[: write(sink, bytes(pending))]
            except OSError as error:
                exit_if_disconnected(error)
                raise
            finally:
                sending = False


def write_large():
    """Writes more than PIPE_BUF bytes with all signals blocked.

    Up to PIPE_BUF bytes are written as a whole or not at all. A larger write can be interrupted
    by a signal, and a signal handler that raises would leave part of a record in the pipe.
    """
    mask = pthread_sigmask(SIG_BLOCK, ())
    try:
        pthread_sigmask(SIG_BLOCK, valid_signals())
        del pending[: write(sink, bytes(pending))]
    finally:
        pthread_sigmask(SIG_SETMASK, mask)


def exit_if_disconnected(error):
    """Ends the process if an error means that the pipe to the instance is closed."""
    if error.errno == EBADF:
        os.write(2, b"the script closed the pipe that connects it to consort\n")
    if error.errno in (EBADF, EPIPE):
        os._exit(1)


def on_alarm(_number, _frame):
    """Writes the pending output while a handler is still running."""
    global armed
    armed = False
    if pending and send_lock.acquire(False):
        send_lock.release()
        flush()


def arm():
    """Starts the timer that calls `on_alarm`, unless the script uses that signal itself.

    The timer is not stopped when the handlers have finished: starting it costs more than a batch
    of values, so a running timer is used for all batches until it expires.
    """
    global armed
    if getsignal(SIGALRM) is on_alarm:
        armed = True
        setitimer(ITIMER_REAL, FLUSH_DELAY)


def send(kind, payload=b""):
    extend_pending(HEADER.pack(CONTROL, kind, len(payload)) + payload)
    flush()


def warn(text):
    send(WARNING, text[:MAX_TEXT_CHARS].encode("utf-8", "replace"))


def as_text(error):
    try:
        return str(error)
    except Exception:
        return "(str() of this exception fails)"


def report(where, error):
    """Reports an error to the instance: in full the first time, then only by its number."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(OWN_FILES):
        trace = trace.tb_next
    if trace is None:
        key = (where, type(error), as_text(error)[:200])
    else:
        last = trace
        while last.tb_next is not None:
            last = last.tb_next
        key = (where, type(error), last.tb_frame.f_code.co_filename, last.tb_lineno)
    number = errors.get(key)
    if number is None:
        if len(errors) >= MAX_DISTINCT_ERRORS:
            key = None
            number = errors.get(key)
        if number is None:
            number = errors[key] = len(errors)
            if key is not None:
                text = describe(error, trace)
            else:
                text = "too many different errors; further ones are counted together"
            text = f"{where[:MAX_TEXT_CHARS]}\n{text[-MAX_TEXT_CHARS:]}"
            send(ERROR, number.to_bytes(4, "little") + text.encode("utf-8", "replace"))
            return
    extend_pending(HEADER.pack(CONTROL, REPEAT, 4) + number.to_bytes(4, "little"))
    if get_ident() != busy:
        flush()


def describe(error, trace):
    try:
        import traceback

        return "".join(traceback.format_exception(type(error), error, trace))
    except BaseException:
        return f"{type(error).__name__}: {as_text(error)}"


# ---- the functions of the module --------------------------------------------------------------


def output(name, value):
    """Output a value from 0.0 to 1.0 on a channel of this instance."""
    if value.__class__ is not float:
        value = as_float(value)
    if not 0.0 <= value <= 1.0:
        value = 1.0 if value > 1.0 else 0.0
    try:
        number = numbers[name]
    except KeyError:
        return output_unknown(name, value)
    outputs[number] = value
    if number < mapped:
        extend_pending(pack_record(number, value))
        if get_ident() != busy or len(pending) > MAX_PENDING_BYTES:
            flush()
        elif not armed:
            arm()


def as_float(value):
    if isinstance(value, (str, bytes, bytearray)):
        raise TypeError(f"the value of an output must be a number, not {type(value).__name__}")
    return float(value)


def check_name(name):
    if not isinstance(name, str):
        raise TypeError(f"a channel's name must be a string, not {type(name).__name__}")


def output_unknown(name, value):
    check_name(name)
    with import_lock:
        if importing:
            early[name] = value
            return
    if name in numbers:
        output(name, value)


def inputvalue(name):
    """The last value that arrived on a channel, None if there is no such channel."""
    check_name(name)
    if importing:
        return 0.0 if name in early else None
    number = numbers.get(name)
    return None if number is None else inputs[number]


def outputvalue(name):
    """The last value output on a channel, None if there is no such channel."""
    check_name(name)
    if importing:
        return early.get(name)
    number = numbers.get(name)
    return None if number is None else outputs[number]


def current():
    """The channel whose handler is running, otherwise None."""
    return names[current_number] if current_number >= 0 and get_ident() == busy else None


def timestamp():
    """Milliseconds since the show started; the same clock in all instances."""
    return (monotonic_ns() - epoch) // 1_000_000


def channels():
    """The names of the channels: those that imports created, then the mapped ones."""
    return list(early) if importing else list(order)


def interval(function, milliseconds):
    """Call a function periodically, in steps of 10 milliseconds; 0 cancels."""
    global next_tick
    if not callable(function):
        raise TypeError("interval() expects a function")
    if not isinstance(milliseconds, int):
        raise TypeError("the interval must be an int, in milliseconds")
    if milliseconds < 0:
        raise ValueError("the interval must not be negative")
    seconds = (milliseconds + 5) // 10 / 100
    with import_lock:
        for entry in intervals:
            if entry[0] == function:
                if not seconds:
                    intervals.remove(entry)
                    entry[1] = 0.0
                elif entry[1] != seconds:
                    entry[1] = seconds
                    entry[2] = monotonic() + seconds
                break
        else:
            if seconds:
                intervals.append([function, seconds, monotonic() + seconds])
        next_tick = min((entry[2] for entry in intervals), default=0.0)
    wake_main()


def manage(function, socket):
    """Call function(socket) whenever the socket is readable; None as function cancels."""
    if socket is None or (function is not None and not callable(function)):
        raise TypeError("manage() expects a function or None, and an object with a fileno() method")
    if function is None:
        for descriptor, entry in list(managed.items()):
            if entry[0] is socket:
                del managed[descriptor]
                return
    descriptor = descriptor_of(socket)
    if descriptor < 0:
        raise TypeError("manage() expects an open socket, pipe or file")
    if function is None:
        managed.pop(descriptor, None)
        return
    for other, entry in list(managed.items()):
        if entry[0] is socket and other != descriptor:
            del managed[other]
    entry = managed.get(descriptor)
    if entry is not None and entry[0] is not socket and descriptor_of(entry[0]) != descriptor:
        warn_closed(entry)
    managed[descriptor] = (socket, function, identity(descriptor))
    wake_main()


def descriptor_of(socket):
    """The descriptor of a socket, pipe or file; -1 if it is closed."""
    fileno = getattr(socket, "fileno", None)
    if fileno is None:
        kind = type(socket).__name__
        raise TypeError(f"manage() expects an object with a fileno() method, not {kind}")
    try:
        descriptor = fileno()
    except Exception:
        # Objects that wrap sockets raise various exceptions when they are closed.
        return -1
    return descriptor if isinstance(descriptor, int) else -1


def identity(descriptor):
    """What distinguishes an open file from a later one with the same descriptor."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def cleanup_handler(function):
    """Call a function when the show ends; returns the previous one."""
    global cleanup
    if function is not None and not callable(function):
        raise TypeError("cleanup_handler() expects a function or None")
    previous, cleanup = cleanup, function
    return previous


def wake_main():
    """Makes the main thread return from `poll`: it serves the intervals and sockets."""
    if get_ident() != main_thread and not importing:
        send(WAKE_REQUEST)


# ---- loading ----------------------------------------------------------------------------------


def load(name, path):
    """Imports a module by name, or from the path of its source."""
    if not path:
        __import__(name)
        return
    import importlib._bootstrap as bootstrap
    import importlib._bootstrap_external as external

    known = sys.modules.get(name)
    if known is not None:
        origin = getattr(known, "__file__", None)
        if origin and os.path.realpath(origin) == os.path.realpath(path):
            return
        raise ImportError(
            f"another module `{name}` is already loaded ({origin or 'built in'}); rename {path}"
        )
    folder, file = os.path.split(path)
    locations = [folder] if file == "__init__.py" else None
    if not locations and folder not in sys.path:
        # The folder is appended, so that other files in it are found but hide nothing.
        sys.path.append(folder)
    spec = external.spec_from_file_location(name, path, submodule_search_locations=locations)
    module = bootstrap.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise


def load_all(modules, directory):
    """Imports the modules, with the configuration's folder as working directory."""
    loaded, start = {}, None
    try:
        start = os.getcwd()
    except OSError as error:
        warn(f"cannot return to the working directory after the imports: {error}")
    os.chdir(directory)
    for name, path in modules:
        try:
            load(name, path)
            if not path:
                name = name.partition(".")[0]
            loaded[name] = sys.modules.get(name)
        except SystemExit as error:
            code = "" if error.code is None else as_text(error.code)[:MAX_TEXT_CHARS]
            leave(EXIT, (f"{name}\0{code}").encode("utf-8", "replace"))
        except BaseException as error:
            report(f"cannot import module `{name}`", error)
        if is_child:
            leave_child()
    if start is not None:
        os.chdir(start)
    return loaded


def resolve(name, loaded):
    """The handler with a dotted name and None, or None and the reason why there is none."""
    path = name.rpartition(".")[0]
    while path not in loaded:
        path = path.rpartition(".")[0]
        if not path:
            top_name = name.partition(".")[0]
            return None, f"this instance has no module `{top_name}`"
    target = loaded[path]
    file = getattr(target, "__file__", None) or "the module"
    rest = name[len(path) + 1 :]
    for part in rest.split("."):
        path += "." + part
        try:
            target = getattr(target, part)
        except AttributeError:
            if path not in sys.modules:
                return None, f"{file} does not define `{rest}`"
            target = sys.modules[path]
        except BaseException as error:
            report(f"cannot look up the handler `{name}`", error)
            return None, "looking it up raised an exception"
    if not callable(target):
        return None, f"expected a function, found an object of type `{type(target).__name__}`"
    return target, None


def resolve_all(loaded, default_handler, usage):
    """Looks up the handlers of all mapped channels and warns of those that are missing."""
    default = None
    if default_handler:
        default, reason = (
            resolve(default_handler, loaded)
            if "." in default_handler
            else (None, f"expected `MODULE.{default_handler}`")
        )
        if default is None:
            warn(f"cannot use the default handler `{default_handler}`: {reason}")
    for number, name in enumerate(names[:mapped]):
        if "." not in name:
            handlers[number] = default
        elif usage[number] & 2:
            handlers[number], reason = resolve(name, loaded)
            if handlers[number] is None:
                warn(f"cannot use the handler `{name}`: {reason}")


def finish_imports(mapped_names):
    """Numbers the channels and sends what the imports output; later outputs are sent at once."""
    global importing, mapped
    with import_lock:
        mapped = len(mapped_names)
        names.extend(mapped_names)
        known = {name: number for number, name in enumerate(names)}
        for name in list(early):
            if name not in known:
                known[name] = len(names)
                names.append(name)
        order.extend(early)
        order.extend(name for name in mapped_names if name not in early)
        inputs.extend([0.0] * len(names))
        outputs.extend([0.0] * len(names))
        handlers.extend([None] * len(names))
        for name, value in list(early.items()):
            outputs[known[name]] = value
            if known[name] < mapped:
                extend_pending(pack_record(known[name], value))
        numbers.update(known)
        importing = False


# ---- the loop ---------------------------------------------------------------------------------


def tick(now):
    """Calls the interval functions that are due; several missed calls count as one."""
    global next_tick
    for entry in list(intervals):
        function, seconds, due = entry
        if not seconds or due > now:
            continue
        entry[2] = due + seconds * (int((now - due) / seconds + 1e-6) + 1)
        try:
            function()
        except BaseException as error:
            handle_failure(f"the interval function `{name_of(function)}`", error)
        if is_child:
            leave_child()
    next_tick = min((entry[2] for entry in intervals), default=0.0)


def name_of(function):
    return getattr(function, "__qualname__", None) or type(function).__name__


class ShowEnded(SystemExit):
    """Raised in a handler that is still running some time after the show was stopped."""

    __module__ = "builtins"


def on_interrupt(_number, _frame):
    """Interrupts what the main thread is doing, so that the cleanup handler can run."""
    if not ending:
        raise ShowEnded("the show is stopping")


def handle_failure(where, error):
    """Handles an exception that code of the script raised; `where` is its description."""
    if is_child:
        leave_child(error)
    if isinstance(error, ShowEnded):
        report(f"{where} was interrupted", error)
        stop()
    report(f"{where} failed", error)


def leave_child(error=None):
    """Ends a forked process that has returned from its handler: it cannot serve the instance."""
    code = 1
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    else:
        text = "a process created by os.fork() returned from its handler and was ended\n"
        os.write(2, text.encode())
    flush_files()
    os._exit(code)


def after_fork():
    """Disconnects a forked process from the instance."""
    global is_child
    is_child = True
    pending.clear()
    os.close(source)
    os.close(sink)


def flush_files():
    for file in (sys.stdout, sys.stderr):
        try:
            file.flush()
        except Exception:
            continue


def leave(kind, payload=b""):
    """Sends a last message and exits without waiting for threads."""
    import atexit

    try:
        atexit._run_exitfuncs()
    except BaseException as error:
        report("an atexit function failed", error)
    flush_files()
    send(kind, payload)
    os._exit(0)


def stop():
    """Runs the cleanup handler and exits."""
    global current_number, ending
    ending = True
    current_number = -1
    if cleanup is not None:
        try:
            cleanup()
        except BaseException as error:
            handle_failure(f"the cleanup handler `{name_of(cleanup)}`", error)
    flush()
    leave(STOPPED)


def handle_command(value):
    """Handles a command of the instance; WAKE has no effect beyond its arrival."""
    global armed
    if value == STOP:
        stop()
    elif value == PING:
        # A script that used the timer itself has cancelled ours without a call of `on_alarm`.
        armed = armed and getitimer(ITIMER_REAL)[0] > 0
        send(PONG)


def dispatch(records):
    """Runs the handlers of one batch."""
    global current_number
    try:
        for number, value in unpack_records(records):
            if number == CONTROL:
                current_number = -1
                handle_command(value)
                continue
            handler = handlers[number]
            if handler is None:
                inputs[number] = value
                continue
            current_number = number
            try:
                handler(value)
            except BaseException as error:
                handle_failure(f"the handler of `{names[number]}`", error)
            inputs[number] = value
            if is_child:
                leave_child()
            if intervals and monotonic() >= next_tick:
                current_number = -1
                tick(monotonic())
    finally:
        current_number = -1


def warn_closed(entry):
    """Warns of an object whose descriptor was closed or replaced while it was managed."""
    warn(
        f"a {type(entry[0]).__name__} was closed while it was managed; its handler "
        f"`{name_of(entry[1])}` was removed (call manage(None, socket) before closing it)"
    )


def poll_managed(poller):
    """Waits for values, sockets or the next interval.

    Returns descriptor, events and `managed` entry of everything that is ready. The entry is the
    one that was waited for: a handler can replace it before the result is used.
    """
    wanted = {source}
    for descriptor, entry in list(managed.items()):
        if descriptor_of(entry[0]) != descriptor or identity(descriptor) != entry[2]:
            if managed.get(descriptor) is entry:
                del managed[descriptor]
            warn_closed(entry)
        else:
            wanted.add(descriptor)
    for descriptor in watched - wanted:
        poller.unregister(descriptor)
    for descriptor in wanted - watched:
        poller.register(descriptor, POLLIN)
    watched.clear()
    watched.update(wanted)
    timeout = None
    if intervals:
        timeout = min(max(0.0, next_tick - monotonic()), MAX_POLL_SECONDS) * 1000
    return [(number, events, managed.get(number)) for number, events in poller.poll(timeout)]


watched = set()


def call_socket_handler(descriptor, events, entry):
    """Calls the handler of a readable socket, unless another handler has cancelled it."""
    if entry is None or managed.get(descriptor) is not entry:
        return
    if events & POLLNVAL:
        managed.pop(descriptor, None)
        warn_closed(entry)
        return
    try:
        entry[1](entry[0])
    except BaseException as error:
        handle_failure(f"the socket handler `{name_of(entry[1])}`", error)
    if is_child:
        leave_child()


def handle_loop_exception(error):
    """Handles an exception outside of handlers.

    A signal handler of the script raised it, or the interrupt signal; it is reported. An
    exception of the worker itself is fatal.
    """
    if is_child:
        leave_child(error)
    if isinstance(error, ShowEnded):
        stop()
    last = error.__traceback__
    while last.tb_next is not None:
        last = last.tb_next
    if last.tb_frame.f_code.co_filename == "<consort>":
        if isinstance(error, OSError):
            exit_if_disconnected(error)
        report("internal error of the worker", error)
        os._exit(1)
    handle_failure("a signal handler", error)


def run():
    """Serves the instance until it sends STOP or closes the pipe."""
    global busy
    buffer = bytearray(READ_BYTES)
    view = memoryview(buffer)
    whole = (view,)
    # Part of a record that a read ended with, and its length.
    tail, rest = b"", 0
    poller = make_poll()
    readv = os.readv
    while True:
        try:
            while True:
                if pending:
                    flush()
                busy = 0
                readable = True
                ready = ()
                if managed or intervals:
                    ready = poll_managed(poller)
                    readable = any(entry[0] == source for entry in ready)
                if readable:
                    size = readv(source, (view[rest:],) if rest else whole)
                    busy = main_thread
                    if not size:
                        os.killpg(0, 9)
                    if rest:
                        buffer[:rest] = tail
                        size += rest
                    rest = size % 12
                    if rest:
                        tail = buffer[size - rest : size]
                    if size >= 12:
                        dispatch(view[: size - rest])
                else:
                    busy = main_thread
                for descriptor, events, entry in ready:
                    if descriptor != source:
                        call_socket_handler(descriptor, events, entry)
                if intervals:
                    now = monotonic()
                    if now >= next_tick:
                        tick(now)
        except BaseException as error:
            handle_loop_exception(error)


def make_module():
    """Creates the module `midimonster`."""
    module = type(sys)("midimonster", "The interface of a script to the show.")
    for function in (
        output,
        inputvalue,
        outputvalue,
        current,
        timestamp,
        interval,
        manage,
        channels,
        cleanup_handler,
    ):
        function.__module__ = "midimonster"
        setattr(module, function.__name__, function)
    sys.modules["midimonster"] = module


def split(field):
    return field.decode("utf-8").split("\0") if field else []


def main(output, fields):
    """Reads the settings (see `Setup::encode` in protocol.rs), imports the modules and runs."""
    global source, sink, epoch
    # Remove the names that boot.py defined in the module `__main__`.
    boot_names = sys.modules["__main__"].__dict__
    for name in [name for name in boot_names if not name.startswith("__")]:
        del boot_names[name]
    source, sink = os.dup(0), output
    os.set_inheritable(sink, False)
    empty_input = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty_input, 0)
    os.close(empty_input)
    os.register_at_fork(after_in_child=after_fork)
    signal(SIGALRM, on_alarm)
    signal(INTERRUPT_SIGNAL, on_interrupt)
    # The signal was ignored until now. Programs that a script starts would inherit that, but not
    # a handler.
    signal(SIGINT, lambda _number, _frame: None)
    epoch = int(fields[0])
    directory = os.fsdecode(fields[1])
    default_handler = fields[2].decode("utf-8")
    module_fields = split(fields[3])
    modules = list(zip(module_fields[::2], module_fields[1::2]))
    mapped_names = split(fields[4])
    usage = fields[5]
    sys.argv[:] = [""]
    sys.path.insert(0, directory)
    for file in (sys.stdout, sys.stderr):
        file.reconfigure(line_buffering=True, errors="backslashreplace")
    make_module()
    loaded = load_all(modules, directory)
    finish_imports(mapped_names)
    for number, value in unpack_records(fields[6]):
        inputs[number] = value
    resolve_all(loaded, default_handler, usage)
    send(READY)
    run()
