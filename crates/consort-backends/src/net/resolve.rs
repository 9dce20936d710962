//! Host name look-ups on a separate thread, because a look-up may take many seconds.

use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc;

use mio::Interest;
use mio::unix::pipe;

use super::{HostPort, Registrar};

/// The address of a host that may have to be looked up first.
pub struct Lookup {
    target: HostPort,
    /// Whether only an IPv4 address can be used.
    needs_ipv4: bool,
    address: Option<SocketAddr>,
    running: Option<Resolution>,
}

impl Lookup {
    /// Creates a look-up. A literal address is its own result.
    pub fn new(target: HostPort) -> Self {
        Lookup { address: target.literal(), target, needs_ipv4: false, running: None }
    }

    /// Restricts the result to addresses that a socket bound to `local` can send to. Many names
    /// (`localhost`, names of the local network) list an IPv6 address first, which an IPv4 socket
    /// cannot reach.
    #[must_use]
    pub fn reached_from(mut self, local: Option<&HostPort>) -> Self {
        self.needs_ipv4 =
            local.and_then(HostPort::literal).is_some_and(|address| address.is_ipv4());
        self
    }

    /// The host and port to look up.
    pub fn target(&self) -> &HostPort {
        &self.target
    }

    /// The result, once it is known.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Discards the result, so that a name is looked up again: its address may have changed.
    pub fn forget(&mut self) {
        self.address = self.target.literal();
    }

    /// Starts the look-up if it is needed and not running. When it ends, the router calls `ready`
    /// of the registrar's owner with `key`; call [`Lookup::finish`] then.
    ///
    /// # Errors
    /// A message if no thread or pipe can be created.
    pub fn start(&mut self, key: u32, registrar: &mut impl Registrar) -> Result<(), String> {
        if self.address.is_some() || self.running.is_some() {
            return Ok(());
        }
        let running =
            Resolution::start(&self.target, self.needs_ipv4).and_then(|mut resolution| {
                registrar.register(&mut resolution.source, key, Interest::READABLE)?;
                Ok(resolution)
            });
        let explain = |error| format!("cannot look up `{}`: {error}", self.target.host);
        self.running = Some(running.map_err(explain)?);
        Ok(())
    }

    /// Takes the result of the look-up, if it has ended.
    ///
    /// # Errors
    /// A message that states why the name has no address.
    pub fn finish(&mut self, registrar: &mut impl Registrar) -> Result<(), String> {
        let Some(resolution) = &mut self.running else { return Ok(()) };
        let Ok(answer) = resolution.answer.try_recv() else { return Ok(()) };
        if let Err(error) = registrar.deregister(&mut resolution.source) {
            tracing::debug!("cannot deregister the pipe of a look-up: {error}");
        }
        self.running = None;
        let explain = |error| format!("cannot look up `{}`: {error}", self.target.host);
        self.address = Some(answer.map_err(explain)?);
        Ok(())
    }
}

/// A running look-up.
struct Resolution {
    source: pipe::Receiver,
    answer: mpsc::Receiver<io::Result<SocketAddr>>,
}

impl Resolution {
    fn start(target: &HostPort, needs_ipv4: bool) -> io::Result<Self> {
        let (mut done, source) = pipe::new()?;
        let (sender, answer) = mpsc::channel();
        let (host, port) = (target.host.clone(), target.port);
        std::thread::Builder::new().name("resolve".into()).spawn(move || {
            let found =
                (host.as_str(), port).to_socket_addrs().and_then(|all| choose(all, needs_ipv4));
            // Both fail if the show has ended in the meantime.
            let _ = sender.send(found);
            let _ = done.write_all(&[0]);
        })?;
        Ok(Resolution { source, answer })
    }
}

/// The first address that can be used.
fn choose(mut all: impl Iterator<Item = SocketAddr>, needs_ipv4: bool) -> io::Result<SocketAddr> {
    all.find(|address| address.is_ipv4() || !needs_ipv4).ok_or_else(|| {
        io::Error::other(match needs_ipv4 {
            true => "the name has no IPv4 address, and `bind` is an IPv4 address",
            false => "the name has no address",
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forget_discards_only_what_was_looked_up() {
        let mut lookup = Lookup::new(HostPort::parse("127.0.0.1 9").expect("an address"));
        lookup.forget();
        assert!(lookup.address().is_some());
        let mut lookup = Lookup::new(HostPort::parse("console.local 9").expect("an address"));
        lookup.address = "10.0.0.1:9".parse().ok();
        lookup.forget();
        assert_eq!(lookup.address(), None);
    }

    #[test]
    fn an_ipv4_socket_gets_an_address_that_it_can_send_to() {
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let all = [address("[fe80::1]:9"), address("10.0.0.1:9"), address("10.0.0.2:9")];
        assert_eq!(choose(all.into_iter(), false).ok(), Some(all[0]));
        assert_eq!(choose(all.into_iter(), true).ok(), Some(all[1]));
        let error = choose(all.into_iter().take(1), true).expect_err("no usable address");
        assert!(error.to_string().contains("no IPv4 address"), "{error}");
        for (local, needs_ipv4) in
            [("0.0.0.0 1", true), ("127.0.0.1 1", true), (":: 1", false), ("console 1", false)]
        {
            let local = HostPort::parse(local).expect("an address");
            let target = HostPort::parse("lamp.local 2").expect("an address");
            let lookup = Lookup::new(target).reached_from(Some(&local));
            assert_eq!(lookup.needs_ipv4, needs_ipv4, "{local}");
        }
    }
}
