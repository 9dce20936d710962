//! Moments: requests that take effect together, at one time.

use std::sync::{Arc, Mutex};

use crate::context::{Collected, Context};
use crate::error::{Error, ErrorKind, Result};

/// Requests that are collected and sent together.
///
/// A moment is a value of its own: several may be open at once, nested or in many tasks, and
/// none sees the others. It has every operation of a [`Context`]. [`send`](Moment::send) sends
/// it; dropped without that — as by `?` — nothing is sent, and the ids that it allocated are
/// given back.
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
    /// Its time in seconds, before latency; `None` for "as soon as it arrives".
    pub fn seconds(&self) -> Option<f64> {
        self.seconds
    }

    /// Sends what was collected. Nothing at all is sent if a part of it cannot be.
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
    /// Begins a moment: at Unix time `seconds` (plus latency) on a server, at `seconds` from
    /// the start in a score; with `None`, as soon as it arrives at the server.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMoment`] if the context cannot take this time.
    pub fn at(&self, seconds: impl Into<Option<f64>>) -> Result<Moment> {
        let seconds = seconds.into();
        if let Some(seconds) = seconds
            && !seconds.is_finite()
        {
            return Err(Error::new(
                ErrorKind::InvalidMoment,
                format!("{seconds} is no time in seconds"),
            ));
        }
        self.shared().host()?.check_time(seconds)?;
        let (context, collected) = self.collecting();
        Ok(Moment { context, collected, seconds, sent: false })
    }

    /// Runs `work` with a moment and sends it if there was no error.
    ///
    /// # Errors
    /// Those of `work`, in which case nothing is sent, and of [`Context::at`] and
    /// [`Moment::send`].
    pub fn at_once<T>(
        &self,
        seconds: impl Into<Option<f64>>,
        work: impl FnOnce(&Moment) -> Result<T>,
    ) -> Result<T> {
        let moment = self.at(seconds)?;
        let result = work(&moment)?;
        moment.send()?;
        Ok(result)
    }
}
