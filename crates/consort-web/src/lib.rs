//! The page of a running show: a view in a web browser, for tablets and phones.
//!
//! [`Page::start`] serves it by HTTP on a thread of its own: embedded files, and one WebSocket at
//! `/control` whose messages are the lines of the control protocol (`consort_control`). For each
//! WebSocket, the server opens one connection to the show and passes requests and answers on, with
//! these differences:
//!
//! - A session has a [`Role`]. A request that the role does not allow, and one that cannot be
//!   decoded, is answered with an error, and the connection ends.
//! - The interval of a subscription is at least 50 ms.
//! - Deltas for a browser that reads slowly are merged: it gets fewer and newer ones.
//! - At most 100 requests a second are passed on; more wait.
//!
//! Whoever wants a session needs one of two [`Tokens`]. The page takes it from the fragment of its
//! address, which browsers do not send, and exchanges it at `/session` for a cookie. Requests whose
//! `Host` names another computer, or whose `Origin` is another page, are refused, so that neither
//! other pages nor their names can use a browser's session.

mod access;
mod bridge;
mod connections;
mod embedded;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzz;
mod links;
mod outbox;
mod server;
mod tls;
mod tokens;

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

pub use access::Role;
pub use links::{link, qr_code};
pub use tls::{TlsError, server_config};
pub use tokens::{Tokens, TokensError};

/// Opens a connection to the show, on which the show answers the lines of the control protocol.
/// Called on threads of its own: it may block for a few seconds.
pub type Connect = Arc<dyn Fn() -> io::Result<UnixStream> + Send + Sync>;

/// How the page is served.
pub struct Settings {
    /// The address and port to listen on.
    pub address: SocketAddr,
    /// The highest role of any session. With [`Role::View`], the token for control gives a session
    /// that can only view.
    pub highest_role: Role,
    /// What unlocks the page.
    pub tokens: Tokens,
    /// Certificate and key from [`server_config`]; without them, the page is served by plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// A page that is being served, until it is dropped.
pub struct Page {
    address: SocketAddr,
    /// Ends the thread when it is dropped.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Page {
    /// Listens, and serves the page on a thread of its own.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the thread cannot be started.
    pub fn start(settings: Settings, connect: Connect) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(settings.address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("page".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    result = server::serve(listener, settings, connect) => {
                        if let Err(error) = result {
                            tracing::error!("the page's server has stopped: {error}");
                        }
                    }
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Page { address, stop: Some(stop), thread: Some(thread) })
    }

    /// The address and port that are listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}
