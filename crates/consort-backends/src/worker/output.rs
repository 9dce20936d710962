//! Forwarding what scripts print, line by line, without blocking the router.
//!
//! One thread reads the pipes of all workers, another one writes. A script's standard output is
//! copied to ours unchanged; its standard error goes to the log with the instance's name. At most
//! [`MAX_QUEUED_BYTES`] are queued between the two threads. If our standard output is slow,
//! scripts that print are slowed down; if it is blocked, lines are dropped and counted, and the
//! scripts continue.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags};

/// How many bytes of lines are queued at most.
const MAX_QUEUED_BYTES: usize = 1 << 20;
/// The maximum length of a line; longer ones are split.
const MAX_LINE_BYTES: usize = 1 << 16;
/// How long a full queue may stay full before lines are dropped.
const FULL_QUEUE_TIMEOUT: Duration = Duration::from_millis(250);
/// How long the last lines are read when the show ends.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(1_000);
/// How many lines are written between two looks at the queue, so that a blocked reader notices
/// progress.
const WRITE_BATCH: usize = 256;

/// The stream of a script that a line was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Output,
    Error,
}

/// One line of output on its way to the writing thread.
struct Line {
    instance: Arc<str>,
    stream: Stream,
    bytes: Vec<u8>,
}

/// The lines between the two threads.
#[derive(Default)]
struct LineQueue {
    lines: VecDeque<Line>,
    /// The size of `lines`.
    bytes: usize,
    /// How many lines the writer has taken so far; does not change while the writer is blocked.
    taken: u64,
    dropped: u64,
    /// The reader has ended: no further lines follow.
    ended: bool,
}

/// The queue, and the signal that it has changed.
#[derive(Default)]
struct SharedQueue {
    queue: Mutex<LineQueue>,
    changed: Condvar,
}

/// A pipe from a worker, and the beginning of a line that is not complete yet.
struct ScriptPipe {
    pipe: OwnedFd,
    instance: Arc<str>,
    stream: Stream,
    partial: Vec<u8>,
}

/// Forwards the output of workers. Its threads end when it is dropped.
pub(crate) struct Forwarder {
    new_pipes: Sender<ScriptPipe>,
    /// Wakes the reading thread: a byte announces a new pipe, the end of the stream the end.
    wake: UnixStream,
    writer_done: Receiver<()>,
}

impl Forwarder {
    /// Starts the threads; lines of standard output go to `sink`.
    ///
    /// # Errors
    /// If the operating system cannot start a thread or create a socket pair.
    pub(crate) fn new(sink: Box<dyn Write + Send>) -> io::Result<Self> {
        let (new_pipes, added_pipes) = channel();
        let (wake, wake_receiver) = UnixStream::pair()?;
        wake_receiver.set_nonblocking(true)?;
        let (done_sender, writer_done) = channel();
        let shared = Arc::new(SharedQueue::default());
        let writer_shared = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("script output".into())
            .spawn(move || read_all(&added_pipes, &wake_receiver, &shared))?;
        // The writing thread logs to the subscriber of this thread, which tests replace.
        let log = tracing::dispatcher::get_default(Clone::clone);
        std::thread::Builder::new().name("script print".into()).spawn(move || {
            tracing::dispatcher::with_default(&log, || write_all(&writer_shared, sink));
            let _ = done_sender.send(());
        })?;
        Ok(Forwarder { new_pipes, wake, writer_done })
    }

    /// Forwards what arrives through another pipe, until its end.
    pub(crate) fn add(&self, pipe: OwnedFd, instance: &Arc<str>, stream: Stream) {
        let instance = Arc::clone(instance);
        let pipe = ScriptPipe { pipe, instance, stream, partial: Vec::new() };
        if self.new_pipes.send(pipe).is_ok() {
            let _ = (&self.wake).write(&[0]);
        }
    }
}

impl Drop for Forwarder {
    /// Waits until the last lines are written, but not for a blocked output.
    fn drop(&mut self) {
        let (new_pipes, _) = channel();
        self.new_pipes = new_pipes;
        let _ = self.wake.shutdown(std::net::Shutdown::Write);
        let _ = self.writer_done.recv_timeout(DRAIN_TIMEOUT + FULL_QUEUE_TIMEOUT * 2);
    }
}

/// The reading thread. It runs until the forwarder is dropped and all pipes are closed, at most
/// [`DRAIN_TIMEOUT`] after the former.
fn read_all(added_pipes: &Receiver<ScriptPipe>, wake_receiver: &UnixStream, shared: &SharedQueue) {
    let mut pipes: Vec<ScriptPipe> = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    let mut deadline: Option<Instant> = None;
    loop {
        let ready: Vec<bool> = {
            let mut watched = Vec::with_capacity(pipes.len() + 1);
            if deadline.is_none() {
                watched.push(PollFd::new(wake_receiver, PollFlags::IN));
            }
            let first_pipe = watched.len();
            watched.extend(pipes.iter().map(|pipe| PollFd::new(&pipe.pipe, PollFlags::IN)));
            let timeout = deadline.map(|deadline| {
                let remaining = deadline.saturating_duration_since(Instant::now());
                rustix::event::Timespec {
                    tv_sec: i64::try_from(remaining.as_secs()).unwrap_or(1),
                    tv_nsec: i64::from(remaining.subsec_nanos()),
                }
            });
            if rustix::event::poll(&mut watched, timeout.as_ref()).is_err() {
                continue;
            }
            watched[first_pipe..].iter().map(|entry| !entry.revents().is_empty()).collect()
        };
        let mut ready = ready.into_iter();
        pipes.retain_mut(|pipe| !ready.next().unwrap_or(false) || read(pipe, &mut buffer, shared));
        if deadline.is_none() {
            let mut wake_bytes = [0; 64];
            if let Ok(0) = (&mut &*wake_receiver).read(&mut wake_bytes) {
                deadline = Some(Instant::now() + DRAIN_TIMEOUT);
            }
            pipes.extend(added_pipes.try_iter());
        }
        if deadline.is_some_and(|deadline| pipes.is_empty() || Instant::now() >= deadline) {
            break;
        }
    }
    for pipe in &mut pipes {
        queue_line(pipe, shared);
    }
    shared.queue.lock().ended = true;
    shared.changed.notify_all();
}

/// Reads the input that is available; false at the end of the pipe.
fn read(pipe: &mut ScriptPipe, buffer: &mut [u8], shared: &SharedQueue) -> bool {
    let count = match rustix::io::read(pipe.pipe.as_fd(), &mut *buffer) {
        Ok(0) => {
            queue_line(pipe, shared);
            return false;
        }
        Ok(count) => count,
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return true,
        Err(_) => return false,
    };
    for piece in buffer[..count].split_inclusive(|&byte| byte == b'\n') {
        for piece in piece.chunks(MAX_LINE_BYTES) {
            pipe.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") || pipe.partial.len() >= MAX_LINE_BYTES {
                queue_line(pipe, shared);
            }
        }
    }
    true
}

/// Queues the current line of a pipe, complete or not.
fn queue_line(pipe: &mut ScriptPipe, shared: &SharedQueue) {
    let mut bytes = std::mem::take(&mut pipe.partial);
    if bytes.is_empty() {
        return;
    }
    if bytes.last() != Some(&b'\n') {
        bytes.push(b'\n');
    }
    let mut queue = shared.queue.lock();
    if queue.bytes + bytes.len() > MAX_QUEUED_BYTES {
        // Wait as long as the writer makes progress, and for a blocked writer only once: after
        // that, lines are dropped without waiting until the writer has reported how many.
        while queue.bytes + bytes.len() > MAX_QUEUED_BYTES && queue.dropped == 0 {
            let taken = queue.taken;
            shared.changed.wait_while_for(
                &mut queue,
                |queue| queue.taken == taken,
                FULL_QUEUE_TIMEOUT,
            );
            if queue.taken == taken {
                break;
            }
        }
        if queue.bytes + bytes.len() > MAX_QUEUED_BYTES {
            queue.dropped += 1;
            return;
        }
    }
    queue.bytes += bytes.len();
    let instance = Arc::clone(&pipe.instance);
    queue.lines.push_back(Line { instance, stream: pipe.stream, bytes });
    drop(queue);
    shared.changed.notify_all();
}

/// The writing thread. It runs until the reading thread has ended and all lines are written.
fn write_all(shared: &SharedQueue, mut sink: Box<dyn Write + Send>) {
    let mut lines = VecDeque::new();
    loop {
        let mut queue = shared.queue.lock();
        while queue.lines.is_empty() && !queue.ended {
            shared.changed.wait(&mut queue);
        }
        if queue.lines.is_empty() {
            return;
        }
        let count = queue.lines.len().min(WRITE_BATCH);
        lines.extend(queue.lines.drain(..count));
        queue.bytes -= lines.iter().map(|line: &Line| line.bytes.len()).sum::<usize>();
        queue.taken += count as u64;
        let dropped = std::mem::take(&mut queue.dropped);
        drop(queue);
        shared.changed.notify_all();
        if dropped > 0 {
            let lines = if dropped == 1 { "line" } else { "lines" };
            tracing::warn!("standard output is blocked: dropped {dropped} {lines} of scripts");
        }
        for line in lines.drain(..) {
            match line.stream {
                // Scripts continue even if standard output is closed.
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

    /// An output that stores everything.
    #[derive(Clone, Default)]
    struct Recorder(Arc<Mutex<Vec<u8>>>);

    impl Write for Recorder {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
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
    fn all_lines_are_written_whole() {
        let recorder = Recorder::default();
        let forwarder = Forwarder::new(Box::new(recorder.clone())).unwrap();
        let (read, mut write) = pipe();
        forwarder.add(read, &"py".into(), Stream::Output);
        write.write_all(b"one\ntw").unwrap();
        write.write_all(b"o\nthree").unwrap();
        drop(write);
        drop(forwarder);
        assert_eq!(&*recorder.0.lock(), b"one\ntwo\nthree\n");
    }

    #[test]
    fn a_megabyte_without_a_line_break_is_split() {
        let recorder = Recorder::default();
        let forwarder = Forwarder::new(Box::new(recorder.clone())).unwrap();
        let (read, mut write) = pipe();
        forwarder.add(read, &"py".into(), Stream::Output);
        write.write_all(&vec![b'x'; 1 << 20]).unwrap();
        drop(write);
        drop(forwarder);
        let written = recorder.0.lock();
        assert_eq!(written.iter().filter(|&&byte| byte == b'x').count(), 1 << 20);
        assert!(written.split(|&byte| byte == b'\n').all(|line| line.len() <= MAX_LINE_BYTES));
    }

    /// An output that blocks until it is released.
    struct BlockedOutput(Receiver<()>);

    impl Write for BlockedOutput {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_blocked_output_does_not_block_a_script() {
        let (release, held) = channel();
        let forwarder = Forwarder::new(Box::new(BlockedOutput(held))).unwrap();
        let (read, mut write) = pipe();
        forwarder.add(read, &"py".into(), Stream::Output);
        // This is far more than all buffers hold: it returns only because lines are dropped.
        let line = [b"a line of a script that prints without end".as_slice(), b"\n"].concat();
        for _ in 0..200_000 {
            write.write_all(&line).unwrap();
        }
        drop(write);
        drop(release);
        drop(forwarder);
    }
}
