//! The nonrealtime context: the operations of a server, written into a score.

use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use consort_osc::TimeTag;

use super::{MAXIMUM_ENTRY, Progress, RenderReport, RenderSettings, Score, ScoreError};
use crate::bundling::packets;
use crate::context::{Context, ContextShared, Host, Outgoing};
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::BootStatus;
use crate::options::Options;

/// A context whose moments become entries of a [`Score`]: the code that plays a server renders to
/// a file.
///
/// Every operation needs a moment at a second counted from the beginning; what a server would
/// answer cannot be asked. Ids are never given out twice, and new nodes go to the root node when
/// nothing is said. There is no latency.
///
/// ```no_run
/// use consort_sc::score::{Nonrealtime, RenderSettings};
/// use consort_sc::synthdef::system;
/// use consort_sc::{Options, Placement};
///
/// let score = Nonrealtime::new(Options { output_bus_channel_count: 2, ..Options::default() })?;
/// let default = system::default();
/// let synth = score.at_once(0.0, |moment| {
///     moment.add_synthdefs([default.file()])?;
///     moment.add_synth(&default, Placement::default(), [("frequency", 220.0)])
/// })?;
/// score.at_once(1.0, |moment| synth.within(moment).set([("gate", 0.0)]))?;
/// score.render("out.wav", Some(2.0), |_| true)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Nonrealtime {
    context: Context,
    host: Arc<ScoreHost>,
}

#[derive(Debug, Default)]
struct ScoreHost {
    score: Mutex<Score>,
}

impl Nonrealtime {
    /// An empty score for a server of these options.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOptions`].
    pub fn new(options: Options) -> Result<Self> {
        options.validate()?;
        let shared = ContextShared::new(options, None, 0.0);
        let host = Arc::new(ScoreHost::default());
        let weak = Arc::downgrade(&host);
        shared.set_host(weak);
        shared.set_boot_status(BootStatus::Online);
        Ok(Self { context: Context::new(shared), host })
    }

    /// The score as it is now.
    pub fn score(&self) -> Score {
        self.host.score.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What [`render`](Nonrealtime::render) uses: this context's options.
    pub fn settings(&self) -> RenderSettings {
        RenderSettings::from_options(&self.context.options())
    }

    /// Renders the score with this context's options; see [`Score::render`], and there also for
    /// other settings.
    ///
    /// # Errors
    /// As [`Score::render`].
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
        if let Some((index, _)) = outgoing.waiting.first() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("a score does not answer {}", outgoing.requests[*index].address()),
            ));
        }
        let tag = super::time_tag(seconds).map_err(|error| invalid_moment(error.to_string()))?;
        let mut score = self.score.lock().unwrap_or_else(PoisonError::into_inner);
        packets(Some(TimeTag::from_raw(tag)), outgoing.requests, MAXIMUM_ENTRY, &mut |bundle| {
            // Mark and time tag are written again with the score.
            score.entries.entry(tag).or_default().extend_from_slice(&bundle[16..]);
            Ok(())
        })
    }

    fn check_time(&self, seconds: Option<f64>) -> Result<()> {
        let Some(seconds) = seconds else {
            return Err(invalid_moment(
                "a score has no present: say at which second, with Context::at".into(),
            ));
        };
        super::time_tag(seconds).map(|_| ()).map_err(|error| invalid_moment(error.to_string()))
    }

    fn reuses_ids(&self) -> bool {
        false
    }

    fn default_target(&self, _client_id: u32) -> i32 {
        0
    }
}
