//! The control socket of a running show: `PID.sock` in `$XDG_RUNTIME_DIR/consort`, or in
//! `/tmp/consort-UID` where that is not set. What is said over it: `consort-control`.
//!
//! Bounded: so many onlookers at a time, lines of so many bytes, and so much time for a request
//! or an answer as a whole; an onlooker who drips his request, does not read his answer or says
//! nothing for long is dropped. Nothing here runs on the router's thread.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use consort_control::{ANSWER_LIMIT, Answer, Layout, Lines, REQUEST_LIMIT, Reading, Request};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};

use super::source::{Local, Source};

/// Onlookers at a time.
const ONLOOKERS: usize = 8;
/// How long a request may take from its first byte to its last, and an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an onlooker may say nothing.
const IDLE_LIMIT: Duration = Duration::from_secs(60);
/// How long a client waits for a whole answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// What is written at a time: the kernel waits anew for each piece of this size.
const PIECE: usize = 16 << 10;
/// The pause after an onlooker could not be let in: no descriptors, no memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The folder of this user's sockets.
pub(crate) fn folder() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|it| !it.is_empty()) {
        Some(folder) => Path::new(&folder).join("consort"),
        None => format!("/tmp/consort-{}", rustix::process::geteuid().as_raw()).into(),
    }
}

/// Makes the folder; refuses one that others could have prepared.
fn private_folder() -> anyhow::Result<PathBuf> {
    let folder = folder();
    let path = folder.display();
    let made = match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => std::fs::symlink_metadata(&folder),
    };
    let found = made.with_context(|| {
        format!("the folder {path} cannot be made; have XDG_RUNTIME_DIR name a folder of yours")
    })?;
    let is_mine = found.uid() == rustix::process::geteuid().as_raw();
    if !found.is_dir() || !is_mine || found.mode() & 0o077 != 0 {
        bail!("{path} is not a folder of this user alone (0700)");
    }
    Ok(folder)
}

/// Answers onlookers until it is dropped, which removes the socket.
pub(crate) struct Server {
    path: PathBuf,
}

impl Server {
    /// Listens on a thread of its own, which sleeps while nobody looks.
    ///
    /// # Errors
    /// When the folder or the socket cannot be made.
    pub(crate) fn start(show: Local) -> anyhow::Result<Self> {
        let folder = private_folder()?;
        let path = folder.join(format!("{}.sock", std::process::id()));
        // It gets its name, and takes that of a process that was killed, when it listens: one
        // that does not is removed by whoever looks.
        let made = folder.join(format!("{}.new", std::process::id()));
        let _ = std::fs::remove_file(&made);
        let listener = UnixListener::bind(&made)
            .and_then(|listener| std::fs::rename(&made, &path).map(|()| listener))
            .with_context(|| format!("the socket {} cannot be made", path.display()))?;
        std::thread::Builder::new().name("onlookers".into()).spawn(move || {
            let onlookers = Arc::new(AtomicUsize::new(0));
            for stream in listener.incoming() {
                match stream {
                    Ok(stream) => admit(stream, &onlookers, &show),
                    Err(error) => {
                        tracing::debug!("an onlooker cannot be let in: {error}");
                        std::thread::sleep(ACCEPT_PAUSE);
                    }
                }
            }
        })?;
        Ok(Server { path })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Someone may have removed it already.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Serves an onlooker on a thread of his own, or turns him away.
fn admit(stream: UnixStream, onlookers: &Arc<AtomicUsize>, show: &Local) {
    if onlookers.fetch_add(1, Ordering::Relaxed) >= ONLOOKERS {
        onlookers.fetch_sub(1, Ordering::Relaxed);
        let refusal = Answer::Error("eight others look at it already".into()).encode();
        // It fits into an empty socket; whoever left already does not need it.
        let _ = stream.set_nonblocking(true).and_then(|()| (&stream).write_all(&refusal));
        return;
    }
    let (show, count) = (show.clone(), Arc::clone(onlookers));
    let serving = std::thread::Builder::new().name("onlooker".into()).spawn(move || {
        if let Err(error) = serve(&stream, show) {
            tracing::debug!("an onlooker is gone: {error}");
        }
        count.fetch_sub(1, Ordering::Relaxed);
    });
    if serving.is_err() {
        onlookers.fetch_sub(1, Ordering::Relaxed);
    }
}

fn serve(stream: &UnixStream, mut show: Local) -> io::Result<()> {
    let mut lines = Lines::new(REQUEST_LIMIT);
    let mut piece = [0; REQUEST_LIMIT];
    let mut deadline = Instant::now() + IDLE_LIMIT;
    let mut is_begun = false;
    loop {
        loop {
            let answer = match lines.next_line() {
                Ok(Some(line)) => answer(line, &mut show),
                Ok(None) => break,
                Err(error) => {
                    let refusal = Answer::Error(error.to_string()).encode();
                    return farewell(stream, &refusal, &mut piece);
                }
            };
            write_before(stream, &answer.encode(), Instant::now() + PATIENCE)?;
            is_begun = false;
            deadline = Instant::now() + IDLE_LIMIT;
        }
        if lines.is_partial() && !is_begun {
            is_begun = true;
            deadline = Instant::now() + PATIENCE;
        }
        let count = read_before(stream, &mut piece, deadline)?;
        if count == 0 {
            return Ok(());
        }
        lines.push(&piece[..count]);
    }
}

/// Says a last word to one who is still speaking, and lets him finish for a while so that he
/// can hear it.
fn farewell(stream: &UnixStream, refusal: &[u8], piece: &mut [u8]) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    write_before(stream, refusal, deadline)?;
    stream.shutdown(Shutdown::Write)?;
    while read_before(stream, piece, deadline)? > 0 {}
    Ok(())
}

fn answer(line: &[u8], show: &mut Local) -> Answer {
    let answered = match Request::decode(line) {
        Ok(Request::Layout) => show.layout().map(Answer::Layout),
        Ok(Request::Read { log_from }) => show.read(log_from).map(Answer::Reading),
        Ok(Request::Inject { instance, channel, value }) => {
            show.inject(instance, channel, value).map(Answer::Injected)
        }
        Err(error) => Err(error.into()),
    };
    answered.unwrap_or_else(|error| Answer::Error(error.to_string()))
}

/// The time until then; an error when it has passed.
fn left(deadline: Instant) -> io::Result<Option<Duration>> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
}

fn read_before(mut stream: &UnixStream, piece: &mut [u8], deadline: Instant) -> io::Result<usize> {
    loop {
        stream.set_read_timeout(left(deadline)?)?;
        match stream.read(piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Writes all, or gives up: a reader who takes a little now and then gains no time by it.
fn write_before(mut stream: &UnixStream, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_write_timeout(left(deadline)?)?;
        match stream.write(&bytes[..bytes.len().min(PIECE)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A show of another process.
pub(crate) struct Remote {
    stream: UnixStream,
    lines: Lines,
    piece: Vec<u8>,
}

impl Remote {
    /// Connects to a show. Does not block: so many may wait at one that hangs that there is no
    /// room for more.
    fn connect(path: &Path) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
        let stream = UnixStream::from(socket);
        stream.set_nonblocking(false)?;
        Ok(Remote { stream, lines: Lines::new(ANSWER_LIMIT), piece: vec![0; 64 << 10] })
    }

    fn ask(&mut self, request: &Request) -> anyhow::Result<Answer> {
        let deadline = Instant::now() + ANSWER_PATIENCE;
        // A show that turns somebody away says so before it is asked: read in any case.
        let _ = write_before(&self.stream, &request.encode(), deadline);
        let answer = loop {
            match self.lines.next_line().context("the show answers without end")? {
                Some(line) => break Answer::decode(line),
                None => {
                    let count = match read_before(&self.stream, &mut self.piece, deadline) {
                        Err(error) if is_late(&error) => {
                            let seconds = ANSWER_PATIENCE.as_secs();
                            bail!("the show has not answered within {seconds} seconds");
                        }
                        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
                        read => read.context("the show does not answer")?,
                    };
                    if count == 0 {
                        let end = io::ErrorKind::UnexpectedEof;
                        return Err(io::Error::new(end, "the show has ended").into());
                    }
                    self.lines.push(&self.piece[..count]);
                }
            }
        };
        match answer.context("the show is of another version")? {
            Answer::Error(error) => bail!("the show refuses: {error}"),
            answer => Ok(answer),
        }
    }
}

impl Source for Remote {
    fn layout(&mut self) -> anyhow::Result<Layout> {
        match self.ask(&Request::Layout)? {
            Answer::Layout(layout) => Ok(layout),
            other => bail!("the show answers {other:?}"),
        }
    }

    fn read(&mut self, log_from: u64) -> anyhow::Result<Reading> {
        match self.ask(&Request::Read { log_from })? {
            Answer::Reading(reading) => Ok(reading),
            other => bail!("the show answers {other:?}"),
        }
    }

    fn inject(&mut self, instance: u32, channel: u32, value: f64) -> anyhow::Result<bool> {
        match self.ask(&Request::Inject { instance, channel, value })? {
            Answer::Injected(taken) => Ok(taken),
            other => bail!("the show answers {other:?}"),
        }
    }

    fn own(&self) -> Option<&Local> {
        None
    }
}

/// Whether all that failed is that the show ended while it was asked.
pub(crate) fn is_ended(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
}

/// Whether time was up; the operating system has several words for it.
fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

/// The running shows of this user, by process number, or why one cannot be spoken to; sockets
/// that nobody has are removed.
///
/// # Errors
/// When the folder of the sockets cannot be read; that there is none is no error.
pub(crate) fn running() -> anyhow::Result<Vec<(u32, anyhow::Result<Remote>)>> {
    let folder = folder();
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot look into {}", folder.display()))?,
    };
    let mut shows = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let number = path.file_stem().and_then(|it| it.to_str()).and_then(|it| it.parse().ok());
        let Some(number) = number.filter(|_| path.extension().is_some_and(|it| it == "sock"))
        else {
            continue;
        };
        let connected = Remote::connect(&path);
        shows.push((
            number,
            match connected.as_ref().map_err(io::Error::kind) {
                Err(io::ErrorKind::ConnectionRefused) => {
                    let _ = std::fs::remove_file(&path);
                    continue;
                }
                // It has ended while we looked.
                Err(io::ErrorKind::NotFound) => continue,
                Err(io::ErrorKind::WouldBlock) => Err(anyhow!("the show lets nobody in any more")),
                _ => connected.with_context(|| format!("cannot connect to {}", path.display())),
            },
        ));
    }
    shows.sort_by_key(|(number, _)| *number);
    Ok(shows)
}

/// What there is instead of a show that is looked for.
pub(crate) fn none_such(process: Option<u32>, running: &[u32]) -> String {
    let numbers: Vec<String> = running.iter().map(u32::to_string).collect();
    match process {
        Some(process) if !numbers.is_empty() => {
            let numbers = numbers.join(", ");
            format!("process {process} runs no show of this user; these do: {numbers}")
        }
        _ => format!("no show of this user runs (looked in {})", folder().display()),
    }
}

/// The one show that is meant: that of `process`, or the only one.
pub(crate) fn find(process: Option<u32>) -> anyhow::Result<Remote> {
    let mut shows = running()?;
    let numbers: Vec<u32> = shows.iter().map(|(number, _)| *number).collect();
    if let Some(process) = process {
        shows.retain(|(number, _)| *number == process);
    }
    if shows.len() > 1 {
        let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
        bail!("several shows run; name one of these processes: {}", numbers.join(", "));
    }
    shows.pop().with_context(|| none_such(process, &numbers))?.1
}
