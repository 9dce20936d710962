//! Names to addresses, on a thread of its own: a look-up may take many seconds.

use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc;

use mio::unix::pipe;

use super::HostPort;

/// A look-up under way. Register [`Resolution::source`] for readability; when it is ready,
/// [`Resolution::take`] has the answer.
pub struct Resolution {
    source: pipe::Receiver,
    answer: mpsc::Receiver<io::Result<SocketAddr>>,
}

impl Resolution {
    /// Starts a look-up; does not block.
    ///
    /// # Errors
    /// When there is no thread or no pipe to be had.
    pub fn start(target: &HostPort) -> io::Result<Self> {
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

    /// Becomes readable when the answer is there.
    pub fn source(&mut self) -> &mut pipe::Receiver {
        &mut self.source
    }

    /// The answer, if it is there.
    pub fn take(&mut self) -> Option<io::Result<SocketAddr>> {
        self.answer.try_recv().ok()
    }
}
