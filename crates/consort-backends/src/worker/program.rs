//! This program as a worker: which program the workers are that need no interpreter of the system.

use std::ffi::OsString;
use std::sync::OnceLock;

/// The first argument of a worker for Lua.
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

/// Runs a worker and never returns, if an instance started this program as one. Otherwise
/// remembers that this program can be started as a worker.
///
/// A program that runs shows with Lua scripts calls this first in `main`, before it starts threads
/// or reads its arguments. One that cannot calls [`set_worker_command`] with another program.
pub fn serve_if_worker() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|argument| argument == LUA_ARGUMENT) {
        crate::lua::serve(arguments.next());
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
