//! `consort run --watch`: reloads the show when one of its files changes.
//!
//! The folders of the files are watched with inotify(7), because many editors replace a file
//! instead of writing into it. Every [`LOOK_INTERVAL`] the files are compared with what they were,
//! too: that finds changes where inotify has no events, such as on network file systems, and files
//! that scripts have imported meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use consort_control::ReloadRequest;
use consort_router::Handle;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use super::Reloader;

/// How often the files are compared without an event.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// A change counts when nothing has changed for this long.
const QUIET_TIME: Duration = Duration::from_millis(100);

/// A file that is missing, empty or being written is waited for, for this long.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);

/// Bytes of events that are read at a time.
const EVENT_BYTES: usize = 4_096;

/// What tells versions of a file apart: device and inode, size, and the time of its last change.
type Stamp = (u64, u64, u64, i64, i64);

/// The stamps of files; none for one that is missing.
type Stamps = BTreeMap<PathBuf, Option<Stamp>>;

/// The folders of the files, as far as inotify can watch them.
struct Folders {
    descriptor: Option<OwnedFd>,
    watched: HashMap<PathBuf, i32>,
    /// The files in them, by watch and name.
    files: HashSet<(i32, CString)>,
    /// Files that were written into and not closed since.
    writing: HashSet<(i32, CString)>,
}

/// Starts the thread that reloads the show when its files change. It ends with the show.
///
/// # Errors
/// When no thread can be created.
pub(crate) fn start(reloader: Reloader, handle: Handle) -> std::io::Result<()> {
    // Before the show runs, so that no change after its start is missed.
    let mut known = stamps(&reloader);
    known.retain(|path, _| !reloader.is_outdated(path));
    let mut folders = Folders::new();
    folders.follow(&known);
    std::thread::Builder::new().name("watch".into()).spawn(move || {
        let mut wait = LOOK_INTERVAL;
        while !handle.has_ended() {
            if !wait.is_zero() {
                folders.wait(wait);
            }
            wait = LOOK_INTERVAL;
            let now = stamps(&reloader);
            folders.follow(&now);
            if has_changed(&reloader, &known, &now) {
                known = settle(&reloader, &mut folders, &known, now);
                reload(&reloader, &known);
                // Which files belong to the show may have changed.
                wait = Duration::ZERO;
            } else {
                known = now;
            }
        }
    })?;
    Ok(())
}

/// Reloads the show; the outcome is logged.
fn reload(reloader: &Reloader, known: &Stamps) {
    let main = reloader.main_file();
    let is_empty = known.get(&main).is_some_and(|stamp| stamp.is_none_or(|stamp| stamp.2 == 0));
    if is_empty {
        // An empty configuration is a show without instances, and never what an editor saved.
        tracing::error!("not reloaded: {} is missing or empty", main.display());
        return;
    }
    let _ = reloader.reload(&ReloadRequest::default());
}

/// Whether a file has another stamp than before, or is new to the show and not what was loaded.
fn has_changed(reloader: &Reloader, known: &Stamps, now: &Stamps) -> bool {
    now.iter().any(|(path, now)| match known.get(path) {
        Some(stamp) => stamp != now,
        None => reloader.is_outdated(path),
    })
}

/// Waits until all files that have changed are there, complete, and the same for [`QUIET_TIME`].
fn settle(
    reloader: &Reloader,
    folders: &mut Folders,
    known: &Stamps,
    mut before: Stamps,
) -> Stamps {
    let deadline = Instant::now() + SETTLE_LIMIT;
    loop {
        let quiet_until = Instant::now() + QUIET_TIME;
        while Instant::now() < quiet_until {
            folders.wait(quiet_until.saturating_duration_since(Instant::now()));
        }
        let now = stamps(reloader);
        let is_complete = folders.writing.is_empty()
            && now.iter().all(|(path, stamp)| {
                known.get(path) == Some(stamp) || stamp.is_some_and(|stamp| stamp.2 > 0)
            });
        if now == before && (is_complete || Instant::now() >= deadline) {
            folders.writing.clear();
            return now;
        }
        if Instant::now() >= deadline {
            folders.writing.clear();
        }
        before = now;
    }
}

fn stamps(reloader: &Reloader) -> Stamps {
    let stamp = |path: PathBuf| {
        let stamp = std::fs::metadata(&path).ok().map(|metadata| {
            let (seconds, nanos) = (metadata.ctime(), metadata.ctime_nsec());
            (metadata.dev(), metadata.ino(), metadata.len(), seconds, nanos)
        });
        (path, stamp)
    };
    reloader.all_files().into_iter().map(stamp).collect()
}

impl Folders {
    fn new() -> Self {
        let descriptor = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK);
        if let Err(error) = &descriptor {
            tracing::warn!(
                "cannot watch folders ({error}): the show's files are compared every \
                 {LOOK_INTERVAL:?}"
            );
        }
        let descriptor = descriptor.ok();
        Folders {
            descriptor,
            watched: HashMap::new(),
            files: HashSet::new(),
            writing: HashSet::new(),
        }
    }

    /// Watches the folders of these files, and no others.
    fn follow(&mut self, files: &Stamps) {
        let Some(descriptor) = &self.descriptor else { return };
        let folder = |file: &'_ PathBuf| file.parent().map(Path::to_owned);
        let wanted: BTreeSet<PathBuf> = files.keys().filter_map(folder).collect();
        self.watched.retain(|folder, watch| {
            let is_wanted = wanted.contains(folder);
            if !is_wanted {
                // Fails if the folder is gone already.
                let _ = inotify::remove_watch(descriptor, *watch);
            }
            is_wanted
        });
        let flags = WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_TO
            | WatchFlags::ATTRIB;
        for folder in wanted {
            if !self.watched.contains_key(&folder)
                && let Ok(watch) = inotify::add_watch(descriptor, &folder, flags)
            {
                self.watched.insert(folder, watch);
            }
        }
        let entry = |file: &PathBuf| {
            let watch = *self.watched.get(file.parent()?)?;
            Some((watch, CString::new(file.file_name()?.as_encoded_bytes()).ok()?))
        };
        self.files = files.keys().filter_map(entry).collect();
    }

    /// Waits for an event of one of the files, for `limit` at most.
    fn wait(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.read_events(left) {
                return;
            }
        }
    }

    /// Waits for events, for `limit` at most, and reads all that have arrived. Returns whether one
    /// of them concerns a file of the show: programs may write others into the same folder.
    fn read_events(&mut self, limit: Duration) -> bool {
        let Some(descriptor) = &self.descriptor else {
            std::thread::sleep(limit);
            return false;
        };
        let timeout = Timespec { tv_sec: limit.as_secs() as _, tv_nsec: limit.subsec_nanos() as _ };
        let mut polled = [PollFd::new(descriptor, PollFlags::IN)];
        // A signal may interrupt this; the caller waits for the rest of the time.
        let _ = poll(&mut polled, Some(&timeout));
        let mut is_concerned = false;
        let mut buffer = [MaybeUninit::uninit(); EVENT_BYTES];
        let mut events = inotify::Reader::new(descriptor, &mut buffer);
        while let Ok(event) = events.next() {
            let Some(name) = event.file_name() else { continue };
            let file = (event.wd(), name.to_owned());
            if !self.files.contains(&file) {
                continue;
            }
            is_concerned = true;
            if event.events().contains(ReadFlags::MODIFY) {
                self.writing.insert(file);
            } else if !event.events().contains(ReadFlags::ATTRIB) {
                // It was closed, replaced or removed.
                self.writing.remove(&file);
            }
        }
        is_concerned
    }
}
