//! What a connection reports to its driver.

use std::ops::Range;

use consort_osc::OscMessage;

use crate::error::Result;
use crate::lifecycle::LifecycleEvent;
use crate::options::Options;
use crate::queries::FailInfo;

/// A request that waits for its reply. The ids of a connection count up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u64);

/// The ids of requests that were made together, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestIds(pub(super) Range<u64>);

impl Iterator for RequestIds {
    type Item = RequestId;

    fn next(&mut self) -> Option<RequestId> {
        self.0.next().map(RequestId)
    }
}

/// A command of a connection, such as a boot. The ids of a connection count up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub(super) u64);

/// What happened, or what the driver has to do next.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Start the server process; then call
    /// [`process_started`](super::Connection::process_started) or
    /// [`spawn_failed`](super::Connection::spawn_failed).
    Spawn(Box<Options>),
    /// Open a socket to the server; then call [`socket_opened`](super::Connection::socket_opened)
    /// or [`socket_failed`](super::Connection::socket_failed).
    Open(Box<Options>),
    /// Close the socket. Nothing is called afterwards.
    Close,
    /// Kill the process; then call [`process_exited`](super::Connection::process_exited) as soon
    /// as it has exited.
    Kill,
    /// A message of the server. The events that it led to follow.
    Message(OscMessage),
    /// A change in the life of the server or of the connection.
    Lifecycle(LifecycleEvent),
    /// The end of a request that waited: its reply, or an error.
    Reply(RequestId, Result<OscMessage>),
    /// Which SynthDefs of a [`probe`](super::Connection::probe) the server has.
    Probed(CommandId, Result<Vec<bool>>),
    /// The end of any other command.
    Completed(CommandId, Result<()>),
    /// The start of the life with this number has succeeded or failed.
    Started(u64, bool),
    /// The life with this number has ended, in good order or not.
    Ended(u64, bool),
    /// A `/fail` that answers no waiting request.
    Fail(FailInfo),
    /// A warning about a probable problem.
    Warning(String),
}
