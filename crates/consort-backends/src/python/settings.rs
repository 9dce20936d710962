//! The options of the backend and its instances.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use consort_router::options::OptionEntry;
use consort_router::{InstanceConfig, OptionKind, OptionSpec, Options, Problems};

use super::scan;
use crate::worker::protocol::MAX_NAME_BYTES;
use crate::worker::{Language, Scripts, WorkerProgram};

const BOOT: &str = include_str!("boot.py");

/// Joins modules: the name and the source of each, with a NUL between them.
macro_rules! join {
    ($first:literal $(, $name:literal)*) => {
        concat!(
            $first, "\0", include_str!(concat!("worker/", $first, ".py"))
            $(, "\0", $name, "\0", include_str!(concat!("worker/", $name, ".py")))*
        )
    };
}

/// The worker's package, each module after those that it imports.
const PROGRAM: &str = join!(
    "protocol",
    "checks",
    "intervals",
    "sockets",
    "script",
    "loader",
    "link",
    "faults",
    "functions",
    "loop"
);

/// The oldest version of Python that the worker's program supports.
const OLDEST_PYTHON: (u8, u8) = (3, 8);

const INTERPRETER: OptionSpec = OptionSpec {
    name: "python",
    kind: OptionKind::Checked(not_empty),
    default: Some("python3"),
    example: "venv",
    documentation: "\
The interpreter, CPython 3.8 or newer: a command that is looked up in `PATH`, the path of an \
executable, or the folder of a virtual environment. Paths are relative to the folder of the \
configuration.",
    ..OptionSpec::EMPTY
};

const MEMORY: OptionSpec = OptionSpec {
    name: "memory",
    kind: OptionKind::Integer(0, 1 << 30),
    example: "512",
    documentation: "\
How much memory an interpreter may allocate, in MiB; a script that needs more gets a \
`MemoryError`. 0 means no limit. Without this option the limit is half of the machine's memory.",
    ..OptionSpec::EMPTY
};

/// Options of `[backend python]`: the defaults of all instances.
///
/// They are `live`, since a change restarts only the instances that do not set the option; see
/// [`Language::needs_restart`].
pub(crate) const BACKEND_OPTIONS: &[OptionSpec] =
    &[OptionSpec { live: true, ..INTERPRETER }, OptionSpec { live: true, ..MEMORY }];

/// Options of `[python NAME]`.
pub(crate) const INSTANCE_OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "module",
        kind: OptionKind::Checked(not_empty),
        repeatable: true,
        example: "my_handlers",
        documentation: "\
A module to import: its name (`my_handlers`, `package.module`), or the path of its source file, \
relative to the configuration's folder (`my_handlers.py`, `scripts/lights.py`). Its handlers are \
the channels `my_handlers.FUNCTION`.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "default-handler",
        kind: OptionKind::Checked(handler_name),
        live: true,
        example: "my_handlers.default",
        documentation: "\
The function that handles the values of all channels whose names have no dot.",
        ..OptionSpec::EMPTY
    },
    OptionSpec { default: None, ..INTERPRETER },
    MEMORY,
];

fn not_empty(text: &str) -> Result<(), String> {
    if text.is_empty() { Err("expected a name or a path".into()) } else { Ok(()) }
}

fn handler_name(text: &str) -> Result<(), String> {
    if text.len() > MAX_NAME_BYTES {
        return Err(format!("expected a name of at most {MAX_NAME_BYTES} bytes"));
    }
    not_empty(text)
}

/// A module to import, as the configuration specifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Module {
    /// Its name in the interpreter.
    pub(crate) name: String,
    /// The path of its source, if the option gives a path.
    pub(crate) path: Option<PathBuf>,
    /// The position of its option, for diagnostics.
    pub(crate) option: usize,
}

/// The defaults from `[backend python]`.
#[derive(Clone, Debug)]
pub(crate) struct Defaults {
    python: OsString,
    memory: Option<u64>,
}

impl Default for Defaults {
    fn default() -> Self {
        Defaults { python: "python3".into(), memory: None }
    }
}

impl Defaults {
    pub(crate) fn new(options: &Options) -> Self {
        let python = match options.all("python").last() {
            Some((_, entry)) => interpreter(entry),
            None => Defaults::default().python,
        };
        Defaults { python, memory: memory(options) }
    }
}

/// The settings of an instance.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: String,
    /// The folder of the configuration, absolute.
    pub(crate) directory: PathBuf,
    pub(crate) modules: Vec<Module>,
    pub(crate) default_handler: String,
    pub(crate) default_handler_option: Option<usize>,
    pub(crate) python: OsString,
    pub(crate) python_option: Option<usize>,
    /// How much memory the interpreter may allocate, in bytes: `u64::MAX` for no limit, none for
    /// the default.
    pub(crate) memory: Option<u64>,
}

impl Settings {
    /// Reads the options of an instance; reports errors and then returns none.
    pub(crate) fn new(
        config: InstanceConfig,
        defaults: &Defaults,
        problems: &mut Problems,
    ) -> Option<Self> {
        let options = &config.options;
        let directory =
            std::path::absolute(non_empty(&config.directory)).unwrap_or(config.directory.clone());
        let mut modules: Vec<Module> = Vec::new();
        for (option, entry) in options.all("module") {
            let module = module(option, entry);
            if module.name == "midimonster" || module.name.starts_with("midimonster.") {
                let message =
                    "the module name `midimonster` is reserved: Consort provides this module";
                problems.error(Some(option), message).hint(
                    "rename the script; it can import the provided module with `import midimonster`",
                );
                continue;
            }
            let duplicate =
                modules.iter().find(|other| other.name == module.name && other.path != module.path);
            if let Some(other) = duplicate {
                let message = format!("duplicate module name `{}` in this instance", other.name);
                problems.error(Some(option), message).hint(
                    "module names must be unique within an instance: rename one of the files",
                );
            }
            modules.push(module);
        }
        let python = match options.all("python").last() {
            Some((_, entry)) => interpreter(entry),
            None => defaults.python.clone(),
        };
        let settings = Settings {
            directory,
            modules,
            default_handler: options.text("default-handler").unwrap_or("").to_owned(),
            default_handler_option: options.position("default-handler"),
            python,
            python_option: options.position("python"),
            memory: memory(options).or(defaults.memory),
            name: config.name,
        };
        problems.is_ok().then_some(settings)
    }
}

impl Language for Settings {
    const NAME: &'static str = "Python";
    const TYPES: [&'static str; 2] = ["float", "str"];
    const CHANNEL_HINT: &'static str = "write `instance.name` or `instance.module.function`";

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
        0
    }

    fn memory(&self) -> u64 {
        self.memory.unwrap_or_else(default_memory)
    }

    fn program(&self) -> Result<WorkerProgram, String> {
        let arguments = vec!["-c".into(), BOOT.into()];
        Ok(WorkerProgram { program: self.python.clone(), arguments, name: None })
    }

    fn scripts(&self) -> Scripts<'_> {
        let module = |module: &'_ Module| {
            let path = module.path.as_ref();
            let path = path.map_or(&b""[..], |path| path.as_os_str().as_bytes());
            (Cow::Owned(module.name.clone().into_bytes()), Cow::Owned(path.to_vec()))
        };
        Scripts { program: PROGRAM, modules: self.modules.iter().map(module).collect() }
    }

    fn check_version(&self, major: u8, minor: u8) -> Result<(), String> {
        if (major, minor) >= OLDEST_PYTHON {
            return Ok(());
        }
        let (oldest_major, oldest_minor) = OLDEST_PYTHON;
        Err(format!(
            "`{}` is Python {major}.{minor}; Python {oldest_major}.{oldest_minor} or newer is \
             required",
            self.program_name()
        ))
    }

    fn not_a_worker(&self, reason: &str) -> String {
        format!("`{}` is not a working Python interpreter: {reason}", self.program_name())
    }

    fn program_name(&self) -> Cow<'_, str> {
        self.python.to_string_lossy()
    }

    /// The modules, the interpreter, its memory and the folder are fixed when a worker starts.
    fn needs_restart(&self, other: &Settings) -> bool {
        let modules = |settings: &Settings| -> Vec<(String, Option<PathBuf>)> {
            let modules = settings.modules.iter();
            modules.map(|module| (module.name.clone(), module.path.clone())).collect()
        };
        self.directory != other.directory
            || modules(self) != modules(other)
            || self.python != other.python
            || self.memory != other.memory
    }

    fn check(&self, channels: &[String], usage: &[u8], problems: &mut Problems) {
        scan::check(self, channels, usage, problems);
    }
}

/// Half of the machine's memory, in bytes.
fn default_memory() -> u64 {
    let system = rustix::system::sysinfo();
    (system.totalram as u64).saturating_mul(u64::from(system.mem_unit)).max(1 << 28) / 2
}

/// The `memory` option in bytes.
fn memory(options: &Options) -> Option<u64> {
    match options.integer("memory") {
        Some(0) => Some(u64::MAX),
        Some(size) => Some(size.unsigned_abs() << 20),
        None => None,
    }
}

/// The directory as a path that can be joined: `.` instead of nothing.
fn non_empty(directory: &Path) -> &Path {
    if directory.as_os_str().is_empty() { Path::new(".") } else { directory }
}

/// Reads a `module` option: a path if it has a slash or the extension `.py`, otherwise a name.
fn module(option: usize, entry: &OptionEntry) -> Module {
    let value = entry.value.as_str();
    if !value.contains('/') && !value.ends_with(".py") {
        return Module { name: value.to_owned(), path: None, option };
    }
    let joined = non_empty(&entry.directory).join(value);
    let mut path = std::path::absolute(&joined).unwrap_or(joined);
    if path.is_dir() {
        path.push("__init__.py");
    } else if path.extension().is_none_or(|extension| extension != "py") {
        path.as_mut_os_string().push(".py");
    }
    let stem = match path.file_stem() {
        Some(stem) if stem == "__init__" => path.parent().and_then(Path::file_name),
        stem => stem,
    };
    let name = stem.map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Module { name, path: Some(path), option }
}

/// The executable of a `python` option.
fn interpreter(entry: &OptionEntry) -> OsString {
    let path = non_empty(&entry.directory).join(&entry.value);
    let path = std::path::absolute(&path).unwrap_or(path);
    if path.is_dir() {
        return path.join("bin/python").into_os_string();
    }
    if entry.value.contains('/') { path.into_os_string() } else { OsString::from(&entry.value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> (Option<Settings>, Vec<consort_router::Problem>) {
        let mut problems = Problems::new();
        let options = Options::from_pairs(INSTANCE_OPTIONS, pairs);
        let config =
            InstanceConfig { name: "py".into(), options, directory: "/shows/tonight".into() };
        let settings = Settings::new(config, &Defaults::default(), &mut problems);
        (settings, problems.into_vec())
    }

    #[test]
    fn a_module_is_given_by_name_or_path() {
        let (settings, _) = settings(&[
            ("module", "plain"),
            ("module", "package.inner"),
            ("module", "file.py"),
            ("module", "folder/other"),
        ]);
        let modules = settings.unwrap().modules;
        let names: Vec<_> = modules.iter().map(|module| module.name.as_str()).collect();
        assert_eq!(names, ["plain", "package.inner", "file", "other"]);
        assert!(modules[0].path.is_none() && modules[1].path.is_none());
        assert!(modules[2].path.as_ref().unwrap().is_absolute());
        assert!(modules[3].path.as_ref().unwrap().ends_with("folder/other.py"));
    }

    #[test]
    fn the_name_of_the_provided_module_is_reserved() {
        for value in ["midimonster", "midimonster.py", "scripts/midimonster.py"] {
            let (settings, problems) = settings(&[("module", value)]);
            assert!(settings.is_none());
            assert!(
                problems[0].message.contains("`midimonster` is reserved: Consort provides"),
                "{problems:?}"
            );
        }
    }

    #[test]
    fn two_files_cannot_have_the_same_name() {
        let (settings, problems) =
            settings(&[("module", "a/lights.py"), ("module", "b/lights.py")]);
        assert!(settings.is_none());
        assert!(problems[0].message.contains("duplicate module name `lights`"), "{problems:?}");
    }

    #[test]
    fn a_folder_given_as_interpreter_is_a_virtual_environment() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().to_str().unwrap();
        let (settings, _) = settings(&[("python", text)]);
        assert_eq!(settings.unwrap().python, folder.path().join("bin/python").into_os_string());
    }
}
