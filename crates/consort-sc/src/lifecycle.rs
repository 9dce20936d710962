//! The lifecycle of a server as its clients see it: statuses, events and deadlines.

use std::fmt;
use std::time::Duration;

/// The phase of a server's lifecycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BootStatus {
    /// Not running, or not connected.
    #[default]
    Offline,
    /// Booting, or connecting.
    Booting,
    /// Connected.
    Online,
    /// Quitting, or disconnecting.
    Quitting,
}

/// An event in the lifecycle of a server.
///
/// | case | events, in order |
/// |---|---|
/// | boot | `Booting`, `ProcessBooted`, `Connecting`, `OscConnected`, `Connected`, `Booted` |
/// | connect | `Connecting`, `OscConnected`, `Connected` |
/// | an owner quits | `Quitting`, `Disconnecting`, `OscDisconnected`, `Disconnected`, `ProcessQuit`, `Quit` |
/// | disconnect | `Disconnecting`, `OscDisconnected`, `Disconnected` |
/// | a client quits with force | `Quitting`, `Disconnecting`, `OscDisconnected`, `Disconnected`, `Quit` |
/// | the process exits unexpectedly | `ProcessPanicked`, `OscPanicked`, `Disconnecting`, `Disconnected`, `Quit` |
/// | no answer to health checks | `OscPanicked`, `Disconnecting`, `Disconnected` (and `Quit` for an owner) |
/// | cannot boot | `Booting`, `ProcessPanicked` |
/// | too many clients | `Connecting`, `Disconnecting`, `Disconnected` |
/// | nothing answers | `Connecting`, `OscPanicked`, `Disconnecting`, `Disconnected` |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LifecycleEvent {
    /// The process is being started.
    Booting,
    /// The process is ready.
    ProcessBooted,
    /// The connection is being established.
    Connecting,
    /// The server answers and has accepted the login.
    OscConnected,
    /// The connection is complete: allocators, mirror and groups are ready.
    Connected,
    /// The server was booted and is connected.
    Booted,
    /// The server stopped answering.
    OscPanicked,
    /// The process exited unexpectedly, or could not be started.
    ProcessPanicked,
    /// The server is being quit.
    Quitting,
    /// The connection is being closed.
    Disconnecting,
    /// The socket is closed.
    OscDisconnected,
    /// The connection is closed.
    Disconnected,
    /// The process has exited as requested.
    ProcessQuit,
    /// The server has quit, as far as this client can know.
    Quit,
}

impl LifecycleEvent {
    /// All events, for callbacks that receive every one of them.
    pub const ALL: [LifecycleEvent; 14] = [
        LifecycleEvent::Booting,
        LifecycleEvent::ProcessBooted,
        LifecycleEvent::Connecting,
        LifecycleEvent::OscConnected,
        LifecycleEvent::Connected,
        LifecycleEvent::Booted,
        LifecycleEvent::OscPanicked,
        LifecycleEvent::ProcessPanicked,
        LifecycleEvent::Quitting,
        LifecycleEvent::Disconnecting,
        LifecycleEvent::OscDisconnected,
        LifecycleEvent::Disconnected,
        LifecycleEvent::ProcessQuit,
        LifecycleEvent::Quit,
    ];
}

impl fmt::Display for LifecycleEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            LifecycleEvent::Booting => "BOOTING",
            LifecycleEvent::ProcessBooted => "PROCESS_BOOTED",
            LifecycleEvent::Connecting => "CONNECTING",
            LifecycleEvent::OscConnected => "OSC_CONNECTED",
            LifecycleEvent::Connected => "CONNECTED",
            LifecycleEvent::Booted => "BOOTED",
            LifecycleEvent::OscPanicked => "OSC_PANICKED",
            LifecycleEvent::ProcessPanicked => "PROCESS_PANICKED",
            LifecycleEvent::Quitting => "QUITTING",
            LifecycleEvent::Disconnecting => "DISCONNECTING",
            LifecycleEvent::OscDisconnected => "OSC_DISCONNECTED",
            LifecycleEvent::Disconnected => "DISCONNECTED",
            LifecycleEvent::ProcessQuit => "PROCESS_QUIT",
            LifecycleEvent::Quit => "QUIT",
        })
    }
}

/// How a server that stops answering is detected. `/status` is sent every `interval`. The n-th
/// attempt (from 0) has to be answered within `timeout · backoff^n`; after `attempts` attempts the
/// connection is lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HealthCheck {
    /// Pause after an answer (1 s).
    pub interval: Duration,
    /// How long the first attempt may take (1 s).
    pub timeout: Duration,
    /// The factor by which each further attempt may take longer (1.5).
    pub backoff: f64,
    /// The number of attempts (5).
    pub attempts: u32,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            backoff: 1.5,
            attempts: 5,
        }
    }
}

/// How long operations may take. [`Duration::MAX`] means without a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timeouts {
    /// From the start of the process to its ready line (20 s).
    pub boot: Duration,
    /// From the first packet to a complete connection (5 s).
    pub connect: Duration,
    /// How long the server may take to answer `/quit` (2 s).
    pub quit: Duration,
    /// How long the process may take to exit before it is killed (2 s).
    pub exit: Duration,
    /// How long the server may take to answer a log-out (0.5 s).
    pub log_out: Duration,
    /// How long a reply may take (5 s).
    pub request: Duration,
    /// The health checks.
    pub health: HealthCheck,
}

/// Ten years: longer timeouts are cut to this, so that the sum of a time and a timeout cannot
/// overflow.
pub(crate) const MAX_TIMEOUT: Duration = Duration::from_secs(10 * 365 * 86_400);

impl Timeouts {
    /// The same with no timeout above [`MAX_TIMEOUT`], and with a backoff that is a number of 0 or
    /// more.
    pub(crate) fn bounded(self) -> Self {
        let backoff = self.health.backoff;
        Self {
            boot: self.boot.min(MAX_TIMEOUT),
            connect: self.connect.min(MAX_TIMEOUT),
            quit: self.quit.min(MAX_TIMEOUT),
            exit: self.exit.min(MAX_TIMEOUT),
            log_out: self.log_out.min(MAX_TIMEOUT),
            request: self.request.min(MAX_TIMEOUT),
            health: HealthCheck {
                interval: self.health.interval.min(MAX_TIMEOUT),
                timeout: self.health.timeout.min(MAX_TIMEOUT),
                backoff: if backoff.is_nan() { 1.0 } else { backoff.max(0.0) },
                attempts: self.health.attempts,
            },
        }
    }
}

impl HealthCheck {
    /// How long an attempt, counted from 0, may take.
    pub(crate) fn attempt_timeout(&self, attempt: u32) -> Duration {
        let factor = self.backoff.powi(i32::try_from(attempt).unwrap_or(i32::MAX));
        let timeout = Duration::try_from_secs_f64(self.timeout.as_secs_f64() * factor);
        timeout.unwrap_or(MAX_TIMEOUT).min(MAX_TIMEOUT)
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            boot: Duration::from_secs(20),
            connect: Duration::from_secs(5),
            quit: Duration::from_secs(2),
            exit: Duration::from_secs(2),
            log_out: Duration::from_millis(500),
            request: Duration::from_secs(5),
            health: HealthCheck::default(),
        }
    }
}
