//! The life of a server as its clients see it: statuses, events and deadlines.

use std::fmt;
use std::time::Duration;

/// Where a server stands in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BootStatus {
    /// Not running, or not connected.
    #[default]
    Offline,
    /// Starting, or connecting.
    Booting,
    /// Connected.
    Online,
    /// Ending, or disconnecting.
    Quitting,
}

/// What happened in the life of a server.
///
/// | case | events, in order |
/// |---|---|
/// | boot | `Booting`, `ProcessBooted`, `Connecting`, `OscConnected`, `Connected`, `Booted` |
/// | connect | `Connecting`, `OscConnected`, `Connected` |
/// | an owner quits | `Quitting`, `Disconnecting`, `OscDisconnected`, `Disconnected`, `ProcessQuit`, `Quit` |
/// | disconnect | `Disconnecting`, `OscDisconnected`, `Disconnected` |
/// | a client quits with force | `Quitting`, `Disconnecting`, `OscDisconnected`, `Disconnected`, `Quit` |
/// | the process dies | `ProcessPanicked`, `OscPanicked`, `Disconnecting`, `Disconnected`, `Quit` |
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
    /// The connection is being made.
    Connecting,
    /// The server answers and has taken the login.
    OscConnected,
    /// The connection is complete: allocators, mirror and groups are there.
    Connected,
    /// The server was started and is connected.
    Booted,
    /// The server stopped answering.
    OscPanicked,
    /// The process ended by itself, or did not start.
    ProcessPanicked,
    /// The server is being ended.
    Quitting,
    /// The connection is being ended.
    Disconnecting,
    /// The socket is closed.
    OscDisconnected,
    /// The connection is gone.
    Disconnected,
    /// The process has ended as it was asked to.
    ProcessQuit,
    /// The server has ended, for this client.
    Quit,
}

impl LifecycleEvent {
    /// Every event, for callbacks that want all of them.
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

/// How a server that stops answering is noticed: `/status` is asked every `interval`; the
/// n-th try (from 0) is given `timeout · backoff^n`; after `attempts` tries it is lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HealthCheck {
    /// Pause after an answer (1 s).
    pub interval: Duration,
    /// How long the first try may take (1 s).
    pub timeout: Duration,
    /// By how much each try may take longer (1.5).
    pub backoff: f64,
    /// Tries (5).
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

/// How long things may take; [`Duration::MAX`] is for ever.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timeouts {
    /// From the start of the process to its ready line (20 s).
    pub boot: Duration,
    /// From the first packet to a complete connection (5 s).
    pub connect: Duration,
    /// How long the server may take to answer `/quit` (2 s).
    pub quit: Duration,
    /// How long the process may take to end before it is killed (2 s).
    pub exit: Duration,
    /// How long the server may take to answer a log-out (0.5 s).
    pub log_out: Duration,
    /// How long a reply may take (5 s).
    pub request: Duration,
    /// Health checks.
    pub health: HealthCheck,
}

/// No deadline is further away: as good as none, and no sum of two overflows.
pub(crate) const FOREVER: Duration = Duration::from_secs(10 * 365 * 86_400);

impl Timeouts {
    /// The same with nothing beyond [`FOREVER`], and with a backoff that can be computed with.
    pub(crate) fn bounded(self) -> Self {
        let backoff = self.health.backoff;
        Self {
            boot: self.boot.min(FOREVER),
            connect: self.connect.min(FOREVER),
            quit: self.quit.min(FOREVER),
            exit: self.exit.min(FOREVER),
            log_out: self.log_out.min(FOREVER),
            request: self.request.min(FOREVER),
            health: HealthCheck {
                interval: self.health.interval.min(FOREVER),
                timeout: self.health.timeout.min(FOREVER),
                backoff: if backoff.is_nan() { 1.0 } else { backoff.max(0.0) },
                attempts: self.health.attempts,
            },
        }
    }
}

impl HealthCheck {
    /// How long a try may take, counted from 0.
    pub(crate) fn patience(&self, attempt: u32) -> Duration {
        let factor = self.backoff.powi(i32::try_from(attempt).unwrap_or(i32::MAX));
        let patience = Duration::try_from_secs_f64(self.timeout.as_secs_f64() * factor);
        patience.unwrap_or(FOREVER).min(FOREVER)
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
