//! Output: values of the show become messages, and what they start is recorded, so that it can be
//! ended.

use consort_router::{OptionKind, OptionSpec, Options};

use super::channels::{Channels, Control, PerChannel, System};
use super::held::HeldState;
use super::message::Message;
use super::parameters::parameter_output;
use super::values::{to_fourteen_bits, to_seven_bits};

/// The options of an instance that concern output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutputOptions {
    /// Whether notes end with note-off messages.
    pub(crate) note_off: bool,
    /// Whether a parameter is deselected after each value.
    pub(crate) deselect: bool,
}

/// The option of [`OutputOptions::deselect`].
pub(crate) const EPN_TX: OptionSpec = OptionSpec {
    name: "epn-tx",
    live: true,
    kind: OptionKind::Choice(&["full", "short"]),
    default: Some("full"),
    example: "short",
    documentation: "Whether the parameter is deselected after each `rpn` or `nrpn` value that is \
sent (`full`) or stays selected (`short`).",
    ..OptionSpec::EMPTY
};

/// The option of [`OutputOptions::note_off`].
pub(crate) const NOTE_OFF: OptionSpec = OptionSpec {
    name: "note-off",
    live: true,
    kind: OptionKind::Flag,
    default: Some("off"),
    example: "on",
    documentation: "End notes with note-off messages. By default they end with note-on messages of \
velocity 0, which have the same effect.",
    ..OptionSpec::EMPTY
};

impl OutputOptions {
    /// Reads [`EPN_TX`] and [`NOTE_OFF`].
    pub(crate) fn read(options: &Options) -> Self {
        let is_short = |text: &str| text.eq_ignore_ascii_case("short");
        OutputOptions {
            note_off: options.flag("note-off"),
            deselect: !options.text("epn-tx").is_some_and(is_short),
        }
    }
}

/// What an instance has sent and not ended yet.
pub(crate) struct Output {
    options: OutputOptions,
    /// The notes and pedals that were sent and not released.
    sounding: HeldState,
    /// The note that `notenumber` has set, by MIDI channel.
    selected: [u8; 16],
    /// The note that `velocity` plays, by MIDI channel.
    playing: [Option<u8>; 16],
    /// Space for a system exclusive message.
    message: Vec<u8>,
}

impl Output {
    pub(crate) fn new(options: OutputOptions) -> Self {
        Output {
            options,
            sounding: HeldState::default(),
            selected: [60; 16],
            playing: [None; 16],
            message: Vec::new(),
        }
    }

    /// Takes the options of a reloaded configuration.
    pub(crate) fn set_options(&mut self, options: OutputOptions) {
        self.options = options;
    }

    /// Forgets what sounds, when its receiver is gone.
    pub(crate) fn forget(&mut self) {
        self.sounding = HeldState::default();
    }

    /// The way to send messages with `send`. While the show ends (`is_stopping`), nothing starts
    /// that nothing would end.
    pub(crate) fn sending<F: FnMut(Message<'_>)>(
        &mut self,
        is_stopping: bool,
        send: F,
    ) -> Sending<'_, F> {
        Sending { output: self, is_stopping, send }
    }
}

/// Output on its way: what is sent, and the record of it.
pub(crate) struct Sending<'o, F> {
    output: &'o mut Output,
    is_stopping: bool,
    send: F,
}

impl<F: FnMut(Message<'_>)> Sending<'_, F> {
    fn controller(&mut self, channel: u8, number: u8, value: u8) {
        // Nothing would release a pedal that is pressed while the show ends.
        if self.is_stopping && HeldState::is_pedal_down(number, value) {
            return;
        }
        self.output.sounding.set_controller(channel, number, value);
        (self.send)(Message::Controller { channel, number, value });
    }

    fn note(&mut self, channel: u8, note: u8, velocity: u8) {
        let sounding = &mut self.output.sounding;
        // While the show ends, no note is started, because nothing would end it, and no note is
        // ended twice.
        if self.is_stopping && (velocity > 0 || !sounding.has_note(channel, note)) {
            return;
        }
        sounding.set_note(channel, note, velocity > 0);
        (self.send)(if velocity == 0 && self.output.options.note_off {
            Message::NoteOff { channel, note, velocity }
        } else {
            Message::NoteOn { channel, note, velocity }
        });
    }

    /// Ends the sounding notes of one MIDI channel, or of all.
    fn end_notes(&mut self, channel: Option<u8>) {
        for (sounding_channel, note) in self.output.sounding.notes() {
            if channel.is_none_or(|channel| channel == sounding_channel) {
                self.note(sounding_channel, note, 0);
            }
        }
    }

    /// Ends the sounding notes and releases the pedals that are down.
    pub(crate) fn release_all(&mut self) {
        self.end_notes(None);
        self.output.playing = [None; 16];
        for (channel, pedal) in self.output.sounding.pedals() {
            self.controller(channel, pedal, 0);
        }
    }

    /// Ends all notes of a MIDI channel: pedals up, all sound off, all notes off.
    pub(crate) fn silence(&mut self, channel: u8) {
        self.end_notes(Some(channel));
        self.output.playing[usize::from(channel)] = None;
        let pedals = self.output.sounding.pedals();
        for (_, pedal) in pedals.filter(|&pedal| pedal == (channel, 66)) {
            self.controller(channel, pedal, 0);
        }
        for controller in [64, 120, 123] {
            self.controller(channel, controller, 0);
        }
    }

    /// Ends all notes of all MIDI channels, like [`silence`](Self::silence).
    pub(crate) fn silence_all(&mut self) {
        for channel in 0..16 {
            self.silence(channel);
        }
    }

    /// Releases the notes and pedals that were started on channels that no mapping writes any
    /// more.
    pub(crate) fn release_removed(&mut self, channels: &Channels) {
        let sounding = self.output.sounding;
        for (channel, note) in sounding.notes() {
            let velocity = Control::PerChannel(channel, PerChannel::Velocity);
            let is_playing = self.output.playing[usize::from(channel)] == Some(note);
            let is_kept = if is_playing {
                channels.is_target(&velocity)
            } else {
                channels.is_target(&Control::Note(channel, note))
            };
            if !is_kept {
                self.note(channel, note, 0);
            }
        }
        for (playing, channel) in self.output.playing.iter_mut().zip(0..) {
            if !channels.is_target(&Control::PerChannel(channel, PerChannel::Velocity)) {
                *playing = None;
            }
        }
        for (channel, pedal) in sounding.pedals() {
            if !channels.is_target(&Control::Controller(channel, pedal)) {
                self.controller(channel, pedal, 0);
            }
        }
    }

    /// Sends one value. `tempo` needs a clock, which its backend provides; here it has no effect.
    pub(crate) fn deliver(&mut self, control: &Control, value: f64) {
        let seven = to_seven_bits(value);
        match control {
            Control::Controller(channel, number) => self.controller(*channel, *number, seven),
            Control::Note(channel, note) => self.note(*channel, *note, seven),
            Control::Pressure(channel, note) => {
                let (channel, note) = (*channel, *note);
                (self.send)(Message::KeyPressure { channel, note, pressure: seven });
            }
            Control::Registered(channel, number) => self.parameter(*channel, true, *number, value),
            Control::NonRegistered(channel, number) => {
                self.parameter(*channel, false, *number, value);
            }
            Control::PerChannel(channel, kind) => self.per_channel(*channel, *kind, value),
            Control::System(kind) => self.system(*kind, value),
            Control::Exclusive(pattern) => {
                if pattern.has_value() || value > 0.0 {
                    pattern.message(value, &mut self.output.message);
                    (self.send)(Message::Exclusive(&self.output.message));
                }
            }
        }
    }

    fn parameter(&mut self, channel: u8, registered: bool, number: u16, value: f64) {
        let value = to_fourteen_bits(value);
        let deselects = self.output.options.deselect;
        for (number, value) in parameter_output(registered, number, value, deselects) {
            self.controller(channel, number, value);
        }
    }

    fn per_channel(&mut self, channel: u8, kind: PerChannel, value: f64) {
        let seven = to_seven_bits(value);
        let index = usize::from(channel);
        match kind {
            PerChannel::Pitch => {
                (self.send)(Message::PitchBend { channel, bend: to_fourteen_bits(value) });
            }
            PerChannel::Aftertouch => {
                (self.send)(Message::ChannelPressure { channel, pressure: seven });
            }
            PerChannel::Program => (self.send)(Message::Program { channel, program: seven }),
            PerChannel::NoteNumber => self.output.selected[index] = seven,
            PerChannel::Velocity => {
                let selected = self.output.selected[index];
                if let Some(playing) = self.output.playing[index].take()
                    && (seven == 0 || playing != selected)
                {
                    self.note(channel, playing, 0);
                }
                if seven > 0 {
                    self.output.playing[index] = Some(selected);
                    self.note(channel, selected, seven);
                }
            }
            PerChannel::Panic => {
                if value > 0.0 {
                    self.silence(channel);
                }
            }
        }
    }

    fn system(&mut self, kind: System, value: f64) {
        match kind {
            System::Position => (self.send)(Message::SongPosition(to_fourteen_bits(value))),
            System::Song => (self.send)(Message::SongSelect(to_seven_bits(value))),
            System::Panic if value > 0.0 => self.silence_all(),
            System::Start if value > 0.0 => (self.send)(Message::Start),
            System::Stop if value > 0.0 => (self.send)(Message::Stop),
            System::Continue if value > 0.0 => (self.send)(Message::Continue),
            System::Clock if value > 0.0 => (self.send)(Message::Clock),
            // These messages have no effect at 0, and the other channels are sources only.
            _ => {}
        }
    }
}
