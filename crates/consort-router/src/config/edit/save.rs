//! Writing edited files: all or nothing, as far as a file system allows it.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use super::{EditError, EditedFile};

/// A temporary file that is removed unless it has been renamed to its target.
struct Temporary {
    path: PathBuf,
    is_renamed: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_renamed {
            // Nothing more can be done about it here.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Replaces all changed files. The paths are canonical, so links were followed already.
///
/// 1. Each file must still have the contents that were read.
/// 2. The new contents are written beside each file and synced.
/// 3. All files are compared once more. Then each is replaced by a rename, and its folder synced.
pub(super) fn save(files: &mut [EditedFile]) -> Result<(), EditError> {
    let mut changed: Vec<&mut EditedFile> =
        files.iter_mut().filter(|file| file.text != file.original).collect();
    for file in &changed {
        check_unchanged(file)?;
    }
    let mut temporaries = Vec::new();
    for file in &changed {
        let temporary = write_beside(&file.path, file.text.as_bytes());
        let error = |source| EditError::Write { path: file.path.clone(), source };
        temporaries.push(temporary.map_err(error)?);
    }
    for file in &changed {
        check_unchanged(file)?;
    }
    for (file, temporary) in changed.iter_mut().zip(&mut temporaries) {
        let renamed = std::fs::rename(&temporary.path, &file.path).and_then(|()| {
            temporary.is_renamed = true;
            sync_folder(&file.path)
        });
        if temporary.is_renamed {
            file.original.clone_from(&file.text);
        }
        renamed.map_err(|source| EditError::Write { path: file.path.clone(), source })?;
    }
    Ok(())
}

/// Compares a file with what was read.
fn check_unchanged(file: &EditedFile) -> Result<(), EditError> {
    let mut contents = Vec::with_capacity(file.original.len() + 1);
    let limit = file.original.len() as u64 + 1;
    let read = File::open(&file.path).and_then(|open| open.take(limit).read_to_end(&mut contents));
    match read {
        Ok(_) if contents == file.original.as_bytes() => Ok(()),
        Ok(_) => Err(EditError::Changed { path: file.path.clone() }),
        Err(error) => Err(EditError::Read { path: file.path.clone(), reason: error.to_string() }),
    }
}

/// Writes a file with the mode and owner of `target` into its folder, and syncs it.
fn write_beside(target: &Path, contents: &[u8]) -> io::Result<Temporary> {
    let metadata = std::fs::metadata(target)?;
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (mut file, temporary) = create_beside(target, &name)?;
    file.write_all(contents)?;
    let created = file.metadata()?;
    if (created.uid(), created.gid()) != (metadata.uid(), metadata.gid()) {
        fchown(&file, Some(metadata.uid()), Some(metadata.gid())).map_err(|error| {
            let message = "cannot keep the owner of the file";
            io::Error::new(error.kind(), format!("{message}: {error}"))
        })?;
    }
    // After the owner is set, because that clears the set-ID bits.
    file.set_permissions(Permissions::from_mode(metadata.mode() & 0o7777))?;
    file.sync_all()?;
    Ok(temporary)
}

/// Creates a new file, readable by the user alone until it gets its mode. Existing names, links
/// among them, are never opened.
fn create_beside(target: &Path, name: &str) -> io::Result<(File, Temporary)> {
    for attempt in 0..100 {
        let candidate = format!(".{name}.{}-{attempt}.tmp", std::process::id());
        let path = target.with_file_name(candidate);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return Ok((file, Temporary { path, is_renamed: false })),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn sync_folder(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
