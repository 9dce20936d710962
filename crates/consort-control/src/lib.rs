//! The protocol of the control socket of a running show: requests, answers, and lines of
//! bounded length. No I/O; `consort run` is the server, `consort monitor` and `consort status`
//! are clients.
//!
//! A show listens on the Unix socket `PID.sock` in `$XDG_RUNTIME_DIR/consort`, or in
//! `/tmp/consort-UID` where that is not set. One [`Request`] a line, one [`Answer`] a line, in
//! order, both JSON:
//!
//! ```text
//! "layout"                                                  {"layout":{"show":"show.cfg",…}}
//! {"read":{"log_from":0}}                                   {"reading":{"seconds":1.5,…}}
//! {"inject":{"instance":0,"channel":3,"value":0.5}}         {"injected":true}
//! nonsense                                                  {"error":"…"}
//! ```
//!
//! Neither side trusts the other: lines are bounded ([`REQUEST_LIMIT`], [`ANSWER_LIMIT`]), nothing
//! here recurses with its input, and a line that cannot be decoded is an error.

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzz;
mod lines;
mod message;

pub use lines::{Lines, TooLong};
pub use message::{Answer, DecodeError, InstanceReading, Layout, LayoutInstance, Reading, Request};

/// The longest request, in bytes without the line's end.
pub const REQUEST_LIMIT: usize = 4_096;

/// The longest answer, in bytes without the line's end: 100,000 channels need about 5 MB.
pub const ANSWER_LIMIT: usize = 64 << 20;
