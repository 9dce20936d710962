//! Input: messages that arrive become values of the show, and held notes and pedals are recorded.

use consort_router::{Context, RawValue, Sender, Unmatched};

use super::channels::{Channels, Control, PerChannel, System, specification, write_specification};
use super::clock::{ClockInput, MAX_TEMPO, QuarterFrames, Timecode};
use super::held::HeldState;
use super::message::Message;
use super::parameters::ParameterInput;
use super::sysex::{self, Assembler};
use super::values::{from_fourteen_bits, from_seven_bits, to_fourteen_bits};
use crate::detect::log_value;

/// The maximum number of sources whose held notes, or partial messages, are recorded separately.
/// Further sources count as the last one.
const MAX_SOURCES: usize = 64;

/// The sources of messages: devices, peers.
pub(crate) trait SourceNames {
    /// One source.
    type Source: Copy + PartialEq;

    /// The name of a source in the list of unmatched input.
    fn name(&mut self, source: Self::Source) -> &str;
}

/// What has arrived at an instance.
pub(crate) struct Input<N: SourceNames> {
    pub(crate) channels: Channels,
    pub(crate) names: N,
    /// What precedes the names of the channels: a port and a dot, where an instance has several.
    pub(crate) prefix: String,
    /// Whether everything that arrives is logged.
    pub(crate) detect: bool,
    /// What each source holds.
    held: Vec<(N::Source, HeldState)>,
    parameters: [ParameterInput; 16],
    /// Incomplete system exclusive messages, by source.
    exclusive: Vec<(N::Source, Assembler)>,
    clock: ClockInput,
    quarter_frames: QuarterFrames,
    /// Whether a channel uses the clock.
    wants_clock: bool,
    /// Whether a channel uses the time code.
    wants_timecode: bool,
    /// The MIDI channels with a channel for a parameter, one bit for each.
    parameter_channels: u16,
}

impl<N: SourceNames> Input<N> {
    pub(crate) fn new(channels: Channels, names: N) -> Self {
        let mut input = Input {
            channels: Channels::new(),
            names,
            prefix: String::new(),
            detect: false,
            held: Vec::new(),
            parameters: [ParameterInput::default(); 16],
            exclusive: Vec::new(),
            clock: ClockInput::default(),
            quarter_frames: QuarterFrames::default(),
            wants_clock: false,
            wants_timecode: false,
            parameter_channels: 0,
        };
        input.set_channels(channels);
        input
    }

    /// Takes the channels, when all of them are mapped. Forgets what devices hold on channels that
    /// no mapping reads.
    pub(crate) fn set_channels(&mut self, channels: Channels) {
        self.wants_clock = channels.uses(&[System::Clock, System::Beat, System::Tempo]);
        self.wants_timecode = channels.uses(&[
            System::Timecode,
            System::Hours,
            System::Minutes,
            System::Seconds,
            System::Frames,
        ]);
        self.parameter_channels = channels.parameter_channels();
        self.held.retain_mut(|(_, held)| {
            let reads = |channel, kind| channels.is_source(&Control::PerChannel(channel, kind));
            held.retain(
                |channel, note| {
                    channels.is_source(&Control::Note(channel, note))
                        || reads(channel, PerChannel::NoteNumber)
                        || reads(channel, PerChannel::Velocity)
                },
                |channel, pedal| channels.is_source(&Control::Controller(channel, pedal)),
            );
            !held.is_empty()
        });
        self.channels = channels;
    }

    /// Emits a value. Returns whether a mapping uses the channel.
    fn emit(&self, control: &Control, value: f64, context: &mut Context<'_>) -> bool {
        if self.detect {
            log_value(&format!("{}{}", self.prefix, specification(control)), value, context);
        }
        let Some(number) = self.channels.number(control) else { return false };
        context.emit(number, value);
        true
    }

    /// Emits the value of a message, or reports the message as unmatched.
    fn accept(
        &mut self,
        source: N::Source,
        control: &Control,
        raw: RawValue<'_>,
        value: f64,
        context: &mut Context<'_>,
    ) {
        if !self.emit(control, value, context) {
            self.report_unmatched(source, control, raw, value, context);
        }
    }

    /// [`accept`](Self::accept) for a number of 7 bits.
    pub(crate) fn accept_seven_bits(
        &mut self,
        source: N::Source,
        control: &Control,
        number: i32,
        context: &mut Context<'_>,
    ) {
        let raw = RawValue::Integer(number.into());
        self.accept(source, control, raw, from_seven_bits(number), context);
    }

    /// [`accept`](Self::accept) for a number of 14 bits.
    pub(crate) fn accept_fourteen_bits(
        &mut self,
        source: N::Source,
        control: &Control,
        number: i32,
        context: &mut Context<'_>,
    ) {
        let raw = RawValue::Integer(number.into());
        self.accept(source, control, raw, from_fourteen_bits(number), context);
    }

    /// Reports a message that belongs to no channel of a mapping.
    #[cold]
    fn report_unmatched(
        &mut self,
        source: N::Source,
        control: &Control,
        raw: RawValue<'_>,
        value: f64,
        context: &mut Context<'_>,
    ) {
        let sender = Sender::Name(self.names.name(source));
        let input = Unmatched { types: control.type_name(), raw, value: Some(value), sender };
        context.unmatched(input, |text| {
            text.push_str(&self.prefix);
            write_specification(control, text);
        });
    }

    fn system(&self, kind: System, value: f64, context: &mut Context<'_>) {
        self.emit(&Control::System(kind), value, context);
    }

    /// Emits 1 for a message without a value.
    fn accept_system(&mut self, source: N::Source, kind: System, context: &mut Context<'_>) {
        self.accept(source, &Control::System(kind), RawValue::None, 1.0, context);
    }

    /// Handles a message, which may be a part of a system exclusive one.
    pub(crate) fn receive(
        &mut self,
        source: N::Source,
        message: &Message<'_>,
        context: &mut Context<'_>,
    ) {
        let of_channel = |channel, kind| Control::PerChannel(channel, kind);
        match *message {
            Message::NoteOn { channel, note, velocity } => {
                self.accept_note(source, channel, note, velocity, context);
            }
            Message::NoteOff { channel, note, .. } => {
                self.accept_note(source, channel, note, 0, context);
            }
            Message::KeyPressure { channel, note, pressure } => {
                self.accept_pressure(source, channel, note, pressure, context);
            }
            Message::Controller { channel, number, value } => {
                self.accept_controller(source, channel, number, value.into(), context);
            }
            Message::Program { channel, program } => {
                let control = of_channel(channel, PerChannel::Program);
                self.accept_seven_bits(source, &control, program.into(), context);
            }
            Message::ChannelPressure { channel, pressure } => {
                let control = of_channel(channel, PerChannel::Aftertouch);
                self.accept_seven_bits(source, &control, pressure.into(), context);
            }
            Message::PitchBend { channel, bend } => {
                let control = of_channel(channel, PerChannel::Pitch);
                self.accept_fourteen_bits(source, &control, bend.into(), context);
            }
            Message::QuarterFrame(data) => self.accept_quarter_frame(source, data, context),
            Message::SongPosition(position) => {
                self.accept_position(source, position.into(), context);
            }
            Message::SongSelect(song) => {
                let control = Control::System(System::Song);
                self.accept_seven_bits(source, &control, song.into(), context);
            }
            Message::Clock => self.accept_clock(source, context),
            Message::Start => self.accept_start(source, context),
            Message::Continue => self.accept_continue(source, context),
            Message::Stop => self.accept_stop(source, context),
            Message::Exclusive(part) => self.exclusive(source, part, context),
            Message::TuneRequest | Message::ActiveSensing | Message::Reset => {}
        }
    }

    /// Discards the beginning of a system exclusive message that its source does not continue.
    pub(crate) fn discard_exclusive(&mut self, source: N::Source) {
        self.exclusive.retain(|(entry, _)| *entry != source);
    }

    /// Handles pressure on a note.
    pub(crate) fn accept_pressure(
        &mut self,
        source: N::Source,
        channel: u8,
        note: u8,
        pressure: u8,
        context: &mut Context<'_>,
    ) {
        if channel < 16 && note < 128 {
            let control = Control::Pressure(channel, note);
            self.accept_seven_bits(source, &control, pressure.into(), context);
        }
    }

    /// Handles a song position in sixteenth notes.
    pub(crate) fn accept_position(
        &mut self,
        source: N::Source,
        position: i32,
        context: &mut Context<'_>,
    ) {
        self.clock.locate(position.clamp(0, 16_383) as u32);
        let control = Control::System(System::Position);
        self.accept_fourteen_bits(source, &control, position, context);
    }

    /// Handles the message start.
    pub(crate) fn accept_start(&mut self, source: N::Source, context: &mut Context<'_>) {
        self.clock.restart();
        self.accept_system(source, System::Start, context);
    }

    /// Handles the message continue.
    pub(crate) fn accept_continue(&mut self, source: N::Source, context: &mut Context<'_>) {
        self.clock.resume();
        self.accept_system(source, System::Continue, context);
    }

    /// Handles the message stop.
    pub(crate) fn accept_stop(&mut self, source: N::Source, context: &mut Context<'_>) {
        self.clock.stop();
        self.accept_system(source, System::Stop, context);
    }

    /// Handles a quarter frame of the time code.
    pub(crate) fn accept_quarter_frame(
        &mut self,
        source: N::Source,
        data: u8,
        context: &mut Context<'_>,
    ) {
        if let Some(time) = self.quarter_frames.add(data) {
            self.accept_timecode(source, time, context);
        }
    }

    pub(crate) fn accept_note(
        &mut self,
        source: N::Source,
        channel: u8,
        note: u8,
        velocity: u8,
        context: &mut Context<'_>,
    ) {
        if channel > 15 || note > 127 {
            return;
        }
        if !self.note(source, channel, note, velocity, context) {
            let control = Control::Note(channel, note);
            let raw = RawValue::Integer(velocity.into());
            self.report_unmatched(source, &control, raw, from_seven_bits(velocity.into()), context);
        }
    }

    /// Records and emits a note. Returns whether a mapping uses it.
    fn note(
        &mut self,
        source: N::Source,
        channel: u8,
        note: u8,
        velocity: u8,
        context: &mut Context<'_>,
    ) -> bool {
        let is_held = velocity > 0;
        self.hold(source, is_held, |held| held.set_note(channel, note, is_held));
        self.emit_note(channel, note, velocity, context)
    }

    /// Records a change of what a source holds. A release by a source that holds nothing is
    /// ignored.
    fn hold(&mut self, source: N::Source, is_held: bool, change: impl FnOnce(&mut HeldState)) {
        let known = self.held.iter().position(|(address, _)| *address == source);
        let entry = match known {
            Some(entry) => entry,
            None if !is_held => return,
            None => {
                if self.held.len() < MAX_SOURCES {
                    self.held.push((source, HeldState::default()));
                }
                self.held.len() - 1
            }
        };
        change(&mut self.held[entry].1);
        if self.held[entry].1.is_empty() {
            self.held.swap_remove(entry);
        }
    }

    /// Emits a note on all its channels. Returns whether a mapping uses it.
    fn emit_note(
        &mut self,
        channel: u8,
        note: u8,
        velocity: u8,
        context: &mut Context<'_>,
    ) -> bool {
        let value = from_seven_bits(velocity.into());
        let is_mapped = self.emit(&Control::Note(channel, note), value, context);
        let number = self.channels.number(&Control::PerChannel(channel, PerChannel::NoteNumber));
        let strength = self.channels.number(&Control::PerChannel(channel, PerChannel::Velocity));
        if let Some(number) = number.filter(|_| velocity > 0 || strength.is_some()) {
            context.emit(number, from_seven_bits(note.into()));
        }
        if let Some(strength) = strength {
            context.emit(strength, value);
        }
        is_mapped || number.is_some() || strength.is_some()
    }

    /// Handles a controller, which may be a pedal, a part of a parameter, or a channel mode
    /// message. It is unmatched if no mapping uses its own channel or that of the parameter.
    pub(crate) fn accept_controller(
        &mut self,
        source: N::Source,
        channel: u8,
        number: u8,
        value: i32,
        context: &mut Context<'_>,
    ) {
        let control = Control::Controller(channel, number);
        let mut is_mapped = self.controller(source, channel, number, value, context);
        let state = &mut self.parameters[usize::from(channel)];
        let parameter = state.controller(channel, number, value.clamp(0, 127) as u8);
        if let Some((control, value)) = &parameter {
            is_mapped |= self.emit(control, *value, context);
        }
        if !is_mapped {
            match parameter {
                Some((control, value)) => {
                    let raw = RawValue::Integer(to_fourteen_bits(value).into());
                    self.report_unmatched(source, &control, raw, value, context);
                }
                // The other controllers of a parameter belong to the mappings of parameters.
                None if matches!(number, 6 | 38 | 98..=101)
                    && self.parameter_channels & 1 << channel != 0 => {}
                None => {
                    let raw = RawValue::Integer(value.into());
                    self.report_unmatched(source, &control, raw, from_seven_bits(value), context);
                }
            }
        }
        if number >= 120 {
            self.mode(source, channel, number, context);
        }
    }

    /// Emits a controller, and records it if it is a pedal. Returns whether a mapping uses it.
    fn controller(
        &mut self,
        source: N::Source,
        channel: u8,
        number: u8,
        value: i32,
        context: &mut Context<'_>,
    ) -> bool {
        let control = Control::Controller(channel, number);
        let is_mapped = self.emit(&control, from_seven_bits(value), context);
        let value = value.clamp(0, 127) as u8;
        let is_down = HeldState::is_pedal_down(number, value);
        self.hold(source, is_down, |held| held.set_controller(channel, number, value));
        is_mapped
    }

    /// Handles a channel mode message: 121 releases the pedals that its source holds on the MIDI
    /// channel; 120 and those from 123 on end the notes.
    fn mode(&mut self, source: N::Source, channel: u8, number: u8, context: &mut Context<'_>) {
        let held = self.held.iter().find(|(address, _)| *address == source);
        let Some(held) = held.map(|(_, held)| *held) else { return };
        let is_on_channel = |(held_channel, _): &(u8, u8)| *held_channel == channel;
        match number {
            121 => {
                for (_, pedal) in held.pedals().filter(is_on_channel) {
                    self.controller(source, channel, pedal, 0, context);
                }
            }
            120 | 123.. => {
                for (_, note) in held.notes().filter(is_on_channel) {
                    self.note(source, channel, note, 0, context);
                }
            }
            _ => {}
        }
    }

    /// Counts a clock, also if no mapping uses it, so that a mapping that a reload adds finds the
    /// right position.
    pub(crate) fn accept_clock(&mut self, source: N::Source, context: &mut Context<'_>) {
        let tick = self.clock.clock(context.now());
        let position = f64::from(tick.position) / 24.0;
        if !self.wants_clock {
            let control = Control::System(System::Clock);
            self.report_unmatched(source, &control, RawValue::None, position, context);
            return;
        }
        self.system(System::Clock, position, context);
        match tick.position {
            0 => self.system(System::Beat, 1.0, context),
            12 => self.system(System::Beat, 0.0, context),
            _ => {}
        }
        if let Some(tempo) = tick.tempo {
            self.system(System::Tempo, (tempo / MAX_TEMPO).min(1.0), context);
        }
    }

    fn accept_timecode(&mut self, source: N::Source, time: Timecode, context: &mut Context<'_>) {
        if self.wants_timecode {
            self.timecode(time, context);
        } else {
            let control = Control::System(System::Timecode);
            self.report_unmatched(source, &control, RawValue::None, time.of_day(), context);
        }
    }

    fn timecode(&self, time: Timecode, context: &mut Context<'_>) {
        self.system(System::Timecode, time.of_day(), context);
        let parts = [
            (System::Hours, time.hours, 23),
            (System::Minutes, time.minutes, 59),
            (System::Seconds, time.seconds, 59),
            (System::Frames, time.frames, 29),
        ];
        for (kind, number, max) in parts {
            self.system(kind, f64::from(number) / f64::from(max), context);
        }
    }

    pub(crate) fn exclusive(&mut self, source: N::Source, part: &[u8], context: &mut Context<'_>) {
        let known = self.exclusive.iter().position(|(address, _)| *address == source);
        let entry = known.unwrap_or_else(|| {
            if self.exclusive.len() < MAX_SOURCES {
                self.exclusive.push((source, Assembler::default()));
            }
            self.exclusive.len() - 1
        });
        if !self.exclusive[entry].1.add(part) {
            return;
        }
        let mut assembler = std::mem::take(&mut self.exclusive[entry].1);
        self.message(source, assembler.message(), context);
        assembler.clear();
        self.exclusive[entry].1 = assembler;
    }

    /// Handles a complete system exclusive message.
    fn message(&mut self, source: N::Source, message: &[u8], context: &mut Context<'_>) {
        let mut is_mapped = false;
        if self.wants_timecode
            && let Some(time) = Timecode::full_frame(message)
        {
            self.timecode(time, context);
            is_mapped = true;
        }
        if self.detect {
            let mut channel = self.prefix.clone();
            sysex::write_specification(message, &mut channel);
            log_value(&channel, 1.0, context);
        }
        for (pattern, number) in self.channels.exclusive() {
            if let Some(value) = pattern.value(message) {
                context.emit(*number, value);
                is_mapped = true;
            }
        }
        if !is_mapped {
            let sender = Sender::Name(self.names.name(source));
            let raw = RawValue::Bytes(message.len());
            let input = Unmatched { types: "sysex", raw, value: Some(1.0), sender };
            context.unmatched(input, |text| {
                text.push_str(&self.prefix);
                sysex::write_specification(message, text);
            });
        }
    }

    /// Releases everything that the selected sources hold, unless another source holds it, too.
    pub(crate) fn release_held(
        &mut self,
        is_selected: &dyn Fn(N::Source) -> bool,
        context: &mut Context<'_>,
    ) {
        self.exclusive.retain(|(source, _)| !is_selected(*source));
        let mut released = HeldState::default();
        self.held.retain(|(source, held)| {
            let is_kept = !is_selected(*source);
            if !is_kept {
                released.add(held);
            }
            is_kept
        });
        for (_, held) in &self.held {
            released.subtract(held);
        }
        for (channel, note) in released.notes() {
            self.emit_note(channel, note, 0, context);
        }
        for (channel, pedal) in released.pedals() {
            self.emit(&Control::Controller(channel, pedal), 0.0, context);
        }
        let (notes, pedals) = (released.notes().count(), released.pedals().count());
        for (count, what) in [(notes, "note"), (pedals, "pedal")] {
            if count > 0 {
                let plural = if count == 1 { "" } else { "s" };
                tracing::info!(instance = context.name(), "{count} held {what}{plural} released");
            }
        }
    }

    /// Handles lost input: releases everything that is held, and discards the beginnings of
    /// parameters and messages, so that they are not combined with the ends of others.
    pub(crate) fn on_input_lost(&mut self, context: &mut Context<'_>) {
        self.release_held(&|_| true, context);
        self.parameters = Default::default();
        self.quarter_frames = QuarterFrames::default();
    }
}
