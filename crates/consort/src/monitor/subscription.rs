//! A subscription of a client: what it was sent, and when the next delta is due.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use consort_control::{Delta, DeltaEncoder, MAX_INTERVAL_MS, MIN_INTERVAL_MS, UnmatchedReading};

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
    /// The unmatched inputs of each instance that were sent, if the client wants them.
    unmatched: Option<Vec<SentInputs>>,
}

/// The unmatched inputs of one instance that were sent.
#[derive(Clone, Default)]
struct SentInputs {
    /// How many there were in all.
    total: u64,
    /// How many there were of each that is kept, by channel and sender.
    counts: HashMap<(String, String), u64>,
}

impl SentInputs {
    /// Those of the inputs that have arrived since the last call. Their counts decide: times are
    /// taken before a value is counted, so that an input can be older than the last delta.
    fn news(&mut self, inputs: Vec<UnmatchedReading>) -> Vec<UnmatchedReading> {
        let mut counts = HashMap::with_capacity(inputs.len());
        let mut news = Vec::new();
        for input in inputs {
            let key = (input.channel.clone(), input.sender.clone());
            if self.counts.get(&key) != Some(&input.count) {
                news.push(input.clone());
            }
            counts.insert(key, input.count);
        }
        self.counts = counts;
        news
    }
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
            unmatched: unmatched.then(|| vec![SentInputs::default(); live.instance_count()]),
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
        if let Some(sent) = &mut self.unmatched {
            for (instance, sent) in live.instance_ids().zip(sent) {
                let total = live.unmatched_count(instance);
                if std::mem::replace(&mut sent.total, total) != total {
                    let news = sent.news(show.unmatched(instance));
                    delta.unmatched.push((live.number(instance), news));
                }
            }
        }
        self.due = Instant::now() + self.interval;
        let has_changes = !is_running
            || !delta.instances.is_empty()
            || !delta.values.is_empty()
            || !delta.texts.is_empty()
            || !delta.unmatched.is_empty()
            || delta.layers.is_some()
            || delta.holding.is_some()
            || !delta.log.is_empty();
        has_changes.then_some(delta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_sent_when_its_count_has_changed() {
        let input = |channel: &str, count: u64, last: f64| UnmatchedReading {
            channel: channel.into(),
            count,
            last,
            ..UnmatchedReading::default()
        };
        let mut sent = SentInputs::default();
        let first = vec![input("b", 1, 2.0), input("a", 1, 1.0)];
        assert_eq!(sent.news(first.clone()), first);
        assert_eq!(sent.news(first.clone()), []);
        // An input that the router counted late is new, although its time is old.
        let late = input("c", 1, 0.5);
        let more = vec![input("b", 2, 3.0), input("a", 1, 1.0), late.clone()];
        assert_eq!(sent.news(more), [input("b", 2, 3.0), late]);
        // One that was dropped and comes back is new.
        assert_eq!(sent.news(vec![]), []);
        assert_eq!(sent.news(vec![input("a", 1, 1.0)]), [input("a", 1, 1.0)]);
    }
}
