//! The checks and the headers of all requests, and reading a token.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::time::timeout;

use crate::access;
use crate::embedded::Embedded;
use crate::listen::REQUEST_TIMEOUT;

/// The body of a request with a token.
const MAX_TOKEN_BYTES: usize = 256;

/// Only the files and the WebSocket of the page itself; no frames around it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// What the checks depend on.
struct Guard {
    /// The names of this computer.
    names: Vec<String>,
    is_tls: bool,
}

/// Adds the checks and headers to all routes.
pub(crate) fn guarded(app: Router, is_tls: bool) -> Router {
    let guard = Arc::new(Guard { names: access::own_names(), is_tls });
    app.layer(middleware::from_fn_with_state(guard, check))
}

/// Adds routes of embedded files.
pub(crate) fn with_files<S>(mut app: Router<S>, files: &'static [Embedded]) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    for file in files {
        app = app.route(file.path, get(async move || file_response(file)));
    }
    app
}

/// An embedded file.
pub(crate) fn file_response(file: &'static Embedded) -> Response {
    ([(header::CONTENT_TYPE, file.media_type)], Body::from(file.bytes)).into_response()
}

/// Refuses requests of other pages, and adds the headers of all answers.
async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let refusal = refusal(&guard, request.method(), request.uri().path(), request.headers());
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
    if guard.is_tls {
        // Browsers report an error about it on a page without TLS.
        headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    }
    response
}

/// Why a request is refused, if it is. What changes something, and a WebSocket, needs the origin
/// of the page; browsers always send it there.
fn refusal(
    guard: &Guard,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Option<&'static str> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    if !access::is_own_host(host, &guard.names) {
        return Some("unknown host: use the address of this computer");
    }
    let needs_origin = *method != Method::GET || path == "/control" || path.ends_with("/socket");
    match text(header::ORIGIN) {
        Some(origin) if !access::is_own_origin(origin, host, guard.is_tls) => {
            Some("unknown origin")
        }
        None if needs_origin || headers.contains_key(header::ORIGIN) => Some("missing origin"),
        _ => None,
    }
}

/// The token in the body of a request.
///
/// # Errors
/// The response for a body that is too long or too slow.
pub(crate) async fn token(request: Request) -> Result<String, StatusCode> {
    let body = axum::body::to_bytes(request.into_body(), MAX_TOKEN_BYTES);
    match timeout(REQUEST_TIMEOUT, body).await {
        Ok(Ok(body)) => Ok(std::str::from_utf8(&body).unwrap_or_default().trim().to_owned()),
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

/// The header that gives a browser a cookie with a token.
pub(crate) fn cookie_header(name: &str, token: &str, is_tls: bool) -> String {
    let secure = if is_tls { "; Secure" } else { "" };
    // 400 days is the longest that browsers keep a cookie.
    format!("{name}={token}; Path=/; Max-Age=34560000; HttpOnly; SameSite=Strict{secure}")
}

/// The tokens in the cookies of that name.
pub(crate) fn cookies<'h>(headers: &'h HeaderMap, name: &'h str) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(header::COOKIE).iter();
    values.filter_map(move |value| access::cookie(value.to_str().ok()?, name))
}
