//! Input: what changes between the messages of a strip.

use std::fmt::Write;

use consort_router::{Context, RawValue, Sender, Unmatched, WarnOnce};

use super::channels::{Channel, Channels, Order};
use super::codec::{Message, Mode, SYSTEM_EXCLUSIVE};

/// The channel of a component that is not mapped.
const UNMAPPED: u32 = u32::MAX;

/// The most unmatched components of one message that are reported. The others are counted, and
/// their turn comes with the next messages.
const MAX_UNMATCHED_PER_MESSAGE: usize = 8;

/// The most components that `detect` lists of one message.
const MAX_DETECTED_PER_MESSAGE: usize = 24;

/// What arrived last for a strip.
#[derive(Default)]
struct Strip {
    /// The data of the last messages. What is behind its end has not arrived yet.
    data: Vec<u8>,
    /// The channel of each component.
    channels: Vec<u32>,
    /// Components that a reload has mapped: they are emitted with the next message.
    fresh: Vec<u16>,
    /// Where the search for unmatched components to report begins.
    next_unmatched: usize,
}

impl Strip {
    fn is_mapped(&self) -> bool {
        !self.channels.is_empty()
    }

    fn map(&mut self, index: usize, channel: u32) {
        if self.channels.len() <= index {
            self.channels.resize(index + 1, UNMAPPED);
        }
        self.channels[index] = channel;
    }
}

/// The strips that an instance receives.
pub(super) struct Inputs {
    mode: Mode,
    order: Order,
    /// By number; strips without a channel are added when something arrives for them.
    strips: Vec<Strip>,
    other_mode: WarnOnce,
    /// Messages of the other mode and of unknown commands.
    pub(super) invalid: u64,
}

/// The raw value of a component; `None` if the data end before it.
#[inline]
fn raw(data: &[u8], index: usize, mode: Mode) -> Option<u16> {
    match mode {
        Mode::Bytes => data.get(index).copied().map(u16::from),
        Mode::Words => {
            let bytes = data.get(index * 2..index * 2 + 2)?;
            Some(u16::from_be_bytes([bytes[0], bytes[1]]))
        }
    }
}

impl Inputs {
    pub(super) fn new(channels: &Channels) -> Self {
        let mut inputs = Inputs {
            mode: channels.mode,
            order: channels.order.clone(),
            strips: Vec::new(),
            other_mode: WarnOnce::default(),
            invalid: 0,
        };
        inputs.strips.resize_with(256, Strip::default);
        inputs.map(channels.list());
        inputs
    }

    fn map(&mut self, channels: &[Channel]) {
        for (number, channel) in (0..).zip(channels) {
            if channel.is_source {
                let strip = &mut self.strips[usize::from(channel.component.strip)];
                strip.map(usize::from(channel.component.index), number);
            }
        }
    }

    /// Continues with the channels of a reloaded show.
    pub(super) fn adopt(&mut self, channels: &Channels) {
        let before: Vec<Vec<u32>> =
            self.strips.iter_mut().map(|strip| std::mem::take(&mut strip.channels)).collect();
        self.map(channels.list());
        for (strip, before) in self.strips.iter_mut().zip(before) {
            let Strip { data, channels, fresh, .. } = strip;
            let is_mapped = |channels: &[u32], index: usize| {
                channels.get(index).is_some_and(|&channel| channel != UNMAPPED)
            };
            fresh.retain(|&index| is_mapped(channels, usize::from(index)));
            for index in 0..channels.len() {
                let has_arrived = raw(data, index, self.mode).is_some();
                if has_arrived && is_mapped(channels, index) && !is_mapped(&before, index) {
                    fresh.push(index as u16);
                }
            }
        }
    }

    /// Takes a message. Returns how many values were emitted or reported, at least 1.
    pub(super) fn receive(
        &mut self,
        message: &Message<'_>,
        sender: Sender<'_>,
        detect: bool,
        context: &mut Context<'_>,
    ) -> usize {
        context.count_input(1);
        if message.command != self.mode.command() {
            self.reject(message, sender, context);
            return 1;
        }
        let mut count = 0;
        match message.strip {
            0 if self.strips.iter().any(Strip::is_mapped) => {
                for number in 1..self.strips.len() {
                    if self.strips[number].is_mapped() {
                        count += self.receive_strip(number, message.data, sender, detect, context);
                    }
                }
            }
            // Without a mapping, what is sent to all strips is reported as that of the first one.
            number => {
                let number = usize::from(number.max(1));
                count += self.receive_strip(number, message.data, sender, detect, context);
            }
        }
        count.max(1)
    }

    /// Counts a message that sets no colours in the mode of the instance.
    fn reject(&mut self, message: &Message<'_>, sender: Sender<'_>, context: &mut Context<'_>) {
        if message.command == SYSTEM_EXCLUSIVE {
            return;
        }
        self.invalid += 1;
        context.count_errors(1);
        if self.other_mode.is_first() {
            let hint = match (message.command, self.mode) {
                (0, Mode::Words) => "it has 8 bits for each component: set `mode = 8bit`",
                (2, Mode::Bytes) => "it has 16 bits for each component: set `mode = 16bit`",
                _ => "it is not defined",
            };
            tracing::warn!(
                instance = context.name(),
                "ignored a message of {sender} with command {}: {hint}; further ones are only \
                 counted",
                message.command
            );
        }
    }

    fn receive_strip(
        &mut self,
        number: usize,
        new: &[u8],
        sender: Sender<'_>,
        detect: bool,
        context: &mut Context<'_>,
    ) -> usize {
        let (mode, scale) = (self.mode, f64::from(self.mode.max_raw()));
        let Strip { data, channels, fresh, next_unmatched } = &mut self.strips[number];
        let length = new.len() / mode.width();
        let new = &new[..length * mode.width()];
        let mut count = 0;
        // A value that differs from the last message is emitted below.
        fresh.retain(|&index| {
            let index = usize::from(index);
            if index >= length {
                return true;
            }
            let value = raw(new, index, mode);
            if value == raw(data, index, mode) {
                count += 1;
                context.emit(channels[index], value.map_or(0.0, f64::from) / scale);
            }
            false
        });
        let known = data.len().min(new.len());
        if new[..known] == data[..known] && known == new.len() {
            return count;
        }
        let changed = |index: usize| {
            let (old, new) = (raw(data, index, mode), raw(new, index, mode)?);
            (old != Some(new)).then_some((old, new))
        };
        if detect {
            self.order.log(number, (0..length).filter_map(|i| Some((i, changed(i)?.1))), context);
        }
        let mut unmatched = 0_usize;
        for index in 0..length {
            let Some((old, new)) = changed(index) else { continue };
            match channels.get(index) {
                Some(&channel) if channel != UNMAPPED => {
                    count += 1;
                    context.emit(channel, f64::from(new) / scale);
                }
                // Before the first message, all components are 0.
                _ => unmatched += usize::from(old.is_some() || new > 0),
            }
        }
        if unmatched > 0 {
            let start = (*next_unmatched).min(length);
            let is_unmapped = |index: &usize| channels.get(*index).is_none_or(|&c| c == UNMAPPED);
            let unmapped = (start..length).chain(0..start).filter(is_unmapped);
            let found = unmapped.filter_map(|index| Some((index, changed(index)?)));
            let found = found.filter(|(_, (old, new))| old.is_some() || *new > 0);
            for (index, (_, value)) in found.take(MAX_UNMATCHED_PER_MESSAGE) {
                *next_unmatched = index + 1;
                let input = Unmatched {
                    types: "pixel",
                    raw: RawValue::Integer(value.into()),
                    value: Some(f64::from(value) / scale),
                    sender,
                };
                let order = &self.order;
                context.unmatched(input, |channel| {
                    let _ = write!(channel, "strip{number}.");
                    order.write_name(index, channel);
                });
            }
            let reported = unmatched.min(MAX_UNMATCHED_PER_MESSAGE);
            if unmatched > reported {
                context.count_unmatched((unmatched - reported) as u64);
            }
            count += reported;
        }
        if data.len() < new.len() {
            data.resize(new.len(), 0);
        }
        data[..new.len()].copy_from_slice(new);
        count
    }
}

impl Order {
    /// Logs the components of a message that have changed, for the option `detect`.
    #[cold]
    fn log(
        &self,
        strip: usize,
        changes: impl Iterator<Item = (usize, u16)>,
        context: &mut Context<'_>,
    ) {
        let (mut line, mut more) = (String::new(), 0_usize);
        for (count, (index, raw)) in changes.enumerate() {
            if count >= MAX_DETECTED_PER_MESSAGE {
                more += 1;
                continue;
            }
            line.push(' ');
            self.write_name(index, &mut line);
            let _ = write!(line, "={raw}");
        }
        if more > 0 {
            let _ = write!(line, " and {more} more");
        }
        let instance = context.name();
        tracing::info!(target: "detect", instance, "detected `{instance}.strip{strip}`:{line}");
    }
}
