//! The port of an instance, and its connections to devices.

use std::rc::Rc;
use std::time::Duration;

use consort_router::{Context, State};
use consort_seq::{Address, ErrorKind, Port, SequencerClient};

use super::channels::{Channels, System};
use super::clock::{ClockInput, QuarterFrames};
use super::devices::{Direction, candidates, list_ports, resolve};
use super::held::HeldState;
use super::parameters::ParameterInput;
use super::sysex::Assembler;

/// When to look again for missing devices. The sequencer announces most changes; this finds the
/// others.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// A device that the configuration names, and the connection to it.
struct DeviceLink {
    name: Option<String>,
    connected: Option<Address>,
    /// The device from which another program has disconnected the port. The connection is made
    /// again only when the device itself disappears and returns.
    disconnected: Option<Address>,
}

impl DeviceLink {
    fn new(name: Option<&str>) -> Self {
        DeviceLink { name: name.map(str::to_owned), connected: None, disconnected: None }
    }

    /// Whether the device is not connected.
    fn is_missing(&self) -> bool {
        self.name.is_some() && self.connected.is_none()
    }
}

/// The port of an instance and everything that has arrived there.
pub(super) struct PortState {
    pub(super) channels: Channels,
    pub(super) port: Option<Port>,
    read: DeviceLink,
    write: DeviceLink,
    /// What each source holds.
    pub(super) held: Vec<(Address, HeldState)>,
    /// The notes and pedals that were sent and not released.
    pub(super) sounding: HeldState,
    pub(super) parameters: [ParameterInput; 16],
    /// Incomplete system exclusive messages, by source.
    pub(super) exclusive: Vec<(Address, Assembler)>,
    pub(super) clock: ClockInput,
    pub(super) quarter_frames: QuarterFrames,
    /// Whether a channel uses the clock.
    pub(super) wants_clock: bool,
    /// Whether a channel uses the time code.
    pub(super) wants_timecode: bool,
    /// Whether everything that arrives is logged.
    pub(super) detect: bool,
}

impl PortState {
    pub(super) fn new(read: Option<&str>, write: Option<&str>, detect: bool) -> Self {
        PortState {
            channels: Channels::new(),
            port: None,
            read: DeviceLink::new(read),
            write: DeviceLink::new(write),
            held: Vec::new(),
            sounding: HeldState::default(),
            parameters: [ParameterInput::default(); 16],
            exclusive: Vec::new(),
            clock: ClockInput::default(),
            quarter_frames: QuarterFrames::default(),
            wants_clock: false,
            wants_timecode: false,
            detect,
        }
    }

    /// Records which channels are used. Called once, when all channels are mapped.
    pub(super) fn prepare(&mut self) {
        self.wants_clock = self.channels.uses(&[System::Clock, System::Beat, System::Tempo]);
        self.wants_timecode = self.channels.uses(&[
            System::Timecode,
            System::Hours,
            System::Minutes,
            System::Seconds,
            System::Frames,
        ]);
    }

    /// Connects the devices that are not connected, and sets the state to what is missing. With
    /// `again`, looks up connected devices, too, because an announcement may have been lost.
    pub(super) fn resolve(
        &mut self,
        client: &SequencerClient,
        again: bool,
        context: &mut Context<'_>,
    ) {
        if again {
            self.read.connected = None;
            self.write.connected = None;
        }
        if !self.read.is_missing() && !self.write.is_missing() {
            context.set_state(State::Up);
            return;
        }
        let Some(port) = &self.port else { return };
        let ports = match list_ports(client) {
            Ok(ports) => ports,
            Err(error) => {
                context.set_state(State::Waiting(error.to_string()));
                return;
            }
        };
        let mut missing = Vec::new();
        for (link, direction) in
            [(&mut self.read, Direction::Read), (&mut self.write, Direction::Write)]
        {
            let Some(name) = link.name.clone().filter(|_| link.is_missing()) else { continue };
            let Some(address) = resolve(&name, direction, &ports) else {
                link.disconnected = None;
                let purpose = match direction {
                    Direction::Read => "read from",
                    Direction::Write => "write to",
                };
                missing.push(format!(
                    "there is no device `{name}` to {purpose}; available: {}",
                    candidates(direction, &ports)
                ));
                continue;
            };
            if link.disconnected == Some(address) {
                missing.push(format!("another program has disconnected `{name}` ({address})"));
                continue;
            }
            let connected = match direction {
                Direction::Read => port.connect_from(address),
                Direction::Write => port.connect_to(address),
            };
            match connected {
                Ok(()) => {
                    tracing::info!(instance = context.name(), "connected to `{name}` ({address})");
                    link.connected = Some(address);
                }
                // The kernel reports that the connection exists already.
                Err(error) if error.kind() == ErrorKind::Busy => link.connected = Some(address),
                Err(error) => missing.push(format!("cannot connect to `{name}`: {error}")),
            }
        }
        context.set_state(if missing.is_empty() {
            State::Up
        } else {
            State::Waiting(missing.join("; "))
        });
    }

    /// Whether the port or a device is missing.
    pub(super) fn is_waiting(&self) -> bool {
        self.port.is_none() || self.read.is_missing() || self.write.is_missing()
    }

    /// Handles ports that have disappeared: releases what they held.
    pub(super) fn on_ports_exited(
        &mut self,
        has_exited: &dyn Fn(Address) -> bool,
        context: &mut Context<'_>,
    ) {
        self.release_held(has_exited, context);
        for (link, is_output) in [(&mut self.read, false), (&mut self.write, true)] {
            let known = link.connected.or(link.disconnected);
            if let Some(address) = known.filter(|address| has_exited(*address)) {
                link.connected = None;
                link.disconnected = None;
                if is_output {
                    self.sounding = HeldState::default();
                }
                let name = link.name.as_deref().unwrap_or_default();
                tracing::warn!(
                    instance = context.name(),
                    "`{name}` ({address}) has disappeared; the show continues"
                );
            }
        }
    }

    /// Handles the end of a connection between two ports.
    pub(super) fn on_disconnected(
        &mut self,
        sender: Address,
        dest: Address,
        context: &mut Context<'_>,
    ) {
        let Some(own) = self.port.as_ref().map(Port::address) else { return };
        if dest == own {
            self.release_held(&|source| source == sender, context);
        }
        for (link, other, mine) in [(&mut self.read, sender, dest), (&mut self.write, dest, sender)]
        {
            if mine == own && link.connected == Some(other) {
                link.connected = None;
                link.disconnected = Some(other);
                // If the device was unplugged, the announcement of that follows.
                wake_soon(context);
            }
        }
    }

    /// Handles the loss of the client.
    pub(super) fn on_client_lost(&mut self, reason: &str, context: &mut Context<'_>) {
        self.on_input_lost(context);
        self.port = None;
        self.read.connected = None;
        self.write.connected = None;
        self.sounding = HeldState::default();
        context.set_state(State::Waiting(reason.to_owned()));
        wake_soon(context);
    }
}

/// Makes the instance look for devices after [`RETRY_INTERVAL`], unless it wakes up earlier.
fn wake_soon(context: &mut Context<'_>) {
    let due = context.now() + RETRY_INTERVAL;
    if context.wake_time().is_none_or(|scheduled| scheduled > due) {
        context.wake_at(Some(due));
    }
}

/// The state of a port, which its instance and the client share.
pub(super) type SharedState = Rc<std::cell::RefCell<PortState>>;
