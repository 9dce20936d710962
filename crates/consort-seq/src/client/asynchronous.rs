//! The client whose methods are futures.

use std::fmt;
use std::ops::Deref;
use std::time::{Duration, Instant};

use super::base::{ClientBase, ClientBuilder};
use super::blocking::RoomForAll;
use super::buffers::{BytesOrEvent, Flush};
use super::core::{BACK_OFF, Direction, deadline};
use super::error::Result;
use super::reactor::Reactor;
#[cfg(feature = "tokio")]
use super::reactor_tokio::TokioReactor;
use super::routing::Routing;
use super::watch::AsyncWatch;
use crate::event::Event;

/// A client of the sequencer whose input and output are futures.
///
/// They run on any executor: a thread of the client's own waits for the sequencer and wakes
/// tasks. (With the feature `tokio`,
/// [`ClientBuilder::open_tokio`](crate::ClientBuilder) lets tokio's reactor wait instead.) Any
/// number of tasks may read and write at once; every event goes to one of them. Dropping a
/// future before it is ready loses no event. What does not wait stands in [`ClientBase`], to
/// which this dereferences.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use consort_seq::AsyncSequencerClient;
///
/// let client = AsyncSequencerClient::new("echo")?;
/// let port = client.create_port("echo")?;
/// while let Some(event) = client.event_input(None).await? {
///     client.event_output(&event.to_subscribers(), &port).await?;
///     client.drain_output().await?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct AsyncSequencerClient {
    base: ClientBase,
    driver: Driver,
}

enum Driver {
    Thread(Reactor),
    #[cfg(feature = "tokio")]
    Tokio(TokioReactor),
}

impl Deref for AsyncSequencerClient {
    type Target = ClientBase;

    fn deref(&self) -> &ClientBase {
        &self.base
    }
}

impl fmt::Debug for AsyncSequencerClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.base, formatter)
    }
}

/// Result of an attempt to write.
enum Attempt<T> {
    Done(T),
    /// There is no room; how much has ever been written.
    Blocked(u64),
}

impl AsyncSequencerClient {
    /// Opens a client called `name` for input and output, on the engine that the environment
    /// says, driven by a thread of its own; see [`ClientBuilder`].
    ///
    /// # Errors
    /// [`ErrorKind::Open`](crate::ErrorKind::Open) if there is no sequencer or no room for
    /// another client; the text says which module or group is missing.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        ClientBuilder::new(name).open_async()
    }

    /// How to open a client otherwise.
    #[must_use]
    pub fn builder(name: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(name)
    }

    pub(crate) fn with_thread(base: ClientBase) -> Result<Self> {
        let driver = Driver::Thread(Reactor::start(&base.core)?);
        Ok(Self { base, driver })
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn with_tokio(base: ClientBase) -> Result<Self> {
        let driver = Driver::Tokio(TokioReactor::start(&base.core)?);
        Ok(Self { base, driver })
    }

    /// Ends the client; see [`ClientBase::close`].
    pub fn close(&self) {
        self.base.close();
        match &self.driver {
            Driver::Thread(_) => {}
            #[cfg(feature = "tokio")]
            Driver::Tokio(reactor) => reactor.release(),
        }
    }

    /// Runs `attempt` until it gives something, fails, or the time is over (`None`).
    async fn run<T>(
        &self,
        direction: Direction,
        until: Option<Instant>,
        mut attempt: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        match &self.driver {
            Driver::Thread(reactor) => loop {
                if let Some(value) = attempt()? {
                    return Ok(Some(value));
                }
                if until.is_some_and(|until| Instant::now() >= until) {
                    return Ok(None);
                }
                reactor.wait(Some(direction), until).await;
            },
            #[cfg(feature = "tokio")]
            Driver::Tokio(reactor) => reactor.run(direction, until, attempt).await,
        }
    }

    async fn pause(&self) {
        let until = Instant::now() + BACK_OFF;
        match &self.driver {
            Driver::Thread(reactor) => reactor.wait(None, Some(until)).await,
            #[cfg(feature = "tokio")]
            Driver::Tokio(_) => tokio::time::sleep_until(until.into()).await,
        }
    }

    /// Runs an attempt to write until it is done, the time is over, or it fails, waiting for
    /// room in between; where there is room and yet nothing is taken, it stays away a moment.
    async fn run_output<T>(
        &self,
        until: Option<Instant>,
        mut attempt: impl FnMut() -> Result<Attempt<T>>,
    ) -> Result<Option<T>> {
        let mut before = None;
        loop {
            let removed = match attempt()? {
                Attempt::Done(value) => return Ok(Some(value)),
                Attempt::Blocked(removed) => removed,
            };
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(None);
            }
            if before == Some(removed) {
                self.pause().await;
            }
            before = Some(removed);
            let mut first = true;
            let mut result = None;
            self.run(Direction::Write, until, || {
                // The first attempt was made above; after the wait, leave to the loop.
                if std::mem::take(&mut first) {
                    return Ok(None);
                }
                match attempt()? {
                    Attempt::Done(value) => result = Some(value),
                    Attempt::Blocked(_) => {}
                }
                Ok(Some(()))
            })
            .await?;
            if result.is_some() {
                return Ok(result);
            }
        }
    }

    /// Waits for the next event. `None`: for ever; zero: looks once, without waiting. Gives
    /// `None` when the time is over.
    ///
    /// # Errors
    /// [`Overrun`](crate::ErrorKind::Overrun) if events were lost,
    /// [`Closed`](crate::ErrorKind::Closed) if the client is closed meanwhile.
    pub async fn event_input(&self, timeout: Option<Duration>) -> Result<Option<Event>> {
        let operation = "event_input";
        if let Some(event) = self.core.try_input(operation)? {
            return Ok(Some(event));
        }
        if timeout == Some(Duration::ZERO) {
            return Ok(None);
        }
        self.run(Direction::Read, deadline(timeout), || {
            let event = self.core.try_input(operation)?;
            if event.is_none() {
                // Another task was quicker, or the event is longer than the buffer.
                self.core.input().grow();
            }
            Ok(event)
        })
        .await
    }

    /// Like [`event_input`](Self::event_input), and adds the MIDI bytes of events that have any.
    ///
    /// # Errors
    /// As [`event_input`](Self::event_input).
    pub async fn event_input_prefer_bytes(
        &self,
        timeout: Option<Duration>,
    ) -> Result<Option<BytesOrEvent>> {
        let event = self.event_input(timeout).await?;
        Ok(event.map(|event| BytesOrEvent { midi_bytes: self.decode_midi_bytes(&event), event }))
    }

    /// Puts an event into the output buffer, draining that first if it is full. Gives the bytes
    /// that wait in the buffer. See
    /// [`SequencerClient::event_output`](crate::SequencerClient::event_output).
    ///
    /// # Errors
    /// `EINVAL` if the event is larger than the buffer; what
    /// [`drain_output`](Self::drain_output) reports.
    pub async fn event_output(&self, event: &Event, routing: impl Into<Routing>) -> Result<usize> {
        let operation = "event_output";
        let routing = routing.into();
        if let Some(used) = self.core.quick_output(event, &routing) {
            return Ok(used);
        }
        let used = self
            .run_output(None, || {
                loop {
                    if let Some(used) = self.core.buffer(operation, event, &routing)? {
                        return Ok(Attempt::Done(used));
                    }
                    if self.core.flush(operation)?.0 == Flush::Blocked {
                        return Ok(Attempt::Blocked(self.core.output().removed()));
                    }
                }
            })
            .await?;
        Ok(used.unwrap_or(0))
    }

    /// Puts many events into the output buffer, in order: the same as
    /// [`event_output`](Self::event_output) for each, at less cost.
    ///
    /// # Errors
    /// As [`event_output`](Self::event_output); the events before the failing one have gone in.
    pub async fn event_output_batch(
        &self,
        events: &[Event],
        routing: impl Into<Routing>,
    ) -> Result<()> {
        let routing = routing.into();
        let mut rest = events;
        while let Some(first) = rest.first() {
            let gone = self.core.buffer_many("event_output_batch", rest, &routing)?;
            rest = &rest[gone..];
            if gone == 0 {
                self.event_output(first, routing).await?;
                rest = &rest[1..];
            }
        }
        Ok(())
    }

    /// Writes an event to the sequencer at once, past the output buffer and whatever waits
    /// there; waits for room if need be. Gives the bytes written.
    ///
    /// # Errors
    /// As [`SequencerClient::event_output_direct`](crate::SequencerClient::event_output_direct).
    pub async fn event_output_direct(
        &self,
        event: &Event,
        routing: impl Into<Routing>,
    ) -> Result<usize> {
        let operation = "event_output_direct";
        let cell = self.core.prepare(operation, event, &routing.into())?;
        let written = self
            .run_output(None, || {
                Ok(match self.core.write_direct(operation, &cell, event)? {
                    Some(written) => Attempt::Done(written),
                    None => Attempt::Blocked(0),
                })
            })
            .await?;
        Ok(written.unwrap_or(0))
    }

    /// Makes events of MIDI bytes and puts them into the output buffer; see
    /// [`SequencerClient::midi_bytes_output`](crate::SequencerClient::midi_bytes_output).
    ///
    /// # Errors
    /// As [`event_output`](Self::event_output); the bytes have been taken nevertheless.
    pub async fn midi_bytes_output(
        &self,
        bytes: &[u8],
        template: &Event,
        routing: impl Into<Routing>,
    ) -> Result<usize> {
        let routing = routing.into();
        let mut events = Vec::new();
        self.encode_midi_bytes(bytes, |event| events.push(event));
        for event in &events {
            let mut addressed = template.clone();
            addressed.set_payload(event.payload());
            self.event_output(&addressed, routing).await?;
        }
        Ok(events.len())
    }

    /// Writes everything that is in the output buffer when this is first polled, waiting for
    /// room in the sequencer as long as it takes. Gives the bytes that others have added
    /// meanwhile, usually 0.
    ///
    /// # Errors
    /// As [`SequencerClient::drain_output`](crate::SequencerClient::drain_output).
    pub async fn drain_output(&self) -> Result<usize> {
        self.drain_output_timeout(None).await
    }

    /// Like [`drain_output`](Self::drain_output), but gives up waiting after `timeout`; then the
    /// bytes that remain are not 0.
    ///
    /// # Errors
    /// As [`drain_output`](Self::drain_output).
    pub async fn drain_output_timeout(&self, timeout: Option<Duration>) -> Result<usize> {
        let operation = "drain_output";
        let target = self.core.output().appended();
        let drained = self
            .run_output(deadline(timeout), || {
                let (flush, used) = self.core.flush(operation)?;
                let removed = self.core.output().removed();
                Ok(match flush {
                    Flush::Blocked if removed < target => Attempt::Blocked(removed),
                    _ => Attempt::Done(used),
                })
            })
            .await?;
        Ok(drained.unwrap_or_else(|| self.core.output().used()))
    }

    /// Waits until the sequencer has delivered all events that this client has written; see
    /// [`SequencerClient::sync_output_queue`](crate::SequencerClient::sync_output_queue).
    ///
    /// # Errors
    /// If the client is closed.
    pub async fn sync_output_queue(&self) -> Result<()> {
        let operation = "sync_output_queue";
        let Some(restore) = RoomForAll::set(&self.core, operation)? else { return Ok(()) };
        self.run(Direction::Write, None, || {
            let pool = self.get_client_pool()?;
            Ok((pool.output_free >= pool.output_pool).then_some(()))
        })
        .await?;
        drop(restore);
        Ok(())
    }

    /// Follows clients and ports as they come and go, with a client of its own on the same
    /// engine.
    ///
    /// # Errors
    /// If that client cannot be opened.
    pub fn watch(&self) -> Result<AsyncWatch> {
        AsyncWatch::open(self.engine().clone())
    }
}
