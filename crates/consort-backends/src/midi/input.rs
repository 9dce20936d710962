//! Input at a port: events become values of the show, and held notes and pedals are recorded.

use consort_router::Context;
use consort_seq::{Address, Event, Payload};

use super::channels::{Control, PerChannel, System, specification};
use super::clock::{MAX_TEMPO, QuarterFrames, Timecode};
use super::held::HeldState;
use super::port::PortState;
use super::sysex::{self, Assembler, MAX_PATTERN_BYTES};
use super::values::{from_fourteen_bits, from_seven_bits};

/// The maximum number of sources whose held notes, or partial messages, are recorded separately.
/// Further sources count as the last one.
const MAX_SOURCES: usize = 64;

impl PortState {
    /// Emits a value, or reports it as unmapped.
    fn emit(&self, control: &Control, value: f64, context: &mut Context<'_>) {
        if self.detect {
            log_detected(&specification(control), value, context);
        }
        match self.channels.number(control) {
            Some(number) => context.emit(number, value),
            None => context.unmapped(value, || specification(control)),
        }
    }

    fn system(&self, kind: System, value: f64, context: &mut Context<'_>) {
        self.emit(&Control::System(kind), value, context);
    }

    /// Handles an event that has arrived at the port.
    pub(super) fn receive(&mut self, event: &Event, context: &mut Context<'_>) {
        let payload = event.payload();
        match payload {
            Payload::NoteOn(key) => {
                self.note(event.source(), key.channel, key.note, key.velocity, context);
            }
            Payload::NoteOff(key) => self.note(event.source(), key.channel, key.note, 0, context),
            Payload::KeyPressure(key) if key.channel < 16 && key.note < 128 => {
                let control = Control::Pressure(key.channel, key.note);
                self.emit(&control, from_seven_bits(key.velocity.into()), context);
            }
            Payload::ControlChange(data) if data.channel < 16 && data.param < 128 => {
                self.controller(
                    event.source(),
                    data.channel,
                    data.param as u8,
                    data.value,
                    context,
                );
            }
            Payload::Control14(data) if data.channel < 16 && data.param < 128 => {
                let (source, number) = (event.source(), data.param as u8);
                if number < 32 {
                    self.controller(source, data.channel, number, data.value >> 7, context);
                    let low = data.value & 0x7F;
                    self.controller(source, data.channel, number + 32, low, context);
                } else {
                    self.controller(source, data.channel, number, data.value, context);
                }
            }
            Payload::NonRegisteredParameter(data) if data.channel < 16 => {
                let control = Control::NonRegistered(data.channel, (data.param & 0x3FFF) as u16);
                self.emit(&control, from_fourteen_bits(data.value), context);
            }
            Payload::RegisteredParameter(data) if data.channel < 16 => {
                let control = Control::Registered(data.channel, (data.param & 0x3FFF) as u16);
                self.emit(&control, from_fourteen_bits(data.value), context);
            }
            Payload::ProgramChange(data) if data.channel < 16 => {
                let control = Control::PerChannel(data.channel, PerChannel::Program);
                self.emit(&control, from_seven_bits(data.value), context);
            }
            Payload::ChannelPressure(data) if data.channel < 16 => {
                let control = Control::PerChannel(data.channel, PerChannel::Aftertouch);
                self.emit(&control, from_seven_bits(data.value), context);
            }
            Payload::PitchBend(data) if data.channel < 16 => {
                let control = Control::PerChannel(data.channel, PerChannel::Pitch);
                self.emit(&control, from_fourteen_bits(data.value.saturating_add(8_192)), context);
            }
            Payload::SongPosition(data) => {
                self.clock.locate(data.value.clamp(0, 16_383) as u32);
                self.system(System::Position, from_fourteen_bits(data.value), context);
            }
            Payload::SongSelect(data) => {
                self.system(System::Song, from_seven_bits(data.value), context);
            }
            Payload::Start { .. } => {
                self.clock.restart();
                self.system(System::Start, 1.0, context);
            }
            Payload::Continue { .. } => {
                self.clock.resume();
                self.system(System::Continue, 1.0, context);
            }
            Payload::Stop { .. } => {
                self.clock.stop();
                self.system(System::Stop, 1.0, context);
            }
            Payload::Clock { .. } if self.wants_clock => self.clock(context),
            Payload::QuarterFrame(data) if self.wants_timecode => {
                if let Some(time) = self.quarter_frames.add((data.value & 0x7F) as u8) {
                    self.timecode(time, context);
                }
            }
            Payload::SystemExclusive(part) => self.exclusive(event.source(), part, context),
            _ => {}
        }
    }

    fn note(
        &mut self,
        source: Address,
        channel: u8,
        note: u8,
        velocity: u8,
        context: &mut Context<'_>,
    ) {
        if channel > 15 || note > 127 {
            return;
        }
        let is_held = velocity > 0;
        self.hold(source, is_held, |held| held.set_note(channel, note, is_held));
        self.emit_note(channel, note, velocity, context);
    }

    /// Records a change of what a source holds. A release by a source that holds nothing is
    /// ignored.
    fn hold(&mut self, source: Address, is_held: bool, change: impl FnOnce(&mut HeldState)) {
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

    fn emit_note(&mut self, channel: u8, note: u8, velocity: u8, context: &mut Context<'_>) {
        let value = from_seven_bits(velocity.into());
        self.emit(&Control::Note(channel, note), value, context);
        let number = self.channels.number(&Control::PerChannel(channel, PerChannel::NoteNumber));
        let strength = self.channels.number(&Control::PerChannel(channel, PerChannel::Velocity));
        if let Some(number) = number.filter(|_| velocity > 0 || strength.is_some()) {
            context.emit(number, from_seven_bits(note.into()));
        }
        if let Some(strength) = strength {
            context.emit(strength, value);
        }
    }

    fn controller(
        &mut self,
        source: Address,
        channel: u8,
        number: u8,
        value: i32,
        context: &mut Context<'_>,
    ) {
        self.emit(&Control::Controller(channel, number), from_seven_bits(value), context);
        let value = value.clamp(0, 127) as u8;
        let is_down = HeldState::is_pedal_down(number, value);
        self.hold(source, is_down, |held| held.set_controller(channel, number, value));
        let state = &mut self.parameters[usize::from(channel)];
        if let Some((control, value)) = state.controller(channel, number, value) {
            self.emit(&control, value, context);
        }
        if number >= 120 {
            self.mode(source, channel, number, context);
        }
    }

    /// Handles a channel mode message: 121 releases the pedals that its source holds on the MIDI
    /// channel; 120 and those from 123 on end the notes.
    fn mode(&mut self, source: Address, channel: u8, number: u8, context: &mut Context<'_>) {
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

    fn clock(&mut self, context: &mut Context<'_>) {
        let tick = self.clock.clock(context.now());
        self.system(System::Clock, f64::from(tick.position) / 24.0, context);
        match tick.position {
            0 => self.system(System::Beat, 1.0, context),
            12 => self.system(System::Beat, 0.0, context),
            _ => {}
        }
        if let Some(tempo) = tick.tempo {
            self.system(System::Tempo, (tempo / MAX_TEMPO).min(1.0), context);
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

    fn exclusive(&mut self, source: Address, part: &[u8], context: &mut Context<'_>) {
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
        self.message(assembler.message(), context);
        assembler.clear();
        self.exclusive[entry].1 = assembler;
    }

    /// Handles a complete system exclusive message.
    fn message(&self, message: &[u8], context: &mut Context<'_>) {
        if self.wants_timecode
            && let Some(time) = Timecode::full_frame(message)
        {
            self.timecode(time, context);
        }
        if self.detect {
            log_detected(&sysex::specification(message), 1.0, context);
        }
        let mut is_known = false;
        for (pattern, number) in self.channels.exclusive() {
            if let Some(value) = pattern.value(message) {
                context.emit(*number, value);
                is_known = true;
            }
        }
        // Longer messages cannot be mapped.
        if !is_known && message.len() <= MAX_PATTERN_BYTES {
            context.unmapped(1.0, || sysex::specification(message));
        }
    }

    /// Releases everything that the selected sources hold, unless another source holds it, too.
    pub(super) fn release_held(
        &mut self,
        is_selected: &dyn Fn(Address) -> bool,
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
    pub(super) fn on_input_lost(&mut self, context: &mut Context<'_>) {
        self.release_held(&|_| true, context);
        self.parameters = Default::default();
        self.quarter_frames = QuarterFrames::default();
    }
}

/// Logs what has arrived, for the option `detect`.
#[cold]
fn log_detected(channel: &str, value: f64, context: &mut Context<'_>) {
    let name = context.name();
    tracing::info!(instance = name, "detected `{name}.{channel}` = {value:.3}");
}
