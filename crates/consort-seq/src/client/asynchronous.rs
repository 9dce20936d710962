//! The client whose methods are futures.

use std::fmt;
use std::ops::Deref;
use std::time::{Duration, Instant};

use super::buffers::BytesOrEvent;
use super::builder::ClientBuilder;
use super::core::{Direction, EmptyPoolWait, OutputStep, RoomWait, deadline};
use super::error::{OperationName, Outcome, Result};
use super::methods::ClientBase;
use super::reactor::Reactor;
#[cfg(feature = "tokio")]
use super::reactor_tokio::TokioReactor;
use super::routing::Routing;
use crate::event::Event;

/// A client of the sequencer whose input and output are futures.
///
/// They run on any executor: the client starts a thread that waits for the sequencer and wakes
/// tasks. (With the feature `tokio`,
/// [`ClientBuilder::open_tokio`](crate::ClientBuilder) lets tokio's reactor wait instead.) Any
/// number of tasks may read and write at the same time; each event goes to one of them. Dropping
/// a future before it is ready loses no event. The operations that do not wait are methods of
/// [`ClientBase`], to which this dereferences.
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

/// What waits for the sequencer and wakes the tasks.
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

impl ClientBuilder {
    /// Opens a client whose methods are futures, driven by a thread that the client starts: they
    /// run on any executor.
    ///
    /// # Errors
    /// As [`open`](Self::open), or if the thread cannot be started.
    pub fn open_async(self) -> Result<AsyncSequencerClient> {
        let base = self.open_base(false)?;
        let driver = Driver::Thread(Reactor::start(&base.core).during("open")?);
        Ok(AsyncSequencerClient { base, driver })
    }

    /// Opens a client whose methods are futures, driven by tokio. Open it inside a runtime with
    /// I/O and time enabled, and use it only while that runtime exists.
    ///
    /// # Errors
    /// As [`open`](Self::open), or if the descriptor cannot be registered with tokio.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[cfg(feature = "tokio")]
    pub fn open_tokio(self) -> Result<AsyncSequencerClient> {
        let base = self.open_base(false)?;
        let driver = Driver::Tokio(TokioReactor::start(&base.core).during("open")?);
        Ok(AsyncSequencerClient { base, driver })
    }
}

impl AsyncSequencerClient {
    /// Opens a client called `name` for input and output, on the engine that the environment
    /// selects, driven by a thread that the client starts; see [`ClientBuilder`].
    ///
    /// # Errors
    /// As [`ClientBuilder::open_async`].
    pub fn new(name: impl Into<String>) -> Result<Self> {
        ClientBuilder::new(name).open_async()
    }

    /// Options for opening a client.
    #[must_use]
    pub fn builder(name: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(name)
    }

    /// Closes the client; see [`ClientBase::close`].
    pub fn close(&self) {
        self.base.close();
        match &self.driver {
            Driver::Thread(_) => {}
            #[cfg(feature = "tokio")]
            Driver::Tokio(reactor) => reactor.release(),
        }
    }

    /// Repeats `attempt` until it returns a value or fails, waiting for the direction in between.
    /// `None` if the deadline passes first.
    async fn run<T>(
        &self,
        direction: Direction,
        deadline: Option<Instant>,
        mut attempt: impl FnMut() -> Outcome<Option<T>>,
    ) -> Outcome<Option<T>> {
        match &self.driver {
            Driver::Thread(reactor) => loop {
                if let Some(value) = attempt()? {
                    return Ok(Some(value));
                }
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    return Ok(None);
                }
                reactor.wait(Some(direction), deadline).await;
            },
            #[cfg(feature = "tokio")]
            Driver::Tokio(reactor) => reactor.run(direction, deadline, attempt).await,
        }
    }

    async fn pause(&self, duration: Duration) {
        let end = Instant::now() + duration;
        match &self.driver {
            Driver::Thread(reactor) => reactor.wait(None, Some(end)).await,
            #[cfg(feature = "tokio")]
            Driver::Tokio(_) => tokio::time::sleep_until(end.into()).await,
        }
    }

    /// Repeats an attempt to output until it is done or fails, waiting for room in between as
    /// [`RoomWait`] describes. `None` if the deadline passes first.
    async fn run_output<T>(
        &self,
        deadline: Option<Instant>,
        mut attempt: impl FnMut() -> Outcome<OutputStep<T>>,
    ) -> Outcome<Option<T>> {
        let mut room = RoomWait::new();
        loop {
            let written = match attempt()? {
                OutputStep::Done(value) => return Ok(Some(value)),
                OutputStep::Blocked { written } => written,
            };
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(None);
            }
            if let Some(pause) = room.pause(&self.core, written)? {
                self.pause(pause).await;
            }
            let mut is_first = true;
            let mut result = None;
            self.run(Direction::Write, deadline, || {
                // The first attempt was made above. After one wait, control returns to the outer
                // loop, which decides whether to pause.
                if std::mem::take(&mut is_first) {
                    return Ok(None);
                }
                if let OutputStep::Done(value) = attempt()? {
                    result = Some(value);
                }
                Ok(Some(()))
            })
            .await?;
            if result.is_some() {
                return Ok(result);
            }
        }
    }

    /// Waits for the next event, and gives `None` when the time-out is over. A time-out of `None`
    /// waits without limit, and one of zero does not wait at all.
    ///
    /// # Errors
    /// [`Overrun`](crate::ErrorKind::Overrun) if events were lost,
    /// [`Closed`](crate::ErrorKind::Closed) if the client is closed meanwhile.
    pub async fn event_input(&self, timeout: Option<Duration>) -> Result<Option<Event>> {
        let operation = "event_input";
        if let Some(event) = self.core.try_input().during(operation)? {
            return Ok(Some(event));
        }
        if timeout == Some(Duration::ZERO) {
            return Ok(None);
        }
        self.run(Direction::Read, deadline(timeout), || {
            let event = self.core.try_input()?;
            if event.is_none() {
                // Another task was faster, or the event is longer than the buffer.
                self.core.input().grow();
            }
            Ok(event)
        })
        .await
        .during(operation)
    }

    /// Like [`event_input`](Self::event_input), but adds the MIDI bytes of events that have a MIDI
    /// form.
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

    /// Puts an event into the output buffer, draining the buffer first if it is full. Gives the
    /// number of bytes in the buffer. See
    /// [`SequencerClient::event_output`](crate::SequencerClient::event_output).
    ///
    /// # Errors
    /// `EINVAL` if the event is larger than the buffer; the errors of
    /// [`drain_output`](Self::drain_output).
    pub async fn event_output(&self, event: &Event, routing: impl Into<Routing>) -> Result<usize> {
        let routing = routing.into();
        if let Some(used) = self.core.quick_output(event, &routing) {
            return Ok(used);
        }
        let used = self
            .run_output(None, || self.core.output_step(event, &routing))
            .await
            .during("event_output")?;
        Ok(used.unwrap_or(0))
    }

    /// Puts many events into the output buffer, in order. This is
    /// [`event_output`](Self::event_output) for each event, at less cost.
    ///
    /// # Errors
    /// As [`event_output`](Self::event_output); the events before the failing one are in the
    /// buffer.
    pub async fn event_output_batch(
        &self,
        events: &[Event],
        routing: impl Into<Routing>,
    ) -> Result<()> {
        let routing = routing.into();
        let mut rest = events;
        while let Some(first) = rest.first() {
            let buffered = self.core.buffer_many(rest, &routing).during("event_output_batch")?;
            rest = &rest[buffered..];
            if buffered == 0 {
                self.event_output(first, routing).await?;
                rest = &rest[1..];
            }
        }
        Ok(())
    }

    /// Writes an event to the sequencer immediately, bypassing the output buffer and its events;
    /// waits for room if necessary. Gives the number of bytes written.
    ///
    /// # Errors
    /// As [`SequencerClient::event_output_direct`](crate::SequencerClient::event_output_direct).
    pub async fn event_output_direct(
        &self,
        event: &Event,
        routing: impl Into<Routing>,
    ) -> Result<usize> {
        let operation = "event_output_direct";
        let cell = self.core.prepare(event, &routing.into()).during(operation)?;
        let written = self
            .run_output(None, || self.core.direct_step(&cell, event))
            .await
            .during(operation)?;
        Ok(written.unwrap_or(0))
    }

    /// Converts MIDI bytes to events and puts these into the output buffer; see
    /// [`SequencerClient::midi_bytes_output`](crate::SequencerClient::midi_bytes_output).
    ///
    /// # Errors
    /// As [`event_output`](Self::event_output); the bytes are consumed even then.
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

    /// Writes everything that is in the output buffer when this is first polled, waiting for room
    /// in the sequencer without limit. Gives the number of bytes that other tasks have added
    /// meanwhile, usually 0.
    ///
    /// # Errors
    /// As [`SequencerClient::drain_output`](crate::SequencerClient::drain_output).
    pub async fn drain_output(&self) -> Result<usize> {
        self.drain_output_timeout(None).await
    }

    /// Like [`drain_output`](Self::drain_output), but stops waiting after `timeout`; then the
    /// number of bytes that remain is not 0.
    ///
    /// # Errors
    /// As [`drain_output`](Self::drain_output).
    pub async fn drain_output_timeout(&self, timeout: Option<Duration>) -> Result<usize> {
        let target = self.core.output().appended();
        let remaining = self
            .run_output(deadline(timeout), || self.core.drain_step(target))
            .await
            .during("drain_output")?;
        Ok(remaining.unwrap_or_else(|| self.core.output().used()))
    }

    /// Waits until the sequencer has delivered all events that this client has written; see
    /// [`SequencerClient::sync_output_queue`](crate::SequencerClient::sync_output_queue).
    ///
    /// # Errors
    /// If the client is closed.
    pub async fn sync_output_queue(&self) -> Result<()> {
        self.wait_for_delivery().await.during("sync_output_queue")
    }

    async fn wait_for_delivery(&self) -> Outcome<()> {
        let Some(empty_pool) = EmptyPoolWait::begin(&self.core)? else { return Ok(()) };
        self.run(Direction::Write, None, || {
            let pool = self.core.pool(self.core.client_id)?;
            Ok((pool.output_free >= pool.output_pool).then_some(()))
        })
        .await?;
        drop(empty_pool);
        Ok(())
    }
}
