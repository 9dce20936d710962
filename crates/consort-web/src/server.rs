//! HTTP: files, sessions and the upgrade to a WebSocket.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::access::{self, Role};
use crate::connections::{Connections, Counted, MAX_SOCKETS};
use crate::embedded::FILES;
use crate::{Connect, Settings, bridge};

/// How long a TLS handshake, or the headers of a request, may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may last that does not become a WebSocket.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(120);
/// How long the answer to a wrong token is delayed.
const WRONG_TOKEN_DELAY: Duration = Duration::from_millis(300);
/// The pause after a connection could not be accepted, for lack of descriptors or memory.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);
/// The buffer for the headers of a request.
const MAX_HEADER_BYTES: usize = 16 << 10;
/// The body of a request with a token.
const MAX_TOKEN_BYTES: usize = 256;
/// What the kernel buffers for a browser. Small, so that a slow one gets new values, not old ones.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// The name of the cookie with the token.
const COOKIE: &str = "consort";

/// Only the files and the WebSocket of the page itself; no frames around it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// What all requests share.
struct Shared {
    settings: Settings,
    connect: Connect,
    names: Vec<String>,
    sockets: Arc<Semaphore>,
}

/// Accepts connections until an error that does not pass.
pub(crate) async fn serve(
    listener: std::net::TcpListener,
    settings: Settings,
    connect: Connect,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let acceptor = settings.tls.clone().map(TlsAcceptor::from);
    let sockets = Arc::new(Semaphore::new(MAX_SOCKETS));
    let shared = Arc::new(Shared { settings, connect, names: access::own_names(), sockets });
    let router = router(&shared);
    let connections = Connections::default();
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!("cannot accept a connection to the page: {error}");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                continue;
            }
        };
        // Above the limit, the connection is closed at once.
        let Some(counted) = connections.add(peer.ip().to_canonical()) else { continue };
        let counted = Arc::new(counted);
        let router = router.clone().layer(Extension(Arc::clone(&counted)));
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            prepare(&stream);
            match acceptor {
                None => connection(stream, router).await,
                Some(acceptor) => {
                    if let Ok(Ok(stream)) = timeout(REQUEST_TIMEOUT, acceptor.accept(stream)).await
                    {
                        connection(stream, router).await;
                    }
                }
            }
            drop(counted);
        });
    }
}

/// Sets options of a socket; the page also works without them.
fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(stream).set_send_buffer_size(SEND_BUFFER_BYTES);
}

/// Answers the requests of one connection.
async fn connection<S>(stream: S, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES);
    let service = TowerToHyperService::new(router);
    let serving = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    // A client that breaks off or breaks the protocol is not an error of this program.
    let _ = timeout(CONNECTION_TIMEOUT, serving).await;
}

fn router(shared: &Arc<Shared>) -> Router {
    let mut router = Router::new()
        .route("/session", get(session).post(open_session))
        .route("/control", get(control));
    for file in FILES {
        let response =
            || async { ([(header::CONTENT_TYPE, file.media_type)], Body::from(file.bytes)) };
        router = router.route(file.path, get(response));
    }
    let guard = middleware::from_fn_with_state(Arc::clone(shared), guard);
    router.layer(guard).with_state(Arc::clone(shared))
}

/// Refuses requests of other pages, and adds the headers of all answers.
async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let refusal = refusal(&shared, request.method(), request.uri().path(), request.headers());
    let is_tls = shared.settings.tls.is_some();
    let mut response = match refusal {
        Some(reason) => (StatusCode::FORBIDDEN, reason).into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    if is_tls {
        // Browsers report an error about it on a page without TLS.
        headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    }
    response
}

/// Why a request is refused, if it is. What changes something, and the WebSocket, needs the origin
/// of the page; browsers always send it there.
fn refusal(
    shared: &Shared,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Option<&'static str> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    if !access::is_own_host(host, &shared.names) {
        return Some("unknown host: use the address of this computer");
    }
    let needs_origin = *method != Method::GET || path == "/control";
    let is_tls = shared.settings.tls.is_some();
    match text(header::ORIGIN) {
        Some(origin) if !access::is_own_origin(origin, host, is_tls) => Some("unknown origin"),
        None if needs_origin || headers.contains_key(header::ORIGIN) => Some("missing origin"),
        _ => None,
    }
}

/// The role of a request's cookie.
fn role(shared: &Shared, headers: &HeaderMap) -> Option<Role> {
    let cookies = headers.get_all(header::COOKIE).iter();
    let role = cookies
        .filter_map(|value| access::cookie(value.to_str().ok()?, COOKIE))
        .find_map(|token| shared.settings.tokens.role(token))?;
    Some(role.min(shared.settings.highest_role))
}

/// `GET /session`: the role of the session.
async fn session(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    match role(&shared, &headers) {
        Some(role) => role.word().into_response(),
        None => StatusCode::FORBIDDEN.into_response(),
    }
}

/// `POST /session` with a token as its body: a cookie for the token.
async fn open_session(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let body = axum::body::to_bytes(request.into_body(), MAX_TOKEN_BYTES);
    let body = match timeout(REQUEST_TIMEOUT, body).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let token = std::str::from_utf8(&body).unwrap_or_default().trim();
    let Some(role) = shared.settings.tokens.role(token) else {
        tracing::warn!("a browser sent a wrong token to the page");
        tokio::time::sleep(WRONG_TOKEN_DELAY).await;
        return StatusCode::FORBIDDEN.into_response();
    };
    let secure = if shared.settings.tls.is_some() { "; Secure" } else { "" };
    // 400 days is the longest that browsers keep a cookie.
    let cookie =
        format!("{COOKIE}={token}; Path=/; Max-Age=34560000; HttpOnly; SameSite=Strict{secure}");
    let role = role.min(shared.settings.highest_role);
    ([(header::SET_COOKIE, cookie)], role.word()).into_response()
}

/// `GET /control`: the WebSocket with the control protocol.
async fn control(
    State(shared): State<Arc<Shared>>,
    Extension(counted): Extension<Arc<Counted>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Some(role) = role(&shared, &headers) else {
        return StatusCode::FORBIDDEN.into_response();
    };
    let Ok(permit) = Arc::clone(&shared.sockets).try_acquire_owned() else {
        let reason = format!("{MAX_SOCKETS} pages are connected, which is the maximum");
        return (StatusCode::SERVICE_UNAVAILABLE, reason).into_response();
    };
    let connect = Arc::clone(&shared.connect);
    upgrade
        .max_message_size(role.max_message_bytes())
        .max_frame_size(role.max_message_bytes())
        .write_buffer_size(0)
        .on_upgrade(async move |socket| {
            bridge::serve(socket, role, connect).await;
            drop((counted, permit));
        })
}
