//! Readiness and watchdog for a service manager: datagrams to the socket that `NOTIFY_SOCKET`
//! names, sd_notify(3), and `WATCHDOG_USEC`, sd_watchdog_enabled(3).
//!
//! The crate `sd-notify` does not replace this: it opens a socket for every message and its send
//! can block, and messages are sent from the router's thread.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

/// The connection to a service manager.
pub(crate) struct Notifier {
    socket: UnixDatagram,
    /// Half of the watchdog's timeout; none without a watchdog.
    interval: Option<Duration>,
    /// When the next keep-alive is due.
    next: Instant,
}

impl Notifier {
    /// Connects to the service manager that started this process, if one did.
    pub(crate) fn from_environment() -> Option<Self> {
        let name = std::env::var_os("NOTIFY_SOCKET")?;
        let socket = connect(&name).inspect_err(|error| {
            tracing::warn!("cannot connect to NOTIFY_SOCKET: {error}");
        });
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let is_for_us = number("WATCHDOG_PID").is_none_or(|id| id == u64::from(std::process::id()));
        let limit = number("WATCHDOG_USEC").filter(|&limit| is_for_us && limit > 0);
        let interval = limit.map(|limit| Duration::from_micros(limit / 2));
        Some(Notifier { socket: socket.ok()?, interval, next: Instant::now() })
    }

    /// How long the loop may wait before the next keep-alive is due; none without a watchdog.
    pub(crate) fn time_to_keep_alive(&self) -> Option<Duration> {
        self.interval.map(|_| self.next.saturating_duration_since(Instant::now()))
    }

    /// Resets the watchdog if that is due. Called from the router's loop, so that a router that
    /// hangs triggers the watchdog.
    pub(crate) fn keep_alive(&mut self) {
        if let Some(interval) = self.interval
            && Instant::now() >= self.next
        {
            self.next = Instant::now() + interval;
            self.notify("WATCHDOG=1");
        }
    }

    /// Sends a state change; does not block.
    pub(crate) fn notify(&self, state: &str) {
        if let Err(error) = self.socket.send(state.as_bytes()) {
            tracing::warn!("cannot send {state} to the service manager: {error}");
        }
    }
}

fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(socket)
}
