//! What arrives at a port: values of the show, and what is held down meanwhile.

use consort_router::Context;
use consort_seq::{Address, Event, Payload};

use super::channels::{Alone, Control, System, specification};
use super::clock::{FASTEST, QuarterFrames, Timecode};
use super::down::Down;
use super::port::PortState;
use super::sysex::{self, Assembler, PATTERN_LIMIT};
use super::values::{from_fourteen_bits, from_seven_bits};

/// How many sources are told apart that hold notes, or send messages in parts; beyond that they
/// are taken for one.
const SOURCES: usize = 64;

impl PortState {
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

    /// Takes an event that has arrived at the port.
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
                let control = Control::Alone(data.channel, Alone::Program);
                self.emit(&control, from_seven_bits(data.value), context);
            }
            Payload::ChannelPressure(data) if data.channel < 16 => {
                let control = Control::Alone(data.channel, Alone::Aftertouch);
                self.emit(&control, from_seven_bits(data.value), context);
            }
            Payload::PitchBend(data) if data.channel < 16 => {
                let control = Control::Alone(data.channel, Alone::Pitch);
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
                self.clock.go_on();
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
        let is_down = velocity > 0;
        self.hold(source, is_down, |down| down.set_note(channel, note, is_down));
        self.emit_note(channel, note, velocity, context);
    }

    /// Takes note of what a source holds down or, where it lets go, perhaps no longer holds.
    fn hold(&mut self, source: Address, is_down: bool, change: impl FnOnce(&mut Down)) {
        let known = self.held.iter().position(|(address, _)| *address == source);
        let entry = match known {
            Some(entry) => entry,
            None if !is_down => return,
            None => {
                if self.held.len() < SOURCES {
                    self.held.push((source, Down::default()));
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
        let number = self.channels.number(&Control::Alone(channel, Alone::NoteNumber));
        let strength = self.channels.number(&Control::Alone(channel, Alone::Velocity));
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
        let is_down = Down::is_pedal_down(number, value);
        self.hold(source, is_down, |down| down.set_controller(channel, number, value));
        let state = &mut self.parameters[usize::from(channel)];
        if let Some((control, value)) = state.controller(channel, number, value) {
            self.emit(&control, value, context);
        }
        if number >= 120 {
            self.mode(source, channel, number, context);
        }
    }

    /// A message of a source to a whole MIDI channel: 121 lets go of its pedals, 120 and those from
    /// 123 on end its notes.
    fn mode(&mut self, source: Address, channel: u8, number: u8, context: &mut Context<'_>) {
        let held = self.held.iter().find(|(address, _)| *address == source);
        let Some(down) = held.map(|(_, down)| *down) else { return };
        let is_here = |(at, _): &(u8, u8)| *at == channel;
        match number {
            121 => {
                for (_, pedal) in down.pedals().filter(is_here) {
                    self.controller(source, channel, pedal, 0, context);
                }
            }
            120 | 123.. => {
                for (_, note) in down.notes().filter(is_here) {
                    self.note(source, channel, note, 0, context);
                }
            }
            _ => {}
        }
    }

    fn clock(&mut self, context: &mut Context<'_>) {
        let tick = self.clock.clock(context.now());
        self.system(System::Clock, f64::from(tick.place) / 24.0, context);
        match tick.place {
            0 => self.system(System::Beat, 1.0, context),
            12 => self.system(System::Beat, 0.0, context),
            _ => {}
        }
        if let Some(tempo) = tick.tempo {
            self.system(System::Tempo, (tempo / FASTEST).min(1.0), context);
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
        for (kind, number, most) in parts {
            self.system(kind, f64::from(number) / f64::from(most), context);
        }
    }

    fn exclusive(&mut self, source: Address, part: &[u8], context: &mut Context<'_>) {
        let known = self.exclusive.iter().position(|(address, _)| *address == source);
        let entry = known.unwrap_or_else(|| {
            if self.exclusive.len() < SOURCES {
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

    /// A whole system exclusive message.
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
        // What is longer cannot be mapped.
        if !is_known && message.len() <= PATTERN_LIMIT {
            context.unmapped(1.0, || sysex::specification(message));
        }
    }

    /// Releases what some sources hold down, unless another holds it too.
    pub(super) fn release_held(
        &mut self,
        is_gone: &dyn Fn(Address) -> bool,
        context: &mut Context<'_>,
    ) {
        self.exclusive.retain(|(source, _)| !is_gone(*source));
        let mut gone = Down::default();
        self.held.retain(|(source, down)| {
            let keep = !is_gone(*source);
            if !keep {
                gone.add(down);
            }
            keep
        });
        for (_, down) in &self.held {
            gone.subtract(down);
        }
        for (channel, note) in gone.notes() {
            self.emit_note(channel, note, 0, context);
        }
        for (channel, pedal) in gone.pedals() {
            self.emit(&Control::Controller(channel, pedal), 0.0, context);
        }
        let (notes, pedals) = (gone.notes().count(), gone.pedals().count());
        if notes > 0 {
            tracing::info!(instance = context.name(), "{notes} held notes released");
        }
        if pedals > 0 {
            tracing::info!(instance = context.name(), "{pedals} held pedals released");
        }
    }

    /// Input was lost: releases all that is held down, and forgets of what has come in parts
    /// those that are there, so that they are not put together with parts of something else.
    pub(super) fn forget_input(&mut self, context: &mut Context<'_>) {
        self.release_held(&|_| true, context);
        self.parameters = Default::default();
        self.quarter_frames = QuarterFrames::default();
    }
}

#[cold]
fn log_detected(channel: &str, value: f64, context: &mut Context<'_>) {
    let name = context.name();
    tracing::info!(instance = name, "detected `{name}.{channel}` = {value:.3}");
}
