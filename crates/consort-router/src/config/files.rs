//! Where configuration files come from, and how much of them is taken.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

/// How many bytes of configuration one load reads at most, all files together; a file that is
/// included twice counts twice.
pub const SIZE_LIMIT: u64 = 64 * 1024 * 1024;

/// `O_NONBLOCK` of Linux (`asm-generic/fcntl.h`; the same on all platforms that are supported).
const O_NONBLOCK: i32 = 0o4_000;

/// What configuration files are read from.
#[derive(Clone, Debug)]
pub enum Files {
    /// The file system. Only regular files are read.
    Disk,
    /// Texts in memory, by path: for tests, and for editors that check what is not saved yet.
    Memory(BTreeMap<PathBuf, Vec<u8>>),
    /// The file system, with the contents of some files replaced, by canonical path: for checking
    /// and trying edits that are not saved.
    Edited(BTreeMap<PathBuf, Vec<u8>>),
}

/// Why a file could not be read: what is wrong, and what to do about it.
pub(crate) struct FileError {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl FileError {
    fn new(message: impl Into<String>) -> Self {
        FileError { message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Files {
    /// One path for one file, however it is spelled: for finding include cycles.
    pub(crate) fn identity(&self, path: &Path) -> PathBuf {
        match self {
            Files::Disk | Files::Edited(_) => {
                path.canonicalize().unwrap_or_else(|_| path.to_owned())
            }
            Files::Memory(_) => normal(path),
        }
    }

    /// The folder of a file, so that it stays true when the working directory changes.
    pub(crate) fn directory(&self, path: &Path) -> PathBuf {
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        match self {
            Files::Disk | Files::Edited(_) => {
                std::path::absolute(parent).unwrap_or_else(|_| parent.to_owned())
            }
            Files::Memory(_) => parent.to_owned(),
        }
    }

    /// The folder that relative paths on the command line start from.
    pub(crate) fn working_directory(&self) -> PathBuf {
        match self {
            Files::Disk | Files::Edited(_) => {
                std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."))
            }
            Files::Memory(_) => PathBuf::from("."),
        }
    }

    /// Reads a file of at most `limit` bytes.
    pub(crate) fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
        let bytes = match self {
            Files::Disk => read_disk(path, limit)?,
            Files::Edited(files) => match files.get(&self.identity(path)) {
                Some(bytes) => bytes.clone(),
                None => read_disk(path, limit)?,
            },
            Files::Memory(files) => {
                files.get(&normal(path)).cloned().ok_or_else(|| FileError::new("no such file"))?
            }
        };
        if bytes.len() as u64 > limit {
            return Err(FileError::new(format!(
                "the configuration is larger than the limit of {} MiB",
                SIZE_LIMIT / (1024 * 1024)
            )));
        }
        Ok(bytes)
    }
}

fn read_disk(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    // Asked before it is opened: opening a FIFO would block, opening a device might act.
    let kind = std::fs::metadata(path).map_err(|error| refused(&error))?.file_type();
    if kind.is_dir() {
        return Err(FileError::new("this is a folder").hint(
            "give the path of a configuration file \
         in it",
        ));
    }
    if !kind.is_file() {
        let hint = "write the configuration to a file first";
        return Err(FileError::new("this is not a regular file").hint(hint));
    }
    // The file may have been replaced since, and some files of /proc block their readers.
    let file = File::options()
        .read(true)
        .custom_flags(O_NONBLOCK)
        .open(path)
        .map_err(|error| refused(&error))?;
    if !file.metadata().map_err(|error| refused(&error))?.is_file() {
        return Err(FileError::new("this is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| refused(&error))?;
    Ok(bytes)
}

fn refused(error: &io::Error) -> FileError {
    match error.kind() {
        io::ErrorKind::NotFound => FileError::new("no such file"),
        io::ErrorKind::PermissionDenied => FileError::new("permission denied"),
        io::ErrorKind::WouldBlock => FileError::new("this file has nothing to read now")
            .hint("write the configuration to a regular file"),
        _ => FileError::new(error.to_string()),
    }
}

/// The path without `.` and, where they can be resolved, `..`.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if out.file_name().is_some() => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}
