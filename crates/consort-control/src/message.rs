//! What is asked and answered.

use serde::{Deserialize, Serialize};

/// What a client asks; one a line.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// What does not change while the show runs: [`Answer::Layout`].
    Layout,
    /// What changes: [`Answer::Reading`].
    Read {
        /// The number of the first line of the log that is wanted.
        log_from: u64,
    },
    /// Sends a value as if it had come in on a channel of the show: [`Answer::Injected`].
    Inject {
        /// The instance's place in the layout, from 0.
        instance: u32,
        /// The channel's place in the instance, from 0.
        channel: u32,
        /// 0.0 to 1.0; what is outside is clipped.
        value: f64,
    },
}

/// What a show answers; one a line.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To [`Request::Layout`].
    Layout(Layout),
    /// To [`Request::Read`].
    Reading(Reading),
    /// To [`Request::Inject`]: false when there is no such channel, or when too many values
    /// wait already.
    Injected(bool),
    /// To what cannot be answered, and to a client for whom there is no room.
    Error(String),
}

/// What does not change while a show runs.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Layout {
    /// The configuration.
    pub show: String,
    /// The process that runs it.
    pub process: u32,
    /// In the order of the configuration.
    pub instances: Vec<LayoutInstance>,
}

/// An instance and its channels.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct LayoutInstance {
    /// As the configuration names it.
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
    /// Lines of the log since the number asked for, as far as they are kept.
    pub log: Vec<String>,
    /// The number of the line that comes next.
    pub log_next: u64,
}

/// An instance's state and its counters since the start.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct InstanceReading {
    /// `starting`, `up`, `waiting`, `failed` or `stopped`.
    pub state: String,
    /// Why, where there is a why.
    pub reason: Option<String>,
    /// Values that came in through it.
    pub incoming: u64,
    /// Values that went out through it.
    pub outgoing: u64,
    /// Values that it, or its queue, dropped.
    pub dropped: u64,
    /// Errors it met.
    pub errors: u64,
}

/// A line is no message of this protocol.
#[derive(Debug, thiserror::Error)]
#[error("{what} cannot be read: {source}")]
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
    /// When it is no request.
    pub fn decode(line: &[u8]) -> Result<Self, DecodeError> {
        serde_json::from_slice(line).map_err(|source| DecodeError { what: "the request", source })
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
    /// When it is no answer.
    pub fn decode(line: &[u8]) -> Result<Self, DecodeError> {
        serde_json::from_slice(line).map_err(|source| DecodeError { what: "the answer", source })
    }
}

fn encode(message: &impl Serialize) -> Vec<u8> {
    // Maps with keys that are no strings are all that serde_json cannot write.
    let mut line = serde_json::to_vec(message).expect("messages are JSON");
    line.push(b'\n');
    line
}
