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
    address: Option<SocketAddr>,
    running: Option<Resolution>,
}

impl Lookup {
    /// Of a literal address the answer is known at once.
    pub fn new(target: HostPort) -> Self {
        Lookup { address: target.literal(), target, running: None }
    }

    /// What is looked up.
    pub fn target(&self) -> &HostPort {
        &self.target
    }

    /// The answer, once there is one.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
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
        let running = Resolution::start(&self.target).and_then(|mut resolution| {
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
    fn start(target: &HostPort) -> io::Result<Self> {
        let (mut done, source) = pipe::new()?;
        let (sender, answer) = mpsc::channel();
        let (host, port) = (target.host.clone(), target.port);
        std::thread::Builder::new().name("resolve".into()).spawn(move || {
            let found = (host.as_str(), port).to_socket_addrs().and_then(|mut all| {
                all.next().ok_or_else(|| io::Error::other("the name has no address"))
            });
            // Nobody listens any more when the show has ended.
            let _ = sender.send(found);
            let _ = done.write_all(&[0]);
        })?;
        Ok(Resolution { source, answer })
    }
}
