//! Tests of the backend with pseudo terminals, whose other end behaves as an interface does.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use consort_router::testing::{Performance, TestShow};
use rustix::pty::OpenptFlags;

use super::DESCRIPTOR;
use super::pro::{Decoder, Found, encode, label};

/// The test's end of a pseudo terminal, and a link with a constant name to the other end.
struct Terminal {
    master: OwnedFd,
    link: PathBuf,
    decoder: Decoder,
    _folder: tempfile::TempDir,
}

/// Opens a pseudo terminal that passes all bytes on unchanged, and lets `link` point to it.
fn open_terminal(link: &Path) -> OwnedFd {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags).expect("a pseudo terminal");
    rustix::pty::grantpt(&master).expect("grantpt");
    rustix::pty::unlockpt(&master).expect("unlockpt");
    let mut settings = rustix::termios::tcgetattr(&master).expect("its settings");
    settings.make_raw();
    rustix::termios::tcsetattr(&master, rustix::termios::OptionalActions::Now, &settings)
        .expect("raw settings");
    rustix::io::ioctl_fionbio(&master, true).expect("non-blocking");
    let name = rustix::pty::ptsname(&master, Vec::new()).expect("its name");
    let name = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
    let _ = std::fs::remove_file(link);
    std::os::unix::fs::symlink(name, link).expect("a link");
    master
}

impl Terminal {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("adapter");
        let master = open_terminal(&link);
        Terminal { master, link, decoder: Decoder::default(), _folder: folder }
    }

    /// Unplugs the adapter.
    fn unplug(&mut self) {
        std::fs::remove_file(&self.link).expect("the link");
        let (unused, _) = rustix::pipe::pipe().expect("a pipe");
        self.master = unused;
    }

    /// Plugs another adapter in.
    fn plug(&mut self) {
        self.master = open_terminal(&self.link);
        self.decoder = Decoder::default();
    }

    fn device(&self) -> String {
        self.link.display().to_string()
    }

    fn send(&self, label: u8, data: &[u8]) {
        let mut bytes = Vec::new();
        encode(label, data, &mut bytes);
        assert_eq!(rustix::io::write(&self.master, &bytes), Ok(bytes.len()));
    }

    /// What the show has sent since the last call.
    fn read(&self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut bytes = [0; 4_096];
        while let Ok(count @ 1..) = rustix::io::read(self.master.as_fd(), &mut bytes[..]) {
            all.extend_from_slice(&bytes[..count]);
        }
        all
    }

    /// The messages that the show has sent since the last call.
    fn messages(&mut self) -> Vec<(u8, Vec<u8>)> {
        let bytes = self.read();
        self.decoder.push(&bytes);
        let mut messages = Vec::new();
        while self.decoder.next(|found| match found {
            Found::Message(label, data) => messages.push((label, data.to_vec())),
            Found::Garbage(count) => panic!("{count} bytes that are not a message"),
        }) {}
        messages
    }

    /// Turns until the show has sent this many messages, and returns them without those that follow:
    /// questions are repeated if the answer is late, and frames after a second.
    fn receive(&mut self, show: &mut Performance, count: usize) -> Vec<(u8, Vec<u8>)> {
        let mut all = Vec::new();
        show.until(&format!("{count} messages"), |_| {
            all.extend(self.messages());
            all.len() >= count
        });
        all.truncate(count);
        all
    }

    /// Turns until the show has sent a message with this label, and returns it.
    fn receive_label(&mut self, show: &mut Performance, label: u8) -> (u8, Vec<u8>) {
        let mut found = None;
        show.until(&format!("a message {label}"), |_| {
            found = self.messages().into_iter().find(|message| message.0 == label);
            found.is_some()
        });
        found.expect("the message")
    }

    /// Answers the questions for firmware and serial number.
    fn answer(&self) {
        self.send(label::PARAMETERS, &[44, 1, 9, 1, 40]);
        self.send(label::SERIAL, &[0x56, 0x34, 0x12, 0x00]);
    }
}

fn show_of(options: &[(&str, &str)], mappings: &[(&str, &str)]) -> TestShow {
    let mut show = TestShow::new();
    show.instance(&DESCRIPTOR, "desk", options);
    for (source, target) in mappings {
        show.map(source, target);
    }
    show
}

fn reason(show: &Performance) -> String {
    show.state("desk").reason().unwrap_or_default().to_owned()
}

fn labels(messages: &[(u8, Vec<u8>)]) -> Vec<u8> {
    messages.iter().map(|(label, _)| *label).collect()
}

/// The slots of a message with a frame.
fn slots((label, data): &(u8, Vec<u8>)) -> &[u8] {
    assert_eq!((*label, data.len(), data[0]), (label::SEND, 513, 0));
    &data[1..]
}

#[test]
fn an_interface_is_identified_and_receives_frames() {
    let mut terminal = Terminal::new();
    let device = terminal.device();
    let mut show =
        show_of(&[("device", &device)], &[("desk.1", "probe.one"), ("desk.2+3", "probe.wide")])
            .start();
    let asked = terminal.receive(&mut show, 3);
    assert_eq!(labels(&asked), [label::PARAMETERS, label::SERIAL, label::RECEIVE_MODE]);
    assert_eq!(asked[2].1, [0]);
    terminal.answer();
    show.until_state("desk", "up");
    terminal.send(label::RECEIVED, &[0, 0, 255, 0, 51, 9]);
    let values = |list: &[(&str, f64)]| -> Vec<(String, f64)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    };
    assert_eq!(show.receive(2), values(&[("one", 1.0), ("wide", 51.0 / 65_535.0)]));
    // The same frame again, with an error flag, and a change of each kind.
    terminal.send(label::RECEIVED, &[1, 0, 255, 0, 51, 9]);
    terminal.send(label::CHANGES, &[0, 0b10_0110, 0, 0, 0, 0, 51, 255, 8]);
    assert_eq!(show.receive(2), values(&[("one", 0.2), ("wide", 65_331.0 / 65_535.0)]));
    assert_eq!(show.counters("desk").errors, 1);
    let live = show.router.handle().live();
    let unmatched = live.unmatched(show.id("desk"));
    let mut found: Vec<_> =
        unmatched.iter().map(|entry| format!("{} {}", entry.channel, entry.raw)).collect();
    found.sort();
    assert_eq!(found, ["4 9", "5 8"]);
    // Bytes that are not a message are counted, and the next message is found.
    assert_eq!(rustix::io::write(&terminal.master, &[1, 2, 3]), Ok(3));
    terminal.send(label::RECEIVED, &[0, 0, 0]);
    assert_eq!(show.receive(1), values(&[("one", 0.0)]));
    assert_eq!(show.counters("desk").errors, 2);
}

#[test]
fn an_interface_gets_changed_frames_and_the_last_one_at_the_end() {
    let mut terminal = Terminal::new();
    let device = terminal.device();
    let options = [("device", &*device), ("rate", "30"), ("break", "176"), ("mark", "16")];
    let mappings = [("probe.a", "desk.1"), ("probe.b", "desk.511+512")];
    let mut show = show_of(&options, &mappings).start();
    let asked = terminal.receive(&mut show, 3);
    assert_eq!(labels(&asked), [label::PARAMETERS, label::SERIAL, label::SET_PARAMETERS]);
    assert_eq!(asked[2].1, [0, 0, 17, 2, 30]);
    terminal.answer();
    show.until_state("desk", "up");
    let early = labels(&terminal.messages());
    assert!(!early.contains(&label::SEND), "nothing is sent before the first value");
    show.send_all(&[("a", 1.0), ("b", 1.0)]);
    let frame = terminal.receive_label(&mut show, label::SEND);
    let mut expected = [0; 512];
    (expected[0], expected[510], expected[511]) = (255, 255, 255);
    assert_eq!(slots(&frame), expected);
    // A flood is limited to the rate; the last value arrives in any case.
    let began = Instant::now();
    let flood: Vec<(&str, f64)> = (0..=255).map(|byte| ("a", f64::from(byte) / 255.0)).collect();
    for _ in 0..20 {
        show.send_all(&flood);
    }
    show.send("a", 0.2);
    show.finish();
    let mut frames = Vec::new();
    show.until("the last frame", |_| {
        frames.extend(terminal.messages());
        frames.last().is_some_and(|frame| slots(frame)[0] == 51)
    });
    // One at once, one at the end, and one in each interval.
    let most = began.elapsed().as_secs_f64() * 30.0 + 3.0;
    assert!(frames.len() as f64 <= most, "{} frames", frames.len());
    assert!(show.counters("desk").dropped >= 20 * 255);
}

#[test]
fn an_adapter_may_be_plugged_in_later_and_again() {
    let mut terminal = Terminal::new();
    let device = terminal.device();
    terminal.unplug();
    let mappings = [("probe.a", "desk.1")];
    let mut show = show_of(&[("device", &device)], &mappings).start();
    show.until_state("desk", "waiting");
    assert!(reason(&show).starts_with(&format!("cannot open {device}: ")), "{}", reason(&show));
    show.send("a", 1.0);
    for value in [255, 51] {
        terminal.plug();
        let messages = terminal.receive(&mut show, 3);
        assert_eq!(labels(&messages), [label::PARAMETERS, label::SERIAL, label::SEND]);
        assert_eq!(slots(&messages[2])[0], value, "the last frame is sent");
        terminal.answer();
        show.until_state("desk", "up");
        terminal.unplug();
        show.until_state("desk", "waiting");
        show.send("a", 0.2);
    }
}

#[test]
fn an_interface_that_does_not_answer_is_a_reason_to_wait() {
    let mut terminal = Terminal::new();
    let device = terminal.device();
    let mut show = show_of(&[("device", &device)], &[("probe.a", "desk.1")]).start();
    show.until_state("desk", "waiting");
    assert!(reason(&show).contains("use `type = open`"), "{}", reason(&show));
    show.send("a", 1.0);
    let frame = terminal.receive_label(&mut show, label::SEND);
    assert_eq!(slots(&frame)[0], 255, "it is sent to nevertheless");
    terminal.answer();
    show.until_state("desk", "up");
}

#[test]
fn a_bare_line_gets_the_newest_frame_again_and_again() {
    let mut terminal = Terminal::new();
    let device = terminal.device();
    let mappings = [("probe.a", "desk.1"), ("probe.b", "desk.512")];
    let mut show = show_of(&[("device", &device), ("type", "open")], &mappings).start();
    show.until_state("desk", "up");
    show.send_all(&[("a", 1.0), ("b", 0.2)]);
    let mut bytes = Vec::new();
    show.until("three frames with the values", |_| {
        bytes.extend(terminal.read());
        bytes.chunks_exact(513).filter(|frame| frame[1] == 255).count() >= 3
    });
    for frame in bytes.chunks_exact(513) {
        assert_eq!(frame[0], 0, "the start code");
        assert!((frame[1], frame[512]) == (255, 51) || (frame[1], frame[512]) == (0, 0));
    }
    show.send("a", 0.4);
    show.finish();
    bytes.drain(..bytes.len() / 513 * 513);
    show.until("the last frame", |_| {
        bytes.extend(terminal.read());
        bytes.chunks_exact(513).any(|frame| frame[1] == 102)
    });
    drop(show);
    // Unplugged while it sends.
    terminal.plug();
    let mut show = show_of(&[("device", &device), ("type", "open")], &mappings).start();
    show.until_state("desk", "up");
    terminal.unplug();
    show.until_state("desk", "waiting");
    terminal.plug();
    show.until_state("desk", "up");
}

#[test]
fn a_reload_keeps_the_adapter_and_both_frames() {
    let mut terminal = Terminal::new();
    let device = terminal.device();
    let first = [("desk.1", "probe.one")];
    let mut running = show_of(&[("device", &device)], &first).start();
    terminal.receive(&mut running, 3);
    terminal.answer();
    running.until_state("desk", "up");
    terminal.send(label::RECEIVED, &[0, 0, 255, 51]);
    assert_eq!(running.receive(1), [("one".to_owned(), 1.0)]);
    let second = [("desk.2", "probe.two"), ("desk.1", "probe.one")];
    let options = [("device", &*device), ("receive", "changes")];
    let adoption = running.adopt(show_of(&options, &second));
    assert_eq!(adoption.restarted, [""; 0]);
    assert_eq!(terminal.receive_label(&mut running, label::RECEIVE_MODE).1, [1]);
    // The new channel gets its value from the next frame, the other one only if it changes.
    terminal.send(label::RECEIVED, &[0, 0, 255, 51]);
    assert_eq!(running.receive(1), [("two".to_owned(), 0.2)]);
    assert_eq!(running.counters("desk").errors, 0);
}

#[test]
fn two_instances_do_not_share_an_adapter() {
    let terminal = Terminal::new();
    let device = terminal.device();
    let mut show = TestShow::new();
    show.instance(&DESCRIPTOR, "desk", &[("device", &device), ("type", "open")]);
    show.instance(&DESCRIPTOR, "other", &[("device", &device), ("type", "open")]);
    let mut show = show.start();
    let both = |show: &Performance| [show.state("desk"), show.state("other")];
    show.until("one up and one waiting", |show| {
        let mut words = both(show).map(|state| state.word().to_owned());
        words.sort();
        words == ["up", "waiting"]
    });
    let reasons = both(&show).map(|state| state.reason().unwrap_or_default().to_owned());
    assert!(reasons.concat().contains("is used by another instance"), "{reasons:?}");
}

#[test]
fn mappings_that_cannot_work_are_warnings() {
    for (kind, mappings, expected) in [
        ("open", &[("desk.1", "probe.a")][..], "receives none"),
        ("pro", &[("desk.1", "probe.a"), ("probe.b", "desk.2")], "receives nothing"),
        ("pro", &[("desk.1", "probe.a")], ""),
        ("open", &[("probe.a", "desk.1")], ""),
    ] {
        let problems = show_of(&[("type", kind)], mappings).check("desk");
        let messages: Vec<&str> = problems.iter().map(|problem| &*problem.message).collect();
        assert!(messages.join("").contains(expected), "{kind}: {messages:?}");
        assert_eq!(messages.is_empty(), expected.is_empty(), "{kind}: {messages:?}");
    }
}
