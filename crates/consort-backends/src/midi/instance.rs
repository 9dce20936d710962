//! An instance of the backend: its options and channels before the start, its output after it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use consort_router::{
    ChannelError, ChannelKind, ChannelTable, Context, Driver, Endpoints, Event as Value, Instance,
    Plan, Resolution, State, Usage, downcast, driver,
};
use consort_seq::client::RW_PORT;
use consort_seq::{
    Address, ChannelValue, Control as ControlData, Event, Key, Payload, PortOptions, Routing,
};

use super::MidiDriver;
use super::client::{OUTPUT_RETRY_INTERVAL, SharedClient};
use super::clock::{ClockOutput, REFILL_INTERVAL};
use super::pace::Pace;
use super::port::{PortState, RETRY_INTERVAL, SharedState};
use crate::midi_grammar::channels::{Channels, Control, System};
use crate::midi_grammar::clock::MAX_TEMPO;
use crate::midi_grammar::message::Message;
use crate::midi_grammar::output::{OutputOptions, Sending};

/// An instance before the start.
pub(super) struct MidiPlan {
    pub(super) name: String,
    /// The device to receive from.
    pub(super) read: Option<String>,
    /// The device to send to.
    pub(super) write: Option<String>,
    pub(super) output: OutputOptions,
    /// The time between two values of channels that are also read.
    pub(super) pace: Duration,
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

    fn endpoints(&self) -> Endpoints {
        // The port that returns what it gets; those of devices do not, as far as the options say.
        let through = |device: &Option<String>| -> Vec<String> {
            let is_through = device.as_deref().is_some_and(|device| {
                let device = device.trim();
                device == "14:0" || device.to_ascii_lowercase().starts_with("midi through")
            });
            is_through.then(|| "midi through".to_owned()).into_iter().collect()
        };
        Endpoints { hears: through(&self.read), sends: through(&self.write) }
    }

    fn open(mut self: Box<Self>, backend: &mut dyn Driver) -> Box<dyn Instance> {
        let pace = Pace::new(self.pace);
        let (controls, shows) = take_controls(&mut self.channels);
        let (read, write) = (self.read.as_deref(), self.write.as_deref());
        let state = PortState::new(self.channels, self.output, read, write);
        Box::new(MidiInstance {
            name: self.name,
            shared: Rc::clone(&driver::<MidiDriver>(backend).shared),
            state: Rc::new(RefCell::new(state)),
            controls,
            shows,
            pace,
            routing: Routing::new(),
            clock: None,
            tempo: 0.0,
            clock_due: None,
            replaced: Vec::new(),
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
    /// Whether each channel is read, too: what is sent there is shown by lights and motors.
    shows: Rc<[bool]>,
    /// What waits for a slow device.
    pace: Pace,
    routing: Routing,
    clock: Option<ClockOutput>,
    /// The tempo of the clock to send, in quarter notes per minute; below 1, none is sent.
    tempo: f64,
    /// When to schedule further clocks.
    clock_due: Option<Instant>,
    /// Devices that a reload replaced for output. They are disconnected when everything that was
    /// sent to them is written.
    replaced: Vec<Address>,
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
        let next = [retry, self.clock_due, disconnect, self.pace.due()].into_iter().flatten().min();
        context.wake_at(next);
    }

    /// Sends what `work` sends.
    fn send(
        &self,
        context: &mut Context<'_>,
        work: impl FnOnce(&mut Sending<'_, &mut dyn FnMut(Message<'_>)>),
    ) {
        let is_stopping = context.is_stopping();
        let mut shared = self.shared.borrow_mut();
        let mut put = |message: Message<'_>| {
            shared.put(&Event::new(payload(message)), self.routing, context);
        };
        work(&mut self.state.borrow_mut().output.sending(is_stopping, &mut put));
    }

    /// Sends the value that a slow device can take now, if one waits.
    fn send_paced(&mut self, context: &mut Context<'_>) {
        if let Some((channel, value)) = self.pace.pop(context.now()) {
            let controls = Rc::clone(&self.controls);
            self.send(context, |sending| sending.deliver(&controls[channel as usize], value));
            self.flush(context);
        }
    }

    /// Sends all that waits at once.
    fn send_waiting(&mut self, context: &mut Context<'_>) {
        while let Some((channel, value)) = self.pace.pop_any() {
            let controls = Rc::clone(&self.controls);
            self.send(context, |sending| sending.deliver(&controls[channel as usize], value));
        }
    }

    /// Releases what was started on channels that no mapping writes any more: notes, pedals, and
    /// the clock.
    fn release_removed(&mut self, channels: &Channels, context: &mut Context<'_>) {
        self.send(context, |sending| sending.release_removed(channels));
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
            self.send(context, |sending| sending.release_all());
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
}

/// What each channel sends, and whether it is read, too.
fn take_controls(channels: &mut Channels) -> (Rc<[Control]>, Rc<[bool]>) {
    let controls: Rc<[Control]> = channels.take_controls().into();
    let shows = controls.iter().map(|control| channels.is_source(control)).collect();
    (controls, shows)
}

/// The payload of an event for a message.
fn payload(message: Message<'_>) -> Payload<'_> {
    let of_channel = |channel, value| ChannelValue { channel, value };
    match message {
        Message::NoteOff { channel, note, velocity } => {
            Payload::NoteOff(Key { channel, note, velocity })
        }
        Message::NoteOn { channel, note, velocity } => {
            Payload::NoteOn(Key { channel, note, velocity })
        }
        Message::KeyPressure { channel, note, pressure } => {
            Payload::KeyPressure(Key { channel, note, velocity: pressure })
        }
        Message::Controller { channel, number, value } => {
            let data = ControlData { channel, param: number.into(), value: value.into() };
            Payload::ControlChange(data)
        }
        Message::Program { channel, program } => {
            Payload::ProgramChange(of_channel(channel, program.into()))
        }
        Message::ChannelPressure { channel, pressure } => {
            Payload::ChannelPressure(of_channel(channel, pressure.into()))
        }
        Message::PitchBend { channel, bend } => {
            Payload::PitchBend(of_channel(channel, i32::from(bend) - 8_192))
        }
        Message::SongPosition(position) => Payload::SongPosition(of_channel(0, position.into())),
        Message::SongSelect(song) => Payload::SongSelect(of_channel(0, song.into())),
        Message::Clock => Payload::Clock { queue: 0 },
        Message::Start => Payload::Start { queue: 0 },
        Message::Continue => Payload::Continue { queue: 0 },
        Message::Stop => Payload::Stop { queue: 0 },
        Message::QuarterFrame(data) => Payload::QuarterFrame(of_channel(0, data.into())),
        Message::TuneRequest => Payload::TuneRequest,
        Message::ActiveSensing => Payload::ActiveSensing,
        Message::Reset => Payload::Reset,
        Message::Exclusive(message) => Payload::SystemExclusive(message),
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
        table: &ChannelTable,
        context: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        let mut plan = *downcast::<MidiPlan>(plan)?;
        self.state.borrow_mut().output.set_options(plan.output);
        self.release_removed(&plan.channels, context);
        (self.controls, self.shows) = take_controls(&mut plan.channels);
        self.pace.adopt(plan.pace, table);
        if !self.pace.is_on() {
            self.send_waiting(context);
        }
        self.state.borrow_mut().input.set_channels(plan.channels);
        self.replace_devices(plan.read.as_deref(), plan.write.as_deref(), context);
        self.schedule(context);
        Ok(())
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        if self.state.borrow().is_waiting() && !context.is_stopping() {
            self.open(context);
        }
        self.disconnect_replaced();
        self.send_paced(context);
        if self.clock_due.is_some_and(|due| due <= context.now()) {
            self.refill_clock(context);
            self.flush(context);
        }
        self.schedule(context);
    }

    fn deliver(&mut self, events: &[Value], context: &mut Context<'_>) {
        let controls = Rc::clone(&self.controls);
        for event in events {
            match &controls[event.channel as usize] {
                Control::System(System::Tempo) => {
                    self.set_tempo(event.value * MAX_TEMPO, context);
                }
                control if self.pace.is_on() && self.shows[event.channel as usize] => {
                    let is_button = control.kind() == ChannelKind::Momentary;
                    self.pace.push(event.channel, event.value, is_button);
                }
                control => self.send(context, |sending| sending.deliver(control, event.value)),
            }
        }
        self.send_paced(context);
        self.flush(context);
        if self.clock_due.is_some() || self.pace.due().is_some() {
            self.schedule(context);
        }
    }

    fn panic(&mut self, context: &mut Context<'_>) {
        self.pace.clear();
        if self.state.borrow().port.is_none() {
            return;
        }
        self.send(context, |sending| sending.silence_all());
        self.flush(context);
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        self.set_tempo(0.0, context);
        self.send_waiting(context);
        self.send(context, |sending| sending.release_all());
        self.flush(context);
        self.schedule(context);
    }

    fn is_stopped(&self) -> bool {
        !self.shared.borrow().has_output()
    }
}
