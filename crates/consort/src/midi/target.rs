//! The file that a recording is written to.

use std::fs::Permissions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use consort_seq::file::MidiFile;

use crate::errors::with_hint;

/// Creates a temporary file in a folder.
fn temporary(folder: &Path) -> anyhow::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".consort-")
        .suffix(".mid")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .with_context(|| format!("cannot write to the folder {}", folder.display()))
}

/// The file to write. It is written under a temporary name and renamed when it is complete.
pub(super) struct Target {
    pub(super) path: PathBuf,
    folder: PathBuf,
    is_forced: bool,
}

impl Target {
    /// Checks the path, so that a recording does not fail only at its end.
    pub(super) fn new(path: &Path, is_forced: bool) -> anyhow::Result<Self> {
        let shown = path.display();
        let is_link = path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
        if is_link && !path.exists() {
            return Err(with_hint(
                format!("{shown} is a link to a file that does not exist"),
                "remove the link, or record to another file",
            ));
        }
        if !is_forced && path.exists() {
            return Err(with_hint(
                format!("{shown} already exists"),
                "use --force to overwrite it",
            ));
        }
        let resolved = if is_link { path.canonicalize()? } else { path.to_path_buf() };
        let path = resolved.as_path();
        if path.is_dir() || path.file_name().is_none() {
            bail!("cannot write {shown}: it is a folder");
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let target = Self { path: path.to_path_buf(), folder, is_forced };
        drop(temporary(&target.folder)?);
        Ok(target)
    }

    /// Writes the file. If that fails, the recording is kept elsewhere, and the error says where.
    pub(super) fn write(&self, file: &MidiFile) -> anyhow::Result<()> {
        let bytes = file.to_bytes().with_context(|| self.cannot_write())?;
        let complete = match self.write_temporary(&bytes) {
            Ok(complete) => complete,
            Err(error) => return Err(self.rescue(&bytes, error)),
        };
        let moved = match self.is_forced {
            true => complete.persist(&self.path),
            false => complete.persist_noclobber(&self.path).or_else(|error| {
                // Some file systems cannot rename without replacing.
                match error.error.kind() == ErrorKind::AlreadyExists || self.path.exists() {
                    true => Err(error),
                    false => error.file.persist(&self.path),
                }
            }),
        };
        let Err(failed) = moved else {
            // The new name must be on the disk before the journal is removed. Some file systems
            // cannot sync folders.
            if let Ok(folder) = std::fs::File::open(&self.folder) {
                let _ = folder.sync_all();
            }
            return Ok(());
        };
        let reason = match failed.error.kind() == ErrorKind::AlreadyExists {
            true => anyhow!("another program has created it in the meantime"),
            false => failed.error.into(),
        };
        Err(match failed.file.keep() {
            Ok((_, kept)) => self.kept(reason, &kept),
            Err(_) => self.rescue(&bytes, reason),
        })
    }

    /// Writes a temporary file in the target's folder.
    fn write_temporary(&self, bytes: &[u8]) -> anyhow::Result<tempfile::NamedTempFile> {
        let temporary = temporary(&self.folder)?;
        temporary.as_file().write_all(bytes)?;
        temporary.as_file().sync_all()?;
        Ok(temporary)
    }

    fn cannot_write(&self) -> String {
        format!("cannot write {}", self.path.display())
    }

    /// The error for a recording that was kept at another path.
    fn kept(&self, reason: anyhow::Error, path: &Path) -> anyhow::Error {
        let what = format!("{}; the recording is in {}", self.cannot_write(), path.display());
        reason.context(what)
    }

    /// Writes the recording to another folder, because it cannot be repeated: the disk may be full
    /// or a USB stick unplugged. Returns the error that says where it is.
    fn rescue(&self, bytes: &[u8], reason: anyhow::Error) -> anyhow::Error {
        for folder in [std::env::temp_dir(), PathBuf::from("/dev/shm")] {
            let Ok(temporary) = temporary(&folder) else { continue };
            if temporary.as_file().write_all(bytes).is_ok()
                && let Ok((_, kept)) = temporary.keep()
            {
                return self.kept(reason, &kept);
            }
        }
        reason.context(self.cannot_write())
    }
}
