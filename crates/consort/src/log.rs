//! Logs: through `tracing` to standard error, and the last lines into a ring for onlookers.
//!
//! While the live view has the terminal, lines go to the ring alone; the view shows them.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::EnvFilter;

/// How many lines the ring keeps.
const LINES: usize = 200;
/// How many characters of a line it keeps.
const WIDTH: usize = 400;

static RING: Mutex<Ring> = Mutex::new(Ring { lines: VecDeque::new(), next: 0 });
static IS_HELD: AtomicBool = AtomicBool::new(false);

struct Ring {
    lines: VecDeque<String>,
    /// The number of the line that comes next, counted from the start of the program.
    next: u64,
}

/// Sends logs to standard error, in colour where that is a terminal. `CONSORT_LOG` filters
/// them (`debug`, `consort_router=trace`, …); the default is `info`.
pub(crate) fn init() {
    let filter = EnvFilter::try_from_env("CONSORT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Writer)
        .with_ansi(colour)
        .with_target(false)
        .compact()
        .init();
}

/// Keeps lines from the terminal (they only go to the ring), or lets them through again.
pub(crate) fn hold(is_held: bool) {
    IS_HELD.store(is_held, Ordering::Release);
}

/// The lines from number `from` on, as far as they are kept, and the number of the next one.
pub(crate) fn lines(from: u64) -> (Vec<String>, u64) {
    let ring = RING.lock().unwrap_or_else(PoisonError::into_inner);
    let wanted = usize::try_from(ring.next.saturating_sub(from)).unwrap_or(usize::MAX);
    let skipped = ring.lines.len().saturating_sub(wanted);
    (ring.lines.iter().skip(skipped).cloned().collect(), ring.next)
}

/// Takes one event of the log at a time.
struct Writer;

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let mut ring = RING.lock().unwrap_or_else(PoisonError::into_inner);
        for line in text.lines() {
            if ring.lines.len() == LINES {
                ring.lines.pop_front();
            }
            ring.lines.push_back(plain(line));
            ring.next += 1;
        }
        drop(ring);
        if !IS_HELD.load(Ordering::Acquire) {
            io::stderr().write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// A line without the sequences that colour it and without other control characters.
fn plain(line: &str) -> String {
    let mut kept = String::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // "ESC [ parameters letter"; all that the log's own colours use.
            let _ = characters.find(char::is_ascii_alphabetic);
        } else if !character.is_control() {
            kept.push(character);
        }
    }
    kept.chars().take(WIDTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_keeps_the_last_lines_without_colours() {
        hold(true);
        let (_, from) = lines(u64::MAX);
        Writer
            .write_all(b"\x1b[32m INFO\x1b[0m up\t\x1b[1minstance\x1b[0m=desk\n")
            .expect("written");
        assert_eq!(lines(from), (vec![" INFO upinstance=desk".to_owned()], from + 1));
        for number in 0..2 * LINES {
            Writer.write_all(format!("line {number}\n").as_bytes()).expect("written");
        }
        let (kept, next) = lines(0);
        assert_eq!((kept.len(), next), (LINES, from + 1 + 2 * LINES as u64));
        assert_eq!(kept[LINES - 1], format!("line {}", 2 * LINES - 1));
        hold(false);
    }
}
