//! What a server prints, parsed once.
//!
//! A server reports some failures only as text: it answers `/done /d_recv` for a SynthDef that it
//! refused, and prints the cause. The forms are those of scsynth and supernova 3.13.

use std::fmt;

/// Why a server refused a SynthDef.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalCause {
    /// The server has no UGen of this class: its plugin is not installed.
    MissingUGen(String),
    /// The SynthDef needs more wire buffers than the server has
    /// ([`Options::wire_buffer_count`](crate::Options)).
    TooFewWireBuffers,
    /// Another cause, in the server's words.
    Other(String),
    /// The server did not print a cause that this client can read. A server that another program
    /// started prints it there.
    Unknown,
}

impl RefusalCause {
    /// The cause in the words of the server's exception.
    fn parse(text: &str) -> Self {
        let text = text.trim().trim_end_matches('.');
        let quoted =
            text.strip_prefix("UGen '").and_then(|rest| rest.strip_suffix("' not installed"));
        let unquoted = text
            .strip_prefix("Unit generator ")
            .and_then(|rest| rest.strip_suffix(" not installed"));
        match quoted.or(unquoted) {
            Some(name) => RefusalCause::MissingUGen(name.to_owned()),
            None if text == "exceeded number of interconnect buffers" => {
                RefusalCause::TooFewWireBuffers
            }
            None => RefusalCause::Other(text.to_owned()),
        }
    }
}

impl fmt::Display for RefusalCause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RefusalCause::MissingUGen(name) => write!(
                formatter,
                "the server has no UGen `{name}`; install the plugin that contains it"
            ),
            RefusalCause::TooFewWireBuffers => formatter.write_str(
                "it needs more wire buffers than the server has; start the server with more of them",
            ),
            RefusalCause::Other(text) => formatter.write_str(text),
            RefusalCause::Unknown => formatter.write_str(
                "the output of the server contains the cause, such as a plugin that is not \
                 installed",
            ),
        }
    }
}

/// A SynthDef that a server refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SynthDefRefusal {
    /// The name of the SynthDef, or the path of its file; `None` if neither is known.
    pub name: Option<String>,
    /// Why it was refused.
    pub cause: RefusalCause,
}

impl fmt::Display for SynthDefRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(formatter, "the server refused the SynthDef `{name}`: ")?,
            None => formatter.write_str("the server refused a SynthDef: ")?,
        }
        self.cause.fmt(formatter)
    }
}

/// The meaning of a line that a server printed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrintedLine {
    /// The server is ready for requests.
    Ready,
    /// The server refused a SynthDef. supernova prints its name, scsynth does not.
    SynthDefRefused(SynthDefRefusal),
    /// A request named a SynthDef that the server does not have.
    SynthDefMissing(String),
    /// A request failed; the server also sends `/fail`.
    RequestFailed {
        /// The command.
        command: String,
        /// The reason.
        reason: String,
    },
    /// A file cannot be opened.
    FileNotOpened(String),
    /// Another failure or warning.
    Complaint(String),
    /// Values of a `Poll`, counts of plugins, and all other text that reports no failure.
    Text(String),
}

/// What scsynth prints, without an end of line, after the exception of a SynthDef file. The next
/// line follows directly.
const FILE_PREFIX: &str = "while reading file: '";

/// Words in lines that report failures or warnings of UGens, plugins, the sound system or libraries.
const COMPLAINTS: [&str; 14] = [
    "alloc failed",
    "allocation failed",
    "cannot ",
    "can't ",
    "corrupt",
    "could not",
    "couldn't",
    "error",
    "exception",
    "failure",
    "invalid ",
    "not found",
    "not initialised",
    "warning",
];

impl PrintedLine {
    /// Parses one line without its end.
    pub fn parse(line: &str) -> Self {
        let mut line = line;
        while let Some(rest) = line.strip_prefix(FILE_PREFIX)
            && let Some((_, rest)) = rest.split_once('\'')
        {
            line = rest;
        }
        let refused = |name: Option<&str>, cause: &str| {
            let name = name.map(str::to_owned);
            PrintedLine::SynthDefRefused(SynthDefRefusal {
                name,
                cause: RefusalCause::parse(cause),
            })
        };
        for prefix in ["exception in GraphDef_Recv: ", "exception in GraphDef_Load: "] {
            if let Some(cause) = line.strip_prefix(prefix) {
                return refused(None, cause);
            }
        }
        if let Some(rest) = line.strip_prefix("exception in GrafDef_Load: ") {
            return refused(None, rest);
        }
        if let Some(rest) = line.strip_prefix("ERROR: Could not add SynthDef") {
            return refused(None, rest.trim_start_matches([':', ' ']));
        }
        if let Some(rest) = line.strip_prefix("Exception when reading synthdef: ") {
            return match rest
                .strip_prefix("Cannot load synth ")
                .and_then(|rest| rest.split_once(": "))
            {
                Some((name, cause)) => refused(Some(name), cause),
                None => refused(None, rest),
            };
        }
        if let Some(name) = line
            .strip_prefix("*** ERROR: SynthDef ")
            .and_then(|rest| rest.strip_suffix(" not found"))
        {
            return PrintedLine::SynthDefMissing(name.to_owned());
        }
        if let Some(rest) = line.strip_prefix("FAILURE IN SERVER") {
            let rest = rest.trim_start_matches([':', ' ']);
            let (command, reason) = rest.split_once(' ').unwrap_or((rest, ""));
            return PrintedLine::RequestFailed { command: command.into(), reason: reason.into() };
        }
        if let Some(path) =
            line.strip_prefix("File '").and_then(|rest| rest.split_once("' could not be opened"))
        {
            return PrintedLine::FileNotOpened(path.0.to_owned());
        }
        if line.contains("SuperCollider 3 server ready") || line.contains("Supernova ready") {
            return PrintedLine::Ready;
        }
        // The label of a `Poll` may be any text, but a number follows it.
        let is_poll = line.rsplit_once(": ").is_some_and(|(_, value)| value.parse::<f64>().is_ok());
        let lower = line.to_ascii_lowercase();
        if !is_poll && COMPLAINTS.iter().any(|word| lower.contains(word)) {
            return PrintedLine::Complaint(line.to_owned());
        }
        PrintedLine::Text(line.to_owned())
    }

    /// Whether the line reports a failure or a warning.
    pub fn is_failure(&self) -> bool {
        !matches!(self, PrintedLine::Ready | PrintedLine::Text(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: Option<&str>, cause: RefusalCause) -> PrintedLine {
        PrintedLine::SynthDefRefused(SynthDefRefusal { name: name.map(str::to_owned), cause })
    }

    #[test]
    fn refused_synthdefs_are_parsed_with_their_causes() {
        let missing = RefusalCause::MissingUGen("NoSuchUGen".into());
        for (line, expected) in [
            (
                "exception in GraphDef_Recv: UGen 'NoSuchUGen' not installed.",
                refusal(None, missing.clone()),
            ),
            (
                "while reading file: '/a/b.scsyndef'exception in GraphDef_Load: UGen 'NoSuchUGen' \
                 not installed.",
                refusal(None, missing.clone()),
            ),
            (
                "exception in GraphDef_Recv: exceeded number of interconnect buffers.",
                refusal(None, RefusalCause::TooFewWireBuffers),
            ),
            (
                "Exception when reading synthdef: Cannot load synth odd: Unit generator NoSuchUGen \
                 not installed",
                refusal(Some("odd"), missing),
            ),
            (
                "Exception when reading synthdef: corrupted synthdef",
                refusal(None, RefusalCause::Other("corrupted synthdef".into())),
            ),
            (
                "exception in GraphDef_Recv: name too long (> 31 chars): inOsc",
                refusal(None, RefusalCause::Other("name too long (> 31 chars): inOsc".into())),
            ),
            (
                "exception in GrafDef_Load: wrong file",
                refusal(None, RefusalCause::Other("wrong file".into())),
            ),
        ] {
            assert_eq!(PrintedLine::parse(line), expected, "{line}");
        }
        let text = SynthDefRefusal {
            name: Some("odd".into()),
            cause: RefusalCause::MissingUGen("NoSuchUGen".into()),
        };
        assert_eq!(
            text.to_string(),
            "the server refused the SynthDef `odd`: the server has no UGen `NoSuchUGen`; install \
             the plugin that contains it"
        );
    }

    #[test]
    fn failures_are_parsed_and_harmless_lines_are_text() {
        let failed = |command: &str, reason: &str| PrintedLine::RequestFailed {
            command: command.into(),
            reason: reason.into(),
        };
        for (line, expected) in [
            (
                "*** ERROR: SynthDef one two not found",
                PrintedLine::SynthDefMissing("one two".into()),
            ),
            ("FAILURE IN SERVER /s_new SynthDef not found", failed("/s_new", "SynthDef not found")),
            ("FAILURE IN SERVER: /nope Command not found", failed("/nope", "Command not found")),
            (
                "while reading file: '/a.scsyndef'File '/a.scsyndef' could not be opened",
                PrintedLine::FileNotOpened("/a.scsyndef".into()),
            ),
            (
                "File '/nope.wav' could not be opened: System error : No such file or directory.",
                PrintedLine::FileNotOpened("/nope.wav".into()),
            ),
            ("SuperCollider 3 server ready.", PrintedLine::Ready),
            ("Supernova ready", PrintedLine::Ready),
        ] {
            assert_eq!(PrintedLine::parse(line), expected, "{line}");
        }
        for line in [
            "DelayN: alloc failed, increase server's RT memory (e.g. via ServerOptions)",
            "FFT Ctor error: Buffer 3 not initialised.",
            "warning: LocalBuf tried to allocate too many local buffers.",
            "could not initialize audio.",
        ] {
            assert_eq!(PrintedLine::parse(line), PrintedLine::Complaint(line.into()));
            assert!(PrintedLine::parse(line).is_failure());
        }
        for line in [
            "Found 0 LADSPA plugins",
            "poll: 440",
            "error signal: -0.25",
            "failure count: nan",
            "JackDriver: client name is 'SuperCollider'",
            "nextOSCPacket 0",
            "",
        ] {
            assert_eq!(PrintedLine::parse(line), PrintedLine::Text(line.into()));
            assert!(!PrintedLine::parse(line).is_failure());
        }
    }
}
