//! From two readings to the changes between them.

use std::collections::HashMap;

use crate::message::{Delta, InstanceReading, Reading, UnmatchedReading};

/// Keeps what was last sent to a subscriber, and creates the next delta.
#[derive(Clone, Debug, Default)]
pub struct DeltaEncoder {
    instances: Vec<InstanceReading>,
    /// The bits of each channel's last value, and the number of its values.
    values: Vec<(u64, u64)>,
    layers: Option<Vec<u32>>,
    holding: bool,
}

impl DeltaEncoder {
    /// An encoder for a new subscriber: the first delta contains everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// What differs from the last delta. The `log` of the reading must be the lines since then.
    /// Texts and unmatched input are left empty for the caller to fill.
    ///
    /// A value that was set again to the same number is a change, since its count differs.
    pub fn next(&mut self, reading: Reading) -> Delta {
        let Reading { seconds, running, instances, values, layers, holding, log, log_next } =
            reading;
        let mut delta = Delta { seconds, running, log, log_next, ..Delta::default() };
        for (number, instance) in instances.iter().enumerate() {
            if self.instances.get(number) != Some(instance) {
                delta.instances.push((number as u32, instance.clone()));
            }
        }
        self.instances = instances;
        for (index, &(value, count)) in values.iter().enumerate() {
            let now = (value.to_bits(), count);
            let before = self.values.get(index).copied().unwrap_or((0, 0));
            if now != before {
                delta.values.push((index as u32, value, count));
            }
        }
        if self.layers.as_ref().unwrap_or(&Vec::new()) != &layers {
            delta.layers = Some(layers.clone());
        }
        self.layers = Some(layers);
        delta.holding = (self.holding != holding).then_some(holding);
        self.holding = holding;
        self.values.clear();
        self.values.extend(values.iter().map(|&(value, count)| (value.to_bits(), count)));
        delta
    }

    /// Applies a delta to a reading: the counterpart of [`next`](Self::next) for clients.
    pub fn apply(delta: Delta, reading: &mut Reading) {
        reading.seconds = delta.seconds;
        reading.running = delta.running;
        for (number, instance) in delta.instances {
            if let Some(slot) = reading.instances.get_mut(number as usize) {
                *slot = instance;
            }
        }
        for (index, value, count) in delta.values {
            if let Some(slot) = reading.values.get_mut(index as usize) {
                *slot = (value, count);
            }
        }
        if let Some(layers) = delta.layers {
            reading.layers = layers;
        }
        reading.holding = delta.holding.unwrap_or(reading.holding);
        reading.log.extend(delta.log);
        reading.log_next = delta.log_next;
    }
}

/// The log lines that a merged delta keeps, of which older ones are dropped first.
const MAX_MERGED_LOG_LINES: usize = 1_000;

impl Delta {
    /// Adds the changes of the delta that follows this one, for a client that reads slowly: each
    /// instance, channel and text keeps its newest entry, so that the size is bounded by that of
    /// the layout. Of more than 1,000 log lines, the oldest are dropped.
    pub fn merge(&mut self, newer: Delta) {
        let Delta {
            seconds,
            running,
            instances,
            values,
            texts,
            unmatched,
            layers,
            holding,
            log,
            log_next,
        } = newer;
        self.seconds = seconds;
        self.running = running;
        replace(&mut self.instances, instances, |(number, _)| u64::from(*number));
        replace(&mut self.values, values, |(index, ..)| u64::from(*index));
        replace(&mut self.texts, texts, |(instance, channel, _)| {
            u64::from(*instance) << 32 | u64::from(*channel)
        });
        for (number, inputs) in unmatched {
            match self.unmatched.iter_mut().find(|(known, _)| *known == number) {
                Some((_, known)) => {
                    let is_same = |one: &UnmatchedReading, other: &UnmatchedReading| {
                        one.channel == other.channel && one.sender == other.sender
                    };
                    known.retain(|old| !inputs.iter().any(|new| is_same(old, new)));
                    known.splice(0..0, inputs);
                    known.truncate(MAX_MERGED_INPUTS);
                }
                None => self.unmatched.push((number, inputs)),
            }
        }
        if layers.is_some() {
            self.layers = layers;
        }
        self.holding = holding.or(self.holding);
        self.log.extend(log);
        let excess = self.log.len().saturating_sub(MAX_MERGED_LOG_LINES);
        self.log.drain(..excess);
        self.log_next = log_next;
    }
}

/// The unmatched inputs of an instance that a merged delta keeps, the newest.
const MAX_MERGED_INPUTS: usize = 100;

/// Replaces the entries of `list` that have the key of a newer one, and appends the others.
fn replace<T>(list: &mut Vec<T>, newer: Vec<T>, key: impl Fn(&T) -> u64) {
    let known: HashMap<u64, usize> =
        list.iter().enumerate().map(|(index, entry)| (key(entry), index)).collect();
    for entry in newer {
        match known.get(&key(&entry)) {
            Some(&index) => list[index] = entry,
            None => list.push(entry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::InstanceReading;

    fn input(channel: &str, count: u64) -> UnmatchedReading {
        UnmatchedReading { channel: channel.into(), count, ..UnmatchedReading::default() }
    }

    #[test]
    fn a_merged_delta_has_the_newest_entry_of_each_channel() {
        let up = InstanceReading { state: "up".into(), ..InstanceReading::default() };
        let mut delta = Delta {
            seconds: 1.0,
            running: true,
            values: vec![(3, 0.1, 1), (5, 0.2, 1)],
            texts: vec![(0, 1, "old".into()), (1, 1, "other".into())],
            unmatched: vec![(0, vec![input("a", 1), input("b", 1)])],
            log: vec!["first".into()],
            log_next: 1,
            ..Delta::default()
        };
        delta.merge(Delta {
            seconds: 2.0,
            running: true,
            instances: vec![(0, up.clone())],
            values: vec![(5, 0.9, 2), (7, 0.4, 1)],
            texts: vec![(0, 1, "new".into())],
            unmatched: vec![(0, vec![input("b", 2)]), (1, vec![input("c", 1)])],
            layers: Some(vec![2]),
            holding: Some(true),
            log: vec!["second".into()],
            log_next: 2,
        });
        assert_eq!(
            delta,
            Delta {
                seconds: 2.0,
                running: true,
                instances: vec![(0, up)],
                values: vec![(3, 0.1, 1), (5, 0.9, 2), (7, 0.4, 1)],
                texts: vec![(0, 1, "new".into()), (1, 1, "other".into())],
                unmatched: vec![(0, vec![input("b", 2), input("a", 1)]), (1, vec![input("c", 1)])],
                layers: Some(vec![2]),
                holding: Some(true),
                log: vec!["first".into(), "second".into()],
                log_next: 2,
            }
        );
    }

    #[test]
    fn a_merged_delta_keeps_a_bounded_number_of_log_lines() {
        let line = |number: usize| number.to_string();
        let mut delta = Delta { log: (0..900).map(line).collect(), ..Delta::default() };
        delta.merge(Delta { log: (900..1_800).map(line).collect(), ..Delta::default() });
        assert_eq!(delta.log.len(), MAX_MERGED_LOG_LINES);
        assert_eq!((delta.log[0].as_str(), delta.log[999].as_str()), ("800", "1799"));
    }
}
