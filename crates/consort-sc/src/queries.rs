//! The server's replies as types, and their parsing.

use consort_osc::OscMessage;

use crate::error::Result;
use crate::values::ControlKey;
use crate::wire::{Arguments, unexpected};

/// `/status.reply`: the server's load, its counts and its sample rates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StatusInfo {
    /// The number of running UGens.
    pub ugen_count: i32,
    /// The number of synths.
    pub synth_count: i32,
    /// The number of groups, the root included.
    pub group_count: i32,
    /// The number of loaded SynthDefs.
    pub synthdef_count: i32,
    /// The average CPU load of the audio thread, in percent.
    pub average_cpu_usage: f32,
    /// The peak CPU load of the audio thread, in percent.
    pub peak_cpu_usage: f32,
    /// The nominal sample rate in hertz.
    pub target_sample_rate: f64,
    /// The measured sample rate in hertz.
    pub actual_sample_rate: f64,
}

impl StatusInfo {
    pub(crate) fn parse(message: &OscMessage) -> Result<Self> {
        Ok(Self {
            ugen_count: message.int(1)?,
            synth_count: message.int(2)?,
            group_count: message.int(3)?,
            synthdef_count: message.int(4)?,
            average_cpu_usage: message.float(5)?,
            peak_cpu_usage: message.float(6)?,
            target_sample_rate: message.double(7)?,
            actual_sample_rate: message.double(8)?,
        })
    }
}

/// `/version.reply`: the server's program and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionInfo {
    /// The program's name: `scsynth` or `supernova`.
    pub program: String,
    /// The major version, as 3 in 3.13.0.
    pub major: i32,
    /// The minor version, as 13 in 3.13.0.
    pub minor: i32,
    /// The rest of the version with its leading dot, as `.0`.
    pub patch: String,
    /// The Git branch that the program was built from; may be empty.
    pub branch: String,
    /// The Git commit that the program was built from; may be empty.
    pub commit: String,
}

impl VersionInfo {
    pub(crate) fn parse(message: &OscMessage) -> Result<Self> {
        Ok(Self {
            program: message.text(0)?.to_owned(),
            major: message.int(1)?,
            minor: message.int(2)?,
            patch: message.text(3)?.to_owned(),
            branch: message.text(4)?.to_owned(),
            commit: message.text(5)?.to_owned(),
        })
    }
}

impl std::fmt::Display for VersionInfo {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}.{}{}", self.program, self.major, self.minor, self.patch)
    }
}

/// `/b_info`: the size of a buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BufferInfo {
    /// The buffer's id.
    pub id: i32,
    /// The number of frames; 0 if the buffer does not exist.
    pub frame_count: i32,
    /// The number of channels.
    pub channel_count: i32,
    /// The sample rate in hertz.
    pub sample_rate: f64,
}

impl BufferInfo {
    pub(crate) fn parse(message: &OscMessage) -> Result<Self> {
        Ok(Self {
            id: message.int(0)?,
            frame_count: message.int(1)?,
            channel_count: message.int(2)?,
            sample_rate: message.double(3)?,
        })
    }
}

/// A node's place in the tree, from `/n_info` or a notification: `/n_go`, `/n_end`, `/n_move`,
/// `/n_on`, `/n_off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// The node's id.
    pub id: i32,
    /// The id of the group that contains the node; `None` for the root node.
    pub parent_id: Option<i32>,
    /// Whether the node is in a parallel group of supernova, whose nodes have no order.
    pub is_unordered: bool,
    /// The id of the previous node in the group.
    pub previous_id: Option<i32>,
    /// The id of the next node in the group.
    pub next_id: Option<i32>,
    /// Whether the node is a group.
    pub is_group: bool,
    /// For a group: the id of its first node.
    pub head_id: Option<i32>,
    /// For a group: the id of its last node.
    pub tail_id: Option<i32>,
}

impl NodeInfo {
    pub(crate) fn parse(message: &OscMessage) -> Result<Self> {
        let id_at = |index: usize| -> Result<Option<i32>> {
            message.int(index).map(|id| (id >= 0).then_some(id))
        };
        let is_group = message.int(4)? == 1;
        // Only groups have the last two arguments.
        let end_at =
            |index: usize| if message.arguments.len() > index { id_at(index) } else { Ok(None) };
        Ok(Self {
            id: message.int(0)?,
            parent_id: id_at(1)?,
            is_unordered: message.int(2)? == -2,
            previous_id: id_at(2)?,
            next_id: id_at(3)?,
            is_group,
            head_id: if is_group { end_at(5)? } else { None },
            tail_id: if is_group { end_at(6)? } else { None },
        })
    }
}

/// `/fail`: a request that the server rejected.
#[derive(Clone, Debug, PartialEq)]
pub struct FailInfo {
    /// The address of the rejected request.
    pub command: String,
    /// The reason that the server gives.
    pub reason: String,
    /// The further arguments, which depend on the request.
    pub other: Vec<consort_osc::OscValue>,
}

impl FailInfo {
    pub(crate) fn parse(message: &OscMessage) -> Result<Self> {
        Ok(Self {
            command: message.text(0)?.to_owned(),
            reason: message.text(1).unwrap_or("no reason given").trim_end().to_owned(),
            other: message.arguments.get(2..).unwrap_or_default().to_vec(),
        })
    }
}

/// Parses pairs of an index and a value, starting at argument `first`, as they follow the buffer's
/// id in `/b_set`.
pub(crate) fn parse_indexed(message: &OscMessage, first: usize) -> Result<Vec<(u32, f32)>> {
    let mut values = Vec::new();
    for argument in (first..message.arguments.len()).step_by(2) {
        let index = u32::try_from(message.int(argument)?)
            .map_err(|_| unexpected(message, argument, "an index of 0 or more"))?;
        values.push((index, message.float(argument + 1)?));
    }
    Ok(values)
}

/// Parses the values of one range, as in `/c_setn` and `/b_setn`. The argument `count_index` is
/// their number.
pub(crate) fn parse_range(message: &OscMessage, count_index: usize) -> Result<Vec<f32>> {
    let count = usize::try_from(message.int(count_index)?)
        .map_err(|_| unexpected(message, count_index, "a count of 0 or more"))?;
    if count > message.arguments.len() - count_index - 1 {
        return Err(unexpected(message, count_index, "at most the number of values that follow"));
    }
    (0..count).map(|index| message.float(count_index + 1 + index)).collect()
}

/// Parses pairs of a control and a value, as in `/n_set` after the node's id.
pub(crate) fn parse_controls(message: &OscMessage) -> Result<Vec<(ControlKey, f32)>> {
    let mut controls = Vec::new();
    for argument in (1..message.arguments.len()).step_by(2) {
        controls.push((parse_key(message, argument)?, message.float(argument + 1)?));
    }
    Ok(controls)
}

/// Parses a control, which is either a name or an index.
pub(crate) fn parse_key(message: &OscMessage, argument: usize) -> Result<ControlKey> {
    if let Ok(name) = message.text(argument) {
        return Ok(name.into());
    }
    match message.int(argument).map(u32::try_from) {
        Ok(Ok(index)) => Ok(ControlKey::Index(index)),
        _ => Err(unexpected(message, argument, "the name or the index of a control")),
    }
}
