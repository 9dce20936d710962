//! A running show is reached through a Unix socket: `PID.sock` in `$XDG_RUNTIME_DIR/consort`,
//! or in `/tmp/consort-UID` where that is not set. One request a line, one answer a line, JSON.
//!
//! Bounded: so many onlookers at a time, requests of so many bytes, and an onlooker who does
//! not read his answer is dropped. Nothing here runs on the router's thread.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::source::{Layout, Local, Reading, Source};

/// Onlookers at a time.
const ONLOOKERS: usize = 8;
/// The longest request, in bytes.
const REQUEST_LIMIT: u64 = 4_096;
/// The longest answer that is read, in bytes: 100,000 channels need about 5 MB.
const ANSWER_LIMIT: u64 = 64 << 20;
/// How long a request or an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Request {
    Layout,
    Read { log_from: u64 },
    Inject { instance: u32, channel: u32, value: f64 },
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Layout(Layout),
    Reading(Reading),
    Injected(bool),
    Error(String),
}

/// The folder of this user's sockets.
pub(crate) fn folder() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|it| !it.is_empty()) {
        Some(folder) => Path::new(&folder).join("consort"),
        None => format!("/tmp/consort-{}", rustix::process::geteuid().as_raw()).into(),
    }
}

/// Makes the folder; refuses one that others could have prepared.
fn private_folder() -> io::Result<PathBuf> {
    let folder = folder();
    match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = std::fs::symlink_metadata(&folder)?;
    let is_mine = found.uid() == rustix::process::geteuid().as_raw();
    if !found.is_dir() || !is_mine || found.mode() & 0o077 != 0 {
        let path = folder.display();
        return Err(io::Error::other(format!("{path} is not a folder of this user alone (0700)")));
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
    pub(crate) fn start(show: Local) -> io::Result<Self> {
        let path = private_folder()?.join(format!("{}.sock", std::process::id()));
        // A process that had this number and was killed.
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        let onlookers = Arc::new(AtomicUsize::new(0));
        std::thread::Builder::new().name("onlookers".into()).spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                if onlookers.fetch_add(1, Ordering::Relaxed) >= ONLOOKERS {
                    onlookers.fetch_sub(1, Ordering::Relaxed);
                    continue;
                }
                let (show, count) = (show.clone(), Arc::clone(&onlookers));
                let serving =
                    std::thread::Builder::new().name("onlooker".into()).spawn(move || {
                        if let Err(error) = serve(&stream, show) {
                            tracing::debug!("an onlooker is gone: {error}");
                        }
                        count.fetch_sub(1, Ordering::Relaxed);
                    });
                if serving.is_err() {
                    onlookers.fetch_sub(1, Ordering::Relaxed);
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

fn serve(stream: &UnixStream, mut show: Local) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut input = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = input.by_ref().take(REQUEST_LIMIT).read_until(b'\n', &mut line)?;
        if count == 0 {
            return Ok(());
        }
        let is_whole = line.ends_with(b"\n");
        let mut answer = serde_json::to_vec(&answer(&line, &mut show))?;
        answer.push(b'\n');
        (&*stream).write_all(&answer)?;
        if !is_whole {
            return Ok(());
        }
    }
}

fn answer(line: &[u8], show: &mut Local) -> Answer {
    let answered = match serde_json::from_slice(line) {
        Ok(Request::Layout) => show.layout().map(Answer::Layout),
        Ok(Request::Read { log_from }) => show.read(log_from).map(Answer::Reading),
        Ok(Request::Inject { instance, channel, value }) => {
            show.inject(instance, channel, value).map(Answer::Injected)
        }
        Err(error) => Err(error.into()),
    };
    answered.unwrap_or_else(|error| Answer::Error(error.to_string()))
}

/// A show of another process.
pub(crate) struct Remote {
    stream: BufReader<UnixStream>,
}

impl Remote {
    /// Connects to a show.
    pub(crate) fn connect(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Remote { stream: BufReader::new(stream) })
    }

    fn ask(&mut self, request: &Request) -> anyhow::Result<Answer> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.stream.get_ref().write_all(&line).context("the show is gone")?;
        line.clear();
        let mut limited = self.stream.by_ref().take(ANSWER_LIMIT);
        limited.read_until(b'\n', &mut line).context("the show does not answer")?;
        if !line.ends_with(b"\n") {
            bail!("the show has ended, or eight others look at it already");
        }
        match serde_json::from_slice(&line).context("the show answers in another version")? {
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

    fn stop(&mut self) -> bool {
        false
    }
}

/// The running shows of this user, by process number; sockets that nobody answers are removed.
pub(crate) fn running() -> Vec<(u32, Remote)> {
    let Ok(entries) = std::fs::read_dir(folder()) else { return Vec::new() };
    let mut shows = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let number = path.file_stem().and_then(|it| it.to_str()).and_then(|it| it.parse().ok());
        let Some(number) = number.filter(|_| path.extension().is_some_and(|it| it == "sock"))
        else {
            continue;
        };
        match Remote::connect(&path) {
            Ok(remote) => shows.push((number, remote)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                let _ = std::fs::remove_file(&path);
            }
            Err(error) => tracing::warn!("{}: {error}", path.display()),
        }
    }
    shows.sort_by_key(|(number, _)| *number);
    shows
}

/// The one show that is meant: that of `process`, or the only one.
pub(crate) fn find(process: Option<u32>) -> anyhow::Result<Remote> {
    let mut shows = running();
    if let Some(process) = process {
        shows.retain(|(number, _)| *number == process);
    }
    if shows.len() > 1 {
        let numbers: Vec<String> = shows.iter().map(|(number, _)| number.to_string()).collect();
        bail!("several shows run; name one of these processes: {}", numbers.join(", "));
    }
    let found = shows
        .pop()
        .with_context(|| format!("no show of this user runs (looked in {})", folder().display()))?;
    Ok(found.1)
}
