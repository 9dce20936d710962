//! Replacing the configuration of a running show.
//!
//! | step | thread | what happens |
//! |---|---|---|
//! | prepare | any | [`Reload::new`] compares the new show with the running one; routes, channel numbers and the layout for the views are made |
//! | stop | router | instances that go or restart are stopped as at the end of a show, while everything is routed by the old mappings |
//! | swap | router | between two turns: held values are released, plans are adopted or opened, the new mappings are installed |
//!
//! An error before the swap changes nothing.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::{Handle, STOP_LIMIT};
use crate::backend::{Backend, ChannelTable, Plan};
use crate::engine::{Continued, Engine};
use crate::live::Live;
use crate::routes::Routes;

mod install;
mod prepare;
mod swap;

pub(super) use swap::Reloading;

/// How long [`Handle::reload`] waits: two groups of instances may each take [`STOP_LIMIT`] to stop.
const ANSWER_LIMIT: Duration = Duration::from_secs(2 * STOP_LIMIT.as_secs() + 2);

/// How often a waiting [`Handle::reload`] looks whether the show has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// What became of each instance of an adopted show, by name, in the order of the configuration,
/// and which mappings come and go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adoption {
    /// Instances that adopted their new plan and kept running.
    pub adopted: Vec<String>,
    /// Instances that were stopped and opened again.
    pub restarted: Vec<String>,
    /// Why each of them was restarted, in the order of `restarted`.
    pub reasons: Vec<String>,
    /// Instances that the show did not have before.
    pub opened: Vec<String>,
    /// Instances that were removed, in the order of the old configuration.
    pub closed: Vec<String>,
    /// Mappings that the show did not have before, as `SOURCE > TARGET`.
    pub added_mappings: Vec<String>,
    /// Mappings that were removed.
    pub removed_mappings: Vec<String>,
}

/// A reload that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// What became of the instances and mappings.
    pub adoption: Adoption,
    /// How long nothing was routed.
    pub pause: Duration,
    /// The generation of the new layout.
    pub generation: u64,
}

/// Why a reload was refused; the show runs on unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// Another reload is being carried out.
    #[error("another reload is in progress; try again")]
    Busy,
    /// Another reload has changed the show since this one was prepared.
    #[error("the show was reloaded meanwhile; try again")]
    Outdated,
    /// The show is ending or has ended.
    #[error("the show is ending")]
    Ending,
    /// The event loop does not turn.
    #[error("the event loop did not take the reload within {} seconds", ANSWER_LIMIT.as_secs())]
    NoAnswer,
}

/// What happens to an instance or to a backend's driver.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// The running one takes the new plan.
    Adopt,
    /// The running one is stopped and the plan is opened, for this reason.
    Restart(String),
    /// There is none yet.
    Open,
}

/// An instance of the new show.
struct NewInstance {
    slot: usize,
    driver: usize,
    /// Taken when it is adopted or opened.
    plan: Option<Box<dyn Plan>>,
    fate: Fate,
}

/// A backend of the new show.
struct NewDriver {
    slot: usize,
    /// Taken when it is adopted or opened.
    backend: Option<Box<dyn Backend>>,
    fate: Fate,
}

/// A route that goes while both its ends stay, by the old numbers. Something may be held through
/// it.
struct Release {
    /// The source's number in the show.
    source: u32,
    /// Slot and channel of the target.
    target: (usize, u32),
    /// The target's number in the show.
    target_global: u32,
    is_source_momentary: bool,
    is_target_momentary: bool,
    /// The sources, by their numbers in the show, that the target keeps.
    others: Vec<u32>,
}

/// A new configuration, compared with the running one and ready to replace it. It is made on any
/// thread; what depends on the number of channels is done here, so that the router pauses for as
/// short a time as possible.
pub struct Reload {
    /// The layout that it was compared with.
    base_generation: u64,
    /// In the order of the configuration.
    instances: Vec<NewInstance>,
    drivers: Vec<NewDriver>,
    /// Slots of instances that go.
    closed: Vec<usize>,
    /// Slots of drivers that go.
    closed_drivers: Vec<usize>,
    closed_names: Vec<String>,
    added_mappings: Vec<String>,
    removed_mappings: Vec<String>,
    releases: Vec<Release>,
    routes: Arc<Routes>,
    engine: Engine,
    /// Which routes of the running engine the new one continues; known at the swap.
    continued: Option<Continued>,
    /// The new layout, not visible to other threads yet. Its channels have no values.
    live: Live,
    /// Old and new number in the show of each channel that stays.
    copies: Vec<(u32, u32)>,
    /// By slot.
    tables: Vec<ChannelTable>,
    loop_reports: Vec<u64>,
}

impl std::fmt::Debug for Reload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reload").field("adoption", &self.adoption()).finish_non_exhaustive()
    }
}

impl Reload {
    /// What the reload will do. Instances may still ask for a restart: [`Handle::preview`] asks
    /// them.
    pub fn adoption(&self) -> Adoption {
        self.adoption_in(&self.live)
    }

    /// [`adoption`](Self::adoption), when the new layout has moved to the router.
    fn adoption_in(&self, live: &Live) -> Adoption {
        let mut adoption = Adoption {
            closed: self.closed_names.clone(),
            added_mappings: self.added_mappings.clone(),
            removed_mappings: self.removed_mappings.clone(),
            ..Adoption::default()
        };
        for instance in &self.instances {
            let name = live.instances[instance.slot].name.clone();
            match &instance.fate {
                Fate::Adopt => adoption.adopted.push(name),
                Fate::Restart(reason) => {
                    adoption.restarted.push(name);
                    adoption.reasons.push(reason.clone());
                }
                Fate::Open => adoption.opened.push(name),
            }
        }
        adoption
    }

    /// Slots of the instances that are stopped.
    fn stopping(&self) -> Vec<usize> {
        let restarts = self.instances.iter();
        let restarts = restarts.filter(|instance| matches!(instance.fate, Fate::Restart(_)));
        self.closed.iter().copied().chain(restarts.map(|instance| instance.slot)).collect()
    }
}

/// What the requesting thread gets: the result, and the memory of the old layout, which is freed
/// there because that takes milliseconds for 100,000 channels.
struct Outcome {
    reloaded: Reloaded,
    _leftovers: Leftovers,
}

/// The memory of an old layout.
struct Leftovers {
    _live: Arc<Live>,
    _routes: Arc<Routes>,
    _reload: Box<Reload>,
    /// What instances have replaced.
    _discarded: Vec<Box<dyn Any + Send>>,
}

/// Where the result of a reload goes.
type Answer = SyncSender<Result<Outcome, ReloadError>>;

/// A reload that waits for the router.
pub(super) struct ReloadRequest {
    reload: Box<Reload>,
    /// Nothing is changed; the instances are asked what they would do.
    is_preview: bool,
    answer: Answer,
}

impl ReloadRequest {
    pub(super) fn refuse(self, error: ReloadError) {
        // The one who asked may have stopped waiting.
        let _ = self.answer.try_send(Err(error));
    }
}

impl Handle {
    /// Replaces the configuration of the running show. Blocks until that is done: for as long as
    /// the instances that go or restart take to stop, 8 seconds at most. Must not be called on the
    /// router's thread. A show that is starting is reloaded when it has started.
    ///
    /// # Errors
    /// When another reload is being carried out or has been since `reload` was made, when the
    /// show is ending, or when the event loop does not turn.
    pub fn reload(&self, reload: Reload) -> Result<Reloaded, ReloadError> {
        self.request_reload(reload, false)
    }

    /// What [`reload`](Self::reload) would do, without doing it.
    ///
    /// # Errors
    /// As [`reload`](Self::reload).
    pub fn preview(&self, reload: Reload) -> Result<Adoption, ReloadError> {
        self.request_reload(reload, true).map(|reloaded| reloaded.adoption)
    }

    fn request_reload(&self, reload: Reload, is_preview: bool) -> Result<Reloaded, ReloadError> {
        if self.mailbox.stop.load(Ordering::Acquire) || self.has_ended() {
            return Err(ReloadError::Ending);
        }
        let (answer, answered) = sync_channel(1);
        let request = ReloadRequest { reload: Box::new(reload), is_preview, answer };
        {
            let mut waiting = self.mailbox.reload.lock();
            if waiting.is_some() {
                return Err(ReloadError::Busy);
            }
            *waiting = Some(request);
        }
        self.wake();
        let deadline = Instant::now() + ANSWER_LIMIT;
        loop {
            match answered.recv_timeout(LOOK_INTERVAL) {
                Ok(result) => return result.map(|outcome| outcome.reloaded),
                Err(RecvTimeoutError::Disconnected) => return Err(ReloadError::Ending),
                Err(RecvTimeoutError::Timeout) if self.has_ended() => {
                    return Err(ReloadError::Ending);
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() >= deadline => {
                    // Not carried out later: only one request waits at a time, so it is this one.
                    drop(self.mailbox.reload.lock().take());
                    return Err(ReloadError::NoAnswer);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}
