//! SynthDefs that do not fit into a datagram, as files for a server on this machine.
//!
//! The server loads them with `/d_load`. It may do so at any time until it confirms, and its
//! confirmation does not name the file; so the files remain until the connection is closed, but no
//! more than [`MAX_BYTES`] of them.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::bundling::BUNDLE_HEADER_BYTES;
use crate::error::{Error, ErrorKind, Result};
use crate::options::{Options, Protocol};
use crate::requests::{LoadSynthDefs, ReceiveSynthDef, Request};

/// The bytes of the files that are kept. The oldest are removed first; the server has loaded them
/// long before.
const MAX_BYTES: usize = 256 << 20;

/// A file with the bytes of a SynthDef file.
#[derive(Debug)]
struct Written {
    bytes: Arc<[u8]>,
    path: PathBuf,
}

impl Drop for Written {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "cannot remove a SynthDef file");
        }
    }
}

/// The files of one connection.
#[derive(Debug, Default)]
pub(crate) struct SynthDefFiles(Mutex<VecDeque<Written>>);

impl SynthDefFiles {
    /// Removes all files.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }

    /// Whether the path is that of one of these files.
    pub(crate) fn contains(&self, path: &str) -> bool {
        self.0.lock().iter().any(|file| file.path == Path::new(path))
    }

    /// The requests, with `/d_load` of a file in place of each `/d_recv` that does not fit into a
    /// datagram, if the server can read this machine's files.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if a file cannot be written.
    pub(crate) fn replace_large<'r>(
        &self,
        requests: &'r [Request],
        options: &Options,
        is_owner: bool,
    ) -> Result<Cow<'r, [Request]>> {
        let is_local = is_owner || options.ip_address.is_loopback();
        if options.protocol != Protocol::Udp || !is_local || !requests.iter().any(is_large) {
            return Ok(Cow::Borrowed(requests));
        }
        let replaced = requests.iter().map(|request| match request {
            Request::ReceiveSynthDef(ReceiveSynthDef { bytes, completion })
                if is_large(request) =>
            {
                let path = self.write(bytes, options)?;
                let completion = completion.clone();
                Ok(LoadSynthDefs { path, completion }.into())
            }
            request => Ok(request.clone()),
        });
        replaced.collect::<Result<Vec<_>>>().map(Cow::Owned)
    }

    /// The path of a file with these bytes.
    fn write(&self, bytes: &Arc<[u8]>, options: &Options) -> Result<String> {
        let mut files = self.0.lock();
        if let Some(file) = files.iter().find(|file| file.bytes == *bytes)
            && file.path.exists()
        {
            return text(&file.path);
        }
        let folder = match &options.restricted_path {
            Some(path) => path.clone(),
            None => std::env::temp_dir(),
        };
        let (path, mut file) = create(&folder)?;
        let path_text = text(&path)?;
        let written = Written { bytes: bytes.clone(), path };
        file.write_all(bytes).map_err(|error| {
            Error::io(format!("cannot write the SynthDef file {path_text}"), error)
        })?;
        let mut total: usize = files.iter().map(|file| file.bytes.len()).sum();
        while total > MAX_BYTES
            && let Some(oldest) = files.pop_front()
        {
            total -= oldest.bytes.len();
        }
        files.push_back(written);
        Ok(path_text)
    }
}

/// Whether the request is a `/d_recv` that does not fit into a datagram. A bundle's header is counted
/// even for a single message, so that the result does not depend on the moment.
fn is_large(request: &Request) -> bool {
    let Request::ReceiveSynthDef(ReceiveSynthDef { bytes, .. }) = request else { return false };
    let limit = Protocol::Udp.packet_limit() - BUNDLE_HEADER_BYTES - 4;
    // The size without the SynthDef: the address, the type tags, the completion.
    bytes.len() > limit / 2 && {
        let mut encoded = Vec::new();
        request.encode(&mut encoded).is_ok_and(|size| size > limit)
    }
}

fn text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        let message = format!("cannot send the path {}: it is not valid UTF-8", path.display());
        Error::new(ErrorKind::InvalidArgument, message)
    })
}

/// Creates a new file. The server reads it even if it runs as another user.
fn create(folder: &Path) -> Result<(PathBuf, File)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("consort-{}-{number}.scsyndef", std::process::id()));
        // An existing file, or a link that another user has placed there, is not opened.
        match OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                let what = format!("cannot create the SynthDef file {}", path.display());
                return Err(Error::io(what, error));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::{CompletionRequests, DoNothing};

    fn receive(size: usize) -> Request {
        let completion = CompletionRequests(vec![DoNothing.into()]);
        ReceiveSynthDef { bytes: vec![7; size].into(), completion }.into()
    }

    #[test]
    fn a_synthdef_above_the_limit_of_a_datagram_becomes_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let restricted_path = Some(folder.path().to_owned());
        let options = Options { restricted_path, ..Options::default() };
        let files = SynthDefFiles::default();
        let requests = [receive(1_000), receive(65_400), receive(65_600), receive(65_600)];
        let replaced = files.replace_large(&requests, &options, true).unwrap();
        assert_eq!(replaced[..2], requests[..2]);
        let Request::LoadSynthDefs(load) = &replaced[2] else { panic!("not replaced") };
        assert_eq!(load.completion.0.len(), 1);
        assert_eq!(std::fs::read(&load.path).unwrap(), vec![7; 65_600]);
        assert!(load.path.ends_with(".scsyndef") && files.contains(&load.path));
        // The same bytes are the same file.
        assert_eq!(replaced[3], replaced[2]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        files.clear();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        // A server elsewhere cannot read it, and over TCP it is not needed.
        for options in [
            Options { ip_address: [192, 0, 2, 1].into(), ..options.clone() },
            Options { protocol: Protocol::Tcp, ..options },
        ] {
            let unchanged = files.replace_large(&requests, &options, false).unwrap();
            assert!(matches!(unchanged, Cow::Borrowed(_)));
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error() {
        let options =
            Options { restricted_path: Some("/nonexistent".into()), ..Options::default() };
        let requests = [receive(70_000)];
        let error = SynthDefFiles::default().replace_large(&requests, &options, true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("/nonexistent/consort-"), "{error}");
    }
}
