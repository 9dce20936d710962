//! Requests to a server: one type each, with its encoding and the reply it is answered by.
//!
//! Addresses and argument orders are those of the SuperCollider Server Command Reference (3.13).

mod buffers;
mod buses;
mod groups;
mod nodes;
mod samples;
mod server;
mod synthdefs;
mod synths;

pub use buffers::*;
pub use buses::*;
pub use groups::*;
pub use nodes::*;
pub use samples::*;
pub use server::*;
pub use synthdefs::*;
pub use synths::*;

use consort_osc::{BundleBuilder, MessageBuilder, OscMessage, OscValue, TimeTag};

use crate::error::Result;
use crate::values::{ControlKey, ControlValue};
use crate::wire::Writer;

/// What the server answers a request with: a message of this address whose first arguments are
/// these.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplyPattern {
    /// The address of the reply.
    pub address: &'static str,
    /// Its leading arguments.
    pub prefix: Vec<OscValue>,
}

impl ReplyPattern {
    fn new(address: &'static str, prefix: impl Into<Vec<OscValue>>) -> Self {
        Self { address, prefix: prefix.into() }
    }

    fn done(command: &'static str) -> Self {
        Self::new("/done", [command.into()])
    }

    fn done_with(command: &'static str, id: u32) -> Self {
        Self::new("/done", [command.into(), (id as i32).into()])
    }

    /// True if `message` is such a reply.
    pub fn matches(&self, message: &OscMessage) -> bool {
        message.address == self.address && starts_with(&message.arguments, &self.prefix)
    }
}

/// True if `arguments` begin with `prefix`; numbers are compared by value, whatever their type.
pub(crate) fn starts_with(arguments: &[OscValue], prefix: &[OscValue]) -> bool {
    arguments.len() >= prefix.len()
        && prefix.iter().zip(arguments).all(|(wanted, found)| {
            wanted == found
                || matches!((wanted.as_f64(), found.as_f64()), (Some(a), Some(b)) if a == b)
        })
}

/// What every request type knows of itself.
pub(crate) trait Command {
    fn address(&self) -> &str;
    fn arguments(&self, writer: &mut Writer<'_>);
    fn reply(&self) -> Option<ReplyPattern> {
        None
    }
    /// Takes `other` in, if both may travel as one message.
    fn merge(&mut self, _other: &Self) -> bool
    where
        Self: Sized,
    {
        false
    }
    /// Two requests that together do the same, for what is too large for one packet.
    fn halves(&self) -> Option<(Self, Self)>
    where
        Self: Sized,
    {
        None
    }
    /// Argument tags to make room for, when known to be many.
    fn tags(&self) -> usize {
        6
    }
}

macro_rules! requests {
    ($($name:ident),* $(,)?) => {
        /// Any request.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        #[allow(missing_docs)] // Each variant holds the type of its name, which is documented.
        pub enum Request {
            $($name($name),)*
        }

        $(impl From<$name> for Request {
            fn from(request: $name) -> Self {
                Request::$name(request)
            }
        })*

        impl Request {
            /// The address of the message.
            pub fn address(&self) -> &str {
                match self {
                    $(Request::$name(request) => request.address(),)*
                }
            }

            fn write_arguments(&self, writer: &mut Writer<'_>) {
                match self {
                    $(Request::$name(request) => request.arguments(writer),)*
                }
            }

            fn tag_count(&self) -> usize {
                match self {
                    $(Request::$name(request) => request.tags(),)*
                }
            }

            /// What the server will answer, if it answers this request.
            pub fn reply(&self) -> Option<ReplyPattern> {
                match self {
                    $(Request::$name(request) => request.reply(),)*
                }
            }

            /// Takes `other`, which follows at once, into this request if both may travel as one
            /// message; false if not.
            pub fn merge(&mut self, other: &Request) -> bool {
                match (self, other) {
                    $((Request::$name(one), Request::$name(other)) => one.merge(other),)*
                    _ => false,
                }
            }

            /// Two requests that together do the same, if this one can be cut.
            pub fn halves(&self) -> Option<(Request, Request)> {
                match self {
                    $(Request::$name(request) => {
                        request.halves().map(|(first, second)| (first.into(), second.into()))
                    })*
                }
            }
        }
    };
}

requests!(
    AllocateBuffer,
    AllocateReadBuffer,
    AllocateReadBufferChannel,
    AutoReassignSynthIds,
    ClearSchedule,
    CloseBuffer,
    CopyBuffer,
    DoNothing,
    DumpOsc,
    DumpTree,
    FillBuffer,
    FillControlBuses,
    FillNode,
    FreeAllSynthDefs,
    FreeBuffer,
    FreeGroupChildren,
    FreeGroupDeep,
    FreeNodes,
    FreeSynthDefs,
    GenerateBuffer,
    GetBuffer,
    GetBufferRange,
    GetControlBuses,
    GetControlBusRange,
    GetSynthControls,
    GetSynthControlRange,
    LoadSynthDefDirectory,
    LoadSynthDefs,
    MapNode,
    MapNodeRange,
    MoveNode,
    NewGroups,
    NewSynth,
    NormalizeBuffer,
    OrderNodes,
    QueryBuffers,
    QueryNodes,
    QueryStatus,
    QueryTree,
    QueryVersion,
    Quit,
    Raw,
    ReadBuffer,
    ReadBufferChannel,
    ReceiveSynthDef,
    RunNodes,
    SetBuffer,
    SetBufferRange,
    SetControlBuses,
    SetControlBusRange,
    SetErrorMode,
    SetNode,
    SetNodeRange,
    Sync,
    ToggleNotifications,
    TraceNodes,
    WriteBuffer,
    ZeroBuffer,
);

impl Request {
    /// Whether requests of this kind ever merge.
    pub(crate) fn can_merge(&self) -> bool {
        matches!(
            self,
            Request::NewGroups(_)
                | Request::RunNodes(_)
                | Request::SetControlBuses(_)
                | Request::SetControlBusRange(_)
                | Request::FillControlBuses(_)
                | Request::SetBuffer(_)
                | Request::SetBufferRange(_)
                | Request::FillBuffer(_)
        )
    }

    /// Writes the request as one OSC message at the end of `out`; returns its size in bytes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind) if a string holds a zero byte; `out` is
    /// then as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<usize> {
        if let Request::DoNothing(_) = self {
            out.extend_from_slice(DoNothing::BYTES);
            return Ok(DoNothing::BYTES.len());
        }
        let mut writer = MessageBuilder::with_tags(out, self.address(), self.tag_count());
        self.write_arguments(&mut writer);
        Ok(writer.finish()?)
    }
}

/// Requests that the server performs when an asynchronous request is done: one travels as a
/// message, several as a bundle.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CompletionRequests(pub Vec<Request>);

impl CompletionRequests {
    fn write(&self, writer: &mut Writer<'_>) {
        let mut bytes = Vec::new();
        match merged(&self.0).as_slice() {
            [] => return,
            [request] => {
                if request.encode(&mut bytes).is_err() {
                    return;
                }
            }
            requests => encode_bundle(TimeTag::IMMEDIATE, requests, &mut bytes),
        }
        writer.blob(&bytes);
    }
}

/// `requests` with neighbours of the same kind merged.
pub(crate) fn merged(requests: &[Request]) -> Vec<Request> {
    let mut result: Vec<Request> = Vec::with_capacity(requests.len());
    for request in requests {
        if !result.last_mut().is_some_and(|last| last.merge(request)) {
            result.push(request.clone());
        }
    }
    result
}

/// Writes `requests`, which were checked before, as one bundle.
pub(crate) fn encode_bundle(time: TimeTag, requests: &[Request], out: &mut Vec<u8>) {
    let mut scratch = Vec::new();
    let mut bundle = BundleBuilder::new(out, time);
    for request in requests {
        scratch.clear();
        if request.encode(&mut scratch).is_ok() {
            bundle.encoded(&scratch);
        }
    }
    // A vector takes all that is written to it; sizes are bounded by the requests themselves.
    let _ = bundle.finish();
}

fn write_key(writer: &mut Writer<'_>, key: &ControlKey) {
    match key {
        ControlKey::Index(index) => writer.int(*index as i32),
        ControlKey::Name(name) => writer.string(name),
    };
}

fn write_value(writer: &mut Writer<'_>, value: &ControlValue) {
    match value {
        ControlValue::Float(value) => {
            writer.float(*value);
        }
        ControlValue::Map(symbol) => {
            writer.string(&symbol.to_string());
        }
        ControlValue::Array(values) => {
            writer.open_array();
            for value in values {
                write_value(writer, value);
            }
            writer.close_array();
        }
    }
}

fn value_tags(value: &ControlValue) -> usize {
    match value {
        ControlValue::Array(values) => 2 + values.iter().map(value_tags).sum::<usize>(),
        _ => 1,
    }
}

fn cut<T: Clone>(items: &[T]) -> Option<(Vec<T>, Vec<T>)> {
    if items.len() < 2 {
        return None;
    }
    let (first, second) = items.split_at(items.len() / 2);
    Some((first.to_vec(), second.to_vec()))
}
