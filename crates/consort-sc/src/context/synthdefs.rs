//! SynthDefs: loading and forgetting.

use std::path::Path;

use super::Context;
use crate::SynthDefFile;
use crate::error::{Error, ErrorKind, Result};
use crate::requests::*;

impl Context {
    /// Sends the bytes of SynthDef files; their controls are known from then on. `/d_recv`
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn add_synthdefs<'a>(
        &self,
        files: impl IntoIterator<Item = &'a SynthDefFile>,
    ) -> Result<()> {
        self.add_synthdefs_then(files, |_| Ok(()))
    }

    /// As [`Context::add_synthdefs`]; the server performs what `then` asks for when all of them
    /// are there.
    ///
    /// # Errors
    /// As [`Context::submit`], and those of `then`.
    pub fn add_synthdefs_then<'a>(
        &self,
        files: impl IntoIterator<Item = &'a SynthDefFile>,
        then: impl FnOnce(&Context) -> Result<()>,
    ) -> Result<()> {
        let files: Vec<&SynthDefFile> = files.into_iter().collect();
        // Known first, so that the completion's synths can be checked.
        {
            let mut state = self.shared().lock();
            for info in files.iter().flat_map(|file| file.definitions()) {
                state.synthdefs.insert(info.name.clone(), info.clone());
            }
        }
        let mut completion = Some(CompletionRequests(self.collect_completion(then)?));
        let last = files.len().saturating_sub(1);
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

    /// Lets the server load a SynthDef file (or files, by a pattern) that it can read. If this
    /// machine can read it too, the controls are known from then on, and a file that is no
    /// SynthDef is refused. `/d_load`
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSynthDef`], and as [`Context::submit`].
    pub fn load_synthdefs(&self, path: impl AsRef<Path>) -> Result<()> {
        self.load_synthdefs_then(path, |_| Ok(()))
    }

    /// As [`Context::load_synthdefs`], with a completion.
    ///
    /// # Errors
    /// As [`Context::load_synthdefs`], and those of `then`.
    pub fn load_synthdefs_then(
        &self,
        path: impl AsRef<Path>,
        then: impl FnOnce(&Context) -> Result<()>,
    ) -> Result<()> {
        let path = path.as_ref();
        self.learn(path)?;
        let completion = CompletionRequests(self.collect_completion(then)?);
        self.submit(LoadSynthDefs { path: text(path)?, completion })
    }

    /// Lets the server load every SynthDef file of a folder that it can read. `/d_loadDir`
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn load_synthdefs_directory(&self, path: impl AsRef<Path>) -> Result<()> {
        self.load_synthdefs_directory_then(path, |_| Ok(()))
    }

    /// As [`Context::load_synthdefs_directory`], with a completion.
    ///
    /// # Errors
    /// As [`Context::submit`], and those of `then`.
    pub fn load_synthdefs_directory_then(
        &self,
        path: impl AsRef<Path>,
        then: impl FnOnce(&Context) -> Result<()>,
    ) -> Result<()> {
        let path = path.as_ref();
        if let Ok(entries) = std::fs::read_dir(path) {
            for entry in entries.flatten() {
                if entry.path().extension().is_some_and(|extension| extension == "scsyndef")
                    && let Err(error) = self.learn(&entry.path())
                {
                    // The server skips what it cannot read, and so do we.
                    tracing::warn!(path = %entry.path().display(), %error, "skipped");
                }
            }
        }
        let completion = CompletionRequests(self.collect_completion(then)?);
        self.submit(LoadSynthDefDirectory { path: text(path)?, completion })
    }

    fn learn(&self, path: &Path) -> Result<()> {
        if !path.is_file() {
            return Ok(());
        }
        let file = SynthDefFile::read(path)?;
        let mut state = self.shared().lock();
        for info in file.definitions() {
            state.synthdefs.insert(info.name.clone(), info.clone());
        }
        Ok(())
    }

    /// Lets the server forget SynthDefs; synths that play go on. `/d_free`
    ///
    /// # Errors
    /// As [`Context::submit`].
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

    /// Lets the server forget all SynthDefs. `/d_freeAll`
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn free_all_synthdefs(&self) -> Result<()> {
        self.submit(FreeAllSynthDefs)
    }
}

fn text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidArgument,
            format!("{} cannot be sent: the path is not UTF-8", path.display()),
        )
    })
}
