//! The options of an instance.

use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use consort_router::{InstanceConfig, OptionKind, OptionSpec, Problems};

use super::scan;
use super::source::{self, Source};
use super::worker::TIME_LIMIT_STATUS;
use crate::worker::program::{LUA_ARGUMENT, worker_command};
use crate::worker::protocol::{MAX_NAME_BYTES, ScriptPart};
use crate::worker::{Language, Scripts, WorkerProgram};

/// What a worker may allocate besides its script's memory, in bytes.
const WORKER_MEMORY: u64 = 64 << 20;

/// Options of `[lua NAME]`.
pub(super) const INSTANCE_OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "script",
        aliases: &["source"],
        kind: OptionKind::Path,
        repeatable: true,
        example: "chase.lua",
        documentation: "A Lua source file, relative to the configuration. May be repeated; one \
interpreter loads all files in order.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "code",
        kind: OptionKind::Checked(source::check_code),
        repeatable: true,
        example: "function fader(value) output(\"lamp\", 1 - value) end",
        documentation: "A line of Lua code, for short scripts. May be repeated, before and \
after `script`.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "default-handler",
        kind: OptionKind::Checked(handler_name),
        live: true,
        example: "handler",
        documentation: "The global function to call for every channel. If it does not exist, \
a warning is logged and no handler is called.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "time-limit",
        kind: OptionKind::Integer(1, 60_000),
        default: Some("200"),
        live: true,
        example: "50",
        documentation: "The maximum time for one call of a handler, in milliseconds. Loading a \
script may take ten times as long.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "memory",
        kind: OptionKind::Integer(1, 1 << 20),
        default: Some("256"),
        example: "512",
        documentation: "How much memory a script may use, in MiB. A script that needs more gets \
the error `not enough memory`.",
        ..OptionSpec::EMPTY
    },
];

fn handler_name(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > MAX_NAME_BYTES {
        return Err(format!("expected the name of a function, at most {MAX_NAME_BYTES} bytes"));
    }
    Ok(())
}

/// The settings of an instance.
pub(super) struct LuaSettings {
    name: String,
    /// The folder of the configuration, absolute.
    directory: PathBuf,
    scripts: Vec<Source>,
    /// The position of each script's option in the section.
    positions: Vec<usize>,
    default_handler: String,
    /// In milliseconds.
    time_limit: u32,
    /// In bytes.
    memory: u64,
}

impl LuaSettings {
    pub(super) fn new(config: InstanceConfig) -> Self {
        let options = &config.options;
        let (mut scripts, mut positions) = (Vec::new(), Vec::new());
        for (position, entry) in options.entries().iter().enumerate() {
            scripts.push(match entry.name.as_str() {
                "script" => Source::File(absolute(&entry.directory.join(&entry.value))),
                "code" => Source::Code(entry.value.clone()),
                _ => continue,
            });
            positions.push(position);
        }
        let number = |name: &str| options.integer(name).and_then(|value| u32::try_from(value).ok());
        LuaSettings {
            directory: absolute(&config.directory),
            scripts,
            positions,
            default_handler: options.text("default-handler").unwrap_or("").to_owned(),
            time_limit: number("time-limit").unwrap_or(200),
            memory: u64::from(number("memory").unwrap_or(256)) << 20,
            name: config.name,
        }
    }
}

/// A path that does not depend on the working directory; the working directory itself for an empty
/// path.
fn absolute(path: &Path) -> PathBuf {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl Language for LuaSettings {
    const NAME: &'static str = "Lua";
    const TYPES: [&'static str; 2] = ["number", "string"];
    const CHANNEL_HINT: &'static str = "write `instance.name`";

    fn name(&self) -> &str {
        &self.name
    }

    fn directory(&self) -> &Path {
        &self.directory
    }

    fn default_handler(&self) -> &str {
        &self.default_handler
    }

    fn time_limit(&self) -> u32 {
        self.time_limit
    }

    fn memory(&self) -> u64 {
        self.memory + WORKER_MEMORY
    }

    fn program(&self) -> Result<WorkerProgram, String> {
        let command = worker_command().ok_or(
            "this program cannot run Lua scripts: it calls neither \
             `consort_backends::worker::serve_if_worker` nor `set_worker_command`",
        )?;
        let mut arguments = command.arguments.clone();
        arguments.push(LUA_ARGUMENT.into());
        Ok(WorkerProgram { program: command.program.clone(), arguments, name: Some("consort") })
    }

    fn scripts(&self) -> Scripts<'_> {
        let mut modules: Vec<ScriptPart<'_>> = Vec::new();
        for source in &self.scripts {
            modules.push(match source {
                Source::File(path) => {
                    (Cow::Borrowed(b"file"), Cow::Borrowed(path.as_os_str().as_bytes()))
                }
                Source::Code(code) => (Cow::Borrowed(b"code"), Cow::Borrowed(code.as_bytes())),
            });
        }
        let memory = self.memory.to_string().into_bytes();
        modules.push((Cow::Borrowed(b"memory"), Cow::Owned(memory)));
        Scripts { program: "", modules }
    }

    fn check_version(&self, _: u8, _: u8) -> Result<(), String> {
        Ok(())
    }

    fn not_a_worker(&self, reason: &str) -> String {
        format!("`{}` does not run as a worker for Lua: {reason}", self.program_name())
    }

    fn program_name(&self) -> Cow<'_, str> {
        worker_command().map_or("".into(), |command| command.program.to_string_lossy())
    }

    fn describe_exit(&self, status: ExitStatus) -> Option<String> {
        if status.code() == Some(TIME_LIMIT_STATUS) {
            return Some("its process was ended because a call exceeded `time-limit`".into());
        }
        let has_aborted = status.signal() == Some(libc::SIGABRT);
        has_aborted.then(|| "its process aborted (SIGABRT): it may be out of memory".into())
    }

    fn needs_restart(&self, other: &LuaSettings) -> bool {
        self.directory != other.directory
            || self.scripts != other.scripts
            || self.memory != other.memory
    }

    fn check(&self, channels: &[String], usage: &[u8], problems: &mut Problems) {
        for (script, &position) in self.scripts.iter().zip(&self.positions) {
            if let Err(message) = script.check() {
                let problem = problems.error(Some(position), &message);
                if let Some(hint) = source::version_hint(&message, script) {
                    problem.hint(hint);
                }
            }
        }
        if self.default_handler.is_empty() && problems.is_ok() {
            scan::check(&self.scripts, channels, usage, problems);
        }
    }
}
