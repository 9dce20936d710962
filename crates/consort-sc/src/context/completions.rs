//! Completions that are filled after their request was made.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{Collected, Context, Sink, moment_closed};
use crate::error::{Error, ErrorKind, Result};

/// The completion of a request that is in a moment: requests that the server performs when the
/// request is done.
///
/// A method that ends in `_then` takes the completion as a closure. A `Completion` instead can be
/// filled at any time before its moment is sent, and as often as needed: it dereferences to a
/// [`Context`], whose requests go into it. Completions nest: the requests of a completion may have
/// completions of their own.
///
/// ```
/// use consort_sc::score::Nonrealtime;
/// use consort_sc::synthdef::system;
/// use consort_sc::{BufferContent, Options, Placement};
///
/// let score = Nonrealtime::new(Options::default())?;
/// let default = system::default();
/// let moment = score.at(0.0)?;
/// let buffer = moment.add_buffer(BufferContent::empty(1, 64))?;
/// let when_allocated = moment.completion()?;
/// moment.add_synthdefs([default.file()])?;
/// let when_loaded = moment.completion()?;
/// when_allocated.set_buffer(&buffer, 0, 0.5)?;
/// when_loaded.add_synth(&default, Placement::default(), [("frequency", 220.0)])?;
/// when_allocated.set_buffer(&buffer, 1, 0.25)?;
/// moment.send()?;
/// # Ok::<(), consort_sc::Error>(())
/// ```
///
/// After the moment was sent or dropped, its operations fail with
/// [`ErrorKind::MomentClosed`]. Requests that wait for a reply are not possible in a completion.
#[derive(Clone, Debug)]
pub struct Completion {
    context: Context,
}

impl std::ops::Deref for Completion {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.context
    }
}

impl Completion {
    /// Adds the requests of `work`, or none of them if it fails.
    ///
    /// # Errors
    /// The errors of `work`, and [`ErrorKind::MomentClosed`].
    pub fn fill<T>(&self, work: impl FnOnce(&Context) -> Result<T>) -> Result<T> {
        let (context, collected) = self.context.collecting_completion();
        match work(&context) {
            Ok(result) => {
                self.context.append(&collected)?;
                Ok(result)
            }
            Err(error) => {
                context.drop_collected(&collected);
                Err(error)
            }
        }
    }

    /// Whether requests can still be added.
    pub fn is_open(&self) -> bool {
        match &self.context.sink {
            Sink::Immediate => false,
            Sink::Collecting(collected) => !collected.lock().closed,
        }
    }
}

impl Context {
    /// The completion of the last request that was made on this moment or completion. Asked twice
    /// for the same request, it is the same completion.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMoment`] outside of a moment, where the request was sent already;
    /// [`ErrorKind::InvalidArgument`] if there is no request yet or if it has no completion;
    /// [`ErrorKind::MomentClosed`] after the moment was sent.
    pub fn completion(&self) -> Result<Completion> {
        let Sink::Collecting(collected) = &self.sink else {
            return Err(Error::new(
                ErrorKind::InvalidMoment,
                "the request was sent already; make it on a moment, and fill its completion before \
                 the moment is sent",
            ));
        };
        let mut collected = collected.lock();
        if collected.closed {
            return Err(moment_closed());
        }
        let index = collected.requests.len().checked_sub(1).ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "the moment has no request yet")
        })?;
        if collected.requests[index].completion_mut().is_none() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "{} has no completion; the server performs it at once",
                    collected.requests[index].address()
                ),
            ));
        }
        let known = collected.completions.iter().find(|(other, _)| *other == index);
        let inner = match known {
            Some((_, inner)) => inner.clone(),
            None => {
                let inner = Arc::new(Mutex::new(Collected::for_completion()));
                collected.completions.push((index, inner.clone()));
                inner
            }
        };
        let sink = Sink::Collecting(inner);
        Ok(Completion { context: Context { shared: self.shared.clone(), sink } })
    }
}
