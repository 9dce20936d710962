//! Events of the sequencer that arrive at a port.

use consort_router::Context;
use consort_seq::{Event, Payload};

use super::port::PortState;
use crate::midi_grammar::channels::{Control, PerChannel, System};

impl PortState {
    /// Handles an event that has arrived at the port.
    pub(super) fn receive(&mut self, event: &Event, context: &mut Context<'_>) {
        let input = &mut self.input;
        let source = event.source();
        match event.payload() {
            Payload::NoteOn(key) => {
                input.accept_note(source, key.channel, key.note, key.velocity, context);
            }
            Payload::NoteOff(key) => input.accept_note(source, key.channel, key.note, 0, context),
            Payload::KeyPressure(key) => {
                input.accept_pressure(source, key.channel, key.note, key.velocity, context);
            }
            Payload::ControlChange(data) if data.channel < 16 && data.param < 128 => {
                let number = data.param as u8;
                input.accept_controller(source, data.channel, number, data.value, context);
            }
            Payload::Control14(data) if data.channel < 16 && data.param < 128 => {
                let (channel, number) = (data.channel, data.param as u8);
                if number < 32 {
                    input.accept_controller(source, channel, number, data.value >> 7, context);
                    let low = data.value & 0x7F;
                    input.accept_controller(source, channel, number + 32, low, context);
                } else {
                    input.accept_controller(source, channel, number, data.value, context);
                }
            }
            Payload::NonRegisteredParameter(data) if data.channel < 16 => {
                let control = Control::NonRegistered(data.channel, (data.param & 0x3FFF) as u16);
                input.accept_fourteen_bits(source, &control, data.value, context);
            }
            Payload::RegisteredParameter(data) if data.channel < 16 => {
                let control = Control::Registered(data.channel, (data.param & 0x3FFF) as u16);
                input.accept_fourteen_bits(source, &control, data.value, context);
            }
            Payload::ProgramChange(data) if data.channel < 16 => {
                let control = Control::PerChannel(data.channel, PerChannel::Program);
                input.accept_seven_bits(source, &control, data.value, context);
            }
            Payload::ChannelPressure(data) if data.channel < 16 => {
                let control = Control::PerChannel(data.channel, PerChannel::Aftertouch);
                input.accept_seven_bits(source, &control, data.value, context);
            }
            Payload::PitchBend(data) if data.channel < 16 => {
                let control = Control::PerChannel(data.channel, PerChannel::Pitch);
                let bend = data.value.saturating_add(8_192);
                input.accept_fourteen_bits(source, &control, bend, context);
            }
            Payload::SongPosition(data) => input.accept_position(source, data.value, context),
            Payload::SongSelect(data) => {
                let control = Control::System(System::Song);
                input.accept_seven_bits(source, &control, data.value, context);
            }
            Payload::Start { .. } => input.accept_start(source, context),
            Payload::Continue { .. } => input.accept_continue(source, context),
            Payload::Stop { .. } => input.accept_stop(source, context),
            Payload::Clock { .. } => input.accept_clock(source, context),
            Payload::QuarterFrame(data) => {
                input.accept_quarter_frame(source, (data.value & 0x7F) as u8, context);
            }
            Payload::SystemExclusive(part) => input.exclusive(source, part, context),
            _ => {}
        }
    }
}
