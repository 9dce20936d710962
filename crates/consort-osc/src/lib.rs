//! OSC packets: codec, address patterns, time tags and stream framing, without I/O.
//!
//! The crate decodes bytes into views and encodes values into bytes; the caller provides
//! sockets, threads and clocks. Nothing here blocks, and every function may be called from any thread.
//!
//! | to … | take … | allocates |
//! |---|---|---|
//! | read a packet | [`Packet::decode`] → [`Message`], [`Bundle`], [`Argument`] | never |
//! | write a message or bundle | [`MessageBuilder`], [`BundleBuilder`] into a [`Sink`] | only a `Vec` sink as it grows |
//! | store, compare or print packets | [`OscPacket`], [`OscMessage`], [`OscBundle`], [`OscValue`] | yes |
//! | match addresses | [`Pattern`], or [`address_matches`] for a pattern used once | compiling does, matching never |
//! | handle times | [`TimeTag`] | never |
//! | split a byte stream into packets | [`LengthPrefixDecoder`] (OSC 1.0), [`SlipDecoder`] (OSC 1.1) | up to the limit given |
//!
//! Supported argument types are those of OSC 1.0 and 1.1: `i f s b h d t S c r m T F N I`
//! and nested arrays `[ ]`.
//!
//! Sources: the Open Sound Control 1.0 specification (Wright, 2002), "Features and Future of
//! Open Sound Control version 1.1" (Freed and Schmeder, NIME 2009), RFC 1055 for SLIP and
//! RFC 5905 for the NTP time format.
//!
//! # Hostile input
//!
//! A packet is validated once, in [`Packet::decode`]: sizes, nesting and the number of
//! arguments are bounded by [`Limits`], and no input can exhaust the stack or make a view
//! panic afterwards. Errors carry an [`ErrorKind`] and the byte offset.
//!
//! # Example
//!
//! ```
//! use consort_osc::{MessageBuilder, Packet};
//!
//! # fn main() -> Result<(), consort_osc::Error> {
//! let mut bytes = Vec::new();
//! MessageBuilder::new(&mut bytes, "/mixer/1/level").float(0.75).finish()?;
//!
//! match Packet::decode(&bytes)? {
//!     Packet::Message(message) => {
//!         assert_eq!(message.address(), "/mixer/1/level");
//!         assert_eq!(message.arguments().next().and_then(|a| a.as_f64()), Some(0.75));
//!     }
//!     Packet::Bundle(_) => unreachable!(),
//! }
//! # Ok(())
//! # }
//! ```

mod address;
mod argument;
mod decode;
mod encode;
mod error;
mod framing;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzz;
mod limits;
mod owned;
mod pattern;
mod text;
mod time;

pub use address::{is_pattern, validate_address};
pub use argument::{Argument, Arguments, Array, Color, MidiMessage};
pub use decode::{Bundle, Elements, Message, Messages, Packet};
pub use encode::{BundleBuilder, MessageBuilder, Sink, SliceSink, encode_message};
pub use error::{Error, ErrorKind, Result};
pub use framing::{LengthPrefixDecoder, SlipDecoder, encode_length_prefixed, encode_slip};
pub use limits::Limits;
pub use owned::{OscBundle, OscMessage, OscPacket, OscValue};
pub use pattern::{MAX_MATCHED_ADDRESS, MAX_PATTERN, Pattern, address_matches};
pub use time::TimeTag;

/// The example of this crate's README, compiled with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
