//! What distinguishes the languages of scripts: how their workers are started, and what their
//! messages name.

use std::any::Any;
use std::borrow::Cow;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitStatus;

use consort_router::Problems;

use super::protocol::ScriptPart;

/// The program of a worker. The descriptor of the pipe to the instance is its last argument; the
/// pipe from the instance is its standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WorkerProgram {
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    /// The name of the process in its own arguments, in place of the program's.
    pub(crate) name: Option<&'static str>,
}

/// The settings of one instance in one language.
pub(crate) trait Language: Any + Send + Sized {
    /// The name of the language, for messages.
    const NAME: &'static str;
    /// The types of a number and of a text, as the language names them.
    const TYPES: [&'static str; 2];
    /// What to write in place of an empty channel name.
    const CHANNEL_HINT: &'static str;

    /// The instance's name.
    fn name(&self) -> &str;

    /// The folder of the configuration, absolute.
    fn directory(&self) -> &Path;

    /// The name of the default handler; empty for none.
    fn default_handler(&self) -> &str;

    /// The maximum time for one call of a handler in milliseconds; 0 for no limit.
    fn time_limit(&self) -> u32;

    /// How much memory the worker may allocate, in bytes; `u64::MAX` for no limit.
    fn memory(&self) -> u64;

    /// The program to start.
    ///
    /// # Errors
    /// When there is none: the instance fails with this reason.
    fn program(&self) -> Result<WorkerProgram, String>;

    /// What the worker loads: its own code, which the instance sends it, and the script.
    fn scripts(&self) -> Scripts<'_>;

    /// Checks the version of the interpreter that the worker reports, which is what the worker's
    /// code needs.
    ///
    /// # Errors
    /// When it is too old.
    fn check_version(&self, major: u8, minor: u8) -> Result<(), String>;

    /// The message for a program that does not complete the handshake.
    fn not_a_worker(&self, reason: &str) -> String;

    /// The program in messages.
    fn program_name(&self) -> Cow<'_, str>;

    /// What an exit status of the worker means, if the worker gives it a meaning.
    fn describe_exit(&self, status: ExitStatus) -> Option<String> {
        let _ = status;
        None
    }

    /// Whether a worker with these settings has to be replaced by one with others.
    fn needs_restart(&self, other: &Self) -> bool;

    /// Reports problems that can be found without starting a worker. `usage` has bit 0 for a
    /// source and bit 1 for a target of mappings.
    fn check(&self, channels: &[String], usage: &[u8], problems: &mut Problems);
}

/// What a worker loads.
pub(crate) struct Scripts<'a> {
    /// The worker's own code, for Python: the name and the source of each module, with a NUL
    /// between them.
    pub(crate) program: &'a str,
    /// The parts of the script, in pairs that depend on the language.
    pub(crate) modules: Vec<ScriptPart<'a>>,
}

/// A program that could not be started, in words.
pub(crate) fn describe_start_failure(program: &str, kind: io::ErrorKind, code: i32) -> String {
    if kind == io::ErrorKind::NotFound {
        return format!("cannot run `{program}`: no such program");
    }
    let reason = match code {
        0 => kind.to_string(),
        code => io::Error::from_raw_os_error(code).to_string(),
    };
    format!("cannot run `{program}`: {reason}")
}
