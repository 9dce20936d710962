//! Moments: requests that take effect together at one time.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::context::{Collected, Context};
use crate::error::{Error, ErrorKind, Result};

/// Requests that are collected and sent together.
///
/// A moment has every operation of a [`Context`]. [`send`](Moment::send) sends the collected
/// requests as one bundle. If the moment is dropped first, for example by `?`, nothing is sent and
/// the ids that it allocated are freed.
///
/// Moments are independent of each other: several may be open at once, nested or in different
/// tasks.
#[derive(Debug)]
#[must_use = "a moment that is not sent does nothing"]
pub struct Moment {
    context: Context,
    collected: Arc<Mutex<Collected>>,
    seconds: Option<f64>,
    sent: bool,
}

impl std::ops::Deref for Moment {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.context
    }
}

impl Moment {
    /// The moment's time in seconds, without latency; `None` for as soon as it arrives.
    pub fn seconds(&self) -> Option<f64> {
        self.seconds
    }

    /// Sends the collected requests. If one of them cannot be sent, none is.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::TooLarge`], [`ErrorKind::Io`].
    pub fn send(mut self) -> Result<()> {
        self.sent = true;
        self.context.send_collected(&self.collected, self.seconds)
    }
}

impl Drop for Moment {
    fn drop(&mut self) {
        if !self.sent {
            self.context.drop_collected(&self.collected);
        }
    }
}

impl Context {
    /// Begins a moment. On a server, `seconds` is the Unix time, to which the latency is added, and
    /// `None` makes the moment take effect as soon as it arrives. In a score, `seconds` counts from
    /// the start and is required.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMoment`] if the context does not accept this time.
    pub fn at(&self, seconds: impl Into<Option<f64>>) -> Result<Moment> {
        let seconds = seconds.into();
        if let Some(seconds) = seconds
            && !seconds.is_finite()
        {
            return Err(Error::new(
                ErrorKind::InvalidMoment,
                format!("expected a time in seconds, not {seconds}"),
            ));
        }
        self.shared().host()?.check_time(seconds)?;
        let (context, collected) = self.collecting();
        Ok(Moment { context, collected, seconds, sent: false })
    }

    /// Runs `work` with a new moment at a time and sends the moment if `work` succeeds: all its
    /// requests take effect together at that time, which [`Context::at`] describes.
    ///
    /// ```
    /// use consort_sc::score::Nonrealtime;
    /// use consort_sc::{Options, Placement, settings};
    ///
    /// let score = Nonrealtime::new(Options::default())?;
    /// score.at_time(2.5, |moment| {
    ///     moment.add_synth("default", Placement::default(), settings! { frequency: 220.0 })?;
    ///     moment.add_synth("default", Placement::default(), settings! { frequency: 330.0 })
    /// })?;
    /// # Ok::<(), consort_sc::Error>(())
    /// ```
    ///
    /// # Errors
    /// The errors of `work`, after which nothing is sent, and those of [`Context::at`] and
    /// [`Moment::send`].
    pub fn at_time<T>(
        &self,
        seconds: impl Into<Option<f64>>,
        work: impl FnOnce(&Moment) -> Result<T>,
    ) -> Result<T> {
        let moment = self.at(seconds)?;
        let result = work(&moment)?;
        moment.send()?;
        Ok(result)
    }

    /// The same as [`Context::at_time`], under its former name: "at once" means "together", not "now".
    ///
    /// # Errors
    /// Same as [`Context::at_time`].
    pub fn at_once<T>(
        &self,
        seconds: impl Into<Option<f64>>,
        work: impl FnOnce(&Moment) -> Result<T>,
    ) -> Result<T> {
        self.at_time(seconds, work)
    }
}
