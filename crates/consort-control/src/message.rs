//! Requests and answers.

use serde::{Deserialize, Serialize};

use crate::edit::{Edit, Edited, Files};

/// A request of a client; one a line.
///
/// Requests that use the numbers of a layout name its `generation`. When the show was reloaded
/// since, they are answered with [`Answer::Stale`] and have no effect.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Asks for the version and the generation: [`Answer::Hello`].
    Hello {
        /// The newest version that the client supports.
        version: u32,
    },
    /// Asks for what does not change within a generation: [`Answer::Layout`].
    Layout,
    /// Asks for everything that changes: [`Answer::Reading`].
    Read {
        /// The generation of the layout that the client has.
        generation: u64,
        /// The number of the first log line to return.
        log_from: u64,
    },
    /// Asks for changes as they happen: [`Answer::Subscribed`], then [`Answer::Delta`] until
    /// [`Request::Unsubscribe`], a newer `Subscribe`, or a reload.
    Subscribe {
        /// The generation of the layout that the client has.
        generation: u64,
        /// The shortest time between two deltas in milliseconds, from 20 to 10,000. A client that
        /// reads more slowly gets fewer, newer ones.
        interval_ms: u32,
        /// The number of the first log line to send.
        log_from: u64,
        /// Whether to send unmatched input, too.
        #[serde(default)]
        unmatched: bool,
    },
    /// Ends a subscription: [`Answer::Done`].
    Unsubscribe,
    /// Asks for the last inputs of an instance that belong to no mapped channel:
    /// [`Answer::Unmatched`].
    Unmatched {
        /// The generation of the layout that the client has.
        generation: u64,
        /// The instance's number in the layout.
        instance: u32,
    },
    /// Asks for the raw values that arrived at mapped channels of an instance: [`Answer::Inputs`].
    Inputs {
        /// The generation of the layout that the client has.
        generation: u64,
        /// The instance's number in the layout.
        instance: u32,
        /// The first channel's number in the instance; the answer covers at most 256 channels.
        #[serde(default)]
        first: u32,
    },
    /// Asks what keeps an instance or a channel from working, and what to do: [`Answer::Why`].
    Why {
        /// The generation of the layout that the client has.
        generation: u64,
        /// The instance's number in the layout.
        instance: u32,
        /// The channel's number in the instance; `None` for the whole instance.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channel: Option<u32>,
    },
    /// Asks for the last value and text of a channel: [`Answer::Value`].
    Get {
        /// The generation of the layout that the client has.
        generation: u64,
        /// The instance's number in the layout.
        instance: u32,
        /// The channel's number in the instance.
        channel: u32,
    },
    /// Sets a channel: [`Answer::Done`]. A target gets the value delivered as a mapping would; a
    /// source emits it as if it had arrived there.
    Set {
        /// The generation of the layout that the client has.
        generation: u64,
        /// The instance's number in the layout.
        instance: u32,
        /// The channel's number in the instance.
        channel: u32,
        /// What to send.
        content: Content,
        /// For a channel that is both source and target: which of them to set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        direction: Option<Direction>,
    },
    /// Asks what mappings are doing: [`Answer::Routes`].
    Routes {
        /// The generation of the layout that the client has.
        generation: u64,
        /// The number of the first one in [`Layout::routes`]; the answer covers at most 1,024.
        #[serde(default)]
        first: u32,
    },
    /// Mutes, soloes or freezes a mapping, or ends that: [`Answer::Done`].
    ControlRoute {
        /// The generation of the layout that the client has.
        generation: u64,
        /// The mapping's number in [`Layout::routes`].
        route: u32,
        /// What to do.
        control: RouteControl,
        /// Whether to begin or to end it.
        on: bool,
    },
    /// Makes a layer the active one of its group, or switches a layer without a group on or off:
    /// [`Answer::Done`].
    SwitchLayer {
        /// The generation of the layout that the client has.
        generation: u64,
        /// The layer's number in [`Layout::layers`].
        layer: u32,
        /// Whether to switch it on. A layer of a group is switched off by another one.
        on: bool,
    },
    /// Closes all mappings, so that the outputs keep their values, or opens them again:
    /// [`Answer::Done`]. The release of a press that began before passes still, and so does what
    /// [`Request::Set`] sends to a target.
    Hold {
        /// Whether to begin or to end it.
        on: bool,
    },
    /// Ends everything that sounds or is held at the receivers; lights keep their levels:
    /// [`Answer::Done`].
    Panic,
    /// Replaces the configuration of the show: [`Answer::Reloaded`] when that is done, or
    /// [`Answer::Rejected`] when the configuration has errors.
    Reload(ReloadRequest),
    /// Asks for the files of the configuration and their mappings: [`Answer::Files`].
    Files,
    /// Changes the files of the configuration: [`Answer::Edited`].
    Edit {
        /// The version of the files that the client has, from [`Files`] or [`Edited`].
        version: String,
        /// What to change, in this order.
        edits: Vec<Edit>,
        /// Whether to write the files, if the configuration has no errors after the change;
        /// otherwise it is only checked.
        #[serde(default)]
        save: bool,
        /// Whether to load the change into the running show, saved or not, if it has no errors.
        #[serde(default)]
        apply: bool,
    },
    /// Writes the files as they were before the last saved [`Request::Edit`]: [`Answer::Edited`].
    UndoEdit,
}

/// Which configuration to load, see [`Request::Reload`]; by default, that of the files.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct ReloadRequest {
    /// Texts that are not saved: they count instead of the contents of these files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<FileText>,
    /// Return to the configuration that ran before the last reload.
    #[serde(default, skip_serializing_if = "is_false")]
    pub back: bool,
    /// Change nothing; answer what would happen.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
}

/// The text of a configuration file.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct FileText {
    /// The path; a relative one starts in the folder in which the show was started.
    pub path: String,
    /// The whole text.
    pub text: String,
}

/// What a view can do with a mapping.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteControl {
    /// It passes nothing on.
    Mute,
    /// All mappings that are not soloed pass nothing on.
    Solo,
    /// It passes nothing on, and its target keeps what it contributes.
    Freeze,
}

/// What a channel carries.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A value from 0.0 to 1.0; others are an error.
    Value(f64),
    /// A text of at most 1,024 bytes.
    Text(String),
}

/// How to set a channel that is both source and target.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Emit the value: it goes to the channel's targets.
    Source,
    /// Deliver the value to the channel.
    Target,
}

/// An answer of a show; one a line. Answers come in the order of the requests; deltas come
/// between them.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To [`Request::Hello`].
    Hello {
        /// The version that the show supports.
        version: u32,
        /// The generation of its layout.
        generation: u64,
        /// The path of the configuration.
        show: String,
        /// The id of the process that runs it.
        process: u32,
    },
    /// To [`Request::Layout`].
    Layout(Layout),
    /// To [`Request::Read`].
    Reading(Reading),
    /// To [`Request::Subscribe`].
    Subscribed {
        /// The interval in milliseconds, within the limits.
        interval_ms: u32,
    },
    /// A change, while a subscription lasts.
    Delta(Delta),
    /// To [`Request::Unmatched`], the newest first.
    Unmatched(Vec<UnmatchedReading>),
    /// To [`Request::Inputs`].
    Inputs(Vec<InputReading>),
    /// To [`Request::Why`].
    Why(Vec<Finding>),
    /// To [`Request::Routes`], from the first one on.
    Routes(Vec<RouteReading>),
    /// To [`Request::Get`].
    Value {
        /// The last value; none before the first.
        value: Option<f64>,
        /// How many values there were.
        count: u64,
        /// The last text; none before the first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// To [`Request::Reload`].
    Reloaded(Reloaded),
    /// To [`Request::Reload`], when the configuration has errors: nothing was changed.
    Rejected(Rejected),
    /// To [`Request::Files`].
    Files(Files),
    /// To [`Request::Edit`] and [`Request::UndoEdit`].
    Edited(Edited),
    /// To requests that have been carried out.
    Done,
    /// To a request of an older generation: it had no effect. A subscription has ended.
    Stale {
        /// The current generation; ask for its layout.
        generation: u64,
    },
    /// To an invalid request, to one that cannot be carried out, and to a client above the limit
    /// of clients.
    Error(String),
}

/// What does not change within a generation.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Layout {
    /// Counts the layouts of a show; a reload makes the next one.
    pub generation: u64,
    /// The path of the configuration.
    pub show: String,
    /// The id of the process that runs it.
    pub process: u32,
    /// In the order of the configuration.
    pub instances: Vec<LayoutInstance>,
    /// The routes of all mappings, in the order of their sources.
    #[serde(default)]
    pub routes: Vec<LayoutRoute>,
    /// The layers, in the order of the configuration.
    #[serde(default)]
    pub layers: Vec<LayoutLayer>,
}

/// An instance and its channels.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct LayoutInstance {
    /// Its name in the configuration.
    pub name: String,
    /// The name of its backend.
    pub backend: String,
    /// Its mapped channels, in the order of their numbers.
    pub channels: Vec<LayoutChannel>,
}

/// A mapped channel.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct LayoutChannel {
    /// The channel as the configuration spells it.
    pub name: String,
    /// Whether a mapping reads it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub source: bool,
    /// Whether a mapping writes it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub target: bool,
    /// How its values behave.
    #[serde(default, skip_serializing_if = "Kind::is_default")]
    pub kind: Kind,
    /// The number of values that it distinguishes; `None` if it is continuous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
}

pub(crate) fn is_false(flag: &bool) -> bool {
    !flag
}

/// How the values of a channel behave.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A key or button: pressed above 0.
    Momentary,
    /// A fader or level that keeps its position.
    #[default]
    Absolute,
    /// An encoder that sends steps.
    Relative,
}

impl Kind {
    fn is_default(&self) -> bool {
        *self == Kind::default()
    }
}

/// One source and target.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct LayoutRoute {
    /// Instance and channel.
    pub source: (u32, u32),
    /// Instance and channel.
    pub target: (u32, u32),
    /// The stages as the configuration has them; empty when there are none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stages: String,
    /// The number of its layer; `None` if it is always active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<u32>,
}

/// A layer of mappings.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct LayoutLayer {
    /// Its name.
    pub name: String,
    /// Its group; layers of one group exclude each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// Everything that changes while a show runs.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Reading {
    /// Seconds since the start of the show.
    pub seconds: f64,
    /// False once the router has left its loop.
    pub running: bool,
    /// In the layout's order.
    pub instances: Vec<InstanceReading>,
    /// Last value and number of values of every channel, in the layout's order.
    pub values: Vec<(f64, u64)>,
    /// Numbers of the active layers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<u32>,
    /// Whether all mappings are closed, see [`Request::Hold`].
    #[serde(default, skip_serializing_if = "is_false")]
    pub holding: bool,
    /// Log lines from the requested number on, as far as they are kept.
    pub log: Vec<String>,
    /// The number of the next line.
    pub log_next: u64,
}

/// What has changed since the last delta, or since the subscription.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Delta {
    /// Seconds since the start of the show.
    pub seconds: f64,
    /// False once the router has left its loop.
    pub running: bool,
    /// Number and reading of each instance that changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<(u32, InstanceReading)>,
    /// Index in the order of the layout's channels, last value and number of values of each
    /// channel that changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<(u32, f64, u64)>,
    /// Instance, channel and last text of each channel that got one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<(u32, u32, String)>,
    /// Number and newest inputs of each instance that got unmatched input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmatched: Vec<(u32, Vec<UnmatchedReading>)>,
    /// Numbers of the active layers, if that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<u32>>,
    /// Whether all mappings are closed, if that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holding: Option<bool>,
    /// New log lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// The number of the next line.
    pub log_next: u64,
}

/// An instance's state and its counters since the start.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct InstanceReading {
    /// `starting`, `up`, `degraded`, `waiting`, `failed` or `stopped`.
    pub state: String,
    /// The reason of `degraded`, `waiting` and `failed`, in one line.
    pub reason: Option<String>,
    /// Values that came in through it.
    pub incoming: u64,
    /// Values that went out through it.
    pub outgoing: u64,
    /// Values that it, or its queue, dropped.
    pub dropped: u64,
    /// Errors of this instance.
    pub errors: u64,
    /// Received datagrams that the kernel dropped, because the receive buffer was full.
    #[serde(default)]
    pub lost: u64,
    /// Sent datagrams for which a host reported that nobody takes them.
    #[serde(default)]
    pub refused: u64,
    /// What the instance reports beside its state, such as a source that it has lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Packets, messages or frames that arrived, matched or not.
    #[serde(default)]
    pub packets: u64,
    /// Seconds from the start of the show to the last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_input: Option<f64>,
    /// Inputs that belonged to no mapped channel.
    #[serde(default)]
    pub unmatched: u64,
    /// What it reports about itself besides its state, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
}

/// Input that belongs to no mapped channel.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct UnmatchedReading {
    /// The channel as one would write it in `[map]` after `INSTANCE.`.
    pub channel: String,
    /// The types in the protocol's notation, such as `f` or `si` for OSC.
    pub types: String,
    /// The last raw value, as text.
    pub raw: String,
    /// The lowest and highest raw number so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(f64, f64)>,
    /// The last value scaled to 0.0–1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Who sent it; empty when unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sender: String,
    /// How many times it arrived.
    pub count: u64,
    /// Seconds from the start of the show to the last one.
    pub last: f64,
    /// Name and value of the option that scales the range of raw numbers to 0.0–1.0; `None` if the
    /// backend scales it without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub option: Option<(String, String)>,
}

/// The raw values that arrived at a mapped channel.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct InputReading {
    /// The channel's number in the instance.
    pub channel: u32,
    /// The type of the last value in the protocol's notation, such as `f` for OSC.
    pub types: String,
    /// The last raw value, as text.
    pub raw: String,
    /// The lowest and highest raw number so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(f64, f64)>,
    /// The raw numbers that are scaled to 0.0 and 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<(f64, f64)>,
}

/// What a mapping is doing.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct RouteReading {
    /// Its number in [`Layout::routes`].
    pub route: u32,
    /// The last value of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<f64>,
    /// Its last value at the target. Mappings without stages pass the raw value on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// While a takeover waits: the way from the source to the target's value. Positive when the
    /// source has to go up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<f64>,
    /// It passes nothing on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub muted: bool,
    /// Others pass nothing on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub soloed: bool,
    /// Its target keeps its value.
    #[serde(default, skip_serializing_if = "is_false")]
    pub frozen: bool,
}

/// What keeps an instance or a channel from working, or how far a value came.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Finding {
    /// The kind of the finding, such as `nothing-arrived` or `left`.
    pub code: String,
    /// The channel that it concerns, as `INSTANCE.CHANNEL`; `None` for the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// What was found, in one sentence.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether it keeps something from working.
    #[serde(default, skip_serializing_if = "is_false")]
    pub problem: bool,
}

/// What a reload has changed, or would change.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Reloaded {
    /// The generation of the layout now.
    pub generation: u64,
    /// Whether nothing was changed, because that was asked for.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// Instances that keep running.
    pub adopted: Vec<String>,
    /// Instances that are stopped and opened again.
    pub restarted: Vec<Restarted>,
    /// Instances that are new.
    pub opened: Vec<String>,
    /// Instances that are removed.
    pub closed: Vec<String>,
    /// Mappings that are new, as `SOURCE > TARGET`.
    pub added_mappings: Vec<String>,
    /// Mappings that are removed.
    pub removed_mappings: Vec<String>,
    /// For how long nothing was routed, in milliseconds.
    #[serde(default)]
    pub pause_ms: f64,
    /// Warnings about the configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<DiagnosticReading>,
    /// The warnings as text, with excerpts of the files.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// An instance that a reload restarts.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Restarted {
    /// Its name.
    pub name: String,
    /// Why it cannot keep running.
    pub reason: String,
}

/// Why a configuration was rejected.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// Errors and warnings, in the order of the text.
    pub diagnostics: Vec<DiagnosticReading>,
    /// How many more there are than are listed.
    #[serde(default)]
    pub not_listed: usize,
    /// The diagnostics as text, with excerpts of the files.
    pub text: String,
}

/// An error of a configuration, or a warning.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct DiagnosticReading {
    /// `error` or `warning`.
    pub severity: String,
    /// A stable name for this kind of problem, such as `unknown-option`.
    pub code: String,
    /// What is wrong, in one sentence.
    pub message: String,
    /// The file, as the configuration names it; `None` when there is no text to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1.
    #[serde(default)]
    pub line: usize,
    /// The character in the line, from 1.
    #[serde(default)]
    pub column: usize,
    /// The line of the end.
    #[serde(default)]
    pub end_line: usize,
    /// The column after the last character.
    #[serde(default)]
    pub end_column: usize,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// A line is not a message of this protocol.
#[derive(Debug, thiserror::Error)]
#[error("invalid {what}: {source}")]
pub struct DecodeError {
    what: &'static str,
    source: serde_json::Error,
}

impl Request {
    /// The line, with its end.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a line without its end.
    ///
    /// # Errors
    /// When it is not a request.
    pub fn decode(line: &[u8]) -> Result<Self, DecodeError> {
        serde_json::from_slice(line).map_err(|source| DecodeError { what: "request", source })
    }

    /// The generation that the request names.
    pub fn generation(&self) -> Option<u64> {
        match self {
            Request::Read { generation, .. }
            | Request::Subscribe { generation, .. }
            | Request::Unmatched { generation, .. }
            | Request::Inputs { generation, .. }
            | Request::Why { generation, .. }
            | Request::Get { generation, .. }
            | Request::Routes { generation, .. }
            | Request::ControlRoute { generation, .. }
            | Request::SwitchLayer { generation, .. }
            | Request::Set { generation, .. } => Some(*generation),
            Request::Hello { .. }
            | Request::Layout
            | Request::Unsubscribe
            | Request::Hold { .. }
            | Request::Panic
            | Request::Reload(_)
            | Request::Files
            | Request::Edit { .. }
            | Request::UndoEdit => None,
        }
    }
}

impl Answer {
    /// The line, with its end.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a line without its end.
    ///
    /// # Errors
    /// When it is not an answer.
    pub fn decode(line: &[u8]) -> Result<Self, DecodeError> {
        serde_json::from_slice(line).map_err(|source| DecodeError { what: "answer", source })
    }
}

fn encode(message: &impl Serialize) -> Vec<u8> {
    // Serialization fails only for maps whose keys are not strings; these messages have none.
    let mut line = serde_json::to_vec(message).expect("messages are JSON");
    line.push(b'\n');
    line
}
