//! The terminal while the live view uses it. It is restored whatever happens: at the end of the
//! view, when any thread panics, and when a second signal ends the program.

use std::io::{self, Stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossterm::cursor::Show;
use crossterm::event::{self, Event};
use crossterm::style::Print;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{Command, execute};
use parking_lot::Mutex;
use ratatui::backend::CrosstermBackend;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::screen::Screen;
use crate::{log, signals};

/// Whether the view owns the terminal. Drawing and restoring hold the lock.
static OWNS_TERMINAL: Mutex<bool> = Mutex::new(false);

/// Whether the terminal was restored since it was taken. Restoring it twice would move the cursor
/// over what was printed in between.
static IS_RESTORED: AtomicBool = AtomicBool::new(true);

/// How long restoring waits for a drawing thread, and taking waits for lines of the log.
const LOCK_TIMEOUT: Duration = Duration::from_millis(200);

/// Reports clicks and the wheel, but not motion, with coordinates in decimals (SGR).
const ENABLE_MOUSE: &str = "\x1b[?1000h\x1b[?1006h";

/// Ends what [`ENABLE_MOUSE`] begins.
const DISABLE_MOUSE: &str = "\x1b[?1006l\x1b[?1000l";

/// The terminal while the view owns it; dropping this restores it.
pub(crate) struct Terminal(ratatui::Terminal<CrosstermBackend<Stdout>>);

impl Terminal {
    /// Takes the terminal: raw mode, the alternate screen; the log no longer writes to it.
    ///
    /// # Errors
    /// When the terminal cannot be set up; it is restored then.
    pub(crate) fn take() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let previous = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore(LOCK_TIMEOUT);
                previous(panic);
            }));
            signals::before_exit(restore);
        });
        log::hold(true);
        // Lines from before the view must not be written over it.
        log::finish(LOCK_TIMEOUT);
        let mut owns_terminal = OWNS_TERMINAL.lock();
        enable_raw_mode().inspect_err(|_| log::hold(false))?;
        *owns_terminal = true;
        IS_RESTORED.store(false, Ordering::Release);
        let taken = execute!(io::stdout(), EnterAlternateScreen, Print(ENABLE_MOUSE))
            .and_then(|()| ratatui::Terminal::new(CrosstermBackend::new(io::stdout())));
        drop(owns_terminal);
        match taken {
            Ok(terminal) => Ok(Terminal(terminal)),
            Err(error) => {
                restore(LOCK_TIMEOUT);
                Err(error)
            }
        }
    }

    /// Draws a screen in the current size of the terminal.
    ///
    /// # Errors
    /// When the terminal cannot be written to, or was restored.
    pub(crate) fn draw(&mut self, screen: &mut Screen) -> io::Result<()> {
        let owns_terminal = OWNS_TERMINAL.lock();
        if !*owns_terminal {
            return Err(io::Error::other("the terminal was restored"));
        }
        self.0.draw(|frame| screen.draw(frame))?;
        Ok(())
    }

    /// The next key, click or change of the size; `None` at a time without one.
    ///
    /// The library alone waits: it may have read more than it has returned, so that waiting for the
    /// descriptor here would miss keys. Its feature `use-dev-tty` waits with `poll`, which reports
    /// a key again that arrived together with a signal.
    ///
    /// # Errors
    /// When the terminal cannot be read or has been closed.
    pub(crate) fn next_event(&self, until: Instant) -> io::Result<Option<Event>> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        // Checked here, because the library reads a closed terminal again and again.
        let stdin = io::stdin();
        let mut watched = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut watched, Some(&Timespec::default())) {
            Err(rustix::io::Errno::INTR) => {}
            done => drop(done?),
        }
        if watched[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            return Err(io::Error::other("the terminal was closed"));
        }
        if event::poll(left)? { event::read().map(Some) } else { Ok(None) }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore(LOCK_TIMEOUT);
    }
}

/// Restores the terminal if the view owns it: cooked mode, the previous screen, the cursor. Waits
/// at most `timeout` for a thread that is drawing, then restores the terminal anyway.
pub(crate) fn restore(timeout: Duration) {
    // A thread that panics while it draws holds the lock itself, so this may time out.
    if let Some(mut owns_terminal) = OWNS_TERMINAL.try_lock_for(timeout)
        && !std::mem::replace(&mut *owns_terminal, false)
    {
        return;
    }
    reset();
    log::hold(false);
}

/// Resets the modes and the screen. Does not use the lock of standard output, which a blocked
/// writer may hold, and writes only if the terminal accepts output.
fn reset() {
    if IS_RESTORED.swap(true, Ordering::AcqRel) {
        return;
    }
    // This fails only if the terminal is closed, and then there is nothing to reset.
    let _ = disable_raw_mode();
    let mut text = DISABLE_MOUSE.to_owned();
    if LeaveAlternateScreen.write_ansi(&mut text).and_then(|()| Show.write_ansi(&mut text)).is_err()
    {
        return;
    }
    let stdout = io::stdout();
    let mut watched = [PollFd::new(&stdout, PollFlags::OUT)];
    if poll(&mut watched, Some(&Timespec::default())).is_ok_and(|ready| ready > 0) {
        let _ = rustix::io::write(&stdout, text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use consort_control::Layout;
    use rustix::pty::OpenptFlags;
    use rustix::termios::tcgetattr;

    use super::*;

    /// The environment variable that selects the thread of the child process that panics.
    const PANICKING_THREAD: &str = "CONSORT_TEST_PANICKING_THREAD";

    /// The child process: draws, then panics.
    fn panic_in_a_terminal(thread: &str) {
        let mut terminal = Terminal::take().expect("a terminal");
        terminal.draw(&mut Screen::new(Layout::default())).expect("drawn");
        match thread {
            "another thread" => {
                let other = std::thread::spawn(|| panic!("panic of the test"));
                assert!(other.join().is_err());
                let refused = terminal.draw(&mut Screen::new(Layout::default()));
                assert!(refused.is_err(), "the terminal was restored");
            }
            "while drawing" => {
                let _lock = OWNS_TERMINAL.lock();
                panic!("panic of the test");
            }
            _ => panic!("panic of the test"),
        }
    }

    /// Runs this test again in a pseudo terminal, where it panics, and checks the terminal.
    #[test]
    fn a_panic_restores_the_terminal_and_is_readable() {
        if let Ok(thread) = std::env::var(PANICKING_THREAD) {
            return panic_in_a_terminal(&thread);
        }
        for thread in ["the view", "another thread", "while drawing"] {
            let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
            let master = rustix::pty::openpt(flags).expect("a pseudo terminal");
            rustix::pty::unlockpt(&master).expect("unlocked");
            let end = rustix::pty::ioctl_tiocgptpeer(&master, flags).expect("the terminal's end");
            let before = tcgetattr(&end).expect("its modes");
            let own = || end.try_clone().expect("a descriptor");
            let mut child = Command::new(std::env::current_exe().expect("this program"))
                .args(["--exact", "--nocapture", "--test-threads=1"])
                .arg("monitor::terminal::tests::a_panic_restores_the_terminal_and_is_readable")
                .env(PANICKING_THREAD, thread)
                .stdin(own())
                .stdout(own())
                .stderr(own())
                .spawn()
                .expect("started");
            let reading = std::thread::spawn(move || {
                let (mut text, mut buffer) = (String::new(), [0; 4_096]);
                // Reading fails when the last user of the terminal has closed it.
                while let Ok(count @ 1..) = rustix::io::read(&master, &mut buffer) {
                    text += &String::from_utf8_lossy(&buffer[..count]);
                }
                text
            });
            child.wait().expect("ended");
            let after = tcgetattr(&end).expect("its modes");
            drop(end);
            let text = reading.join().expect("read");
            let offset =
                |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part} in {text}"));
            assert!(offset("\u{1b}[?1049h") < offset("\u{1b}[?1049l"), "{text}");
            assert!(offset("\u{1b}[?1049l") < offset("panic of the test"), "{thread}: {text}");
            assert!(offset("\u{1b}[?1000h") < offset("\u{1b}[?1000l"), "{thread}: {text}");
            assert!(text.rfind("\u{1b}[?25h") > text.rfind("\u{1b}[?25l"), "{thread}: {text}");
            assert_eq!(after.local_modes, before.local_modes, "{thread}");
            assert_eq!(after.output_modes, before.output_modes, "{thread}");
        }
    }
}
