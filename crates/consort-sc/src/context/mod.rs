//! The operations that servers and scores share.
//!
//! A [`Context`] turns method calls into requests and hands out handles: nodes, buses, buffers.
//! Where the requests go is up to its [`Host`]: a server sends them, a score records them. The
//! operations are therefore written once.

mod buffers;
mod buses;
mod completions;
mod conventions;
mod encoded;
mod handles;
mod ids;
mod nodes;
mod scopes;
mod state;
mod synthdefs;

pub use buffers::{BufferContent, BufferRead, BufferWrite};
pub use completions::Completion;
pub use conventions::Conventions;
pub use encoded::ReplyWait;
pub use handles::{Buffer, BufferGroup, Bus, BusGroup, Entity, Group, Node, RootNode, Synth};
pub use ids::{IdRange, IdRanges};
pub use nodes::{NodeKind, NodeReference, Placement};
pub use scopes::{BusRange, Scope, ScopeBuffer};
pub(crate) use state::ContextShared;

pub(crate) use crate::proto::Release;

use std::sync::Arc;

use consort_osc::OscMessage;
use parking_lot::Mutex;

use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::BootStatus;
use crate::options::Options;
use crate::pending::{Pending, Slot};
use crate::queries::{StatusInfo, VersionInfo};
use crate::requests::{
    ClearSchedule, CompletionRequests, DoNothing, QueryStatus, QueryVersion, Raw, Request,
};
use crate::shared_memory::SharedMemory;
use crate::values::CalculationRate;

/// Requests that a context hands to its [`Host`].
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// When the requests take effect, in seconds on the host's clock and without its latency;
    /// `None` for as soon as possible.
    pub seconds: Option<f64>,
    /// The requests, in order.
    pub requests: &'a [Request],
    /// The slots that the replies go to, by the index of their request.
    pub(crate) waiting: &'a [(usize, Arc<Slot<OscMessage>>)],
}

/// Where a context's requests go: to a server or into a score.
pub trait Host: Send + Sync + 'static {
    /// Takes requests: either all of them or none.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::InvalidMoment`], [`ErrorKind::TooLarge`] …
    fn transmit(&self, outgoing: Outgoing<'_>) -> Result<()>;

    /// Takes a packet that is encoded already.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the host takes requests only, and as `transmit`.
    fn transmit_encoded(&self, _packet: &[u8], _wait: Option<ReplyWait>) -> Result<()> {
        Err(Error::new(ErrorKind::InvalidArgument, "only servers take encoded packets"))
    }

    /// Checks whether a moment may begin at this time.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMoment`] if not.
    fn check_time(&self, seconds: Option<f64>) -> Result<()>;

    /// The node that new nodes are placed in when the caller gives no target.
    fn default_target(&self, client_id: u32) -> i32 {
        client_id as i32 + 1
    }

    /// The server's shared memory, if this process can read it.
    fn shared_memory(&self) -> Option<Arc<SharedMemory>> {
        None
    }

    /// Whether the host runs in real time, so that there is a present time.
    fn has_present(&self) -> bool {
        false
    }

    /// Seconds of sound per second of this computer.
    fn sample_clock_ratio(&self) -> f64 {
        1.0
    }

    /// The position of the sample clock now, in seconds of sound.
    fn sample_position(&self) -> f64 {
        0.0
    }

    /// The time at which the sample clock has the position, in seconds on the host's clock.
    fn time_of_position(&self, position: f64) -> f64 {
        position
    }

    /// Reports a probable mistake of the caller. The default logs it.
    fn warn(&self, warning: &str) {
        tracing::warn!("{warning}");
    }
}

/// The requests of a moment or completion that is still open.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    requests: Vec<Request>,
    waiting: Vec<(usize, Arc<Slot<OscMessage>>)>,
    release_if_sent: Vec<Release>,
    release_if_dropped: Vec<Release>,
    /// The completions that were asked for, by the index of their request. Their requests become
    /// part of it when the moment is closed.
    completions: Vec<(usize, Arc<Mutex<Collected>>)>,
    /// These requests are those of a completion, which cannot wait for replies.
    is_completion: bool,
    closed: bool,
}

impl Collected {
    /// The requests of a completion.
    fn for_completion() -> Self {
        Self { is_completion: true, ..Self::default() }
    }

    /// Rejects a request that cannot be added. `waits` tells whether its reply is awaited.
    fn check(&self, request: &Request, waits: bool) -> Result<()> {
        if self.closed {
            return Err(moment_closed());
        }
        if waits && self.is_completion {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("cannot wait for the reply to {} inside a completion", request.address()),
            ));
        }
        Ok(())
    }
}

/// What a context does with a request.
#[derive(Clone, Debug)]
enum Sink {
    /// Hand it to the host at once.
    Immediate,
    /// Keep it for the moment or completion that is open.
    Collecting(Arc<Mutex<Collected>>),
}

/// The operations of a server or a score.
///
/// A `Context` sends each request at once, unless it belongs to a [`Moment`](crate::Moment) or a
/// completion: then it collects them. It is cheap to clone, `Send` and `Sync`. No operation
/// blocks.
#[derive(Clone, Debug)]
pub struct Context {
    shared: Arc<ContextShared>,
    sink: Sink,
}

impl Context {
    /// A context that sends its requests at once.
    pub(crate) fn new(shared: Arc<ContextShared>) -> Self {
        Self { shared, sink: Sink::Immediate }
    }

    /// The same context, collecting its requests, and the place where it collects them.
    pub(crate) fn collecting(&self) -> (Self, Arc<Mutex<Collected>>) {
        self.collecting_into(Collected::default())
    }

    /// As [`collecting`](Self::collecting), for the requests of a completion.
    fn collecting_completion(&self) -> (Self, Arc<Mutex<Collected>>) {
        self.collecting_into(Collected::for_completion())
    }

    fn collecting_into(&self, collected: Collected) -> (Self, Arc<Mutex<Collected>>) {
        let collected = Arc::new(Mutex::new(collected));
        let sink = Sink::Collecting(collected.clone());
        (Self { shared: self.shared.clone(), sink }, collected)
    }

    /// The same context, sending its requests at once.
    pub(crate) fn immediate(&self) -> Self {
        Self { shared: self.shared.clone(), sink: Sink::Immediate }
    }

    pub(crate) fn shared(&self) -> &ContextShared {
        &self.shared
    }

    /// Whether both belong to the same server or score.
    pub fn is_same(&self, other: &Context) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Rejects a handle of another context; `noun` names it in the error.
    pub(crate) fn check_own(&self, other: &Context, noun: &str) -> Result<()> {
        if self.is_same(other) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("the {noun} belongs to another server or score"),
        ))
    }

    /// Sends a request, or adds it to the open moment.
    ///
    /// This never blocks. Over UDP, a request of several large datagrams waits in a queue of this
    /// client and is sent 64 KiB at a time, each part once the server has read the one before.
    /// Over TCP, bytes that the server does not accept yet wait in the same way. Later requests
    /// queue behind it. `sync` (which blocks or can be awaited) waits until all of it has
    /// arrived.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::MomentClosed`], [`ErrorKind::InvalidMoment`],
    /// [`ErrorKind::TooLarge`] (also when more than 64 MiB would wait) or [`ErrorKind::Io`].
    pub fn submit(&self, request: impl Into<Request>) -> Result<()> {
        self.submit_with(request.into(), None, None, None)
    }

    /// Sends a request, or adds it to the open moment, and returns its pending reply.
    ///
    /// # Errors
    /// Same as [`Context::submit`]; [`ErrorKind::InvalidArgument`] if the request has no reply.
    pub fn ask(&self, request: impl Into<Request>) -> Result<Pending<OscMessage>> {
        self.ask_for(request, |message| Ok(message.clone()))
    }

    /// Like [`Context::ask`], with `parse` applied to the reply.
    pub(crate) fn ask_for<T>(
        &self,
        request: impl Into<Request>,
        parse: impl FnOnce(&OscMessage) -> Result<T> + Send + 'static,
    ) -> Result<Pending<T>> {
        let slot = Slot::new();
        self.submit_with(request.into(), Some(slot.clone()), None, None)?;
        Ok(Pending::new(slot, parse))
    }

    /// Submits `request`. Releases the ids of `if_sent` when it is sent, and those of
    /// `if_dropped` when it fails or its moment is never sent.
    pub(crate) fn submit_with(
        &self,
        request: Request,
        waiting: Option<Arc<Slot<OscMessage>>>,
        if_sent: Option<Release>,
        if_dropped: Option<Release>,
    ) -> Result<()> {
        let result = match &self.sink {
            Sink::Immediate => {
                let requests = [request];
                let waiting = waiting.map(|slot| [(0, slot)]);
                self.shared.host()?.transmit(Outgoing {
                    seconds: None,
                    requests: &requests,
                    waiting: waiting.as_ref().map_or(&[], |waiting| waiting.as_slice()),
                })
            }
            Sink::Collecting(collected) => {
                let mut collected = collected.lock();
                let checked = collected.check(&request, waiting.is_some());
                if checked.is_ok() {
                    if let Some(slot) = waiting {
                        let index = collected.requests.len();
                        collected.waiting.push((index, slot));
                    }
                    collected.requests.push(request);
                    collected.release_if_sent.extend(if_sent);
                    collected.release_if_dropped.extend(if_dropped);
                    return Ok(());
                }
                checked
            }
        };
        match &result {
            Ok(()) => self.shared.release(if_sent),
            Err(_) => self.shared.release(if_dropped),
        }
        result
    }

    /// Submits requests that belong together: at once as one bundle, or into the open moment.
    /// Either all of them are sent or none. Releases the ids of `if_dropped` as
    /// [`submit_with`](Self::submit_with) does.
    pub(crate) fn submit_all(
        &self,
        requests: Vec<Request>,
        if_dropped: Option<Release>,
    ) -> Result<()> {
        if requests.is_empty() {
            return Ok(());
        }
        let result = match &self.sink {
            Sink::Immediate => self.shared.host().and_then(|host| {
                host.transmit(Outgoing { seconds: None, requests: &requests, waiting: &[] })
            }),
            Sink::Collecting(collected) => {
                let mut collected = collected.lock();
                let checked = collected.check(&requests[0], false);
                if checked.is_ok() {
                    collected.requests.extend(requests);
                    collected.release_if_dropped.extend(if_dropped);
                    return Ok(());
                }
                checked
            }
        };
        if result.is_err() {
            self.shared.release(if_dropped);
        }
        result
    }

    /// Adds what was collected to the open moment or completion.
    fn append(&self, collected: &Mutex<Collected>) -> Result<()> {
        let taken = self.close(collected);
        let Sink::Collecting(target) = &self.sink else {
            return self.submit_all(taken.requests, None);
        };
        let mut target = target.lock();
        if target.closed {
            drop(target);
            self.shared.release(taken.release_if_dropped);
            return Err(moment_closed());
        }
        target.requests.extend(taken.requests);
        target.release_if_sent.extend(taken.release_if_sent);
        target.release_if_dropped.extend(taken.release_if_dropped);
        Ok(())
    }

    /// Releases ids now, or when the open moment is sent.
    pub(crate) fn release_if_sent(&self, ids: Release) -> Result<()> {
        match &self.sink {
            Sink::Immediate => self.shared.release([ids]),
            Sink::Collecting(collected) => {
                let mut collected = collected.lock();
                if collected.closed {
                    return Err(moment_closed());
                }
                collected.release_if_sent.push(ids);
            }
        }
        Ok(())
    }

    /// Releases ids if the open moment is never sent.
    pub(crate) fn release_if_dropped(&self, ids: Release) -> Result<()> {
        if let Sink::Collecting(collected) = &self.sink {
            let mut collected = collected.lock();
            if collected.closed {
                drop(collected);
                self.shared.release([ids]);
                return Err(moment_closed());
            }
            collected.release_if_dropped.push(ids);
        }
        Ok(())
    }

    /// Sends the collected requests and closes the moment.
    pub(crate) fn send_collected(
        &self,
        collected: &Mutex<Collected>,
        seconds: Option<f64>,
    ) -> Result<()> {
        let mut taken = self.close(collected);
        if taken.requests.is_empty() {
            self.shared.release(taken.release_if_sent);
            return Ok(());
        }
        let conventions = self.conventions();
        taken.requests = conventions.apply_to_requests(taken.requests, &mut taken.waiting);
        let result = self.shared.host().and_then(|host| {
            host.transmit(Outgoing { seconds, requests: &taken.requests, waiting: &taken.waiting })
        });
        if let Err(error) = &result {
            // The host did not take over these slots, so nothing else would ever fill them.
            taken.waiting.iter().for_each(|(_, slot)| slot.fill(Err(error.clone())));
        }
        self.shared.release(if result.is_ok() {
            taken.release_if_sent
        } else {
            taken.release_if_dropped
        });
        result
    }

    /// Discards the collected requests and releases the ids that they allocated.
    pub(crate) fn drop_collected(&self, collected: &Mutex<Collected>) {
        let taken = self.close(collected);
        for (_, slot) in &taken.waiting {
            slot.fill(Err(Error::new(
                ErrorKind::MomentClosed,
                "the moment of this request was dropped before it was sent",
            )));
        }
        self.shared.release(taken.release_if_dropped);
    }

    /// Runs `work` on a context that collects the requests of a completion.
    pub(crate) fn collect_completion(
        &self,
        work: impl FnOnce(&Context) -> Result<()>,
    ) -> Result<CompletionRequests> {
        let (context, collected) = self.collecting_completion();
        if let Err(error) = work(&context) {
            context.drop_collected(&collected);
            return Err(error);
        }
        let taken = self.close(&collected);
        for ids in taken.release_if_sent {
            self.release_if_sent(ids)?;
        }
        for ids in taken.release_if_dropped {
            self.release_if_dropped(ids)?;
        }
        Ok(CompletionRequests(taken.requests))
    }

    /// Closes a moment or completion and takes its requests, with those of the completions of these
    /// requests.
    fn close(&self, collected: &Mutex<Collected>) -> Collected {
        let mut taken = {
            let mut collected = collected.lock();
            let closed = Collected {
                closed: true,
                is_completion: collected.is_completion,
                ..Collected::default()
            };
            std::mem::replace(&mut *collected, closed)
        };
        for (index, inner) in std::mem::take(&mut taken.completions) {
            // The recursion is as deep as the caller has nested completions.
            let inner = self.close(&inner);
            if let Some(completion) = taken.requests[index].completion_mut() {
                completion.0.extend(inner.requests);
            }
            taken.release_if_sent.extend(inner.release_if_sent);
            taken.release_if_dropped.extend(inner.release_if_dropped);
        }
        if taken.is_completion {
            let conventions = self.conventions();
            taken.requests = conventions.apply_to_requests(taken.requests, &mut []);
        }
        taken
    }
}

/// General requests.
impl Context {
    /// Sends an arbitrary message, such as a command of a plugin.
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn send_message(&self, message: OscMessage) -> Result<()> {
        self.submit(Raw(message))
    }

    /// Discards all bundles, of every client, that the server has scheduled for later.
    /// `/clearSched`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn clear_schedule(&self) -> Result<()> {
        self.submit(ClearSchedule)
    }

    /// Sends a message without effect. A moment of a score that contains only this message still
    /// extends the score to its time.
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn do_nothing(&self) -> Result<()> {
        self.submit(DoNothing)
    }

    /// The server's load, its counts and its sample rates. `/status`
    ///
    /// # Errors
    /// Same as [`Context::submit`]; the future's errors are those of [`Pending`].
    pub fn ask_status(&self) -> Result<Pending<StatusInfo>> {
        self.ask_for(QueryStatus, StatusInfo::parse)
    }

    /// The server's program and its version. `/version`
    ///
    /// # Errors
    /// Same as [`Context::submit`]; the future's errors are those of [`Pending`].
    pub fn ask_version(&self) -> Result<Pending<VersionInfo>> {
        self.ask_for(QueryVersion, VersionInfo::parse)
    }
}

/// Properties.
impl Context {
    /// The options in force.
    pub fn options(&self) -> Options {
        self.shared.options()
    }

    /// The state of the server: offline, booting, online …
    pub fn boot_status(&self) -> BootStatus {
        self.shared.connection().boot_status()
    }

    /// The id that the server assigned to this client, from 0.
    pub fn client_id(&self) -> u32 {
        self.shared.lock().client_id
    }

    /// The number of clients that the server accepts, as it reports it.
    pub fn maximum_logins(&self) -> u32 {
        self.shared.lock().maximum_logins
    }

    /// The context's name, for logs.
    pub fn name(&self) -> Option<String> {
        self.shared.name().map(str::to_owned)
    }

    /// The seconds that are added to the time of every moment.
    pub fn latency(&self) -> f64 {
        self.shared.lock().latency
    }

    /// Sets the seconds that are added to the time of every moment. The default is 0.1 for
    /// servers and 0 for scores.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the latency is not finite.
    pub fn set_latency(&self, seconds: f64) -> Result<()> {
        if !seconds.is_finite() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("expected a finite latency in seconds, not {seconds}"),
            ));
        }
        self.shared.lock().latency = seconds;
        Ok(())
    }

    /// The root of the node tree.
    pub fn root_node(&self) -> RootNode {
        RootNode::new(self.immediate())
    }

    /// This client's own group. Its id is the client id plus 1.
    pub fn default_group(&self) -> Group {
        let id = self.client_id() as i32 + 1;
        Group::new(self.immediate(), id)
    }

    /// The audio buses of the hardware's outputs.
    pub fn audio_output_bus_group(&self) -> BusGroup {
        let count = self.options().output_bus_channel_count;
        BusGroup::new(self.immediate(), CalculationRate::Audio, 0, count)
    }

    /// The audio buses of the hardware's inputs, which follow those of the outputs.
    pub fn audio_input_bus_group(&self) -> BusGroup {
        let options = self.options();
        BusGroup::new(
            self.immediate(),
            CalculationRate::Audio,
            options.output_bus_channel_count,
            options.input_bus_channel_count,
        )
    }
}

fn moment_closed() -> Error {
    Error::new(ErrorKind::MomentClosed, "the moment was sent or dropped before this request")
}
