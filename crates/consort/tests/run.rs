//! `consort run` as a process: starting, routing, stopping, and malformed packets.
//! `CONSORT_SOAK=20` sends twenty times as many malformed packets.
#![cfg(feature = "default")]

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// A running command; killed when it is dropped.
struct Running {
    child: Child,
    /// Standard error, line by line.
    log: mpsc::Receiver<String>,
}

impl Running {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_consort"))
            .args(arguments)
            .current_dir(folder)
            .env("XDG_RUNTIME_DIR", env!("CARGO_TARGET_TMPDIR"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let (sender, log) = mpsc::channel();
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Running { child, log }
    }

    /// Waits for a line of the log that contains all of `parts`.
    fn wait_for_line(&self, parts: &[&str]) -> String {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        let mut seen = Vec::new();
        loop {
            let remaining = deadline.saturating_duration_since(Instant::now());
            match self.log.recv_timeout(remaining) {
                Ok(line) if parts.iter().all(|part| line.contains(part)) => return line,
                Ok(line) => seen.push(line),
                Err(_) => panic!("no line with {parts:?} in:\n{}", seen.join("\n")),
            }
        }
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", signal, &id]).status().expect("kill");
        assert!(status.success());
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "the command did not exit within {WAIT_TIMEOUT:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The resident memory, in kB.
    fn resident_kilobytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path).expect("a running process");
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
        line.chars().filter(char::is_ascii_digit).collect::<String>().parse().expect("kB")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only if the process has exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn socket() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(WAIT_TIMEOUT)).expect("set");
    let port = socket.local_addr().expect("an address").port();
    (socket, port)
}

fn free_port() -> u16 {
    socket().1
}

/// Writes a show that forwards `/a` from one port as `/b` to another.
fn write_forwarding_show(folder: &Path, name: &str, input: u16, output: u16) {
    let text = format!(
        "[osc in]\nbind = 127.0.0.1 {input}\n[osc out]\ndestination = 127.0.0.1 {output}\n\
         [map]\nin./a > out./b\n"
    );
    std::fs::write(folder.join(name), text).expect("written");
}

fn message(address: &str, value: f32) -> Vec<u8> {
    [address.as_bytes(), b"\0\0,f\0\0", &value.to_be_bytes()].concat()
}

#[test]
fn sigint_and_sigterm_stop_a_show_with_status_0() {
    for (signal, name) in [("INT", "show.cfg"), ("TERM", "monster.cfg")] {
        let folder = tempfile::tempdir().expect("a folder");
        let (output, port) = socket();
        let input = free_port();
        write_forwarding_show(folder.path(), name, input, port);
        // Without an argument, show.cfg or monster.cfg is found.
        let mut show = Running::start(folder.path(), &["run"]);
        show.wait_for_line(&["up", "in"]);
        show.wait_for_line(&["up", "out"]);
        output.send_to(&message("/a", 0.25), ("127.0.0.1", input)).expect("sent");
        let mut buffer = [0; 64];
        let count = output.recv(&mut buffer).expect("forwarded");
        assert_eq!(buffer[..count], message("/b", 0.25));
        show.signal(signal);
        show.wait_for_line(&["1 in, 0 out, 0 dropped, 0 errors"]);
        assert_eq!(show.wait().code(), Some(0), "after SIG{signal}");
    }
}

#[test]
fn options_on_the_command_line_override_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (output, port) = socket();
    let (wrong, input) = (free_port(), free_port());
    write_forwarding_show(folder.path(), "show.cfg", wrong, port);
    let bind = format!("in.bind=127.0.0.1 {input}");
    let show = Running::start(folder.path(), &["run", "-i", &bind, "show.cfg"]);
    show.wait_for_line(&["up", "out"]);
    output.send_to(&message("/a", 0.5), ("127.0.0.1", input)).expect("sent");
    assert!(output.recv(&mut [0; 64]).is_ok());
}

#[test]
fn an_invalid_configuration_ends_with_status_1_and_its_position() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("show.cfg"), "\n[osk in]\n").expect("written");
    let mut show = Running::start(folder.path(), &["run"]);
    show.wait_for_line(&["show.cfg:2:"]);
    assert_eq!(show.wait().code(), Some(1));
    let mut show = Running::start(folder.path(), &["run", "absent.cfg"]);
    show.wait_for_line(&["absent.cfg"]);
    assert_eq!(show.wait().code(), Some(1));
}

#[test]
fn without_a_configuration_the_error_names_the_default_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut show = Running::start(folder.path(), &["run"]);
    show.wait_for_line(&["error: found neither show.cfg nor monster.cfg"]);
    show.wait_for_line(&["hint: give a configuration: `consort run FILE`"]);
    assert_eq!(show.wait().code(), Some(1));
}

#[test]
fn a_show_may_have_more_instances_than_the_soft_limit_of_open_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let instances = (0..200).map(|index| format!("[osc o{index}]\ndestination = 127.0.0.1 9\n"));
    let mappings = (1..200).map(|index| format!("o0./a > o{index}./a\n"));
    let text: String = instances.chain(["[map]\n".to_owned()]).chain(mappings).collect();
    std::fs::write(folder.path().join("show.cfg"), text).expect("written");
    let consort = env!("CARGO_BIN_EXE_consort");
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -S -n 100; exec '{consort}' run show.cfg")]);
    shell.current_dir(folder.path()).env("XDG_RUNTIME_DIR", folder.path());
    shell.stdout(Stdio::null()).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut child = shell.spawn().expect("started");
    let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let waiting_or_last = lines
        .map_while(Result::ok)
        .find(|line| line.contains("waiting") || line.contains("INFO  o199: up"));
    let _ = child.kill();
    let _ = child.wait();
    let line = waiting_or_last.expect("a state of the last instance");
    assert!(line.contains("o199"), "{line}");
}

#[test]
fn a_port_in_use_does_not_stop_the_show() {
    let folder = tempfile::tempdir().expect("a folder");
    let (taken, taken_port) = socket();
    let (output, port) = socket();
    let input = free_port();
    let text = format!(
        "[osc in]\nbind = 127.0.0.1 {input}\n[osc blocked]\nbind = 127.0.0.1 {taken_port}\n\
         [osc out]\ndestination = 127.0.0.1 {port}\n[map]\nin./a > out./b\nblocked./a > out./c\n"
    );
    std::fs::write(folder.path().join("show.cfg"), text).expect("written");
    let show = Running::start(folder.path(), &["run"]);
    show.wait_for_line(&["blocked", "waiting", &taken_port.to_string()]);
    show.wait_for_line(&["out", "up"]);
    output.send_to(&message("/a", 0.5), ("127.0.0.1", input)).expect("sent");
    assert!(output.recv(&mut [0; 64]).is_ok());
    drop(taken);
    show.wait_for_line(&["blocked", "up"]);
}

/// Almost valid packets, from a generator with a fixed seed.
#[test]
fn malformed_packets_neither_end_the_show_nor_fill_its_memory() {
    let times: usize =
        std::env::var("CONSORT_SOAK").map_or(1, |text| text.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a folder");
    let (output, port) = socket();
    let input = free_port();
    write_forwarding_show(folder.path(), "show.cfg", input, port);
    let show = Running::start(folder.path(), &["run"]);
    show.wait_for_line(&["up", "out"]);
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    // A valid packet now and then shows that all packets before it were read, and that none was
    // lost to a full buffer.
    let mut value = 0.25_f32;
    let mut send_valid_packet = || {
        value = 0.75 - value;
        output.send_to(&message("/a", value), ("127.0.0.1", input)).expect("sent");
        let mut buffer = [0; 2_048];
        loop {
            let count = output.recv(&mut buffer).expect("valid packets are still routed");
            if buffer[..count] == message("/b", value) {
                return;
            }
        }
    };
    let mut flood = |bytes: usize| {
        let (mut sent, mut packets) = (0, 0);
        while sent < bytes {
            let length = 1 + (random() % 1_400) as usize;
            let mut packet: Vec<u8> = (0..length).map(|_| random() as u8).collect();
            match random() % 4 {
                0 if length > 24 => packet[..16].copy_from_slice(b"#bundle\0\0\0\0\0\0\0\0\x01"),
                1 if length > 24 => packet[..12].copy_from_slice(b"/{a,*}\0\0,[[["),
                2 if length > 24 => packet[..8].copy_from_slice(b"/b\0\0,fff"),
                _ => {}
            }
            output.send_to(&packet, ("127.0.0.1", input)).expect("sent");
            sent += length;
            packets += 1;
            if packets % 32 == 0 {
                send_valid_packet();
            }
        }
        send_valid_packet();
        packets
    };
    // The first packets fill caches that do not grow after that.
    flood(400_000);
    let before = show.resident_kilobytes();
    let packets = flood(3_200_000 * times);
    let after = show.resident_kilobytes();
    println!(
        "{} MB in {packets} packets, all read; memory {before} kB before, {after} kB after",
        3.2 * times as f64
    );
    assert!(after < before + 4_000, "memory grew from {before} kB to {after} kB");
}

#[test]
fn the_midi_examples_run_on_the_embedded_sequencer_without_devices() {
    for (name, instance, override_option) in [
        ("midi-to-osc", "controller", None),
        ("osc-to-midi", "synth", Some(format!("tablet.bind=127.0.0.1 {}", free_port()))),
        ("midi-arpeggiator", "keys", None),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
        let mut arguments = vec!["run", "-b", "midi.engine=embedded", "show.cfg"];
        if let Some(option) = &override_option {
            arguments.extend(["-i", option]);
        }
        let mut show = Running::start(&folder, &arguments);
        let line = show.wait_for_line(&["waiting: there is no device", instance]);
        assert!(line.contains("Midi Through"), "the available devices: {line}");
        show.signal("TERM");
        assert_eq!(show.wait().code(), Some(0), "{name}");
    }
}
