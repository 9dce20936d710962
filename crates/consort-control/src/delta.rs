//! From two readings to the changes between them.

use crate::message::{Delta, InstanceReading, Reading};

/// Remembers what a subscriber was sent, and makes the next delta.
#[derive(Clone, Debug, Default)]
pub struct DeltaEncoder {
    instances: Vec<InstanceReading>,
    counts: Vec<(u64, u64)>,
}

impl DeltaEncoder {
    /// An encoder for a subscriber that knows nothing: the first delta has everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// What differs from the last delta. `log` of the reading are the lines since then. Texts,
    /// unmatched input and layers are left empty for the caller to fill.
    ///
    /// A value that was set again to the same number is a change, since its count differs.
    pub fn next(&mut self, reading: Reading) -> Delta {
        let Reading { seconds, running, instances, values, log, log_next } = reading;
        let mut delta = Delta { seconds, running, log, log_next, ..Delta::default() };
        for (number, instance) in instances.iter().enumerate() {
            if self.instances.get(number) != Some(instance) {
                delta.instances.push((number as u32, instance.clone()));
            }
        }
        self.instances = instances;
        for (place, &(value, count)) in values.iter().enumerate() {
            let now = (value.to_bits(), count);
            let known = self.counts.get(place).copied().unwrap_or((0, 0));
            if now != known {
                delta.values.push((place as u32, value, count));
            }
        }
        self.counts.clear();
        self.counts.extend(values.iter().map(|&(value, count)| (value.to_bits(), count)));
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
        for (place, value, count) in delta.values {
            if let Some(slot) = reading.values.get_mut(place as usize) {
                *slot = (value, count);
            }
        }
        reading.log.extend(delta.log);
        reading.log_next = delta.log_next;
    }
}
