//! Names to addresses, on a thread of its own: a look-up may take many seconds.

use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc;

use consort_router::Context;
use mio::Interest;
use mio::unix::pipe;

use super::HostPort;

/// An address that may have to be looked up first.
pub struct Lookup {
    target: HostPort,
    /// Whether only an IPv4 address is of use.
    needs_ipv4: bool,
    address: Option<SocketAddr>,
    running: Option<Resolution>,
}

impl Lookup {
    /// Of a literal address the answer is known at once.
    pub fn new(target: HostPort) -> Self {
        Lookup { address: target.literal(), target, needs_ipv4: false, running: None }
    }

    /// Of a name with several addresses, takes one that a socket bound to `local` can send to:
    /// many names (`localhost`, those of the local network) have an IPv6 address first.
    #[must_use]
    pub fn reached_from(mut self, local: Option<&HostPort>) -> Self {
        self.needs_ipv4 =
            local.and_then(HostPort::literal).is_some_and(|address| address.is_ipv4());
        self
    }

    /// What is looked up.
    pub fn target(&self) -> &HostPort {
        &self.target
    }

    /// The answer, once there is one.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Forgets the answer, so that a name is looked up again: its address may have changed.
    pub fn forget(&mut self) {
        self.address = self.target.literal();
    }

    /// Starts the look-up if it is needed and not under way; its end comes to the instance's
    /// `ready` with `key`.
    ///
    /// # Errors
    /// Says that there is no thread or no pipe to be had.
    pub fn start(&mut self, key: u32, context: &mut Context<'_>) -> Result<(), String> {
        if self.address.is_some() || self.running.is_some() {
            return Ok(());
        }
        let running =
            Resolution::start(&self.target, self.needs_ipv4).and_then(|mut resolution| {
                context.register(&mut resolution.source, key, Interest::READABLE)?;
                Ok(resolution)
            });
        let explain = |error| format!("cannot look up {}: {error}", self.target);
        self.running = Some(running.map_err(explain)?);
        Ok(())
    }

    /// Takes the answer of the look-up, if it is there.
    ///
    /// # Errors
    /// Says why the name has no address.
    pub fn finish(&mut self, context: &mut Context<'_>) -> Result<(), String> {
        let Some(resolution) = &mut self.running else { return Ok(()) };
        let Ok(answer) = resolution.answer.try_recv() else { return Ok(()) };
        if let Err(error) = context.deregister(&mut resolution.source) {
            tracing::debug!(instance = context.name(), "a look-up's pipe: {error}");
        }
        self.running = None;
        let explain = |error| format!("`{}` cannot be looked up: {error}", self.target.host);
        self.address = Some(answer.map_err(explain)?);
        Ok(())
    }
}

/// A look-up under way.
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
            // Nobody listens any more when the show has ended.
            let _ = sender.send(found);
            let _ = done.write_all(&[0]);
        })?;
        Ok(Resolution { source, answer })
    }
}

/// The first address that is of use.
fn choose(mut all: impl Iterator<Item = SocketAddr>, needs_ipv4: bool) -> io::Result<SocketAddr> {
    all.find(|address| address.is_ipv4() || !needs_ipv4).ok_or_else(|| {
        io::Error::other(match needs_ipv4 {
            true => "the name has no IPv4 address, and `bind` is one",
            false => "the name has no address",
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_looked_up_is_forgotten() {
        let mut lookup = Lookup::new(HostPort::parse("127.0.0.1 9").expect("an address"));
        lookup.forget();
        assert!(lookup.address().is_some());
        let mut lookup = Lookup::new(HostPort::parse("desk.local 9").expect("an address"));
        lookup.address = "10.0.0.1:9".parse().ok();
        lookup.forget();
        assert_eq!(lookup.address(), None);
    }

    #[test]
    fn a_socket_of_ipv4_is_given_an_address_that_it_can_send_to() {
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let all = [address("[fe80::1]:9"), address("10.0.0.1:9"), address("10.0.0.2:9")];
        assert_eq!(choose(all.into_iter(), false).ok(), Some(all[0]));
        assert_eq!(choose(all.into_iter(), true).ok(), Some(all[1]));
        let error = choose(all.into_iter().take(1), true).expect_err("none is of use");
        assert!(error.to_string().contains("no IPv4 address"), "{error}");
        for (local, needs_ipv4) in
            [("0.0.0.0 1", true), ("127.0.0.1 1", true), (":: 1", false), ("desk 1", false)]
        {
            let local = HostPort::parse(local).expect("an address");
            let target = HostPort::parse("lamp.local 2").expect("an address");
            let lookup = Lookup::new(target).reached_from(Some(&local));
            assert_eq!(lookup.needs_ipv4, needs_ipv4, "{local}");
        }
    }
}
