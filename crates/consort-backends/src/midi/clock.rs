//! MIDI clock output through a queue of the sequencer.

use std::time::Duration;

use consort_seq::{Event, Payload, Queue, RealTime, Result, Routing, SequencerClient};

use crate::midi_grammar::clock::CLOCKS_PER_QUARTER;

/// How long before they are due clocks are scheduled on the sequencer's queue, so that their times
/// do not depend on the load of the show.
const SCHEDULE_AHEAD: Duration = Duration::from_millis(50);

/// How often clocks are scheduled.
pub(super) const REFILL_INTERVAL: Duration = Duration::from_millis(20);

/// Sends clocks at a tempo, through a queue. Dropping it frees the queue, which also removes the
/// scheduled clocks.
pub(super) struct ClockOutput {
    queue: Queue,
    /// The queue time of the first clock that is not scheduled yet, in ns.
    next: u64,
    /// The time from clock to clock, in ns.
    interval: u64,
}

/// The time from clock to clock in ns, at a tempo in quarter notes per minute.
fn interval(tempo: f64) -> u64 {
    (60e9 / (tempo * f64::from(CLOCKS_PER_QUARTER))) as u64
}

impl ClockOutput {
    /// Starts at a tempo in quarter notes per minute, above 0.
    pub(super) fn start(client: &SequencerClient, tempo: f64) -> Result<Self> {
        let queue = client.create_queue("clock")?;
        queue.start_now()?;
        Ok(ClockOutput { queue, next: 0, interval: interval(tempo) })
    }

    /// Changes the tempo, beginning with the first clock that is not scheduled yet.
    pub(super) fn set_tempo(&mut self, tempo: f64) {
        self.interval = interval(tempo);
    }

    /// Schedules the clocks of the next [`SCHEDULE_AHEAD`] with `send`.
    pub(super) fn refill(
        &mut self,
        routing: Routing,
        mut send: impl FnMut(&Event, Routing),
    ) -> Result<()> {
        let now = self.queue.get_status()?.real_time.as_nanoseconds();
        // After a pause of the whole program, the missed clocks are skipped.
        if self.next + 1_000_000_000 < now {
            self.next = now;
        }
        let until = now + SCHEDULE_AHEAD.as_nanos() as u64;
        while self.next < until {
            let clock = Event::new(Payload::Clock { queue: 0 })
                .at_time(RealTime::from_nanoseconds(self.next));
            send(&clock, routing.queue(&self.queue));
            self.next += self.interval.max(1);
        }
        Ok(())
    }
}
