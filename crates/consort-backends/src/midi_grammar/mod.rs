//! What the backends that carry MIDI have in common, whatever carries it: the names of channels,
//! the conversion of values, parameters (RPN, NRPN), system exclusive messages, and which notes and
//! pedals are held. Nothing here knows a sequencer, a socket or a server.
//!
//! | module | content |
//! |---|---|
//! | `channels`, `syntax`, `values` | the names of channels, and their reference; conversion of values |
//! | `parameters`, `sysex`, `clock` | messages that consist of several parts |
//! | `timed_clock` | a clock that the show's timers send |
//! | `held` | which notes and pedals are held |
//! | `message` | one MIDI message |
//! | `input` | messages that arrive become values of the show |
//! | `output` | values of the show become messages |

pub(crate) mod channels;
pub(crate) mod clock;
pub(crate) mod held;
pub(crate) mod input;
pub(crate) mod message;
pub(crate) mod output;
pub(crate) mod parameters;
pub(crate) mod syntax;
pub(crate) mod sysex;
pub(crate) mod timed_clock;
pub(crate) mod values;
