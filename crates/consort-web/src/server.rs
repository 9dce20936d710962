//! The page's requests: files, sessions and the upgrade to a WebSocket.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Semaphore;

use crate::access::Role;
use crate::connections::{Counted, MAX_SOCKETS};
use crate::embedded::FILES;
use crate::guard::{cookie_header, cookies, guarded, token, with_files};
use crate::surface::{self, SurfaceHost};
use crate::{Connect, Settings, bridge};

/// How long the answer to a wrong token is delayed.
pub(crate) const WRONG_TOKEN_DELAY: Duration = Duration::from_millis(300);
/// The name of the cookie with the token.
const COOKIE: &str = "consort";

/// What all requests share.
struct Shared {
    settings: Settings,
    connect: Connect,
    sockets: Arc<Semaphore>,
}

/// The page, and the control surfaces that join it.
pub(crate) fn app(settings: Settings, connect: Connect) -> Router {
    let is_tls = settings.tls.is_some();
    let sockets = Arc::new(Semaphore::new(MAX_SOCKETS));
    let surfaces = settings.surfaces.clone();
    let shared = Arc::new(Shared { settings, connect, sockets });
    let page = Router::new()
        .route("/session", get(session).post(open_session))
        .route("/control", get(control));
    let mut app = with_files(page, FILES).with_state(Arc::clone(&shared));
    if let Some((surfaces, token)) = surfaces {
        // Whoever may control the show may also use its surfaces.
        let controls = move |headers: &HeaderMap| role(&shared, headers) == Some(Role::Control);
        app = app.merge(surface::app(SurfaceHost::new(
            surfaces,
            token,
            is_tls,
            Some(Box::new(controls)),
        )));
    }
    guarded(app, is_tls)
}

/// The role of a request's cookie.
fn role(shared: &Shared, headers: &HeaderMap) -> Option<Role> {
    let role = cookies(headers, COOKIE).find_map(|token| shared.settings.tokens.role(token))?;
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
    let token = match token(request).await {
        Ok(token) => token,
        Err(status) => return status.into_response(),
    };
    let Some(role) = shared.settings.tokens.role(&token) else {
        tracing::warn!("a browser sent a wrong token to the page");
        tokio::time::sleep(WRONG_TOKEN_DELAY).await;
        return StatusCode::FORBIDDEN.into_response();
    };
    let cookie = cookie_header(COOKIE, &token, shared.settings.tls.is_some());
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
