//! From two readings to the changes between them.

use crate::message::{Delta, InstanceReading, Reading};

/// Keeps what was last sent to a subscriber, and creates the next delta.
#[derive(Clone, Debug, Default)]
pub struct DeltaEncoder {
    instances: Vec<InstanceReading>,
    /// The bits of each channel's last value, and the number of its values.
    values: Vec<(u64, u64)>,
    layers: Option<Vec<u32>>,
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
        let Reading { seconds, running, instances, values, layers, log, log_next } = reading;
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
        reading.log.extend(delta.log);
        reading.log_next = delta.log_next;
    }
}
