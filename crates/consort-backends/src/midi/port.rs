//! The port of an instance, and its connections to devices.

use std::rc::Rc;
use std::time::Duration;

use consort_router::{Context, State};
use consort_seq::{Address, ErrorKind, Port, PortInfo, SequencerClient};

use super::devices::{Direction, candidates, list_ports, resolve};
use crate::midi_grammar::channels::Channels;
use crate::midi_grammar::input::{Input, SourceNames};
use crate::midi_grammar::output::{Output, OutputOptions};

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

    /// Takes another name. Returns the device that is connected and that the name does not mean
    /// any more.
    fn rename(
        &mut self,
        name: Option<&str>,
        direction: Direction,
        ports: &[PortInfo],
    ) -> Option<Address> {
        if self.name.as_deref() == name {
            return None;
        }
        self.name = name.map(str::to_owned);
        self.disconnected = None;
        let found = name.and_then(|name| resolve(name, direction, ports));
        self.connected.take_if(|connected| found != Some(*connected))
    }
}

/// The devices that a reloaded configuration does not name any more, but that are still connected.
#[derive(Default)]
pub(super) struct Replaced {
    pub(super) read: Option<Address>,
    pub(super) write: Option<Address>,
}

/// The maximum number of senders whose names are remembered.
const MAX_SENDERS: usize = 64;

/// The names of ports that sent unmatched input: each is looked up once.
#[derive(Default)]
pub(super) struct Senders {
    client: Option<Rc<SequencerClient>>,
    names: Vec<(Address, String)>,
}

impl SourceNames for Senders {
    type Source = Address;

    /// The name of a port as the option `read` takes it, `client:port`; its address if it is gone.
    fn name(&mut self, sender: Address) -> &str {
        let known = self.names.iter().position(|(address, _)| *address == sender);
        let index = known.unwrap_or_else(|| self.look_up(sender));
        &self.names[index].1
    }
}

impl Senders {
    #[cold]
    fn look_up(&mut self, sender: Address) -> usize {
        let client = self.client.as_deref();
        let name = client.and_then(|client| {
            let owner = client.get_any_client_info(sender.client).ok()?;
            let port = client.get_port_info(sender).ok()?;
            Some(format!("{}:{}", owner.name, port.name))
        });
        if self.names.len() == MAX_SENDERS {
            self.names.remove(0);
        }
        self.names.push((sender, name.unwrap_or_else(|| sender.to_string())));
        self.names.len() - 1
    }

    /// Forgets ports that are gone or have other names now.
    pub(super) fn forget(&mut self, is_selected: &dyn Fn(Address) -> bool) {
        self.names.retain(|(address, _)| !is_selected(*address));
    }
}

/// The port of an instance and everything that has arrived there.
pub(super) struct PortState {
    pub(super) port: Option<Port>,
    read: DeviceLink,
    write: DeviceLink,
    pub(super) input: Input<Senders>,
    pub(super) output: Output,
}

impl PortState {
    pub(super) fn new(
        channels: Channels,
        options: OutputOptions,
        read: Option<&str>,
        write: Option<&str>,
    ) -> Self {
        PortState {
            port: None,
            read: DeviceLink::new(read),
            write: DeviceLink::new(write),
            input: Input::new(channels, Senders::default()),
            output: Output::new(options),
        }
    }

    /// Takes the port when it is created.
    pub(super) fn set_port(&mut self, port: Port, client: &Rc<SequencerClient>) {
        self.port = Some(port);
        self.input.names = Senders { client: Some(Rc::clone(client)), names: Vec::new() };
    }

    /// Takes other names of devices. The devices that are replaced stay connected, so that the
    /// caller can release what they hold first.
    pub(super) fn rename(
        &mut self,
        read: Option<&str>,
        write: Option<&str>,
        client: Option<&SequencerClient>,
    ) -> Replaced {
        if self.read.name.as_deref() == read && self.write.name.as_deref() == write {
            return Replaced::default();
        }
        let ports = client.and_then(|client| list_ports(client).ok()).unwrap_or_default();
        Replaced {
            read: self.read.rename(read, Direction::Read, &ports),
            write: self.write.rename(write, Direction::Write, &ports),
        }
    }

    /// The device that is connected for output.
    pub(super) fn output_device(&self) -> Option<Address> {
        self.write.connected
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
        self.input.release_held(has_exited, context);
        self.input.names.forget(has_exited);
        for (link, is_output) in [(&mut self.read, false), (&mut self.write, true)] {
            let known = link.connected.or(link.disconnected);
            if let Some(address) = known.filter(|address| has_exited(*address)) {
                link.connected = None;
                link.disconnected = None;
                if is_output {
                    self.output.forget();
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
            self.input.release_held(&|source| source == sender, context);
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
        self.input.on_input_lost(context);
        self.port = None;
        self.input.names = Senders::default();
        self.read.connected = None;
        self.write.connected = None;
        self.output.forget();
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
