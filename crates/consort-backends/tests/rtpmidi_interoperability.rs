//! `rtpmidi` with foreign programs: PyPI's pymidi, npm's rtpmidi, and the dissector of tshark.

#![cfg(feature = "rtpmidi")]
#![allow(clippy::print_stdout)]

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use consort_backends::rtpmidi::DESCRIPTOR;
use consort_router::testing::{Performance, TestShow, free_port};
use parking_lot::Mutex;

mod network_support;

use network_support::{is_in_namespace, step};

/// Prints why a test is skipped, or panics in CI.
fn skip(reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "missing peer: {reason}");
    println!("SKIPPED: {reason}");
}

/// A foreign program and the lines that it has printed. It ends when this is dropped.
struct Program {
    process: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Program {
    fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().expect("a process");
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let (output, kept) = (process.stdout.take().expect("a pipe"), Arc::clone(&lines));
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                kept.lock().push(line);
            }
        });
        Program { process, lines }
    }

    /// Runs a show until the program has printed a line with these words.
    fn until(&self, show: &mut Performance, words: &str) {
        show.until(words, |_| self.lines.lock().iter().any(|line| line.contains(words)));
    }

    fn print_trace(&self, title: &str) {
        println!("{title}:");
        self.lines.lock().iter().for_each(|line| println!("  {line}"));
    }
}

/// The Python of the environment with pymidi.
fn python() -> Option<PathBuf> {
    let folder = match std::env::var_os("CONSORT_VENV") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/venv"),
    };
    let python = folder.join("bin/python");
    let mut command = Command::new(&python);
    let has = command.args(["-c", "import pymidi.server"]).stderr(Stdio::null()).status();
    has.is_ok_and(|status| status.success()).then_some(python)
}

/// The folder with the npm package rtpmidi, if there is node, too.
fn node_modules() -> Option<PathBuf> {
    let folder = match std::env::var_os("CONSORT_NODE_MODULES") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/node/node_modules"),
    };
    let has_node = Command::new("node").arg("--version").stdout(Stdio::null()).status();
    let has_both = has_node.is_ok_and(|status| status.success()) && folder.join("rtpmidi").is_dir();
    has_both.then_some(folder)
}

const PYMIDI: &str = "
import sys
from pymidi import server

class Handler(server.Handler):
    def on_peer_connected(self, peer):
        print('connected', peer.name, flush=True)
    def on_peer_disconnected(self, peer):
        print('disconnected', peer.name, flush=True)
    def on_midi_commands(self, peer, commands):
        for command in commands:
            if command.command in ('note_on', 'note_off'):
                key, velocity = command.params.key, command.params.velocity
                print(command.command, int(key), int(velocity), flush=True)
            elif command.command == 'control_mode_change':
                print('controller', command.params.controller, command.params.value, flush=True)

host = server.Server([('127.0.0.1', int(sys.argv[1]))])
host.add_handler(Handler())
print('listens', flush=True)
host.serve_forever()
";

#[test]
fn pymidi_accepts_an_invitation_and_reads_every_message() {
    let Some(python) = python() else {
        return skip("no pymidi (pip install -r tests/packages.pypi)");
    };
    let port = free_port();
    let program = Program::start(Command::new(python).args(["-c", PYMIDI, &port.to_string()]));
    let mut test = TestShow::new();
    let peer = format!("127.0.0.1 {port}");
    let options = [("mode", "apple"), ("bind", "127.0.0.1"), ("peer", peer.as_str())];
    test.instance(&DESCRIPTOR, "stage", &options);
    for note in 36..48 {
        let channel = format!("ch0.note{note}");
        test.map(&format!("probe.{channel}"), &format!("stage.{channel}"));
    }
    test.map("probe.ch0.cc7", "stage.ch0.cc7");
    let mut show = test.start();
    show.until_state("stage", "up");
    program.until(&mut show, "connected stage");
    for note in 36..48 {
        show.send(&format!("ch0.note{note}"), 100.0 / 127.0);
        program.until(&mut show, &format!("note_on {note} 100"));
    }
    show.send("ch0.cc7", 64.0 / 127.0);
    program.until(&mut show, "controller 7 64");
    // The end of the show ends the notes, then the session.
    show.finish();
    program.until(&mut show, "disconnected stage");
    let ends = |line: &&String| line.starts_with("note_on") && line.ends_with(" 0");
    assert_eq!(program.lines.lock().iter().filter(ends).count(), 12);
    program.print_trace("pymidi");
}

const NODE: &str = "
const rtpmidi = require(process.argv[1] + '/rtpmidi');
const [own, peer] = process.argv.slice(2).map(Number);
const session = rtpmidi.manager.createSession(
    { localName: 'node', bonjourName: 'node', port: own, published: false });
// session.sendMessage of 1.0.0 loses its argument.
const send = (bytes) => session.getStreams().forEach((stream) => stream.sendMessage(
    { timestamp: session.now(), commands: [{ deltaTime: 0, data: Buffer.from(bytes) }] }));
session.on('ready', () => {
    console.log('listens');
    if (peer) session.connect({ address: '127.0.0.1', port: peer });
});
session.on('streamAdded', (event) => {
    console.log('connected ' + event.stream.name);
    send([0x90, 62, 99]);
    setInterval(() => send([0xB0, 7, 127]), 500);
});
session.on('streamRemoved', () => console.log('disconnected'));
session.on('message', (delta, message) =>
    console.log('message ' + Array.from(message.data || message).join(' ')));
";

/// Runs a show with npm's rtpmidi, which is invited or invites.
fn run_node(is_inviting: bool) {
    let Some(modules) = node_modules() else {
        // Node is not required, not even in CI.
        println!("SKIPPED: no node with rtpmidi (npm install --prefix target/node rtpmidi)");
        return;
    };
    let (own, other) = (free_port(), free_port());
    let mut test = TestShow::new();
    let (bind, peer) = (format!("127.0.0.1 {}", own + 1), format!("127.0.0.1 {other}"));
    let mut options = vec![("mode", "apple"), ("bind", bind.as_str())];
    options.push(if is_inviting { ("join", "node") } else { ("peer", peer.as_str()) });
    test.instance(&DESCRIPTOR, "stage", &options);
    test.map("probe.ch0.note60", "stage.ch0.note60");
    test.map("stage.ch0.note62", "probe.ch0.note62");
    test.map("stage.ch0.cc7", "probe.ch0.cc7");
    let mut show = test.start();
    let invited = if is_inviting { own } else { 0 };
    let mut command = Command::new("node");
    command.args(["-e", NODE]).arg(&modules).args([other, invited].map(|port| port.to_string()));
    let program = Program::start(&mut command);
    program.until(&mut show, "connected");
    show.until("a value of node", |show| show.received().contains(&("ch0.cc7".to_owned(), 1.0)));
    show.send("ch0.note60", 1.0);
    program.until(&mut show, "message 144 60 127");
    show.finish();
    program.until(&mut show, "message 144 60 0");
    program.until(&mut show, "disconnected");
    program.print_trace(if is_inviting {
        "npm rtpmidi, initiator"
    } else {
        "npm rtpmidi, participant"
    });
}

#[test]
fn npms_rtpmidi_accepts_an_invitation_and_both_sides_play() {
    run_node(false);
}

#[test]
fn npms_rtpmidi_invites_and_both_sides_play() {
    run_node(true);
}

/// Writes datagrams as a file that tshark reads: Ethernet, IPv4 and UDP around each.
fn capture(datagrams: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    let words: [u32; 6] = [0xA1B2_C3D4, 0x0004_0002, 0, 0, 65_535, 1];
    words.iter().for_each(|word| file.extend(word.to_le_bytes()));
    for (index, bytes) in (0_u32..).zip(datagrams) {
        let udp = bytes.len() as u16 + 8;
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
        frame.extend((udp + 20).to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
        for port in [5_005_u16, 5_007] {
            frame.extend(port.to_be_bytes());
        }
        frame.extend(udp.to_be_bytes());
        frame.extend([0, 0]);
        frame.extend_from_slice(bytes);
        let length = frame.len() as u32;
        [index, 0, length, length].iter().for_each(|word| file.extend(word.to_le_bytes()));
        file.extend(frame);
    }
    file
}

/// Everything that a show sends goes through the dissector. A peer that never confirms makes the
/// journals grow.
#[test]
fn tshark_reads_every_journal_and_agrees() {
    let has_tshark = Command::new("tshark").arg("--version").stdout(Stdio::null()).status();
    if !has_tshark.is_ok_and(|status| status.success()) {
        return skip("no tshark (Debian: apt install tshark)");
    }
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_nonblocking(true).expect("a socket that does not block");
    let mut test = TestShow::new();
    let peer = format!("127.0.0.1 {}", socket.local_addr().expect("an address").port());
    let options =
        [("mode", "direct"), ("bind", "127.0.0.1"), ("peer", peer.as_str()), ("note-off", "on")];
    test.instance(&DESCRIPTOR, "stage", &options);
    let channels = [
        "ch0.note60",
        "ch0.note61",
        "ch1.note100",
        "ch0.cc7",
        "ch0.cc0",
        "ch0.program",
        "ch2.pitch",
        "ch3.aftertouch",
        "ch4.pressure61",
        "ch5.rpn300",
        "ch5.nrpn900",
        "song",
        "start",
        "clock",
        "position",
        "sysex.F0 7D 01 vv F7",
    ];
    for channel in channels.into_iter().chain(["ch0.note62", "ch15.cc119"]) {
        test.map(&format!("probe.{channel}"), &format!("stage.{channel}"));
    }
    let mut show = test.start();
    show.until_state("stage", "up");
    for value in [1.0, 0.5, 0.0, 0.25] {
        for channel in channels {
            show.send(channel, value);
        }
    }
    for (channel, value) in [("ch0.note62", 1.0), ("ch0.note62", 0.0), ("ch15.cc119", 1.0)] {
        show.send(channel, value);
    }
    let mut datagrams: Vec<Vec<u8>> = Vec::new();
    let mut receive = |show: &mut Performance| {
        let mut buffer = [0; 65_536];
        show.until("a packet", |_| {
            let Ok(length) = socket.recv(&mut buffer) else { return false };
            datagrams.push(buffer[..length].to_vec());
            true
        });
        datagrams.last().expect("pushed just now").clone()
    };
    // The last message, and then a packet without commands, which repeats everything.
    let is_last = |bytes: &[u8]| bytes.windows(3).any(|message| message == [0xBF, 119, 127]);
    while !is_last(&receive(&mut show)) {}
    while receive(&mut show)[12] != 0x40 {}
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("journals.pcap");
    std::fs::write(&file, capture(&datagrams)).expect("a file");
    let mut command = Command::new("tshark");
    command.arg("-r").arg(&file).args(["-V", "-d", "udp.port==5007,rtp"]);
    let output = command.args(["-d", "rtp.pt==97,rtpmidi"]).output().expect("tshark");
    let decoded = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    println!("{} packets, {} lines", datagrams.len(), decoded.lines().count());
    // The dissector (4.0) shows the last byte of a system exclusive message of a journal as invalid.
    let is_wrong = |line: &&str| {
        line.contains("alformed") || (line.contains("Invalid") && !line.contains("Chapter X"))
    };
    assert_eq!(decoded.lines().find(is_wrong), None);
    // The last packet only repeats what was sent: the values of the fourth turn, 0.25, are 32 and
    // 4096; note 62 has ended; and what follows them.
    let last = decoded.rsplit("RFC 4695").next().expect("a packet");
    println!("{last}");
    for field in [
        "Total channels: 7 channels",
        "Chapter P Program: 32",
        "Chapter P Bank-MSB: 0x20",
        "Chapter C Number: Channel Volume (msb) (7)",
        "Chapter C Value: 0x20",
        "Chapter W First: 0x00",
        "Chapter W Second: 0x20",
        "Note On (n=C4, v=32)",
        "Note On (n=C#4, v=32)",
        "Note On (n=E7, v=32)",
        "Chapter N Log Octet: 0x02",
        "Chapter E Log Note: D4 (62)",
        "Chapter T Pressure: 32",
        "Pressure (n=C#4, p=32)",
        "Chapter M Log PNUM-LSB: 0x2c",
        "Chapter M Log PNUM-MSB: 0x02",
        "Chapter M Log Q-Flag: RPN parameter encoded",
        "Chapter M Log PNUM-LSB: 0x04",
        "Chapter M Log PNUM-MSB: 0x07",
        "Chapter M Log Q-Flag: NRPN parameter encoded",
        "Chapter M Log MSB: 0x20",
        "Chapter M Log LSB: 0x00",
        "Chapter D Song Select Value: 32",
        "Chapter Q Sequencer State N-Flag: Active Start / Continue",
        "Chapter Q Sequencer State Clock: 24576",
        "Chapter X Sysex L-Flag: List Tool used",
        "Chapter X Sysex STA: 0x3",
    ] {
        assert!(last.contains(field), "{field}");
    }
}

#[test]
fn sessions_are_announced_and_found_on_the_local_network() {
    if !is_in_namespace("sessions_are_announced_and_found_on_the_local_network") {
        return;
    }
    let mut east = TestShow::new();
    east.backend(&DESCRIPTOR, &[("mdns-name", "east"), ("mdns-interface", "d0")]);
    let options = [("mode", "apple"), ("bind", "10.77.0.1"), ("join", "*")];
    east.instance(&DESCRIPTOR, "Studio", &options);
    east.map("Studio.ch0.note60", "probe.note");
    let mut east = east.start();
    let mut west = TestShow::new();
    west.backend(&DESCRIPTOR, &[("mdns-name", "west")]);
    let options = [("mode", "apple"), ("bind", "10.77.0.1"), ("invite", "Studio")];
    west.instance(&DESCRIPTOR, "keys", &options);
    west.map("probe.note", "keys.ch0.note60");
    let mut west = west.start();
    // Values are dropped until the session is there.
    let mut sent = 0;
    west.until("a session", |west| {
        step(&mut east);
        sent += 1;
        west.send("note", f64::from(sent % 2));
        !east.received().is_empty()
    });
    println!("found after {sent} turns");
    // The end of a show withdraws the name, and ends the session.
    west.finish();
    east.until("the end", |east| east.received().last().is_some_and(|last| last.1 == 0.0));
}
