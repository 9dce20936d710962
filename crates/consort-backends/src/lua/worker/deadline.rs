//! Deadlines of calls into the script, which hold whatever is called.
//!
//! A timer ticks while calls run. Its signal handler counts the ticks of the running call:
//!
//! | ticks | meaning | what happens |
//! |---|---|---|
//! | below the limit | | |
//! | from the limit on | *overdue* | the hook of the interpreter raises an error in the script |
//! | from the limit and the grace time on | stuck in a C function or a finalizer | the process ends |
//!
//! Ticks are counted instead of time, so that a process that was stopped or got no processor is
//! not ended for that. The timer stops when a tick finds no call, so that an idle worker does not
//! wake up. A call costs two stores and a load; there is no system call while the timer runs.
//!
//! The state is global because a signal handler has no other; a process runs one worker.

// Signal handlers and interval timers are reached through libc.
#![allow(unsafe_code)]

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// The exit status of a worker that ends itself because a call cannot be interrupted.
pub(crate) const TIME_LIMIT_STATUS: i32 = 114;

/// The realtime signal that interrupts a script when the show ends.
const INTERRUPT_SIGNAL: libc::c_int = 40;

/// The shortest and the longest period of the timer, in milliseconds.
const TICK_RANGE: (u32, u32) = (5, 250);
/// The shortest time that an overdue call has to return, in milliseconds.
const MIN_GRACE: u32 = 100;

/// How many times the limit of a call a script may take to load. Scripts may compute tables then.
pub(super) const LOADING_FACTOR: u32 = 10;

/// The number of the running call; 0 for none.
static CALL: AtomicU64 = AtomicU64::new(0);
/// The number of the last call.
static LAST_CALL: AtomicU64 = AtomicU64::new(0);
/// The call that the last tick found, and how many ticks found it before.
static SEEN: AtomicU64 = AtomicU64::new(0);
static AGE: AtomicU32 = AtomicU32::new(0);
/// The timer runs.
static IS_ARMED: AtomicBool = AtomicBool::new(false);
/// The running call has to end.
static IS_OVERDUE: AtomicBool = AtomicBool::new(false);
/// The show ends, so the running call has to end.
static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// The period of the timer in milliseconds, and after how many ticks a call is overdue, and is
/// ended with the process.
static TICK: AtomicU32 = AtomicU32::new(50);
static SOFT_TICKS: AtomicU32 = AtomicU32::new(u32::MAX);
static HARD_TICKS: AtomicU32 = AtomicU32::new(u32::MAX);
/// How many times the limit the running call may take.
static FACTOR: AtomicU32 = AtomicU32::new(1);
/// The description of the running call, which outlives it.
static NAME: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
static NAME_LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Installs the signal handlers.
pub(super) fn install() {
    handle(libc::SIGALRM, on_tick);
    handle(INTERRUPT_SIGNAL, on_interrupt);
}

fn handle(signal: libc::c_int, handler: extern "C" fn(libc::c_int)) {
    // SAFETY: a structure of integers for which zeros are valid, and system calls that read it.
    // The handlers make only system calls and access atomic variables.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        // Interrupted reads and writes of the script continue.
        action.sa_flags = libc::SA_RESTART;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(signal, &raw const action, ptr::null_mut());
    }
}

/// Sets the limit of a call in milliseconds; 0 for none.
pub(super) fn set_limit(limit: u32) {
    if limit == 0 {
        SOFT_TICKS.store(u32::MAX, Ordering::Relaxed);
        HARD_TICKS.store(u32::MAX, Ordering::Relaxed);
        return;
    }
    let tick = (limit / 4).clamp(TICK_RANGE.0, TICK_RANGE.1);
    let soft = limit.div_ceil(tick);
    let grace = (limit / 2).max(MIN_GRACE).div_ceil(tick);
    TICK.store(tick, Ordering::Relaxed);
    SOFT_TICKS.store(soft, Ordering::Relaxed);
    HARD_TICKS.store(soft + grace, Ordering::Relaxed);
}

/// A call that is running. Dropping it ends it.
pub(super) struct Call {
    /// The call that runs this one.
    outer: u64,
}

/// Begins a call that may take `factor` times the limit. `name` describes it and must stay where it
/// is until the call has ended.
#[inline]
pub(super) fn begin(name: &str, factor: u32) -> Call {
    NAME.store(name.as_ptr().cast_mut(), Ordering::Relaxed);
    NAME_LENGTH.store(name.len(), Ordering::Relaxed);
    FACTOR.store(factor, Ordering::Relaxed);
    IS_OVERDUE.store(false, Ordering::Relaxed);
    let number = LAST_CALL.load(Ordering::Relaxed) + 1;
    LAST_CALL.store(number, Ordering::Relaxed);
    let call = Call { outer: CALL.load(Ordering::Relaxed) };
    CALL.store(number, Ordering::SeqCst);
    if !IS_ARMED.load(Ordering::SeqCst) {
        IS_ARMED.store(true, Ordering::SeqCst);
        set_timer(TICK.load(Ordering::Relaxed));
    }
    call
}

impl Drop for Call {
    #[inline]
    fn drop(&mut self) {
        CALL.store(self.outer, Ordering::SeqCst);
    }
}

/// Whether the running call has to end, and why.
#[inline]
pub(super) fn overdue() -> Option<Overdue> {
    if IS_INTERRUPTED.load(Ordering::Relaxed) {
        return Some(Overdue::ShowEnds);
    }
    IS_OVERDUE.load(Ordering::Relaxed).then_some(Overdue::TimeLimit)
}

/// Allows calls again after an interruption, for the cleanup handler.
pub(super) fn clear_interruption() {
    IS_INTERRUPTED.store(false, Ordering::Relaxed);
}

/// Why a call has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    TimeLimit,
    ShowEnds,
}

/// Starts the timer with a period in milliseconds; 0 stops it.
fn set_timer(period: u32) {
    let time = libc::timeval {
        tv_sec: libc::time_t::from(period as i32 / 1_000),
        tv_usec: libc::suseconds_t::from(period as i32 % 1_000 * 1_000),
    };
    let timer = libc::itimerval { it_interval: time, it_value: time };
    // SAFETY: a system call that reads the structure.
    unsafe {
        libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut());
    }
}

extern "C" fn on_interrupt(_: libc::c_int) {
    IS_INTERRUPTED.store(true, Ordering::Relaxed);
}

extern "C" fn on_tick(_: libc::c_int) {
    let call = CALL.load(Ordering::SeqCst);
    if call == 0 {
        IS_ARMED.store(false, Ordering::SeqCst);
        return with_errno_kept(|| set_timer(0));
    }
    if SEEN.swap(call, Ordering::Relaxed) != call {
        AGE.store(0, Ordering::Relaxed);
        return;
    }
    let age = AGE.load(Ordering::Relaxed).saturating_add(1);
    AGE.store(age, Ordering::Relaxed);
    let factor = FACTOR.load(Ordering::Relaxed);
    let soft = SOFT_TICKS.load(Ordering::Relaxed);
    let hard = HARD_TICKS.load(Ordering::Relaxed);
    let limit = soft.saturating_mul(factor);
    if age >= limit {
        IS_OVERDUE.store(true, Ordering::Relaxed);
    }
    if age >= limit.saturating_add(hard - soft) {
        end_process();
    }
}

/// Runs a system call without changing the `errno` of the interrupted code.
fn with_errno_kept(work: impl FnOnce()) {
    // SAFETY: the location belongs to this thread.
    unsafe {
        let location = libc::__errno_location();
        let errno = *location;
        work();
        *location = errno;
    }
}

/// Prints which call is stuck, and ends the process. What the script has buffered is lost.
fn end_process() -> ! {
    let name = NAME.load(Ordering::Relaxed);
    let length = NAME_LENGTH.load(Ordering::Relaxed);
    let parts = [(name.cast_const(), length), (END_TEXT.as_ptr(), END_TEXT.len())];
    // SAFETY: the name lives as long as the call; write and _exit may be used in signal handlers.
    unsafe {
        for (text, length) in parts {
            libc::write(2, text.cast(), length);
        }
        libc::_exit(TIME_LIMIT_STATUS)
    }
}

/// What follows the name of a call that is stuck.
const END_TEXT: &[u8] =
    b" exceeds `time-limit` in a function that cannot be interrupted; the script \
is ended and started again\n";
