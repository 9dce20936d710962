//! The WebSocket of one phone.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::message::{decode, delta};
use super::state::{Seen, Surface};
use crate::bridge::Pace;

/// The time between two messages to a phone: at most 40 a second.
const INTERVAL: Duration = Duration::from_millis(25);
/// How long a phone may take to read one message.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// The time between two pings.
const PING_INTERVAL: Duration = Duration::from_secs(1);
/// A phone that answers no ping for this long has gone: what it holds is released.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last message may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How many messages a second are read of one phone, and how many at once after a pause.
const MESSAGES_PER_SECOND: f64 = 250.0;

/// Why a connection ends: a code of RFC 6455, section 7.4, and a reason.
type End = (u16, String);

/// Serves one phone until it leaves or the surface ends.
pub(crate) async fn serve(socket: WebSocket, surface: Arc<Surface>) {
    let (mut sink, source) = socket.split();
    let phone = surface.join();
    let (code, reason) = tokio::select! {
        end = receive(source, phone, &surface) => end,
        end = send(&mut sink, &surface) => end,
    };
    surface.leave(phone);
    tracing::debug!("a phone disconnected: {reason}");
    let frame = CloseFrame { code, reason: Utf8Bytes::from(reason) };
    // A phone that has gone does not need it.
    let _ = timeout(CLOSE_TIMEOUT, sink.send(Message::Close(Some(frame)))).await;
}

/// Takes what the phone sends.
async fn receive(mut source: SplitStream<WebSocket>, phone: u64, surface: &Surface) -> End {
    let mut pace = Pace::new(MESSAGES_PER_SECOND);
    loop {
        let message = match timeout(SILENCE_TIMEOUT, source.next()).await {
            Err(_) => return (close_code::AWAY, "the phone does not answer".into()),
            Ok(None | Some(Err(_))) => return (close_code::NORMAL, "closed".into()),
            Ok(Some(Ok(message))) => message,
        };
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return (close_code::UNSUPPORTED, "expected a text".into()),
            Message::Close(_) => return (close_code::NORMAL, "closed".into()),
            Message::Ping(_) | Message::Pong(_) => continue,
        };
        match decode(text.as_str()) {
            Ok(changes) => {
                for (name, value) in changes {
                    surface.set(phone, &name, value);
                }
            }
            Err(reason) => return (close_code::POLICY, reason),
        }
        tokio::time::sleep(pace.delay(std::time::Instant::now())).await;
        surface.has_room().await;
    }
}

/// Sends what has changed. There is no queue: a message has the newest values when it is written.
async fn send(sink: &mut SplitSink<WebSocket, Message>, surface: &Surface) -> End {
    let mut table = surface.table();
    let mut seen = Seen::default();
    let mut messages = vec![Message::Text(table.layout.as_str().into())];
    let mut next_ping = Instant::now() + PING_INTERVAL;
    loop {
        let mut changed = pin!(surface.changed.notified());
        changed.as_mut().enable();
        surface.await_changes();
        if surface.is_closed() {
            return (close_code::AWAY, "the show has ended".into());
        }
        let current = surface.table();
        if !Arc::ptr_eq(&current, &table) {
            table = current;
            seen = Seen::default();
            messages.push(Message::Text(table.layout.as_str().into()));
        }
        if next_ping <= Instant::now() {
            messages.push(Message::Ping(Vec::new().into()));
            next_ping = Instant::now() + PING_INTERVAL;
        }
        messages.extend(delta(&table, &mut seen).map(|text| Message::Text(text.into())));
        if messages.is_empty() {
            // Ends with a change, or when the next ping is due.
            let _ = timeout_at(next_ping, changed).await;
            continue;
        }
        for message in messages.drain(..) {
            match timeout(SEND_TIMEOUT, sink.send(message)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return (close_code::NORMAL, "closed".into()),
                Err(_) => return (close_code::AWAY, "the phone reads too slowly".into()),
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
