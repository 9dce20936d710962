//! Worker processes: started on a thread of their own, so that the core never waits, and ended
//! with everything they have started.
//!
//! Nothing is left behind however the core dies. Each worker leads a process group and holds
//! the read end of a pipe, the *lifeline*, whose write end only the core has: when that closes,
//! for whatever reason, the kernel itself sends SIGKILL to the whole group (`F_SETOWN` with a
//! process group, `F_SETSIG`, `O_ASYNC`; fcntl(2)), which needs no cooperation of the
//! interpreter. Besides, a worker that finds the end of its input kills its own group.
//!
//! `PR_SET_PDEATHSIG` is only set where the lifeline cannot be: it reaches the worker alone, and
//! it comes when the thread that started the worker ends, which can be before the core's
//! descriptors close; with the worker gone nobody would hold the lifeline, and the processes
//! that the script has started would live on.

// `CommandExt::pre_exec` is unsafe: between fork and exec only async-signal-safe calls are
// allowed. The one closure here makes nothing but system calls. A realtime signal is sent through
// libc.
#![allow(unsafe_code)]

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal};

/// A realtime signal; worker.py waits for this one.
const URGE: libc::c_int = 40;

/// What is to be started.
pub(crate) struct Job {
    pub(crate) python: OsString,
    pub(crate) boot: &'static str,
    /// The most memory it may allocate, in bytes.
    pub(crate) memory: u64,
    /// Becomes its standard input: what the core says.
    pub(crate) input: OwnedFd,
    /// What it says to the core: keeps its number, which is the worker's first argument.
    pub(crate) output: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

enum Stage {
    Starting,
    Running(Child, OwnedFd),
    Ending,
    Gone(Outcome),
}

/// How a worker ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// It could not be started.
    NotStarted(io::ErrorKind, i32),
    /// It ran and ended.
    Ended(ExitStatus),
}

struct Slot {
    stage: Stage,
    cancelled: bool,
}

enum Task {
    Start(Job, Arc<Mutex<Slot>>),
    Reap(Child, Arc<Mutex<Slot>>),
}

/// Starts and reaps workers. Cheap to clone; its thread ends with the last clone.
#[derive(Clone)]
pub(crate) struct Spawner {
    tasks: Sender<Task>,
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Spawner {
    /// Starts the thread.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn new() -> io::Result<Self> {
        let (tasks, received) = channel();
        std::thread::Builder::new().name("python workers".into()).spawn(move || {
            while let Ok(task) = received.recv() {
                match task {
                    Task::Start(job, slot) => start(job, &slot),
                    Task::Reap(child, slot) => reap(child, &slot),
                }
            }
        })?;
        Ok(Spawner { tasks })
    }

    /// Starts a worker; does not wait for it. When it cannot be started, the other end of its
    /// pipes closes.
    pub(crate) fn start(&self, job: Job) -> Worker {
        let slot = Arc::new(Mutex::new(Slot { stage: Stage::Starting, cancelled: false }));
        if self.tasks.send(Task::Start(job, Arc::clone(&slot))).is_err() {
            lock(&slot).stage = Stage::Gone(Outcome::NotStarted(io::ErrorKind::Other, 0));
        }
        Worker { slot, spawner: self.clone() }
    }
}

/// One worker process. Dropping it kills its process group.
pub(crate) struct Worker {
    slot: Arc<Mutex<Slot>>,
    spawner: Spawner,
}

impl Worker {
    /// Kills the process group; the process is reaped soon. Does not block.
    pub(crate) fn kill(&self) {
        let mut slot = lock(&self.slot);
        slot.cancelled = true;
        self.end(&mut slot);
    }

    fn end(&self, slot: &mut Slot) {
        match std::mem::replace(&mut slot.stage, Stage::Ending) {
            Stage::Running(child, lifeline) => {
                kill_group(&child);
                drop(lifeline);
                let _ = self.spawner.tasks.send(Task::Reap(child, Arc::clone(&self.slot)));
            }
            other => slot.stage = other,
        }
    }

    /// How it ended, once it has; kills what is left of its group then. Does not block.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        let mut slot = lock(&self.slot);
        let Slot { stage: Stage::Running(child, _), .. } = &mut *slot else {
            return match slot.stage {
                Stage::Gone(outcome) => Some(outcome),
                _ => None,
            };
        };
        // The leader must not be reaped before its group is killed: its number could be given
        // to someone else.
        if !is_dead(child) {
            return None;
        }
        kill_group(child);
        let outcome = Outcome::Ended(child.wait().ok()?);
        slot.stage = Stage::Gone(outcome);
        Some(outcome)
    }

    /// Has its script give up what it does, to clean up. Does not block.
    pub(crate) fn urge(&self) {
        if let Stage::Running(child, _) = &lock(&self.slot).stage
            && let Some(pid) = pid(child)
        {
            // SAFETY: a system call without pointers; the process is ours and not reaped yet.
            let _ = unsafe { libc::kill(pid.as_raw_nonzero().get(), URGE) };
        }
    }

    /// The process, while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        match &lock(&self.slot).stage {
            Stage::Running(child, _) => Some(child.id()),
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
        // It fails when all are gone, which is what was wanted.
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    }
}

/// Whether a child waits to be reaped.
fn is_dead(child: &Child) -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let Some(pid) = pid(child) else { return true };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(pid), options), Ok(None))
}

fn start(job: Job, slot: &Mutex<Slot>) {
    let started =
        if lock(slot).cancelled { Err(io::ErrorKind::Interrupted.into()) } else { spawn(job) };
    let mut slot = lock(slot);
    match started {
        Ok((child, _)) if slot.cancelled => {
            kill_group(&child);
            let mut child = child;
            if let Ok(status) = child.wait() {
                slot.stage = Stage::Gone(Outcome::Ended(status));
            }
        }
        Ok((child, lifeline)) => slot.stage = Stage::Running(child, lifeline),
        Err(error) => {
            let code = error.raw_os_error().unwrap_or(0);
            slot.stage = Stage::Gone(Outcome::NotStarted(error.kind(), code));
        }
    }
}

fn reap(mut child: Child, slot: &Mutex<Slot>) {
    let outcome = match child.wait() {
        Ok(status) => Outcome::Ended(status),
        Err(error) => Outcome::NotStarted(error.kind(), error.raw_os_error().unwrap_or(0)),
    };
    lock(slot).stage = Stage::Gone(outcome);
}

fn spawn(job: Job) -> io::Result<(Child, OwnedFd)> {
    let (lifeline, held) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let Job { python, boot, memory, input, output, stdout, stderr } = job;
    let mut command = Command::new(&python);
    command
        .arg("-c")
        .arg(boot)
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
    Ok((child, held))
}

/// Runs in the new process before the interpreter does. What fails here only weakens a
/// safeguard, so nothing is reported; but a worker without its output would be mute.
fn prepare(lifeline: RawFd, output: RawFd, memory: u64) -> io::Result<()> {
    // fcntl(2); not in the libc crate for every target.
    const F_SETSIG: libc::c_int = 10;
    // SAFETY: system calls on descriptors of this process, without pointers but to a constant
    // string and to a structure on this stack.
    unsafe {
        let tied = libc::fcntl(lifeline, libc::F_SETOWN, -libc::getpid()) == 0
            && libc::fcntl(lifeline, F_SETSIG, libc::SIGKILL) == 0
            && libc::fcntl(lifeline, libc::F_SETFL, libc::O_ASYNC) == 0
            // Stays open in the interpreter: a closed one would not be watched.
            && libc::fcntl(lifeline, libc::F_SETFD, 0) == 0;
        if !tied {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        }
        libc::signal(libc::SIGINT, libc::SIG_IGN);
        // It is in the background of its terminal: a script that reads from there shall get an
        // error, not be stopped for ever.
        libc::signal(libc::SIGTTIN, libc::SIG_IGN);
        libc::signal(libc::SIGTTOU, libc::SIG_IGN);
        // When memory runs out, the script goes first and not the show.
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

/// Half of the machine's memory, in bytes.
pub(crate) fn default_memory() -> u64 {
    let system = rustix::system::sysinfo();
    (system.totalram as u64).saturating_mul(u64::from(system.mem_unit)).max(1 << 28) / 2
}

/// Words for how a worker ended.
pub(crate) fn describe(outcome: Outcome, python: &OsString) -> String {
    use std::os::unix::process::ExitStatusExt;
    match outcome {
        Outcome::NotStarted(io::ErrorKind::NotFound, _) => {
            format!("there is no `{}` to run", python.to_string_lossy())
        }
        Outcome::NotStarted(kind, code) => {
            let reason = match code {
                0 => kind.to_string(),
                code => io::Error::from_raw_os_error(code).to_string(),
            };
            format!("`{}` cannot be run: {reason}", python.to_string_lossy())
        }
        Outcome::Ended(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("its process ended with exit status {code}"),
            (_, Some(libc::SIGKILL)) => "its process was killed (SIGKILL)".into(),
            (_, Some(libc::SIGSEGV)) => "its process crashed (SIGSEGV)".into(),
            (_, Some(libc::SIGABRT)) => "its process aborted (SIGABRT)".into(),
            (_, signal) => format!("its process was ended by signal {}", signal.unwrap_or(0)),
        },
    }
}
