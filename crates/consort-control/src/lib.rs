//! The protocol of the control socket of a running show: requests, answers, and lines of
//! bounded length. No I/O; `consort run` is the server, `consort monitor` and `consort status`
//! are clients.
//!
//! A show listens on the Unix socket `PID.sock` in `$XDG_RUNTIME_DIR/consort`, or in
//! `/tmp/consort-UID` where that is not set. One [`Request`] a line, one [`Answer`] a line, in
//! order, both JSON. A subscription sends [`Answer::Delta`] lines between the answers:
//!
//! ```text
//! {"hello":{"version":2}}                        {"hello":{"version":2,"generation":1,…}}
//! "layout"                                       {"layout":{"generation":1,"show":"show.cfg",…}}
//! {"read":{"generation":1,"log_from":0}}         {"reading":{"seconds":1.5,…}}
//! {"set":{"generation":1,"instance":0,"channel":3,"content":{"value":0.5}}}     "done"
//! {"get":{"generation":1,"instance":0,"channel":3}}    {"value":{"value":0.5,"count":1}}
//! {"why":{"generation":1,"instance":0}}          {"why":[{"code":"nothing-arrived",…}]}
//! {"reload":{"dry_run":true}}                    {"reloaded":{"adopted":["tablet"],…}}
//! nonsense                                       {"error":"…"}
//! ```
//!
//! Neither side trusts the other: lines are bounded ([`REQUEST_LIMIT`], [`ANSWER_LIMIT`]), nothing
//! here recurses with its input, and a line that cannot be decoded is an error.

mod delta;
mod edit;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzz;
mod lines;
mod message;

pub use delta::DeltaEncoder;
pub use edit::{Diagnosis, Edit, Edited, Files, MappingText};
pub use lines::{Lines, TooLong};
pub use message::{
    Answer, Content, DecodeError, Delta, DiagnosticReading, Direction, FileText, Finding,
    InputReading, InstanceReading, Kind, Layout, LayoutChannel, LayoutInstance, LayoutLayer,
    LayoutRoute, Reading, Rejected, ReloadRequest, Reloaded, Request, Restarted, RouteControl,
    RouteReading, UnmatchedReading,
};

/// The version of this protocol. A show answers requests of its own version; fields may be added
/// within a version, so clients ignore unknown fields.
pub const VERSION: u32 = 2;

/// The shortest interval of a subscription, in milliseconds.
pub const MIN_INTERVAL_MS: u32 = 20;

/// The longest interval of a subscription, in milliseconds.
pub const MAX_INTERVAL_MS: u32 = 10_000;

/// The longest request, in bytes without the line's end: a reload can contain the text of a
/// configuration.
pub const REQUEST_LIMIT: usize = 4 << 20;

/// The longest answer, in bytes without the line's end: 100,000 channels need about 5 MB.
pub const ANSWER_LIMIT: usize = 64 << 20;
