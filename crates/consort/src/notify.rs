//! Readiness and watchdog for a service manager: lines to the datagram socket that
//! `NOTIFY_SOCKET` names, sd_notify(3) and `WATCHDOG_USEC`, sd_watchdog_enabled(3).

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

/// A service manager that wants to know.
pub(crate) struct Notifier {
    socket: UnixDatagram,
    /// Half of the time after which it believes the program dead.
    pause: Option<Duration>,
    next: Instant,
}

impl Notifier {
    /// The service manager that has started this process; none where there is none.
    pub(crate) fn from_environment() -> Option<Self> {
        let name = std::env::var_os("NOTIFY_SOCKET")?;
        let socket = connect(&name).inspect_err(|error| {
            tracing::warn!("NOTIFY_SOCKET cannot be reached: {error}");
        });
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let is_meant = number("WATCHDOG_PID").is_none_or(|id| id == u64::from(std::process::id()));
        let limit = number("WATCHDOG_USEC").filter(|&limit| is_meant && limit > 0);
        let pause = limit.map(|limit| Duration::from_micros(limit / 2));
        Some(Notifier { socket: socket.ok()?, pause, next: Instant::now() })
    }

    /// How long the loop may wait at most.
    pub(crate) fn pause(&self) -> Option<Duration> {
        self.pause.map(|_| self.next.saturating_duration_since(Instant::now()))
    }

    /// Says that the loop turns, as often as is asked for.
    pub(crate) fn keep_alive(&mut self) {
        if let Some(pause) = self.pause
            && Instant::now() >= self.next
        {
            self.next = Instant::now() + pause;
            self.say("WATCHDOG=1");
        }
    }

    /// Says something; does not block.
    pub(crate) fn say(&self, text: &str) {
        if let Err(error) = self.socket.send(text.as_bytes()) {
            tracing::warn!("the service manager does not take {text}: {error}");
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
