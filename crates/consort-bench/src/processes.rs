//! Processor time, memory and wake-ups of threads and processes, as the kernel counts them.
#![allow(unsafe_code)] // The CPU clocks and the affinity have no safe wrapper in the standard library.

use std::fs;
use std::io;
use std::ops::Range;
use std::time::Duration;

/// Reads a CPU clock.
fn read_clock(clock: libc::clockid_t) -> io::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to a variable that outlives it.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// The processor time of the calling thread so far; clock_gettime(2), `CLOCK_THREAD_CPUTIME_ID`.
pub fn thread_time() -> Duration {
    read_clock(libc::CLOCK_THREAD_CPUTIME_ID).expect("every thread has a CPU clock")
}

/// The processor time of all threads of this process so far; clock_gettime(2),
/// `CLOCK_PROCESS_CPUTIME_ID`.
pub fn process_time() -> Duration {
    read_clock(libc::CLOCK_PROCESS_CPUTIME_ID).expect("every process has a CPU clock")
}

/// The processor time of all threads of another process so far; clock_getcpuclockid(3).
///
/// # Errors
/// If the process does not exist.
pub fn time_of_process(process: u32) -> io::Result<Duration> {
    let mut clock = 0;
    // SAFETY: the call writes to a variable that outlives it.
    let error = unsafe { libc::clock_getcpuclockid(process as libc::pid_t, &raw mut clock) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    read_clock(clock)
}

/// The processor time of the main thread of a process so far; `schedstat` of proc(5).
///
/// # Errors
/// If the process does not exist.
pub fn time_of_main_thread(process: u32) -> io::Result<Duration> {
    let path = format!("/proc/{process}/task/{process}/schedstat");
    let text = fs::read_to_string(&path)?;
    let time = text.split(' ').next().and_then(|text| text.parse().ok());
    let time = time.ok_or_else(|| io::Error::other(format!("{path} has no number")))?;
    Ok(Duration::from_nanos(time))
}

/// Restricts a thread or process (0: the calling thread) to some processors, which are counted
/// from 0; sched_setaffinity(2). Does nothing if none of them exists.
pub fn pin_thread(id: u32, processors: Range<usize>) {
    // SAFETY: a zeroed set is empty; the macro and the call get indices below CPU_SETSIZE and a
    // set that outlives them.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        for processor in processors.start..processors.end.min(libc::CPU_SETSIZE as usize) {
            libc::CPU_SET(processor, &mut set);
        }
        libc::sched_setaffinity(id as libc::pid_t, size_of::<libc::cpu_set_t>(), &raw const set);
    }
}

/// A number of `/proc/PID/status`, in kB where the kernel writes a unit.
fn status(path: &str, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| io::Error::other(format!("{path} has no number after {name}")))
}

/// The resident memory of a process in kB (`VmRSS` of proc(5)).
///
/// # Errors
/// If the process does not exist.
pub fn resident_memory(process: u32) -> io::Result<u64> {
    status(&format!("/proc/{process}/status"), "VmRSS:")
}

/// The largest resident memory that a process has had, in kB (`VmHWM` of proc(5)).
///
/// # Errors
/// If the process does not exist.
pub fn peak_memory(process: u32) -> io::Result<u64> {
    status(&format!("/proc/{process}/status"), "VmHWM:")
}

/// How often the threads of a process went to sleep so far: their voluntary context switches.
///
/// # Errors
/// If the process does not exist.
pub fn wake_ups(process: u32) -> io::Result<u64> {
    let mut count = 0;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let path = task?.path().join("status");
        // A thread may exit between the two reads.
        count += status(&path.to_string_lossy(), "voluntary_ctxt_switches:").unwrap_or(0);
    }
    Ok(count)
}

/// The processes whose parent is this process.
pub fn child_processes(process: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parent = |number: &u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
        // The name of the program, in parentheses, may contain blanks.
        stat.rsplit(") ").next()?.split(' ').nth(1)?.parse().ok()
    };
    numbers.filter(|number| parent(number) == Some(process)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_of_this_process_advance() {
        let own = std::process::id();
        let (thread, process) = (thread_time(), process_time());
        let wanted = Duration::from_millis(2);
        while thread_time() - thread < wanted || process_time() - process < wanted {
            std::hint::spin_loop();
        }
        assert!(time_of_process(own).expect("this process") >= process);
        time_of_main_thread(own).expect("this process");
        assert!(resident_memory(own).expect("this process") > 100);
        assert!(peak_memory(own).expect("this process") > 100);
        wake_ups(own).expect("this process");
    }

    #[test]
    fn children_are_listed_by_their_parent() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        assert!(child_processes(std::process::id()).contains(&child.id()));
        child.kill().expect("killed");
        child.wait().expect("reaped");
        assert!(time_of_process(child.id()).is_err());
    }
}
