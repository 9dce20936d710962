//! This program as a worker: which program the workers are that need no interpreter of the system.

use std::ffi::OsString;
use std::sync::OnceLock;

/// The first argument of a guard.
pub(crate) const GUARD_ARGUMENT: &str = "worker-guard";

/// The first argument of a worker for Lua.
#[cfg(feature = "lua")]
pub(crate) const LUA_ARGUMENT: &str = "lua-worker";

/// The program that runs as a worker, as set by the first call of [`set_worker_command`] or
/// [`serve_if_worker`].
static COMMAND: OnceLock<WorkerCommand> = OnceLock::new();

/// A program that calls [`serve_if_worker`] first, and its arguments. The arguments that say what
/// it is to do follow them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerCommand {
    /// The program, looked up in `PATH` if it is a name.
    pub program: OsString,
    /// Its first arguments.
    pub arguments: Vec<OsString>,
}

impl WorkerCommand {
    /// This program itself, also after its file was replaced by another version.
    pub fn this_program() -> Self {
        WorkerCommand { program: "/proc/self/exe".into(), arguments: Vec::new() }
    }
}

/// Runs a worker, or the guard of a show, and never returns, if a show started this program as one. Otherwise
/// remembers that this program can be started as a worker.
///
/// A program that runs shows with Lua scripts calls this first in `main`, before it starts threads
/// or reads its arguments. One that cannot calls [`set_worker_command`] with another program.
#[allow(clippy::exit, reason = "a guard is a process of its own")]
pub fn serve_if_worker() {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next().unwrap_or_default();
    #[cfg(feature = "lua")]
    if first == LUA_ARGUMENT {
        crate::lua::serve(arguments.next());
    }
    if first == GUARD_ARGUMENT
        && let Some(mark) = arguments.next()
    {
        super::guard::serve(&mark.to_string_lossy());
        std::process::exit(0);
    }
    set_worker_command(WorkerCommand::this_program());
}

/// Sets the program that runs as a worker. Only the first call in a process has an effect.
pub fn set_worker_command(command: WorkerCommand) {
    let _ = COMMAND.set(command);
}

/// The program that runs as a worker.
pub(crate) fn worker_command() -> Option<&'static WorkerCommand> {
    COMMAND.get()
}
