//! Logs: through `tracing` to standard error, and the last lines into a ring for the live view.
//!
//! Logging never blocks: a bounded queue hands lines to a thread that writes them. When standard
//! error is blocked (a stopped terminal, a full pipe or disk), lines beyond the queue are
//! counted, and the count is written as soon as writing succeeds again. At the end of the program
//! [`finish`] waits for the rest.
//!
//! While the live view owns the terminal, lines go to the ring alone; the view shows them.

mod format;
mod limit;
mod time;

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing_subscriber::EnvFilter;

pub(crate) use format::begin_show;
use format::{LineFormat, LineFormatter};

/// How many lines the ring keeps.
const RING_LINES: usize = 200;
/// How many characters of a line the ring keeps.
const MAX_LINE_CHARS: usize = 400;
/// How many lines wait for standard error.
const QUEUE_LINES: usize = 4_096;
/// How long the end of the program waits for a blocked output.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

static RING: Mutex<Ring> = Mutex::new(Ring { lines: VecDeque::new(), next: 0 });
static IS_HELD: AtomicBool = AtomicBool::new(false);
static QUEUE: OnceLock<Queue> = OnceLock::new();

/// The last lines, which the live view shows.
struct Ring {
    // Shared, so that a reader holds the lock only while it counts references.
    lines: VecDeque<Arc<str>>,
    /// The number of the next line, counted from the start of the program.
    next: u64,
}

/// Sends logs to standard error, in colour if that is a terminal. `CONSORT_LOG` filters them
/// (`debug`, `consort_router=trace`, …); modules that it does not name log at `info`.
///
/// Keep the result until the end of the program: dropping it calls [`finish`].
#[must_use]
pub(crate) fn init() -> Finish {
    let wanted = std::env::var("CONSORT_LOG").unwrap_or_default();
    let parsed = EnvFilter::try_new(format!("info,{wanted}"));
    let invalid = parsed.as_ref().err().map(ToString::to_string);
    let filter = parsed.unwrap_or_else(|_| EnvFilter::new("info"));
    let is_terminal = io::stderr().is_terminal();
    let is_coloured = is_coloured(&io::stderr());
    // If the thread cannot be started, the threads that log write their lines themselves.
    if let Ok(queue) = Queue::start(Box::new(io::stderr())) {
        let _ = QUEUE.set(queue);
    }
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || Writer { is_terminal })
        .with_ansi(is_coloured)
        .event_format(LineFormatter(LineFormat::current))
        .init();
    if let Some(error) = invalid {
        tracing::warn!("invalid log filter CONSORT_LOG={wanted}: {error}; using `info`");
    }
    Finish
}

/// Whether output to `stream` is coloured: the stream is a terminal with colours, and
/// `NO_COLOR` is not set (no-color.org).
pub(crate) fn is_coloured(stream: &impl IsTerminal) -> bool {
    let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !is_unwanted && !is_dumb()
}

/// Whether the terminal can only print text.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|name| name == "dumb")
}

/// Writes the rest of the log when it is dropped.
pub(crate) struct Finish;

impl Drop for Finish {
    fn drop(&mut self) {
        finish(FLUSH_TIMEOUT);
    }
}

/// Keeps lines from the terminal (they go to the ring only), or lets them through again. Lines
/// logged before may still be in the queue; [`finish`] waits for them.
pub(crate) fn hold(is_held: bool) {
    // Writers check the flag and queue their lines under this lock. Once the lock was taken
    // here, no line that saw the old value can follow.
    let _ring = RING.lock();
    IS_HELD.store(is_held, Ordering::Release);
}

/// The output of scripts: standard output, or the log while the live view owns the terminal.
#[cfg(any(feature = "lua", feature = "python"))]
pub(crate) struct Print;

#[cfg(any(feature = "lua", feature = "python"))]
impl Write for Print {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !IS_HELD.load(Ordering::Acquire) {
            return io::stdout().write(bytes);
        }
        for line in String::from_utf8_lossy(bytes).lines() {
            tracing::info!("{line}");
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if IS_HELD.load(Ordering::Acquire) { Ok(()) } else { io::stdout().flush() }
    }
}

/// Waits until all lines are written; gives up when the output blocks for `timeout`.
pub(crate) fn finish(timeout: Duration) {
    if let Some(queue) = QUEUE.get() {
        let left_out = format::left_out_lines();
        if !left_out.is_empty() {
            queue.push(left_out.as_bytes());
        }
        queue.finish(timeout);
    }
}

/// The lines that the ring still has, starting at number `from`, and the number of the next one.
pub(crate) fn lines(from: u64) -> (Vec<String>, u64) {
    let ring = RING.lock();
    let wanted = usize::try_from(ring.next.saturating_sub(from)).unwrap_or(usize::MAX);
    let skipped = ring.lines.len().saturating_sub(wanted);
    let kept: Vec<Arc<str>> = ring.lines.iter().skip(skipped).cloned().collect();
    let next = ring.next;
    drop(ring);
    (kept.iter().map(|line| line.to_string()).collect(), next)
}

/// Receives one event of the log at a time. It never fails: `tracing` would report the failure
/// on standard error itself, and panic if that is closed.
struct Writer {
    is_terminal: bool,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let lines: Vec<Arc<str>> = text.lines().map(|line| plain(line).into()).collect();
        let mut ring = RING.lock();
        for line in lines {
            if ring.lines.len() == RING_LINES {
                ring.lines.pop_front();
            }
            ring.lines.push_back(line);
            ring.next += 1;
        }
        if self.is_terminal && IS_HELD.load(Ordering::Acquire) {
            return Ok(bytes.len());
        }
        match QUEUE.get() {
            Some(queue) => queue.push(bytes),
            // If standard error is closed, nobody reads the line: no error.
            None => drop(io::stderr().write_all(bytes)),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A line without colour sequences and other control characters.
fn plain(line: &str) -> String {
    let mut kept = String::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // "ESC [ parameters letter" is the only form of sequence that the log writes.
            let _ = characters.find(char::is_ascii_alphabetic);
        } else if !character.is_control() {
            kept.push(character);
        }
    }
    kept.chars().take(MAX_LINE_CHARS).collect()
}

/// Work for the writing thread.
enum Job {
    Line(Box<[u8]>),
    /// Answered when all lines before it are written.
    Finish(SyncSender<()>),
}

/// Lines for an output that may be slow.
struct Queue {
    jobs: SyncSender<Job>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Lines that did not fit into the queue or could not be written.
    lost: AtomicU64,
    /// Jobs done.
    done: AtomicU64,
}

impl Queue {
    fn start(output: Box<dyn Write + Send>) -> io::Result<Self> {
        let (jobs, waiting) = sync_channel(QUEUE_LINES);
        let counts = Arc::<Counts>::default();
        let thread_counts = Arc::clone(&counts);
        std::thread::Builder::new()
            .name("log".into())
            .spawn(move || write_all(output, &waiting, &thread_counts))?;
        Ok(Queue { jobs, counts })
    }

    /// Adds a line; drops and counts it if the queue is full. Does not block.
    fn push(&self, line: &[u8]) {
        if self.jobs.try_send(Job::Line(line.into())).is_err() {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything pushed before is written. Gives up when no job is done for
    /// `timeout`; returns whether all are.
    fn finish(&self, timeout: Duration) -> bool {
        let (done, is_done) = sync_channel(1);
        let mut job = Job::Finish(done);
        let mut progress = (self.counts.done.load(Ordering::Relaxed), Instant::now());
        loop {
            match self.jobs.try_send(job) {
                Ok(()) => break,
                Err(TrySendError::Full(same)) => job = same,
                Err(TrySendError::Disconnected(_)) => return false,
            }
            if !self.has_progress(&mut progress, timeout) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        loop {
            match is_done.recv_timeout(Duration::from_millis(50)) {
                Ok(()) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) if self.has_progress(&mut progress, timeout) => {}
                Err(RecvTimeoutError::Timeout) => return false,
            }
        }
    }

    /// Whether a job was done within the last `timeout`. `progress` is the number of jobs done
    /// at the last change, and the time of that change.
    fn has_progress(&self, progress: &mut (u64, Instant), timeout: Duration) -> bool {
        let done = self.counts.done.load(Ordering::Relaxed);
        if done != progress.0 {
            *progress = (done, Instant::now());
        }
        progress.1.elapsed() < timeout
    }
}

/// Runs the writing thread until the program ends.
fn write_all(mut output: Box<dyn Write + Send>, jobs: &Receiver<Job>, counts: &Counts) {
    let mut reported = 0;
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Line(line) => {
                if output.write_all(&line).and_then(|()| output.flush()).is_err() {
                    counts.lost.fetch_add(1, Ordering::Relaxed);
                }
            }
            Job::Finish(done) => drop(done.send(())),
        }
        let lost = counts.lost.load(Ordering::Relaxed);
        if lost > reported {
            let text = format::lost_lines(LineFormat::current(), lost - reported);
            if output.write_all(text.as_bytes()).is_ok() {
                reported = lost;
            }
        }
        counts.done.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Sender;

    use super::*;

    #[test]
    fn the_ring_keeps_the_last_lines_without_colours() {
        hold(true);
        let mut writer = Writer { is_terminal: true };
        let (_, from) = lines(u64::MAX);
        writer.write_all(b"\x1b[32mINFO\x1b[0m \x1b[1mlamp:\x1b[0m\tup\n").expect("written");
        assert_eq!(lines(from), (vec!["INFO lamp:up".to_owned()], from + 1));
        for number in 0..2 * RING_LINES {
            writer.write_all(format!("line {number}\n").as_bytes()).expect("written");
        }
        let (kept, next) = lines(0);
        assert_eq!((kept.len(), next), (RING_LINES, from + 1 + 2 * RING_LINES as u64));
        assert_eq!(kept[RING_LINES - 1], format!("line {}", 2 * RING_LINES - 1));
        hold(false);
    }

    /// An output that performs a write only when it receives a permission.
    struct Gate {
        permissions: Receiver<bool>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Once the sender is dropped, every write succeeds.
            if self.permissions.recv() == Ok(false) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.written.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gate() -> (Queue, Sender<bool>, Arc<Mutex<Vec<u8>>>) {
        let (sender, permissions) = std::sync::mpsc::channel();
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let output = Box::new(Gate { permissions, written: Arc::clone(&written) });
        (Queue::start(output).expect("a thread"), sender, written)
    }

    fn text(written: &Mutex<Vec<u8>>) -> String {
        String::from_utf8(written.lock().clone()).expect("UTF-8")
    }

    #[test]
    fn a_normal_end_loses_no_line() {
        let (queue, sender, written) = gate();
        let all: Vec<String> = (0..QUEUE_LINES).map(|number| format!("line {number}\n")).collect();
        for line in &all {
            queue.push(line.as_bytes());
        }
        drop(sender);
        assert!(queue.finish(Duration::from_secs(30)));
        assert_eq!(text(&written), all.concat());
    }

    #[test]
    fn a_blocked_output_blocks_no_logging_thread_and_lost_lines_are_counted() {
        let (queue, sender, written) = gate();
        for number in 0..3 * QUEUE_LINES {
            queue.push(format!("line {number}\n").as_bytes());
        }
        assert!(!queue.finish(Duration::from_millis(50)), "the output is blocked");
        let lost = queue.counts.lost.load(Ordering::Relaxed) as usize;
        assert!((2 * QUEUE_LINES - 1..=2 * QUEUE_LINES).contains(&lost), "{lost}");
        drop(sender);
        assert!(queue.finish(Duration::from_secs(30)));
        let text = text(&written);
        assert!(text.contains(&format!("warning: {lost} log lines lost here\n")), "{text}");
        assert_eq!(text.lines().count(), 3 * QUEUE_LINES - lost + 1);
    }

    #[test]
    fn lines_lost_on_a_full_disk_are_reported_when_there_is_space_again() {
        let (queue, sender, written) = gate();
        for is_allowed in [false, false, false, false, true] {
            sender.send(is_allowed).expect("the output waits");
        }
        queue.push(b"one\n"); // fails, and so does the report
        queue.push(b"two\n"); // the same
        queue.push(b"three\n");
        drop(sender);
        assert!(queue.finish(Duration::from_secs(30)));
        assert_eq!(text(&written), "three\nwarning: 2 log lines lost here\n");
    }
}
