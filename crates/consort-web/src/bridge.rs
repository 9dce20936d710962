//! From a WebSocket to the show and back.

use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use consort_control::{ANSWER_LIMIT, Answer, Lines};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::Connect;
use crate::access::{Role, admit};
use crate::outbox::Outbox;

/// How long a browser may take to read one message.
const SEND_TIMEOUT: Duration = Duration::from_secs(20);
/// The time between two pings.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// A browser that answers no ping for this long has gone.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(35);
/// How long the last message may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How many requests a second are passed on, and how many at once after a pause.
const REQUESTS_PER_SECOND: f64 = 100.0;

/// Why a connection ends.
struct End {
    /// The code of RFC 6455, section 7.4.
    code: u16,
    reason: String,
}

impl End {
    fn new(code: u16, reason: impl Into<String>) -> Self {
        End { code, reason: reason.into() }
    }
}

/// Limits a rate by waiting.
pub(crate) struct Pace {
    /// How many a second, and how many at once after a pause.
    rate: f64,
    available: f64,
    updated: Instant,
}

impl Pace {
    pub(crate) fn new(rate: f64) -> Self {
        Pace { rate, available: rate, updated: Instant::now() }
    }

    /// How long to wait before the next request at a time.
    pub(crate) fn delay(&mut self, now: Instant) -> Duration {
        let gained = now.saturating_duration_since(self.updated).as_secs_f64() * self.rate;
        self.updated = now;
        self.available = (self.available + gained).min(self.rate) - 1.0;
        Duration::from_secs_f64((-self.available).max(0.0) / self.rate)
    }
}

/// Serves one browser until it or the show disconnects.
pub(crate) async fn serve(socket: WebSocket, role: Role, connect: Connect) {
    let (mut sink, source) = socket.split();
    let outbox = Outbox::default();
    let show = tokio::task::spawn_blocking(move || connect()).await;
    let show = show.unwrap_or_else(|panic| Err(std::io::Error::other(panic))).and_then(|stream| {
        stream.set_nonblocking(true)?;
        tokio::net::UnixStream::from_std(stream)
    });
    let end = match show {
        Ok(show) => {
            let (reader, writer) = show.into_split();
            tokio::select! {
                end = requests(source, writer, role, &outbox) => end,
                end = answers(reader, &outbox) => end,
                end = send(&mut sink, &outbox) => end,
            }
        }
        Err(error) => {
            tracing::debug!("a page cannot be connected to the show: {error}");
            End::new(close_code::AGAIN, "the show is not running")
        }
    };
    tracing::debug!("a page disconnected: {}", end.reason);
    let frame = CloseFrame { code: end.code, reason: Utf8Bytes::from(end.reason) };
    let close = async {
        if end.code == close_code::POLICY {
            let refusal = Answer::Error(frame.reason.to_string()).encode();
            let text = String::from_utf8(refusal).unwrap_or_default();
            let _ = sink.send(Message::Text(text.into())).await;
        }
        let _ = sink.send(Message::Close(Some(frame))).await;
    };
    // A browser that has gone does not need it.
    let _ = timeout(CLOSE_TIMEOUT, close).await;
}

/// Passes requests on to the show.
async fn requests(
    mut source: SplitStream<WebSocket>,
    mut show: OwnedWriteHalf,
    role: Role,
    outbox: &Outbox,
) -> End {
    let mut pace = Pace::new(REQUESTS_PER_SECOND);
    loop {
        let message = match timeout(SILENCE_TIMEOUT, source.next()).await {
            Err(_) => return End::new(close_code::AWAY, "the browser does not answer"),
            Ok(None | Some(Err(_))) => return End::new(close_code::NORMAL, "closed"),
            Ok(Some(Ok(message))) => message,
        };
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return End::new(close_code::UNSUPPORTED, "expected a text"),
            Message::Close(_) => return End::new(close_code::NORMAL, "closed"),
            Message::Ping(_) | Message::Pong(_) => continue,
        };
        let line = match admit(role, text.as_bytes()) {
            Ok(line) => line,
            Err(reason) => return End::new(close_code::POLICY, short(reason)),
        };
        tokio::time::sleep(pace.delay(Instant::now())).await;
        outbox.has_capacity().await;
        if show.write_all(&line).await.is_err() {
            // The reading side reports why.
            return End::new(close_code::AWAY, "the show has ended");
        }
    }
}

/// A reason that fits into a frame of 125 bytes with its code.
fn short(mut reason: String) -> String {
    while reason.len() > 120 {
        reason.pop();
    }
    reason
}

/// Collects what the show sends.
async fn answers(mut show: OwnedReadHalf, outbox: &Outbox) -> End {
    let mut lines = Lines::new(ANSWER_LIMIT);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = match show.read(&mut buffer).await {
            Ok(0) | Err(_) => return End::new(close_code::AWAY, "the show has ended"),
            Ok(count) => count,
        };
        lines.push(&buffer[..count]);
        loop {
            let line = match lines.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) => return End::new(close_code::ERROR, error.to_string()),
            };
            if let Err(error) = outbox.push(line) {
                return End::new(close_code::ERROR, short(error));
            }
        }
    }
}

/// Sends what was collected, and pings.
async fn send(sink: &mut SplitSink<WebSocket, Message>, outbox: &Outbox) -> End {
    let mut ping = tokio::time::interval(PING_INTERVAL);
    ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            text = outbox.take() => Message::Text(text.into()),
            _ = ping.tick() => Message::Ping(Default::default()),
        };
        match timeout(SEND_TIMEOUT, sink.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return End::new(close_code::NORMAL, "closed"),
            Err(_) => return End::new(close_code::AWAY, "the browser does not read"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_above_the_rate_wait() {
        let mut pace = Pace::new(REQUESTS_PER_SECOND);
        let start = pace.updated;
        let burst: Duration = (0..100).map(|_| pace.delay(start)).sum();
        assert_eq!(burst, Duration::ZERO);
        assert_eq!(pace.delay(start), Duration::from_millis(10));
        assert_eq!(pace.delay(start), Duration::from_millis(20));
        assert_eq!(pace.delay(start + Duration::from_secs(1)), Duration::ZERO);
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        assert_eq!(short("ä".repeat(100)).len(), 120);
        assert_eq!(short("short".into()), "short");
        assert_eq!(short(format!("x{}", "ä".repeat(100))).len(), 119);
    }
}
