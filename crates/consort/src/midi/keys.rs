//! Keys on the terminal while files play.

use std::io::{IsTerminal as _, Stdin, stdin};
use std::os::fd::AsFd as _;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
};

use super::schedule::Skip;

/// How many keys are read at a time.
const MAX_KEYS: usize = 64;

/// The terminal's keys, without Enter; the modes of the terminal are restored when this is dropped.
///
/// Signals such as Ctrl-C keep their keys. While the process is in the background, it neither reads
/// nor changes the terminal.
pub(super) struct Keys {
    terminal: Option<Stdin>,
    /// The modes before they were changed.
    before: Option<Termios>,
}

impl Keys {
    /// The keys of standard input if that is a terminal; otherwise none.
    pub(super) fn new() -> Self {
        let terminal = Some(stdin()).filter(Stdin::is_terminal);
        let mut keys = Self { terminal, before: None };
        keys.take_terminal();
        keys
    }

    /// No keys, also on a terminal.
    pub(super) fn none() -> Self {
        Self { terminal: None, before: None }
    }

    /// Whether there is a terminal.
    pub(super) fn is_available(&self) -> bool {
        self.terminal.is_some()
    }

    /// Changes the modes of the terminal; again after a shell has changed them, because the process
    /// was suspended and continued. Returns whether keys may be read.
    fn take_terminal(&mut self) -> bool {
        let Some(terminal) = &self.terminal else { return false };
        if is_in_background(terminal) {
            return false;
        }
        let Ok(modes) = tcgetattr(terminal.as_fd()) else { return false };
        let lines = LocalModes::ICANON | LocalModes::ECHO;
        if !modes.local_modes.intersects(lines) {
            return true;
        }
        let mut single = modes.clone();
        single.local_modes.remove(lines);
        single.special_codes[SpecialCodeIndex::VMIN] = 0;
        single.special_codes[SpecialCodeIndex::VTIME] = 0;
        self.before.get_or_insert(modes);
        tcsetattr(terminal.as_fd(), OptionalActions::Now, &single).is_ok()
    }

    /// The last key with a meaning that was pressed since the last call. Does not block.
    pub(super) fn pressed(&mut self) -> Option<Skip> {
        if !self.take_terminal() {
            return None;
        }
        let terminal = self.terminal.as_ref()?;
        let mut watched = [PollFd::new(terminal, PollFlags::IN)];
        let is_ready = poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        if is_ready != Ok(1) {
            return None;
        }
        let mut bytes = [0; MAX_KEYS];
        match rustix::io::read(terminal.as_fd(), &mut bytes) {
            // The terminal has been closed.
            Ok(0) => {
                self.terminal = None;
                None
            }
            Ok(count) => bytes[..count].iter().rev().find_map(|byte| key(*byte)),
            Err(Errno::INTR | Errno::AGAIN) => None,
            Err(_) => {
                self.terminal = None;
                None
            }
        }
    }
}

/// Whether reading or changing the terminal would suspend this process. A terminal that does not
/// control the process suspends nothing.
fn is_in_background(terminal: &Stdin) -> bool {
    tcgetpgrp(terminal.as_fd()).is_ok_and(|group| group != rustix::process::getpgrp())
}

/// The meaning of a key.
fn key(byte: u8) -> Option<Skip> {
    match byte.to_ascii_lowercase() {
        b'n' => Some(Skip::Next),
        b'p' => Some(Skip::Previous),
        b'a' => Some(Skip::Again),
        _ => None,
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let Some(before) = &self.before else { return };
        let terminal = stdin();
        if !is_in_background(&terminal) {
            // If it fails, the terminal is gone.
            let _ = tcsetattr(terminal.as_fd(), OptionalActions::Now, before);
        }
    }
}
