//! A subscription of a client: what it was sent, and when the next delta is due.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use consort_control::{Delta, DeltaEncoder, MAX_INTERVAL_MS, MIN_INTERVAL_MS};

use super::source::Local;

/// From this number of channels on, reading a show takes noticeable time.
const MANY_CHANNELS: usize = 10_000;

/// The shortest interval of such shows, in milliseconds.
const MANY_CHANNELS_INTERVAL_MS: u32 = 500;

/// The changes of a show for one client.
pub(super) struct Subscription {
    encoder: DeltaEncoder,
    interval: Duration,
    pub(super) due: Instant,
    log_next: u64,
    /// How many texts each channel had, by instance and channel.
    texts: HashMap<(u32, u32), u64>,
    /// How many unmatched inputs each instance had, if the client wants them.
    unmatched: Option<Vec<u64>>,
    /// The time of the last delta in seconds since the start.
    last_seconds: f64,
}

impl Subscription {
    pub(super) fn new(show: &Local, interval_ms: u32, log_from: u64, unmatched: bool) -> Self {
        let live = show.live();
        let channels: usize =
            live.instance_ids().map(|instance| live.channel_infos(instance).len()).sum();
        let shortest =
            if channels > MANY_CHANNELS { MANY_CHANNELS_INTERVAL_MS } else { MIN_INTERVAL_MS };
        let interval_ms = interval_ms.clamp(shortest, MAX_INTERVAL_MS);
        Subscription {
            encoder: DeltaEncoder::new(),
            interval: Duration::from_millis(u64::from(interval_ms)),
            due: Instant::now(),
            log_next: log_from,
            texts: HashMap::new(),
            unmatched: unmatched.then(|| vec![0; live.instance_count()]),
            last_seconds: -1.0,
        }
    }

    pub(super) fn interval_ms(&self) -> u32 {
        self.interval.as_millis() as u32
    }

    /// What has changed; `None` when nothing has. Sets when the next one is due: after the interval
    /// from now, so that a client that reads slowly gets fewer deltas.
    pub(super) fn next(&mut self, show: &Local) -> Option<Delta> {
        let reading = show.reading(self.log_next);
        self.log_next = reading.log_next;
        let is_running = reading.running;
        let mut delta = self.encoder.next(reading);
        let live = show.live();
        for (instance, channel, text, count) in live.texts() {
            let known = self.texts.insert((live.number(instance), channel), count);
            if known != Some(count) {
                delta.texts.push((live.number(instance), channel, text));
            }
        }
        if let Some(counts) = &mut self.unmatched {
            for (instance, known) in live.instance_ids().zip(counts) {
                let count = live.unmatched_count(instance);
                if std::mem::replace(known, count) != count {
                    let mut inputs = show.unmatched(instance);
                    inputs.retain(|input| input.last >= self.last_seconds);
                    delta.unmatched.push((live.number(instance), inputs));
                }
            }
        }
        self.last_seconds = delta.seconds;
        self.due = Instant::now() + self.interval;
        let has_changes = !is_running
            || !delta.instances.is_empty()
            || !delta.values.is_empty()
            || !delta.texts.is_empty()
            || !delta.unmatched.is_empty()
            || delta.layers.is_some()
            || !delta.log.is_empty();
        has_changes.then_some(delta)
    }
}
