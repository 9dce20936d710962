//! Plays a schedule through a queue of the sequencer, step by step.

use std::collections::VecDeque;
use std::time::Duration;

use consort_seq::{Event, HeldNotes, Payload, Port, Queue, RealTime, Result, SequencerClient};

use super::schedule::{Outlet, Schedule, Segment, Skip, Timed};

/// How far ahead of time events are put into the queue. A busy computer may delay this program by
/// that much without a late note.
const AHEAD_NANOSECONDS: u64 = 1_000_000_000;
/// Bytes of an event in the client's buffer, without its variable part.
const CELL_BYTES: usize = 28;
/// How long the sequencer may take to deliver the last events, which are due already: a busy
/// computer may delay its timer.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the sequencer may take to accept the last note-offs.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);

/// The time from a skip to the first event of the other file, so that it is not late.
const SKIP_LEAD_NANOSECONDS: u64 = 10_000_000;

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Call again after this time at the latest.
    Wait(Duration),
    /// The sequencer's pool is full: call again when it has free cells.
    Full,
    /// Everything has been played.
    Done,
}

/// The ports that events leave, to their subscribers.
#[derive(Clone, Copy)]
pub(super) struct Outlets<'a> {
    pub(super) music: &'a Port,
    /// The port of the MIDI clock; if there is none, the schedule must have no clock.
    pub(super) clock: Option<&'a Port>,
}

impl<'a> Outlets<'a> {
    /// The port of an event.
    fn port(&self, outlet: Outlet) -> &'a Port {
        match outlet {
            Outlet::Music => self.music,
            Outlet::Clock => self.clock.unwrap_or(self.music),
        }
    }
}

/// Plays a schedule on a queue.
///
/// Events carry exact times, and the sequencer delivers them. Events that are written and not yet
/// delivered are kept, so that [`release`](Self::release) knows which notes may sound.
pub(super) struct Player<'a> {
    client: &'a SequencerClient,
    outlets: Outlets<'a>,
    queue: Queue,
    schedule: Schedule<'a>,
    /// The next event of the schedule; `None` at its end.
    next: Option<Timed>,
    /// Events written and not yet delivered.
    written: VecDeque<Timed>,
    /// Notes and pedals that played events left on.
    held: HeldNotes,
    /// The file that is playing, and those scheduled after it.
    segments: VecDeque<Segment>,
    /// The number of events that have been delivered.
    played: u64,
}

impl<'a> Player<'a> {
    /// Starts a queue of its own.
    pub(super) fn start(
        client: &'a SequencerClient,
        outlets: Outlets<'a>,
        schedule: Schedule<'a>,
    ) -> Result<Self> {
        let queue = client.create_queue("consort play")?;
        queue.start_now()?;
        Ok(Self::on_queue(client, outlets, queue, schedule))
    }

    /// Plays on a queue that runs already, and that others may use.
    pub(super) fn on_queue(
        client: &'a SequencerClient,
        outlets: Outlets<'a>,
        queue: Queue,
        mut schedule: Schedule<'a>,
    ) -> Self {
        let next = schedule.next();
        Self {
            client,
            outlets,
            queue,
            schedule,
            next,
            written: VecDeque::new(),
            held: HeldNotes::new(),
            segments: VecDeque::new(),
            played: 0,
        }
    }

    /// The queue's time, in nanoseconds.
    pub(super) fn time(&self) -> Result<u64> {
        Ok(self.queue.get_status()?.real_time.as_nanoseconds())
    }

    /// Counts the delivered events as played. Returns the queue's time, in nanoseconds.
    fn update(&mut self) -> Result<u64> {
        let status = self.queue.get_status()?;
        // Not those whose time has passed: the queue's time goes on while its timer is late.
        let sent = self.written.len() - self.unsent();
        for _ in 0..sent.saturating_sub(status.events as usize) {
            if let Some(timed) = self.written.pop_front() {
                self.held.track(&timed.event);
                self.played += 1;
            }
        }
        Ok(status.real_time.as_nanoseconds())
    }

    /// The number of events that have been delivered.
    pub(super) fn played(&self) -> u64 {
        self.played
    }

    /// The part that is playing at a time of the queue.
    fn segment(&mut self, time: u64) -> Option<Segment> {
        while self.segments.get(1).is_some_and(|next| next.start <= time) {
            self.segments.pop_front();
        }
        self.segments.front().copied()
    }

    /// Ends the file that is playing as [`release`](Self::release) does, and begins another one.
    pub(super) fn skip(&mut self, skip: Skip) -> Result<()> {
        let now = self.time()?;
        let playing = self.segment(now);
        self.release()?;
        let start = self.time()?.saturating_add(SKIP_LEAD_NANOSECONDS);
        self.schedule.restart(playing, skip, start);
        self.next = self.schedule.next();
        // Another skip may follow before the next step.
        self.segments.clear();
        self.segments.extend(std::iter::from_fn(|| self.schedule.next_segment()));
        Ok(())
    }

    /// The file that is playing at a time of the queue, and the position in it; both times are in
    /// nanoseconds.
    pub(super) fn position(&mut self, time: u64) -> Option<(usize, u64)> {
        let segment = self.segment(time)?;
        let played = self.schedule.unscaled(time.saturating_sub(segment.start));
        Some((segment.file, segment.position + played))
    }

    /// Writes the events that are due within the next second. Does not block.
    pub(super) fn step(&mut self) -> Result<Step> {
        let now = self.update()?;
        let mut is_full = false;
        while let Some(next) =
            self.next.take_if(|next| next.time <= now.saturating_add(AHEAD_NANOSECONDS))
        {
            let time = RealTime::from_nanoseconds(next.time);
            let event = next.event.clone().on_queue(&self.queue).at_time(time);
            if self.client.try_event_output(&event, self.outlets.port(next.outlet))?.is_none() {
                self.next = Some(next);
                is_full = true;
                break;
            }
            self.written.push_back(next);
            self.next = self.schedule.next();
        }
        self.segments.extend(std::iter::from_fn(|| self.schedule.next_segment()));
        is_full |= self.client.try_drain_output()? > 0;
        Ok(match &self.next {
            _ if is_full => Step::Full,
            Some(next) => wait(now, next.time.saturating_sub(AHEAD_NANOSECONDS / 2)),
            None if self.written.is_empty() && now >= self.schedule.end() => Step::Done,
            None => wait(now, self.schedule.end()),
        })
    }

    /// How many of the written events are still in the client's buffer. If the sequencer is full,
    /// they may be due already.
    fn unsent(&self) -> usize {
        let mut bytes = self.client.event_output_pending();
        let is_unsent = |timed: &&Timed| {
            let is_in_buffer = bytes > 0;
            bytes = bytes.saturating_sub(CELL_BYTES + timed.event.variable().len());
            is_in_buffer
        };
        self.written.iter().rev().take_while(is_unsent).count()
    }

    /// Waits until the sequencer has delivered everything. Returns whether it has.
    pub(super) fn finish(&self) -> Result<bool> {
        self.client.sync_output_queue_timeout(Some(DELIVERY_TIMEOUT))
    }

    /// Removes the events that are not due yet and releases every note and pedal that may be on,
    /// immediately. Returns the number of events that this took.
    pub(super) fn release(&mut self) -> Result<usize> {
        self.update()?;
        self.client.drop_output()?;
        // Another processor may deliver an event now; its note-off must come after it.
        self.client.sync_output_queue_timeout(Some(RELEASE_TIMEOUT))?;
        let after = self.time()?;
        // Events that became due in between may or may not have been delivered. So their note-ons
        // count and their note-offs do not: a note-off too many does no harm.
        for timed in self.written.drain(..).take_while(|timed| timed.time <= after) {
            let mut single = HeldNotes::new();
            single.track(&timed.event);
            self.held.merge(&single);
        }
        self.next = None;
        let releases = self.held.releases();
        self.client.event_output_batch(&releases, self.outlets.music)?;
        if let Some(clock) = self.outlets.clock {
            self.client.event_output(&Event::new(Payload::Stop { queue: 0 }), clock)?;
        }
        self.client.drain_output_timeout(Some(RELEASE_TIMEOUT))?;
        Ok(releases.len())
    }
}

/// A wait from `now` until `until`, in nanoseconds; at least a millisecond.
fn wait(now: u64, until: u64) -> Step {
    Step::Wait(Duration::from_nanos(until.saturating_sub(now).max(1_000_000)))
}
