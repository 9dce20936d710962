//! Which notes and pedals are held, so that they can be released.

/// The controllers of pedals that hold notes: sustain and sostenuto.
const PEDALS: [u8; 2] = [64, 66];

/// The held notes and pedals of each MIDI channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeldState {
    /// One bit for each note.
    notes: [u128; 16],
    /// One flag for each controller of `PEDALS`.
    pedals: [[bool; 2]; 16],
}

impl HeldState {
    /// Whether nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        *self == HeldState::default()
    }

    /// Whether a note is held.
    pub(crate) fn has_note(&self, channel: u8, note: u8) -> bool {
        self.notes[usize::from(channel)] & 1 << note != 0
    }

    /// Records that a note starts or ends.
    pub(crate) fn set_note(&mut self, channel: u8, note: u8, is_held: bool) {
        let notes = &mut self.notes[usize::from(channel)];
        *notes = *notes & !(1 << note) | u128::from(is_held) << note;
    }

    /// Whether a controller value presses a pedal.
    pub(crate) fn is_pedal_down(controller: u8, value: u8) -> bool {
        PEDALS.contains(&controller) && value >= 64
    }

    /// Records a controller value, if the controller is a pedal.
    pub(crate) fn set_controller(&mut self, channel: u8, controller: u8, value: u8) {
        if let Some(pedal) = PEDALS.iter().position(|pedal| *pedal == controller) {
            self.pedals[usize::from(channel)][pedal] = Self::is_pedal_down(controller, value);
        }
    }

    /// Adds everything that `other` holds.
    pub(crate) fn add(&mut self, other: &HeldState) {
        for channel in 0..16 {
            self.notes[channel] |= other.notes[channel];
            for pedal in 0..PEDALS.len() {
                self.pedals[channel][pedal] |= other.pedals[channel][pedal];
            }
        }
    }

    /// Removes everything that `other` holds.
    pub(crate) fn subtract(&mut self, other: &HeldState) {
        for channel in 0..16 {
            self.notes[channel] &= !other.notes[channel];
            for pedal in 0..PEDALS.len() {
                self.pedals[channel][pedal] &= !other.pedals[channel][pedal];
            }
        }
    }

    /// Forgets the notes and pedals that are not to be kept; both functions take the MIDI channel
    /// and the note or controller.
    pub(crate) fn retain(
        &mut self,
        keeps_note: impl Fn(u8, u8) -> bool,
        keeps_pedal: impl Fn(u8, u8) -> bool,
    ) {
        let (notes, pedals) = (self.notes(), self.pedals());
        for (channel, note) in notes.filter(|&(channel, note)| !keeps_note(channel, note)) {
            self.set_note(channel, note, false);
        }
        for (channel, pedal) in pedals.filter(|&(channel, pedal)| !keeps_pedal(channel, pedal)) {
            self.set_controller(channel, pedal, 0);
        }
    }

    /// The held notes: MIDI channel and note.
    pub(crate) fn notes(&self) -> impl Iterator<Item = (u8, u8)> + use<> {
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

    /// The held pedals: MIDI channel and controller.
    pub(crate) fn pedals(&self) -> impl Iterator<Item = (u8, u8)> + use<> {
        let pedals = self.pedals;
        (0..16_u8).flat_map(move |channel| {
            let states = PEDALS.iter().zip(pedals[usize::from(channel)]);
            states.filter(|(_, is_held)| *is_held).map(move |(pedal, _)| (channel, *pedal))
        })
    }
}
