//! SIGINT, SIGTERM and SIGHUP end the show, or whatever else runs, cleanly; a second one, half a
//! second later or more, ends the program at once.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use consort_router::Handle;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::{log, monitor};

/// How long the terminal and the log may take before the program ends at once.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A key that bounces, or is held for a moment too long, is pressed once: clean-up handlers
/// turn the lights off, and nervous fingers must not keep them from it.
const BOUNCE: Duration = Duration::from_millis(500);

/// When somebody first asked for the end.
static FIRST: OnceLock<Instant> = OnceLock::new();

/// How often the end was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    First,
    /// The same key or signal again, too soon to be meant.
    Bounced,
    Again,
}

/// Stops the show at the first signal.
///
/// # Errors
/// When signals cannot be listened to.
pub(crate) fn stop_on_signals(handle: Handle) -> io::Result<()> {
    at_first_signal(move || {
        say_stopping();
        handle.stop();
    })
}

/// Calls `stop` at the first signal, on a thread of its own; a second one restores the terminal
/// and ends the program.
///
/// # Errors
/// When signals cannot be listened to.
pub(crate) fn at_first_signal(stop: impl Fn() + Send + 'static) -> io::Result<()> {
    let mut wanted = vec![SIGINT, SIGTERM];
    // `nohup` and service managers have programs outlive their terminal.
    if !is_ignored(SIGHUP) {
        wanted.push(SIGHUP);
    }
    let mut signals = Signals::new(wanted)?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            match ask() {
                Asked::First => stop(),
                Asked::Bounced => {}
                Asked::Again => {
                    // Whoever asks twice does not want to wait for clean-up.
                    monitor::give_terminal_back(LAST_WORDS);
                    log::finish(LAST_WORDS);
                    let _ = signal_hook::low_level::emulate_default_handler(signal);
                }
            }
        }
    })?;
    Ok(())
}

/// Somebody asks for the end of the show by a key.
pub(crate) fn ask_by_key() {
    if ask() == Asked::First {
        say_stopping();
    }
}

fn say_stopping() {
    tracing::info!("stopping; once more to stop at once");
}

/// Somebody asks for the end, by a signal or a key.
fn ask() -> Asked {
    let now = Instant::now();
    let Err(_) = FIRST.set(now) else { return Asked::First };
    let is_bounced = FIRST.get().is_some_and(|&first| now.duration_since(first) < BOUNCE);
    if is_bounced { Asked::Bounced } else { Asked::Again }
}

/// Whether the process was started with a signal ignored; no where that cannot be known.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let set = line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok());
    set.is_some_and(|set| set & (1 << (signal - 1)) != 0)
}

/// A flag that the first signal sets.
///
/// # Errors
/// When signals cannot be listened to.
pub(crate) fn flag_on_signals() -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    at_first_signal(move || set.store(true, Ordering::Release))?;
    Ok(flag)
}
