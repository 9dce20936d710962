#![doc = include_str!("../README.md")]
//!
//! ## Names
//!
//! Methods have the names of libasound and python-alsa-midi, including their `get_` prefixes, and
//! both clients dereference to [`ClientBase`]. The Rust API guidelines advise against both; the
//! module [`client`] explains why they are right here.

pub mod client;
pub mod engine;
pub mod event;
#[cfg(feature = "midi-file")]
pub mod file;
mod held;
pub mod midi;
pub mod raw;
mod tempo;

pub use client::{
    Announcement, AsyncSequencerClient, AsyncWatch, BytesOrEvent, ClientBase, ClientBuilder,
    ClientInfo, ClientPool, ClientType, Error, ErrorKind, EventFilter, ListPorts, Listening,
    MidiStream, MidiVersion, Port, PortCaps, PortInfo, PortOptions, PortSort, PortType, Queue,
    QueueInfo, QueueStatus, QueueTempo, QueueTimer, QueueTimerType, READ_PORT, RECEIVER_TIMEOUT,
    RW_PORT, RemoveCondition, RemoveEvents, Result, Routing, SequencerClient, SequencerType,
    SubscribeOptions, SubscriptionQuery, SubscriptionQueryType, SystemInfo, TimerId, Undelivered,
    WRITE_PORT, Waited, Watch,
};
pub use engine::{ClockKind, Embedded, Engine, Errno, OpenMode};
pub use event::{
    Address, AddressError, Bounce, ChannelValue, Connection, Control, Event, EventError,
    EventFlags, EventResult, EventTime, EventType, Key, Note, Payload, QUEUE_DIRECT, Quote,
    RealTime, RealTimeError, UmpNotice,
};
pub use held::HeldNotes;
pub use midi::{MidiCoder, MidiDecoder, MidiEncoder, NotMidi};
pub use tempo::{TempoMap, TempoMapError};

/// The programs of the book's page.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/coming-from-midir.md")]
mod coming_from_midir {}
