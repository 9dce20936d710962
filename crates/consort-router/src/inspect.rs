//! What an instance knows about its sockets and channels beyond their values: for people who ask
//! why nothing happens. It is collected when a view asks for it, so that the path of a value costs
//! nothing.

use std::net::SocketAddr;

use crate::unmatched::{OwnedRawValue, RawValue};

/// The most channels that one report covers; ask again for the next ones.
pub const MAX_INSPECTED_CHANNELS: u32 = 256;

/// What an instance reports about itself, see [`Instance::inspect`](crate::Instance::inspect).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InstanceReport {
    /// Where it receives from the network.
    pub listens: Vec<Endpoint>,
    /// Where it sends to in the network.
    pub sends: Vec<Endpoint>,
    /// Why it sends nothing at present and what to do, if a mapping writes to it; in one sentence.
    pub sends_nothing: Option<String>,
    /// Packets that are not of its protocol.
    pub invalid_packets: u64,
    /// What it knows about channels, by their numbers.
    pub channels: Vec<(u32, ChannelReport)>,
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `UDP` or `TCP`.
    pub transport: &'static str,
    /// Host and port.
    pub address: SocketAddr,
}

/// What an instance reports about one of its channels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelReport {
    /// What arrived for it, before any scaling.
    pub input: Option<RawInput>,
    /// The last message that was sent because of it, in the protocol's notation.
    pub output: Option<String>,
}

/// The raw values that arrived for a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct RawInput {
    /// The type of the last value in the protocol's notation, such as `f` for OSC.
    pub types: String,
    /// The last value.
    pub raw: OwnedRawValue,
    /// The lowest and highest number so far.
    pub range: Option<(f64, f64)>,
    /// The range that is scaled to 0.0–1.0, and whether an option sets it.
    pub expected: Option<ExpectedRange>,
}

/// The raw range that a channel scales to 0.0–1.0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpectedRange {
    /// The raw value that becomes 0.0.
    pub low: f64,
    /// The raw value that becomes 1.0.
    pub high: f64,
    /// Whether an option of the instance sets it; else it follows from the type.
    pub is_configured: bool,
}

impl From<RawValue<'_>> for OwnedRawValue {
    fn from(raw: RawValue<'_>) -> Self {
        let mut owned = OwnedRawValue::None;
        owned.assign(raw);
        owned
    }
}
