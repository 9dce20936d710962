//! An instance of the backend: its channels and its output.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use consort_router::{ChannelError, Context, Event as Value, Instance, Readiness, State, Usage};
use consort_seq::client::RW_PORT;
use consort_seq::{
    ChannelValue, Control as ControlData, Event, Key, Payload, PortOptions, Routing,
};

use super::channels::{Control, PerChannel, System};
use super::client::{OUTPUT_RETRY_INTERVAL, SharedClient};
use super::clock::{ClockOutput, MAX_TEMPO, REFILL_INTERVAL};
use super::held::HeldState;
use super::parameters::parameter_output;
use super::port::{PortState, RETRY_INTERVAL, SharedState};
use super::values::{to_fourteen_bits, to_seven_bits};

/// The options of an instance that concern output.
pub(super) struct OutputOptions {
    /// Whether notes end with note-off messages.
    pub(super) note_off: bool,
    /// Whether a parameter is deselected after each value.
    pub(super) deselect: bool,
}

/// An instance: one port of the shared client.
pub(super) struct MidiInstance {
    name: String,
    shared: Rc<RefCell<SharedClient>>,
    state: SharedState,
    options: OutputOptions,
    routing: Routing,
    clock: Option<ClockOutput>,
    /// The tempo of the clock to send, in quarter notes per minute; below 1, none is sent.
    tempo: f64,
    /// When to schedule further clocks.
    clock_due: Option<Instant>,
    /// When to write output again.
    output_due: Option<Instant>,
    /// The note that `notenumber` has set, by MIDI channel.
    selected: [u8; 16],
    /// The note that `velocity` plays, by MIDI channel.
    playing: [Option<u8>; 16],
    /// Space for a system exclusive message.
    message: Vec<u8>,
}

impl MidiInstance {
    pub(super) fn new(
        name: String,
        shared: Rc<RefCell<SharedClient>>,
        state: PortState,
        options: OutputOptions,
    ) -> Self {
        MidiInstance {
            name,
            shared,
            state: Rc::new(RefCell::new(state)),
            options,
            routing: Routing::new(),
            clock: None,
            tempo: 0.0,
            clock_due: None,
            output_due: None,
            selected: [60; 16],
            playing: [None; 16],
            message: Vec::new(),
        }
    }

    /// Opens the client and the port if necessary, and connects missing devices.
    fn open(&mut self, context: &mut Context<'_>) {
        let client = match self.shared.borrow_mut().client(context) {
            Ok(client) => client,
            Err(error) => {
                context.set_state(State::Waiting(error.to_string()));
                return;
            }
        };
        if self.state.borrow().port.is_none() {
            let created = client.create_port(PortOptions::new(self.name.clone()).caps(RW_PORT));
            match created {
                Ok(port) => {
                    self.routing = Routing::new().port(&port);
                    let (number, state) = (port.port_id(), Rc::clone(&self.state));
                    self.state.borrow_mut().port = Some(port);
                    self.clock = None;
                    self.shared.borrow_mut().join(context.instance(), number, state);
                    self.start_clock(context);
                }
                Err(error) => {
                    context.set_state(State::Waiting(error.to_string()));
                    return;
                }
            }
        }
        self.state.borrow_mut().resolve(&client, false, context);
    }

    fn schedule(&self, context: &mut Context<'_>) {
        let is_waiting = self.state.borrow().is_waiting() && !context.is_stopping();
        let retry = is_waiting.then(|| context.now() + RETRY_INTERVAL);
        let next = [retry, self.clock_due, self.output_due].into_iter().flatten().min();
        context.wake_at(next);
    }

    fn send(&mut self, payload: Payload<'_>, context: &mut Context<'_>) {
        self.shared.borrow_mut().put(&Event::new(payload), self.routing, context);
    }

    fn controller(&mut self, channel: u8, param: u8, value: u8, context: &mut Context<'_>) {
        // Nothing would release a pedal that is pressed while the show ends.
        if context.is_stopping() && HeldState::is_pedal_down(param, value) {
            return;
        }
        self.state.borrow_mut().sounding.set_controller(channel, param, value);
        let data = ControlData { channel, param: param.into(), value: value.into() };
        self.send(Payload::ControlChange(data), context);
    }

    fn note(&mut self, channel: u8, note: u8, velocity: u8, context: &mut Context<'_>) {
        {
            let sounding = &mut self.state.borrow_mut().sounding;
            // While the show ends, no note is started, because nothing would end it, and no note
            // is ended twice.
            if context.is_stopping() && (velocity > 0 || !sounding.has_note(channel, note)) {
                return;
            }
            sounding.set_note(channel, note, velocity > 0);
        }
        let key = Key { channel, note, velocity };
        let payload = if velocity == 0 && self.options.note_off {
            Payload::NoteOff(key)
        } else {
            Payload::NoteOn(key)
        };
        self.send(payload, context);
    }

    /// Ends the sounding notes of one MIDI channel, or of all.
    fn end_notes(&mut self, channel: Option<u8>, context: &mut Context<'_>) {
        let sounding = self.state.borrow().sounding;
        for (sounding_channel, note) in sounding.notes() {
            if channel.is_none_or(|channel| channel == sounding_channel) {
                self.note(sounding_channel, note, 0, context);
            }
        }
    }

    /// Ends all notes of a MIDI channel: pedal up, all sound off, all notes off.
    fn panic(&mut self, channel: u8, context: &mut Context<'_>) {
        self.end_notes(Some(channel), context);
        self.playing[usize::from(channel)] = None;
        for controller in [64, 120, 123] {
            self.controller(channel, controller, 0, context);
        }
    }

    fn set_tempo(&mut self, tempo: f64, context: &mut Context<'_>) {
        self.tempo = if context.is_stopping() { 0.0 } else { tempo };
        match &mut self.clock {
            Some(clock) if self.tempo >= 1.0 => {
                clock.set_tempo(tempo);
                self.refill_clock(context);
            }
            Some(_) => {
                self.clock = None;
                self.clock_due = None;
            }
            None => self.start_clock(context),
        }
    }

    /// Starts the clock if there is a tempo. If the client is not open yet, the clock starts when
    /// the port is created.
    fn start_clock(&mut self, context: &mut Context<'_>) {
        let Some(client) = self.shared.borrow().opened().filter(|_| self.tempo >= 1.0) else {
            return;
        };
        match ClockOutput::start(&client, self.tempo) {
            Ok(clock) => {
                self.clock = Some(clock);
                self.refill_clock(context);
            }
            Err(error) => {
                context.count_errors(1);
                tracing::warn!(instance = context.name(), "cannot start the MIDI clock: {error}");
            }
        }
    }

    fn refill_clock(&mut self, context: &mut Context<'_>) {
        let Some(clock) = &mut self.clock else {
            self.clock_due = None;
            return;
        };
        let mut shared = self.shared.borrow_mut();
        let filled =
            clock.refill(self.routing, |event, routing| shared.put(event, routing, context));
        match filled {
            Ok(()) => self.clock_due = Some(context.now() + REFILL_INTERVAL),
            Err(error) => {
                tracing::warn!(instance = context.name(), "the MIDI clock stopped: {error}");
                drop(shared);
                self.clock = None;
                self.clock_due = None;
            }
        }
    }

    fn flush(&mut self, context: &mut Context<'_>) {
        let is_left = self.shared.borrow_mut().flush(context);
        self.output_due = is_left.then(|| context.now() + OUTPUT_RETRY_INTERVAL);
    }

    /// Sends one value.
    fn deliver_one(&mut self, control: &Control, value: f64, context: &mut Context<'_>) {
        let seven = to_seven_bits(value);
        match control {
            Control::Controller(channel, number) => {
                self.controller(*channel, *number, seven, context);
            }
            Control::Note(channel, note) => self.note(*channel, *note, seven, context),
            Control::Pressure(channel, note) => {
                let key = Key { channel: *channel, note: *note, velocity: seven };
                self.send(Payload::KeyPressure(key), context);
            }
            Control::Registered(channel, number) => {
                self.parameter(*channel, true, *number, value, context);
            }
            Control::NonRegistered(channel, number) => {
                self.parameter(*channel, false, *number, value, context);
            }
            Control::PerChannel(channel, kind) => self.per_channel(*channel, *kind, value, context),
            Control::System(kind) => self.system(*kind, value, context),
            Control::Exclusive(pattern) => {
                if pattern.has_value() || value > 0.0 {
                    let mut message = std::mem::take(&mut self.message);
                    pattern.message(value, &mut message);
                    self.send(Payload::SystemExclusive(&message), context);
                    self.message = message;
                }
            }
        }
    }

    fn parameter(
        &mut self,
        channel: u8,
        registered: bool,
        number: u16,
        value: f64,
        context: &mut Context<'_>,
    ) {
        let value = to_fourteen_bits(value);
        for (param, value) in parameter_output(registered, number, value, self.options.deselect) {
            self.controller(channel, param, value, context);
        }
    }

    fn per_channel(
        &mut self,
        channel: u8,
        kind: PerChannel,
        value: f64,
        context: &mut Context<'_>,
    ) {
        let seven = to_seven_bits(value);
        let data = |value| ChannelValue { channel, value };
        match kind {
            PerChannel::Pitch => {
                let bend = i32::from(to_fourteen_bits(value)) - 8_192;
                self.send(Payload::PitchBend(data(bend)), context);
            }
            PerChannel::Aftertouch => {
                self.send(Payload::ChannelPressure(data(seven.into())), context);
            }
            PerChannel::Program => self.send(Payload::ProgramChange(data(seven.into())), context),
            PerChannel::NoteNumber => self.selected[usize::from(channel)] = seven,
            PerChannel::Velocity => {
                let index = usize::from(channel);
                let selected = self.selected[index];
                if let Some(playing) = self.playing[index].take()
                    && (seven == 0 || playing != selected)
                {
                    self.note(channel, playing, 0, context);
                }
                if seven > 0 {
                    self.playing[index] = Some(selected);
                    self.note(channel, selected, seven, context);
                }
            }
            PerChannel::Panic => {
                if value > 0.0 {
                    self.panic(channel, context);
                }
            }
        }
    }

    fn system(&mut self, kind: System, value: f64, context: &mut Context<'_>) {
        let data = |value| ChannelValue { channel: 0, value };
        match kind {
            System::Position => {
                let beats = to_fourteen_bits(value).into();
                self.send(Payload::SongPosition(data(beats)), context);
            }
            System::Song => {
                self.send(Payload::SongSelect(data(to_seven_bits(value).into())), context);
            }
            System::Tempo => self.set_tempo(value * MAX_TEMPO, context),
            System::Panic if value > 0.0 => {
                for channel in 0..16 {
                    self.panic(channel, context);
                }
            }
            System::Start if value > 0.0 => self.send(Payload::Start { queue: 0 }, context),
            System::Stop if value > 0.0 => self.send(Payload::Stop { queue: 0 }, context),
            System::Continue if value > 0.0 => self.send(Payload::Continue { queue: 0 }, context),
            System::Clock if value > 0.0 => self.send(Payload::Clock { queue: 0 }, context),
            // These messages have no effect at 0, and the other channels are sources only.
            _ => {}
        }
    }
}

impl Instance for MidiInstance {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        self.state.borrow_mut().channels.channel(specification, usage)
    }

    fn start(&mut self, context: &mut Context<'_>) {
        self.state.borrow_mut().prepare();
        self.open(context);
        self.schedule(context);
    }

    fn ready(&mut self, _: u32, _: Readiness, context: &mut Context<'_>) {
        if self.shared.borrow().is_owner(context.instance()) {
            self.shared.borrow_mut().read(context);
        }
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        if self.state.borrow().is_waiting() && !context.is_stopping() {
            self.open(context);
        }
        if self.clock_due.is_some_and(|due| due <= context.now()) {
            self.refill_clock(context);
        }
        if self.clock_due.is_some() || self.output_due.is_some() {
            self.flush(context);
        }
        self.schedule(context);
    }

    fn deliver(&mut self, events: &[Value], context: &mut Context<'_>) {
        let state = Rc::clone(&self.state);
        for event in events {
            let control = state.borrow().channels.control(event.channel).clone();
            self.deliver_one(&control, event.value, context);
        }
        self.flush(context);
        if self.output_due.is_some() || self.clock_due.is_some() {
            self.schedule(context);
        }
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        self.set_tempo(0.0, context);
        self.end_notes(None, context);
        let sounding = self.state.borrow().sounding;
        for (channel, pedal) in sounding.pedals() {
            self.controller(channel, pedal, 0, context);
        }
        self.flush(context);
        self.schedule(context);
    }

    fn is_stopped(&self) -> bool {
        !self.shared.borrow().has_output()
    }
}
