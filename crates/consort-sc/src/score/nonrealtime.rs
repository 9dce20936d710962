//! The nonrealtime context: the operations of a server, recorded in a score.

use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use consort_osc::TimeTag;
use parking_lot::Mutex;

use super::{MAX_ENTRY_BYTES, Progress, RenderReport, RenderSettings, Score, ScoreError};
use crate::bundling::BUNDLE_HEADER_BYTES;
use crate::context::{Context, ContextShared, Host, Outgoing};
use crate::error::{Error, ErrorKind, Result};
use crate::options::Options;
use crate::proto::{Connection, Submission};

/// A context whose moments become entries of a [`Score`], so that the code that plays on a server
/// can render to a file.
///
/// Differences from a server: every operation needs a moment, whose time in seconds counts from the
/// start; requests with a reply are rejected; ids are never allocated twice; nodes without a
/// placement go into the root node; and there is no latency.
///
/// ```no_run
/// use consort_sc::score::{Nonrealtime, RenderSettings};
/// use consort_sc::synthdef::system;
/// use consort_sc::{Options, Placement};
///
/// let score = Nonrealtime::new(Options { output_bus_channel_count: 2, ..Options::default() })?;
/// let default = system::default();
/// let synth = score.at_time(0.0, |moment| {
///     moment.add_synthdefs([default.file()])?;
///     moment.add_synth(&default, Placement::default(), [("frequency", 220.0)])
/// })?;
/// score.at_time(1.0, |moment| synth.within(moment).set([("gate", 0.0)]))?;
/// score.render("out.wav", Some(2.0), |_| true)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Nonrealtime {
    context: Context,
    host: Arc<ScoreHost>,
}

/// The host that records requests.
#[derive(Debug)]
struct ScoreHost {
    context: Arc<ContextShared>,
    score: Mutex<Score>,
}

impl Nonrealtime {
    /// An empty score for a server with these options.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOptions`].
    pub fn new(options: Options) -> Result<Self> {
        options.validate()?;
        let shared = ContextShared::new(Connection::score(options, MAX_ENTRY_BYTES), None);
        let host = Arc::new_cyclic(|host: &Weak<ScoreHost>| {
            shared.set_host(host.clone());
            ScoreHost { context: shared.clone(), score: Mutex::default() }
        });
        Ok(Self { context: Context::new(shared), host })
    }

    /// A copy of the score so far.
    pub fn score(&self) -> Score {
        self.host.score.lock().clone()
    }

    /// The settings that [`render`](Nonrealtime::render) uses, from this context's options.
    pub fn settings(&self) -> RenderSettings {
        RenderSettings::from_options(&self.context.options())
    }

    /// Renders the score with this context's options. [`Score::render`] has the details, and renders
    /// with other settings.
    ///
    /// # Errors
    /// Same as [`Score::render`].
    pub fn render(
        &self,
        output: impl AsRef<Path>,
        until: Option<f64>,
        progress: impl FnMut(&Progress) -> bool,
    ) -> std::result::Result<RenderReport, ScoreError> {
        self.score().render(output, &self.settings(), until, progress)
    }
}

impl Deref for Nonrealtime {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.context
    }
}

fn invalid_moment(message: String) -> Error {
    Error::new(ErrorKind::InvalidMoment, message)
}

impl Host for ScoreHost {
    fn transmit(&self, outgoing: Outgoing<'_>) -> Result<()> {
        self.check_time(outgoing.seconds)?;
        let seconds = outgoing.seconds.unwrap_or(0.0);
        let tag = super::time_tag(seconds).map_err(|error| invalid_moment(error.to_string()))?;
        let time = Some(TimeTag::from_raw(tag));
        let submission = Submission { time, delay: Duration::ZERO, requests: outgoing.requests };
        let waiting = outgoing.waiting.iter().map(|(index, _)| *index);
        let mut connection = self.context.connection();
        connection.submit(submission, waiting, Duration::ZERO)?;
        let mut score = self.score.lock();
        while let Some(bundle) = connection.poll_transmit(Duration::ZERO) {
            // The score adds the bundle's header when it is encoded.
            score.entries.entry(tag).or_default().extend_from_slice(&bundle[BUNDLE_HEADER_BYTES..]);
        }
        Ok(())
    }

    fn check_time(&self, seconds: Option<f64>) -> Result<()> {
        let Some(seconds) = seconds else {
            return Err(invalid_moment(
                "a score needs a time for every request; use Context::at".into(),
            ));
        };
        super::time_tag(seconds).map(|_| ()).map_err(|error| invalid_moment(error.to_string()))
    }

    fn default_target(&self, _client_id: u32) -> i32 {
        0
    }
}
