//! An instance of the backend: its options and channels before the start, its output after it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use consort_router::{
    ChannelError, ChannelKind, ChannelTable, Context, Driver, Event as Value, Instance, Plan,
    Resolution, State, Usage, downcast, driver,
};
use consort_seq::client::RW_PORT;
use consort_seq::{
    Address, ChannelValue, Control as ControlData, Event, Key, Payload, PortOptions, Routing,
};

use super::MidiDriver;
use super::channels::{Channels, Control, PerChannel, System};
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

/// An instance before the start.
pub(super) struct MidiPlan {
    pub(super) name: String,
    /// The device to receive from.
    pub(super) read: Option<String>,
    /// The device to send to.
    pub(super) write: Option<String>,
    pub(super) output: OutputOptions,
    pub(super) channels: Channels,
}

impl Plan for MidiPlan {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        self.channels.channel(specification, usage)
    }

    fn kind(&self, channel: u32) -> ChannelKind {
        self.channels.control(channel).kind()
    }

    fn resolution(&self, channel: u32) -> Resolution {
        self.channels.control(channel).resolution()
    }

    fn open(mut self: Box<Self>, backend: &mut dyn Driver) -> Box<dyn Instance> {
        let controls = self.channels.take_controls().into();
        let state = PortState::new(self.channels, self.read.as_deref(), self.write.as_deref());
        Box::new(MidiInstance {
            name: self.name,
            shared: Rc::clone(&driver::<MidiDriver>(backend).shared),
            state: Rc::new(RefCell::new(state)),
            controls,
            options: self.output,
            routing: Routing::new(),
            clock: None,
            tempo: 0.0,
            clock_due: None,
            replaced: Vec::new(),
            selected: [60; 16],
            playing: [None; 16],
            message: Vec::new(),
        })
    }
}

/// A running instance: one port of the shared client.
struct MidiInstance {
    name: String,
    shared: Rc<RefCell<SharedClient>>,
    state: SharedState,
    /// What each channel sends, by number.
    controls: Rc<[Control]>,
    options: OutputOptions,
    routing: Routing,
    clock: Option<ClockOutput>,
    /// The tempo of the clock to send, in quarter notes per minute; below 1, none is sent.
    tempo: f64,
    /// When to schedule further clocks.
    clock_due: Option<Instant>,
    /// Devices that a reload replaced for output. They are disconnected when everything that was
    /// sent to them is written.
    replaced: Vec<Address>,
    /// The note that `notenumber` has set, by MIDI channel.
    selected: [u8; 16],
    /// The note that `velocity` plays, by MIDI channel.
    playing: [Option<u8>; 16],
    /// Space for a system exclusive message.
    message: Vec<u8>,
}

impl Drop for MidiInstance {
    fn drop(&mut self) {
        self.shared.borrow_mut().leave(&self.state);
    }
}

impl MidiInstance {
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
                    self.state.borrow_mut().set_port(port, &client);
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
        let is_replacing = !self.replaced.is_empty();
        let disconnect = is_replacing.then(|| context.now() + OUTPUT_RETRY_INTERVAL);
        let next = [retry, self.clock_due, disconnect].into_iter().flatten().min();
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

    /// Ends the sounding notes and releases the pedals that are down.
    fn release_all(&mut self, context: &mut Context<'_>) {
        self.end_notes(None, context);
        self.playing = [None; 16];
        let sounding = self.state.borrow().sounding;
        for (channel, pedal) in sounding.pedals() {
            self.controller(channel, pedal, 0, context);
        }
    }

    /// Ends all notes of a MIDI channel: pedals up, all sound off, all notes off.
    fn silence(&mut self, channel: u8, context: &mut Context<'_>) {
        self.end_notes(Some(channel), context);
        self.playing[usize::from(channel)] = None;
        let sounding = self.state.borrow().sounding;
        for (_, pedal) in sounding.pedals().filter(|&pedal| pedal == (channel, 66)) {
            self.controller(channel, pedal, 0, context);
        }
        for controller in [64, 120, 123] {
            self.controller(channel, controller, 0, context);
        }
    }

    /// Releases what was started on channels that no mapping writes any more: notes, pedals, and
    /// the clock.
    fn release_removed(&mut self, channels: &Channels, context: &mut Context<'_>) {
        let sounding = self.state.borrow().sounding;
        for (channel, note) in sounding.notes() {
            let velocity = Control::PerChannel(channel, PerChannel::Velocity);
            let is_playing = self.playing[usize::from(channel)] == Some(note);
            let is_kept = if is_playing {
                channels.is_target(&velocity)
            } else {
                channels.is_target(&Control::Note(channel, note))
            };
            if !is_kept {
                self.note(channel, note, 0, context);
            }
        }
        for (playing, channel) in self.playing.iter_mut().zip(0..) {
            if !channels.is_target(&Control::PerChannel(channel, PerChannel::Velocity)) {
                *playing = None;
            }
        }
        for (channel, pedal) in sounding.pedals() {
            if !channels.is_target(&Control::Controller(channel, pedal)) {
                self.controller(channel, pedal, 0, context);
            }
        }
        if self.tempo > 0.0 && !channels.is_target(&Control::System(System::Tempo)) {
            self.set_tempo(0.0, context);
        }
    }

    /// Takes other names of devices: releases what sounds at a device that is replaced, and
    /// connects the new ones. The port and its other connections stay.
    fn replace_devices(
        &mut self,
        read: Option<&str>,
        write: Option<&str>,
        context: &mut Context<'_>,
    ) {
        let client = self.shared.borrow().opened();
        let replaced = self.state.borrow_mut().rename(read, write, client.as_deref());
        if let Some(device) = replaced.write {
            self.release_all(context);
            self.replaced.push(device);
        }
        self.flush(context);
        let Some(client) = client else { return };
        {
            let mut state = self.state.borrow_mut();
            let Some(port) = &state.port else { return };
            if let Some(device) = replaced.read {
                // What it holds is released when the sequencer announces the disconnection. If the
                // device has just disappeared, it is not connected any more.
                let _ = port.disconnect_from(device);
            }
            state.resolve(&client, false, context);
            self.replaced.retain(|device| Some(*device) != state.output_device());
        }
        self.disconnect_replaced();
    }

    /// Disconnects the devices that were replaced for output, unless output is still waiting for
    /// them.
    fn disconnect_replaced(&mut self) {
        if self.replaced.is_empty() || self.shared.borrow().has_output() {
            return;
        }
        let state = self.state.borrow();
        for device in self.replaced.drain(..) {
            if let Some(port) = &state.port {
                // If the device has disappeared, it is not connected any more.
                let _ = port.disconnect_to(device);
            }
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

    fn flush(&self, context: &mut Context<'_>) {
        self.shared.borrow_mut().flush(&mut context.driver());
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
                    self.silence(channel, context);
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
                    self.silence(channel, context);
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
    fn start(&mut self, context: &mut Context<'_>) {
        self.open(context);
        self.schedule(context);
    }

    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        _: &ChannelTable,
        context: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        let mut plan = *downcast::<MidiPlan>(plan)?;
        self.options = plan.output;
        self.release_removed(&plan.channels, context);
        self.controls = plan.channels.take_controls().into();
        self.state.borrow_mut().set_channels(plan.channels);
        self.replace_devices(plan.read.as_deref(), plan.write.as_deref(), context);
        self.schedule(context);
        Ok(())
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        if self.state.borrow().is_waiting() && !context.is_stopping() {
            self.open(context);
        }
        self.disconnect_replaced();
        if self.clock_due.is_some_and(|due| due <= context.now()) {
            self.refill_clock(context);
            self.flush(context);
        }
        self.schedule(context);
    }

    fn deliver(&mut self, events: &[Value], context: &mut Context<'_>) {
        let controls = Rc::clone(&self.controls);
        for event in events {
            self.deliver_one(&controls[event.channel as usize], event.value, context);
        }
        self.flush(context);
        if self.clock_due.is_some() {
            self.schedule(context);
        }
    }

    fn panic(&mut self, context: &mut Context<'_>) {
        if self.state.borrow().port.is_none() {
            return;
        }
        for channel in 0..16 {
            self.silence(channel, context);
        }
        self.flush(context);
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        self.set_tempo(0.0, context);
        self.release_all(context);
        self.flush(context);
        self.schedule(context);
    }

    fn is_stopped(&self) -> bool {
        !self.shared.borrow().has_output()
    }
}
