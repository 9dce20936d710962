//! The port of an instance, and the devices that it wants.

use std::rc::Rc;

use consort_router::{Context, State};
use consort_seq::{Address, ErrorKind, Port, SequencerClient};

use super::channels::{Channels, System};
use super::client::Shared;
use super::clock::{ClockInput, QuarterFrames};
use super::devices::{Direction, candidates, resolve};
use super::down::Down;
use super::parameters::ParameterInput;
use super::sysex::Assembler;

/// A device that the configuration names.
struct Link {
    wanted: Option<String>,
    connected: Option<Address>,
    /// Another program has taken the connection away: it is not made again before the device
    /// itself comes anew.
    cut: Option<Address>,
}

impl Link {
    fn new(wanted: Option<&str>) -> Self {
        Link { wanted: wanted.map(str::to_owned), connected: None, cut: None }
    }

    fn is_missing(&self) -> bool {
        self.wanted.is_some() && self.connected.is_none()
    }
}

/// The state of an instance.
pub(super) struct PortState {
    pub(super) channels: Channels,
    pub(super) port: Option<Port>,
    read: Link,
    write: Link,
    /// What each source holds down.
    pub(super) held: Vec<(Address, Down)>,
    /// What has been sent and not been ended.
    pub(super) sounding: Down,
    pub(super) parameters: [ParameterInput; 16],
    /// System exclusive messages that come in parts, by source.
    pub(super) exclusive: Vec<(Address, Assembler)>,
    pub(super) clock: ClockInput,
    pub(super) quarter_frames: QuarterFrames,
    pub(super) wants_clock: bool,
    pub(super) wants_timecode: bool,
    /// Log what arrives.
    pub(super) detect: bool,
}

impl PortState {
    pub(super) fn new(read: Option<&str>, write: Option<&str>, detect: bool) -> Self {
        PortState {
            channels: Channels::new(),
            port: None,
            read: Link::new(read),
            write: Link::new(write),
            held: Vec::new(),
            sounding: Down::default(),
            parameters: [ParameterInput::default(); 16],
            exclusive: Vec::new(),
            clock: ClockInput::default(),
            quarter_frames: QuarterFrames::default(),
            wants_clock: false,
            wants_timecode: false,
            detect,
        }
    }

    /// Called once all channels are mapped.
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

    /// Looks for devices that are wanted and not connected, and says what is missing. `again`:
    /// connections that are known may have been lost unnoticed.
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
        let ports = match Shared::list_ports(client) {
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
            let Some(wanted) = link.wanted.clone().filter(|_| link.is_missing()) else { continue };
            let Some(address) = resolve(&wanted, direction, &ports) else {
                link.cut = None;
                let word = match direction {
                    Direction::Read => "read from",
                    Direction::Write => "write to",
                };
                missing.push(format!(
                    "there is no device `{wanted}` to {word}; there are {}",
                    candidates(direction, &ports)
                ));
                continue;
            };
            if link.cut == Some(address) {
                missing.push(format!("another program has disconnected `{wanted}` ({address})"));
                continue;
            }
            let connected = match direction {
                Direction::Read => port.connect_from(address),
                Direction::Write => port.connect_to(address),
            };
            match connected {
                Ok(()) => {
                    tracing::info!(
                        instance = context.name(),
                        "connected to `{wanted}` ({address})"
                    );
                    link.connected = Some(address);
                }
                // It is connected already.
                Err(error) if error.kind() == ErrorKind::Busy => link.connected = Some(address),
                Err(error) => missing.push(format!("`{wanted}` cannot be connected: {error}")),
            }
        }
        context.set_state(if missing.is_empty() {
            State::Up
        } else {
            State::Waiting(missing.join("; "))
        });
    }

    /// Whether a device is missing.
    pub(super) fn is_waiting(&self) -> bool {
        self.port.is_none() || self.read.is_missing() || self.write.is_missing()
    }

    /// Ports have gone: what they held down is released.
    pub(super) fn vanished(
        &mut self,
        is_gone: &dyn Fn(Address) -> bool,
        context: &mut Context<'_>,
    ) {
        self.release_held(is_gone, context);
        for (link, is_output) in [(&mut self.read, false), (&mut self.write, true)] {
            let known = link.connected.or(link.cut);
            if let Some(address) = known.filter(|it| is_gone(*it)) {
                link.connected = None;
                link.cut = None;
                if is_output {
                    self.sounding = Down::default();
                }
                let name = link.wanted.as_deref().unwrap_or_default();
                tracing::warn!(
                    instance = context.name(),
                    "`{name}` ({address}) has gone; the show goes on"
                );
            }
        }
    }

    /// Two ports were disconnected.
    pub(super) fn disconnected(
        &mut self,
        sender: Address,
        dest: Address,
        context: &mut Context<'_>,
    ) {
        let Some(own) = self.port.as_ref().map(Port::address) else { return };
        if dest == own {
            self.release_held(&|it| it == sender, context);
        }
        for (link, other, mine) in [(&mut self.read, sender, dest), (&mut self.write, dest, sender)]
        {
            if mine == own && link.connected == Some(other) {
                link.connected = None;
                link.cut = Some(other);
                // Whether it was unplugged or disconnected shows with what follows.
                wake_soon(context);
            }
        }
    }

    /// The client is gone.
    pub(super) fn lost(&mut self, reason: &str, context: &mut Context<'_>) {
        self.forget_input(context);
        self.port = None;
        self.read.connected = None;
        self.write.connected = None;
        self.sounding = Down::default();
        context.set_state(State::Waiting(reason.to_owned()));
        wake_soon(context);
    }
}

/// Has the instance look again in a while, or sooner where it has asked for that already.
fn wake_soon(context: &mut Context<'_>) {
    let at = context.now() + super::instance::RETRY;
    if context.wake_time().is_none_or(|before| before > at) {
        context.wake_at(Some(at));
    }
}

/// The state behind a shared pointer, where callers need it by name.
pub(super) type SharedState = Rc<std::cell::RefCell<PortState>>;
