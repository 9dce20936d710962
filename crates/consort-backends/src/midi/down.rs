//! Notes and pedals that are down, so that they can be let go of.

/// The controllers of pedals that hold notes: sustain and sostenuto.
const PEDALS: [u8; 2] = [64, 66];

/// What is down, by MIDI channel: notes, and pedals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Down {
    notes: [u128; 16],
    pedals: [[bool; 2]; 16],
}

impl Down {
    pub(super) fn is_empty(&self) -> bool {
        *self == Down::default()
    }

    /// Whether a note is down.
    pub(super) fn has_note(&self, channel: u8, note: u8) -> bool {
        self.notes[usize::from(channel)] & 1 << note != 0
    }

    /// A note begins or ends.
    pub(super) fn set_note(&mut self, channel: u8, note: u8, is_down: bool) {
        let notes = &mut self.notes[usize::from(channel)];
        *notes = *notes & !(1 << note) | u128::from(is_down) << note;
    }

    /// Whether this is a pedal that goes down.
    pub(super) fn is_pedal_down(controller: u8, value: u8) -> bool {
        PEDALS.contains(&controller) && value >= 64
    }

    /// A controller moves, perhaps a pedal.
    pub(super) fn set_controller(&mut self, channel: u8, controller: u8, value: u8) {
        if let Some(pedal) = PEDALS.iter().position(|pedal| *pedal == controller) {
            self.pedals[usize::from(channel)][pedal] = Self::is_pedal_down(controller, value);
        }
    }

    /// Counts what is down in `other` too.
    pub(super) fn add(&mut self, other: &Down) {
        for channel in 0..16 {
            self.notes[channel] |= other.notes[channel];
            for pedal in 0..PEDALS.len() {
                self.pedals[channel][pedal] |= other.pedals[channel][pedal];
            }
        }
    }

    /// Leaves out what is down in `other`.
    pub(super) fn subtract(&mut self, other: &Down) {
        for channel in 0..16 {
            self.notes[channel] &= !other.notes[channel];
            for pedal in 0..PEDALS.len() {
                self.pedals[channel][pedal] &= !other.pedals[channel][pedal];
            }
        }
    }

    /// The notes that are down: MIDI channel and note.
    pub(super) fn notes(&self) -> impl Iterator<Item = (u8, u8)> {
        let notes = self.notes;
        (0..16_u8).flat_map(move |channel| {
            let mut left = notes[usize::from(channel)];
            std::iter::from_fn(move || {
                let note = (left != 0).then(|| left.trailing_zeros() as u8)?;
                left &= left - 1;
                Some((channel, note))
            })
        })
    }

    /// The pedals that are down: MIDI channel and controller.
    pub(super) fn pedals(&self) -> impl Iterator<Item = (u8, u8)> {
        let pedals = self.pedals;
        (0..16_u8).flat_map(move |channel| {
            let down = PEDALS.iter().zip(pedals[usize::from(channel)]);
            down.filter(|(_, is_down)| *is_down).map(move |(pedal, _)| (channel, *pedal))
        })
    }
}
