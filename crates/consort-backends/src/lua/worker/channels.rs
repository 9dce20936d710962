//! The channels of a script.

use std::collections::HashMap;
use std::ops::{Index, IndexMut};

use mlua::Function;

/// One channel as the script sees it.
#[derive(Default)]
pub(super) struct Channel {
    pub(super) name: String,
    /// Its number in the protocol; none while no mapping uses it.
    pub(super) number: Option<u32>,
    pub(super) input: f64,
    pub(super) output: f64,
    pub(super) handler: Option<Function>,
    /// An output created it while the script was loaded: it exists also without a mapping.
    is_created: bool,
}

/// All channels: those of the mappings in their order, and those that the script created.
#[derive(Default)]
pub(super) struct Channels {
    channels: Vec<Channel>,
    by_name: HashMap<String, u32>,
    /// The index of each number of the protocol.
    slots: Vec<Option<u32>>,
    created: usize,
}

impl Channels {
    /// The channels of the mappings; their numbers are their positions.
    pub(super) fn new(names: Vec<String>) -> Self {
        let mut channels = Channels::default();
        for (number, name) in (0..).zip(names) {
            channels.map(number, &name);
        }
        channels
    }

    /// The index of a channel.
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// The index of the channel with a number of the protocol.
    #[inline]
    pub(super) fn slot(&self, number: u32) -> Option<u32> {
        self.slots.get(number as usize).copied().flatten()
    }

    /// How many channels the script has created.
    pub(super) fn created(&self) -> usize {
        self.created
    }

    /// Creates a channel that no mapping uses.
    pub(super) fn create(&mut self, name: &str) -> u32 {
        self.created += 1;
        let index = self.add(name);
        self[index].is_created = true;
        index
    }

    /// Adds a channel to the mapped ones; returns its index.
    pub(super) fn map(&mut self, number: u32, name: &str) -> u32 {
        let index = self.find(name).unwrap_or_else(|| self.add(name));
        self[index].number = Some(number);
        let needed = number as usize + 1;
        if self.slots.len() < needed {
            self.slots.resize(needed, None);
        }
        self.slots[number as usize] = Some(index);
        index
    }

    /// Removes a channel from the mapped ones.
    pub(super) fn unmap(&mut self, number: u32) {
        let Some(index) = self.slots.get_mut(number as usize).and_then(Option::take) else {
            return;
        };
        let channel = &mut self[index];
        channel.number = None;
        channel.handler = None;
        if channel.is_created {
            return;
        }
        let name = std::mem::take(&mut channel.name);
        self.by_name.remove(&name);
    }

    /// Forgets removed channels, after a change of several.
    pub(super) fn compact(&mut self) {
        self.channels.retain(|channel| channel.number.is_some() || channel.is_created);
        self.by_name.clear();
        for (index, channel) in (0..).zip(&self.channels) {
            self.by_name.insert(channel.name.clone(), index);
            if let Some(number) = channel.number {
                self.slots[number as usize] = Some(index);
            }
        }
    }

    /// The names in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.channels.iter().map(|channel| channel.name.as_str())
    }

    /// The indices of all mapped channels, in order.
    pub(super) fn mapped(&self) -> Vec<u32> {
        let indices = (0..).zip(&self.channels);
        indices.filter(|(_, channel)| channel.number.is_some()).map(|(index, _)| index).collect()
    }

    fn add(&mut self, name: &str) -> u32 {
        let index = self.channels.len() as u32;
        self.by_name.insert(name.to_owned(), index);
        self.channels.push(Channel { name: name.to_owned(), ..Channel::default() });
        index
    }
}

impl Index<u32> for Channels {
    type Output = Channel;

    fn index(&self, index: u32) -> &Channel {
        &self.channels[index as usize]
    }
}

impl IndexMut<u32> for Channels {
    fn index_mut(&mut self, index: u32) -> &mut Channel {
        &mut self.channels[index as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_come_and_go_by_number() {
        let mut channels = Channels::new(vec!["a".into(), "b".into()]);
        channels.create("made");
        channels.unmap(0);
        channels.map(0, "c");
        channels.map(2, "made");
        channels.compact();
        assert_eq!(channels.names().collect::<Vec<_>>(), ["b", "made", "c"]);
        let name = |number| channels.slot(number).map(|index| channels[index].name.as_str());
        assert_eq!([0, 1, 2, 3].map(name), [Some("c"), Some("b"), Some("made"), None]);
        channels.unmap(2);
        channels.compact();
        assert_eq!(channels.names().collect::<Vec<_>>(), ["b", "made", "c"], "created stays");
        assert_eq!(channels.find("a"), None);
    }
}
