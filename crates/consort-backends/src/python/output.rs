//! What scripts print, line by line, without ever making anyone wait who must not.
//!
//! One thread reads the pipes of all workers, another writes. What a script writes to its
//! standard output comes out of ours as it is; what it writes to its standard error goes to the
//! log with the instance's name. Between the two threads at most [`WAITING_LIMIT`] bytes wait;
//! when our own standard output is slow, scripts that print wait a little; when it does not
//! move at all, lines are dropped and counted, and the scripts go on.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

/// How many bytes of lines wait to be written.
const WAITING_LIMIT: usize = 1 << 20;
/// The longest line; longer ones are broken.
const LINE_LIMIT: usize = 1 << 16;
/// How long a full queue may stand still before lines are dropped.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long the end waits for the last lines.
const FAREWELL: Duration = Duration::from_millis(1_000);

/// Where a line belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Output,
    Error,
}

struct Line {
    instance: Arc<str>,
    stream: Stream,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Line>,
    bytes: usize,
    /// How many lines the writer has taken; stands still when it is stuck.
    taken: u64,
    dropped: u64,
    ended: bool,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    moved: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Source {
    pipe: OwnedFd,
    instance: Arc<str>,
    stream: Stream,
    partial: Vec<u8>,
}

/// Takes the output of workers. Its threads end with it.
pub(crate) struct Forwarder {
    sources: Sender<Source>,
    wake: UnixStream,
    done: Receiver<()>,
}

impl Forwarder {
    /// Starts the threads; lines of standard output go to `sink`.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn new(sink: Box<dyn Write + Send>) -> io::Result<Self> {
        let (sources, new_sources) = channel();
        let (wake, woken) = UnixStream::pair()?;
        woken.set_nonblocking(true)?;
        let (finished, done) = channel();
        let shared = Arc::new(Shared::default());
        let writing = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("python output".into())
            .spawn(move || read_all(&new_sources, &woken, &shared))?;
        // Whoever listens to the log here listens to the scripts as well.
        let log = tracing::dispatcher::get_default(Clone::clone);
        std::thread::Builder::new().name("python print".into()).spawn(move || {
            tracing::dispatcher::with_default(&log, || write_all(&writing, sink));
            let _ = finished.send(());
        })?;
        Ok(Forwarder { sources, wake, done })
    }

    /// Reads another pipe, to its end.
    pub(crate) fn add(&self, pipe: OwnedFd, instance: &Arc<str>, stream: Stream) {
        let instance = Arc::clone(instance);
        let source = Source { pipe, instance, stream, partial: Vec::new() };
        if self.sources.send(source).is_ok() {
            let _ = (&self.wake).write(&[0]);
        }
    }
}

impl Drop for Forwarder {
    /// Waits for the last lines, but not for an output that does not move.
    fn drop(&mut self) {
        let (sources, _) = channel();
        self.sources = sources;
        let _ = self.wake.shutdown(std::net::Shutdown::Write);
        let _ = self.done.recv_timeout(FAREWELL + PATIENCE * 2);
    }
}

/// The reading thread: until no pipe is open and no more will come.
fn read_all(new_sources: &Receiver<Source>, woken: &UnixStream, shared: &Shared) {
    let mut sources: Vec<Source> = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    let mut closing: Option<Instant> = None;
    loop {
        let ready: Vec<bool> = {
            let mut watched = Vec::with_capacity(sources.len() + 1);
            if closing.is_none() {
                watched.push(PollFd::new(woken, PollFlags::IN));
            }
            let first = watched.len();
            watched.extend(sources.iter().map(|it| PollFd::new(&it.pipe, PollFlags::IN)));
            let timeout = closing.map(|end| {
                let rest = end.saturating_duration_since(Instant::now());
                rustix::event::Timespec {
                    tv_sec: i64::try_from(rest.as_secs()).unwrap_or(1),
                    tv_nsec: i64::from(rest.subsec_nanos()),
                }
            });
            if rustix::event::poll(&mut watched, timeout.as_ref()).is_err() {
                continue;
            }
            watched[first..].iter().map(|it| !it.revents().is_empty()).collect()
        };
        let mut ready = ready.into_iter();
        sources.retain_mut(|source| {
            !ready.next().unwrap_or(false) || read(source, &mut buffer, shared)
        });
        if closing.is_none() {
            let mut words = [0; 64];
            if let Ok(0) = (&mut &*woken).read(&mut words) {
                closing = Some(Instant::now() + FAREWELL);
            }
            sources.extend(new_sources.try_iter());
        }
        if closing.is_some_and(|end| sources.is_empty() || Instant::now() >= end) {
            break;
        }
    }
    for source in &mut sources {
        finish(source, shared);
    }
    shared.lock().ended = true;
    shared.moved.notify_all();
}

/// Reads what is there; false at the end of the pipe.
fn read(source: &mut Source, buffer: &mut [u8], shared: &Shared) -> bool {
    let count = match rustix::io::read(source.pipe.as_fd(), &mut *buffer) {
        Ok(0) => {
            finish(source, shared);
            return false;
        }
        Ok(count) => count,
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return true,
        Err(_) => return false,
    };
    for piece in buffer[..count].split_inclusive(|&byte| byte == b'\n') {
        for piece in piece.chunks(LINE_LIMIT) {
            source.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") || source.partial.len() >= LINE_LIMIT {
                finish(source, shared);
            }
        }
    }
    true
}

/// Hands a line on, complete or not.
fn finish(source: &mut Source, shared: &Shared) {
    let mut bytes = std::mem::take(&mut source.partial);
    if bytes.is_empty() {
        return;
    }
    if bytes.last() != Some(&b'\n') {
        bytes.push(b'\n');
    }
    let mut waiting = shared.lock();
    if waiting.bytes + bytes.len() > WAITING_LIMIT {
        // Wait for the writer as long as it moves; a stuck one is asked only once.
        while waiting.bytes + bytes.len() > WAITING_LIMIT && waiting.dropped == 0 {
            let before = waiting.taken;
            waiting = shared
                .moved
                .wait_timeout_while(waiting, PATIENCE, |it| it.taken == before)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            if waiting.taken == before {
                break;
            }
        }
        if waiting.bytes + bytes.len() > WAITING_LIMIT {
            waiting.dropped += 1;
            return;
        }
    }
    waiting.bytes += bytes.len();
    let instance = Arc::clone(&source.instance);
    waiting.lines.push_back(Line { instance, stream: source.stream, bytes });
    drop(waiting);
    shared.moved.notify_all();
}

/// The writing thread.
fn write_all(shared: &Shared, mut sink: Box<dyn Write + Send>) {
    let mut lines = VecDeque::new();
    loop {
        let mut waiting = shared.lock();
        while waiting.lines.is_empty() && !waiting.ended {
            waiting = shared.moved.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        if waiting.lines.is_empty() {
            return;
        }
        // A piece at a time, so that a reader that waits sees the queue move.
        let count = waiting.lines.len().min(256);
        lines.extend(waiting.lines.drain(..count));
        waiting.bytes -= lines.iter().map(|line: &Line| line.bytes.len()).sum::<usize>();
        waiting.taken += count as u64;
        let dropped = std::mem::take(&mut waiting.dropped);
        drop(waiting);
        shared.moved.notify_all();
        if dropped > 0 {
            tracing::warn!("standard output did not move: {dropped} lines of scripts were dropped");
        }
        for line in lines.drain(..) {
            match line.stream {
                // A closed standard output is no reason to stop.
                Stream::Output => drop(sink.write_all(&line.bytes)),
                Stream::Error => {
                    let text = String::from_utf8_lossy(&line.bytes);
                    tracing::warn!(instance = &*line.instance, "{}", text.trim_end());
                }
            }
        }
        let _ = sink.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn pipe() -> (OwnedFd, std::fs::File) {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        rustix::io::ioctl_fionbio(&read, true).unwrap();
        (read, std::fs::File::from(write))
    }

    #[test]
    fn lines_come_out_whole_and_all() {
        let kept = Kept::default();
        let forwarder = Forwarder::new(Box::new(kept.clone())).unwrap();
        let (read, mut write) = pipe();
        forwarder.add(read, &"py".into(), Stream::Output);
        write.write_all(b"one\ntw").unwrap();
        write.write_all(b"o\nthree").unwrap();
        drop(write);
        drop(forwarder);
        assert_eq!(&*kept.0.lock().unwrap(), b"one\ntwo\nthree\n");
    }

    #[test]
    fn a_megabyte_without_a_line_break_is_broken() {
        let kept = Kept::default();
        let forwarder = Forwarder::new(Box::new(kept.clone())).unwrap();
        let (read, mut write) = pipe();
        forwarder.add(read, &"py".into(), Stream::Output);
        write.write_all(&vec![b'x'; 1 << 20]).unwrap();
        drop(write);
        drop(forwarder);
        let kept = kept.0.lock().unwrap();
        assert_eq!(kept.iter().filter(|&&byte| byte == b'x').count(), 1 << 20);
        assert!(kept.split(|&byte| byte == b'\n').all(|line| line.len() <= LINE_LIMIT));
    }

    /// An output that never takes anything.
    struct Stuck(Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_output_stops_nobody() {
        let (release, held) = channel();
        let forwarder = Forwarder::new(Box::new(Stuck(held))).unwrap();
        let (read, mut write) = pipe();
        forwarder.add(read, &"py".into(), Stream::Output);
        // Far more than all buffers together: this returns only because lines are dropped.
        let line = [b"a line of a script that prints without end".as_slice(), b"\n"].concat();
        for _ in 0..200_000 {
            write.write_all(&line).unwrap();
        }
        drop(write);
        drop(release);
        drop(forwarder);
    }
}
