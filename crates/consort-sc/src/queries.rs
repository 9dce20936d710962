//! Typed records of what a server answers, and their parsing.

use consort_osc::OscMessage;

use crate::error::Result;
use crate::values::ControlKey;
use crate::wire::{Arguments, unexpected};

/// `/status.reply`: what the server is busy with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StatusInfo {
    /// UGens.
    pub ugen_count: i32,
    /// Synths.
    pub synth_count: i32,
    /// Groups.
    pub group_count: i32,
    /// Loaded SynthDefs.
    pub synthdef_count: i32,
    /// Average load in percent.
    pub average_cpu_usage: f32,
    /// Peak load in percent.
    pub peak_cpu_usage: f32,
    /// The sample rate that was asked for, in hertz.
    pub target_sample_rate: f64,
    /// The sample rate that is measured, in hertz.
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

/// `/version.reply`: which program answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionInfo {
    /// `scsynth` or `supernova`.
    pub program: String,
    /// Major version.
    pub major: i32,
    /// Minor version.
    pub minor: i32,
    /// The rest of the version, as `.0`.
    pub patch: String,
    /// Git branch, if the program knows it.
    pub branch: String,
    /// Git commit, if the program knows it.
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
    /// Frames; 0 if the buffer does not exist.
    pub frame_count: i32,
    /// Channels.
    pub channel_count: i32,
    /// Frames a second.
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

/// `/n_info` and the notifications `/n_go`, `/n_end`, `/n_move`, `/n_on`, `/n_off`: where a
/// node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// The node's id.
    pub id: i32,
    /// The group it is in; `None` for the root node.
    pub parent_id: Option<i32>,
    /// Whether its group keeps no order among its nodes (supernova's parallel groups).
    pub is_unordered: bool,
    /// The node before it.
    pub previous_id: Option<i32>,
    /// The node after it.
    pub next_id: Option<i32>,
    /// Whether it is a group.
    pub is_group: bool,
    /// The first node in it.
    pub head_id: Option<i32>,
    /// The last node in it.
    pub tail_id: Option<i32>,
}

impl NodeInfo {
    pub(crate) fn parse(message: &OscMessage) -> Result<Self> {
        let id_at = |index: usize| -> Result<Option<i32>> {
            message.int(index).map(|id| (id >= 0).then_some(id))
        };
        let is_group = message.int(4)? == 1;
        let ends =
            |index: usize| if message.arguments.len() > index { id_at(index) } else { Ok(None) };
        Ok(Self {
            id: message.int(0)?,
            parent_id: id_at(1)?,
            is_unordered: message.int(2)? == -2,
            previous_id: id_at(2)?,
            next_id: id_at(3)?,
            is_group,
            head_id: if is_group { ends(5)? } else { None },
            tail_id: if is_group { ends(6)? } else { None },
        })
    }
}

/// `/fail`: what the server did not do, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct FailInfo {
    /// The address of the request.
    pub command: String,
    /// The server's reason.
    pub reason: String,
    /// What else the server said.
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

/// Indices and values, as in `/b_set` after the buffer's id.
pub(crate) fn parse_indexed(message: &OscMessage, from: usize) -> Result<Vec<(u32, f32)>> {
    let mut values = Vec::new();
    let mut at = from;
    while at < message.arguments.len() {
        let index = u32::try_from(message.int(at)?)
            .map_err(|_| unexpected(message, at, "an index of 0 or more"))?;
        values.push((index, message.float(at + 1)?));
        at += 2;
    }
    Ok(values)
}

/// The values of one range, as in `/c_setn` and `/b_setn`; `count_at` is where the count stands.
pub(crate) fn parse_range(message: &OscMessage, count_at: usize) -> Result<Vec<f32>> {
    let count = usize::try_from(message.int(count_at)?)
        .map_err(|_| unexpected(message, count_at, "a count of 0 or more"))?;
    if count > message.arguments.len() - count_at - 1 {
        return Err(unexpected(message, count_at, "a count of the values that follow"));
    }
    (0..count).map(|index| message.float(count_at + 1 + index)).collect()
}

/// Controls and values, as in `/n_set` after the node's id.
pub(crate) fn parse_controls(message: &OscMessage) -> Result<Vec<(ControlKey, f32)>> {
    let mut controls = Vec::new();
    let mut at = 1;
    while at < message.arguments.len() {
        controls.push((parse_key(message, at)?, message.float(at + 1)?));
        at += 2;
    }
    Ok(controls)
}

pub(crate) fn parse_key(message: &OscMessage, at: usize) -> Result<ControlKey> {
    if let Ok(name) = message.text(at) {
        return Ok(name.into());
    }
    match message.int(at).map(u32::try_from) {
        Ok(Ok(index)) => Ok(ControlKey::Index(index)),
        _ => Err(unexpected(message, at, "the name or the index of a control")),
    }
}
