#![doc = include_str!("../README.md")]

pub mod event;
pub mod midi;

pub use event::{
    Address, AddressError, Bounce, ChannelValue, Connection, Control, Event, EventError,
    EventFlags, EventResult, EventTime, EventType, Key, Note, Payload, QUEUE_DIRECT, RealTime,
    RealTimeError,
};
pub use midi::{MidiCoder, MidiDecoder, MidiEncoder};
