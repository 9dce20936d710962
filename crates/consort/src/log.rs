//! Logs: through `tracing` to standard error, and the last lines into a ring for onlookers.
//!
//! Whoever logs never waits: lines stand in a bounded queue for a thread that writes them. When
//! standard error takes no more (a terminal that is held, a full pipe or disk), lines beyond
//! the queue are counted, and the count is written when it moves again. At the end of the
//! program [`finish`] waits for the rest.
//!
//! While the live view has the terminal, lines go to the ring alone; the view shows them.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tracing_subscriber::EnvFilter;

/// How many lines the ring keeps.
const LINES: usize = 200;
/// How many characters of a line it keeps.
const WIDTH: usize = 400;
/// How many lines wait for standard error.
const QUEUE: usize = 4_096;
/// How long the end of the program waits for an output that does not move.
const PATIENCE: Duration = Duration::from_secs(1);

static RING: Mutex<Ring> = Mutex::new(Ring { lines: VecDeque::new(), next: 0 });
static IS_HELD: AtomicBool = AtomicBool::new(false);
static QUEUED: OnceLock<Queue> = OnceLock::new();

struct Ring {
    // Shared, so that reading them holds the lock for no longer than counting takes.
    lines: VecDeque<Arc<str>>,
    /// The number of the line that comes next, counted from the start of the program.
    next: u64,
}

/// Sends logs to standard error, in colour where that is a terminal. `CONSORT_LOG` filters
/// them (`debug`, `consort_router=trace`, …); what it does not speak of is at `info`.
///
/// Keep what is returned until the end of the program: dropping it is [`finish`].
#[must_use]
pub(crate) fn init() -> Finish {
    let wanted = std::env::var("CONSORT_LOG").unwrap_or_default();
    let parsed = EnvFilter::try_new(format!("info,{wanted}"));
    let refused = parsed.as_ref().err().map(ToString::to_string);
    let filter = parsed.unwrap_or_else(|_| EnvFilter::new("info"));
    let is_terminal = io::stderr().is_terminal();
    let colour = is_coloured(&io::stderr());
    // Where no thread is to be had, lines are written by those who log.
    if let Ok(queue) = Queue::start(Box::new(io::stderr())) {
        let _ = QUEUED.set(queue);
    }
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || Writer { is_terminal })
        .with_ansi(colour)
        .with_target(false)
        .compact()
        .init();
    if let Some(error) = refused {
        tracing::warn!("CONSORT_LOG={wanted} cannot be read ({error}); it is `info` instead");
    }
    Finish
}

/// Whether what is written there is to be coloured: a terminal that can, and nobody who has
/// set `NO_COLOR` (no-color.org).
pub(crate) fn is_coloured(stream: &impl IsTerminal) -> bool {
    let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !is_unwanted && !is_dumb()
}

/// Whether the terminal can do nothing but print.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|name| name == "dumb")
}

/// Writes what is left of the log when it is dropped.
pub(crate) struct Finish;

impl Drop for Finish {
    fn drop(&mut self) {
        finish(PATIENCE);
    }
}

/// Keeps lines from the terminal (they only go to the ring), or lets them through again. Those
/// from before may still be on their way: [`finish`] waits for them.
pub(crate) fn hold(is_held: bool) {
    // Whoever writes looks and queues under this lock: once it was had, no line comes late.
    let _ring = RING.lock().unwrap_or_else(PoisonError::into_inner);
    IS_HELD.store(is_held, Ordering::Release);
}

/// What scripts print: it goes to standard output, or into the log while the live view has
/// the terminal.
#[cfg(feature = "python")]
pub(crate) struct Print;

#[cfg(feature = "python")]
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

/// Waits until all lines are written, but not for an output that does not move.
pub(crate) fn finish(patience: Duration) {
    if let Some(queue) = QUEUED.get() {
        queue.finish(patience);
    }
}

/// The lines from number `from` on, as far as they are kept, and the number of the next one.
pub(crate) fn lines(from: u64) -> (Vec<String>, u64) {
    let ring = RING.lock().unwrap_or_else(PoisonError::into_inner);
    let wanted = usize::try_from(ring.next.saturating_sub(from)).unwrap_or(usize::MAX);
    let skipped = ring.lines.len().saturating_sub(wanted);
    let kept: Vec<Arc<str>> = ring.lines.iter().skip(skipped).cloned().collect();
    let next = ring.next;
    drop(ring);
    (kept.iter().map(|line| line.to_string()).collect(), next)
}

/// Takes one event of the log at a time. Never fails: tracing would write about it to standard
/// error itself, and panic when that is closed.
struct Writer {
    is_terminal: bool,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let lines: Vec<Arc<str>> = text.lines().map(|line| plain(line).into()).collect();
        let mut ring = RING.lock().unwrap_or_else(PoisonError::into_inner);
        for line in lines {
            if ring.lines.len() == LINES {
                ring.lines.pop_front();
            }
            ring.lines.push_back(line);
            ring.next += 1;
        }
        if self.is_terminal && IS_HELD.load(Ordering::Acquire) {
            return Ok(bytes.len());
        }
        match QUEUED.get() {
            Some(queue) => queue.push(bytes),
            // Whoever closed it does not want to read it.
            None => drop(io::stderr().write_all(bytes)),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A line without the sequences that colour it and without other control characters.
fn plain(line: &str) -> String {
    let mut kept = String::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // "ESC [ parameters letter"; all that the log's own colours use.
            let _ = characters.find(char::is_ascii_alphabetic);
        } else if !character.is_control() {
            kept.push(character);
        }
    }
    kept.chars().take(WIDTH).collect()
}

enum Job {
    Line(Box<[u8]>),
    /// Answered when all before it is written.
    Finish(SyncSender<()>),
}

/// Lines on their way to an output that may be slow.
struct Queue {
    jobs: SyncSender<Job>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Lines that found no room, or that the output refused.
    lost: AtomicU64,
    /// Jobs done.
    done: AtomicU64,
}

impl Queue {
    fn start(output: Box<dyn Write + Send>) -> io::Result<Self> {
        let (jobs, waiting) = sync_channel(QUEUE);
        let counts = Arc::<Counts>::default();
        let counted = Arc::clone(&counts);
        std::thread::Builder::new()
            .name("log".into())
            .spawn(move || write_all(output, &waiting, &counted))?;
        Ok(Queue { jobs, counts })
    }

    /// Never waits.
    fn push(&self, line: &[u8]) {
        if self.jobs.try_send(Job::Line(line.into())).is_err() {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all is written that was pushed before, for as long as something moves at
    /// least once in `patience`. Returns whether all is.
    fn finish(&self, patience: Duration) -> bool {
        let (done, is_done) = sync_channel(1);
        let mut job = Job::Finish(done);
        let mut moved = (self.counts.done.load(Ordering::Relaxed), Instant::now());
        loop {
            match self.jobs.try_send(job) {
                Ok(()) => break,
                Err(TrySendError::Full(same)) => job = same,
                Err(TrySendError::Disconnected(_)) => return false,
            }
            if !self.is_moving(&mut moved, patience) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        loop {
            match is_done.recv_timeout(Duration::from_millis(50)) {
                Ok(()) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) if self.is_moving(&mut moved, patience) => {}
                Err(RecvTimeoutError::Timeout) => return false,
            }
        }
    }

    fn is_moving(&self, moved: &mut (u64, Instant), patience: Duration) -> bool {
        let done = self.counts.done.load(Ordering::Relaxed);
        if done != moved.0 {
            *moved = (done, Instant::now());
        }
        moved.1.elapsed() < patience
    }
}

/// The writing thread, until the program ends.
fn write_all(mut output: Box<dyn Write + Send>, jobs: &Receiver<Job>, counts: &Counts) {
    let mut told = 0;
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
        if lost > told {
            let text = format!(" WARN {} lines of the log were lost here\n", lost - told);
            if output.write_all(text.as_bytes()).is_ok() {
                told = lost;
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
        writer.write_all(b"\x1b[32m INFO\x1b[0m up\t\x1b[1minstance\x1b[0m=desk\n").expect("it");
        assert_eq!(lines(from), (vec![" INFO upinstance=desk".to_owned()], from + 1));
        for number in 0..2 * LINES {
            writer.write_all(format!("line {number}\n").as_bytes()).expect("written");
        }
        let (kept, next) = lines(0);
        assert_eq!((kept.len(), next), (LINES, from + 1 + 2 * LINES as u64));
        assert_eq!(kept[LINES - 1], format!("line {}", 2 * LINES - 1));
        hold(false);
    }

    /// An output that takes a write only when it is let.
    struct Gate {
        lets: Receiver<bool>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Once nobody lets or forbids, all goes through.
            if self.lets.recv() == Ok(false) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.written.lock().expect("it").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gate() -> (Queue, Sender<bool>, Arc<Mutex<Vec<u8>>>) {
        let (letting, lets) = std::sync::mpsc::channel();
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let output = Box::new(Gate { lets, written: Arc::clone(&written) });
        (Queue::start(output).expect("a thread"), letting, written)
    }

    #[test]
    fn nothing_is_lost_at_a_normal_end() {
        let (queue, letting, written) = gate();
        let all: Vec<String> = (0..QUEUE).map(|number| format!("line {number}\n")).collect();
        for line in &all {
            queue.push(line.as_bytes());
        }
        drop(letting);
        assert!(queue.finish(Duration::from_secs(30)));
        assert_eq!(String::from_utf8(written.lock().expect("it").clone()), Ok(all.concat()));
    }

    #[test]
    fn an_output_that_stands_still_stops_nobody_and_what_is_lost_is_counted() {
        let (queue, letting, written) = gate();
        for number in 0..3 * QUEUE {
            queue.push(format!("line {number}\n").as_bytes());
        }
        assert!(!queue.finish(Duration::from_millis(50)), "it cannot be done");
        let lost = queue.counts.lost.load(Ordering::Relaxed) as usize;
        assert!((2 * QUEUE - 1..=2 * QUEUE).contains(&lost), "{lost}");
        drop(letting);
        assert!(queue.finish(Duration::from_secs(30)));
        let text = String::from_utf8(written.lock().expect("it").clone()).expect("UTF-8");
        assert!(
            text.contains(&format!(" WARN {lost} lines of the log were lost here\n")),
            "{text}"
        );
        assert_eq!(text.lines().count(), 3 * QUEUE - lost + 1);
    }

    #[test]
    fn a_full_disk_is_counted_and_told_when_there_is_room_again() {
        let (queue, letting, written) = gate();
        for verdict in [false, false, false, false, true] {
            letting.send(verdict).expect("it waits");
        }
        queue.push(b"one\n"); // refused, and so is the count
        queue.push(b"two\n"); // the same
        queue.push(b"three\n");
        drop(letting);
        assert!(queue.finish(Duration::from_secs(30)));
        let text = String::from_utf8(written.lock().expect("it").clone()).expect("UTF-8");
        assert_eq!(text, "three\n WARN 2 lines of the log were lost here\n");
    }
}
