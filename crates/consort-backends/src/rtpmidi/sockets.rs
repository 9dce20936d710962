//! The two ports of an instance.

use std::io;
use std::net::SocketAddr;

use consort_router::Context;
use mio::Interest;

use super::session::Port;
use crate::net::loss::LossReport;
use crate::net::{DatagramSocket, OutgoingDatagrams};

/// How many pairs of ports are tried if the configuration leaves the choice open.
const MAX_ATTEMPTS: usize = 50;

/// What waits to be sent from each port.
pub(super) type Outgoing = [OutgoingDatagrams; 2];

/// The key of a port's descriptor, which is also its place in [`Outgoing`].
pub(super) fn key(port: Port) -> u32 {
    match port {
        Port::Control => 0,
        Port::Data => 1,
    }
}

/// The port of a key.
pub(super) fn port(key: u32) -> Option<Port> {
    [Port::Control, Port::Data].into_iter().find(|port| self::key(*port) == key)
}

/// The sockets of an instance. In the direct mode there is no control port.
#[derive(Default)]
pub(super) struct Sockets {
    pub(super) sockets: [Option<DatagramSocket>; 2],
    awaits_writable: [bool; 2],
    losses: LossReport,
}

impl Sockets {
    pub(super) fn is_open(&self) -> bool {
        self.sockets[1].is_some()
    }

    /// The address of a port, if it is open.
    pub(super) fn address(&self, port: Port) -> Option<SocketAddr> {
        self.sockets[key(port) as usize].as_ref()?.local_address().ok()
    }

    /// Opens the data port, and in the session protocol the control port below it. Port 0 is any.
    ///
    /// # Errors
    /// A message that says which port cannot be opened and why.
    pub(super) fn open(
        &mut self,
        data: SocketAddr,
        is_direct: bool,
        context: &mut Context<'_>,
    ) -> Result<(), String> {
        let (control, data) = if is_direct {
            (None, bind(data)?)
        } else if data.port() != 0 {
            let below = SocketAddr::new(data.ip(), data.port() - 1);
            (Some(bind(below)?), bind(data)?)
        } else {
            let (control, data) = bind_pair(data)?;
            (Some(control), data)
        };
        let register = |mut socket: DatagramSocket, port, context: &mut Context<'_>| {
            context
                .register(socket.source(), key(port), Interest::READABLE)
                .map_err(|error| format!("cannot add a socket to the event loop: {error}"))?;
            Ok::<_, String>(socket)
        };
        let control = match control {
            Some(control) => Some(register(control, Port::Control, context)?),
            None => None,
        };
        self.sockets = [control, Some(register(data, Port::Data, context)?)];
        Ok(())
    }

    /// Sends what waits. Errors are counted; the datagram that one concerns is dropped.
    pub(super) fn flush(&mut self, outgoing: &mut Outgoing, context: &mut Context<'_>) {
        for key in 0..2_u32 {
            let index = key as usize;
            let Some(socket) = &mut self.sockets[index] else { continue };
            let outgoing = &mut outgoing[index];
            while !outgoing.is_empty() {
                match socket.send(outgoing) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => {
                        context.count_errors(1);
                        context.count_dropped(1);
                        tracing::debug!(instance = context.name(), "cannot send: {error}");
                    }
                }
            }
            if let Some(losses) = socket.take_losses() {
                self.losses.report(losses, None, context);
            }
            let awaits_writable = !outgoing.is_empty();
            if awaits_writable != self.awaits_writable[index] {
                self.awaits_writable[index] = awaits_writable;
                let writable = awaits_writable.then_some(Interest::WRITABLE);
                let interest =
                    writable.map_or(Interest::READABLE, |more| Interest::READABLE | more);
                if let Err(error) = context.reregister(socket.source(), key, interest) {
                    tracing::error!(
                        instance = context.name(),
                        "cannot add a socket to the event loop: {error}"
                    );
                }
            }
        }
    }

    /// Counts what the kernel reports about received datagrams.
    pub(super) fn report_losses(&mut self, port: Port, context: &mut Context<'_>) {
        let socket = self.sockets[key(port) as usize].as_mut();
        if let Some(losses) = socket.and_then(DatagramSocket::take_losses) {
            self.losses.report(losses, None, context);
        }
    }
}

/// Binds one port.
fn bind(address: SocketAddr) -> Result<DatagramSocket, String> {
    DatagramSocket::bind(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {} is in use by another program (`ss -lunp sport = :{}` shows which)",
            address.port(),
            address.port()
        ),
        io::ErrorKind::PermissionDenied => {
            format!("cannot bind {address}: ports below 1024 need root or CAP_NET_BIND_SERVICE")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("this machine does not have the address {}", address.ip())
        }
        _ => format!("cannot bind {address}: {error}"),
    })
}

/// Binds two adjacent free ports.
fn bind_pair(any: SocketAddr) -> Result<(DatagramSocket, DatagramSocket), String> {
    let mut refused = String::new();
    for _ in 0..MAX_ATTEMPTS {
        let control = bind(any)?;
        let address = control.local_address().map_err(|error| error.to_string())?;
        let Some(port) = address.port().checked_add(1) else { continue };
        match bind(SocketAddr::new(any.ip(), port)) {
            Ok(data) => return Ok((control, data)),
            Err(reason) => refused = reason,
        }
    }
    Err(format!("cannot find two adjacent free ports: {refused}"))
}
