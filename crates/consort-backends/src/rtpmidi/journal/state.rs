//! The state of a stream: the last value of everything, and the packet that set it. A sender
//! writes journals from it; a receiver compares journals with it.

use std::collections::VecDeque;

use super::parameters::Parameters;
use crate::midi_grammar::message::Message;

/// The most bytes of system exclusive messages that are kept for the journal; the oldest message
/// is forgotten first.
const MAX_EXCLUSIVE_BYTES: usize = 800;

/// The most system exclusive messages that are kept.
const MAX_EXCLUSIVES: usize = 32;

/// The velocity that a note ends with unless its message says otherwise.
pub(super) const DEFAULT_RELEASE: u8 = 64;

/// A value and the packet that set it, with the high bits that its number lacks on the wire; 0 if
/// none did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) value: u8,
    pub(super) at: u32,
}

impl Slot {
    fn set(&mut self, value: u8, at: u32) {
        *self = Slot { value, at };
    }

    /// The value, if one was set.
    pub(super) fn get(self) -> Option<u8> {
        (self.at != 0).then_some(self.value)
    }
}

/// The state of one MIDI channel.
pub(super) struct Channel {
    /// The last packet that changed anything.
    pub(super) at: u32,
    pub(super) program: Slot,
    /// The upper and lower half of the bank at the last program change.
    pub(super) bank: [Option<u8>; 2],
    pub(super) controllers: [Slot; 128],
    pub(super) parameters: Parameters,
    pub(super) bend: u16,
    pub(super) bend_at: u32,
    /// The velocity of notes that sound, 0 for others.
    pub(super) notes: [Slot; 128],
    pub(super) releases: [u8; 128],
    pub(super) aftertouch: Slot,
    pub(super) pressures: [Slot; 128],
}

impl Channel {
    fn new() -> Self {
        Channel {
            at: 0,
            program: Slot::default(),
            bank: [None; 2],
            controllers: [Slot::default(); 128],
            parameters: Parameters::default(),
            bend: 8_192,
            bend_at: 0,
            notes: [Slot::default(); 128],
            releases: [DEFAULT_RELEASE; 128],
            aftertouch: Slot::default(),
            pressures: [Slot::default(); 128],
        }
    }

    fn controller(&mut self, number: u8, value: u8, at: u32) {
        let is_parameter = self.parameters.record(number, value, at);
        // A controller of a parameter is not a value of its own in journals.
        let own = if is_parameter { 0 } else { at };
        self.controllers[usize::from(number)] = Slot { value, at: own };
        match number {
            120 | 123.. => {
                for note in self.notes.iter_mut().filter(|note| note.value > 0) {
                    note.set(0, at);
                }
            }
            121 => {
                for pedal in [64, 66] {
                    if self.controllers[pedal].value > 0 {
                        self.controllers[pedal].set(0, at);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Start, stop and position of the song.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sequencer {
    pub(super) is_running: bool,
    /// Whether a clock has followed since the song started.
    pub(super) has_clock: bool,
    /// The position in clocks, 24 per quarter note; 19 bits.
    pub(super) position: u32,
    pub(super) at: u32,
}

/// A system exclusive message, kept for the journal.
pub(super) struct Exclusive {
    /// How many there were, this one included; modulo 256.
    pub(super) count: u8,
    pub(super) at: u32,
    /// The bytes between F0 and F7; none if they are too many to be kept.
    pub(super) data: Option<Vec<u8>>,
}

/// The state of a stream.
pub(in super::super) struct State {
    pub(super) channels: [Option<Box<Channel>>; 16],
    pub(super) song: Slot,
    pub(super) sequencer: Sequencer,
    pub(super) exclusives: VecDeque<Exclusive>,
    /// How many system exclusive messages were complete; modulo 256.
    pub(super) exclusive_count: u8,
    /// The last packet that changed anything.
    pub(super) at: u32,
}

impl State {
    pub(in super::super) fn new() -> Self {
        State {
            channels: [const { None }; 16],
            song: Slot::default(),
            sequencer: Sequencer::default(),
            exclusives: VecDeque::new(),
            exclusive_count: 0,
            at: 0,
        }
    }

    fn channel(&mut self, channel: u8, at: u32) -> &mut Channel {
        let channel = &mut self.channels[usize::from(channel & 0xF)];
        let channel = channel.get_or_insert_with(|| Box::new(Channel::new()));
        channel.at = at;
        channel
    }

    /// Records a message of packet `at`, which is not 0.
    pub(in super::super) fn record(&mut self, message: &Message<'_>, at: u32) {
        self.at = at;
        match *message {
            Message::NoteOn { channel, note, velocity } => {
                let channel = self.channel(channel, at);
                channel.notes[usize::from(note)].set(velocity, at);
                channel.releases[usize::from(note)] = DEFAULT_RELEASE;
            }
            Message::NoteOff { channel, note, velocity } => {
                let channel = self.channel(channel, at);
                channel.notes[usize::from(note)].set(0, at);
                channel.releases[usize::from(note)] = velocity;
            }
            Message::KeyPressure { channel, note, pressure } => {
                self.channel(channel, at).pressures[usize::from(note)].set(pressure, at);
            }
            Message::Controller { channel, number, value } => {
                self.channel(channel, at).controller(number, value, at);
            }
            Message::Program { channel, program } => {
                let channel = self.channel(channel, at);
                channel.program.set(program, at);
                channel.bank = [channel.controllers[0].get(), channel.controllers[32].get()];
            }
            Message::ChannelPressure { channel, pressure } => {
                self.channel(channel, at).aftertouch.set(pressure, at);
            }
            Message::PitchBend { channel, bend } => {
                let channel = self.channel(channel, at);
                (channel.bend, channel.bend_at) = (bend, at);
            }
            Message::SongSelect(song) => self.song.set(song, at),
            Message::SongPosition(_)
            | Message::Start
            | Message::Continue
            | Message::Stop
            | Message::Clock => self.sequencer(message, at),
            Message::Exclusive(message) => self.exclusive(message, at),
            Message::QuarterFrame(_)
            | Message::TuneRequest
            | Message::ActiveSensing
            | Message::Reset => {}
        }
    }

    fn sequencer(&mut self, message: &Message<'_>, at: u32) {
        let sequencer = &mut self.sequencer;
        match *message {
            Message::Start => {
                *sequencer = Sequencer { is_running: true, ..Sequencer::default() };
            }
            Message::Continue => (sequencer.is_running, sequencer.has_clock) = (true, false),
            Message::Stop => sequencer.is_running = false,
            Message::SongPosition(position) => sequencer.position = u32::from(position) * 6,
            // Without a song, clocks have no position.
            _ if !sequencer.is_running => return,
            _ => {
                sequencer.has_clock = true;
                sequencer.position = (sequencer.position + 1) & 0x7_FFFF;
            }
        }
        sequencer.at = at;
    }

    fn exclusive(&mut self, message: &[u8], at: u32) {
        if message.last() != Some(&0xF7) {
            return;
        }
        self.exclusive_count = self.exclusive_count.wrapping_add(1);
        let data = match message {
            [0xF0, data @ .., 0xF7] if data.len() <= MAX_EXCLUSIVE_BYTES => Some(data.to_vec()),
            _ => None,
        };
        self.exclusives.push_back(Exclusive { count: self.exclusive_count, at, data });
        let bytes = |all: &VecDeque<Exclusive>| -> usize {
            all.iter().map(|one| 2 + one.data.as_ref().map_or(0, Vec::len)).sum()
        };
        while self.exclusives.len() > MAX_EXCLUSIVES
            || bytes(&self.exclusives) > MAX_EXCLUSIVE_BYTES + 2
        {
            self.exclusives.pop_front();
        }
    }

    /// Forgets the system exclusive messages up to packet `acknowledged`, which the receiver has.
    pub(in super::super) fn forget_exclusives(&mut self, acknowledged: u32) {
        while self.exclusives.front().is_some_and(|first| first.at <= acknowledged) {
            self.exclusives.pop_front();
        }
    }

    /// The last packet that changed anything.
    pub(in super::super) fn last_change(&self) -> u32 {
        self.at
    }

    /// Forgets the notes that sound, and releases the pedals: their ends were lost.
    pub(in super::super) fn release(&mut self) {
        for channel in self.channels.iter_mut().flatten() {
            channel.notes.iter_mut().for_each(|note| note.value = 0);
            for pedal in [64, 66] {
                channel.controllers[pedal].value = 0;
            }
        }
    }
}
