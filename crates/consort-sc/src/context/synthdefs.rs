//! Loading and freeing SynthDefs.

use std::path::Path;

use super::Context;
use super::buffers::path_text;
use crate::SynthDefFile;
#[allow(unused_imports)] // For the documentation.
use crate::error::{ErrorKind, Result};
use crate::requests::*;

impl Context {
    /// Sends the bytes of SynthDef files and records their controls. `/d_recv`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn add_synthdefs<'a>(
        &self,
        files: impl IntoIterator<Item = &'a SynthDefFile>,
    ) -> Result<()> {
        self.add_synthdefs_then(files, |_| Ok(()))
    }

    /// Like [`Context::add_synthdefs`], with a completion: the server performs the requests of
    /// `then` when all SynthDefs are loaded, and at once if there are none.
    ///
    /// # Errors
    /// Same as [`Context::submit`], and those of `then`.
    pub fn add_synthdefs_then<'a>(
        &self,
        files: impl IntoIterator<Item = &'a SynthDefFile>,
        then: impl FnOnce(&Context) -> Result<()>,
    ) -> Result<()> {
        let files: Vec<&SynthDefFile> = files.into_iter().collect();
        // Recorded first, so that the controls of the completion's synths can be checked.
        files.iter().for_each(|file| self.record_controls(file));
        let completion = self.collect_completion(then)?;
        if files.is_empty() {
            // All of them are loaded already.
            return self.submit_all(completion.0, None);
        }
        let mut completion = Some(completion);
        let last = files.len() - 1;
        for (index, file) in files.iter().enumerate() {
            let completion = if index == last {
                completion.take().unwrap_or_default()
            } else {
                CompletionRequests::default()
            };
            self.submit(ReceiveSynthDef { bytes: file.bytes().clone(), completion })?;
        }
        Ok(())
    }

    /// Makes the server load a SynthDef file from its own disk; the path may contain wildcards. If
    /// this client can read the file too, it records the controls and rejects a file that is not a
    /// SynthDef. `/d_load`
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSynthDef`], and as [`Context::submit`].
    pub fn load_synthdefs(&self, path: impl AsRef<Path>) -> Result<()> {
        self.load_synthdefs_then(path, |_| Ok(()))
    }

    /// Like [`Context::load_synthdefs`], with a completion.
    ///
    /// # Errors
    /// Same as [`Context::load_synthdefs`], and those of `then`.
    pub fn load_synthdefs_then(
        &self,
        path: impl AsRef<Path>,
        then: impl FnOnce(&Context) -> Result<()>,
    ) -> Result<()> {
        let path = path.as_ref();
        self.record_controls_of_file(path)?;
        let completion = self.collect_completion(then)?;
        self.submit(LoadSynthDefs { path: path_text(path)?, completion })
    }

    /// Makes the server load every SynthDef file of a folder on its own disk. `/d_loadDir`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn load_synthdefs_directory(&self, path: impl AsRef<Path>) -> Result<()> {
        self.load_synthdefs_directory_then(path, |_| Ok(()))
    }

    /// Like [`Context::load_synthdefs_directory`], with a completion.
    ///
    /// # Errors
    /// Same as [`Context::submit`], and those of `then`.
    pub fn load_synthdefs_directory_then(
        &self,
        path: impl AsRef<Path>,
        then: impl FnOnce(&Context) -> Result<()>,
    ) -> Result<()> {
        let path = path.as_ref();
        if let Ok(entries) = std::fs::read_dir(path) {
            for entry in entries.flatten() {
                if entry.path().extension().is_some_and(|extension| extension == "scsyndef")
                    && let Err(error) = self.record_controls_of_file(&entry.path())
                {
                    // The server skips files that it cannot read, too.
                    tracing::warn!(path = %entry.path().display(), %error, "skipping an invalid SynthDef file");
                }
            }
        }
        let completion = self.collect_completion(then)?;
        self.submit(LoadSynthDefDirectory { path: path_text(path)?, completion })
    }

    /// Records the controls of a file's SynthDefs, so that requests that set controls can be checked.
    fn record_controls(&self, file: &SynthDefFile) {
        let mut state = self.shared().lock();
        for info in file.definitions() {
            state.add_synthdef(info);
        }
    }

    /// Records the controls of a file on disk, unless only the server can read it.
    fn record_controls_of_file(&self, path: &Path) -> Result<()> {
        if path.is_file() {
            self.record_controls(&SynthDefFile::read(path)?);
        }
        Ok(())
    }

    /// Frees SynthDefs by name. Running synths continue. `/d_free`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn free_synthdefs<S: Into<String>>(
        &self,
        names: impl IntoIterator<Item = S>,
    ) -> Result<()> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        if names.is_empty() {
            return Ok(());
        }
        self.submit(FreeSynthDefs { names })
    }

    /// Frees all SynthDefs. Running synths continue. `/d_freeAll`
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn free_all_synthdefs(&self) -> Result<()> {
        self.submit(FreeAllSynthDefs)
    }
}
