//! `--realtime`: SCHED_FIFO for the calling thread, locked and prefaulted memory. What the
//! system refuses is reported with the remedy, and the show runs without it.

// sched_setscheduler(2) and mallopt(3) are only reached through the libc crate.
#![allow(unsafe_code)]

use std::io;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Memory that is touched ahead of time, in bytes.
const STACK: usize = 256 << 10;
const HEAP: usize = 16 << 20;

/// What glibc takes as the largest size for its heap (`HEAP_MAX_SIZE / 2`); it refuses more,
/// and would then map and unmap every large block.
#[cfg(target_env = "gnu")]
const HEAP_BLOCK: libc::c_int = 32 << 20;

/// `CAP_IPC_LOCK`, capabilities(7).
const CAP_IPC_LOCK: u32 = 14;

/// Makes the calling thread a realtime thread of that priority (1–99), if the system lets it.
/// Threads and processes that it starts are at normal priority again.
pub(crate) fn enter(priority: u8) {
    match lock_memory() {
        Ok(()) => tracing::info!("realtime: memory is locked"),
        Err(error) => tracing::warn!(
            "realtime: memory cannot be locked ({error}); allow it with `@audio - memlock \
             unlimited` in /etc/security/limits.d/consort.conf and membership in that group, or \
             with LimitMEMLOCK=infinity in the service"
        ),
    }
    match schedule(priority) {
        Ok(()) => tracing::info!("realtime: SCHED_FIFO, priority {priority}"),
        Err(error) => tracing::warn!(
            "realtime: SCHED_FIFO, priority {priority}, is refused ({error}); allow it with \
             `@audio - rtprio {priority}` in /etc/security/limits.d/consort.conf and membership \
             in that group, or with LimitRTPRIO={priority} in the service"
        ),
    }
}

fn lock_memory() -> io::Result<()> {
    // With a limit, MCL_FUTURE would make later allocations fail: worse than a page fault.
    let limit = getrlimit(Resource::Memlock);
    if limit.current.is_some() && !has_capability(CAP_IPC_LOCK) {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if limit.maximum.is_some() || setrlimit(Resource::Memlock, raised).is_err() {
            let kilobytes = limit.maximum.unwrap_or(0) / 1_024;
            return Err(io::Error::other(format!("the limit is {kilobytes} kB")));
        }
    }
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE)?;
    keep_heap();
    prefault();
    Ok(())
}

/// Whether this process has a capability; no where that cannot be known.
fn has_capability(number: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok());
    set.is_some_and(|set| set & (1 << number) != 0)
}

/// Has the allocator keep what it has, instead of giving it back and faulting it in anew.
fn keep_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets two parameters of the allocator; no pointers are involved.
    let is_kept = unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX) == 1
            && libc::mallopt(libc::M_MMAP_THRESHOLD, HEAP_BLOCK) == 1
    };
    #[cfg(target_env = "gnu")]
    if !is_kept {
        tracing::warn!("realtime: the allocator does not keep its memory");
    }
}

/// Touches stack and heap, so that they are there when they are needed.
fn prefault() {
    let mut stack = [0_u8; STACK];
    std::hint::black_box(&mut stack);
    let mut heap = vec![1_u8; HEAP];
    std::hint::black_box(&mut heap);
}

fn schedule(priority: u8) -> io::Result<()> {
    // SAFETY: all fields of the structure are numbers, for which zero is a value.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = priority.into();
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the pointer is to a structure on this stack; 0 is the calling thread.
    match unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
