//! The terminal while the live view has it, and giving it back whatever happens: at the end of
//! the view, at a panic of any thread, and when a second signal ends the program.

use std::io::{self, Stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{Command, execute};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::screen::Screen;
use crate::log;

/// Whether the view has the terminal. Who draws or gives it back holds the lock.
static HAS_TERMINAL: Mutex<bool> = Mutex::new(false);

/// Whether it was given back since it was taken. Twice would move the cursor over what was said
/// in between.
static IS_RESTORED: AtomicBool = AtomicBool::new(true);

/// How long a panic waits for whoever is drawing, and the view for lines of the log.
const PATIENCE: Duration = Duration::from_millis(200);

/// The terminal, until it is dropped.
pub(crate) struct Terminal(ratatui::Terminal<CrosstermBackend<Stdout>>);

fn lock() -> MutexGuard<'static, bool> {
    HAS_TERMINAL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Terminal {
    /// Takes it: raw mode, the other screen; the log no longer writes to it.
    ///
    /// # Errors
    /// What the operating system says; the terminal is as before then.
    pub(crate) fn take() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back(PATIENCE);
                before(panic);
            }));
        });
        log::hold(true);
        // What was said before stands before the view.
        log::finish(PATIENCE);
        let mut has_terminal = lock();
        enable_raw_mode().inspect_err(|_| log::hold(false))?;
        *has_terminal = true;
        IS_RESTORED.store(false, Ordering::Release);
        let taken = execute!(io::stdout(), EnterAlternateScreen)
            .and_then(|()| ratatui::Terminal::new(CrosstermBackend::new(io::stdout())));
        drop(has_terminal);
        match taken {
            Ok(terminal) => Ok(Terminal(terminal)),
            Err(error) => {
                give_back(PATIENCE);
                Err(error)
            }
        }
    }

    /// Draws a screen, in the size that the terminal has now.
    ///
    /// # Errors
    /// When the terminal cannot be written to, or was given back.
    pub(crate) fn draw(&mut self, screen: &Screen) -> io::Result<()> {
        let has_terminal = lock();
        if !*has_terminal {
            return Err(io::Error::other("the terminal was given back"));
        }
        self.0.draw(|frame| screen.draw(frame))?;
        Ok(())
    }

    /// Waits for keys until then; false when none came, or when the size may have changed.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(crate) fn has_keys(&self, until: Instant) -> io::Result<bool> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        // Not left to the library, which reads a terminal that was hung up again and again.
        let stdin = io::stdin();
        let mut watched = [PollFd::new(&stdin, PollFlags::IN)];
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut watched, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => return Ok(false),
            done => done?,
        };
        let found = watched[0].revents();
        if found.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            return Err(io::Error::other("the terminal is gone"));
        }
        Ok(found.contains(PollFlags::IN))
    }

    /// A key or another event that has come already.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn take_event(&self) -> io::Result<Option<Event>> {
        if event::poll(Duration::ZERO)? { event::read().map(Some) } else { Ok(None) }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back(PATIENCE);
    }
}

/// Gives the terminal back, if the view has it: cooked mode, the screen and the cursor from
/// before. Waits so long for whoever is drawing; one who is stuck in it is not waited for.
pub(crate) fn give_back(patience: Duration) {
    let end = Instant::now() + patience;
    let guard = loop {
        match HAS_TERMINAL.try_lock() {
            Ok(guard) => break Some(guard),
            Err(std::sync::TryLockError::Poisoned(poisoned)) => break Some(poisoned.into_inner()),
            // The thread that panics while it draws holds the lock itself.
            Err(std::sync::TryLockError::WouldBlock) if Instant::now() >= end => break None,
            Err(std::sync::TryLockError::WouldBlock) => {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    };
    if let Some(mut has_terminal) = guard
        && !std::mem::replace(&mut *has_terminal, false)
    {
        return;
    }
    restore();
    log::hold(false);
}

/// Without the lock of standard output, which a stuck writer holds, and only as long as the
/// terminal takes something.
fn restore() {
    if IS_RESTORED.swap(true, Ordering::AcqRel) {
        return;
    }
    // A terminal that is gone needs no care.
    let _ = disable_raw_mode();
    let mut text = String::new();
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

    const WHO: &str = "CONSORT_TEST_WHO_PANICS";

    /// What the process in the terminal does: it draws, and then something breaks.
    fn panic_in_a_terminal(who: &str) {
        let mut terminal = Terminal::take().expect("a terminal");
        terminal.draw(&Screen::new(Layout::default())).expect("drawn");
        match who {
            "another thread" => {
                let other = std::thread::spawn(|| panic!("broken on purpose"));
                assert!(other.join().is_err());
                let refused = terminal.draw(&Screen::new(Layout::default()));
                assert!(refused.is_err(), "the terminal is no longer the view's");
            }
            "while drawing" => {
                let _lock = lock();
                panic!("broken on purpose");
            }
            _ => panic!("broken on purpose"),
        }
    }

    /// Runs this test again in a terminal of its own, where it panics, and looks at what is left.
    #[test]
    fn a_panic_gives_the_terminal_back_and_is_readable() {
        if let Ok(who) = std::env::var(WHO) {
            return panic_in_a_terminal(&who);
        }
        for who in ["the view", "another thread", "while drawing"] {
            let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
            let master = rustix::pty::openpt(flags).expect("a pseudo terminal");
            rustix::pty::unlockpt(&master).expect("unlocked");
            let end = rustix::pty::ioctl_tiocgptpeer(&master, flags).expect("its other end");
            let before = tcgetattr(&end).expect("its modes");
            let own = || end.try_clone().expect("a descriptor");
            let mut child = Command::new(std::env::current_exe().expect("this program"))
                .args(["--exact", "--nocapture", "--test-threads=1"])
                .arg("monitor::terminal::tests::a_panic_gives_the_terminal_back_and_is_readable")
                .env(WHO, who)
                .stdin(own())
                .stdout(own())
                .stderr(own())
                .spawn()
                .expect("started");
            let reading = std::thread::spawn(move || {
                let (mut text, mut piece) = (String::new(), [0; 4_096]);
                // The end of a terminal is an error; one that hangs is ended by the test runner.
                while let Ok(count @ 1..) = rustix::io::read(&master, &mut piece) {
                    text += &String::from_utf8_lossy(&piece[..count]);
                }
                text
            });
            child.wait().expect("ended");
            let after = tcgetattr(&end).expect("its modes");
            drop(end);
            let text = reading.join().expect("read");
            let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}: {text}"));
            assert!(place("\u{1b}[?1049h") < place("\u{1b}[?1049l"), "{text}");
            assert!(place("\u{1b}[?1049l") < place("broken on purpose"), "{who}: {text}");
            assert!(text.rfind("\u{1b}[?25h") > text.rfind("\u{1b}[?25l"), "{who}: {text}");
            assert_eq!(after.local_modes, before.local_modes, "{who}");
            assert_eq!(after.output_modes, before.output_modes, "{who}");
        }
    }
}
