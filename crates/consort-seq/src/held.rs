//! Held notes and pedals of a stream of events, so that they can be released.

use crate::event::{ChannelValue, Control, Event, Key, Payload};

// Controller numbers.
const SUSTAIN: u32 = 64;
const SOSTENUTO: u32 = 66;
const ALL_SOUND_OFF: u32 = 120;
const RESET_CONTROLLERS: u32 = 121;
const ALL_NOTES_OFF: u32 = 123;

/// The notes and pedals that a stream of events holds.
///
/// A program that stops sending in the middle (Ctrl-C, a file without note-offs, a source that
/// disappears) sends the events of [`releases`](Self::releases), so that no note keeps sounding.
///
/// ```
/// use consort_seq::{Event, HeldNotes};
///
/// let mut held = HeldNotes::new();
/// held.track(&Event::note_on(0, 60, 100)?);
/// held.track(&Event::note_on(0, 64, 100)?);
/// held.track(&Event::note_off(0, 60, 0)?);
/// assert_eq!(held.releases(), [Event::note_off(0, 64, 64)?]);
/// # Ok::<(), consort_seq::EventError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldNotes {
    /// One bit per note, for each channel.
    notes: [u128; 16],
    /// Whether the sustain and sostenuto pedals are down, for each channel.
    pedals: [[bool; 2]; 16],
    /// Whether a system exclusive message has begun and not ended.
    in_system_exclusive: bool,
}

impl Default for HeldNotes {
    fn default() -> Self {
        Self::new()
    }
}

impl HeldNotes {
    /// The state in which nothing is held.
    #[must_use]
    pub const fn new() -> Self {
        Self { notes: [0; 16], pedals: [[false; 2]; 16], in_system_exclusive: false }
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::new()
    }

    /// Updates the state for an event that was sent.
    pub fn track(&mut self, event: &Event) {
        match event.payload() {
            Payload::NoteOn(Key { velocity: 0, channel, note })
            | Payload::NoteOff(Key { channel, note, .. }) => {
                self.in_system_exclusive = false;
                self.notes[usize::from(channel & 15)] &= !(1 << (note & 0x7f));
            }
            Payload::NoteOn(Key { channel, note, .. }) => {
                self.in_system_exclusive = false;
                self.notes[usize::from(channel & 15)] |= 1 << (note & 0x7f);
            }
            Payload::ControlChange(control) => {
                self.in_system_exclusive = false;
                self.control(control);
            }
            Payload::SystemExclusive(data) => self.in_system_exclusive = data.last() != Some(&0xf7),
            Payload::KeyPressure(_)
            | Payload::ProgramChange(_)
            | Payload::ChannelPressure(_)
            | Payload::PitchBend(_) => self.in_system_exclusive = false,
            Payload::Reset => *self = Self::new(),
            _ => {}
        }
    }

    fn control(&mut self, control: Control) {
        let channel = usize::from(control.channel & 15);
        match control.param {
            SUSTAIN => self.pedals[channel][0] = control.value >= 64,
            SOSTENUTO => self.pedals[channel][1] = control.value >= 64,
            RESET_CONTROLLERS => self.pedals[channel] = [false; 2],
            ALL_SOUND_OFF | ALL_NOTES_OFF..=127 => self.notes[channel] = 0,
            _ => {}
        }
    }

    /// Adds everything that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        for (notes, others) in self.notes.iter_mut().zip(other.notes) {
            *notes |= others;
        }
        for (pedals, others) in self.pedals.iter_mut().zip(other.pedals) {
            pedals[0] |= others[0];
            pedals[1] |= others[1];
        }
        self.in_system_exclusive |= other.in_system_exclusive;
    }

    /// Returns the events that release everything, and resets the state: the end of an unfinished
    /// system exclusive message, a note off (velocity 64) for each note, and pedals up. The events
    /// are direct, to all subscribers.
    pub fn releases(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        if self.in_system_exclusive {
            events.push(Event::system_exclusive(&[0xf7]));
        }
        for channel in 0..16u8 {
            let mut notes = self.notes[usize::from(channel)];
            while notes != 0 {
                let note = notes.trailing_zeros() as u8;
                notes &= notes - 1;
                events.push(Event::new(Payload::NoteOff(Key { channel, note, velocity: 64 })));
            }
            for (is_down, param) in
                self.pedals[usize::from(channel)].iter().zip([SUSTAIN, SOSTENUTO])
            {
                if *is_down {
                    let control = Control { channel, param, value: 0 };
                    events.push(Event::new(Payload::ControlChange(control)));
                }
            }
        }
        *self = Self::new();
        events
    }

    /// The events that silence every channel, regardless of what is held: sustain pedal up, all sound off,
    /// all notes off, reset all controllers, pitch bend centred.
    #[must_use]
    pub fn panic() -> Vec<Event> {
        let mut events = Vec::new();
        for channel in 0..16 {
            for param in [SUSTAIN, ALL_SOUND_OFF, ALL_NOTES_OFF, RESET_CONTROLLERS] {
                let control = Control { channel, param, value: 0 };
                events.push(Event::new(Payload::ControlChange(control)));
            }
            events.push(Event::new(Payload::PitchBend(ChannelValue { channel, value: 0 })));
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_notes_and_pedals_are_released_once() {
        let mut held = HeldNotes::new();
        assert!(held.is_empty() && held.releases().is_empty());
        let on = |channel, note| Event::note_on(channel, note, 100).unwrap();
        let control = |param, value| Event::control_change(3, param, value).unwrap();
        for event in [on(3, 60), on(3, 0), on(15, 127), on(3, 61), control(64, 127)] {
            held.track(&event);
        }
        held.track(&Event::note_on(3, 61, 0).unwrap());
        let off = |channel, note| Event::note_off(channel, note, 64).unwrap();
        assert_eq!(held.clone().releases(), [off(3, 0), off(3, 60), control(64, 0), off(15, 127)]);
        held.track(&control(123, 0));
        held.track(&control(64, 0));
        held.track(&Event::system_exclusive(&[0xf0, 1]));
        assert_eq!(held.releases(), [Event::system_exclusive(&[0xf7]), off(15, 127)]);
        assert!(held.is_empty());
        let mut other = HeldNotes::new();
        other.track(&on(1, 1));
        held.merge(&other);
        held.track(&Event::new(Payload::Reset));
        assert!(held.is_empty());
    }
}
