//! The live view in a terminal. Whatever ends the view, the terminal is restored, and the show
//! continues or ends as it should.
#![cfg(feature = "default")]

mod support;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::OpenptFlags;
use rustix::termios::{Action, LocalModes, Termios, Winsize, tcflow, tcgetattr};
use support::{Show, command, wait_until};

/// Enters the alternate screen.
const ENTER_SCREEN: &str = "\u{1b}[?1049h";
/// Leaves the alternate screen.
const LEAVE_SCREEN: &str = "\u{1b}[?1049l";
/// Reports clicks, and ends that.
const MOUSE: [&str; 2] = ["\u{1b}[?1000h", "\u{1b}[?1000l"];
/// Shows the cursor.
const SHOW_CURSOR: &str = "\u{1b}[?25h";

/// A pseudo terminal that records its output.
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
        let terminal = rustix::pty::ioctl_tiocgptpeer(&master, flags).expect("the terminal's end");
        let before = tcgetattr(&terminal).expect("its modes");
        let (master, text) = (Arc::new(master), Arc::<Mutex<String>>::default());
        let (reading_end, written) = (Arc::clone(&master), Arc::clone(&text));
        let is_over = Arc::<AtomicBool>::default();
        let over = Arc::clone(&is_over);
        let reading = std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            let pause = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
            while !over.load(Ordering::Relaxed) {
                let mut watched = [PollFd::new(&*reading_end, PollFlags::IN)];
                if poll(&mut watched, Some(&pause)).is_ok_and(|ready| ready == 0) {
                    continue;
                }
                let Ok(count @ 1..) = rustix::io::read(&*reading_end, &mut buffer) else { return };
                *written.lock() += &String::from_utf8_lossy(&buffer[..count]);
            }
        });
        Screen { master, terminal, text, before, is_over, reading }
    }

    /// Closes the terminal, as closing its window does.
    fn hang_up(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.reading.join().expect("read");
    }

    /// Connects a command's input and output to the terminal.
    fn attach(&self, run: &mut Command) {
        let end = || self.terminal.try_clone().expect("a descriptor");
        run.stdin(end()).stdout(end()).env("TERM", "xterm");
    }

    fn text(&self) -> String {
        self.text.lock().clone()
    }

    /// Waits until the view is drawn.
    fn wait_until_drawn(&self) {
        wait_until("the view is drawn", || self.text().contains("? keys"));
        let modes = tcgetattr(&self.terminal).expect("its modes");
        assert!(!modes.local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO), "{modes:?}");
    }

    /// Checks that modes, screen and cursor are as before.
    fn assert_restored(&self) {
        let modes = tcgetattr(&self.terminal).expect("its modes");
        assert_eq!(modes.local_modes, self.before.local_modes);
        assert_eq!(modes.input_modes, self.before.input_modes);
        assert_eq!(modes.output_modes, self.before.output_modes);
        wait_until("the previous screen is back", || {
            let text = self.text();
            let end = text.rfind(LEAVE_SCREEN);
            let is_last = end > text.rfind(ENTER_SCREEN)
                && text.rfind(MOUSE[1]) > text.rfind(MOUSE[0])
                && text.rfind(SHOW_CURSOR) > text.rfind("\u{1b}[?25l");
            is_last && end.is_some_and(|end| !text[end..].contains("? keys"))
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
    screen.wait_until_drawn();
    show
}

#[test]
fn a_signal_and_ctrl_c_restore_the_terminal() {
    for end in ["TERM", "INT", "a key"] {
        let folder = tempfile::tempdir().expect("a folder");
        let screen = Screen::new();
        let mut show = monitored(folder.path(), ["", ""], &screen);
        match end {
            "a key" => screen.press(b"\x03"),
            signal => show.signal(signal),
        }
        assert_eq!(show.wait().code(), Some(0), "after {end}");
        screen.assert_restored();
        // The log goes to a file, which also has the lines from the time of the view.
        let log = std::fs::read_to_string(folder.path().join("log")).expect("a log");
        for words in ["stopping; press Ctrl-C again", "0 out, 0 dropped"] {
            assert!(log.contains(words), "no `{words}` in:\n{log}");
        }
    }
}

/// A key that arrives together with a change of the size, and the key after it, both count.
#[test]
fn a_key_and_a_resize_at_the_same_time_lose_no_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let screen = Screen::new();
    let mut show = monitored(folder.path(), ["", ""], &screen);
    // The library handles changes of the size from its first key on.
    screen.press(b"/");
    wait_until("the view reads keys", || screen.text().contains("search:"));
    for key in [b"a", b"b", b"c", b"d"] {
        // Both are there when the process continues. The terminal is not the controlling terminal
        // of the process, so that the signal of the change is sent separately.
        show.signal("STOP");
        wait_until("the process is stopped", || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", show.child.id()));
            stat.expect("a process").rsplit(')').next().is_some_and(|rest| rest.starts_with(" T"))
        });
        screen.press(key);
        screen.resize(80 + u16::from(key[0] % 2));
        show.signal("WINCH");
        show.signal("CONT");
    }
    screen.press(b"e\r");
    let mut width = 80;
    wait_until("the view shows the search", || {
        // After a resize the whole screen is drawn, not only the changes.
        width = 181 - width;
        screen.resize(width);
        screen.text().contains("matching \"abcde\"")
    });
    screen.press(b"\x03");
    assert_eq!(show.wait().code(), Some(0));
    screen.assert_restored();
}

#[test]
fn a_single_q_does_not_stop_the_show() {
    let folder = tempfile::tempdir().expect("a folder");
    let screen = Screen::new();
    let mut show = monitored(folder.path(), ["", ""], &screen);
    screen.press(b"q");
    let mut width = 80;
    wait_until("the view asks", || {
        // After a resize the whole screen is drawn, not only the changes.
        width = 181 - width;
        screen.resize(width);
        screen.text().contains("press q again to stop the show")
    });
    screen.press(b"x");
    show.routes();
    screen.press(b"qq");
    assert_eq!(show.wait().code(), Some(0));
    screen.assert_restored();
}

/// Lines from before the view are printed before it; the view itself shows later ones.
#[test]
fn logs_and_output_of_scripts_are_not_written_over_the_view() {
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
    screen.wait_until_drawn();
    wait_until("the view shows what is printed", || {
        screen.text().contains("written-by-the-script")
    });
    show.signal("TERM");
    assert_eq!(show.wait().code(), Some(0));
    screen.assert_restored();
    let text = screen.text();
    let (before, rest) = text.split_once(ENTER_SCREEN).expect("a view");
    let (view, after) = rest.split_once(LEAVE_SCREEN).expect("its end");
    assert!(before.contains("show.cfg: 203 instances"), "{before}");
    assert!(after.contains("0 in, 0 out"), "{after}");
    // The view moves the cursor instead of ending lines.
    assert!(!view.contains('\n'), "{view:?}");
}

#[test]
fn a_dumb_terminal_gets_plain_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let screen = Screen::new();
    let mut show = Show::start(folder.path(), ["", ""], |run| {
        screen.attach(run.arg("--monitor"));
        run.stderr(screen.terminal.try_clone().expect("a descriptor")).env("TERM", "dumb");
    });
    wait_until("a line is written", || screen.text().contains(" s  in./a 0."));
    show.signal("TERM");
    assert_eq!(show.wait().code(), Some(0));
    wait_until("the summary is printed", || screen.text().contains("0 errors"));
    assert!(!screen.text().contains('\u{1b}'), "{}", screen.text());
}

#[test]
fn a_second_signal_restores_the_terminal() {
    if support::lacks_python() {
        return;
    }
    for first in ["TERM", "a key"] {
        let folder = tempfile::tempdir().expect("a folder");
        let screen = Screen::new();
        let mut show = monitored(folder.path(), support::slow_clean_up(folder.path()), &screen);
        wait_until("the script runs", || folder.path().join("imported").exists());
        match first {
            "a key" => screen.press(b"\x03"),
            signal => show.signal(signal),
        }
        wait_until("the script cleans up", || folder.path().join("cleaning").exists());
        let status = show.signal_until_it_ends("TERM");
        let number = std::os::unix::process::ExitStatusExt::signal(&status);
        assert_eq!(number, Some(15), "after {first}: {status}");
        screen.assert_restored();
    }
}

#[test]
fn a_killed_show_or_a_signal_ends_the_attached_view_and_restores_the_terminal() {
    for is_show_killed in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut show = Show::start(folder.path(), ["", ""], |_| {});
        let screen = Screen::new();
        let mut run = command(folder.path());
        screen.attach(run.arg("monitor"));
        let mut view = run.spawn().expect("started");
        screen.wait_until_drawn();
        if is_show_killed {
            show.signal("KILL");
        } else {
            support::signal(view.id(), "TERM");
        }
        let mut status = None;
        wait_until("the view ends", || {
            status = view.try_wait().expect("a child");
            status.is_some()
        });
        let code = if is_show_killed { 1 } else { 0 };
        assert_eq!(status.and_then(|status| status.code()), Some(code));
        screen.assert_restored();
        if !is_show_killed {
            show.routes();
        }
    }
}

#[test]
fn closing_the_terminal_ends_the_view_but_not_the_show() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let screen = Screen::new();
    let mut show = monitored(folder.path(), ["", ""], &screen);
    screen.hang_up();
    let text = || std::fs::read_to_string(&log).expect("a log");
    wait_until("the view ends", || text().contains("the show continues"));
    show.routes();
    show.signal("TERM");
    assert_eq!(show.wait().code(), Some(0));
}

#[test]
fn a_blocked_terminal_does_not_delay_the_end() {
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

/// A process that is killed when this is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Fails only if the process has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn keys_move_through_a_set_list_and_the_terminal_is_restored() {
    let folder = tempfile::tempdir().expect("a folder");
    // A note at the beginning of each file, which is as long as the format allows.
    for (name, note) in [("one.mid", 60), ("two.mid", 62)] {
        let mut bytes = b"MThd\0\0\0\x06\0\0\0\x01\0\x60MTrk\0\0\0\x0b\0\x90".to_vec();
        bytes.extend([note, 100, 0xff, 0xff, 0xff, 0x7f, 0xff, 0x2f, 0]);
        std::fs::write(folder.path().join(name), bytes).expect("written");
    }
    for end in ["a key", "TERM"] {
        let screen = Screen::new();
        let mut play = command(folder.path());
        screen.attach(&mut play);
        play.args(["midi", "play", "one.mid", "two.mid", "--engine", "embedded"]);
        let mut play = Killed(play.spawn().expect("it runs"));
        let count = |words: &str| screen.text().matches(words).count();
        wait_until("the first file plays", || count("note-on 60 100") == 1);
        screen.press(b"a");
        wait_until("it plays again", || count("note-on 60 100") == 2);
        assert_eq!(count("note-off 60"), 1);
        screen.press(b"n");
        wait_until("the second file plays", || count("note-on 62 100") == 1);
        screen.press(b"p");
        wait_until("the first file plays once more", || count("note-on 60 100") == 3);
        let status = match end {
            "a key" => {
                screen.press(b"n");
                wait_until("the second file plays once more", || count("note-on 62 100") == 2);
                screen.press(b"n");
                Some(0)
            }
            signal => {
                support::signal(play.0.id(), signal);
                Some(130)
            }
        };
        let mut ended = None;
        wait_until("it ends", || {
            ended = play.0.try_wait().expect("a child");
            ended.is_some()
        });
        assert_eq!(ended.and_then(|ended| ended.code()), status, "{}", screen.text());
        let modes = tcgetattr(&screen.terminal).expect("its modes");
        assert_eq!(modes.local_modes, screen.before.local_modes);
    }
}
