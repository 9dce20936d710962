//! File descriptors: scripts, and wrappers of the interpreter, that close or write to the worker's
//! pipes; sockets of all kinds; the terminal.
#![cfg(all(feature = "loopback", feature = "python"))]
#![allow(missing_docs)]

mod python_support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use python_support::{DEADLINE, Rig, interpreter};

#[test]
fn a_script_that_closes_all_descriptors_and_hangs_is_restarted() {
    let source = "
import midimonster, os, time
def go(value):
    os.closerange(3, 256)
    while True:
        time.sleep(1000)
def again(value):
    midimonster.output('out', value)
";
    let running = Rig::handlers(source).start();
    running.send("go", 0.5);
    running.logged(&[
        "WARN",
        "py",
        "closed the pipe to Consort, but its process is still running",
        "restarting",
    ]);
    running.send("again", 0.25);
    assert_eq!(running.values("out", 1), [0.25]);
}

#[test]
fn a_script_that_closes_all_descriptors_is_reported() {
    let source = "
import midimonster, os
def go(value):
    os.closerange(3, 256)
def again(value):
    midimonster.output('out', value)
";
    let running = Rig::handlers(source).start();
    running.send("go", 0.5);
    running.logged(&["WARN", "py", "the script closed the pipe that connects it to consort"]);
    running.logged(&["WARN", "py", "restarting"]);
    running.send("again", 0.25);
    assert_eq!(running.values("out", 1), [0.25]);
}

#[test]
fn a_script_that_writes_to_the_workers_pipe_is_restarted() {
    let source = "
import midimonster, os
def go(value):
    for number in range(3, 64):
        try:
            os.write(number, b'hello')
        except OSError:
            pass
def again(value):
    midimonster.output('out', value)
";
    let running = Rig::handlers(source).start();
    running.send("go", 0.5);
    running.send("again", 0.5);
    running.logged(&[
        "WARN",
        "py",
        "received invalid data from the script's process",
        "restarting",
    ]);
    running.send("again", 0.25);
    running.wait("an answer", |seen| seen.values_of("out").contains(&0.25));
}

#[test]
fn processes_of_a_script_inherit_no_descriptors_of_the_worker() {
    let source = "
import midimonster, os, subprocess, sys
def link(number):
    try:
        return os.readlink('/proc/self/fd/%d' % number)
    except OSError:
        return ''
ours = [link(number) for number in range(3, 64)
        if link(number).startswith('pipe') and not os.get_inheritable(number)]
print('ours', len(ours))
tell = '''
import os
for each in os.listdir('/proc/self/fd'):
    try: print(os.readlink('/proc/self/fd/' + each))
    except OSError: pass
'''
def held(text):
    assert 'pipe' in text
    return [line for line in text.splitlines() if line in ours]
def go(value):
    args = [sys.executable, '-c', tell]
    for close in (True, False):
        done = subprocess.run(args, stdout=subprocess.PIPE, text=True, close_fds=close)
        print('subprocess', held(done.stdout))
    for execute in (True, False):
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.dup2(writer, 1)
            if execute:
                os.execv(sys.executable, args)
            exec(tell)
            sys.stdout.flush()
            os._exit(0)
        os.close(writer)
        print('fork', held(open(reader).read()))
        os.wait()
    print('end')
def again(value): pass
";
    let running = Rig::handlers(source).start();
    running.send("go", 0.5);
    running.printed("end");
    let (subprocess, fork) = ("subprocess []", "fork []");
    running.monitor.inspect(|seen| {
        let expected = ["ours 2", subprocess, subprocess, fork, fork, "end"];
        assert_eq!(seen.lines(), expected, "{:?}", seen.log);
    });
}

#[test]
fn a_managed_object_whose_fileno_raises_is_removed() {
    let source = "
import midimonster, socket
left, right = socket.socketpair()
class Connection:
    def __init__(self, sock): self.sock = sock
    def fileno(self): return self.sock.fileno()
    def __repr__(self): raise RuntimeError('no text')
connection = Connection(left)
def read(conn): midimonster.output('out', conn.sock.recv(10)[0] / 100)
midimonster.manage(read, connection)
def go(value):
    right.send(bytes([50]))
def again(value):
    connection.sock.close()
    connection.sock = None
";
    let running = Rig::handlers(source).start();
    running.send("go", 0.5);
    assert_eq!(running.values("out", 1), [0.5]);
    running.send("again", 0.5);
    running.logged(&["WARN", "py", "was closed while it was managed", "`read`"]);
    running.send("go", 0.5);
    running.stop().inspect(|seen| assert_eq!(seen.logged(&["restarting"]), 0, "{:?}", seen.log));
}

#[test]
fn another_object_with_the_same_descriptor_cancels_its_handler() {
    let source = "
import midimonster, socket
left, right = socket.socketpair()
class Connection:
    def fileno(self): return left.fileno()
def read(conn): midimonster.output('out', left.recv(10)[0] / 100)
midimonster.manage(read, Connection())
right.send(bytes([50]))
def go(value):
    midimonster.manage(None, left)
    right.send(bytes([75]))
    midimonster.output('out', value)
def again(value): midimonster.output('out', value)
";
    let running = Rig::handlers(source).start();
    assert_eq!(running.values("out", 1), [0.5]);
    // When the last of these values arrives, the worker has polled its sockets in between.
    for (step, channel) in ["go", "again", "again"].into_iter().enumerate() {
        running.send(channel, 0.25);
        running.values("out", step + 2);
    }
    assert_eq!(running.values("out", 4), [0.5, 0.25, 0.25, 0.25]);
}

#[test]
fn a_new_socket_with_a_reused_descriptor_gets_only_its_own_data() {
    let source = "
import midimonster, os, socket
pairs = [socket.socketpair() for _ in range(2)]
def first(sock):
    sock.recv(10)
    for own, peer in list(pairs):
        if own is not sock:
            number = own.fileno()
            midimonster.manage(None, own)
            own.close()
            new, other = socket.socketpair()
            assert new.fileno() == number
            pairs.append((new, other))
            midimonster.manage(later, new)
            midimonster.output('out', 0.5)
def later(sock):
    print('later', sock.recv(10))
for own, peer in pairs:
    midimonster.manage(first, own)
    peer.send(b'x')
def go(value): midimonster.output('out', value)
def again(value): pairs[-1][1].send(b'yes')
";
    let running = Rig::handlers(source).start();
    running.send("go", 0.25);
    running.wait("both", |seen| seen.values_of("out").len() == 2);
    running.send("again", 1.0);
    running.printed("later b'yes'");
}

#[test]
fn a_wrapper_that_closes_descriptors_is_reported() {
    let rig = Rig::new().file("script.py", "");
    let wrapper = rig.path().join("wrapper");
    let python = interpreter();
    let text = format!(
        "#!/usr/bin/env {python}\n\
         import os, sys\n\
         os.closerange(3, 256)\n\
         os.execvp('{python}', ['{python}'] + sys.argv[1:])\n"
    );
    std::fs::write(&wrapper, text).unwrap();
    std::fs::set_permissions(&wrapper, PermissionsExt::from_mode(0o755)).unwrap();
    let python = wrapper.to_str().unwrap();
    let running = rig.python("py", &[("module", "script"), ("python", python)]).launch();
    running.logged(&["WARN", "py", "is closed; what starts this interpreter must leave it open"]);
    running.logged(&["WARN", "py", "is not a working Python interpreter", "exited with status 1"]);
}

#[test]
fn listening_and_accepted_sockets_can_be_managed() {
    let source = "
import midimonster, socket
server = socket.socket()
server.bind(('127.0.0.1', 0))
server.listen()
def accept(sock):
    client, _ = sock.accept()
    midimonster.manage(read, client)
def read(sock):
    data = sock.recv(100)
    if not data:
        midimonster.manage(None, sock)
        sock.close()
        print('gone')
        return
    sock.send(data.upper())
midimonster.manage(accept, server)
print('port', server.getsockname()[1])
def go(value): pass
def again(value): pass
";
    let running = Rig::handlers(source).start();
    running.wait("the port", |seen| seen.lines().iter().any(|line| line.starts_with("port ")));
    let port: u16 = running.monitor.inspect(|seen| seen.lines()[0][5..].parse().unwrap());
    let mut clients: Vec<_> =
        (0..3).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    for client in &mut clients {
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        client.write_all(b"word").unwrap();
        let mut answer = [0; 4];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"WORD");
    }
    drop(clients);
    running.wait("three closed connections", |seen| {
        seen.lines().iter().filter(|line| **line == "gone").count() == 3
    });
    running.stop().inspect(|seen| assert_eq!(seen.logged(&["WARN"]), 0, "{:?}", seen.log));
}

/// Not a test by itself: the next test runs it on a terminal.
#[test]
fn router_on_a_terminal() {
    if std::env::var_os("CONSORT_TEST_TERMINAL").is_none() {
        return;
    }
    let source = "
import midimonster, termios
def go(value):
    with open('/dev/tty', 'rb', 0) as terminal:
        termios.tcsetattr(terminal, termios.TCSANOW, termios.tcgetattr(terminal))
        midimonster.output('out', value)
        terminal.read(1)
def again(value): midimonster.output('out', value)
";
    let running = Rig::handlers(source).start();
    running.send("go", 0.5);
    running.logged(&["ERROR", "py", "OSError: [Errno 5]"]);
    running.send("again", 0.25);
    assert_eq!(running.values("out", 2), [0.5, 0.25]);
    println!("survived the terminal");
}

#[test]
fn a_script_that_reads_from_the_terminal_is_not_stopped() {
    let spawn = "import pty, sys; pty.spawn(sys.argv[1:])";
    let done = Command::new(interpreter())
        .args(["-c", spawn])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "router_on_a_terminal", "--nocapture"])
        .env("CONSORT_TEST_TERMINAL", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(text.contains("survived the terminal"), "{text}");
}
