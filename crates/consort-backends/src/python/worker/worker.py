"""The worker of one instance: the `midimonster` module and the loop that serves it.

It runs in an interpreter of its own and speaks with the core over two pipes, in records of
twelve bytes: a channel's number and a value. The number CONTROL marks everything else; from
the core its value says what is meant, to the core a kind and a length follow, then the text.

The loop is written for speed: one system call fetches up to a few hundred values, what the
handlers put out leaves together when all have run. Only modules that are already loaded or
small are imported, because every instance pays for them.
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
# The signal with which the core urges a worker that does not stop; no one else's.
URGE = 40
READY, ERROR, REPEAT, WARNING, EXIT, BYE, PONG, WAKE_ME = 2, 3, 4, 5, 6, 7, 8, 9

# How much is read at once, and how much output may wait while handlers run.
BATCH = 12 * 512
FLUSH_SIZE = 12 * 4096
# How long output waits at most for a handler that takes its time.
FLUSH_DELAY = 0.01
# In seconds; poll(2) takes milliseconds in 31 bits.
LONGEST_WAIT = 1e6
DISTINCT_ERRORS = 256
TEXT_LIMIT = 16_000
OWN_FILES = ("<consort>", "<string>", "<frozen importlib")

RECORD = Struct("<Id")
HEADER = Struct("<III")
write = os.write
pack_record = RECORD.pack
unpack_records = RECORD.iter_unpack

main_thread = get_ident()
# The pipes from the core and to it.
source = sink = -1
epoch = 0
# A thread can be called away from what it does under a lock, to where it wants it again.
send_lock = RLock()
sending = False
import_lock = RLock()

# Mirrored state. `numbers` is empty until the imports are done: until then `early` collects
# what the modules put out.
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
# The main thread while it runs handlers: its output may wait for the end of the batch.
busy = 0
armed = False
current_number = -1
intervals = []
next_tick = 0.0
managed = {}
cleanup = None
errors = {}
is_child = False
ending = False


# ---- talking to the core ----------------------------------------------------------------------


def flush():
    global sending
    if is_child:
        pending.clear()
        return
    while pending:
        with send_lock:
            if sending:
                # The garbage collector or a signal has called this thread away from the lines
                # below; it comes back to them.
                return
            try:
                sending = True
                if len(pending) > PIPE_BUF:
                    write_much()
                else:
                    del pending[: write(sink, bytes(pending))]
            except OSError as error:
                cut_off(error)
                raise
            finally:
                sending = False


def write_much():
    """Writes what the pipe does not take at once, undisturbed by signals.

    Less is written whole or not at all; of this, the handler of a signal that raises would leave
    half a record in the pipe.
    """
    mask = pthread_sigmask(SIG_BLOCK, ())
    try:
        pthread_sigmask(SIG_BLOCK, valid_signals())
        del pending[: write(sink, bytes(pending))]
    finally:
        pthread_sigmask(SIG_SETMASK, mask)


def cut_off(error):
    """Ends the process if an error means that the core cannot be spoken to."""
    if error.errno == EBADF:
        os.write(2, b"the script has closed a pipe that is not its own: the one to the show\n")
    if error.errno in (EBADF, EPIPE):
        os._exit(1)


def on_alarm(_number, _frame):
    """A handler may be taking its time: what it has put out so far leaves now."""
    global armed
    armed = False
    if pending and send_lock.acquire(False):
        send_lock.release()
        flush()


def arm():
    """Has `on_alarm` called soon, unless the script uses that signal itself.

    The timer is not stopped when the handlers are done: starting one costs more than a batch
    of values, so one that runs serves all batches of its time.
    """
    global armed
    if getsignal(SIGALRM) is on_alarm:
        armed = True
        setitimer(ITIMER_REAL, FLUSH_DELAY)


def send(kind, payload=b""):
    extend_pending(HEADER.pack(CONTROL, kind, len(payload)) + payload)
    flush()


def warn(text):
    send(WARNING, text[:TEXT_LIMIT].encode("utf-8", "replace"))


def as_text(error):
    try:
        return str(error)
    except Exception:
        return "(an error whose text cannot be had)"


def report(where, error):
    """Tells the core of an error: in full the first time, then only that it came again."""
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
        if len(errors) >= DISTINCT_ERRORS:
            key = None
            number = errors.get(key)
        if number is None:
            number = errors[key] = len(errors)
            text = describe(error, trace) if key is not None else "more kinds of errors"
            text = f"{where[:TEXT_LIMIT]}\n{text[-TEXT_LIMIT:]}"
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
    """Put a value from 0.0 to 1.0 out on a channel of this instance."""
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
        if get_ident() != busy or len(pending) > FLUSH_SIZE:
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
    """The last value that came in on a channel, None if there is no such channel."""
    check_name(name)
    if importing:
        return 0.0 if name in early else None
    number = numbers.get(name)
    return None if number is None else inputs[number]


def outputvalue(name):
    """The last value put out on a channel, None if there is no such channel."""
    check_name(name)
    if importing:
        return early.get(name)
    number = numbers.get(name)
    return None if number is None else outputs[number]


def current():
    """The channel whose handler is running, None elsewhere."""
    return names[current_number] if current_number >= 0 and get_ident() == busy else None


def timestamp():
    """Milliseconds since the show started; the same clock in all instances."""
    return (monotonic_ns() - epoch) // 1_000_000


def channels():
    """The names of the channels: those created by imports, then the mapped ones."""
    return list(early) if importing else list(order)


def interval(function, milliseconds):
    """Call a function every so many milliseconds, in steps of 10; 0 cancels."""
    global next_tick
    if not callable(function):
        raise TypeError("interval() needs a function")
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
    """Call function(socket) whenever there is something to read; None ends that."""
    if socket is None or (function is not None and not callable(function)):
        raise TypeError("manage() needs a function or None, and something with a fileno()")
    if function is None:
        for descriptor, entry in list(managed.items()):
            if entry[0] is socket:
                del managed[descriptor]
                return
    descriptor = descriptor_of(socket)
    if descriptor < 0:
        raise TypeError("manage() needs an open socket, pipe or file")
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
    """The descriptor of a socket, pipe or file; -1 for one that is closed."""
    fileno = getattr(socket, "fileno", None)
    if fileno is None:
        raise TypeError(f"manage() needs something with a fileno(), not {type(socket).__name__}")
    try:
        descriptor = fileno()
    except Exception:
        # Wrappers of sockets raise all kinds of things when they are closed.
        return -1
    return descriptor if isinstance(descriptor, int) else -1


def identity(descriptor):
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def cleanup_handler(function):
    """Call a function when the show ends; returns the one that was there before."""
    global cleanup
    if function is not None and not callable(function):
        raise TypeError("cleanup_handler() needs a function or None")
    before, cleanup = cleanup, function
    return before


def wake_main():
    """Intervals and sockets are served by the main thread: get it out of its wait."""
    if get_ident() != main_thread and not importing:
        send(WAKE_ME)


# ---- loading ----------------------------------------------------------------------------------


def load(name, path):
    """Imports a module by its name, or by the path of its source."""
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
            f"there is another module of that name already ({origin or 'built in'}): rename {path}"
        )
    folder, file = os.path.split(path)
    within = [folder] if file == "__init__.py" else None
    if not within and folder not in sys.path:
        # The last place: its neighbours are found, and nothing that was found before is hidden.
        sys.path.append(folder)
    spec = external.spec_from_file_location(name, path, submodule_search_locations=within)
    module = bootstrap.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise


def load_all(modules, directory):
    loaded, start = {}, None
    try:
        start = os.getcwd()
    except OSError as error:
        warn(f"there is no working directory to return to after the imports: {error}")
    os.chdir(directory)
    for name, path in modules:
        try:
            load(name, path)
            if not path:
                name = name.partition(".")[0]
            loaded[name] = sys.modules.get(name)
        except SystemExit as error:
            code = "" if error.code is None else as_text(error.code)[:TEXT_LIMIT]
            leave(EXIT, (f"{name}\0{code}").encode("utf-8", "replace"))
        except BaseException as error:
            report(f"the module `{name}` cannot be imported", error)
        if is_child:
            leave_child()
    if start is not None:
        os.chdir(start)
    return loaded


def resolve(name, loaded):
    """The handler that a dotted name stands for, and why there is none."""
    path = name.rpartition(".")[0]
    while path not in loaded:
        path = path.rpartition(".")[0]
        if not path:
            head = name.partition(".")[0]
            return None, f"there is no module `{head}` in this instance"
    at = loaded[path]
    file = getattr(at, "__file__", None) or "the module"
    rest = name[len(path) + 1 :]
    for part in rest.split("."):
        path += "." + part
        try:
            at = getattr(at, part)
        except AttributeError:
            if path not in sys.modules:
                return None, f"{file} has no `{rest}`"
            at = sys.modules[path]
        except BaseException as error:
            report(f"looking for the handler `{name}`", error)
            return None, "looking for it failed"
    if not callable(at):
        return None, f"it is no function but {type(at).__name__}"
    return at, None


def resolve_all(loaded, default_handler, usage):
    default = None
    if default_handler:
        default, why = (
            resolve(default_handler, loaded)
            if "." in default_handler
            else (None, f"it needs its module in front: `module.{default_handler}`")
        )
        if default is None:
            warn(f"the default handler `{default_handler}` is not there: {why}")
    for number, name in enumerate(names[:mapped]):
        if "." not in name:
            handlers[number] = default
        elif usage[number] & 2:
            handlers[number], why = resolve(name, loaded)
            if handlers[number] is None:
                warn(f"the handler `{name}` is not there: {why}")


def finish_imports(mapped_names):
    """From here on outputs go to the core; returns what the imports have put out."""
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
    """Calls the intervals that are due; ticks that were missed count once."""
    global next_tick
    for entry in list(intervals):
        function, seconds, due = entry
        if not seconds or due > now:
            continue
        entry[2] = due + seconds * (int((now - due) / seconds + 1e-6) + 1)
        try:
            function()
        except BaseException as error:
            failed(f"an interval's function `{name_of(function)}`", error)
        if is_child:
            leave_child()
    next_tick = min((entry[2] for entry in intervals), default=0.0)


def name_of(function):
    return getattr(function, "__qualname__", None) or type(function).__name__


class ShowEnded(SystemExit):
    """Raised in what still runs a while after the show was stopped."""

    __module__ = "builtins"


def on_urge(_number, _frame):
    """What the main thread is doing gives way to the clean-up handler."""
    if not ending:
        raise ShowEnded("the show ends")


def failed(where, error):
    if is_child:
        leave_child(error)
    if isinstance(error, ShowEnded):
        report(f"{where} was interrupted", error)
        stop()
    report(f"{where} failed", error)


def leave_child(error=None):
    """A process that a handler made with fork has come back here: it has no place in the show."""
    code = 1
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    else:
        text = "a process made with os.fork() came back from its handler and was ended\n"
        os.write(2, text.encode())
    flush_files()
    os._exit(code)


def after_fork():
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
    """The end: says goodbye, without waiting for threads."""
    import atexit

    try:
        atexit._run_exitfuncs()
    except BaseException as error:
        report("an exit function failed", error)
    flush_files()
    send(kind, payload)
    os._exit(0)


def stop():
    global current_number, ending
    ending = True
    current_number = -1
    if cleanup is not None:
        try:
            cleanup()
        except BaseException as error:
            failed(f"the clean-up handler `{name_of(cleanup)}`", error)
    flush()
    leave(BYE)


def control(value):
    global armed
    if value == STOP:
        stop()
    elif value == PING:
        # A script that used the timer meanwhile has ended ours without a call of `on_alarm`.
        armed = armed and getitimer(ITIMER_REAL)[0] > 0
        send(PONG)


def dispatch(records):
    """Runs the handlers of one batch."""
    global current_number
    try:
        for number, value in unpack_records(records):
            if number == CONTROL:
                current_number = -1
                control(value)
                continue
            handler = handlers[number]
            if handler is None:
                inputs[number] = value
                continue
            current_number = number
            try:
                handler(value)
            except BaseException as error:
                failed(f"the handler of `{names[number]}`", error)
            inputs[number] = value
            if is_child:
                leave_child()
            if intervals and monotonic() >= next_tick:
                current_number = -1
                tick(monotonic())
    finally:
        current_number = -1


def warn_closed(entry):
    warn(
        f"a {type(entry[0]).__name__} was closed while it was managed: its handler "
        f"`{name_of(entry[1])}` is dropped "
        "(call manage(None, socket) before closing it)"
    )


def poll_managed(poller):
    """Waits for values, sockets and intervals; returns what is ready and was waited for."""
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
        timeout = min(max(0.0, next_tick - monotonic()), LONGEST_WAIT) * 1000
    return [(number, events, managed.get(number)) for number, events in poller.poll(timeout)]


watched = set()


def serve(descriptor, events, entry):
    if entry is None or managed.get(descriptor) is not entry:
        return
    if events & POLLNVAL:
        managed.pop(descriptor, None)
        warn_closed(entry)
        return
    try:
        entry[1](entry[0])
    except BaseException as error:
        failed(f"the socket handler `{name_of(entry[1])}`", error)
    if is_child:
        leave_child()


def interrupted(error):
    """An error that no handler has raised: one of a signal's handler is told; others end it."""
    if is_child:
        leave_child(error)
    if isinstance(error, ShowEnded):
        stop()
    last = error.__traceback__
    while last.tb_next is not None:
        last = last.tb_next
    if last.tb_frame.f_code.co_filename == "<consort>":
        if isinstance(error, OSError):
            cut_off(error)
        report("the script cannot be served any more", error)
        os._exit(1)
    failed("the handler of a signal", error)


def run():
    """Serves the instance until the core says stop or is gone."""
    global busy
    buffer = bytearray(BATCH)
    view = memoryview(buffer)
    whole = (view,)
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
                        serve(descriptor, events, entry)
                if intervals:
                    now = monotonic()
                    if now >= next_tick:
                        tick(now)
        except BaseException as error:
            interrupted(error)


def make_module():
    module = type(sys)("midimonster", "The show, as a script sees it.")
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
    """Takes the settings (see `Setup::encode` in protocol.rs), imports and serves."""
    global source, sink, epoch
    start = sys.modules["__main__"].__dict__
    for name in [name for name in start if not name.startswith("__")]:
        del start[name]
    source, sink = os.dup(0), output
    os.set_inheritable(sink, False)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.register_at_fork(after_in_child=after_fork)
    signal(SIGALRM, on_alarm)
    signal(URGE, on_urge)
    # Ignored until now; unlike that, a handler is not inherited by the programs a script starts.
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
