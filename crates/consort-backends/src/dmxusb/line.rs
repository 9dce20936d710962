//! A DMX line that the computer drives itself: the thread that sends breaks and frames.
//!
//! | time | action |
//! |---|---|
//! | 0 | `TIOCSBRK`: the break begins |
//! | at least the break time later | `TIOCCBRK`: the mark begins |
//! | at least the mark time later | the start code 0 and 512 slots are written |
//! | when the kernel has sent them | the thread sleeps until the next frame is due |
//!
//! A frame of 512 slots takes 22.6 ms. If the line is slower than the rate, the next frame follows at
//! once.

use std::io;
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::unix::pipe;
use parking_lot::{Condvar, Mutex};

use crate::dmx::SLOTS;
use crate::serial::SerialLine;

/// The times of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timing {
    /// How long a break lasts at least.
    pub(super) break_time: Duration,
    /// How long the mark after it lasts at least.
    pub(super) mark_time: Duration,
    /// The time from one frame to the next.
    pub(super) interval: Duration,
}

/// A line, or what a test puts in its place.
pub(super) trait Line: Send {
    fn set_break(&mut self, is_on: bool) -> io::Result<()>;
    /// Writes a frame with its start code, and waits until it is sent.
    fn send(&mut self, frame: &[u8; SLOTS + 1]) -> io::Result<()>;
}

impl Line for SerialLine {
    fn set_break(&mut self, is_on: bool) -> io::Result<()> {
        SerialLine::set_break(self, is_on)
    }

    fn send(&mut self, frame: &[u8; SLOTS + 1]) -> io::Result<()> {
        let mut sent = 0;
        while sent < frame.len() {
            sent += match rustix::io::write(self.descriptor().as_fd(), &frame[sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => count,
                Err(rustix::io::Errno::INTR) => 0,
                Err(error) => return Err(error.into()),
            };
        }
        self.drain()
    }
}

/// What the thread and the router's thread share.
struct Shared {
    frame: [u8; SLOTS + 1],
    timing: Timing,
    has_ended: bool,
    /// Why the thread has ended by itself.
    failure: Option<io::Error>,
}

/// A line and its thread.
pub(super) struct DrivenLine {
    shared: Arc<(Mutex<Shared>, Condvar)>,
    /// Becomes readable when the thread has ended by itself.
    pub(super) end: pipe::Receiver,
    thread: Option<JoinHandle<()>>,
}

impl DrivenLine {
    /// Starts the thread.
    ///
    /// # Errors
    /// The error of the operating system.
    pub(super) fn start(line: impl Line + 'static, timing: Timing) -> io::Result<Self> {
        let shared = Shared { frame: [0; SLOTS + 1], timing, has_ended: false, failure: None };
        let shared = Arc::new((Mutex::new(shared), Condvar::new()));
        let (sender, end) = pipe::new()?;
        let of_thread = Arc::clone(&shared);
        let run = move || {
            // The end of the pipe is closed when the thread ends.
            let _sender = sender;
            drive(line, &of_thread);
        };
        let thread = std::thread::Builder::new().name("dmx line".into()).spawn(run)?;
        Ok(DrivenLine { shared, end, thread: Some(thread) })
    }

    /// Sets the slots of the next frame.
    pub(super) fn set(&self, slots: &[u8; SLOTS]) {
        self.shared.0.lock().frame[1..].copy_from_slice(slots);
    }

    /// Changes the times, from the next frame on.
    pub(super) fn set_timing(&self, timing: Timing) {
        self.shared.0.lock().timing = timing;
    }

    /// Why the thread has ended by itself.
    pub(super) fn take_failure(&self) -> Option<io::Error> {
        self.shared.0.lock().failure.take()
    }

    /// Lets the thread send one more frame with the last values and end.
    pub(super) fn end(&self) {
        let (shared, wake) = &*self.shared;
        shared.lock().has_ended = true;
        wake.notify_one();
    }

    /// Whether the thread has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for DrivenLine {
    fn drop(&mut self) {
        self.end();
        // The thread closes the line; nobody waits for it, because it may be sending.
        self.thread = None;
    }
}

/// Sleeps at least until a time.
fn sleep_until(time: Instant) {
    loop {
        let now = Instant::now();
        if now >= time {
            return;
        }
        std::thread::sleep(time - now);
    }
}

/// Sends frames until the end or an error.
fn drive(mut line: impl Line, (shared, wake): &(Mutex<Shared>, Condvar)) {
    // The kernel may otherwise extend each sleep by 50 µs, to wake several threads at once.
    if let Err(error) = rustix::thread::set_current_timer_slack(NonZeroU64::new(1)) {
        tracing::debug!("cannot reduce the timer slack: {error}");
    }
    let mut due = Instant::now();
    let result = loop {
        let (frame, timing, is_last) = {
            let mut shared = shared.lock();
            while Instant::now() < due && !shared.has_ended {
                wake.wait_until(&mut shared, due);
            }
            (shared.frame, shared.timing, shared.has_ended)
        };
        due = due.max(Instant::now()) + timing.interval;
        if let Err(error) = send_frame(&mut line, &frame, timing) {
            break Some(error);
        }
        if is_last {
            break None;
        }
    };
    shared.lock().failure = result;
}

/// Sends a break, a mark and a frame.
fn send_frame(line: &mut impl Line, frame: &[u8; SLOTS + 1], timing: Timing) -> io::Result<()> {
    line.set_break(true)?;
    sleep_until(Instant::now() + timing.break_time);
    line.set_break(false)?;
    sleep_until(Instant::now() + timing.mark_time);
    line.send(frame)
}

/// Sends frames of zeros on a line, for benchmarks; see `dmxusb::bench`.
#[cfg(feature = "fuzzing")]
pub(super) fn send_frames(line: &mut impl Line, count: usize, timing: Timing) -> io::Result<()> {
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
    (0..count).try_for_each(|_| send_frame(line, &[0; SLOTS + 1], timing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// What happened on a line, and when.
    #[derive(Debug, PartialEq)]
    enum Action {
        Break(bool),
        Frame(u8, u8),
    }

    struct Recorder {
        actions: mpsc::Sender<(Action, Instant)>,
        failing_frame: Option<usize>,
        frames: usize,
    }

    impl Line for Recorder {
        fn set_break(&mut self, is_on: bool) -> io::Result<()> {
            let _ = self.actions.send((Action::Break(is_on), Instant::now()));
            Ok(())
        }

        fn send(&mut self, frame: &[u8; SLOTS + 1]) -> io::Result<()> {
            self.frames += 1;
            if self.failing_frame == Some(self.frames) {
                return Err(io::Error::from_raw_os_error(libc::EIO));
            }
            let _ = self.actions.send((Action::Frame(frame[0], frame[1]), Instant::now()));
            Ok(())
        }
    }

    const TIMING: Timing = Timing {
        break_time: Duration::from_micros(110),
        mark_time: Duration::from_micros(12),
        interval: Duration::from_millis(1),
    };

    fn recorder(failing_frame: Option<usize>) -> (Recorder, mpsc::Receiver<(Action, Instant)>) {
        let (actions, receiver) = mpsc::channel();
        (Recorder { actions, failing_frame, frames: 0 }, receiver)
    }

    #[test]
    fn a_frame_is_a_break_a_mark_and_slots() {
        let (line, actions) = recorder(None);
        let driven = DrivenLine::start(line, TIMING).expect("a thread");
        driven.set(&[77; SLOTS]);
        for number in 0..100 {
            let next = || actions.recv_timeout(Duration::from_secs(30)).expect("an action");
            let (begin, began) = next();
            let (end, ended) = next();
            let (frame, sent) = next();
            assert_eq!((begin, end), (Action::Break(true), Action::Break(false)));
            // The first frames may have been read before the slots were set.
            assert!(matches!(frame, Action::Frame(0, 0 | 77)), "frame {number}");
            // Never shorter, however late the thread is woken.
            assert!(ended - began >= TIMING.break_time);
            assert!(sent - ended >= TIMING.mark_time);
        }
        driven.set(&[78; SLOTS]);
        driven.end();
        let last = actions.iter().map(|(action, _)| action).last();
        assert_eq!(last, Some(Action::Frame(0, 78)), "the last values are sent");
    }

    #[test]
    fn an_error_ends_the_thread_and_is_reported() {
        let (line, actions) = recorder(Some(3));
        let driven = DrivenLine::start(line, TIMING).expect("a thread");
        // The channel ends with the thread.
        assert_eq!(actions.iter().count(), 2 * 3 + 2);
        let deadline = Instant::now() + Duration::from_secs(30);
        let failure = loop {
            match driven.take_failure() {
                Some(failure) => break failure,
                None => assert!(Instant::now() < deadline, "no failure"),
            }
            std::thread::yield_now();
        };
        assert_eq!(failure.raw_os_error(), Some(libc::EIO));
    }
}
