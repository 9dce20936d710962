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
//! [`SurfaceServer`] serves a control surface: faders and buttons of a show for telephones, which
//! exchange values with the router through a [`SurfaceFeed`]. Surfaces can join the page instead.
//!
//! [`QueryServer`] serves the namespace of an OSC instance by OSCQuery.
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
mod guard;
mod links;
mod listen;
mod outbox;
mod query;
mod server;
mod surface;
mod tls;
mod tokens;

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use listen::{Listener, Listening};

pub use access::Role;
pub use links::{link, qr_code};
pub use listen::Admission;
pub use query::{
    EncodePacket, Namespace, QueryArgument, QueryFeed, QueryNode, QueryServer, QuerySettings,
    QueryValue,
};
pub use surface::{
    Layout, Surface, SurfaceChannel, SurfaceFeed, SurfaceLink, SurfacePage, SurfaceServer,
    SurfaceSettings, Surfaces, Widget, WidgetKind,
};
pub use tls::{TlsError, server_config};
pub use tokens::{SurfaceToken, Tokens, TokensError, state_folder};

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
    /// The control surfaces that join the page, and what unlocks them.
    pub surfaces: Option<(Surfaces, SurfaceToken)>,
}

/// A page that is being served, until it is dropped.
pub struct Page {
    listener: Listener,
    surfaces: Option<Surfaces>,
}

impl Page {
    /// Listens, and serves the page on a thread of its own.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the thread cannot be started.
    pub fn start(settings: Settings, connect: Connect) -> io::Result<Self> {
        let listening = Listening {
            thread: "page",
            address: settings.address,
            tls: settings.tls.clone(),
            admission: None,
        };
        let surfaces = settings.surfaces.clone();
        let is_tls = settings.tls.is_some();
        let listener = Listener::start(listening, server::app(settings, connect))?;
        let surfaces = surfaces.map(|(surfaces, token)| {
            surfaces.set_page(Some(surface::PageAddress {
                address: listener.address(),
                is_tls,
                token,
            }));
            surfaces
        });
        Ok(Page { listener, surfaces })
    }

    /// The address and port that are listened on.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if let Some(surfaces) = &self.surfaces {
            surfaces.set_page(None);
        }
    }
}
