//! Requests, and the values that clients listen to.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, interval, timeout};

use super::namespace::{Namespace, QueryNode, QueryValue};
use crate::bridge::Pace;
use crate::connections::Counted;
use crate::guard::guarded;
use crate::listen::{Admission, Listener, Listening};

/// The time between two copies of the values: at most 20 a second.
const FILL_INTERVAL: Duration = Duration::from_millis(50);
/// How long the router may take to copy the values; clients then get the ones before.
const FILL_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a client may take to read a message.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// WebSockets at a time.
const MAX_LISTENERS: usize = 16;
/// How many addresses one client may listen to.
const MAX_LISTENED: usize = 1_000;
/// The longest message of a client, in bytes.
const MAX_MESSAGE_BYTES: usize = 4 << 10;
/// How many requests a second are answered, and how many at once after a pause; more wait.
const REQUESTS_PER_SECOND: f64 = 100.0;
/// How many messages a second are read of one client, and how many at once after a pause.
const MESSAGES_PER_SECOND: f64 = 100.0;
/// The channels whose values are copied; more have no values.
const MAX_CHANNELS: usize = 10_000;

/// Encodes the message of an address with these values as an OSC packet; `None` if it has a value that
/// is not known.
pub type EncodePacket = Arc<dyn Fn(&QueryNode, &[QueryValue]) -> Option<Vec<u8>> + Send + Sync>;

/// What the router's thread and the server share.
struct Shared {
    state: Mutex<FeedState>,
    /// Wakes requests that wait for values.
    filled: Notify,
    /// Wakes the router.
    wake: Box<dyn Fn() + Send + Sync>,
}

/// The namespace and the last values.
struct FeedState {
    namespace: Arc<Namespace>,
    levels: Arc<Vec<Option<f64>>>,
    filled: Option<Instant>,
}

/// The side of the router. All methods are for its thread; none blocks.
pub struct QueryFeed {
    shared: Arc<Shared>,
    channels: usize,
}

impl QueryFeed {
    /// A namespace. `wake` is called on the server's thread when values are wanted; it must not block.
    pub fn new(mut namespace: Namespace, wake: Box<dyn Fn() + Send + Sync>) -> Self {
        namespace.sort();
        let channels = count(&namespace);
        let namespace = Arc::new(namespace);
        let state = FeedState { namespace, levels: Arc::default(), filled: None };
        let shared = Shared { state: Mutex::new(state), filled: Notify::new(), wake };
        QueryFeed { shared: Arc::new(shared), channels }
    }

    /// Copies the last values of the channels, from 0 to 1. Allocates.
    pub fn fill(&self, level: impl FnMut(u32) -> Option<f64>) {
        let levels: Vec<Option<f64>> = (0..self.channels as u32).map(level).collect();
        let mut state = self.shared.state.lock();
        state.levels = Arc::new(levels);
        state.filled = Some(Instant::now());
        drop(state);
        self.shared.filled.notify_waiters();
    }

    /// Replaces the namespace after a reload.
    pub fn replace(&mut self, mut namespace: Namespace) {
        namespace.sort();
        self.channels = count(&namespace);
        let mut state = self.shared.state.lock();
        state.namespace = Arc::new(namespace);
        state.levels = Arc::default();
        state.filled = None;
    }
}

/// The number of channels whose values are copied.
fn count(namespace: &Namespace) -> usize {
    let arguments = namespace.nodes.iter().flat_map(|node| &node.arguments);
    let highest = arguments.filter_map(|argument| argument.channel).max();
    highest.map_or(0, |channel| channel as usize + 1).min(MAX_CHANNELS)
}

impl Shared {
    /// The namespace and values that are at most [`FILL_INTERVAL`] old, if the router is not busy.
    async fn values(&self) -> (Arc<Namespace>, Arc<Vec<Option<f64>>>) {
        let filled = self.filled.notified();
        let is_old = self.state.lock().filled.is_none_or(|time| time.elapsed() >= FILL_INTERVAL);
        if is_old {
            (self.wake)();
            let _ = timeout(FILL_TIMEOUT, filled).await;
        }
        let state = self.state.lock();
        (Arc::clone(&state.namespace), Arc::clone(&state.levels))
    }
}

/// How a namespace is served.
pub struct QuerySettings {
    /// The address and port to listen on.
    pub address: SocketAddr,
    /// Which hosts may connect; without it, everyone.
    pub admission: Option<Admission>,
    /// Encodes what clients listen to.
    pub encode: EncodePacket,
}

/// A namespace that is being served, until it is dropped.
pub struct QueryServer {
    listener: Listener,
}

/// What all requests share.
struct Host {
    shared: Arc<Shared>,
    encode: EncodePacket,
    listeners: Arc<Semaphore>,
    pace: Mutex<Pace>,
}

impl QueryServer {
    /// Listens, and serves a namespace on a thread of its own. Does not block.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the thread cannot be started.
    pub fn start(settings: QuerySettings, feed: &QueryFeed) -> io::Result<Self> {
        let host = Arc::new(Host {
            shared: Arc::clone(&feed.shared),
            encode: settings.encode,
            listeners: Arc::new(Semaphore::new(MAX_LISTENERS)),
            pace: Mutex::new(Pace::new(REQUESTS_PER_SECOND)),
        });
        let app = guarded(Router::new().fallback(answer).with_state(host), false);
        let listening = Listening {
            thread: "oscquery",
            address: settings.address,
            tls: None,
            admission: settings.admission,
        };
        Ok(QueryServer { listener: Listener::start(listening, app)? })
    }

    /// The address and port that are listened on.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }
}

/// Any request: a part of the tree, one attribute of it, or a WebSocket.
async fn answer(
    State(host): State<Arc<Host>>,
    Extension(counted): Extension<Arc<Counted>>,
    method: Method,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if let Ok(upgrade) = upgrade {
        let Ok(permit) = Arc::clone(&host.listeners).try_acquire_owned() else {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        };
        return upgrade
            .max_message_size(MAX_MESSAGE_BYTES)
            .max_frame_size(MAX_MESSAGE_BYTES)
            .write_buffer_size(0)
            .on_upgrade(async move |socket| {
                serve(socket, &host).await;
                drop((counted, permit));
            });
    }
    let delay = host.pace.lock().delay(std::time::Instant::now());
    tokio::time::sleep(delay).await;
    if method != Method::GET {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let attribute = uri.query().unwrap_or_default();
    let value = if attribute == "HOST_INFO" {
        host.shared.state.lock().namespace.host_info()
    } else {
        let (namespace, levels) = host.shared.values().await;
        let Some(mut tree) = decode(uri.path()).and_then(|path| namespace.encode(&path, &levels))
        else {
            return StatusCode::NOT_FOUND.into_response();
        };
        match attribute {
            "" => tree,
            _ => match tree.get_mut(attribute).map(Value::take) {
                Some(value) => serde_json::json!({ attribute: value }),
                None => return StatusCode::NO_CONTENT.into_response(),
            },
        }
    };
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// The address in a path; `None` if it is not one.
fn decode(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push((digit()? * 16 + digit()?) as u8);
    }
    String::from_utf8(bytes).ok()
}

/// Serves one WebSocket: `LISTEN` and `IGNORE`, and the values of what is listened to.
async fn serve(socket: WebSocket, host: &Host) {
    let (mut sink, mut source) = socket.split();
    let mut pace = Pace::new(MESSAGES_PER_SECOND);
    let mut listened: BTreeMap<String, Vec<QueryValue>> = BTreeMap::new();
    let mut ticks = interval(FILL_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            message = source.next() => {
                match message {
                    Some(Ok(Message::Text(text))) => command(text.as_str(), &mut listened),
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                }
                tokio::time::sleep(pace.delay(std::time::Instant::now())).await;
            }
            _ = ticks.tick(), if !listened.is_empty() => {
                let (namespace, levels) = host.shared.values().await;
                for packet in changes(&namespace, &levels, &mut listened, &host.encode) {
                    let sending = sink.send(Message::Binary(packet.into()));
                    if !matches!(timeout(SEND_TIMEOUT, sending).await, Ok(Ok(()))) {
                        return;
                    }
                }
            }
        }
    }
}

/// Carries out a command of a client; what is not one is ignored, as other servers do.
fn command(text: &str, listened: &mut BTreeMap<String, Vec<QueryValue>>) {
    let Ok(message) = serde_json::from_str::<Value>(text) else { return };
    let text = |name: &str| message.get(name).and_then(Value::as_str);
    match (text("COMMAND"), text("DATA")) {
        (Some("LISTEN"), Some(address)) if listened.len() < MAX_LISTENED => {
            listened.entry(address.to_owned()).or_default();
        }
        (Some("IGNORE"), Some(address)) => {
            listened.remove(address);
        }
        _ => {}
    }
}

/// The packets of what has changed since the last ones.
fn changes(
    namespace: &Namespace,
    levels: &[Option<f64>],
    listened: &mut BTreeMap<String, Vec<QueryValue>>,
    encode: &EncodePacket,
) -> Vec<Vec<u8>> {
    let changed = listened.iter_mut().filter_map(|(address, last)| {
        let node = &namespace.nodes[namespace.find(address)?];
        let values = node.values(levels);
        if *last == values {
            return None;
        }
        let packet = encode(node, &values);
        *last = values;
        packet
    });
    changed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded() {
        assert_eq!(decode("/a%20b/c").as_deref(), Some("/a b/c"));
        for path in ["/%", "/%2", "/%zz", "/%ff"] {
            assert_eq!(decode(path), None, "{path}");
        }
    }

    #[test]
    fn what_is_not_a_command_is_ignored_and_the_list_is_bounded() {
        let mut listened = BTreeMap::new();
        for text in ["", "[]", "{}", r#"{"COMMAND":"LISTEN","DATA":1}"#, r#"{"COMMAND":"SET"}"#] {
            command(text, &mut listened);
        }
        assert!(listened.is_empty());
        for number in 0..2 * MAX_LISTENED {
            command(&format!(r#"{{"COMMAND":"LISTEN","DATA":"/{number}"}}"#), &mut listened);
        }
        assert_eq!(listened.len(), MAX_LISTENED);
        command(r#"{"COMMAND":"IGNORE","DATA":"/0"}"#, &mut listened);
        assert_eq!(listened.len(), MAX_LISTENED - 1);
    }
}
