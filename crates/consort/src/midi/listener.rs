//! A client that receives events: its ports stamp them with the time of a queue.

use consort_seq::{
    Engine, ErrorKind, Event, Port, PortCaps, PortOptions, PortType, Queue, RealTime,
    SequencerClient,
};

/// Cells of the client's pool in the sequencer: the maximum.
pub(super) const POOL_CELLS: u32 = 2000;
/// How many events are read at a time.
const BATCH_EVENTS: usize = 500;

/// A client with a queue that starts when the client is opened.
pub(super) struct Listener {
    pub(super) client: SequencerClient,
    queue: Queue,
    batch: Vec<Event>,
}

/// What a listener received.
pub(super) enum Received<'a> {
    Event(&'a Event),
    /// Events were lost because they arrived faster than they were read.
    Lost,
}

impl Listener {
    pub(super) fn open(name: &str, engine: &Engine) -> anyhow::Result<Self> {
        let client = super::open(name, engine)?;
        client.set_client_pool_input(POOL_CELLS)?;
        let queue = client.create_queue(name)?;
        queue.start_now()?;
        Ok(Self { client, queue, batch: Vec::new() })
    }

    /// Creates a port that receives events and stamps them with the queue's real time.
    pub(super) fn port(&self, name: &str) -> anyhow::Result<Port> {
        let options = PortOptions::new(name)
            .caps(PortCaps::WRITE | PortCaps::SUBS_WRITE)
            .port_type(PortType::MIDI_GENERIC | PortType::APPLICATION)
            .stamp_real_time(&self.queue);
        Ok(self.client.create_port(options)?)
    }

    /// The queue.
    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The queue's time.
    pub(super) fn time(&self) -> anyhow::Result<RealTime> {
        Ok(self.queue.get_status()?.real_time)
    }

    /// Passes everything that has arrived to `sink`, and reports a loss that followed it. Does not
    /// block.
    pub(super) fn read(
        &mut self,
        mut sink: impl FnMut(&SequencerClient, Received<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        loop {
            self.batch.clear();
            let count = match self.client.event_input_batch(&mut self.batch, BATCH_EVENTS) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Overrun => {
                    sink(&self.client, Received::Lost)?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            for event in &self.batch {
                sink(&self.client, Received::Event(event))?;
            }
            // A loss behind the last event does not make the client readable.
            if count < BATCH_EVENTS && !self.client.has_overrun() {
                return Ok(());
            }
        }
    }
}

/// The time of an event that a port of a listener received.
pub(super) fn stamp(event: &Event) -> RealTime {
    event.real_time().unwrap_or(RealTime::ZERO)
}
