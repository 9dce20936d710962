//! Brings the state of a receiver to that of a journal, with messages for what was lost.

use super::super::packet::Invalid;
use super::parameters::Selection;
use super::read::{self, Entry};
use super::state::State;
use crate::midi_grammar::message::Message;

/// The packet that a receiver records for everything.
pub(in super::super) const RECEIVED: u32 = 1;

/// The first packet that a journal covers.
pub(in super::super) fn checkpoint(journal: &[u8]) -> Result<u16, Invalid> {
    read::checkpoint(journal)
}

/// Compares a journal with the state of the receiver, and passes a message to `handle` for each
/// difference. The messages are recorded in the state.
///
/// # Errors
/// If the journal is not valid; the entries before the error were handled.
pub(in super::super) fn repair(
    journal: &[u8],
    state: &mut State,
    handle: &mut dyn FnMut(Message<'_>),
) -> Result<(), Invalid> {
    let mut repair = Repair { state, handle, last_parameter: None };
    read::read(journal, &mut |channel, entry| repair.entry(channel, entry))
}

struct Repair<'r> {
    state: &'r mut State,
    handle: &'r mut dyn FnMut(Message<'_>),
    /// The last parameter of the list that is being read.
    last_parameter: Option<(bool, u16)>,
}

impl Repair<'_> {
    fn emit(&mut self, message: Message<'_>) {
        self.state.record(&message, RECEIVED);
        (self.handle)(message);
    }

    fn controller(&mut self, channel: u8, number: u8, value: u8) {
        self.emit(Message::Controller { channel, number, value });
    }

    fn velocity(&self, channel: u8, note: u8) -> u8 {
        let channel = self.state.channels[usize::from(channel)].as_deref();
        channel.map_or(0, |channel| channel.notes[usize::from(note)].value)
    }

    fn entry(&mut self, channel: u8, entry: Entry<'_>) {
        let state = self.state.channels[usize::from(channel)].as_deref();
        match entry {
            Entry::Program { program, bank } => {
                let known = state.and_then(|state| state.program.get());
                let same_bank = bank.is_none_or(|(high, low)| {
                    let known = state.map_or([None; 2], |state| state.bank);
                    known.map(|half| half.unwrap_or(0)) == [high, low]
                });
                if known == Some(program) && same_bank {
                    return;
                }
                if let Some((high, low)) = bank {
                    self.controller(channel, 0, high);
                    self.controller(channel, 32, low);
                }
                self.emit(Message::Program { channel, program });
            }
            Entry::Controller { number, value } => {
                let known = state.and_then(|state| state.controllers[usize::from(number)].get());
                if known != Some(value) {
                    self.controller(channel, number, value);
                }
            }
            Entry::Parameter { registered, number, high, low } => {
                self.parameter(channel, registered, number, high, low);
            }
            Entry::Selection { pending, is_selected } => {
                self.selection(channel, pending, is_selected);
            }
            Entry::Bend(bend) => {
                let known = state.filter(|state| state.bend_at != 0).map(|state| state.bend);
                if known != Some(bend) {
                    self.emit(Message::PitchBend { channel, bend });
                }
            }
            Entry::NoteOff(note) => {
                if self.velocity(channel, note) > 0 {
                    self.emit(Message::NoteOff { channel, note, velocity: 0 });
                }
            }
            Entry::NoteOn { note, velocity, is_to_play } => {
                let known = self.velocity(channel, note);
                if known != velocity && (known > 0 || is_to_play) {
                    self.emit(Message::NoteOn { channel, note, velocity });
                }
            }
            Entry::Aftertouch(pressure) => {
                if state.and_then(|state| state.aftertouch.get()) != Some(pressure) {
                    self.emit(Message::ChannelPressure { channel, pressure });
                }
            }
            Entry::Pressure { note, pressure } => {
                let known = state.and_then(|state| state.pressures[usize::from(note)].get());
                if known != Some(pressure) {
                    self.emit(Message::KeyPressure { channel, note, pressure });
                }
            }
            Entry::Song(song) => {
                if self.state.song.get() != Some(song) {
                    self.emit(Message::SongSelect(song));
                }
            }
            Entry::Sequencer { is_running, position } => self.sequencer(is_running, position),
            Entry::Exclusive { count, data } => self.exclusive(count, data),
        }
    }

    fn selected(&self, channel: u8) -> Selection {
        let state = self.state.channels[usize::from(channel)].as_deref();
        state.map(|state| state.parameters.selection).unwrap_or_default()
    }

    fn select(&mut self, channel: u8, registered: bool, number: u16) {
        if self.selected(channel) == Selection::Parameter((registered, number)) {
            return;
        }
        let (high, low) = if registered { (101, 100) } else { (99, 98) };
        self.controller(channel, high, (number >> 7) as u8);
        self.controller(channel, low, (number & 0x7F) as u8);
    }

    fn parameter(
        &mut self,
        channel: u8,
        registered: bool,
        number: u16,
        high: Option<u8>,
        low: Option<u8>,
    ) {
        self.last_parameter = Some((registered, number));
        let state = self.state.channels[usize::from(channel)].as_deref();
        // The controllers 6 and 38 have channels of their own, so that their last values count,
        // too.
        let is_known = state.is_some_and(|state| {
            let known = state.parameters.value((registered, number));
            let raw = [6, 38].map(|controller: usize| state.controllers[controller].value);
            [(high, known.0, raw[0]), (low, known.1, raw[1])].iter().all(|(half, known, raw)| {
                half.is_none_or(|half| *known == Some(half) && half == *raw)
            })
        });
        if is_known {
            return;
        }
        self.select(channel, registered, number);
        for (controller, half) in [(6, high), (38, low)] {
            if let Some(half) = half {
                self.controller(channel, controller, half);
            }
        }
    }

    fn selection(&mut self, channel: u8, pending: Option<(bool, u8)>, is_selected: bool) {
        let last = self.last_parameter.take();
        match (pending, is_selected, last) {
            (Some((registered, high)), ..) => {
                if self.selected(channel) != Selection::Pending(registered, high) {
                    self.controller(channel, if registered { 101 } else { 99 }, high);
                }
            }
            (None, true, Some((registered, number))) => self.select(channel, registered, number),
            (None, true, None) => {}
            (None, false, _) => {
                if self.selected(channel) != Selection::Nothing {
                    self.controller(channel, 101, 127);
                    self.controller(channel, 100, 127);
                }
            }
        }
    }

    fn sequencer(&mut self, is_running: bool, position: u32) {
        let known = self.state.sequencer;
        match (known.is_running, is_running) {
            (false, true) if position == 0 => self.emit(Message::Start),
            (false, true) => {
                self.emit(Message::SongPosition((position / 6).min(16_383) as u16));
                self.emit(Message::Continue);
            }
            (true, false) => self.emit(Message::Stop),
            _ => {}
        }
        if !is_running && self.state.sequencer.position / 6 != position / 6 {
            self.emit(Message::SongPosition((position / 6).min(16_383) as u16));
        }
        // Clocks that were lost are not repeated, but counted.
        self.state.sequencer.position = position;
    }

    fn exclusive(&mut self, count: u8, data: Option<&[u8]>) {
        // Half of the numbers are later ones.
        let is_later = count.wrapping_sub(self.state.exclusive_count).wrapping_sub(1) < 128;
        if !is_later {
            return;
        }
        if let Some(data) = data {
            let mut message = Vec::with_capacity(data.len() + 2);
            message.push(0xF0);
            message.extend(data.iter().map(|byte| byte & 0x7F));
            message.push(0xF7);
            self.emit(Message::Exclusive(&message));
        }
        self.state.exclusive_count = count;
        // A receiver writes no journal.
        self.state.exclusives.clear();
    }
}
