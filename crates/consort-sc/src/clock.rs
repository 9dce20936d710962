//! Times for moments: now, in so many seconds, and along the server's sample clock.

use std::sync::Arc;

use crate::context::{Context, Host};
use crate::error::{Error, ErrorKind, Result};
use crate::moment::Moment;

/// A clock that counts seconds of sound: it runs as fast as the server's sample clock, from 0 on.
///
/// The clock of a sound card and that of the computer drift apart, by some seconds a day. A sequence
/// whose times are multiples of a period of the computer's clock slowly moves against sounds whose
/// length is a number of samples, such as loops. This clock follows the sample rate that the server
/// measures and reports about every second; until then, and for a server that reports none, it runs
/// as the computer's clock.
///
/// ```no_run
/// use consort_sc::{Options, Placement, Server};
///
/// let server = Server::new(Options::default())?;
/// server.boot()?;
/// let clock = server.clock();
/// for beat in 1..=16 {
///     // Half a second of sound from beat to beat, however long that is on this computer.
///     let moment = server.at(clock.time_of(f64::from(beat) * 0.5))?;
///     moment.add_synth("default", Placement::default(), [("frequency", 440.0)])?;
///     moment.send()?;
/// }
/// # Ok::<(), consort_sc::Error>(())
/// ```
#[derive(Clone)]
pub struct Clock {
    host: Arc<dyn Host>,
    /// The position of the server's sample clock at 0.
    start: f64,
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Clock").field("seconds", &self.seconds()).finish()
    }
}

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start(host: Arc<dyn Host>) -> Self {
        let start = host.sample_position();
        Self { host, start }
    }

    /// The seconds of sound since the clock was started.
    pub fn seconds(&self) -> f64 {
        self.host.sample_position() - self.start
    }

    /// The time at which the clock will show `seconds`, for [`Context::at`]. Times in the near future
    /// are exact; those far ahead assume that the sample rate stays as it is.
    pub fn time_of(&self, seconds: f64) -> f64 {
        self.host.time_of_position(self.start + seconds)
    }

    /// How fast the server's sample clock runs, in seconds of sound per second of this computer: 1 if
    /// it is not known.
    pub fn rate(&self) -> f64 {
        self.host.sample_clock_ratio()
    }
}

/// The Unix time in seconds, as servers on this computer use it for the times of bundles.
pub(crate) fn unix_now() -> f64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |duration| duration.as_secs_f64())
}

/// Times.
impl Context {
    /// The present time for [`Context::at`]: Unix time in seconds, which is the clock of the server.
    /// If the server runs on another computer, both clocks have to be synchronized (NTP).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMoment`] for a score, whose times count from its start.
    pub fn now(&self) -> Result<f64> {
        let host = self.shared().host()?;
        if host.has_present() {
            return Ok(unix_now());
        }
        Err(Error::new(
            ErrorKind::InvalidMoment,
            "a score has no present time; its times count from its start",
        ))
    }

    /// Begins a moment in `seconds` seconds of sound from now. The latency is added to it, as to
    /// every moment; negative values compensate for it.
    ///
    /// For a sequence, count from a fixed time instead, so that delays of the program do not
    /// accumulate: [`Clock::time_of`].
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMoment`] for a score and for a time that is not finite.
    pub fn after(&self, seconds: f64) -> Result<Moment> {
        self.now()?;
        if !seconds.is_finite() {
            return Err(Error::new(
                ErrorKind::InvalidMoment,
                format!("expected a time in seconds, not {seconds}"),
            ));
        }
        let clock = Clock::start(self.shared().host()?);
        self.at(clock.time_of(seconds))
    }
}
