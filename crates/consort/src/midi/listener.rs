//! A client that hears: its port stamps what arrives with the time of a queue.

use consort_seq::{
    Engine, ErrorKind, Event, Port, PortCaps, PortOptions, PortType, Queue, RealTime,
    SequencerClient,
};

/// Cells that the sequencer keeps for us: the most that it allows.
pub(super) const POOL: u32 = 2000;
/// Events that are taken at a time.
const BATCH: usize = 500;

/// A client with a queue that runs from its beginning.
pub(super) struct Listener {
    pub(super) client: SequencerClient,
    queue: Queue,
    batch: Vec<Event>,
}

/// What was heard.
pub(super) enum Heard<'a> {
    Event(&'a Event),
    /// Events were lost: they came faster than they were read.
    Lost,
}

impl Listener {
    pub(super) fn open(name: &str, engine: &Engine) -> anyhow::Result<Self> {
        let client = super::open(name, engine)?;
        client.set_client_pool_input(POOL)?;
        let queue = client.create_queue(name)?;
        queue.start_now()?;
        Ok(Self { client, queue, batch: Vec::new() })
    }

    /// A port that events can be sent to, and that stamps them with the queue's real time.
    pub(super) fn port(&self, name: &str) -> anyhow::Result<Port> {
        let options = PortOptions::new(name)
            .caps(PortCaps::WRITE | PortCaps::SUBS_WRITE)
            .port_type(PortType::MIDI_GENERIC | PortType::APPLICATION)
            .stamp_real_time(&self.queue);
        Ok(self.client.create_port(options)?)
    }

    /// The queue's time.
    pub(super) fn time(&self) -> anyhow::Result<RealTime> {
        Ok(self.queue.get_status()?.real_time)
    }

    /// Hands everything that has arrived to `sink`, without waiting.
    pub(super) fn read(
        &mut self,
        mut sink: impl FnMut(&SequencerClient, Heard<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        loop {
            self.batch.clear();
            let count = match self.client.event_input_batch(&mut self.batch, BATCH) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Overrun => {
                    sink(&self.client, Heard::Lost)?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            for event in &self.batch {
                sink(&self.client, Heard::Event(event))?;
            }
            if count < BATCH {
                return Ok(());
            }
        }
    }
}

/// The stamp of an event that a listener's port has received.
pub(super) fn stamp(event: &Event) -> RealTime {
    event.real_time().unwrap_or(RealTime::ZERO)
}
