//! Requests and answers.

use serde::{Deserialize, Serialize};

/// A request of a client; one a line.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Asks for what does not change while the show runs: [`Answer::Layout`].
    Layout,
    /// Asks for what changes: [`Answer::Reading`].
    Read {
        /// The number of the first log line to return.
        log_from: u64,
    },
    /// Sends a value as if it had come in on a channel of the show: [`Answer::Injected`].
    Inject {
        /// The instance's place in the layout, from 0.
        instance: u32,
        /// The channel's place in the instance, from 0.
        channel: u32,
        /// 0.0 to 1.0; values outside are clipped.
        value: f64,
    },
}

/// An answer of a show; one a line.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To [`Request::Layout`].
    Layout(Layout),
    /// To [`Request::Read`].
    Reading(Reading),
    /// To [`Request::Inject`]: false when the channel does not exist or when too many values
    /// are waiting already.
    Injected(bool),
    /// To an invalid request, and to a client above the limit of clients.
    Error(String),
}

/// What does not change while a show runs.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Layout {
    /// The path of the configuration.
    pub show: String,
    /// The id of the process that runs it.
    pub process: u32,
    /// In the order of the configuration.
    pub instances: Vec<LayoutInstance>,
}

/// An instance and its channels.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct LayoutInstance {
    /// Its name in the configuration.
    pub name: String,
    /// The name of its backend.
    pub backend: String,
    /// Its mapped channels, as the configuration spells them.
    pub channels: Vec<String>,
}

/// What changes while a show runs.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Reading {
    /// Seconds since the start of the show.
    pub seconds: f64,
    /// False once the router has left its loop.
    pub running: bool,
    /// In the layout's order.
    pub instances: Vec<InstanceReading>,
    /// Last value and number of values of every channel, in the layout's order.
    pub values: Vec<(f64, u64)>,
    /// Log lines from the requested number on, as far as they are kept.
    pub log: Vec<String>,
    /// The number of the next line.
    pub log_next: u64,
}

/// An instance's state and its counters since the start.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct InstanceReading {
    /// `starting`, `up`, `waiting`, `failed` or `stopped`.
    pub state: String,
    /// The reason of `waiting` and `failed`.
    pub reason: Option<String>,
    /// Values that came in through it.
    pub incoming: u64,
    /// Values that went out through it.
    pub outgoing: u64,
    /// Values that it, or its queue, dropped.
    pub dropped: u64,
    /// Errors of this instance.
    pub errors: u64,
}

/// A line is not a message of this protocol.
#[derive(Debug, thiserror::Error)]
#[error("invalid {what}: {source}")]
pub struct DecodeError {
    what: &'static str,
    source: serde_json::Error,
}

impl Request {
    /// The line, with its end.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a line without its end.
    ///
    /// # Errors
    /// When it is not a request.
    pub fn decode(line: &[u8]) -> Result<Self, DecodeError> {
        serde_json::from_slice(line).map_err(|source| DecodeError { what: "request", source })
    }
}

impl Answer {
    /// The line, with its end.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a line without its end.
    ///
    /// # Errors
    /// When it is not an answer.
    pub fn decode(line: &[u8]) -> Result<Self, DecodeError> {
        serde_json::from_slice(line).map_err(|source| DecodeError { what: "answer", source })
    }
}

fn encode(message: &impl Serialize) -> Vec<u8> {
    // Serialization fails only for maps whose keys are not strings; these messages have none.
    let mut line = serde_json::to_vec(message).expect("messages are JSON");
    line.push(b'\n');
    line
}
