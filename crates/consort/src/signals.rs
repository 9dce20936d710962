//! SIGINT, SIGTERM and SIGHUP end the show, or whatever else runs, cleanly; a second signal, half
//! a second later or more, ends the program immediately. In a service, SIGHUP reloads the show.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use consort_control::ReloadRequest;
use consort_router::Handle;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::log;
use crate::reload::Reloader;

/// How long restoring the terminal and writing the log may each delay an immediate end.
const EXIT_TIMEOUT: Duration = Duration::from_millis(200);

/// Requests closer to the first one than this count as one. Clean-up handlers turn the lights
/// off, and a bouncing key or a nervous second press must not skip them.
const BOUNCE: Duration = Duration::from_millis(500);

/// When the end was first requested.
static FIRST_REQUEST: OnceLock<Instant> = OnceLock::new();

/// What runs before an immediate end; see [`before_exit`].
static EXIT_HOOK: OnceLock<fn(Duration)> = OnceLock::new();

/// How a request to end counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EndRequest {
    First,
    /// Within [`BOUNCE`] of the first: the same key press or signal.
    Bounced,
    Repeated,
}

/// Has `hook` called before a repeated signal ends the program immediately; its argument is how
/// long it may take. Only the first hook is kept.
pub(crate) fn before_exit(hook: fn(Duration)) {
    let _ = EXIT_HOOK.set(hook);
}

/// Stops the show at the first signal; in a service, SIGHUP reloads it.
///
/// # Errors
/// When the signal handlers cannot be installed.
pub(crate) fn stop_on_signals(handle: Handle, reloader: Option<Reloader>) -> io::Result<()> {
    let repeated = handle.clone();
    // A terminal that is closed sends SIGHUP, too; a service has none.
    let is_service = std::env::var_os("NOTIFY_SOCKET").is_some();
    on_signals(
        reloader.filter(|_| is_service).map(|reloader| move || reload(reloader.clone())),
        move || {
            log_stopping();
            handle.stop();
        },
        move || end_now(&repeated),
    )
}

/// Reloads the show on a thread of its own, so that a signal that ends it is not kept waiting.
fn reload(reloader: Reloader) {
    let reloading = std::thread::Builder::new().name("reload".into()).spawn(move || {
        // The outcome is logged.
        let _ = reloader.reload(&ReloadRequest::default());
    });
    if let Err(error) = reloading {
        tracing::error!("not reloaded: cannot start a thread: {error}");
    }
}

/// Ends what sounds, and the show, unless an instance holds the event loop.
fn end_now(handle: &Handle) {
    handle.stop_now();
    let deadline = Instant::now() + EXIT_TIMEOUT;
    while !handle.has_ended() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Calls `stop` at the first signal, on a thread of its own; a second one restores the terminal
/// and ends the program.
///
/// # Errors
/// When the signal handlers cannot be installed.
pub(crate) fn at_first_signal(stop: impl Fn() + Send + 'static) -> io::Result<()> {
    on_signals(None::<fn()>, stop, || {})
}

/// [`at_first_signal`], with `repeated` called before a second signal ends the program, and `hang_up`
/// instead of `stop` for SIGHUP.
fn on_signals(
    hang_up: Option<impl Fn() + Send + 'static>,
    stop: impl Fn() + Send + 'static,
    repeated: impl Fn() + Send + 'static,
) -> io::Result<()> {
    let mut wanted = vec![SIGINT, SIGTERM];
    // `nohup` and service managers ignore SIGHUP so that a program outlives its terminal.
    if !is_ignored(SIGHUP) {
        wanted.push(SIGHUP);
    }
    let mut signals = Signals::new(wanted)?;
    let waiting = std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if let (SIGHUP, Some(hang_up)) = (signal, &hang_up) {
                hang_up();
                continue;
            }
            match request_end() {
                EndRequest::First => stop(),
                EndRequest::Bounced => {}
                EndRequest::Repeated => {
                    repeated();
                    if let Some(hook) = EXIT_HOOK.get() {
                        hook(EXIT_TIMEOUT);
                    }
                    log::finish(EXIT_TIMEOUT);
                    let _ = signal_hook::low_level::emulate_default_handler(signal);
                }
            }
        }
    });
    let explain = |error: io::Error| {
        io::Error::new(
            error.kind(),
            format!("cannot start the thread that receives signals: {error}"),
        )
    };
    waiting.map_err(explain)?;
    Ok(())
}

/// Counts a key that stops the show as a request to end, so that a signal after it is the second.
pub(crate) fn request_end_by_key() {
    if request_end() == EndRequest::First {
        log_stopping();
    }
}

fn log_stopping() {
    tracing::info!("stopping; press Ctrl-C again to quit immediately");
}

/// Registers a request to end, by a signal or a key.
fn request_end() -> EndRequest {
    let now = Instant::now();
    let Err(_) = FIRST_REQUEST.set(now) else { return EndRequest::First };
    let first = FIRST_REQUEST.get();
    let is_bounced = first.is_some_and(|&first| now.duration_since(first) < BOUNCE);
    if is_bounced { EndRequest::Bounced } else { EndRequest::Repeated }
}

/// Whether the process was started with a signal ignored; false if that cannot be determined.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let set = line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok());
    set.is_some_and(|set| set & (1 << (signal - 1)) != 0)
}

/// A flag that the first signal sets.
///
/// # Errors
/// When the signal handlers cannot be installed.
pub(crate) fn flag_on_signals() -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    at_first_signal(move || set.store(true, Ordering::Release))?;
    Ok(flag)
}
