//! The control socket of a running show: `PID.sock` in `$XDG_RUNTIME_DIR/consort`, or in
//! `/tmp/consort-UID` if that variable is not set. The crate `consort-control` defines the
//! messages.
//!
//! The number of clients, the length of lines, and the time for a whole request or answer are
//! bounded: a client is disconnected if it sends its request too slowly, does not read its answer
//! or is idle for too long. Nothing here runs on the router's thread.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use consort_control::{
    ANSWER_LIMIT, Answer, Content, Direction, Edit, Edited, Finding, InputReading, Layout, Lines,
    REQUEST_LIMIT, Reading, ReloadRequest, Request, RouteControl, RouteReading, UnmatchedReading,
    VERSION,
};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};

use super::editing::Editing;
use super::source::{Local, Source};
use super::subscription::Subscription;
use crate::errors::with_hint;
use crate::reload::Outcome;

/// The maximum number of clients that are connected at the same time.
const MAX_CLIENTS: usize = 8;
/// How long a request may take from its first byte to its last, and the same for an answer.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a client may be idle between requests.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long [`Remote`] waits for a whole answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it waits for the answer to a reload, which includes the end of old instances.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of a request is read at a time.
const READ_BYTES: usize = 8 << 10;
/// How much is written at a time. The kernel applies the timeout to each write.
const CHUNK_BYTES: usize = 16 << 10;
/// The pause after a client could not be accepted, for lack of descriptors or memory.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// The folder of this user's sockets.
pub(crate) fn folder() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty()) {
        Some(folder) => Path::new(&folder).join("consort"),
        None => format!("/tmp/consort-{}", rustix::process::geteuid().as_raw()).into(),
    }
}

/// Creates the folder; rejects one that another user may have created or can access.
fn private_folder() -> anyhow::Result<PathBuf> {
    let folder = folder();
    let path = folder.display();
    let metadata = match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => std::fs::symlink_metadata(&folder),
    };
    let metadata = metadata.with_context(|| {
        format!("cannot create the folder {path}; set XDG_RUNTIME_DIR to a folder that you own")
    })?;
    let is_mine = metadata.uid() == rustix::process::geteuid().as_raw();
    if !metadata.is_dir() || !is_mine || metadata.mode() & 0o077 != 0 {
        bail!("{path} must be a folder that only this user can access (mode 0700)");
    }
    Ok(folder)
}

/// Answers clients until it is dropped, which removes the socket.
pub(crate) struct Server {
    path: PathBuf,
}

impl Server {
    /// Listens on a thread of its own, which sleeps while no client is connected.
    ///
    /// # Errors
    /// When the folder or the socket cannot be created.
    pub(crate) fn start(show: Local) -> anyhow::Result<Self> {
        let folder = private_folder()?;
        let path = folder.join(format!("{}.sock", std::process::id()));
        // The socket is renamed only when it listens, because clients remove sockets that do not.
        // Renaming also replaces the socket that a killed process with this number left behind.
        let temporary = folder.join(format!("{}.new", std::process::id()));
        let _ = std::fs::remove_file(&temporary);
        let listener = UnixListener::bind(&temporary)
            .and_then(|listener| std::fs::rename(&temporary, &path).map(|()| listener))
            .with_context(|| format!("cannot create the socket {}", path.display()))?;
        // Removes the socket if nobody will answer at it.
        let server = Server { path };
        let answering = std::thread::Builder::new().name("monitors".into()).spawn(move || {
            let clients = Arc::new(AtomicUsize::new(0));
            for stream in listener.incoming() {
                match stream {
                    Ok(stream) => accept(stream, &clients, &show),
                    Err(error) => {
                        tracing::debug!("cannot accept a monitor: {error}");
                        std::thread::sleep(ACCEPT_RETRY_DELAY);
                    }
                }
            }
        });
        answering.context("cannot start the thread that answers monitors")?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The file may have been removed already.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Serves a client on a thread of its own, or refuses it if there are too many.
fn accept(stream: UnixStream, clients: &Arc<AtomicUsize>, show: &Local) {
    if clients.fetch_add(1, Ordering::Relaxed) >= MAX_CLIENTS {
        clients.fetch_sub(1, Ordering::Relaxed);
        let reason = format!("{MAX_CLIENTS} monitors are already attached, which is the maximum");
        let refusal = Answer::Error(reason).encode();
        // The refusal fits into an empty socket; a client that has left does not need it.
        let _ = stream.set_nonblocking(true).and_then(|()| (&stream).write_all(&refusal));
        return;
    }
    let (show, count) = (show.clone(), Arc::clone(clients));
    let serving = std::thread::Builder::new().name("monitor client".into()).spawn(move || {
        if let Err(error) = serve(&stream, show) {
            tracing::debug!("a monitor disconnected: {error}");
        }
        count.fetch_sub(1, Ordering::Relaxed);
    });
    if serving.is_err() {
        clients.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection to the show for a client in this process, served on a thread of its own.
///
/// # Errors
/// When there are too many descriptors or threads.
#[cfg(feature = "web")]
pub(crate) fn attach(show: &Local) -> io::Result<UnixStream> {
    let (client, server) = UnixStream::pair()?;
    let show = show.clone();
    std::thread::Builder::new().name("page client".into()).spawn(move || {
        if let Err(error) = serve(&server, show) {
            tracing::debug!("a page disconnected: {error}");
        }
    })?;
    Ok(client)
}

/// Answers requests until the client disconnects or exceeds a limit.
fn serve(stream: &UnixStream, mut show: Local) -> io::Result<()> {
    let mut lines = Lines::new(REQUEST_LIMIT);
    let mut buffer = [0; READ_BYTES];
    let mut deadline = Instant::now() + IDLE_TIMEOUT;
    let mut has_begun = false;
    let mut subscription = None;
    loop {
        loop {
            let answer = match lines.next_line() {
                Ok(Some(line)) => answer(line, &mut show, &mut subscription),
                Ok(None) => break,
                Err(error) => {
                    let refusal = Answer::Error(error.to_string()).encode();
                    return refuse(stream, &refusal, &mut buffer);
                }
            };
            write_before(stream, &answer.encode(), Instant::now() + MESSAGE_TIMEOUT)?;
            has_begun = false;
            deadline = Instant::now() + IDLE_TIMEOUT;
        }
        if lines.is_partial() && !has_begun {
            has_begun = true;
            deadline = Instant::now() + MESSAGE_TIMEOUT;
        }
        let count = match &mut subscription {
            None => read_before(stream, &mut buffer, deadline)?,
            Some(changes) => match read_before(stream, &mut buffer, changes.due) {
                Err(error) if is_timeout(&error) => {
                    if has_begun && Instant::now() >= deadline {
                        return Err(error);
                    }
                    let (line, is_last) = next_delta(&show, changes);
                    if is_last {
                        subscription = None;
                    }
                    write_before(stream, &line, Instant::now() + MESSAGE_TIMEOUT)?;
                    if !has_begun {
                        deadline = Instant::now() + IDLE_TIMEOUT;
                    }
                    continue;
                }
                read => read?,
            },
        };
        if count == 0 {
            return Ok(());
        }
        lines.push(&buffer[..count]);
    }
}

/// Sends a refusal, then reads and ignores input until the client closes or a timeout: closing the
/// socket with unread input would discard the refusal.
fn refuse(stream: &UnixStream, refusal: &[u8], buffer: &mut [u8]) -> io::Result<()> {
    let deadline = Instant::now() + MESSAGE_TIMEOUT;
    write_before(stream, refusal, deadline)?;
    stream.shutdown(Shutdown::Write)?;
    while read_before(stream, buffer, deadline)? > 0 {}
    Ok(())
}

/// The line of the next delta, empty when nothing has changed, and whether the subscription ends
/// with it because the show was reloaded.
fn next_delta(show: &Local, changes: &mut Subscription) -> (Vec<u8>, bool) {
    if show.live().is_replaced() {
        return (Answer::Stale { generation: show.generation() }.encode(), true);
    }
    let delta = changes.next(show).map(Answer::Delta);
    (delta.map(|delta| delta.encode()).unwrap_or_default(), false)
}

/// The answer to a request.
fn answer(line: &[u8], show: &mut Local, subscription: &mut Option<Subscription>) -> Answer {
    let request = match Request::decode(line) {
        Ok(request) => request,
        Err(error) => return Answer::Error(error.to_string()),
    };
    let generation = show.generation();
    if request.generation().is_some_and(|wanted| wanted != generation) {
        return Answer::Stale { generation };
    }
    if request.generation().is_some() && show.live().generation() != generation {
        // The client has the new layout from another connection.
        if let Err(error) = show.layout() {
            return Answer::Error(format!("{error:#}"));
        }
    }
    match request {
        Request::Hello { .. } => Answer::Hello {
            version: VERSION,
            generation,
            show: show.show().to_owned(),
            process: std::process::id(),
        },
        Request::Layout => answer_or_error(show.layout().map(Answer::Layout)),
        Request::Read { log_from, .. } => Answer::Reading(show.reading(log_from)),
        Request::Subscribe { interval_ms, log_from, unmatched, .. } => {
            let changes = Subscription::new(show, interval_ms, log_from, unmatched);
            let interval_ms = changes.interval_ms();
            *subscription = Some(changes);
            Answer::Subscribed { interval_ms }
        }
        Request::Unsubscribe => {
            *subscription = None;
            Answer::Done
        }
        Request::Unmatched { instance, .. } => {
            answer_or_error(Source::unmatched(show, instance).map(Answer::Unmatched))
        }
        Request::Inputs { instance, first, .. } => {
            answer_or_error(Source::inputs(show, instance, first).map(Answer::Inputs))
        }
        Request::Why { instance, channel, .. } => {
            answer_or_error(Source::why(show, instance, channel).map(Answer::Why))
        }
        Request::Get { instance, channel, .. } => {
            let live = show.live();
            let exists = |id| (channel as usize) < live.channel_infos(id).len();
            match show.instance(instance).filter(|&id| exists(id)) {
                Some(id) => {
                    let (value, count) = live.channel(id, channel).unzip();
                    let text = live.text(id, channel).map(|(text, _)| text);
                    Answer::Value { value, count: count.unwrap_or(0), text }
                }
                None => Answer::Error(format!("the instance {instance} has no channel {channel}")),
            }
        }
        Request::Set { instance, channel, content, direction, .. } => {
            let done = show.set(instance, channel, content, direction);
            answer_or_error(done.map(|()| Answer::Done))
        }
        Request::Reload(request) => match show.reload(&request) {
            Ok(Outcome::Reloaded(reloaded)) => Answer::Reloaded(reloaded),
            Ok(Outcome::Rejected(rejected)) => Answer::Rejected(rejected),
            Err(error) => Answer::Error(format!("{error:#}")),
        },
        Request::Routes { first, .. } => Answer::Routes(Local::routes(show, first)),
        Request::ControlRoute { route, control, on, .. } => {
            answer_or_error(Local::control_route(show, route, control, on).map(|()| Answer::Done))
        }
        Request::SwitchLayer { layer, on, .. } => {
            answer_or_error(show.switch_layer(layer, on).map(|()| Answer::Done))
        }
        Request::Files => {
            answer_or_error(show.editing().and_then(Editing::files).map(Answer::Files))
        }
        Request::Edit { version, edits, save, apply } => {
            answer_or_error(edit(show, &version, edits, save, apply).map(Answer::Edited))
        }
        Request::UndoEdit => {
            answer_or_error(show.editing().and_then(Editing::undo).map(Answer::Edited))
        }
        Request::Hold { on } if show.hold(on) => Answer::Done,
        Request::Panic if show.panic() => Answer::Done,
        Request::Hold { .. } | Request::Panic => {
            Answer::Error("too many commands are waiting; try again".into())
        }
    }
}

/// Changes the files of the configuration, and the running show if `apply` is set.
fn edit(
    show: &Local,
    version: &str,
    edits: Vec<Edit>,
    save: bool,
    apply: bool,
) -> anyhow::Result<Edited> {
    let (mut edited, texts) = show.editing()?.edit(version, edits, save)?;
    if apply && edited.ok {
        match show.reload(&ReloadRequest { texts, ..ReloadRequest::default() }) {
            Ok(Outcome::Reloaded(_)) => edited.applied = true,
            Ok(Outcome::Rejected(rejected)) => edited.not_applied = Some(rejected.text),
            Err(error) => edited.not_applied = Some(format!("{error:#}")),
        }
    }
    Ok(edited)
}

fn answer_or_error(answer: anyhow::Result<Answer>) -> Answer {
    answer.unwrap_or_else(|error| Answer::Error(format!("{error:#}")))
}

/// The time until a deadline; an error if it has passed.
fn remaining(deadline: Instant) -> io::Result<Option<Duration>> {
    let remaining = deadline.saturating_duration_since(Instant::now());
    if remaining.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(remaining)) }
}

/// Reads some bytes; fails when the deadline passes.
fn read_before(mut stream: &UnixStream, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
    loop {
        stream.set_read_timeout(remaining(deadline)?)?;
        match stream.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Writes everything; fails when the deadline passes, even if the reader still reads slowly.
fn write_before(mut stream: &UnixStream, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_write_timeout(remaining(deadline)?)?;
        match stream.write(&bytes[..bytes.len().min(CHUNK_BYTES)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A show in another process.
pub(crate) struct Remote {
    stream: UnixStream,
    lines: Lines,
    buffer: Vec<u8>,
    /// The generation of the last layout.
    generation: u64,
}

impl Remote {
    /// Connects to a show. Does not block: the queue of a show that hangs may be full.
    fn connect(path: &Path) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
        let stream = UnixStream::from(socket);
        stream.set_nonblocking(false)?;
        let (lines, buffer) = (Lines::new(ANSWER_LIMIT), vec![0; 64 << 10]);
        Ok(Remote { stream, lines, buffer, generation: 0 })
    }

    /// Sends a request and waits for the answer.
    fn ask(&mut self, request: &Request) -> anyhow::Result<Answer> {
        self.ask_within(request, ANSWER_TIMEOUT)
    }

    fn ask_within(&mut self, request: &Request, timeout: Duration) -> anyhow::Result<Answer> {
        let deadline = Instant::now() + timeout;
        // A show that refuses the client sends its answer first and closes the socket. The request
        // cannot be sent then, but the answer can be read.
        let _ = write_before(&self.stream, &request.encode(), deadline);
        let answer = loop {
            match self.lines.next_line().context("the show's response is too long")? {
                Some(line) => break Answer::decode(line),
                None => {
                    let count = match read_before(&self.stream, &mut self.buffer, deadline) {
                        Err(error) if is_timeout(&error) => {
                            let seconds = timeout.as_secs();
                            bail!("the show did not respond within {seconds} seconds");
                        }
                        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
                        read => read.context("cannot read from the show")?,
                    };
                    if count == 0 {
                        let kind = io::ErrorKind::UnexpectedEof;
                        return Err(io::Error::new(kind, "the show has ended").into());
                    }
                    self.lines.push(&self.buffer[..count]);
                }
            }
        };
        match answer.context("the show runs a different version of Consort")? {
            Answer::Error(error) => bail!("the show rejected the request: {error}"),
            answer => Ok(answer),
        }
    }
}

impl Remote {
    /// Replaces the configuration of the show.
    pub(crate) fn reload(&mut self, request: ReloadRequest) -> anyhow::Result<Outcome> {
        match self.ask_within(&Request::Reload(request), RELOAD_TIMEOUT)? {
            Answer::Reloaded(reloaded) => Ok(Outcome::Reloaded(reloaded)),
            Answer::Rejected(rejected) => Ok(Outcome::Rejected(rejected)),
            other => unexpected(&other),
        }
    }

    /// The connection, for a client that sends the requests itself. Every answer was read.
    #[cfg(feature = "web")]
    pub(crate) fn into_stream(self) -> io::Result<UnixStream> {
        self.stream.set_read_timeout(None)?;
        self.stream.set_write_timeout(None)?;
        Ok(self.stream)
    }

    /// The last value and the last text of a channel.
    pub(crate) fn get(
        &mut self,
        instance: u32,
        channel: u32,
    ) -> anyhow::Result<(Option<f64>, Option<String>)> {
        let generation = self.generation;
        match self.ask(&Request::Get { generation, instance, channel })? {
            Answer::Value { value, text, .. } => Ok((value, text)),
            other => unexpected(&other),
        }
    }
}

fn unexpected<T>(answer: &Answer) -> anyhow::Result<T> {
    match answer {
        Answer::Stale { .. } => bail!("the show was reloaded meanwhile; try again"),
        other => bail!("unexpected response: {other:?}"),
    }
}

impl Source for Remote {
    fn layout(&mut self) -> anyhow::Result<Layout> {
        match self.ask(&Request::Layout)? {
            Answer::Layout(layout) => {
                self.generation = layout.generation;
                Ok(layout)
            }
            other => unexpected(&other),
        }
    }

    fn read(&mut self, log_from: u64) -> anyhow::Result<Option<Reading>> {
        match self.ask(&Request::Read { generation: self.generation, log_from })? {
            Answer::Reading(reading) => Ok(Some(reading)),
            Answer::Stale { .. } => Ok(None),
            other => unexpected(&other),
        }
    }

    fn set(
        &mut self,
        instance: u32,
        channel: u32,
        content: Content,
        direction: Option<Direction>,
    ) -> anyhow::Result<()> {
        let generation = self.generation;
        match self.ask(&Request::Set { generation, instance, channel, content, direction })? {
            Answer::Done => Ok(()),
            other => unexpected(&other),
        }
    }

    fn unmatched(&mut self, instance: u32) -> anyhow::Result<Vec<UnmatchedReading>> {
        match self.ask(&Request::Unmatched { generation: self.generation, instance })? {
            Answer::Unmatched(inputs) => Ok(inputs),
            other => unexpected(&other),
        }
    }

    fn why(&mut self, instance: u32, channel: Option<u32>) -> anyhow::Result<Vec<Finding>> {
        match self.ask(&Request::Why { generation: self.generation, instance, channel })? {
            Answer::Why(findings) => Ok(findings),
            other => unexpected(&other),
        }
    }

    fn inputs(&mut self, instance: u32, first: u32) -> anyhow::Result<Vec<InputReading>> {
        match self.ask(&Request::Inputs { generation: self.generation, instance, first })? {
            Answer::Inputs(inputs) => Ok(inputs),
            other => unexpected(&other),
        }
    }

    fn routes(&mut self, first: u32) -> anyhow::Result<Vec<RouteReading>> {
        match self.ask(&Request::Routes { generation: self.generation, first })? {
            Answer::Routes(routes) => Ok(routes),
            other => unexpected(&other),
        }
    }

    fn control_route(&mut self, route: u32, control: RouteControl, on: bool) -> anyhow::Result<()> {
        let generation = self.generation;
        match self.ask(&Request::ControlRoute { generation, route, control, on })? {
            Answer::Done => Ok(()),
            other => unexpected(&other),
        }
    }

    fn switch_layer(&mut self, layer: u32, on: bool) -> anyhow::Result<()> {
        match self.ask(&Request::SwitchLayer { generation: self.generation, layer, on })? {
            Answer::Done => Ok(()),
            other => unexpected(&other),
        }
    }

    fn own(&self) -> Option<&Local> {
        None
    }
}

/// Whether the cause of the error is that the show ended before it answered.
pub(crate) fn show_has_ended(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
}

/// Whether a deadline has passed, which the operating system reports in two ways.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

/// The running shows of this user by process ID: connections, or why connecting failed.
/// Sockets that no process listens on are removed.
///
/// # Errors
/// When the folder of the sockets exists and cannot be read.
pub(crate) fn running() -> anyhow::Result<Vec<(u32, anyhow::Result<Remote>)>> {
    let folder = folder();
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot read {}", folder.display()))?,
    };
    let mut shows = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let process = stem.and_then(|stem| stem.parse().ok());
        let is_socket = path.extension().is_some_and(|extension| extension == "sock");
        let Some(process) = process.filter(|_| is_socket) else { continue };
        let connected = Remote::connect(&path);
        shows.push((
            process,
            match connected.as_ref().map_err(io::Error::kind) {
                Err(io::ErrorKind::ConnectionRefused) => {
                    let _ = std::fs::remove_file(&path);
                    continue;
                }
                // The show has ended meanwhile.
                Err(io::ErrorKind::NotFound) => continue,
                Err(io::ErrorKind::WouldBlock) => {
                    Err(anyhow!("too many monitors are waiting for the show"))
                }
                _ => connected.with_context(|| format!("cannot connect to {}", path.display())),
            },
        ));
    }
    shows.sort_by_key(|(process, _)| *process);
    Ok(shows)
}

/// The message for a show that was not found: that of `process`, or any.
pub(crate) fn not_found(
    process: Option<u32>,
    running: Vec<(u32, anyhow::Result<Remote>)>,
) -> String {
    match process {
        Some(process) if !running.is_empty() => {
            let shows = process_ids_and_names(running);
            format!("process {process} does not run a show; running shows: {shows}")
        }
        _ => format!("no running show found for this user (looked in {})", folder().display()),
    }
}

/// Finds the show of `process`, or the only running show.
///
/// # Errors
/// When there is no such show, or when there are several and `process` is `None`.
pub(crate) fn find(process: Option<u32>) -> anyhow::Result<Remote> {
    let mut shows = running()?;
    if let Some(wanted) = process {
        match shows.iter().position(|(process, _)| *process == wanted) {
            Some(index) => return shows.swap_remove(index).1,
            None => anyhow::bail!(not_found(process, shows)),
        }
    }
    if shows.len() > 1 {
        let message = format!("several shows are running: {}", process_ids_and_names(shows));
        return Err(with_hint(message, "give the process ID of one of them"));
    }
    shows.pop().with_context(|| not_found(process, Vec::new()))?.1
}

/// The running show of this file, if there is one.
///
/// # Errors
/// When the folder of the sockets exists and cannot be read.
pub(crate) fn running_file(file: &Path) -> anyhow::Result<Option<Remote>> {
    let wanted = file.canonicalize().ok();
    for (process, show) in running()? {
        let Ok(mut show) = show else { continue };
        let Ok(layout) = show.layout() else { continue };
        // The path of a show is relative to the folder in which it was started.
        let folder = std::fs::read_link(format!("/proc/{process}/cwd")).unwrap_or_default();
        if wanted.is_some() && folder.join(&layout.show).canonicalize().ok() == wanted {
            return Ok(Some(show));
        }
    }
    Ok(None)
}

/// Finds a show by process ID or configuration file, or the only running one.
///
/// # Errors
/// As [`find`], and when no show of that file is running.
pub(crate) fn find_named(name: Option<&str>) -> anyhow::Result<Remote> {
    match name.map(|name| (name, name.parse())) {
        None => find(None),
        Some((_, Ok(process))) => find(Some(process)),
        Some((name, Err(_))) => running_file(Path::new(name))?.with_context(|| {
            let folder = folder();
            format!(
                "no running show of {name} found for this user (looked in {})",
                folder.display()
            )
        }),
    }
}

/// Process IDs and names of shows: `25063 (show.cfg), 25072 (lights.cfg)`.
fn process_ids_and_names(shows: Vec<(u32, anyhow::Result<Remote>)>) -> String {
    let texts =
        shows.into_iter().map(|(process, show)| match show.and_then(|mut show| show.layout()) {
            Ok(layout) => format!("{process} ({})", layout.show),
            Err(_) => process.to_string(),
        });
    texts.collect::<Vec<_>>().join(", ")
}
