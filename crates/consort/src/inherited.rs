//! What a program inherits from the one that starts it, and repairs before it does anything else.
//!
//! Launchers with threads block signals, service scripts ignore some, and limits of a shell apply
//! to all that it starts. None of this may make a show that cannot be ended, that does not notice
//! the end of a process, or that a full log file kills.

// The signal mask and dispositions are reached through libc.
#![allow(unsafe_code)]

/// Unblocks all signals; receives the ends of child processes; and ignores SIGXFSZ, so that writing
/// beyond the limit for files is an error like a full disk. The standard library opens
/// `/dev/null` in place of closed standard descriptors before `main`, and ignores SIGPIPE.
pub(crate) fn repair() {
    // SAFETY: system calls on a structure of this function, before any thread is started.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}
