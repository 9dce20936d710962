//! The server's commands: one type each, with its encoding and the reply that the server sends.
//!
//! Addresses and the order of the arguments are those of the SuperCollider Server Command
//! Reference (3.13). Where the server takes -1 for "none" or "all", the types have an `Option`.

/// Defines the address of a request that the server confirms with `/done ADDRESS` or, with the
/// field that holds the buffer's id, with `/done ADDRESS ID`.
macro_rules! confirmed {
    ($address:literal) => {
        fn address(&self) -> &str {
            $address
        }
        fn reply(&self) -> Option<ReplyPattern> {
            Some(ReplyPattern::done($address))
        }
    };
    ($address:literal, $($id:ident).+) => {
        fn address(&self) -> &str {
            $address
        }
        fn reply(&self) -> Option<ReplyPattern> {
            Some(ReplyPattern::done_with($address, self.$($id).+))
        }
    };
}

/// Defines `merge` of a request that is a list: the lists of two requests are joined if their
/// fields after `same` are equal.
macro_rules! merges {
    ($list:ident $(, same $field:ident)?) => {
        const CAN_MERGE: bool = true;

        fn merge(&mut self, other: &Self) -> bool {
            $(
                if self.$field != other.$field {
                    return false;
                }
            )?
            self.$list.extend_from_slice(&other.$list);
            true
        }
    };
}

/// Defines `split` of a request that is a list: both parts have the same value of the field after
/// `same`.
macro_rules! splits {
    ($list:ident by $split:path $(, same $field:ident)?) => {
        fn split(&self) -> Option<(Self, Self)> {
            let (first, second) = $split(&self.$list)?;
            Some((
                Self { $($field: self.$field,)? $list: first },
                Self { $($field: self.$field,)? $list: second },
            ))
        }
    };
}

/// Defines `completion_mut` of a request with a completion.
macro_rules! completes {
    ($($field:ident).+) => {
        fn completion_mut(&mut self) -> Option<&mut CompletionRequests> {
            Some(&mut self.$($field).+)
        }
    };
}

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

use std::borrow::Cow;

use consort_osc::{BundleBuilder, MessageBuilder, OscMessage, OscValue, TimeTag};

use crate::error::Result;
use crate::values::{ControlKey, ControlValue};
use crate::wire::Writer;

/// The reply to a request: a message with this address and these leading arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplyPattern {
    /// The reply's address.
    pub address: Cow<'static, str>,
    /// The reply's leading arguments.
    pub prefix: Vec<OscValue>,
}

impl ReplyPattern {
    /// Messages to `address` that begin with `prefix`.
    pub fn new(address: impl Into<Cow<'static, str>>, prefix: impl Into<Vec<OscValue>>) -> Self {
        Self { address: address.into(), prefix: prefix.into() }
    }

    fn done(command: &'static str) -> Self {
        Self::new("/done", [command.into()])
    }

    fn done_with(command: &'static str, id: u32) -> Self {
        Self::new("/done", [command.into(), (id as i32).into()])
    }

    /// Whether `message` is the reply.
    pub fn matches(&self, message: &OscMessage) -> bool {
        message.address == self.address && starts_with(&message.arguments, &self.prefix)
    }
}

/// Whether `arguments` begin with `prefix`. Numbers are compared by value, whatever their type.
pub(crate) fn starts_with(arguments: &[OscValue], prefix: &[OscValue]) -> bool {
    arguments.len() >= prefix.len()
        && prefix.iter().zip(arguments).all(|(expected, found)| {
            expected == found
                || matches!((expected.as_f64(), found.as_f64()), (Some(a), Some(b)) if a == b)
        })
}

/// The interface of the request types.
pub(crate) trait Command {
    /// Whether [`Command::merge`] can succeed for this type.
    const CAN_MERGE: bool = false;

    /// The message's address.
    fn address(&self) -> &str;

    /// Writes the message's arguments.
    fn write_arguments(&self, writer: &mut Writer<'_>);

    /// The reply that the server sends, if any.
    fn reply(&self) -> Option<ReplyPattern> {
        None
    }

    /// Appends `other` to this request. Returns false, and leaves this request unchanged, if one
    /// message cannot carry both.
    fn merge(&mut self, _other: &Self) -> bool
    where
        Self: Sized,
    {
        false
    }

    /// Splits a request that is too large for one packet into two with the same effect.
    fn split(&self) -> Option<(Self, Self)>
    where
        Self: Sized,
    {
        None
    }

    /// The number of type tags to reserve space for. Need not be exact.
    fn tag_count(&self) -> usize {
        6
    }

    /// The requests that the server performs when this one is done, if it takes some.
    fn completion_mut(&mut self) -> Option<&mut CompletionRequests> {
        None
    }
}

/// Defines [`Request`] and delegates its methods to the type of the variant.
macro_rules! requests {
    ($($name:ident),* $(,)?) => {
        /// Any request.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        #[allow(missing_docs)] // Each variant holds the type of the same name, which is documented.
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
                    $(Request::$name(request) => request.write_arguments(writer),)*
                }
            }

            fn tag_count(&self) -> usize {
                match self {
                    $(Request::$name(request) => request.tag_count(),)*
                }
            }

            /// The reply that the server sends to this request, if any.
            pub fn reply(&self) -> Option<ReplyPattern> {
                match self {
                    $(Request::$name(request) => request.reply(),)*
                }
            }

            /// The requests that the server performs when this one is done; `None` if this request
            /// takes none.
            pub fn completion_mut(&mut self) -> Option<&mut CompletionRequests> {
                match self {
                    $(Request::$name(request) => request.completion_mut(),)*
                }
            }

            /// Whether requests of this type can merge at all.
            pub(crate) fn can_merge(&self) -> bool {
                match self {
                    $(Request::$name(_) => <$name as Command>::CAN_MERGE,)*
                }
            }

            /// Appends `other`, which directly follows this request. Returns false, and leaves this
            /// request unchanged, if one message cannot carry both.
            pub fn merge(&mut self, other: &Request) -> bool {
                match (self, other) {
                    $((Request::$name(request), Request::$name(other)) => request.merge(other),)*
                    _ => false,
                }
            }

            /// Splits this request into two of about half the size that have the same effect, if
            /// that is possible.
            pub fn split(&self) -> Option<(Request, Request)> {
                match self {
                    $(Request::$name(request) => {
                        request.split().map(|(first, second)| (first.into(), second.into()))
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
    /// Appends the request as one OSC message to `out`; returns its size in bytes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind) if a string contains a zero byte; `out` is
    /// then unchanged.
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

/// The completion of an asynchronous request: requests that the server performs when it is done.
///
/// One request is sent as a message, several as a bundle.
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

/// The requests, with consecutive ones merged where possible.
pub(crate) fn merged(requests: &[Request]) -> Vec<Request> {
    let mut result: Vec<Request> = Vec::with_capacity(requests.len());
    for request in requests {
        if !result.last_mut().is_some_and(|last| last.merge(request)) {
            result.push(request.clone());
        }
    }
    result
}

/// Appends `requests`, which the caller has validated, as one bundle to `out`.
pub(crate) fn encode_bundle(time: TimeTag, requests: &[Request], out: &mut Vec<u8>) {
    let mut scratch = Vec::new();
    let mut bundle = BundleBuilder::new(out, time);
    for request in requests {
        scratch.clear();
        if request.encode(&mut scratch).is_ok() {
            bundle.encoded(&scratch);
        }
    }
    // Writing to a vector cannot fail, and the requests themselves bound the size.
    let _ = bundle.finish();
}

fn write_ids(writer: &mut Writer<'_>, ids: &[u32]) {
    for id in ids {
        writer.int(*id as i32);
    }
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

fn write_settings(writer: &mut Writer<'_>, settings: &[(ControlKey, ControlValue)]) {
    for (key, value) in settings {
        write_key(writer, key);
        write_value(writer, value);
    }
}

/// The number of type tags of [`write_settings`].
fn settings_tags(settings: &[(ControlKey, ControlValue)]) -> usize {
    fn value_tags(value: &ControlValue) -> usize {
        match value {
            // An array has a bracket on either side.
            ControlValue::Array(values) => 2 + values.iter().map(value_tags).sum::<usize>(),
            _ => 1,
        }
    }
    settings.iter().map(|(_, value)| 1 + value_tags(value)).sum()
}

/// First indices, each with the values for it and for those that follow.
type Ranges = Vec<(u32, Vec<f32>)>;

fn write_ranges(writer: &mut Writer<'_>, ranges: &[(u32, Vec<f32>)]) {
    for (start, values) in ranges {
        writer.int(*start as i32).int(values.len() as i32);
        for value in values {
            writer.float(*value);
        }
    }
}

/// The number of type tags of [`write_ranges`].
fn range_tags(ranges: &[(u32, Vec<f32>)]) -> usize {
    ranges.iter().map(|(_, values)| 2 + values.len()).sum()
}

/// Splits a list in the middle.
fn split_list<T: Clone>(items: &[T]) -> Option<(Vec<T>, Vec<T>)> {
    if items.len() < 2 {
        return None;
    }
    let (first, second) = items.split_at(items.len() / 2);
    Some((first.to_vec(), second.to_vec()))
}

/// Splits a list of ranges in the middle, and a single range into two that follow each other.
fn split_ranges(ranges: &[(u32, Vec<f32>)]) -> Option<(Ranges, Ranges)> {
    if let [(start, values)] = ranges {
        let (first, second) = split_list(values)?;
        let middle = start + first.len() as u32;
        return Some((vec![(*start, first)], vec![(middle, second)]));
    }
    split_list(ranges)
}
