//! `--realtime`: SCHED_FIFO for the calling thread, and memory that is locked and prefaulted. If
//! the system refuses either, a warning says how to allow it, and the show runs without it.

// sched_setscheduler(2) and mallopt(3) are only reached through the libc crate.
#![allow(unsafe_code)]

use std::io;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Stack that is touched ahead of time.
const STACK_BYTES: usize = 256 << 10;
/// Heap that is touched ahead of time.
const HEAP_BYTES: usize = 16 << 20;

/// The largest M_MMAP_THRESHOLD that glibc accepts (`HEAP_MAX_SIZE / 2`). Without it, glibc maps
/// and unmaps every large block.
#[cfg(target_env = "gnu")]
const MMAP_THRESHOLD_BYTES: libc::c_int = 32 << 20;

/// `CAP_IPC_LOCK`, capabilities(7).
const CAP_IPC_LOCK: u32 = 14;

/// Gives the calling thread a realtime priority (1–99), if the system allows it. Threads and
/// processes that it starts have normal priority.
pub(crate) fn enter(priority: u8) {
    match lock_memory() {
        Ok(()) => tracing::info!("realtime: memory locked"),
        Err(error) => tracing::warn!(
            "realtime: cannot lock memory: {error}; to allow it, add `@audio - memlock unlimited` to \
             /etc/security/limits.d/consort.conf and this user to the group `audio`, or set \
             LimitMEMLOCK=infinity in the service"
        ),
    }
    match schedule(priority) {
        Ok(()) => tracing::info!("realtime: SCHED_FIFO with priority {priority}"),
        Err(error) => tracing::warn!(
            "realtime: cannot use SCHED_FIFO with priority {priority}: {error}; to allow it, add \
             `@audio - rtprio {priority}` to /etc/security/limits.d/consort.conf and this user to \
             the group `audio`, or set LimitRTPRIO={priority} in the service"
        ),
    }
}

/// Locks current and future memory, and prefaults some of it.
fn lock_memory() -> io::Result<()> {
    // With a limit, MCL_FUTURE would make later allocations fail, which is worse than a page fault.
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

/// Whether this process has a capability; false if that cannot be determined.
fn has_capability(number: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok());
    set.is_some_and(|set| set & (1 << number) != 0)
}

/// Makes the allocator keep freed memory instead of returning it and faulting it in again.
fn keep_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets two parameters of the allocator; no pointers are involved.
    let is_kept = unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX) == 1
            && libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES) == 1
    };
    #[cfg(target_env = "gnu")]
    if !is_kept {
        tracing::warn!("realtime: cannot make the allocator keep freed memory");
    }
}

/// Touches stack and heap, so that no page fault interrupts the show later.
fn prefault() {
    let mut stack = [0_u8; STACK_BYTES];
    std::hint::black_box(&mut stack);
    let mut heap = vec![1_u8; HEAP_BYTES];
    std::hint::black_box(&mut heap);
}

/// Sets SCHED_FIFO for the calling thread.
fn schedule(priority: u8) -> io::Result<()> {
    // SAFETY: all fields of the structure are integers, for which zero is a valid value.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = priority.into();
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the pointer is to a structure on this stack; 0 means the calling thread.
    match unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
