//! `manage`, and the example modules of MIDIMonster's documentation with a local server.
#![cfg(all(feature = "loopback", feature = "python"))]
#![allow(missing_docs)]

mod python_support;

use std::io::{Read, Write};
use std::net::TcpListener;

use python_support::Rig;

#[test]
fn manage_checks_its_arguments() {
    let source = "
import midimonster
import os, socket
def attempt(*arguments):
    try:
        print(midimonster.manage(*arguments))
    except Exception as error:
        print(type(error).__name__)
def handler(sock): pass
def go(value):
    left, right = socket.socketpair()
    attempt(handler, 5)
    attempt(handler)
    attempt()
    attempt(handler, None)
    attempt(5, left)
    attempt(None, left)
    attempt(handler, left)
    attempt(handler, left)
    attempt(None, left)
    attempt(None, left)
    right.close()
    attempt(handler, right)
    file = open(os.devnull)
    file.close()
    attempt(handler, file)
    print('end')
";
    let running = Rig::script(source).map("probe.go > py.script.go").start();
    running.send("go", 1.0);
    running.printed("end");
    let error = "TypeError";
    let none = "None";
    running.monitor.inspect(|seen| {
        assert_eq!(
            seen.lines(),
            [error, error, error, error, error, none, none, none, none, none, error, error, "end"]
        );
    });
}

#[test]
fn handlers_of_readable_sockets_pipes_and_files_are_called() {
    let source = "
import midimonster
import os, socket
class Pipe:
    def __init__(self, descriptor): self.descriptor = descriptor
    def fileno(self): return self.descriptor
left, right = socket.socketpair()
reader, writer = os.pipe()
pipe = Pipe(reader)
file = open('text')
def on_socket(sock):
    print('socket', sock is left, sock.recv(100))
def on_pipe(readable):
    print('pipe', readable is pipe, os.read(readable.descriptor, 100))
    midimonster.manage(on_pipe_again, pipe)
def on_pipe_again(readable):
    print('again', os.read(readable.descriptor, 100))
def on_file(readable):
    print('file', readable.read(3))
    midimonster.manage(None, readable)
midimonster.manage(on_socket, left)
midimonster.manage(on_pipe, pipe)
midimonster.manage(on_file, file)
def go(value):
    if value == 0.25: right.send(b'one')
    if value == 0.5: os.write(writer, b'two')
    if value == 0.75: os.write(writer, b'three')
";
    let rig = Rig::script(source).file("text", "words").map("probe.go > py.script.go");
    let running = rig.start();
    running.printed("file wor");
    running.send("go", 0.25);
    running.printed("socket True b'one'");
    running.send("go", 0.5);
    running.printed("pipe True b'two'");
    running.send("go", 0.75);
    running.printed("again b'three'");
    running.monitor.inspect(|seen| assert_eq!(seen.logged(&["WARN"]), 0, "{:?}", seen.log));
}

#[test]
fn the_end_of_a_stream_calls_the_handler_until_it_is_cancelled() {
    let source = "
import midimonster
import socket
left, right = socket.socketpair()
count = 0
def on_socket(sock):
    global count
    count += 1
    assert sock.recv(10) == b''
    if count == 5:
        midimonster.manage(None, sock)
        print('five')
midimonster.manage(on_socket, left)
def go(value):
    right.close()
def ask(value):
    print('count', count)
";
    let running =
        Rig::script(source).map("probe.go > py.script.go\nprobe.ask > py.script.ask").start();
    running.send("go", 1.0);
    running.printed("five");
    running.send("ask", 1.0);
    running.printed("count 5");
}

#[test]
fn a_socket_closed_while_managed_loses_its_handler_and_the_show_continues() {
    let source = "
import midimonster
import os, socket
left, right = socket.socketpair()
def old(sock):
    print('old')
def new(sock):
    print('new', sock.recv(10))
midimonster.manage(old, left)
def close(value):
    left.close()
    midimonster.output('out', value)
def reuse(value):
    global third, fourth
    third, fourth = socket.socketpair()
    midimonster.manage(new, third)
    fourth.send(b'hello')
";
    let rig = Rig::script(source).map(
        "probe.close > py.script.close
         probe.reuse > py.script.reuse
         py.out > probe.out",
    );
    let running = rig.start();
    running.send("close", 0.5);
    running.values("out", 1);
    running.logged(&["WARN", "py", "closed while it was managed", "`old`"]);
    // The new socket has the descriptor of the old one.
    running.send("reuse", 0.5);
    running.printed("new b'hello'");
    running.monitor.inspect(|seen| assert_eq!(seen.lines(), ["new b'hello'"]));
}

#[test]
fn a_descriptor_reused_at_once_has_only_its_own_handler() {
    let source = "
import midimonster
import socket
left, right = socket.socketpair()
midimonster.manage(lambda sock: print('old'), left)
def go(value):
    global third, fourth
    number = left.fileno()
    left.close()
    third, fourth = socket.socketpair()
    print(third.fileno() == number)
    fourth.send(b'unmanaged')
def manage(value):
    midimonster.manage(lambda sock: print('new', sock.recv(20)), third)
";
    let rig = Rig::script(source).map("probe.go > py.script.go\nprobe.manage > py.script.manage");
    let running = rig.start();
    running.send("go", 1.0);
    running.logged(&["WARN", "py", "closed while it was managed"]);
    running.send("manage", 1.0);
    running.printed("new b'unmanaged'");
    running.monitor.inspect(|seen| assert_eq!(seen.lines(), ["True", "new b'unmanaged'"]));
}

#[test]
fn values_intervals_and_sockets_are_served_together() {
    let source = "
import midimonster
import socket
left, right = socket.socketpair()
def on_socket(sock):
    midimonster.output('socket', len(sock.recv(100)) / 100)
def tick():
    right.send(b'x')
    midimonster.output('tick', 1)
midimonster.manage(on_socket, left)
midimonster.interval(tick, 10)
def go(value):
    midimonster.output('value', value)
";
    let rig = Rig::script(source).map(
        "probe.go > py.script.go
         py.value > probe.value
         py.tick > probe.tick
         py.socket > probe.socket",
    );
    let running = rig.start();
    for step in 1..=100 {
        running.send("go", f64::from(step) / 100.0);
        running.values("value", step as usize);
    }
    running.values("tick", 5);
    running.values("socket", 5);
}

/// The example of MIDIMonster's documentation: a handler, a socket handler, an interval, and a
/// socket that is opened during the import. Functions with an empty body do here what their
/// comments describe.
fn example(port: u16, newer: bool) -> String {
    let close = if newer { "" } else { "\t\tsock.close()\n" };
    let ping = if newer {
        "s.send(b'ping\\n')"
    } else {
        "print(midimonster.timestamp())\n\ts.send(b'ping\\n')"
    };
    let mut source = format!(
        "import socket
import midimonster

# Simple channel handler
def in1(value):
\tmidimonster.output(\"out1\", 1 - value)

# Socket data handler
def socket_handler(sock):
\t# This should get some more error handling
\tdata = sock.recv(1024)
\tprint(\"Received %d bytes from socket: %s\" % (len(data), data))
\tif(len(data) == 0):
\t\t# Unmanage the socket if it has been closed
\t\tmidimonster.manage(None, sock)
{close}
# Interval handler
def ping():
\t{ping}
"
    );
    if newer {
        source += "
def save_positions():
\t# Store some data to disk
\twith open('positions', 'w') as file:
\t\tfile.write('saved')
midimonster.cleanup_handler(save_positions)
";
    }
    source
        + &format!(
            "
# Register an interval
midimonster.interval(ping, 1000)
# Create and register a client socket (add error handling as you like)
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.connect((\"localhost\", {port}))
midimonster.manage(socket_handler, s)
"
        )
}

fn run_example(newer: bool, module: &str) {
    let server = TcpListener::bind("localhost:0").unwrap();
    let source = example(server.local_addr().unwrap().port(), newer);
    let folder = tempfile::tempdir().unwrap();
    // Handlers run where consort was started, so the script needs the file's path.
    let path = folder.path().join("positions");
    let source = source.replace("'positions'", &format!("{:?}", path.to_str().unwrap()));
    let rig = Rig::new().file("my_handlers.py", &source).python("py1", &[("module", module)]).map(
        "probe.in > py1.my_handlers.in1
             py1.out1 > probe.out",
    );
    assert_eq!(rig.check(), [] as [String; 0]);
    let running = rig.start();
    let (mut client, _) = server.accept().unwrap();
    running.send("in", 0.25);
    assert_eq!(running.values("out", 1), [0.75]);
    client.write_all(b"hello").unwrap();
    running.printed("Received 5 bytes from socket: b'hello'");
    let mut ping = [0; 5];
    client.read_exact(&mut ping).unwrap();
    assert_eq!(&ping, b"ping\n");
    client.shutdown(std::net::Shutdown::Write).unwrap();
    running.printed("Received 0 bytes from socket: b''");
    running.send("in", 0.5);
    assert_eq!(running.values("out", 2), [0.75, 0.5]);
    let monitor = running.stop();
    monitor.inspect(|seen| {
        // When the older example's socket is closed, its ping fails.
        let other = seen.log.iter().filter(|entry| !entry.contains("Bad file descriptor"));
        let warnings: Vec<_> = other
            .filter(|entry| !entry.starts_with("DEBUG") && !entry.starts_with("INFO"))
            .collect();
        assert_eq!(warnings, [] as [&String; 0]);
        assert_eq!(seen.lines().iter().filter(|line| line.contains("0 bytes")).count(), 1);
    });
    assert_eq!(path.exists(), newer, "the cleanup handler");
}

#[test]
fn the_example_of_the_newer_documentation_runs() {
    run_example(true, "my_handlers");
}

#[test]
fn the_example_of_the_older_documentation_runs() {
    run_example(false, "my_handlers.py");
}
