//! Requests for surfaces, and a server for one surface.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Extension, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::message::MAX_MESSAGE_BYTES;
use super::phone;
use super::state::Surface;
use crate::connections::Counted;
use crate::embedded::{ICON, SURFACE_FILES, SURFACE_PAGE};
use crate::guard::{cookie_header, cookies, file_response, guarded, token, with_files};
use crate::listen::{Admission, Listener, Listening};
use crate::server::WRONG_TOKEN_DELAY;
use crate::tokens::SurfaceToken;

/// Phones at a time, on all surfaces of one server.
const MAX_PHONES: usize = 64;
/// The name of the cookie with the token.
const COOKIE: &str = "consort-surface";

/// Where surfaces that join the page can be reached.
#[derive(Clone, Debug)]
pub(crate) struct PageAddress {
    pub(crate) address: SocketAddr,
    pub(crate) is_tls: bool,
    pub(crate) token: SurfaceToken,
}

/// A surface and the name of its instance.
type Named = (String, Arc<Surface>);

/// The surfaces that join a page, by name. Clones are the same list.
#[derive(Clone, Default)]
pub struct Surfaces {
    list: Arc<Mutex<Vec<Named>>>,
    page: Arc<Mutex<Option<PageAddress>>>,
}

impl Surfaces {
    /// Adds a surface, or replaces the one of that name.
    pub fn add(&self, name: &str, surface: Arc<Surface>) {
        let mut list = self.list.lock();
        list.retain(|(known, _)| known != name);
        list.push((name.to_owned(), surface));
    }

    /// Removes a surface, unless another one has its name by now.
    pub fn remove(&self, surface: &Arc<Surface>) {
        self.list.lock().retain(|(_, known)| !Arc::ptr_eq(known, surface));
    }

    /// Where a surface of that name is reached; `None` while no page is served.
    pub fn link(&self, name: &str) -> Option<SurfaceLink> {
        let page = self.page.lock().clone()?;
        Some(SurfaceLink::new(page.address, page.is_tls, name, &page.token))
    }

    pub(crate) fn set_page(&self, page: Option<PageAddress>) {
        *self.page.lock() = page;
    }

    fn find(&self, name: &str) -> Option<Arc<Surface>> {
        let list = self.list.lock();
        list.iter().find(|(known, _)| known == name).map(|(_, surface)| Arc::clone(surface))
    }
}

/// Where a surface is reached.
#[derive(Clone, Debug)]
pub struct SurfaceLink {
    /// The address and port that are listened on; also `0.0.0.0` or `::`.
    pub address: SocketAddr,
    /// Whether it is served by HTTPS.
    pub is_tls: bool,
    path: String,
    token: SurfaceToken,
}

impl SurfaceLink {
    fn new(address: SocketAddr, is_tls: bool, name: &str, token: &SurfaceToken) -> Self {
        SurfaceLink { address, is_tls, path: path(name), token: token.clone() }
    }

    /// The address for a browser without the token, by one of this computer's addresses.
    pub fn public(&self, address: SocketAddr) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{address}{}", self.path)
    }

    /// The address for a browser with the token, which must not get into a log.
    pub fn secret(&self, address: SocketAddr) -> String {
        format!("{}#{}", self.public(address), self.token.text())
    }
}

/// The path of a surface's page.
fn path(name: &str) -> String {
    let mut path = String::from("/surface/");
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                path.push(char::from(byte));
            }
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path
}

/// Whether the headers of a request allow what a token of the page unlocks.
type Controls = Box<dyn Fn(&HeaderMap) -> bool + Send + Sync>;

/// What all requests for surfaces share.
pub(crate) struct SurfaceHost {
    surfaces: Surfaces,
    token: SurfaceToken,
    is_tls: bool,
    /// Sessions of the page that may use its surfaces.
    controls: Option<Controls>,
    phones: Arc<Semaphore>,
}

impl SurfaceHost {
    pub(crate) fn new(
        surfaces: Surfaces,
        token: SurfaceToken,
        is_tls: bool,
        controls: Option<Controls>,
    ) -> Self {
        SurfaceHost {
            surfaces,
            token,
            is_tls,
            controls,
            phones: Arc::new(Semaphore::new(MAX_PHONES)),
        }
    }

    /// Whether a request has a session.
    fn is_open(&self, headers: &HeaderMap) -> bool {
        cookies(headers, COOKIE).any(|token| self.token.is(token))
            || self.controls.as_ref().is_some_and(|controls| controls(headers))
    }
}

/// The routes of surfaces, without the checks of all requests.
pub(crate) fn app(host: SurfaceHost) -> Router {
    let app = Router::new()
        .route(SURFACE_PAGE.path, get(async || file_response(&SURFACE_PAGE)))
        .route("/surface-session", get(session).post(open_session))
        .route("/surface/{name}/socket", get(socket));
    with_files(app, SURFACE_FILES).with_state(Arc::new(host))
}

/// `GET /surface-session`: whether there is a session.
async fn session(State(host): State<Arc<SurfaceHost>>, headers: HeaderMap) -> StatusCode {
    if host.is_open(&headers) { StatusCode::NO_CONTENT } else { StatusCode::FORBIDDEN }
}

/// `POST /surface-session` with the token as its body: a cookie for the token.
async fn open_session(State(host): State<Arc<SurfaceHost>>, request: Request) -> Response {
    let token = match token(request).await {
        Ok(token) => token,
        Err(status) => return status.into_response(),
    };
    if !host.token.is(&token) {
        tracing::warn!("a browser sent a wrong token to a control surface");
        tokio::time::sleep(WRONG_TOKEN_DELAY).await;
        return StatusCode::FORBIDDEN.into_response();
    }
    let cookie = cookie_header(COOKIE, &token, host.is_tls);
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}

/// `GET /surface/NAME/socket`: the WebSocket of a phone.
async fn socket(
    State(host): State<Arc<SurfaceHost>>,
    Path(name): Path<String>,
    Extension(counted): Extension<Arc<Counted>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if !host.is_open(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let Some(surface) = host.surfaces.find(&name) else {
        return (StatusCode::NOT_FOUND, "there is no surface of that name").into_response();
    };
    let Ok(permit) = Arc::clone(&host.phones).try_acquire_owned() else {
        let reason = format!("{MAX_PHONES} phones are connected, which is the maximum");
        return (StatusCode::SERVICE_UNAVAILABLE, reason).into_response();
    };
    upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .write_buffer_size(0)
        .on_upgrade(async move |socket| {
            phone::serve(socket, surface).await;
            drop((counted, permit));
        })
}

/// How a surface with a port of its own is served.
pub struct SurfaceSettings {
    /// The address and port to listen on.
    pub address: SocketAddr,
    /// What unlocks the surface.
    pub token: SurfaceToken,
    /// Certificate and key from [`server_config`](crate::server_config); without them, plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Which hosts may connect; without it, everyone.
    pub admission: Option<Admission>,
}

/// A surface that is served on a port of its own, until it is dropped.
pub struct SurfaceServer {
    listener: Listener,
    link: SurfaceLink,
}

impl SurfaceServer {
    /// Listens, and serves a surface on a thread of its own. Does not block.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the thread cannot be started.
    pub fn start(settings: SurfaceSettings, name: &str, surface: Arc<Surface>) -> io::Result<Self> {
        let is_tls = settings.tls.is_some();
        let listening = Listening {
            thread: "surface",
            address: settings.address,
            tls: settings.tls,
            admission: settings.admission,
        };
        let surfaces = Surfaces::default();
        surfaces.add(name, surface);
        let target = path(name);
        let host = SurfaceHost::new(surfaces, settings.token.clone(), is_tls, None);
        let own = Router::new().route("/", get(async move || Redirect::to(&target)));
        let app = guarded(with_files(own, ICON).merge(app(host)), is_tls);
        let listener = Listener::start(listening, app)?;
        let link = SurfaceLink::new(listener.address(), is_tls, name, &settings.token);
        Ok(SurfaceServer { listener, link })
    }

    /// The address and port that are listened on.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Where the surface is reached.
    pub fn link(&self) -> &SurfaceLink {
        &self.link
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_names_the_surface_and_hides_its_token() {
        let token = SurfaceToken::random().expect("random numbers");
        let address = "10.0.0.1:8089".parse().expect("an address");
        let link = SurfaceLink::new(address, false, "größe 1", &token);
        let public = "http://10.0.0.1:8089/surface/gr%C3%B6%C3%9Fe%201";
        assert_eq!(link.public(address), public);
        assert_eq!(link.secret(address), format!("{public}#{}", token.text()));
        assert!(!format!("{link:?}").contains(token.text()));
    }
}
