//! The live view in a terminal, and the terminal after it: whatever ends the view, the terminal
//! is as it was, and the show does what it should.
#![cfg(feature = "default")]

mod support;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::OpenptFlags;
use rustix::termios::{Action, LocalModes, Termios, Winsize, tcflow, tcgetattr};
use support::{Show, command, until};

/// What takes the other screen, and what gives it back.
const TAKEN: &str = "\u{1b}[?1049h";
const GIVEN_BACK: &str = "\u{1b}[?1049l";
const CURSOR: &str = "\u{1b}[?25h";

/// A terminal that keeps what was written to it.
struct Screen {
    master: Arc<OwnedFd>,
    terminal: OwnedFd,
    text: Arc<Mutex<String>>,
    before: Termios,
    is_over: Arc<AtomicBool>,
    reading: JoinHandle<()>,
}

fn resize(master: impl AsFd, columns: u16) {
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(master, size).expect("set");
}

impl Screen {
    fn new() -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).expect("a pseudo terminal");
        rustix::pty::unlockpt(&master).expect("unlocked");
        resize(&master, 80);
        let terminal = rustix::pty::ioctl_tiocgptpeer(&master, flags).expect("its other end");
        let before = tcgetattr(&terminal).expect("its modes");
        let (master, text) = (Arc::new(master), Arc::<Mutex<String>>::default());
        let (reading_end, written) = (Arc::clone(&master), Arc::clone(&text));
        let is_over = Arc::<AtomicBool>::default();
        let over = Arc::clone(&is_over);
        let reading = std::thread::spawn(move || {
            let mut piece = [0; 65_536];
            let pause = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
            while !over.load(Ordering::Relaxed) {
                let mut watched = [PollFd::new(&*reading_end, PollFlags::IN)];
                if poll(&mut watched, Some(&pause)).is_ok_and(|ready| ready == 0) {
                    continue;
                }
                let Ok(count @ 1..) = rustix::io::read(&*reading_end, &mut piece) else { return };
                *written.lock().expect("it") += &String::from_utf8_lossy(&piece[..count]);
            }
        });
        Screen { master, terminal, text, before, is_over, reading }
    }

    /// Takes it away, as a window that is closed.
    fn hang_up(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.reading.join().expect("read");
    }

    /// Sets a command's input and output to it.
    fn attach(&self, run: &mut Command) {
        let end = || self.terminal.try_clone().expect("a descriptor");
        run.stdin(end()).stdout(end()).env("TERM", "xterm");
    }

    fn text(&self) -> String {
        self.text.lock().expect("it").clone()
    }

    /// Waits for the view.
    fn until_taken(&self) {
        until("the view is drawn", || self.text().contains("send a test value"));
        let modes = tcgetattr(&self.terminal).expect("its modes");
        assert!(!modes.local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO), "{modes:?}");
    }

    /// Checks that all is as before.
    fn is_given_back(&self) {
        let modes = tcgetattr(&self.terminal).expect("its modes");
        assert_eq!(modes.local_modes, self.before.local_modes);
        assert_eq!(modes.input_modes, self.before.input_modes);
        assert_eq!(modes.output_modes, self.before.output_modes);
        until("the screen from before is back", || {
            let text = self.text();
            let end = text.rfind(GIVEN_BACK);
            let is_last = end > text.rfind(TAKEN) && text.rfind(CURSOR) > text.rfind("\u{1b}[?25l");
            is_last && end.is_some_and(|end| !text[end..].contains("send a test value"))
        });
    }

    fn resize(&self, columns: u16) {
        resize(&*self.master, columns);
    }

    fn press(&self, keys: &[u8]) {
        rustix::io::write(&*self.master, keys).expect("pressed");
    }
}

fn monitored(folder: &std::path::Path, more: [&str; 2], screen: &Screen) -> Show {
    let log = File::create(folder.join("log")).expect("a file");
    let show = Show::start(folder, more, |run| {
        screen.attach(run);
        run.arg("--monitor").stderr(log);
    });
    screen.until_taken();
    show
}

#[test]
fn after_a_signal_and_after_ctrl_c() {
    for end in ["TERM", "INT", "a key"] {
        let folder = tempfile::tempdir().expect("a folder");
        let screen = Screen::new();
        let mut show = monitored(folder.path(), ["", ""], &screen);
        match end {
            "a key" => screen.press(b"\x03"),
            signal => show.signal(signal),
        }
        assert_eq!(show.wait().code(), Some(0), "after {end}");
        screen.is_given_back();
        // The log is a file: it has all lines, those from during the view, too.
        let log = std::fs::read_to_string(folder.path().join("log")).expect("a log");
        for words in ["stopping; once more", "0 out, 0 dropped"] {
            assert!(log.contains(words), "no `{words}` in:\n{log}");
        }
    }
}

#[test]
fn a_single_q_stops_no_show() {
    let folder = tempfile::tempdir().expect("a folder");
    let screen = Screen::new();
    let mut show = monitored(folder.path(), ["", ""], &screen);
    screen.press(b"q");
    let mut width = 80;
    until("it asks", || {
        // In a new size everything is drawn, not only what has changed.
        width = 181 - width;
        screen.resize(width);
        screen.text().contains("q again stops the show")
    });
    screen.press(b"x");
    show.routes();
    screen.press(b"qq");
    assert_eq!(show.wait().code(), Some(0));
    screen.is_given_back();
}

/// Nothing is written over the view: what is logged and printed before it stands before it, and
/// what comes while it is there, it shows.
#[test]
fn what_is_logged_and_printed_is_not_written_over_the_view() {
    if support::lacks_python() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let script = "import midimonster\nprint('written-by-the-script', flush=True)\n";
    std::fs::write(folder.path().join("printing.py"), script).expect("written");
    let many: String = (0..200).map(|number| format!("[loopback l{number}]\n")).collect();
    let more = format!("{many}[python script]\nmodule = printing\n[map]\nscript.x > out./x");
    let screen = Screen::new();
    let mut show = Show::start(folder.path(), ["", &more], |run| {
        screen.attach(run.arg("--monitor"));
        run.stderr(screen.terminal.try_clone().expect("a descriptor"));
    });
    screen.until_taken();
    until("the view shows what is printed", || screen.text().contains("written-by-the-script"));
    show.signal("TERM");
    assert_eq!(show.wait().code(), Some(0));
    screen.is_given_back();
    let text = screen.text();
    let (before, rest) = text.split_once(TAKEN).expect("a view");
    let (view, after) = rest.split_once(GIVEN_BACK).expect("its end");
    assert!(before.contains("show.cfg: 203 instances"), "{before}");
    assert!(after.contains("0 in, 0 out"), "{after}");
    // The view draws lines of the log without their date, and never ends a line.
    assert!(!view.contains('\n'), "{view:?}");
}

#[test]
fn a_terminal_that_can_only_print_gets_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let screen = Screen::new();
    let mut show = Show::start(folder.path(), ["", ""], |run| {
        screen.attach(run.arg("--monitor"));
        run.stderr(screen.terminal.try_clone().expect("a descriptor")).env("TERM", "dumb");
    });
    until("a line is written", || screen.text().contains(" s  in./a 0."));
    show.signal("TERM");
    assert_eq!(show.wait().code(), Some(0));
    until("all is said", || screen.text().contains("0 errors"));
    assert!(!screen.text().contains('\u{1b}'), "{}", screen.text());
}

#[test]
fn after_a_second_signal() {
    if support::lacks_python() {
        return;
    }
    for first in ["TERM", "a key"] {
        let folder = tempfile::tempdir().expect("a folder");
        let screen = Screen::new();
        let mut show = monitored(folder.path(), support::slow_clean_up(folder.path()), &screen);
        until("the script runs", || folder.path().join("imported").exists());
        match first {
            "a key" => screen.press(b"\x03"),
            signal => show.signal(signal),
        }
        until("it cleans up", || folder.path().join("cleaning").exists());
        let status = show.signal_until_it_ends("TERM");
        let number = std::os::unix::process::ExitStatusExt::signal(&status);
        assert_eq!(number, Some(15), "after {first}: {status}");
        screen.is_given_back();
    }
}

#[test]
fn after_the_show_was_killed_that_it_is_attached_to_and_after_a_signal_of_its_own() {
    for is_show_killed in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut show = Show::start(folder.path(), ["", ""], |_| {});
        let screen = Screen::new();
        let mut run = command(folder.path());
        screen.attach(run.arg("monitor"));
        let mut view = run.spawn().expect("started");
        screen.until_taken();
        if is_show_killed {
            show.signal("KILL");
        } else {
            support::signal(view.id(), "TERM");
        }
        let mut status = None;
        until("the view ends", || {
            status = view.try_wait().expect("a child");
            status.is_some()
        });
        let code = if is_show_killed { 1 } else { 0 };
        assert_eq!(status.and_then(|it| it.code()), Some(code));
        screen.is_given_back();
        if !is_show_killed {
            show.routes();
        }
    }
}

#[test]
fn a_terminal_that_is_hung_up_ends_the_view_and_not_the_show() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let screen = Screen::new();
    let mut show = monitored(folder.path(), ["", ""], &screen);
    screen.hang_up();
    let said = || std::fs::read_to_string(&log).expect("a log");
    until("the view gives up", || said().contains("the show goes on"));
    show.routes();
    show.signal("TERM");
    assert_eq!(show.wait().code(), Some(0));
}

#[test]
fn a_terminal_that_takes_nothing_holds_nothing_up() {
    for is_twice in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let screen = Screen::new();
        let mut show = monitored(folder.path(), ["", ""], &screen);
        tcflow(&screen.terminal, Action::OOff).expect("held");
        show.routes();
        show.signal("TERM");
        if is_twice {
            show.signal_until_it_ends("TERM");
        } else {
            assert_eq!(show.wait().code(), Some(0));
        }
        let modes = tcgetattr(&screen.terminal).expect("its modes");
        assert_eq!(modes.local_modes, screen.before.local_modes);
    }
}
