//! Overrides of the address and queue in an event, for one output.

use crate::event::{Address, Cell, QUEUE_DIRECT};

/// Overrides for one output: each field that is set replaces the event's own.
///
/// It can be made from `()` (no override) or a [`&Port`](crate::Port) (send from this port).
///
/// ```
/// use consort_seq::Routing;
///
/// let routing = Routing::new().port(0).queue(3).dest((128, 0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Routing {
    queue: Option<u8>,
    port: Option<u8>,
    dest: Option<Address>,
}

impl Routing {
    /// No override.
    #[must_use]
    pub const fn new() -> Self {
        Self { queue: None, port: None, dest: None }
    }

    /// Passes received events on: from this port to its subscribers, directly. Without it, a
    /// received event keeps its destination, which is the client that received it: the client
    /// would send the event to itself, receive it again, and so on without end. Therefore, output
    /// without a queue refuses an event of another client that is addressed to this one (`EINVAL`)
    /// unless [`dest`](Self::dest) is set.
    ///
    /// ```
    /// use consort_seq::{ClockKind, Embedded, Event, READ_PORT, Routing, SequencerClient, WRITE_PORT};
    /// use consort_seq::PortOptions;
    ///
    /// let engine = Embedded::new(ClockKind::Virtual);
    /// let open = |name| SequencerClient::builder(name).engine(engine.clone()).open();
    /// let (keys, filter, synth) = (open("keys")?, open("filter")?, open("synth")?);
    /// let source = keys.create_port(PortOptions::new("out").caps(READ_PORT))?;
    /// let (input, output) = (filter.create_port("in")?, filter.create_port("out")?);
    /// let target = synth.create_port(PortOptions::new("in").caps(WRITE_PORT))?;
    /// input.connect_from(&source)?;
    /// target.connect_from(&output)?;
    /// keys.event_output_direct(&Event::note_on(0, 60, 100)?, &source)?;
    ///
    /// while let Some(event) = filter.try_event_input()? {
    ///     filter.event_output_direct(&event, Routing::pass_on(&output))?;
    /// }
    /// let event = synth.try_event_input()?.expect("the note");
    /// assert_eq!(event.source(), output.address());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn pass_on(port: impl Into<u8>) -> Self {
        Self {
            queue: Some(QUEUE_DIRECT),
            port: Some(port.into()),
            dest: Some(Address::SUBSCRIBERS),
        }
    }

    /// Sends through this queue.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<u8>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Sends from this port of the client.
    #[must_use]
    pub fn port(mut self, port: impl Into<u8>) -> Self {
        self.port = Some(port.into());
        self
    }

    /// Sends to this port.
    #[must_use]
    pub fn dest(mut self, dest: impl Into<Address>) -> Self {
        self.dest = Some(dest.into());
        self
    }

    /// Whether output would return a received event to the client that received it, immediately
    /// and unintentionally.
    #[inline]
    pub(crate) fn returns(&self, cell: &Cell, client: u8) -> bool {
        let Cell(bytes) = cell;
        let source = bytes[12];
        // Events that programs make have the source 0 or their own.
        bytes[14] == client
            && source != client
            && source != 0
            && self.dest.is_none()
            && self.queue.unwrap_or(bytes[3]) == QUEUE_DIRECT
    }

    #[inline]
    pub(crate) fn apply(&self, cell: &mut [u8; Cell::SIZE], client: u8) {
        if let Some(queue) = self.queue {
            cell[3] = queue;
        }
        if let Some(port) = self.port {
            cell[12] = client;
            cell[13] = port;
        }
        if let Some(dest) = self.dest {
            cell[14] = dest.client;
            cell[15] = dest.port;
        }
    }
}

impl From<()> for Routing {
    #[inline]
    fn from((): ()) -> Self {
        Self::new()
    }
}
