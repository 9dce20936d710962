//! What every context offers — a server or a score: requests by the names of what they do, and
//! the entities that they give out. Written once; a [`Host`] says where the requests go.

mod buffers;
mod buses;
mod nodes;
mod scopes;
mod state;
mod synthdefs;

pub use buffers::{BufferContent, BufferRead, BufferWrite};
pub use nodes::{NodeKind, NodeReference, Placement};
pub use scopes::{Scope, ScopeBuffer};
pub(crate) use state::{ContextShared, Effect};

use std::sync::{Arc, Mutex, PoisonError};

use consort_osc::OscMessage;

use crate::entities::{BusGroup, Group, RootNode};
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::BootStatus;
use crate::options::Options;
use crate::pending::{Pending, Slot};
use crate::queries::{StatusInfo, VersionInfo};
use crate::requests::{ClearSchedule, DoNothing, QueryStatus, QueryVersion, Raw, Request};
use crate::shared_memory::SharedMemory;
use crate::values::CalculationRate;

/// Requests on their way to a [`Host`].
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// When they take effect, in the host's own seconds and before its latency; `None` for now.
    pub seconds: Option<f64>,
    /// The requests in order.
    pub requests: &'a [Request],
    /// Places for replies, by the index of the request.
    pub(crate) waiting: &'a [(usize, Arc<Slot<OscMessage>>)],
}

/// Where the requests of a context go: to a server, or into a score.
pub trait Host: Send + Sync + 'static {
    /// Takes requests; all of them or none.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::InvalidMoment`], [`ErrorKind::TooLarge`] …
    fn transmit(&self, outgoing: Outgoing<'_>) -> Result<()>;

    /// Whether a moment may begin at this time.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMoment`] if not.
    fn check_time(&self, seconds: Option<f64>) -> Result<()>;

    /// Whether the ids of freed buffers may be given out again. A score says no.
    fn reuses_ids(&self) -> bool {
        true
    }

    /// The group or root node that new nodes go to when nothing is said.
    fn default_target(&self, client_id: u32) -> i32 {
        client_id as i32 + 1
    }

    /// The server's memory, if it can be reached.
    fn shared_memory(&self) -> Option<Arc<SharedMemory>> {
        None
    }

    /// Tells of something that is probably a mistake.
    fn warn(&self, warning: &str) {
        tracing::warn!("{warning}");
    }
}

#[derive(Debug, Default)]
pub(crate) struct Collected {
    requests: Vec<Request>,
    waiting: Vec<(usize, Arc<Slot<OscMessage>>)>,
    if_sent: Vec<Effect>,
    if_dropped: Vec<Effect>,
    closed: bool,
}

#[derive(Clone, Debug)]
enum Sink {
    Immediate,
    Collecting(Arc<Mutex<Collected>>),
}

/// The operations of a server or a score.
///
/// A `Context` either sends each request at once, or — as the target of a
/// [`Moment`](crate::Moment) or of a completion — collects them. It is cheap to clone, `Send`
/// and `Sync`; no operation blocks.
#[derive(Clone, Debug)]
pub struct Context {
    shared: Arc<ContextShared>,
    sink: Sink,
}

impl Context {
    /// The context of `shared` that sends at once.
    pub(crate) fn new(shared: Arc<ContextShared>) -> Self {
        Self { shared, sink: Sink::Immediate }
    }

    pub(crate) fn collecting(&self) -> (Self, Arc<Mutex<Collected>>) {
        let collected = Arc::new(Mutex::new(Collected::default()));
        let sink = Sink::Collecting(collected.clone());
        (Self { shared: self.shared.clone(), sink }, collected)
    }

    /// The same context, sending at once.
    pub(crate) fn immediate(&self) -> Self {
        Self { shared: self.shared.clone(), sink: Sink::Immediate }
    }

    pub(crate) fn shared(&self) -> &ContextShared {
        &self.shared
    }

    /// Whether both are views of the same server or score.
    pub fn is_same(&self, other: &Context) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    pub(crate) fn check_own(&self, other: &Context, what: &str) -> Result<()> {
        if self.is_same(other) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("the {what} belongs to another server or score"),
        ))
    }

    /// Sends a request, or collects it in a moment.
    ///
    /// Never blocks: over UDP, what takes several large datagrams waits in a queue of this client
    /// and is sent 64 KiB at a time, each once the server has read the one before; over TCP, what
    /// the server does not take yet waits likewise. What is sent later goes behind it. A `sync`
    /// (which blocks or can be awaited) tells when all of it has arrived.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::MomentClosed`], [`ErrorKind::InvalidMoment`],
    /// [`ErrorKind::TooLarge`] (also when more than 64 MiB would wait) or [`ErrorKind::Io`].
    pub fn submit(&self, request: impl Into<Request>) -> Result<()> {
        self.submit_with(request.into(), None, None, None)
    }

    /// Sends a request, or collects it in a moment, and waits for its reply.
    ///
    /// # Errors
    /// As [`Context::submit`]; [`ErrorKind::InvalidArgument`] if the request has no reply.
    pub fn ask(&self, request: impl Into<Request>) -> Result<Pending<OscMessage>> {
        self.ask_for(request, |message| Ok(message.clone()))
    }

    pub(crate) fn ask_for<T>(
        &self,
        request: impl Into<Request>,
        parse: impl FnOnce(&OscMessage) -> Result<T> + Send + 'static,
    ) -> Result<Pending<T>> {
        let slot = Slot::new();
        self.submit_with(request.into(), Some(slot.clone()), None, None)?;
        Ok(Pending::new(slot, parse))
    }

    /// Submits `request`; `if_sent` happens when it is sent, `if_dropped` when it never will be.
    pub(crate) fn submit_with(
        &self,
        request: Request,
        waiting: Option<Arc<Slot<OscMessage>>>,
        if_sent: Option<Effect>,
        if_dropped: Option<Effect>,
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
                let mut collected = collected.lock().unwrap_or_else(PoisonError::into_inner);
                if collected.closed {
                    Err(moment_closed())
                } else {
                    if let Some(slot) = waiting {
                        let index = collected.requests.len();
                        collected.waiting.push((index, slot));
                    }
                    collected.requests.push(request);
                    collected.if_sent.extend(if_sent);
                    collected.if_dropped.extend(if_dropped);
                    return Ok(());
                }
            }
        };
        match &result {
            Ok(()) => self.shared.apply(if_sent),
            Err(_) => self.shared.apply(if_dropped),
        }
        result
    }

    /// Lets `effect` happen now, or when the moment is sent.
    pub(crate) fn effect_if_sent(&self, effect: Effect) -> Result<()> {
        match &self.sink {
            Sink::Immediate => self.shared.apply([effect]),
            Sink::Collecting(collected) => {
                let mut collected = collected.lock().unwrap_or_else(PoisonError::into_inner);
                if collected.closed {
                    return Err(moment_closed());
                }
                collected.if_sent.push(effect);
            }
        }
        Ok(())
    }

    /// Lets `effect` happen if this is a moment that is never sent.
    pub(crate) fn effect_if_dropped(&self, effect: Effect) -> Result<()> {
        if let Sink::Collecting(collected) = &self.sink {
            let mut collected = collected.lock().unwrap_or_else(PoisonError::into_inner);
            if collected.closed {
                drop(collected);
                self.shared.apply([effect]);
                return Err(moment_closed());
            }
            collected.if_dropped.push(effect);
        }
        Ok(())
    }

    /// Sends what was collected; nothing may follow.
    pub(crate) fn send_collected(
        &self,
        collected: &Mutex<Collected>,
        seconds: Option<f64>,
    ) -> Result<()> {
        let taken = close(collected);
        if taken.requests.is_empty() {
            self.shared.apply(taken.if_sent);
            return Ok(());
        }
        let result = self.shared.host().and_then(|host| {
            host.transmit(Outgoing { seconds, requests: &taken.requests, waiting: &taken.waiting })
        });
        if let Err(error) = &result {
            // Nobody else would ever tell them.
            taken.waiting.iter().for_each(|(_, slot)| slot.fill(Err(error.clone())));
        }
        self.shared.apply(if result.is_ok() { taken.if_sent } else { taken.if_dropped });
        result
    }

    /// Forgets what was collected; ids that it allocated are given back.
    pub(crate) fn drop_collected(&self, collected: &Mutex<Collected>) {
        let taken = close(collected);
        for (_, slot) in &taken.waiting {
            slot.fill(Err(Error::new(
                ErrorKind::MomentClosed,
                "the moment of this request was dropped before it was sent",
            )));
        }
        self.shared.apply(taken.if_dropped);
    }

    /// Runs `work` on a context that collects, for requests inside a completion.
    pub(crate) fn collect_completion(
        &self,
        work: impl FnOnce(&Context) -> Result<()>,
    ) -> Result<Vec<Request>> {
        let (context, collected) = self.collecting();
        if let Err(error) = work(&context) {
            context.drop_collected(&collected);
            return Err(error);
        }
        let taken = close(&collected);
        if let Some((index, _)) = taken.waiting.first() {
            let address = taken.requests[*index].address().to_owned();
            self.shared.apply(taken.if_dropped);
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("{address} cannot be waited for inside a completion"),
            ));
        }
        for effect in taken.if_sent {
            self.effect_if_sent(effect)?;
        }
        for effect in taken.if_dropped {
            self.effect_if_dropped(effect)?;
        }
        Ok(taken.requests)
    }

    // ---- general requests ---------------------------------------------------------------

    /// Sends any message (also commands of plugins).
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn send_message(&self, message: OscMessage) -> Result<()> {
        self.submit(Raw(message))
    }

    /// Forgets bundles whose time has not come: those of every client. `/clearSched`
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn clear_schedule(&self) -> Result<()> {
        self.submit(ClearSchedule)
    }

    /// Sends a message that does nothing; it gives a moment in a score its place in time.
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn do_nothing(&self) -> Result<()> {
        self.submit(DoNothing)
    }

    /// What the server is busy with. `/status`
    ///
    /// # Errors
    /// As [`Context::submit`]; the future's are those of [`Pending`].
    pub fn ask_status(&self) -> Result<Pending<StatusInfo>> {
        self.ask_for(QueryStatus, StatusInfo::parse)
    }

    /// Which program answers. `/version`
    ///
    /// # Errors
    /// As [`Context::submit`]; the future's are those of [`Pending`].
    pub fn ask_version(&self) -> Result<Pending<VersionInfo>> {
        self.ask_for(QueryVersion, VersionInfo::parse)
    }

    // ---- properties -----------------------------------------------------------------------

    /// The options in force.
    pub fn options(&self) -> Options {
        self.shared.options()
    }

    /// Where the server stands in its life.
    pub fn boot_status(&self) -> BootStatus {
        self.shared.boot_status()
    }

    /// The client id that the server gave.
    pub fn client_id(&self) -> u32 {
        self.shared.lock().client_id
    }

    /// How many clients the server takes, as it says itself.
    pub fn maximum_logins(&self) -> u32 {
        self.shared.lock().maximum_logins
    }

    /// The context's name, for logs.
    pub fn name(&self) -> Option<String> {
        self.shared.lock().name.clone()
    }

    /// Seconds that are added to the time of every moment.
    pub fn latency(&self) -> f64 {
        self.shared.lock().latency
    }

    /// Sets the seconds that are added to the time of every moment (0.1 for servers).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if it is not finite.
    pub fn set_latency(&self, seconds: f64) -> Result<()> {
        if !seconds.is_finite() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("a latency of {seconds} seconds is not finite"),
            ));
        }
        self.shared.lock().latency = seconds;
        Ok(())
    }

    /// The root of the tree.
    pub fn root_node(&self) -> RootNode {
        RootNode::new(self.immediate())
    }

    /// The group of this client's own: its id is the client id + 1.
    pub fn default_group(&self) -> Group {
        let id = self.client_id() as i32 + 1;
        Group::new(self.immediate(), id)
    }

    /// The hardware's outputs.
    pub fn audio_output_bus_group(&self) -> BusGroup {
        let count = self.options().output_bus_channel_count;
        BusGroup::new(self.immediate(), CalculationRate::Audio, 0, count)
    }

    /// The hardware's inputs.
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

fn close(collected: &Mutex<Collected>) -> Collected {
    let mut collected = collected.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::replace(&mut *collected, Collected { closed: true, ..Collected::default() })
}
