//! Worker processes: a thread starts them, so that the router never blocks, and they end together
//! with every process that they have started.
//!
//! No process is left behind, however the router's process ends. Each worker leads a process
//! group and holds the read end of a pipe, the *lifeline*, whose write end only the router's
//! process has. When that end closes, for whatever reason, the kernel itself sends SIGKILL to the
//! whole group (`F_SETOWN` with a process group, `F_SETSIG`, `O_ASYNC`; fcntl(2)); this needs no
//! cooperation from the interpreter. In addition, a worker that reads the end of its input kills
//! its own group. Processes that have left the group are ended by the `guard`.
//!
//! `PR_SET_PDEATHSIG` is set only where the lifeline cannot be set up. That signal reaches the
//! worker alone, and it is sent when the thread that started the worker ends, which can happen
//! before the descriptors of the router's process close. The lifeline would then have no reader
//! left, and the processes that the script has started would keep running.

// `CommandExt::pre_exec` is unsafe: between fork and exec only async-signal-safe calls are
// allowed, and the one closure here makes system calls only. A realtime signal is sent through
// libc.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal};

use super::guard::MARK;
use super::language::WorkerProgram;

/// The realtime signal that interrupts a script; the worker handles it.
const INTERRUPT_SIGNAL: libc::c_int = 40;

/// A worker to start.
pub(crate) struct Job {
    pub(crate) program: WorkerProgram,
    /// The maximum size of its data segment, in bytes; `u64::MAX` for no limit.
    pub(crate) memory: u64,
    /// The pipe from the instance, which becomes the worker's standard input.
    pub(crate) input: OwnedFd,
    /// The pipe to the instance. It keeps its number, which is the worker's last argument.
    pub(crate) output: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

/// How far a worker's process has got.
enum SpawnPhase {
    Starting,
    /// The process and the write end of its lifeline.
    Running(Child, OwnedFd),
    /// Killed, but not reaped yet.
    Ending,
    Gone(Outcome),
}

/// How a worker ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// It could not be started.
    NotStarted(io::ErrorKind, i32),
    /// It ran and exited.
    Exited(ExitStatus),
}

/// The state of a worker, shared between its handle and the spawner's thread.
struct SpawnState {
    phase: SpawnPhase,
    /// The worker was killed before it had been started.
    cancelled: bool,
}

/// Work for the spawner's thread.
enum Task {
    Start(Job, Arc<Mutex<SpawnState>>),
    Reap(Child, Arc<Mutex<SpawnState>>),
}

/// Starts and reaps workers. Cheap to clone; its thread ends with the last clone.
#[derive(Clone)]
pub(crate) struct Spawner {
    tasks: Sender<Task>,
}

impl Spawner {
    /// Starts the thread. `mark` is in the environment of all processes; see `guard`.
    ///
    /// # Errors
    /// If the operating system cannot start a thread.
    pub(crate) fn new(mark: String) -> io::Result<Self> {
        let (tasks, received) = channel();
        std::thread::Builder::new().name("script workers".into()).spawn(move || {
            while let Ok(task) = received.recv() {
                match task {
                    Task::Start(job, state) => start(job, &mark, &state),
                    Task::Reap(child, state) => reap(child, &state),
                }
            }
        })?;
        Ok(Spawner { tasks })
    }

    /// Starts a worker without waiting for it. If that fails, the worker's ends of its pipes
    /// close.
    pub(crate) fn start(&self, job: Job) -> Worker {
        let phase = SpawnPhase::Starting;
        let state = Arc::new(Mutex::new(SpawnState { phase, cancelled: false }));
        if self.tasks.send(Task::Start(job, Arc::clone(&state))).is_err() {
            state.lock().phase = SpawnPhase::Gone(Outcome::NotStarted(io::ErrorKind::Other, 0));
        }
        Worker { state, spawner: self.clone() }
    }
}

/// One worker process. Dropping it kills its process group.
pub(crate) struct Worker {
    state: Arc<Mutex<SpawnState>>,
    spawner: Spawner,
}

impl Worker {
    /// Kills the process group; the spawner's thread reaps the process. Does not block.
    pub(crate) fn kill(&self) {
        let mut state = self.state.lock();
        state.cancelled = true;
        match std::mem::replace(&mut state.phase, SpawnPhase::Ending) {
            SpawnPhase::Running(child, lifeline) => {
                kill_group(&child);
                drop(lifeline);
                let _ = self.spawner.tasks.send(Task::Reap(child, Arc::clone(&self.state)));
            }
            other => state.phase = other,
        }
    }

    /// Returns how the process ended, or none if it has not; then also kills what is left of its
    /// group. Does not block.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        let mut state = self.state.lock();
        let SpawnState { phase: SpawnPhase::Running(child, _), .. } = &mut *state else {
            return match state.phase {
                SpawnPhase::Gone(outcome) => Some(outcome),
                _ => None,
            };
        };
        // The group must be killed before its leader is reaped: after that, the kernel could
        // reuse the number of the group for another process.
        if !has_exited(child) {
            return None;
        }
        kill_group(child);
        let outcome = Outcome::Exited(child.wait().ok()?);
        state.phase = SpawnPhase::Gone(outcome);
        Some(outcome)
    }

    /// Interrupts what the script is doing, so that its cleanup handler can run. Does not block.
    pub(crate) fn interrupt(&self) {
        if let SpawnPhase::Running(child, _) = &self.state.lock().phase
            && let Some(pid) = pid(child)
        {
            // SAFETY: a system call without pointers; the process is our child and not reaped
            // yet, so the number is its own.
            let _ = unsafe { libc::kill(pid.as_raw_nonzero().get(), INTERRUPT_SIGNAL) };
        }
    }

    /// The number of the process, while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        match &self.state.lock().phase {
            SpawnPhase::Running(child, _) => Some(child.id()),
            _ => None,
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn pid(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()).ok()?)
}

fn kill_group(child: &Child) {
    if let Some(pid) = pid(child) {
        // This fails if no process of the group is left, which is the desired result. A script can
        // have moved the worker itself into another group.
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

/// Whether a child has exited and can be reaped.
fn has_exited(child: &Child) -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let Some(pid) = pid(child) else { return true };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(pid), options), Ok(None))
}

/// Starts a worker on the spawner's thread, unless it was killed in the meantime.
fn start(job: Job, mark: &str, state: &Mutex<SpawnState>) {
    let is_cancelled = state.lock().cancelled;
    let started =
        if is_cancelled { Err(io::ErrorKind::Interrupted.into()) } else { spawn(job, mark) };
    let mut state = state.lock();
    match started {
        Ok((child, _)) if state.cancelled => {
            kill_group(&child);
            let mut child = child;
            if let Ok(status) = child.wait() {
                state.phase = SpawnPhase::Gone(Outcome::Exited(status));
            }
        }
        Ok((child, lifeline)) => state.phase = SpawnPhase::Running(child, lifeline),
        Err(error) => {
            let code = error.raw_os_error().unwrap_or(0);
            state.phase = SpawnPhase::Gone(Outcome::NotStarted(error.kind(), code));
        }
    }
}

/// Waits for a killed child on the spawner's thread.
fn reap(mut child: Child, state: &Mutex<SpawnState>) {
    let outcome = match child.wait() {
        Ok(status) => Outcome::Exited(status),
        Err(error) => Outcome::NotStarted(error.kind(), error.raw_os_error().unwrap_or(0)),
    };
    state.lock().phase = SpawnPhase::Gone(outcome);
}

/// Starts the process; returns it with the write end of its lifeline.
fn spawn(job: Job, mark: &str) -> io::Result<(Child, OwnedFd)> {
    let (lifeline, lifeline_writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let Job { program, memory, input, output, stdout, stderr } = job;
    let mut command = Command::new(&program.program);
    if let Some(name) = program.name {
        command.arg0(name);
    }
    command
        .args(&program.arguments)
        .env(MARK, mark)
        .arg(output.as_raw_fd().to_string())
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(stdout))
        .stderr(Stdio::from(stderr))
        .process_group(0);
    let (read_end, write_end) = (lifeline.as_raw_fd(), output.as_raw_fd());
    // SAFETY: the closure only makes system calls, with arguments made before the fork.
    unsafe {
        command.pre_exec(move || prepare(read_end, write_end, memory));
    }
    let child = command.spawn()?;
    drop(output);
    Ok((child, lifeline_writer))
}

/// Prepares the new process before it executes the interpreter. A failure here only weakens a
/// safeguard and is not reported, except for the output pipe, without which a worker is useless.
fn prepare(lifeline: RawFd, output: RawFd, memory: u64) -> io::Result<()> {
    // From fcntl(2); the libc crate does not define it for every target.
    const F_SETSIG: libc::c_int = 10;
    // SAFETY: system calls on descriptors of this process; the only pointers are to constant
    // strings and to a structure on this stack.
    unsafe {
        let has_lifeline = libc::fcntl(lifeline, libc::F_SETOWN, -libc::getpid()) == 0
            && libc::fcntl(lifeline, F_SETSIG, libc::SIGKILL) == 0
            && libc::fcntl(lifeline, libc::F_SETFL, libc::O_ASYNC) == 0
            // It stays open in the interpreter: the kernel does not watch a closed one.
            && libc::fcntl(lifeline, libc::F_SETFD, 0) == 0;
        if !has_lifeline {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        }
        libc::signal(libc::SIGINT, libc::SIG_IGN);
        // Programs that a script starts find the usual behaviour; the standard library has already
        // unblocked all signals.
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        libc::signal(libc::SIGXFSZ, libc::SIG_DFL);
        // The process is in the background of its terminal: a script that reads from the
        // terminal gets an error and is not stopped.
        libc::signal(libc::SIGTTIN, libc::SIG_IGN);
        libc::signal(libc::SIGTTOU, libc::SIG_IGN);
        // If the system runs out of memory, the kernel ends the script before the show.
        let adjust =
            libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if adjust >= 0 {
            libc::write(adjust, c"1000".as_ptr().cast(), 4);
            libc::close(adjust);
        }
        if memory != u64::MAX {
            let limit = libc::rlimit { rlim_cur: memory, rlim_max: memory };
            libc::setrlimit(libc::RLIMIT_DATA, &raw const limit);
        }
        if libc::fcntl(output, libc::F_SETFD, 0) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Describes for the log how a worker ended.
pub(crate) fn describe_exit(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("its process exited with status {code}"),
        (_, Some(libc::SIGKILL)) => "its process was killed (SIGKILL)".into(),
        (_, Some(libc::SIGSEGV)) => "its process crashed (SIGSEGV)".into(),
        (_, Some(libc::SIGABRT)) => "its process aborted (SIGABRT)".into(),
        (_, signal) => format!("its process was terminated by signal {}", signal.unwrap_or(0)),
    }
}
