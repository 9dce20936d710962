//! The channels of an instance as its worker numbers them, while a reload changes them.
//!
//! The router's numbers of channels change at once with a reload. The worker's numbers stay
//! while a channel stays; protocol.rs describes how they are given to others. The change is sent
//! when all that was encoded before is written, however many reloads there were until then:
//! what waits for a slow worker is bounded.

use consort_router::ChannelTable;

use super::super::protocol::{Command, push_command};

/// In place of a number of the router or the worker: there is none.
const NONE: u32 = u32::MAX;

/// The relation between the router's numbers of channels and the worker's.
#[derive(Debug, Default)]
pub(super) struct WorkerChannels {
    /// The worker's number of each of the router's channels; [`NONE`] if it is not sent yet.
    numbers: Vec<u32>,
    /// The router's number of each of the worker's channels; [`NONE`] if the channel has gone.
    slots: Vec<u32>,
    /// The worker's numbers of channels that have gone and that it has not been sent yet.
    removed: Vec<u32>,
    /// Numbers that can be given to other channels once the worker has applied a generation.
    retired: Vec<(u32, u32)>,
    /// Numbers that can be given to other channels.
    free: Vec<u32>,
    /// The router's numbers of channels whose usage has changed.
    changed: Vec<u32>,
    /// The default handler has changed.
    has_new_default: bool,
    /// There may be a change to send.
    is_outdated: bool,
    /// How many changes were sent.
    generation: u32,
}

impl WorkerChannels {
    /// The channels of a worker's setup: both sides have the same numbers.
    pub(super) fn new(count: usize) -> Self {
        let numbers: Vec<u32> = (0..count as u32).collect();
        WorkerChannels { slots: numbers.clone(), numbers, ..WorkerChannels::default() }
    }

    /// The worker's number of a channel of the router.
    #[inline]
    pub(super) fn number(&self, channel: u32) -> u32 {
        self.numbers[channel as usize]
    }

    /// The router's number of a channel of the worker.
    ///
    /// # Errors
    /// If the worker never had such a channel.
    #[inline]
    pub(super) fn channel(&self, number: u32) -> Result<Option<u32>, ()> {
        match self.slots.get(number as usize) {
            Some(&NONE) => Ok(None),
            Some(&channel) => Ok(Some(channel)),
            None => Err(()),
        }
    }

    /// Takes the router's numbers of changed channels.
    pub(super) fn adopt(&mut self, table: &ChannelTable, old_usage: &[u8], new_usage: &[u8]) {
        for (number, slot) in self.slots.iter_mut().enumerate() {
            if *slot != NONE {
                *slot = table.new_number(*slot).unwrap_or(NONE);
                if *slot == NONE {
                    self.removed.push(number as u32);
                }
            }
        }
        let changed = std::mem::take(&mut self.changed);
        self.changed.extend(changed.into_iter().filter_map(|channel| table.new_number(channel)));
        let old_numbers = std::mem::take(&mut self.numbers);
        for channel in 0..table.new_count() as u32 {
            let old = table.old_number(channel);
            self.numbers.push(old.map_or(NONE, |old| old_numbers[old as usize]));
            if old.is_some_and(|old| old_usage[old as usize] != new_usage[channel as usize]) {
                self.changed.push(channel);
            }
        }
        self.changed.sort_unstable();
        self.changed.dedup();
        self.is_outdated = true;
    }

    /// The default handler is another one.
    pub(super) fn change_default_handler(&mut self) {
        self.has_new_default = true;
        self.is_outdated = true;
    }

    /// The worker has applied a change.
    pub(super) fn acknowledge(&mut self, generation: u32) {
        let free = &mut self.free;
        // Generations wrap; at most a few are on their way.
        self.retired.retain(|&(retired, number)| {
            let is_applied = generation.wrapping_sub(retired) < u32::MAX / 2;
            if is_applied {
                free.push(number);
            }
            !is_applied
        });
    }

    /// Encodes what has changed since the last call: removed channels, then those that are new or
    /// have another usage, in the order of the router's numbers.
    pub(super) fn encode_change(
        &mut self,
        bytes: &mut Vec<u8>,
        names: &[String],
        usage: &[u8],
        default_handler: &str,
    ) {
        if !std::mem::take(&mut self.is_outdated) {
            return;
        }
        let is_complete = self.numbers.iter().all(|&number| number != NONE);
        if is_complete
            && self.removed.is_empty()
            && self.changed.is_empty()
            && !self.has_new_default
        {
            return;
        }
        self.generation = self.generation.wrapping_add(1);
        if std::mem::take(&mut self.has_new_default) {
            push_command(bytes, Command::DefaultHandler(default_handler));
        }
        for number in self.removed.drain(..) {
            push_command(bytes, Command::Remove(number));
            self.retired.push((self.generation, number));
        }
        let mut changed = std::mem::take(&mut self.changed).into_iter().peekable();
        for (channel, number) in self.numbers.iter_mut().enumerate() {
            let is_new = *number == NONE;
            if is_new {
                *number = self.free.pop().unwrap_or(self.slots.len() as u32);
                if *number as usize == self.slots.len() {
                    self.slots.push(NONE);
                }
                self.slots[*number as usize] = channel as u32;
            }
            if changed.next_if_eq(&(channel as u32)).is_some() || is_new {
                let (name, usage) = (names[channel].as_str(), usage[channel]);
                push_command(bytes, Command::Channel { number: *number, usage, name });
            }
        }
        push_command(bytes, Command::Generation(self.generation));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The channels of both sides, changed by name.
    struct Sides {
        channels: WorkerChannels,
        names: Vec<String>,
    }

    fn list(names: &str) -> Vec<String> {
        names.split_whitespace().map(str::to_owned).collect()
    }

    impl Sides {
        fn new(names: &str) -> Self {
            let names = list(names);
            Sides { channels: WorkerChannels::new(names.len()), names }
        }

        fn adopt(&mut self, names: &str) {
            let names = list(names);
            let table = ChannelTable::between(&self.names, &names);
            let usage = (vec![1; self.names.len()], vec![1; names.len()]);
            self.channels.adopt(&table, &usage.0, &usage.1);
            self.names = names;
        }

        /// The commands of the change: kind, argument and payload.
        fn change(&mut self) -> Vec<String> {
            let (mut bytes, usage) = (Vec::new(), vec![1; self.names.len()]);
            self.channels.encode_change(&mut bytes, &self.names, &usage, "");
            let mut commands = Vec::new();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let word = |offset: usize| rest[offset..offset + 4].try_into().unwrap();
                let [kind, length, argument] = [4, 8, 12].map(|at| u32::from_le_bytes(word(at)));
                let (length, size) = (length as usize, (length as usize).next_multiple_of(16));
                let payload = String::from_utf8_lossy(&rest[16..16 + length]);
                commands.push(format!("{kind} {argument} {}", payload.trim_start_matches('\x01')));
                rest = &rest[16 + size..];
            }
            commands
        }

        /// What the worker's numbers mean now.
        fn meaning(&self) -> Vec<&str> {
            let channels = (0..).map_while(|number| self.channels.channel(number).ok());
            let name = |channel: Option<u32>| channel.map_or("-", |at| &self.names[at as usize]);
            channels.map(name).collect()
        }
    }

    #[test]
    fn channels_that_stay_keep_their_numbers() {
        let mut sides = Sides::new("a b c");
        assert_eq!(sides.change(), [""; 0]);
        sides.adopt("c new a");
        assert_eq!(sides.meaning(), ["a", "-", "c"], "at once");
        assert_eq!(sides.change(), ["5 1 ", "4 3 new", "7 1 "]);
        assert_eq!(sides.meaning(), ["a", "-", "c", "new"]);
        assert_eq!([0, 1, 2].map(|channel| sides.channels.number(channel)), [2, 3, 0]);
    }

    #[test]
    fn a_number_is_given_away_only_when_the_change_is_applied() {
        let mut sides = Sides::new("a b");
        sides.adopt("b");
        sides.change();
        sides.adopt("b c");
        assert_eq!(sides.change(), ["4 2 c", "7 2 "], "values for `a` may be on their way");
        sides.channels.acknowledge(1);
        sides.adopt("b c d");
        assert_eq!(sides.change(), ["4 0 d", "7 3 "]);
        assert_eq!(sides.meaning(), ["d", "b", "c"]);
    }

    #[test]
    fn several_reloads_are_sent_as_one_change() {
        let mut sides = Sides::new("a b");
        for names in ["b c", "b d e", "e a b"] {
            sides.adopt(names);
        }
        assert_eq!(sides.meaning(), ["-", "b"]);
        assert_eq!(sides.change(), ["5 0 ", "4 2 e", "4 3 a", "7 1 "]);
        assert_eq!(sides.meaning(), ["-", "b", "e", "a"]);
    }
}
