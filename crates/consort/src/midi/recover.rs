//! `consort midi recover`, and the journals beside recordings.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use rustix::fs::FlockOperation;

use super::target::Target;
use super::{counted, journal};

/// The end of the names of journals.
const SUFFIX: &str = ".journal";
/// How many names for a recovered recording are tried.
const MAX_NAMES: u32 = 1000;

/// Arguments of `consort midi recover`.
#[derive(clap::Args, Debug)]
pub(crate) struct RecoverArguments {
    /// Recordings that were interrupted, or folders to search for them [default: this folder]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(arguments: &RecoverArguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let here = [PathBuf::from(".")];
    let files = if arguments.files.is_empty() { &here[..] } else { &arguments.files };
    let mut count = 0;
    for path in files {
        if !path.is_dir() {
            let recovered = recover(path)?
                .with_context(|| format!("{} has no journal with events", path.display()))?;
            count += 1;
            writeln!(out, "{recovered}")?;
            continue;
        }
        let entries = path.read_dir().with_context(|| format!("cannot read {}", path.display()))?;
        let mut names: Vec<OsString> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        for name in names {
            let name = name.to_string_lossy();
            let target = name.strip_prefix('.').and_then(|name| name.strip_suffix(SUFFIX));
            if let Some(recovered) =
                target.map(|name| recover(&path.join(name))).transpose()?.flatten()
            {
                count += 1;
                writeln!(out, "{recovered}")?;
            }
        }
    }
    if count == 0 {
        writeln!(out, "no interrupted recordings")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The journal of a recording.
pub(super) fn journal_path(target: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(SUFFIX);
    target.with_file_name(name)
}

/// Creates the journal of a recording. It stays locked while it is open.
pub(super) fn create_journal(target: &Path) -> anyhow::Result<File> {
    let path = journal_path(target);
    let shown = path.display();
    let open = File::options().create_new(true).read(true).write(true).open(&path);
    let file = open.with_context(|| format!("cannot write the journal {shown}"))?;
    lock(&file, target)?;
    Ok(file)
}

/// Locks a journal, or fails because a recording is in progress.
fn lock(file: &File, target: &Path) -> anyhow::Result<()> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            bail!("another process records to {}", target.display())
        }
        // Some file systems have no locks.
        Err(_) => Ok(()),
    }
}

/// Writes the recording that an interrupted process left in the journal of `target`: to `target`
/// if that is free, otherwise to another name. Then removes the journal. Returns what was done;
/// `None` if there is no journal, or none with events.
pub(super) fn recover(target: &Path) -> anyhow::Result<Option<String>> {
    recover_to(target, target)
}

/// [`recover`], but to `wanted` or a name like it.
pub(super) fn recover_to(target: &Path, wanted: &Path) -> anyhow::Result<Option<String>> {
    let path = journal_path(target);
    let shown = path.display();
    let mut file = match File::options().read(true).write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
    };
    lock(&file, target)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).with_context(|| format!("cannot read {shown}"))?;
    let recovered = match journal::replay(&bytes) {
        Ok((recording, count)) if count > 0 => Some((recording, count)),
        // A process that was interrupted at its start has recorded nothing.
        Ok(_) => None,
        Err(_) if bytes.len() < MIN_JOURNAL_BYTES => None,
        Err(error) => return Err(error.context(format!("cannot recover {shown}"))),
    };
    let Some((recording, count)) = recovered else {
        std::fs::remove_file(&path).with_context(|| format!("cannot remove {shown}"))?;
        return Ok(None);
    };
    let free = free_name(wanted)?;
    Target::new(&free, false)?.write(&recording)?;
    std::fs::remove_file(&path).with_context(|| format!("cannot remove {shown}"))?;
    let events = counted(count as u64, "event");
    Ok(Some(format!("{}: {events} recovered from an interrupted recording", free.display())))
}

/// A journal with less than this is one that was interrupted while it was created.
const MIN_JOURNAL_BYTES: usize = 40;

/// A path that does not exist: `wanted`, or `NAME-recovered.mid`, `NAME-recovered-2.mid` and so on.
fn free_name(wanted: &Path) -> anyhow::Result<PathBuf> {
    let stem = wanted.file_stem().unwrap_or_default().to_string_lossy();
    let extension = wanted.extension().unwrap_or("mid".as_ref()).to_string_lossy();
    let name = |number: u32| match number {
        0 => wanted.to_path_buf(),
        1 => wanted.with_file_name(format!("{stem}-recovered.{extension}")),
        _ => wanted.with_file_name(format!("{stem}-recovered-{number}.{extension}")),
    };
    let free = (0..MAX_NAMES).map(name).find(|path| path.symlink_metadata().is_err());
    free.with_context(|| format!("{}: too many recovered recordings", wanted.display()))
}

/// Recovers the recording that an earlier process left beside a new one, which gets the name
/// `target`.
pub(super) fn recover_before(target: &Path) -> anyhow::Result<Option<String>> {
    let stem = target.file_stem().unwrap_or_default().to_string_lossy();
    let extension = target.extension().unwrap_or("mid".as_ref()).to_string_lossy();
    recover_to(target, &target.with_file_name(format!("{stem}-recovered.{extension}")))
}
